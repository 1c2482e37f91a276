"""Routes of uploads: every command of the resumable protocol, and uploads in one call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.emulator.api.call import Call, NoAnswerError
from gateway.emulator.faults.book import FaultBook
from gateway.emulator.faults.prompt_faults import of_upload
from gateway.emulator.protocol.clock import SECOND
from gateway.emulator.protocol.errors import ApiError, JsonObject, invalid
from gateway.emulator.protocol.multipart_related import Related
from gateway.emulator.protocol.numbers import whole_number
from gateway.emulator.protocol.schema import parse_body
from gateway.emulator.resources.files import StoredFile, digest_file
from gateway.emulator.state.uploads import Upload

METADATA_BYTES: Final = 64 * 1024
# Headers of what moves bytes (recorded).
UPLOAD_HEADERS: Final = {
    "server": "UploadServer",
    "vary": "Origin",
    "x-content-type-options": "nosniff",
}


def upload_operation(request: Request) -> str:
    """Which operation a POST to an upload path is."""
    command = request.headers.get("x-goog-upload-command", "")
    if "upload_id" not in request.query_params:
        return "upload-start" if "start" in command else "upload"
    return "upload-query" if command == "query" else "upload"


def has_upload_id(request: Request) -> bool:
    """Whether the URL carries its own authority."""
    return "upload_id" in request.query_params


async def upload(call: Call) -> Response:
    """POST /upload/{v}/files: every command of the resumable protocol."""
    command = call.request.headers.get("x-goog-upload-command", "").replace(" ", "").lower()
    if not has_upload_id(call.request):
        return await (_start(call) if "start" in command else _whole(call))
    session = call.state.uploads.get(call.query["uploadId"])
    call.books.append(session.book)
    if command == "query":
        return _status(session, size=True)
    if command == "cancel":
        call.state.uploads.cancel(session)
        return _status(session)
    if not command or set(command.split(",")) - {"upload", "finalize"}:
        raise invalid(f"Invalid upload command: {command}")
    return await _chunk(call, session, command.split(","))


async def _whole(call: Call) -> Response:
    """All in one call: the bytes alone, or metadata and bytes as multipart/related.

    ``uploadType=media`` and ``multipart`` of the discovery document's mediaUpload.
    """
    kind = call.request.headers.get("content-type", "")
    announced = whole_number(call.request.headers.get("content-length", "")) or 0
    call.project.files.check_room(announced)
    metadata, pieces = JsonObject(), call.stream()
    if kind.startswith("multipart/"):
        related = Related(kind)
        first = await _read_head(related, pieces)
        metadata = parse_body("CreateFileRequest", related.metadata or b"").get("file", {})
        kind, pieces = related.kind, _media(related, first, pieces)
    session = call.state.uploads.start(call.project, metadata, kind, None)
    try:
        session.keep(await _receive(call, session, 0, pieces))
    except (ApiError, ClientDisconnect, NoAnswerError):
        call.state.uploads.cancel(session)
        raise
    return await _finish(call, session)


async def _read_head(related: Related, pieces: AsyncIterator[bytes]) -> bytes:
    """Read up to the media; what of them has come. Raises ApiError 400."""
    async for piece in pieces:
        first = related.feed(piece)
        if related.metadata is not None:
            return first
    related.end()
    return b""


async def _media(
    related: Related, first: bytes, pieces: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield related.feed(piece)
    related.end()


async def _start(call: Call) -> Response:
    headers = call.request.headers
    body = parse_body("CreateFileRequest", await call.body(METADATA_BYTES))
    metadata: JsonObject = body.get("file", {})
    size_text = headers.get("x-goog-upload-header-content-length", "")
    size = whole_number(size_text)
    if size_text and size is None:
        raise invalid(f"Invalid X-Goog-Upload-Header-Content-Length: {size_text[:200]}")
    mime = headers.get("x-goog-upload-header-content-type", "")
    session = call.state.uploads.start(call.project, metadata, mime, size)
    call.state.journal.note("upload-start", file=f"files/{session.file_id}", size=size)
    return _started(call, session)


def _started(call: Call, session: Upload) -> Response:
    path = f"/upload/{call.version}/files"
    url = f"{call.base_url}{path}?upload_id={session.id}&upload_protocol=resumable"
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "x-guploader-uploadid": session.id,
        "x-goog-upload-status": "active",
        "x-goog-upload-url": url,
        "x-goog-upload-control-url": url,
        "x-goog-upload-chunk-granularity": str(call.state.options.upload_granularity),
        "x-goog-upload-header-content-type": "application/json; charset=UTF-8",
    }
    return Response(b"", 200, UPLOAD_HEADERS | headers)


def _status(session: Upload, *, size: bool = False) -> Response:
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "x-guploader-uploadid": session.id,
        "x-goog-upload-status": session.status,
    }
    if size:
        headers["x-goog-upload-size-received"] = str(session.received)
    return Response(b"", 200, UPLOAD_HEADERS | headers)


async def _chunk(call: Call, session: Upload, command: list[str]) -> Response:
    offset_text = call.request.headers.get("x-goog-upload-offset", str(session.received))
    offset, final = whole_number(offset_text), "finalize" in command
    if offset is None:
        raise invalid(f"Invalid upload offset: {offset_text[:200]}")
    session.check_start(offset)
    _check_length(call, session, offset, final=final)
    granularity = call.state.options.upload_granularity
    try:
        length = await _receive(call, session, offset, call.stream()) if "upload" in command else 0
        session.check(offset, length, final=final, granularity=granularity)
    except ApiError:
        session.keep_none()
        raise
    session.keep(offset + length)
    call.state.journal.note(
        "upload-chunk", file=f"files/{session.file_id}", offset=offset, bytes=length
    )
    return await _finish(call, session) if final else _chunk_answer(call, session)


def _check_length(call: Call, session: Upload, offset: int, *, final: bool) -> None:
    """Refuse a chunk by its announced length before it is read."""
    announced = whole_number(call.request.headers.get("content-length", ""))
    if announced is not None:
        granularity = call.state.options.upload_granularity
        session.check(offset, announced, final=final, granularity=granularity)
        session.project.files.check_size(offset + announced)
        session.project.files.check_room(announced)


async def _receive(call: Call, session: Upload, offset: int, pieces: AsyncIterator[bytes]) -> int:
    """Write ``pieces`` as they come; how many bytes it had."""
    came = 0
    cut = call.take("upload-cut")
    try:
        async for piece in pieces:
            if offset + came == 0 and piece:
                await _meet(call, session, piece)
                cut = cut or call.take("upload-cut")
            session.project.files.check_size(offset + came + len(piece))
            session.write(offset + came, piece)
            came += len(piece)
            if cut is not None and came > cut.bytes:
                session.keep_pieces(offset, min(came, cut.bytes))
                raise await call.close()
    except ClientDisconnect:
        session.keep_pieces(offset, came)
        raise
    return came


async def _meet(call: Call, session: Upload, beginning: bytes) -> None:
    """Have the faults that the first line of a file asks for strike."""
    line = beginning.partition(b"\n")[0].decode(errors="replace")
    of_call, of_file = of_upload(line, session.project.seen)
    session.book = FaultBook(of_file)
    call.books.append(session.book)
    await call.meet(of_call)


def _chunk_answer(call: Call, session: Upload) -> Response:
    response = _status(session)
    if call.take("upload-no-status"):
        del response.headers["x-goog-upload-status"]
    return response


async def _finish(call: Call, session: Upload) -> Response:
    try:
        file = await _store(call, session)
    except ApiError:
        call.state.uploads.cancel(session)
        raise
    session.end("final")
    body: JsonObject = {"file": file.wire(call.state.clock.now_ns(), call.base_url, call.version)}
    if call.take("upload-no-file"):
        body = {}
    response = call.answer(body)
    response.headers.update(UPLOAD_HEADERS)
    response.headers["content-length"] = str(len(response.body))
    response.headers["x-guploader-uploadid"] = session.id
    response.headers["x-goog-upload-status"] = session.status
    return response


def _spoil(call: Call, session: Upload) -> None:
    """Faults of the bytes themselves."""
    corrupt, short = call.take("upload-corrupt"), call.take("upload-short")
    with session.path.open("r+b") as stream:
        if corrupt:
            stream.seek(session.received - 1)
            [last] = stream.read(1)
            stream.seek(session.received - 1)
            stream.write(bytes([last ^ 1]))
        if short:
            stream.truncate(session.received - 1)


async def _store(call: Call, session: Upload) -> StoredFile:
    state = call.state
    if session.received:
        _spoil(call, session)
    digest = await asyncio.to_thread(digest_file, session.path)
    file = session.project.files.add(
        session.file_id,
        session.path,
        digest,
        display_name=session.display_name,
        mime_type=session.mime_type,
        source="UPLOADED",
    )
    if fault := call.take("file-processing"):
        file.active_ns = file.created_ns + int(fault.seconds * SECOND)
    if fault := call.take("file-expired"):
        file.expires_ns = file.created_ns + int(fault.seconds * SECOND)
    file.failed = call.take("file-fails") is not None
    state.journal.note("upload", file=f"files/{file.id}", bytes=file.size, lines=file.lines)
    return file


async def create_metadata(call: Call) -> Response:
    """POST /{v}/files without bytes: an empty file of the given name."""
    body = parse_body("CreateFileRequest", await call.body(METADATA_BYTES))
    metadata: JsonObject = body.get("file", {})
    session = call.state.uploads.start(call.project, metadata, "", 0)
    file = await _store(call, session)
    return call.answer({"file": file.wire(call.state.clock.now_ns(), call.base_url, call.version)})
