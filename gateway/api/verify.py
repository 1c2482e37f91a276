"""``GET /v1/batches/{id}/verify``: whether every line came back once, an extension."""

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import owned_batch
from gateway.api.services import Call
from gateway.batches.batch import LIVE_STATUSES
from gateway.errors import ConflictError, RequestError


async def verify(call: Call) -> Response:
    """Compare a batch's files with its input, by custom_id."""
    batch = await owned_batch(call)
    if batch.status in LIVE_STATUSES:
        raise ConflictError(f"Batch '{batch.id}' has not ended: there is nothing to verify yet.")
    if call.services.verify is None:
        raise RequestError("This gateway verifies no batches.")
    told = await call.services.verify(batch)
    return answer({"object": "batch.verification", "id": batch.id, **told})
