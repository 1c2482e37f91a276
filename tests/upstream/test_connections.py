"""Pooled connections, kept or for one call: which failures mean that nothing was sent."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.upstream.errors import NOT_SENT
from gateway.upstream.pooled import PooledTransport

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
KEPT, ALONE = 60.0, None  # seconds
WAITS = {"timeout": httpx.Timeout(30, read=60).as_dict()}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """A server of one behaviour that remembers what it was sent, a connection an entry."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.heard: list[bytes] = []
        self.head, self.greeting = b"\r\n\r\n", b""
        self.asked, self.ended = asyncio.Event(), asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.ensure_future(self._served(reader, writer)))

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = len(self.heard)
        self.heard.append(b"")
        self.heard[place] = await reader.readuntil(self.head)
        self.asked.set()
        writer.write(self.greeting)
        try:
            await self._serve(reader, writer)
            await reader.read()
        except OSError:
            pass
        self.ended.set()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[tuple[Server, str]]:
    """Serve that; the server, and where it is."""
    server = Server(serve)
    async with await asyncio.start_server(server.connected, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        yield server, f"http://{host}:{port}"
        async with asyncio.timeout(60):
            await asyncio.gather(*server.tasks)


@asynccontextmanager
async def opened(kept: float | None = KEPT) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Open a transport for the block."""
    transport = PooledTransport(ssl.create_default_context(), kept)
    yield transport
    await transport.aclose()


def a_request(url: str, accept: str = "*/*") -> httpx.Request:
    """Ten bytes to send."""
    headers = {"accept": accept}
    return httpx.Request("POST", url, content=b"x" * 10, headers=headers, extensions=WAITS)


async def _answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def _close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"this is no HTTP\r\n\r\n")


async def _huge_header(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n")


async def _cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:-1])
    writer.close()


async def _hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_no_connection_means_not_sent() -> None:
    """Nothing listens on a port that was just given back."""
    async with await asyncio.start_server(lambda *_: None, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
    async with opened(ALONE) as transport:
        with pytest.raises(NOT_SENT):
            await transport.handle_async_request(a_request(f"http://{host}:{port}/"))


async def test_no_tls_means_not_sent() -> None:
    """A request leaves only when the other side has shown who it is."""
    async with serving(_close) as (server, url), opened(ALONE) as transport:
        server.head = b"\x16"  # of a handshake
        server.greeting = b"no TLS here"
        with pytest.raises(NOT_SENT):
            await transport.handle_async_request(a_request(url.replace("http:", "https:")))


@pytest.mark.parametrize("serve", [_close, _reset, _garbage, _huge_header])
@pytest.mark.parametrize("kept", [KEPT, ALONE], ids=["kept", "alone"])
async def test_what_may_have_been_sent_is_in_doubt(serve: Serve, kept: float | None) -> None:
    """Whatever the connection dies of, and it is sent once."""
    async with serving(serve) as (server, url), opened(kept) as transport:
        with pytest.raises(httpx.HTTPError) as caught:
            await transport.handle_async_request(a_request(url))
        assert not isinstance(caught.value, NOT_SENT)
        assert len(server.heard) == 1


async def test_a_cut_body_is_an_error() -> None:
    """One byte less than was promised."""
    async with serving(_cut) as (_, url), opened() as transport:
        response = await transport.handle_async_request(a_request(url))
        with pytest.raises(httpx.HTTPError) as caught:
            await response.aread()
        assert not isinstance(caught.value, NOT_SENT)
        await response.aclose()


async def test_silence_ends_with_the_timeout() -> None:
    """As httpx's own: a read that times out is in doubt."""
    waits = {"timeout": {"connect": 30.0, "read": 0.2, "write": 30.0, "pool": 30.0}}
    async with serving(_hang) as (_, url), opened(ALONE) as transport:
        request = httpx.Request("POST", url, content=b"x", extensions=waits)
        with pytest.raises(httpx.ReadTimeout):
            await transport.handle_async_request(request)


@pytest.mark.parametrize("kept", [KEPT, ALONE], ids=["kept", "alone"])
async def test_cancelling_closes_the_connection(kept: float | None) -> None:
    """The deadline of a create cancels it: the server sees the end at once."""
    async with serving(_hang) as (server, url), opened(kept) as transport:
        asking = asyncio.ensure_future(transport.handle_async_request(a_request(url)))
        async with asyncio.timeout(60):
            await server.asked.wait()
            asking.cancel()
            await asyncio.wait([asking])
            await server.ended.wait()


async def test_a_post_is_not_sent_again_on_a_stale_connection() -> None:
    """A kept connection that the server closes at the second request."""
    times: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.write(OK)
        times.append(len(await reader.readuntil(b"\r\n\r\n")))
        writer.transport.abort()

    async with serving(serve) as (server, url), opened() as transport:
        first = await transport.handle_async_request(a_request(url))
        await first.aread()
        await first.aclose()
        with pytest.raises(httpx.HTTPError) as caught:
            await transport.handle_async_request(a_request(url))
        assert not isinstance(caught.value, NOT_SENT)
        assert (len(server.heard), len(times)) == (1, 1)


async def test_alone_no_connection_is_used_twice() -> None:
    """Each has one of its own."""
    async with serving(_answer) as (server, url), opened(ALONE) as transport:
        for _ in range(2):
            response = await transport.handle_async_request(a_request(url))
            await response.aread()
            await response.aclose()
        assert len(server.heard) == 2


async def test_url_and_headers_leave_as_they_are() -> None:
    """What is quoted stays quoted, nothing is added that says more than httpx would."""
    async with serving(_answer) as (server, url), opened(ALONE) as transport:
        request = a_request(f"{url}/v1/a%3Ab%2Fc?fields=a(b%2Cc)", accept="x/y")
        response = await transport.handle_async_request(request)
        await response.aread()
        await response.aclose()
    head = server.heard[0].decode().lower()
    assert head.startswith("post /v1/a%3ab%2fc?fields=a(b%2cc) http/1.1\r\n")
    names = {line.partition(":")[0] for line in head.splitlines()[1:] if line}
    assert names <= {"host", "accept", "content-length", "connection"}


async def test_cookies_are_not_kept() -> None:
    """What one answer sets, the next request does not carry."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b\r\n\r\n"))

    async with serving(serve) as (server, url), opened(ALONE) as transport:
        for _ in range(2):
            response = await transport.handle_async_request(a_request(url))
            await response.aread()
            await response.aclose()
    assert all(b"cookie" not in head.lower() for head in server.heard)
