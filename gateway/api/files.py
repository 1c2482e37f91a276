"""``/v1/files``: create, list, retrieve, delete, content."""

import asyncio
import logging
from typing import Any, Final

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.budgets import check_room_for
from gateway.api.content import answer_content
from gateway.api.intake import (
    Content,
    Intake,
    check_input,
    form_reader,
    new_blob,
    read_form,
)
from gateway.api.objects import encode_file
from gateway.api.services import Call
from gateway.batches.file import File, Segment
from gateway.batches.upload import Upload
from gateway.errors import ConflictError, DataLostError, NotFoundError
from gateway.ids import new_file_id
from gateway.ports.store import Deletion
from gateway.wire.openai import (
    NewFile,
    encode_deleted_file,
    encode_page,
    file_limit,
    parse_list_query,
    parse_new_file,
    truncate,
)

log = logging.getLogger(__name__)

# OpenAI: purpose=batch expires after 30 days, everything else is kept (FileExpirationAfter).
DEFAULT_EXPIRY_SECONDS: Final = {"batch": 30 * 24 * 3600}

MOST_FILES: Final = 10_000  # in a list, and unless the client says how many
LIST_PIECE: Final = 250


async def create(call: Call) -> Response:
    """``POST /v1/files``: straight from the socket into a blob.

    The blob ends with an exception unless the whole form was good, and then it does not exist. A
    small one comes with the file's row; of any other the name was registered before its first
    byte, so even a crash leaves nothing for long.
    """
    reader = form_reader(call, "file")
    await check_room_for(call, 0)
    limit = call.options.max_file_bytes
    async with new_blob(call) as blob:
        intake = Intake(blob, limit, f"File is too large. {file_limit(limit)}")
        form = await read_form(call, reader, intake)
        wanted = parse_new_file(form.fields)
        await intake.finish()
        await check_room_for(call, intake.bytes)
        check_input(wanted.purpose, intake.head, intake.bytes)
    file = new_file(call, wanted, form.filename, intake, Segment(blob.name, intake.bytes))
    return answer(encode_file(await call.store.add_file(file, blob.content)))


async def list_files(call: Call) -> Response:
    """``GET /v1/files``."""
    query = parse_list_query(
        call.request.query_params, limit=MOST_FILES, most=MOST_FILES, sortable=True
    )
    found: list[dict[str, Any]] = []
    after, has_more = query.after, True
    # A page may have 10,000 entries: others are answered in between.
    while has_more and len(found) < query.limit:
        page = await call.store.list_files(
            call.owner,
            call.now(),
            limit=min(query.limit - len(found), LIST_PIECE),
            after=after,
            purpose=query.purpose,
            ascending=query.ascending,
        )
        if page is None:
            raise NotFoundError(
                f"No such File object: {truncate(query.after or '')}", param="after"
            )
        found += map(encode_file, page.data)
        has_more = page.has_more
        if page.data:
            after = page.data[-1].id
        await asyncio.sleep(0)
    return answer(encode_page(found, has_more=has_more))


async def retrieve(call: Call) -> Response:
    """``GET /v1/files/{id}``."""
    return answer(encode_file(await found_file(call)))


async def content(call: Call) -> Response:
    """``GET /v1/files/{id}/content``."""
    request = call.request
    file = await found_file(call)
    try:
        return await answer_content(
            file,
            call.blobs,
            request.headers,
            head=request.method == "HEAD",
            redirect_bytes=call.options.redirect_bytes,
        )
    except FileNotFoundError as error:
        if await call.store.get_file(call.owner, file.id, call.now()) is None:
            raise _no_such_file(file.id) from error  # deleted a moment ago
        log.error("the bytes of file %s are gone", file.id)  # noqa: TRY400 - no traceback is logged
        raise DataLostError(f"The bytes of file {file.id} are gone.") from error


async def delete(call: Call) -> Response:
    """``DELETE /v1/files/{id}``: gone at once, unless a live batch reads it."""
    file_id = call.path_id()
    match await call.store.delete_file(call.owner, file_id, call.now()):
        case Deletion.MISSING:
            raise _no_such_file(file_id)
        case Deletion.IN_USE:
            raise ConflictError(
                f"Cannot delete file {file_id}: a batch that has not ended reads it. Cancel the"
                " batch, or wait for its end.",
                param="id",
            )
        case Deletion.DELETED:
            return answer(encode_deleted_file(file_id))


async def found_file(call: Call) -> File:
    """Find the file in the path. Errors: NotFoundError."""
    file_id = call.path_id()
    file = await call.store.get_file(call.owner, file_id, call.now())
    if file is None:
        raise _no_such_file(file_id)
    return file


def _no_such_file(file_id: str) -> NotFoundError:
    return NotFoundError(f"No such File object: {truncate(file_id)}", param="id")


def new_file(
    call: Call, wanted: NewFile | Upload, filename: str, content: Content, *segments: Segment
) -> File:
    """Make the record of a file whose bytes are here."""
    now = call.now()
    seconds = wanted.expires_after or DEFAULT_EXPIRY_SECONDS.get(wanted.purpose)
    return File(
        id=new_file_id(),
        owner=call.owner,
        purpose=wanted.purpose,
        filename=filename,
        bytes=sum(segment.bytes for segment in segments),
        lines=content.lines,
        sha256=content.sha256,
        segments=segments,
        created_at=now,
        expires_at=None if seconds is None else now + seconds * 1000,
    )
