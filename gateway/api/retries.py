"""``POST /v1/batches/{id}/retry``: a new batch of the lines that failed, an extension."""

from typing import Final

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import (
    WINDOW_MS,
    idempotency_key,
    is_repeated,
    owned_batch,
    policy_of,
    require_same,
    since_repeat,
    traceparent,
)
from gateway.api.body import read_json_bytes
from gateway.api.budgets import add_batch
from gateway.api.objects import encode_batch
from gateway.api.services import Call
from gateway.batches.batch import LIVE_STATUSES, Batch
from gateway.errors import ConflictError, RequestError
from gateway.ids import digest, new_batch_id
from gateway.wire.openai import parse_word

INCLUDE: Final = ("retryable", "all")
INCLUDE_MEANS: Final = (
    "'retryable' (lines that never ran, and those that ended with 408, 409, 429 or 5xx) or 'all'"
    " (every line that failed)"
)


async def retry(call: Call) -> Response:
    """Make a batch: lines that never ran or may succeed now, with ``include: all`` every failed.

    Its metadata and endpoint are those of the first, its policy is that of today.
    """
    body = await read_json_bytes(call)
    everything = parse_word(body, "include", INCLUDE, INCLUDE_MEANS) == "all"
    first = await owned_batch(call)
    if first.status in LIVE_STATUSES:
        raise ConflictError(
            f"Batch '{first.id}' has not ended: what fails for now is sent again by itself."
        )
    if call.services.retry_input is None:
        raise RequestError("This gateway retries no batches.")
    file = await call.services.retry_input(first, everything)
    asked = _new_batch(call, first, file.id, everything=everything)
    since = since_repeat(asked) if is_repeated(call) else None
    batch = await add_batch(call, asked, since)
    if batch is None:
        raise ConflictError(f"The input file of batch '{first.id}' was deleted.")
    require_same(batch, asked)
    if batch.id != asked.id and file.id != first.input_file_id:
        await call.store.delete_file(call.owner, file.id, call.now())
    call.services.wake()
    return answer(encode_batch(batch))


def _new_batch(call: Call, first: Batch, file_id: str, *, everything: bool) -> Batch:
    now = call.now()
    return Batch(
        id=new_batch_id(),
        owner=call.owner,
        endpoint=first.endpoint,
        input_file_id=file_id,
        created_at=now,
        expires_at=now + WINDOW_MS,
        metadata=first.metadata,
        output_expires_after=first.output_expires_after,
        policy=policy_of(call, first.endpoint, first.endpoint_as_sent),
        retry_of=first.id,
        idempotency_key=idempotency_key(call),
        fingerprint=digest("retry", first.id, INCLUDE[everything]),
        traceparent=traceparent(call),
    )
