"""Request bodies, read with a limit of bytes (Content-Length is not trusted) and of time."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final

from starlette.types import Message

from gateway.api.services import Call
from gateway.errors import RequestError, TooLargeError
from gateway.units import MIB

# A batch's JSON holds sixteen metadata pairs at most: some 10 KB.
MAX_JSON_BYTES: Final = MIB

# Patience begins anew each time this much has come: under about 1 KB/s a client is cut off.
PROGRESS_BYTES: Final = 64 * 1024


# RFC 9110, 8.4.1.3: x-gzip is the same. JSON lines pack to a tenth, blanks to a thousandth.
GZIP: Final = frozenset({"gzip", "x-gzip"})
GZIP_WBITS: Final = 31
GZIP_RATIO: Final = 100


class StalledBodyError(RequestError):
    """The client stopped sending; sending again may help."""

    status = 408

    def __init__(self) -> None:
        super().__init__("The request body did not arrive in time.")


class BrokenBodyError(RequestError):
    """The client has closed the connection, and reads no answer."""


async def pieces(call: Call) -> AsyncIterator[bytes]:
    """Yield the body as it arrives, unpacked."""
    encoding = call.request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", *GZIP}:
        raise RequestError(
            "Unsupported content encoding: send the request body uncompressed, or with 'gzip'."
        )
    async with aclosing(sent(call)) as blocks:
        if encoding == "identity":
            async for piece in blocks:
                yield piece
            return
        unpacking = Unpacking()
        async for piece in blocks:
            for unpacked in unpacking.feed(piece):
                yield unpacked
        unpacking.close()


class Unpacking:
    """A gzip stream as it arrives: no more at a time than a piece, no more in all than a ratio."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=GZIP_WBITS)
        self._begun = False
        self._packed = 0
        self._unpacked = 0

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Yield what the next bytes hold. Errors: RequestError of no gzip, or of a bomb."""
        self._packed += len(packed)
        more = bool(packed)
        while more:
            if self._member.eof:  # another member follows
                self._member = zlib.decompressobj(wbits=GZIP_WBITS)
            self._begun = True
            try:
                piece = self._member.decompress(packed, PROGRESS_BYTES)
            except zlib.error as error:
                raise _not_gzip() from error
            ended = self._member.eof
            packed = self._member.unused_data if ended else self._member.unconsumed_tail
            more = bool(packed) or (len(piece) == PROGRESS_BYTES and not ended)
            self._check_ratio(len(piece))
            if piece:
                yield piece

    def _check_ratio(self, unpacked: int) -> None:
        self._unpacked += unpacked
        if self._unpacked > GZIP_RATIO * self._packed + PROGRESS_BYTES:
            raise RequestError(
                "The request body is packed too tightly: unpacked, it may be at most"
                f" {GZIP_RATIO} times as large. Send it uncompressed."
            )

    def close(self) -> None:
        """Take the end of the bytes. Errors: RequestError when the stream is cut."""
        if self._begun and not self._member.eof:
            raise _not_gzip()


def _not_gzip() -> RequestError:
    return RequestError("The request body could not be unpacked: it is no whole gzip stream.")


async def sent(call: Call) -> AsyncGenerator[bytes, None]:
    """Yield the body as it was sent."""
    clock = call.services.clock
    left = call.options.body_idle_seconds
    gained = 0
    more = True
    while more:
        began = clock.monotonic()
        message = await _received(call, left)
        left -= clock.monotonic() - began
        if left <= 0:
            raise StalledBodyError
        body = message.get("body", b"")
        gained += len(body)
        if gained >= PROGRESS_BYTES:
            gained, left = 0, call.options.body_idle_seconds
        more = message.get("more_body", False)
        if body:
            yield body


async def _received(call: Call, seconds: float) -> Message:
    """Wait for the next message, as long as the limit allows."""
    try:
        async with asyncio.timeout(seconds):
            message = await call.request.receive()
    except TimeoutError as error:
        raise StalledBodyError from error
    if message["type"] == "http.disconnect":
        raise BrokenBodyError("The request body broke off.")
    return message


def check_declared_length(call: Call, limit: int) -> None:
    """Refuse early what says itself that it is too large."""
    declared = call.request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise too_large(limit)


def too_large(limit: int) -> TooLargeError:
    """Make the error of a body beyond a limit."""
    return TooLargeError(f"The request body is too large: at most {limit} bytes are accepted.")


async def read_json_bytes(call: Call, limit: int = MAX_JSON_BYTES) -> bytes:
    """Read a JSON body, whole; a request without a content type is taken for JSON."""
    content_type = call.request.headers.get("content-type", "application/json")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise RequestError(
            "Unsupported content type: this API method only accepts 'application/json' requests.",
            code="unsupported_content_type",
        )
    check_declared_length(call, limit)
    body = bytearray()
    with call.limits.reading.body(call.owner) as take:
        async for piece in pieces(call):
            take(len(piece))
            body += piece
            if len(body) > limit:
                raise too_large(limit)
    return bytes(body)
