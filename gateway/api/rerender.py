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
from gateway.wire.openai import parse_json

POLICIES: Final = ("present", "stored")


async def rerender(call: Call) -> Response:
    """Render new files from the raw results, listed in ``gateway.rerendered``; nothing is paid.

    ``{"policy": "stored"}`` takes the settings that the batch was created under.
    """
    stored = _parse_policy(await read_json_bytes(call)) == "stored"
    batch = await owned_batch(call)
    if batch.status in LIVE_STATUSES:
        raise ConflictError(f"Batch '{batch.id}' has not ended: there is nothing to render again.")
    if call.services.rerender is None:
        raise RequestError("This gateway renders no batches again.")
    return answer(encode_batch(await call.services.rerender(batch, stored)))


def _parse_policy(body: bytes) -> str:
    given = parse_json(body) if body.strip() else {}
    policy = given.get("policy", POLICIES[0]) if isinstance(given, dict) else None
    if policy not in POLICIES:
        raise RequestError(
            "Invalid 'policy': expected 'present' (today's settings) or 'stored' (those that the"
            " batch was created under).",
            param="policy",
            code="invalid_value",
        )
    return str(policy)
