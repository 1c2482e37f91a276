"""A file's content as an answer: whole or one range, conditional, exactly as long as promised.

Answers RFC 9110 sections 8.8.3 (a strong ETag: the SHA-256), 13.1.2, 13.1.5 and 14. Only single
ranges: several in one request are answered with the whole file, which section 14.2 allows
(Starlette's own merging was CVE-2025-62727).
"""

import asyncio
import errno
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.api.answers import answer_error
from gateway.batches.file import File
from gateway.errors import RequestError, UnavailableError
from gateway.ports.blobs import Blobs

log = logging.getLogger(__name__)

PIECE_BYTES: Final = 64 * 1024

_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._ ()+=@-]")

# For how long a link to a file's bytes works: it is followed at once, and long downloads may be
# taken up again where they broke off.
LINK_SECONDS: Final = 900
# A link is a secret of the client that asked for it.
NOT_KEPT: Final = {"cache-control": "no-store"}


class RangeError(RequestError):
    """A range beyond the file."""

    status = 416


class Span(NamedTuple):
    """Bytes ``start`` up to, not including, ``end``."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer to give; ``span`` is None for one without a body."""

    status: int
    headers: Mapping[str, str]
    span: Span | None


async def answer_content(
    file: File, blobs: Blobs, headers: Headers, *, head: bool, redirect_bytes: int = 0
) -> Response:
    """Answer a GET or HEAD of a file's bytes. Errors: FileNotFoundError of bytes gone.

    A file of ``redirect_bytes`` or more is left to the place of the bytes, if that has a URL for
    it; 0: never.
    """
    try:
        plan = plan_content(file, headers, head=head)
    except RangeError as error:
        refusal = answer_error(error)
        refusal.headers["content-range"] = f"bytes */{file.bytes}"
        return refusal
    if plan.span is None:
        return Response(None, plan.status, plan.headers)
    if redirect_bytes and file.bytes >= redirect_bytes:
        elsewhere = await _redirect(file, blobs)
        if elsewhere is not None:
            return elsewhere
    blocks = read_span(file, blobs, plan.span)
    first = await anext(blocks, b"")  # before anything is promised
    return Download(first, blocks, plan.status, plan.headers)


async def _redirect(file: File, blobs: Blobs) -> Response | None:
    """Send the client, with the range that it asks for, to where the bytes are.

    The SDKs follow, and leave their key behind when the host is another.
    """
    if len(file.segments) != 1:
        return None
    link = await blobs.link(file.segments[0].blob, LINK_SECONDS)
    return None if link is None else Response(None, 307, {"location": link} | NOT_KEPT)


def plan_content(file: File, headers: Headers, *, head: bool) -> Plan:
    """Decide on conditions and range; :class:`RangeError` for a range beyond the file."""
    etag = f'"{file.sha256}"'
    common = {"etag": etag, "accept-ranges": "bytes"}
    if _matches(headers.get("if-none-match"), etag):
        return Plan(304, common, None)
    asked = None if head else _requested_span(headers, etag, file.bytes)
    span = asked or Span(0, file.bytes)
    # First of all: a head that was cut before the length is taken for a whole, empty answer by
    # http.client, requests and curl.
    described = {"content-length": str(span.end - span.start)} | common
    described |= {
        "content-type": "application/octet-stream",
        "content-disposition": content_disposition(file.filename),
        "x-content-type-options": "nosniff",
    }
    if asked is not None:
        described["content-range"] = f"bytes {span.start}-{span.end - 1}/{file.bytes}"
    return Plan(200 if asked is None else 206, described, None if head else span)


class Download(StreamingResponse):
    """A stream that, when its source fails, breaks off: too short beats wrong.

    Starlette's part: it stops when the client leaves. Then the source is closed here, and with it
    the file: a generator that is merely forgotten keeps its descriptor until it is collected.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        status: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(rest, status, headers)
        self._first = first
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and close the source however that ends, even before it began."""
        async with aclosing(self._rest):
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send block by block; a source that fails leaves the answer without its end."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        await _send_block(send, self._first)
        self._first = b""
        try:
            async for block in self._rest:
                await _send_block(send, block)
        except (OSError, UnavailableError) as error:
            log.error("a download broke off: %s", type(error).__name__)  # noqa: TRY400
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_block(send: Send, block: bytes) -> None:
    """Send a block in pieces: what a client leaves unread is one block, not several."""
    for start in range(0, len(block), PIECE_BYTES):
        piece = block[start : start + PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def read_span(file: File, blobs: Blobs, span: Span) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of a span, across the file's segments.

    A whole file is compared with its digest before its last block is given: a bit that has changed
    on the disk shows as a download that breaks off.
    """
    async with aclosing(read_stretches(blobs, stretches_of(file, span))) as blocks:
        if span != Span(0, file.bytes):
            async for block in blocks:
                yield block
            return
        digest, read = hashlib.sha256(), 0
        async for block in blocks:
            await asyncio.to_thread(digest.update, block)
            read += len(block)
            if read == file.bytes and digest.hexdigest() != file.sha256:
                raise OSError(errno.EIO, "a file's bytes are not those that were written")
            yield block


class Stretch(NamedTuple):
    """Bytes of one blob."""

    blob: str
    start: int
    length: int


def stretches_of(file: File, span: Span) -> Iterator[Stretch]:
    """Give the blobs, and where in them, that hold a span of a file."""
    offset = 0
    for segment in file.segments:
        start = max(span.start - offset, 0)
        length = min(span.end - offset, segment.bytes) - start
        offset += segment.bytes
        if length > 0:
            yield Stretch(segment.blob, start, length)


async def read_stretches(blobs: Blobs, stretches: Iterable[Stretch]) -> AsyncGenerator[bytes, None]:
    """Yield their bytes, one after the other. Errors: OSError of a blob that is too short."""
    for blob, start, length in stretches:
        left = length
        async with aclosing(blobs.read(blob, start, length)) as blocks:
            async for block in blocks:
                left -= len(block)
                yield block
        if left > 0:
            raise OSError(errno.EIO, "a blob is shorter than its record")


def content_disposition(filename: str) -> str:
    """Make an attachment's name, for old and new readers (RFC 6266, RFC 5987)."""
    plain = _UNSAFE.sub("_", filename)
    value = f'attachment; filename="{plain}"'
    if plain == filename:
        return value
    return (
        f"{value}; filename*=UTF-8''{quote(filename.replace('/', '_'), safe='', errors='replace')}"
    )


def _matches(condition: str | None, etag: str) -> bool:
    """``If-None-Match``: compared weakly, as RFC 9110 13.1.2 says."""
    if condition is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in condition.split(",")}
    return "*" in tags or etag in tags


def _requested_span(headers: Headers, etag: str, size: int) -> Span | None:
    """Read the range to send, None for the whole; a range that is not understood is the whole."""
    asked = _RANGE.fullmatch(headers.get("range", "").strip())
    if asked is None or headers.get("if-range", etag) != etag:
        return None
    first, last = asked.groups()
    if first:
        span = Span(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return None
    elif last:
        span = Span(max(size - int(last), 0), size)
    else:
        return None
    if span.start >= span.end:
        raise RangeError(f"The requested range is not within the file's {size} bytes.")
    return span
