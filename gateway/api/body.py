"""Request bodies, read with a limit of bytes (Content-Length is not trusted) and of time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.types import Message

from gateway.api.services import Call
from gateway.errors import RequestError, TooLargeError
from gateway.units import MIB

# A batch's JSON holds sixteen metadata pairs at most: some 10 KB.
MAX_JSON_BYTES: Final = MIB

# Patience begins anew each time this much has come: under about 1 KB/s a client is cut off.
PROGRESS_BYTES: Final = 64 * 1024


class StalledBodyError(RequestError):
    """The client stopped sending; sending again may help."""

    status = 408

    def __init__(self) -> None:
        super().__init__("The request body did not arrive in time.")


class BrokenBodyError(RequestError):
    """The client has closed the connection, and reads no answer."""


async def pieces(call: Call) -> AsyncIterator[bytes]:
    """Yield the body as it arrives."""
    if call.request.headers.get("content-encoding", "identity") != "identity":
        raise RequestError("Unsupported content encoding: send the request body uncompressed.")
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
    async for piece in pieces(call):
        body += piece
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)
