"""``POST /v1/batches/{id}/rerender``: the files of an ended batch written anew, an extension."""

from typing import Final

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import owned_batch
from gateway.api.body import read_json_bytes
from gateway.api.objects import encode_batch
from gateway.api.services import Call
from gateway.batches.batch import LIVE_STATUSES
from gateway.errors import ConflictError, RequestError
from gateway.wire.openai import parse_word

POLICIES: Final = ("present", "stored")
POLICIES_MEAN: Final = (
    "'present' (today's settings) or 'stored' (those that the batch was created under)"
)


async def rerender(call: Call) -> Response:
    """Render new files from the raw results, listed in ``gateway.rerendered``; nothing is paid.

    ``{"policy": "stored"}`` takes the settings that the batch was created under.
    """
    stored = parse_word(await read_json_bytes(call), "policy", POLICIES, POLICIES_MEAN) == "stored"
    batch = await owned_batch(call)
    if batch.status in LIVE_STATUSES:
        raise ConflictError(f"Batch '{batch.id}' has not ended: there is nothing to render again.")
    if call.services.rerender is None:
        raise RequestError("This gateway renders no batches again.")
    return answer(encode_batch(await call.services.rerender(batch, stored)))
