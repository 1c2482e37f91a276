"""``/v1/uploads``: a file in parts of up to 64 MiB, sent at once and in any order.

Each part is a blob from the moment it is answered; completing points a file at them, in the order
that the client names, and reads them once for the digests. No byte is copied.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import is_repeated
from gateway.api.body import read_json_bytes
from gateway.api.budgets import check_room_for
from gateway.api.files import new_file
from gateway.api.intake import Content, Intake, check_input, form_reader, new_blob, read_form
from gateway.api.objects import encode_part, encode_upload
from gateway.api.services import Call
from gateway.batches.file import File, Segment
from gateway.batches.upload import Part, Upload, UploadStatus
from gateway.errors import NotFoundError, RequestError, TooLargeError
from gateway.ids import new_part_id, new_upload_id
from gateway.units import MIB, counted
from gateway.wire.openai import (
    CompleteUpload,
    parse_complete_upload,
    parse_json,
    parse_new_upload,
    truncate,
)

# OpenAI's limits: an hour, 64 MB a part. Its SDK cuts parts of 67,108,864 bytes.
LIFE_MS: Final = 3600 * 1000
MAX_PART_BYTES: Final = 64 * MIB
# S3's; parts of a megabyte make a file of 10 GB.
MAX_PARTS: Final = 10_000
# A part whose answer was lost is sent again and the first is left over: room for each once.
SPARE_FACTOR: Final = 2


async def create(call: Call) -> Response:
    """``POST /v1/uploads``: a record of what is to come."""
    body = parse_json(await read_json_bytes(call))
    wanted = parse_new_upload(body, call.options.max_file_bytes)
    now = call.now()
    upload = Upload(
        id=new_upload_id(),
        owner=call.owner,
        purpose=wanted.purpose,
        filename=wanted.filename,
        bytes=wanted.bytes,
        mime_type=wanted.mime_type,
        expires_after=wanted.expires_after,
        created_at=now,
        expires_at=now + LIFE_MS,
    )
    await check_room_for(call, upload.bytes)
    await call.store.add_upload(upload)
    return answer(encode_upload(upload, now))


async def add_part(call: Call) -> Response:
    """``POST /v1/uploads/{id}/parts``: straight from the socket into a blob."""
    upload = await _pending(call)
    _check_parts(upload)
    reader = form_reader(call, "data")
    refusal = f"The part is too large: at most {MAX_PART_BYTES} bytes are accepted."
    async with new_blob(call) as blob:
        intake = Intake(blob, MAX_PART_BYTES, refusal)
        await read_form(call, reader, intake, "data")
        await intake.finish()
        if not intake.bytes:
            raise RequestError("Invalid 'data': the part is empty.", param="data")
    now = call.now()
    part = Part(new_part_id(), upload.id, blob.name, intake.bytes, intake.sha256, now)
    if not await _added(call, part, blob.content):
        raise _ended(await _found(call), now)
    return answer(encode_part(part))


async def _added(call: Call, part: Part, content: bytes | None) -> bool:
    """Whether a part could be added; the bytes of any other go with the next sweep."""
    added = False
    try:
        added = await call.store.add_part(call.owner, part, part.created_at, content)
    finally:
        if not added:
            await asyncio.shield(call.store.forget_blobs([part.blob]))
    return added


async def complete(call: Call) -> Response:
    """``POST /v1/uploads/{id}/complete``: a file of the parts that are named, in that order."""
    await _found(call)  # an unknown id is told before the body is looked at
    wanted = parse_complete_upload(parse_json(await read_json_bytes(call)))
    upload = await _found(call)
    if upload.status is UploadStatus.COMPLETED and is_repeated(call):
        return await _completed(call, upload)  # the answer to the first try was lost
    upload = await _pending(call)
    parts = _in_order(await call.store.parts_of(upload), wanted)
    _check_total(upload, parts)
    file = await _new_file(call, upload, parts, wanted.md5)
    made = await call.store.complete_upload(upload, file, call.now())
    if made is None:
        raise _ended(await _found(call), call.now())
    done = replace(upload, status=UploadStatus.COMPLETED, file_id=made.id)
    return answer(encode_upload(done, call.now(), made))


async def cancel(call: Call) -> Response:
    """``POST /v1/uploads/{id}/cancel``; the body is never read, and a second time is fine."""
    upload = await call.store.cancel_upload(call.owner, call.path_id(), call.now())
    if upload is None:
        raise _no_such_upload(call.path_id())
    if upload.status is not UploadStatus.CANCELLED:
        raise _ended(upload, call.now())
    return answer(encode_upload(upload, call.now()))


async def _completed(call: Call, upload: Upload) -> Response:
    file = await call.store.get_file(call.owner, upload.file_id or "", call.now())
    return answer(encode_upload(upload, call.now(), file))


async def _found(call: Call) -> Upload:
    upload = await call.store.get_upload(call.owner, call.path_id())
    if upload is None:
        raise _no_such_upload(call.path_id())
    return upload


async def _pending(call: Call) -> Upload:
    upload = await _found(call)
    if upload.status_at(call.now()) is not UploadStatus.PENDING:
        raise _ended(upload, call.now())
    return upload


def _no_such_upload(upload_id: str) -> NotFoundError:
    return NotFoundError(f"No such Upload object: {truncate(upload_id)}", param="upload_id")


def _ended(upload: Upload, now: int) -> RequestError:
    return RequestError(
        f"Upload '{upload.id}' has the status '{upload.status_at(now).value}': only a pending one"
        " takes parts, and can be completed or cancelled. Create a new upload.",
        param="upload_id",
    )


def _check_parts(upload: Upload) -> None:
    """Refuse what no file of that size needs, so that an upload cannot fill the disk."""
    if upload.parts >= MAX_PARTS:
        raise RequestError(f"Upload '{upload.id}' has {MAX_PARTS} parts, no more are accepted.")
    if upload.received > SPARE_FACTOR * upload.bytes:
        raise TooLargeError(
            f"The parts of upload '{upload.id}' have {upload.received} bytes already, it is to have"
            f" {upload.bytes}.",
            param="data",
        )


def _in_order(parts: Sequence[Part], wanted: CompleteUpload) -> Sequence[Part]:
    known = {part.id: part for part in parts}
    for part_id in wanted.part_ids:
        if part_id not in known:
            raise RequestError(
                f"Invalid 'part_ids': this upload has no part '{truncate(part_id)}'.",
                param="part_ids",
                code="invalid_value",
            )
    if len(set(wanted.part_ids)) < len(wanted.part_ids):
        raise RequestError(
            "Invalid 'part_ids': a part is named twice.", param="part_ids", code="invalid_value"
        )
    return [known[part_id] for part_id in wanted.part_ids]


def _check_total(upload: Upload, parts: Sequence[Part]) -> None:
    total = sum(part.bytes for part in parts)
    if total != upload.bytes:
        raise RequestError(
            f"Invalid 'part_ids': {counted(len(parts), 'part')} of {total} bytes, where the upload"
            f" was created with 'bytes' {upload.bytes}.",
            param="part_ids",
            code="invalid_value",
        )


async def _new_file(
    call: Call, upload: Upload, parts: Sequence[Part], wanted_md5: str | None
) -> File:
    """Read the parts once. Errors: RequestError of a wrong digest, or of no batch input."""
    content = Content()
    md5 = None if wanted_md5 is None else hashlib.md5(usedforsecurity=False)
    for part in parts:
        async with aclosing(call.blobs.read(part.blob)) as blocks:
            async for block in blocks:
                await asyncio.to_thread(_digest, content, md5, block)
    if md5 is not None and md5.hexdigest() != wanted_md5:
        raise RequestError(
            "Invalid 'md5': the bytes of the parts, in this order, have the MD5"
            f" {md5.hexdigest()}.",
            param="md5",
            code="invalid_value",
        )
    check_input(upload.purpose, content.head, upload.bytes)
    segments = [Segment(part.blob, part.bytes) for part in parts]
    return new_file(call, upload, upload.filename, content, *segments)


def _digest(content: Content, md5: Any, block: bytes) -> None:  # noqa: ANN401 - hashlib names no type
    content.begin(block)
    content.count(block)
    content.digest.update(block)
    if md5 is not None:
        md5.update(block)
