"""Single calls over pooled connections: what is known of a failed one, and what is kept."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamUnavailableError,
    UpstreamUnreadableError,
)
from gateway.ports.single import SingleCall
from tests.upstream.bench import Bench, Wire

BODY = b'{"contents":[]}'
ANSWER = b'{"candidates":[]}'
AT_ONCE = 150  # more than aiohttp allows unless it is told otherwise


def call(body: bytes = BODY) -> SingleCall:
    """A call with a patience that no test waits for."""
    return SingleCall("gemini-3.8-flash", "generateContent", body, "default", 60.0)


async def told(bench: Bench, url: str) -> UpstreamError:
    """What a call fails with."""
    with pytest.raises(UpstreamError) as failure:
        await bench.client(url).ask(call())
    return failure.value


async def test_no_connection_is_surely_not_sent(bench: Bench) -> None:
    """A port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert type(await told(bench, f"http://127.0.0.1:{port}")) is UpstreamUnavailableError


async def closed(wire: Wire) -> None:
    """The request is read, and never answered."""
    await wire.read_body()


async def reset(wire: Wire) -> None:
    """The connection is reset while the request comes."""
    sock = wire.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.writer.transport.abort()


async def cut(wire: Wire) -> None:
    """The answer is shorter than it says."""
    await wire.read_body()
    await wire.answer(200, ANSWER, cut=5)


async def no_http(wire: Wire) -> None:
    """What comes is no HTTP."""
    await wire.read_body()
    wire.writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
    await wire.writer.drain()


async def endless_head(wire: Wire) -> None:
    """The head is larger than any."""
    await wire.read_body()
    wire.writer.write(b"HTTP/1.1 200 OK\r\nx-long: " + b"x" * 1_000_000)
    await wire.writer.drain()


async def bad_chunks(wire: Wire) -> None:
    """The body is no chunks."""
    await wire.read_body()
    wire.writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    await wire.writer.drain()


@pytest.mark.parametrize("script", [closed, reset, cut, no_http, endless_head, bad_chunks])
async def test_what_was_sent_may_be_paid_for(
    bench: Bench, script: Callable[[Wire], Awaitable[None]]
) -> None:
    """A call that may have arrived is never told as one that has not."""
    failure = await told(bench, await bench.serving(script))
    assert isinstance(failure, UpstreamAmbiguousError | UpstreamUnreadableError)


async def test_a_call_is_not_sent_again_on_a_connection_that_is_gone(bench: Bench) -> None:
    """The server closes a kept connection with the next call on it."""
    seen: list[bytes] = []

    async def once(wire: Wire) -> None:
        seen.append(await wire.read_body())
        wire.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
        await wire.writer.drain()
        await wire.reader.readuntil(b"\r\n\r\n")
        seen.append(await wire.reader.readexactly(len(BODY)))

    client = bench.client(await bench.serving(once))
    assert await client.ask(call()) == orjson.loads(ANSWER)
    with pytest.raises(UpstreamAmbiguousError):
        await client.ask(call())
    assert seen == [BODY, BODY]


async def test_as_many_at_a_time_as_the_caller_allows(bench: Bench) -> None:
    """None waits for another's connection."""
    arrived: list[None] = []
    all_there = asyncio.Event()

    async def together(wire: Wire) -> None:
        await wire.read_body()
        arrived.append(None)
        if len(arrived) == AT_ONCE:
            all_there.set()
        await all_there.wait()
        await wire.answer(200, ANSWER)

    client = bench.client(await bench.serving(together))
    answers = await asyncio.gather(*[client.ask(call()) for _ in range(AT_ONCE)])
    assert len(answers) == AT_ONCE


async def test_the_end_of_a_call_is_the_end_of_its_connection(bench: Bench) -> None:
    """Closing the connection is all that stops Google."""
    began, left = asyncio.Event(), asyncio.Event()

    async def silent(wire: Wire) -> None:
        await wire.read_body()
        began.set()
        assert await wire.reader.read() == b""
        left.set()

    client = bench.client(await bench.serving(silent))
    asking = asyncio.ensure_future(client.ask(call()))
    await began.wait()
    asking.cancel()
    await asyncio.wait([asking])
    async with asyncio.timeout(60):
        await left.wait()


async def test_a_large_body_arrives(bench: Bench) -> None:
    """It is written in blocks, with its length in front."""
    body = orjson.dumps({"contents": [{"parts": [{"text": "x" * 3_000_000}]}]})
    heads: list[dict[str, str]] = []

    async def take(wire: Wire) -> None:
        heads.append(wire.head.headers)
        await wire.answer(200, orjson.dumps({"same": await wire.read_body() == body}))

    client = bench.client(await bench.serving(take))
    assert await client.ask(call(body)) == {"same": True}
    assert "transfer-encoding" not in heads[0]


async def test_what_google_sees_of_us(bench: Bench) -> None:
    """Headers of ours alone; a cookie is not kept."""
    heads: list[dict[str, Any]] = []

    async def take(wire: Wire) -> None:
        heads.append(wire.head.headers)
        await wire.read_body()
        await wire.answer(200, ANSWER, set_cookie="a=b; Path=/")

    client = bench.client(await bench.serving(take))
    await client.ask(call())
    await client.ask(call())
    ours = {"host", "user-agent", "accept", "accept-encoding", "x-goog-api-key"}
    assert [set(head) for head in heads] == [{*ours, "content-type", "content-length"}] * 2


async def test_a_proxy_of_the_environment_is_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every other call to Google."""
    asked: list[str] = []

    async def proxy(wire: Wire) -> None:
        asked.append(wire.head.target)
        await wire.read_body()
        await wire.answer(200, ANSWER)

    monkeypatch.setenv("HTTP_PROXY", await bench.serving(proxy))
    await bench.client("http://upstream.example").ask(call())
    assert asked == ["http://upstream.example/v1beta/models/gemini-3.8-flash:generateContent"]
