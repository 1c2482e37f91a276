"""Connections for many calls at a time: aiohttp's, behind httpx.

httpx's own pool looks through all its connections for each call: with 16 calls at once it costs
2.1 ms of a core a call, this one 0.4 (measured against a bare server). What is known of a failed
call has to be as exact here as there, and httpx-aiohttp 0.2 is not: it reports a connection that
was lost after the request was sent as one that was never made, lets errors of aiohttp's through
that httpx has no name for, and without a limit allows 100 connections.
"""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, cast

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.transport import AiohttpResponseStream

# Google's heads have some 700 bytes.
HEAD_BYTES: Final = 32 * 1024
# aiohttp writes what it gets as bytes in one piece, and warns of more than a megabyte.
BLOCK_BYTES: Final = 256 * 1024


class PooledTransport(AiohttpTransport):
    """Keeps connections that are idle for so long. Cookies, redirects and proxies: none."""

    def __init__(self, tls: ssl.SSLContext, idle_seconds: float) -> None:
        super().__init__(verify=tls, client=self._session, trust_env=False)
        self._tls = tls
        self._idle_seconds = idle_seconds

    def _session(self) -> aiohttp.ClientSession:
        """Open the session, which belongs to the event loop that is running by then."""
        connector = aiohttp.TCPConnector(
            limit=0, keepalive_timeout=self._idle_seconds, ssl=self._tls
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
            skip_auto_headers=("user-agent", "accept", "accept-encoding"),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, once: aiohttp sends none again but those that change nothing."""
        with _told_apart():
            response = await super().handle_async_request(request)
        response.stream = _Body(cast("AiohttpResponseStream", response.stream))
        return response


class _Body(httpx.AsyncByteStream):
    """The body of an answer; closing it before its end closes the connection."""

    def __init__(self, body: AiohttpResponseStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what comes."""
        with _told_apart():
            async for block in self._body:
                yield block

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        await self._body.aclose()


@contextmanager
def _told_apart() -> Iterator[None]:
    """Tell what was certainly never sent from what may have been."""
    try:
        yield
    except (httpx.TransportError, aiohttp.ClientError) as error:
        cause = error.__cause__ if isinstance(error, httpx.TransportError) else error
        raise _meaning(cause or error) from error


def _meaning(cause: BaseException) -> httpx.TransportError:
    told = str(cause)
    match cause:
        case aiohttp.ConnectionTimeoutError():
            return httpx.ConnectTimeout(told)
        case aiohttp.ServerTimeoutError():
            return httpx.ReadTimeout(told)
        case aiohttp.ClientConnectorError():
            return httpx.ConnectError(told)
        case aiohttp.InvalidURL():
            return httpx.UnsupportedProtocol(told)
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return httpx.RemoteProtocolError(told)
        case _:
            return httpx.ReadError(told)


async def in_blocks(body: bytes) -> AsyncIterator[bytes]:
    """Cut a body that is too large to be written at once."""
    for start in range(0, len(body), BLOCK_BYTES):
        yield body[start : start + BLOCK_BYTES]
