"""Connections for many calls: aiohttp's, behind httpx.

httpx's own pool looks through all its connections for each call: with 16 calls at once it costs
2.1 ms of a core a call, this one 0.4 (measured against a bare server). What is known of a failed
call has to be as exact here as there, and httpx-aiohttp 0.2 is not: it reports a connection that
was lost after the request was sent as one that was never made, lets errors of aiohttp's through
that httpx has no name for, and decodes what a URL has quoted. So it is not used.

aiohttp sends a GET or a DELETE a second time by itself when the connection was closed before an
answer came, and no other method, whatever becomes of its connection.
"""

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final

import aiohttp
import httpx
from yarl import URL

# Google's heads have some 700 bytes.
HEAD_BYTES: Final = 32 * 1024
# aiohttp writes what it gets as bytes in one piece, and warns of more than a megabyte.
BLOCK_BYTES: Final = 256 * 1024
# A create with more is not sent here: an answer that comes while it is still being sent, a refusal
# say, is lost with the connection that is closed after it. httpx's own reads it all the same.
SENT_AT_ONCE: Final = 64 * 1024

# The first that fits. The first three are raised before there is a connection.
_MEANINGS: Final = (
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.InvalidURL, httpx.UnsupportedProtocol),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout),
    ((aiohttp.ClientResponseError, aiohttp.ClientPayloadError), httpx.RemoteProtocolError),
    (aiohttp.ClientError, httpx.ReadError),
)


class PooledTransport(httpx.AsyncBaseTransport):
    """Keeps connections that are idle for so long; None: each is used once.

    Cookies, redirects and proxies: none.
    """

    def __init__(self, tls: ssl.SSLContext, idle_seconds: float | None) -> None:
        self._tls = tls
        self._idle_seconds = idle_seconds
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, which belongs to the event loop that was running at the first."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                max_line_size=HEAD_BYTES,
                max_field_size=HEAD_BYTES,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            )
        return self._session

    def _connector(self) -> aiohttp.TCPConnector:
        if self._idle_seconds is None:
            return aiohttp.TCPConnector(ssl=self._tls, limit=0, force_close=True)
        return aiohttp.TCPConnector(ssl=self._tls, limit=0, keepalive_timeout=self._idle_seconds)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, once: aiohttp sends none again but those that change nothing."""
        waits = request.extensions["timeout"]
        with _told_apart():
            answer = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers,
                data=_body_of(request),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    connect=waits["pool"], sock_connect=waits["connect"], sock_read=waits["read"]
                ),
            )
        return httpx.Response(
            answer.status, headers=answer.raw_headers, stream=_Body(answer), request=request
        )

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()


def _body_of(request: httpx.Request) -> bytes | AsyncIterator[bytes] | None:
    try:
        return request.content or None
    except httpx.RequestNotRead:
        stream = request.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            raise
        return aiter(stream)


class _Body(httpx.AsyncByteStream):
    """The body of an answer; closing it before its end closes the connection."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what comes."""
        with _told_apart():
            async for block in self._answer.content.iter_any():
                yield block

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        self._answer.release()


@contextmanager
def _told_apart() -> Iterator[None]:
    """Tell what was certainly never sent from what may have been."""
    try:
        yield
    except aiohttp.ClientError as error:
        meaning = next(ours for theirs, ours in _MEANINGS if isinstance(error, theirs))
        raise meaning(str(error)) from error


async def in_blocks(body: bytes) -> AsyncIterator[bytes]:
    """Cut a body that is too large to be written at once."""
    for start in range(0, len(body), BLOCK_BYTES):
        yield body[start : start + BLOCK_BYTES]
