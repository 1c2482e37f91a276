"""Routes of files: metadata, registered objects, download."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.responses import Response

from gateway.emulator.api.call import Call
from gateway.emulator.api.uploads import METADATA_BYTES, UPLOAD_HEADERS
from gateway.emulator.protocol.crc32c import crc32c
from gateway.emulator.protocol.errors import ApiError, file_gone, invalid, oauth_missing
from gateway.emulator.protocol.ids import new_upload_id
from gateway.emulator.protocol.schema import parse_body
from gateway.emulator.protocol.streams import Streamed
from gateway.emulator.resources.files import StoredFile, guess_type

_BLOCK: Final = 256 * 1024
# Results up to this size come with a checksum.
_CRC_BYTES: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes=([0-9]{1,18})-")
_HOP_HEADERS: Final = frozenset(
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


async def register(call: Call) -> Response:
    """POST files:register: objects of Cloud Storage become files; wants OAuth, not a key."""
    if not call.request.headers.get("authorization", "").lower().startswith("bearer "):
        raise oauth_missing("google.ai.generativelanguage.v1main.FileService.RegisterFiles")
    body = parse_body("RegisterFilesRequest", await call.body(METADATA_BYTES))
    uris: list[str] = body.get("uris", [])
    if not uris or any(not uri.startswith("gs://") for uri in uris):
        raise invalid("* RegisterFilesRequest.uris: gs:// URIs are required.\n")
    files = [call.project.files.register(uri, guess_type(uri)) for uri in uris]
    call.state.journal.note("register", files=[f"files/{file.id}" for file in files])
    now = call.state.clock.now_ns()
    return call.answer({"files": [file.wire(now, call.base_url, call.version) for file in files]})


async def get(call: Call) -> Response:
    """GET files/{id}."""
    file = _named(call, "Get")
    return call.answer(file.wire(call.state.clock.now_ns(), call.base_url, call.version))


def _named(call: Call, method: str) -> StoredFile:
    """Return the file of get and delete, which refuse results by the length of their ids."""
    if call.take("result-file-known"):
        return call.state.result(call.project, call.path("id"))
    return call.project.files.resource(call.path("id"), method)


async def list_files(call: Call) -> Response:
    """GET files."""
    return call.answer(call.project.files.page(call.query, call.base_url, call.version))


async def delete(call: Call) -> Response:
    """DELETE files/{id} -> {}."""
    call.project.files.delete(_named(call, "Delete"))
    call.state.journal.note("file-delete", file=f"files/{call.path('id')}")
    return call.answer({})


async def redirect(call: Call) -> Response:
    """GET /{v}/files/{id}:download -> 302, echoing the request's headers, key included.

    Recorded 2026-08-19 (ruby_llm cassette): a JSON error body of code 302 comes with it.
    """
    if call.take("download-direct"):
        return await download(call)
    path = f"/download/{call.version}/files/{call.path('id')}:download"
    elsewhere = call.take("redirect-elsewhere")
    host = f"{call.request.url.scheme}://{elsewhere.place}" if elsewhere else call.base_url
    response = ApiError(302, "Unknown Error.").response()
    if call.state.options.redirect_leaks:
        for name, value in call.request.headers.items():
            if name not in _HOP_HEADERS and name not in response.headers:
                response.headers[name] = value
    response.headers["location"] = f"{host}{path}?alt=media"
    return response


async def download(call: Call) -> Response:
    """GET /download/{v}/files/{id}:download: the bytes, with an honest Content-Length."""
    file = call.state.result(call.project, call.path("id"))
    if call.take("download-gone"):
        raise file_gone(file.id)
    if file.source != "GENERATED":
        raise invalid(f"The file {file.id} cannot be downloaded: only generated files can.")
    start = _range_start(call, file)
    call.state.journal.note("download", file=f"files/{file.id}", bytes=file.size, start=start)
    headers = {
        "content-type": file.mime_type,
        "content-disposition": "attachment",
        "content-length": str(file.size - start),
        "cache-control": "private, max-age=0",
        "x-guploader-uploadid": new_upload_id(),
    }
    if start:
        headers["content-range"] = f"bytes {start}-{file.size - 1}/{file.size}"
    elif file.size <= _CRC_BYTES:
        headers["x-goog-hash"] = f"crc32c={crc32c(file.path.read_bytes())}"
    status = 206 if start else 200
    return Streamed(_bytes(call, file, start), UPLOAD_HEADERS | headers, status)


def _range_start(call: Call, file: StoredFile) -> int:
    """Where a download starts: 0 unless the options allow ranges and one is asked for."""
    asked = _RANGE.fullmatch(call.request.headers.get("range", ""))
    start = int(asked[1]) if asked and call.state.options.ranges else 0
    return start if start < file.size else 0


async def _bytes(call: Call, file: StoredFile, start: int) -> AsyncIterator[bytes]:
    """Yield the file's bytes, slowly or not to the end where a fault says so."""
    slow = call.take("download-slow")
    cut = call.take("download-cut")
    whole = file.size - start
    left = whole if cut is None else min(cut.bytes, whole)
    block = _BLOCK if slow is None else max(slow.rate // 10, 1)
    async for piece in _pieces(file.path, start, left, block):
        yield piece
        if slow is not None:
            await call.state.clock.sleep(len(piece) / slow.rate)
    if cut is not None:
        raise await call.close()


async def _pieces(path: Path, start: int, size: int, block: int) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while size > 0 and (piece := stream.read(min(block, size))):
            size -= len(piece)
            yield piece
