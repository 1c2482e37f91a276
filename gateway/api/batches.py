"""``/v1/batches``: create, list, retrieve and cancel, by inserting a row or setting one column.

Statuses and counts are the runner's to write; what clients see is derived from both.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.body import read_json_bytes
from gateway.api.budgets import add_batch, check_wishes
from gateway.api.changes import WAIT, changed_for, wait_seconds
from gateway.api.objects import encode_batch
from gateway.api.services import Call
from gateway.batches.batch import ENDPOINT_AS_SENT, LIVE_STATUSES, Batch, BatchStatus
from gateway.batches.file import File
from gateway.batches.outlook import outlook
from gateway.errors import ConflictError, NoRoomError, NotFoundError, RequestError
from gateway.ids import digest, new_batch_id
from gateway.units import MIB
from gateway.wire.openai import (
    CreateBatch,
    encode_page,
    parse_create_batch,
    parse_json,
    parse_list_query,
    truncate,
)

WINDOW_MS: Final = 24 * 3600 * 1000

# Neither SDK sends an Idempotency-Key, but both retry POST and say so: a repeated create within
# this time is the same create. Twice the default timeout of 600 s would be the SDK's worst case
# of three attempts; a program that runs again starts at retry count 0.
RETRY_WINDOW_MS: Final = 15 * 60 * 1000

# Of each batch in a list: of a hundred batches with a thousand entries each all are 12 MB.
LISTED_ERRORS: Final = 10

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


async def create(call: Call) -> Response:
    """``POST /v1/batches``: a record in ``validating``, and the runner is woken."""
    body = parse_json(await read_json_bytes(call))
    wanted = parse_create_batch(body, call.services.endpoints)
    check_wishes(wanted)
    file = await call.store.get_file(call.owner, wanted.input_file_id, call.now())
    if file is not None:  # else it is left to `add_batch`: a retry may be about a batch that exists
        _check_purpose(file)
    await _check_room(call, file)
    asked = _new_batch(call, wanted)
    repeated = is_repeated(call)
    batch = await add_batch(call, asked, asked.created_at - RETRY_WINDOW_MS if repeated else None)
    if batch is None:
        raise _no_input_file(wanted.input_file_id)
    require_same(batch, asked)
    call.services.wake()
    return answer(await encoded(call, batch))


# What a batch writes until it ends, in multiples of its input: spool and hints, raw results, the
# lines rendered from these, and the files (gateway/store/README.md, "Sizes").
ROOM_FACTOR: Final = 4
ROOM_LEAST: Final = 16 * MIB


async def _check_room(call: Call, file: File | None) -> None:
    """Refuse a batch whose files the volume cannot hold. Errors: NoRoomError."""
    free = await call.blobs.free()
    needed = ROOM_LEAST + ROOM_FACTOR * (file.bytes if file else 0)
    if free is not None and free < needed:
        raise NoRoomError(
            f"This batch needs about {needed} bytes of the gateway's storage, which has {free}"
            " left: delete files, or wait for some to expire.",
            retry_after=60,
        )


def require_same(batch: Batch, asked: Batch) -> None:
    """Refuse an idempotency key of a batch that was asked for otherwise. Errors: RequestError."""
    if batch.fingerprint != asked.fingerprint:
        raise RequestError(
            "Keys for idempotent requests can only be used with the same parameters they were"
            " first used with: the header 'Idempotency-Key' names another batch.",
            code="idempotency_key_reused",
        )


async def list_batches(call: Call) -> Response:
    """``GET /v1/batches``, newest first."""
    query = parse_list_query(call.request.query_params)
    page = await call.store.list_batches(call.owner, limit=query.limit, after=query.after)
    if page is None:
        raise no_such_batch(query.after or "", param="after")
    await note_used(call, page.data)
    shown_now = [await encoded(call, batch, LISTED_ERRORS) for batch in page.data]
    return answer(encode_page(shown_now, has_more=page.has_more))


async def retrieve(call: Call) -> Response:
    """``GET /v1/batches/{id}``; with ``?wait=`` once it has changed, or the time is over."""
    seconds = wait_seconds(call.request.query_params.get(WAIT))
    found = await call.store.get_batch_and_queues(call.owner, call.path_id())
    if found is None:
        raise no_such_batch(call.path_id())
    batch, queues = found
    await note_used(call, [batch])
    if seconds:
        return answer(await encoded(call, await changed_for(call, batch, seconds)))
    return answer(encode_batch(_troubled(call, batch), outlook(batch, queues, call.now())))


async def note_used(call: Call, batches: Sequence[Batch]) -> None:
    """Note who has an id, and so the answer to its create: another create is no retry then."""
    now = call.now()
    fresh = [
        batch.id
        for batch in batches
        if batch.used_at is None and now - batch.created_at <= RETRY_WINDOW_MS
    ]
    if fresh:
        await call.store.note_used(call.owner, fresh, now)


async def owned_batch(call: Call) -> Batch:
    """Find the batch in the path. Errors: NotFoundError."""
    batch = await call.store.get_batch(call.owner, call.path_id())
    if batch is None:
        raise no_such_batch(call.path_id())
    return batch


def since_repeat(asked: Batch) -> int:
    """Tell from when on an earlier batch is the same as one that an SDK asks for again."""
    return asked.created_at - RETRY_WINDOW_MS


async def cancel(call: Call) -> Response:
    """``POST /v1/batches/{id}/cancel``; the body is never read.

    openai-python announces JSON and sends nothing.
    """
    batch = await call.store.request_cancel(call.owner, call.path_id(), call.now())
    if batch is None:
        raise no_such_batch(call.path_id())
    if batch.status not in LIVE_STATUSES | {BatchStatus.CANCELLED}:
        raise ConflictError(f"Cannot cancel a batch with status '{batch.status.value}'.")
    call.services.wake()
    return answer(await encoded(call, batch))


async def encoded(call: Call, batch: Batch, most_errors: int | None = None) -> dict[str, Any]:
    """Encode with the outlook, which is worked out when it is asked for and never stored."""
    batch = _troubled(call, batch)
    if batch.status is not BatchStatus.IN_PROGRESS:
        return encode_batch(batch, most_errors=most_errors)
    found = await call.store.get_batch_and_queues(call.owner, batch.id)
    queues = () if found is None else found[1]
    return encode_batch(batch, outlook(batch, queues, call.now()))


def _troubled(call: Call, batch: Batch) -> Batch:
    """Show what every batch waits for while the records cannot be written, and no reason in them.

    A full disk was not seen in a batch that waited for it.
    """
    trouble = call.services.trouble()
    return batch if trouble is None else replace(batch, last_error=trouble)


def no_such_batch(batch_id: str, param: str | None = None) -> NotFoundError:
    """Make the error of an id that no batch of the owner has."""
    return NotFoundError(f"No batch found with id '{truncate(batch_id)}'.", param=param)


def _no_input_file(file_id: str) -> RequestError:
    """Make the error that OpenAI gave in 2024; since then it creates a batch that fails later."""
    return RequestError(
        f"Cannot find file {truncate(file_id)}, or this API key does not have access to it.",
        param="file_id",
    )


def _check_purpose(file: File) -> None:
    if file.purpose != "batch":
        raise RequestError(
            f"Invalid 'input_file_id': file {file.id} has the purpose '{file.purpose}', the input"
            " of a batch must have the purpose 'batch'.",
            param="input_file_id",
            code="invalid_value",
        )


def _new_batch(call: Call, wanted: CreateBatch) -> Batch:
    now = call.now()
    return Batch(
        id=new_batch_id(),
        owner=call.owner,
        endpoint=wanted.endpoint,
        input_file_id=wanted.input_file_id,
        created_at=now,
        expires_at=now + WINDOW_MS,
        metadata=wanted.metadata,
        output_expires_after=wanted.output_expires_after,
        policy=policy_of(call, wanted.endpoint, wanted.endpoint_as_sent),
        idempotency_key=idempotency_key(call),
        fingerprint=_fingerprint(wanted),
        traceparent=traceparent(call),
    )


def policy_of(call: Call, endpoint: str, sent: str) -> Mapping[str, Any]:
    """Return what a new batch keeps of the settings, and the spelling of its endpoint."""
    policy = call.services.policy
    return policy if sent == endpoint else {**policy, ENDPOINT_AS_SENT: sent}


def _fingerprint(wanted: CreateBatch) -> str:
    """Digest a request: equal for equal ones; an input file's id is new with every upload."""
    metadata = orjson.dumps(wanted.metadata, option=orjson.OPT_SORT_KEYS).decode()
    return digest(
        "batch",
        wanted.input_file_id,
        wanted.endpoint,
        wanted.output_expires_after or 0,
        metadata,
    )


def idempotency_key(call: Call) -> str | None:
    """Read the header ``Idempotency-Key``, if it was sent. Errors: RequestError of an odd one."""
    key = call.request.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestError("Invalid 'Idempotency-Key': expected 1 to 255 visible ASCII characters.")
    return key


def traceparent(call: Call) -> str | None:
    """Read the span that the client is in; a header that names none is ignored, as W3C says."""
    found = call.request.headers.get("traceparent", "")
    return found if _TRACEPARENT.fullmatch(found) else None


def is_repeated(call: Call) -> bool:
    """Whether an SDK says that it sends this request once more."""
    return retry_count(call) > 0


def retry_count(call: Call) -> int:
    """Read how often an SDK says that it has sent this request before."""
    count = call.request.headers.get("x-stainless-retry-count", "")
    return int(count) if count.isascii() and count.isdecimal() and len(count) < 10 else 0
