"""The head of a request has an end, in bytes and in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn

from gateway.api import protocol
from gateway.api.protocol import MAX_HEAD_BYTES, BoundedHttpProtocol
from gateway.emulator.serve import listen
from tests.api.world import new_world


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The API behind the protocol."""
    async with new_world(tmp_path) as world:
        with closing(listen("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(
                world.app(), http=BoundedHttpProtocol, ws="none", lifespan="off", log_config=None
            )
            server = uvicorn.Server(config)
            task = asyncio.ensure_future(server.serve(sockets=[listener]))
            yield listener.getsockname()[1]
            server.should_exit = True
            await task


async def talk(port: int, *pieces: bytes) -> bytes:
    """Send and read to the end of the connection."""
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


async def test_a_usual_head_is_answered(port: int) -> None:
    """In however many pieces."""
    assert (await talk(port, HEAD, b"X-A: b\r\n", b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_head_without_end_is_cut_off(port: int) -> None:
    """Long before it fills the memory."""
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"

    assert await talk(port, HEAD, *[line] * (4 * MAX_HEAD_BYTES // 1000)) == b""


async def test_bodies_are_not_heads(port: int) -> None:
    """A large body is the endpoints' business."""
    body = b"x" * (3 * MAX_HEAD_BYTES)
    head = (
        b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )

    answer = await talk(port, head, *[body[:MAX_HEAD_BYTES]] * 3)

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


async def test_a_head_that_never_comes_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on a new connection nor in the middle of a head."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)

    assert await talk(port) == b""
    assert await talk(port, HEAD) == b""
