"""The end of the process while single requests are answered: none of Google's calls goes on.

Google is scripted here: it begins an answer and never ends it, and sees who leaves.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.e2e.harness import GatewayProcess, serving, until
from tests.live.google import Google, scripted_google

LONG = 60
PIECE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Once"}]}, "index": 0}],
    "responseId": "r",
    "modelVersion": "gemini-2.5-flash",
}
BODY = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}
HEADERS = {"authorization": "Bearer any"}


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[Google, GatewayProcess]]:
    """A gateway before a Google that goes silent."""
    async with scripted_google() as google:
        google.play_pieces([PIECE], end="silence")
        held = serving(folder, google.url, GATEWAY_DRAIN_SECONDS="2")
        gateway = await asyncio.to_thread(held.__enter__)
        try:
            yield google, gateway
        finally:
            await asyncio.to_thread(held.__exit__, None, None, None)


def terminate(gateway: GatewayProcess) -> None:
    """Ask it to stop."""
    os.kill(gateway.pid, signal.SIGTERM)


@pytest.mark.slow
async def test_a_drain_that_runs_out_ends_a_stream_with_an_error(tmp_path: Path) -> None:
    """The client is told, in place of a connection that breaks; the exit is clean."""
    async with world(tmp_path) as (google, gateway), httpx.AsyncClient(timeout=LONG) as client:
        body = {**BODY, "stream": True}
        url = f"{gateway.url}/chat/completions"
        async with client.stream("POST", url, json=body, headers=HEADERS) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if "Once" in line:
                    terminate(gateway)
                    break
            events = [line async for line in lines if line.startswith("data: ")]
        error = orjson.loads(events[-1].removeprefix("data: "))["error"]
        assert "GATEWAY_DRAIN_SECONDS" in error["message"]
        await left(google)
        assert gateway.process is not None
        assert await asyncio.to_thread(gateway.process.wait, LONG) == 0


@pytest.mark.slow
async def test_a_drain_that_runs_out_answers_who_waits(tmp_path: Path) -> None:
    """With 503, which no SDK tries again by itself: the call may be paid for."""
    async with world(tmp_path) as (google, gateway), httpx.AsyncClient(timeout=LONG) as client:
        url = f"{gateway.url}/chat/completions"
        asking = asyncio.ensure_future(client.post(url, json=BODY, headers=HEADERS))
        await asked(google)
        terminate(gateway)
        answer = await asking
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
        await left(google)


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("end", ["killed", "left"])
async def test_no_call_outlives_its_reader(tmp_path: Path, stream: bool, end: str) -> None:
    """Killed, or the client gone: Google's connection is closed, which is what stops it."""
    async with world(tmp_path) as (google, gateway), httpx.AsyncClient(timeout=LONG) as client:
        body = {**BODY, "stream": stream}
        url = f"{gateway.url}/chat/completions"
        asking = asyncio.ensure_future(client.post(url, json=body, headers=HEADERS))
        await asked(google)
        assert google.live
        if end == "killed":
            gateway.kill()
        else:
            asking.cancel()
        await left(google)
        asking.cancel()
        await asyncio.wait([asking])


async def asked(google: Google) -> None:
    """Wait until Google was asked for an answer."""

    def is_asked() -> bool:
        return any("enerateContent" in path for path in google.paths)

    await asyncio.to_thread(until, is_asked, "Google is asked")


async def left(google: Google) -> None:
    """Wait until Google sees that its reader has gone."""
    async with asyncio.timeout(LONG):
        await google.left.wait()
