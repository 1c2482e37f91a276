"""Routes of files: resumable upload, metadata, download."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.emulator.calls import Call
from gateway.emulator.crc import crc32c
from gateway.emulator.errors import (
    ApiError,
    JsonObject,
    invalid,
    json_response,
    oauth_missing,
)
from gateway.emulator.files import StoredFile, digest_file, guess_type
from gateway.emulator.related import split_related
from gateway.emulator.schema import parse_body
from gateway.emulator.timing import SECOND
from gateway.emulator.uploads import Upload

METADATA_BYTES = 64 * 1024
MAX_WHOLE_BYTES = 100 * 1024 * 1024
"""An upload of one call is held in memory; larger ones are resumable."""
_BLOCK = 256 * 1024
_CRC_BYTES = 1 << 20
"""Results up to this size come with a checksum."""
_RANGE = re.compile(r"bytes=(\d+)-")
_HOP_HEADERS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "upgrade",
    },
)
_UPLOAD_HEADERS = {"server": "UploadServer", "x-content-type-options": "nosniff"}


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
    session = call.world.uploads.get(call.query["upload_id"])
    if command == "query":
        return _status(session, size=True)
    if command == "cancel":
        call.world.uploads.cancel(session)
        return _status(session)
    if not command or set(command.split(",")) - {"upload", "finalize"}:
        raise invalid(f"Invalid upload command: {command}")
    return await _chunk(call, session, command.split(","))


async def _whole(call: Call) -> Response:
    """All in one call: the bytes alone, or metadata and bytes as multipart/related.

    ``uploadType=media`` and ``multipart`` of the discovery document's mediaUpload.
    """
    kind = call.request.headers.get("content-type", "")
    body = await call.body(MAX_WHOLE_BYTES)
    metadata: JsonObject = {}
    if kind.startswith("multipart/"):
        described, kind, body = split_related(kind, body)
        metadata = parse_body("CreateFileRequest", described).get("file", {})
    session = call.world.uploads.start(call.project.files, metadata, kind, len(body))
    session.write(0, body)
    session.keep(len(body))
    return await _finish(call, session)


async def _start(call: Call) -> Response:
    headers = call.request.headers
    body = parse_body("CreateFileRequest", await call.body(METADATA_BYTES))
    metadata: JsonObject = body.get("file", {})
    size_text = headers.get("x-goog-upload-header-content-length", "")
    size = int(size_text) if size_text.isdigit() else None
    mime = headers.get("x-goog-upload-header-content-type", "")
    session = call.world.uploads.start(call.project.files, metadata, mime, size)
    call.world.journal.note("upload-start", file=f"files/{session.file_id}", size=size)
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
        "x-goog-upload-chunk-granularity": str(call.world.options.upload_granularity),
        "x-goog-upload-header-content-type": "application/json; charset=UTF-8",
    }
    return Response(b"", 200, _UPLOAD_HEADERS | headers)


def _status(session: Upload, *, size: bool = False) -> Response:
    headers = {
        "content-type": "text/plain; charset=utf-8",
        "x-guploader-uploadid": session.id,
        "x-goog-upload-status": session.status,
    }
    if size:
        headers["x-goog-upload-size-received"] = str(session.received)
    return Response(b"", 200, _UPLOAD_HEADERS | headers)


async def _chunk(call: Call, session: Upload, command: list[str]) -> Response:
    offset_text = call.request.headers.get("x-goog-upload-offset", str(session.received))
    if not offset_text.isdigit():
        raise invalid(f"Invalid upload offset: {offset_text}")
    offset, final = int(offset_text), "finalize" in command
    _check_length(call, session, offset, final=final)
    length = 0
    if "upload" in command:
        length = await _receive(call, session, offset)
    session.check(offset, length, final=final, granularity=call.world.options.upload_granularity)
    session.keep(offset + length)
    call.world.journal.note(
        "upload-chunk", file=f"files/{session.file_id}", offset=offset, bytes=length
    )
    return await _finish(call, session) if final else _chunk_answer(call, session)


def _check_length(call: Call, session: Upload, offset: int, *, final: bool) -> None:
    """Refuse a chunk by its announced length before it is read."""
    announced = call.request.headers.get("content-length", "")
    if announced.isdigit():
        granularity = call.world.options.upload_granularity
        session.check(offset, int(announced), final=final, granularity=granularity)
        session.files.check_room(offset + int(announced))


async def _receive(call: Call, session: Upload, offset: int) -> int:
    """Write a chunk's body as it comes; how many bytes it had."""
    cut = call.world.faults.take("upload-cut", call.operation)
    came = 0
    try:
        async for piece in call.stream():
            session.write(offset + came, piece)
            came += len(piece)
            if cut is not None and came > cut.bytes:
                session.keep_pieces(offset, min(came, cut.bytes))
                raise await call.close()
    except ClientDisconnect:
        session.keep_pieces(offset, came)
        raise
    return came


def _chunk_answer(call: Call, session: Upload) -> Response:
    response = _status(session)
    if call.world.faults.take("upload-no-status", call.operation):
        del response.headers["x-goog-upload-status"]
    return response


async def _finish(call: Call, session: Upload) -> Response:
    file = session.file or await _store(call, session)
    session.status = "final"
    session.file = file
    body: JsonObject = {"file": file.wire(call.world.clock.now_ns(), call.base_url, call.version)}
    if call.world.faults.take("upload-no-file", call.operation):
        body = {}
    response = json_response(body)
    response.headers["server"] = "UploadServer"
    response.headers["x-guploader-uploadid"] = session.id
    response.headers["x-goog-upload-status"] = session.status
    return response


async def _store(call: Call, session: Upload) -> StoredFile:
    world = call.world
    if world.faults.take("upload-short", call.operation) and session.received:
        with session.path.open("r+b") as stream:
            stream.truncate(session.received - 1)
    digest = await asyncio.to_thread(digest_file, session.path)
    file = session.files.add(
        session.file_id,
        session.path,
        digest,
        display_name=session.display_name,
        mime_type=session.mime_type,
        source="UPLOADED",
    )
    if fault := world.faults.take("file-processing", call.operation):
        file.active_ns = file.created_ns + int(fault.seconds * SECOND)
    file.failed = world.faults.take("file-fails", call.operation) is not None
    world.journal.note("upload", file=f"files/{file.id}", bytes=file.size, lines=file.lines)
    return file


async def create_metadata(call: Call) -> Response:
    """POST /{v}/files without bytes: an empty file of the given name."""
    body = parse_body("CreateFileRequest", await call.body(METADATA_BYTES))
    metadata: JsonObject = body.get("file", {})
    session = call.world.uploads.start(call.project.files, metadata, "", 0)
    file = await _store(call, session)
    return call.answer({"file": file.wire(call.world.clock.now_ns(), call.base_url, call.version)})


async def register(call: Call) -> Response:
    """POST files:register: objects of Cloud Storage become files; wants OAuth, not a key."""
    if not call.request.headers.get("authorization", "").lower().startswith("bearer "):
        raise oauth_missing("google.ai.generativelanguage.v1main.FileService.RegisterFiles")
    body = parse_body("RegisterFilesRequest", await call.body(METADATA_BYTES))
    uris: list[str] = body.get("uris", [])
    if not uris or any(not uri.startswith("gs://") for uri in uris):
        raise invalid("* RegisterFilesRequest.uris: gs:// URIs are required.\n")
    files = [call.project.files.register(uri, guess_type(uri)) for uri in uris]
    call.world.journal.note("register", files=[f"files/{file.id}" for file in files])
    now = call.world.clock.now_ns()
    return call.answer({"files": [file.wire(now, call.base_url, call.version) for file in files]})


async def get(call: Call) -> Response:
    """GET files/{id}."""
    file = call.project.files.resource(call.path("id"), "Get")
    return call.answer(file.wire(call.world.clock.now_ns(), call.base_url, call.version))


async def list_files(call: Call) -> Response:
    """GET files."""
    return call.answer(call.project.files.page(call.query, call.base_url, call.version))


async def delete(call: Call) -> Response:
    """DELETE files/{id} -> {}."""
    call.project.files.delete(call.path("id"))
    call.world.journal.note("file-delete", file=f"files/{call.path('id')}")
    return call.answer({})


async def redirect(call: Call) -> Response:
    """GET /{v}/files/{id}:download -> 302, echoing the request's headers, key included.

    Recorded 2026-08-19 (ruby_llm cassette): a JSON error body of code 302 comes with it.
    """
    path = f"/download/{call.version}/files/{call.path('id')}:download"
    response = ApiError(302, "Unknown Error.").response()
    if call.world.options.redirect_leaks:
        for name, value in call.request.headers.items():
            if name not in _HOP_HEADERS and name not in response.headers:
                response.headers[name] = value
    response.headers["location"] = f"{call.base_url}{path}?alt=media"
    return response


async def download(call: Call) -> Response:
    """GET /download/{v}/files/{id}:download: the bytes, with an honest Content-Length."""
    file = call.project.files.get(call.path("id"))
    if file.source != "GENERATED":
        raise invalid(f"The file {file.id} cannot be downloaded: only generated files can.")
    start = _range_start(call, file)
    call.world.journal.note("download", file=f"files/{file.id}", bytes=file.size, start=start)
    headers = {
        "content-type": file.mime_type,
        "content-disposition": "attachment",
        "content-length": str(file.size - start),
        "cache-control": "private, max-age=0",
    }
    if start:
        headers["content-range"] = f"bytes {start}-{file.size - 1}/{file.size}"
    elif file.size <= _CRC_BYTES:
        headers["x-goog-hash"] = f"crc32c={crc32c(file.path.read_bytes())}"
    status = 206 if start else 200
    return Streamed(_bytes(call, file, start), _UPLOAD_HEADERS | headers, status)


def _range_start(call: Call, file: StoredFile) -> int:
    """Where a download starts: 0 unless the options allow ranges and one is asked for."""
    asked = _RANGE.fullmatch(call.request.headers.get("range", ""))
    start = int(asked[1]) if asked and call.world.options.ranges else 0
    return start if start < file.size else 0


class Streamed(Response):
    """A body sent piece by piece, under the Content-Length given or in chunks."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        headers: Mapping[str, str],
        status: int = 200,
    ) -> None:
        super().__init__(None, status, headers)
        if "content-length" not in headers:
            del self.headers["content-length"]
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send everything; NoAnswerError when the pieces end in one."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        async for piece in self._pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _bytes(call: Call, file: StoredFile, start: int) -> AsyncIterator[bytes]:
    """The file's bytes, slowly or not to the end where a fault says so."""
    slow = call.world.faults.take("download-slow", call.operation)
    cut = call.world.faults.take("download-cut", call.operation)
    whole = file.size - start
    left = whole if cut is None else min(cut.bytes, whole)
    block = _BLOCK if slow is None else max(slow.rate // 10, 1)
    async for piece in _pieces(file.path, start, left, block):
        yield piece
        if slow is not None:
            await call.world.clock.sleep(len(piece) / slow.rate)
    if cut is not None:
        raise await call.close()


async def _pieces(path: Path, start: int, size: int, block: int) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while size > 0 and (piece := stream.read(min(block, size))):
            size -= len(piece)
            yield piece
