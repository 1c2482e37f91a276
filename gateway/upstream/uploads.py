"""The resumable upload: start, chunks, query after trouble, and a check of what arrived.

The protocol (recorded, and google-genai's source; ``query`` is Google's general upload protocol)::

    POST /upload/v1beta/files            X-Goog-Upload-Command: start
                                         -> X-Goog-Upload-URL, X-Goog-Upload-Chunk-Granularity
    POST <upload URL>                    upload            -> X-Goog-Upload-Status: active
    POST <upload URL>                    upload, finalize  -> final, {"file":{…}}
    POST <upload URL>                    query             -> active, X-Goog-Upload-Size-Received

The upload URL carries its own authority; no key is sent to it, and none of our bytes go to a host
that is not the upstream's own.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import httpx
import orjson

from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.errors import (
    DamagedBlobError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamUnavailableError,
)
from gateway.ports.upstream import FileSeen, FileState, Source, Staged, Uploaded
from gateway.units import MIB
from gateway.upstream.errors import Call, error_of
from gateway.upstream.options import BLOCK_BYTES, FILE_LIFE_MS, FILE_MARGIN_MS
from gateway.upstream.transport import Transport, is_upload_host, parse_object
from gateway.wire.gemini import FileInfo, as_object, parse_file, parse_int

_MIME: Final = "application/jsonl"  # the SDK cannot guess .jsonl; this one is reported working
_GRANULARITY: Final = 8 * MIB  # recorded; used when the header is missing
_READY_POLLS: Final = 10  # JSONL files are ACTIVE at once in every recording
_PASSING: Final = frozenset({401, 403, 408, 429})  # 4xx that do not say the session is lost


class _UploadLostError(Exception):
    """This upload leads nowhere; another one may."""


@dataclass(frozen=True, slots=True)
class _UploadSource:
    """Bytes to upload, with their name, media type and credential."""

    content: Source
    media_type: str
    display_name: str
    credential: str


async def stage(transport: Transport, job: Job, spool: Source) -> Staged:
    """Upload the spool, whole and verified; what create needs of it."""
    source = _UploadSource(spool, _MIME, job.display_name, job.credential)
    file = await _upload(transport, source, until_ready=True)
    return Staged(file.name, _until(file, transport.clock.now()))


async def stage_file(
    transport: Transport, staged: StagedFile, display_name: str, content: Source
) -> Uploaded:
    """Upload a client's file, whole and verified. Videos are looked at for minutes afterwards."""
    source = _UploadSource(content, staged.media_type, display_name, staged.credential)
    file = await _upload(transport, source, until_ready=False)
    uri = file.uri or transport.url_of(file.name)
    until = _until(file, transport.clock.now())
    return Uploaded(file.name, uri, until, _file_seen(transport, file))


async def observe_file(transport: Transport, name: str, credential: str) -> FileSeen:
    """Ask for a file's state."""
    file = parse_file(await transport.get(transport.url_of(name), credential))
    if file is None:
        raise UpstreamUnavailableError("The upstream's answer is no file.", status=200)
    return _file_seen(transport, file)


def _file_seen(transport: Transport, file: FileInfo) -> FileSeen:
    """Read a file's state. Unknown ones are ready: a wrong guess surfaces when the job runs."""
    if file.state == "PROCESSING":
        return FileSeen(FileState.PROCESSING)
    if file.state != "FAILED":
        return FileSeen(FileState.READY)
    reason = transport.scrub(file.error.message) if file.error else ""
    return FileSeen(FileState.FAILED, reason or None)


async def _upload(transport: Transport, source: _UploadSource, *, until_ready: bool) -> FileInfo:
    """Upload in one session, and in another if that leads nowhere."""
    lost = ""
    for attempt in range(transport.options.session_attempts):
        if attempt:
            await transport.back_off(attempt)
        try:
            file = await _Upload(transport, source).run()
            return await _ready(transport, file, source.credential) if until_ready else file
        except _UploadLostError as error:
            lost = str(error)
    raise UpstreamUnavailableError(f"The upload failed: {lost}.")


def _until(file: FileInfo, now: int) -> int:
    """Tell when to stage anew: well before the file's life ends, by our clock, not theirs."""
    life = FILE_LIFE_MS
    if file.created_at is not None and file.expires_at is not None:
        life = file.expires_at - file.created_at
    return now + life - min(FILE_MARGIN_MS, life // 10)


async def _ready(transport: Transport, file: FileInfo, credential: str) -> FileInfo:
    """Wait until the file can be used."""
    for attempt in range(_READY_POLLS):
        if file.state == "FAILED":
            raise _UploadLostError("the upstream could not take the file in")
        if file.state != "PROCESSING":
            return file
        await transport.back_off(attempt + 1)
        try:
            seen = parse_file(await transport.get(transport.url_of(file.name), credential))
        except UpstreamGoneError as error:
            raise _UploadLostError("the uploaded file is gone") from error
        file = seen or file
    raise UpstreamUnavailableError("The uploaded file is still being processed.")


class _Upload:
    """One upload session. ``_offset`` is where the next chunk begins."""

    def __init__(self, transport: Transport, source: _UploadSource) -> None:
        self._transport = transport
        self._source = source
        self._content = _Reader(source.content)
        self._size = source.content.size
        self._offset = 0
        self._chunk = transport.options.chunk_bytes
        self._url = ""

    async def run(self) -> FileInfo:
        """Upload everything; the file as the upstream describes it, checked."""
        try:
            await self._start()
            file = await self._send()
        finally:
            await self._content.close()
        try:
            whole = await self._is_whole(file)
        except DamagedBlobError:
            await self._discard(file)
            raise
        if not whole:
            await self._discard(file)
            raise _UploadLostError("what arrived is not what was sent")
        return file

    async def _discard(self, file: FileInfo) -> None:
        url = self._transport.url_of(file.name)
        with suppress(UpstreamError):
            await self._transport.call("DELETE", url, self._source.credential)

    async def _is_whole(self, file: FileInfo) -> bool:
        """Whether what arrived is what was written, by the upstream's own digest of it.

        Where that is another, or missing, the content is read once more: if the disk has changed
        it, that is its error, and nothing is to be sent again.
        """
        content = self._source.content
        if file.size not in {None, self._size}:
            return False
        if file.sha256 is not None and file.sha256 == content.sealed:
            return True
        return file.sha256 in {None, await content.digest()}

    async def _start(self) -> None:
        """Open the session and learn its URL and the chunk size it wants."""
        headers = {
            **self._transport.key(self._source.credential),
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(self._size),
            "X-Goog-Upload-Header-Content-Type": self._source.media_type,
            "Content-Type": "application/json",
        }
        source = self._source
        body = {"file": {"displayName": source.display_name, "mimeType": source.media_type}}
        asking = partial(self._ask, headers, orjson.dumps(body))
        response = await self._transport.repeated(asking)
        self._url = response.headers.get("x-goog-upload-url", "")
        if not is_upload_host(self._url, self._transport.options.base_url):
            raise UpstreamUnavailableError("The upstream gave no upload URL on its own host.")
        unit = parse_int(response.headers.get("x-goog-upload-chunk-granularity")) or _GRANULARITY
        self._chunk = max(1, self._chunk // unit) * unit

    async def _ask(self, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        response, answer = await self._transport.post(
            self._transport.url("files", before="/upload"),
            headers=headers,
            content=body,
            seconds=self._transport.options.call_seconds,
        )
        if not response.is_success:
            raise error_of(Call.STAGE, response.status_code, answer, self._transport.scrub)
        return response

    async def _send(self) -> FileInfo:
        """Send chunk after chunk; after trouble, from where the upstream says it is."""
        failures, reached, doubtful = 0, 0, False
        while True:
            try:
                file = await (self._query() if doubtful else self._send_chunk())
            except UpstreamUnavailableError:
                failures += 1
                if failures >= self._transport.options.chunk_attempts:
                    raise
                doubtful = True
                await self._content.close()  # it may have been stopped within a read
                await self._transport.back_off(failures)
                continue
            if file is not None:
                return file
            doubtful = False
            if self._offset > reached:
                failures, reached = 0, self._offset

    async def _send_chunk(self) -> FileInfo | None:
        """Send the chunk at ``_offset``; the file, if that was the last one."""
        end = min(self._offset + self._chunk, self._size)
        last = end == self._size
        response, answer = await self._transport.post(
            self._url,
            headers={
                "X-Goog-Upload-Command": "upload, finalize" if last else "upload",
                "X-Goog-Upload-Offset": str(self._offset),
                "Content-Length": str(end - self._offset),
            },
            content=self._content.read(self._offset, end),
            seconds=self._transport.options.chunk_seconds,
        )
        file = self._outcome(response, answer)
        if file is None:
            active = response.headers.get("x-goog-upload-status") == "active"
            if last or not active or self._content.position != end:
                raise UpstreamUnavailableError("The upstream did not say what became of a chunk.")
            self._offset = end
        return file

    async def _query(self) -> FileInfo | None:
        """Ask how much has arrived and go on from there; the file, if all of it had."""
        response, answer = await self._transport.post(
            self._url,
            headers={"X-Goog-Upload-Command": "query"},
            content=b"",
            seconds=self._transport.options.call_seconds,
        )
        file = self._outcome(response, answer)
        if file is None:
            received = parse_int(response.headers.get("x-goog-upload-size-received"))
            if received is None or not 0 <= received <= self._size:
                raise _UploadLostError("the upstream does not say how much it has")
            self._offset = received
        return file

    def _outcome(self, response: httpx.Response, answer: bytes) -> FileInfo | None:
        """Return the finished file, None while the session is active; all else is an error."""
        status = response.status_code
        if not response.is_success:
            error = error_of(Call.STAGE, status, answer, self._transport.scrub)
            if 400 <= status < 500 and status not in _PASSING:
                raise _UploadLostError(error.message)
            raise error
        if (file := _file(answer)) is not None:
            return file
        state = response.headers.get("x-goog-upload-status")
        if state in {"final", "cancelled"}:
            # A 2xx without `file` has been reported: python-genai#1248.
            raise _UploadLostError(f"the session is {state} and gave no file")
        return None


def _file(answer: bytes) -> FileInfo | None:
    try:
        return parse_file(as_object(parse_object(answer).get("file")))
    except UpstreamUnavailableError:
        return None


class _Reader:
    """The content in small blocks from any offset."""

    def __init__(self, content: Source) -> None:
        self._content = content
        self._blocks: AsyncIterator[bytes] | None = None
        self._rest = memoryview(b"")
        self.position = 0

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` to ``end``; without a close before, from the last end."""
        if self._blocks is None:
            self._blocks, self.position = self._content.unchecked(start), start
        blocks = self._blocks
        while self.position < end:
            if not self._rest:
                whole = await anext(blocks, b"")
                if not whole:
                    raise EOFError("the content is shorter than it said")
                if len(whole) <= min(BLOCK_BYTES, end - self.position):
                    self.position += len(whole)
                    yield whole  # most of them: it needs no copy
                    continue
                self._rest = memoryview(whole)
            block = self._rest[: min(BLOCK_BYTES, end - self.position)]
            self._rest = self._rest[len(block) :]
            self.position += len(block)
            yield bytes(block)

    async def close(self) -> None:
        """Close the content; the next read opens it anew."""
        if isinstance(self._blocks, AsyncGenerator):
            await self._blocks.aclose()
        self._blocks, self._rest = None, memoryview(b"")
