"""The emulator as a server of its own."""

import asyncio
import contextlib
import socket

import httpx
import pytest

from gateway.emulator import EmulatorOptions, serve
from gateway.emulator.serve import listen
from gateway.emulator.testing import running


async def test_serves_until_cancelled() -> None:
    """Answers on its port; ends when it is cancelled, and the port is free again."""
    with contextlib.closing(listen("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    task = asyncio.ensure_future(serve(EmulatorOptions(), "127.0.0.1", port))
    transport = httpx.AsyncHTTPTransport(retries=6)
    async with httpx.AsyncClient(transport=transport) as client:
        url = f"http://127.0.0.1:{port}/v1/batches"
        answer = await client.get(url, headers={"x-goog-api-key": "k"})
    assert answer.json() == {}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    listen("127.0.0.1", port).close()


async def test_port_taken() -> None:
    """OSError, at once."""
    with contextlib.closing(listen("127.0.0.1", 0)) as taken:
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            await serve(EmulatorOptions(), "127.0.0.1", taken.getsockname()[1])


def test_sockets_name_their_protocol() -> None:
    """Else asyncio leaves Nagle's algorithm on, and every POST takes 40 ms."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_stopping_does_not_wait_for_those_who_hang() -> None:
    """A call that never gets an answer ends with the emulator."""
    with running() as emulator:
        emulator.fault("hang", on="list")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(
                f"{emulator.base_url}/v1/batches",
                headers={"x-goog-api-key": "k"},
                timeout=httpx.Timeout(20, read=0.2),
            )
    assert emulator.faults()[0]["applied"] == 1
