"""Batches' work is never starved by single calls, nor the other way round: on the real program."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import httpx
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

pytestmark = pytest.mark.slow

MODEL = "gemini-3.5-flash"
CALLS = 20  # single calls that may be at Google at a time
ASKED = 2 * CALLS  # and that are asked for: half of them wait for a place
BATCHES = 30
LIVE_JOBS = 2
HOUR = 3600


async def ask_all(gateway: GatewayProcess, statuses: list[int]) -> None:
    """Ask for more than there is room for; note what each is answered."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"authorization": "Bearer any"}
    limits = httpx.Limits(max_connections=ASKED)
    async with httpx.AsyncClient(headers=headers, timeout=600, limits=limits) as client:

        async def ask() -> None:
            with contextlib.suppress(httpx.TransportError):  # a test ends the gateway
                answer = await client.post(f"{gateway.url}/chat/completions", json=body)
                statuses.append(answer.status_code)

        await asyncio.gather(*(ask() for _ in range(ASKED)))


@contextlib.contextmanager
def asked_for(gateway: GatewayProcess) -> Iterator[list[int]]:
    """Single calls in a thread of their own, joined at the end."""
    statuses: list[int] = []
    thread = Thread(target=lambda: asyncio.run(ask_all(gateway, statuses)))
    thread.start()
    try:
        yield statuses
    finally:
        thread.join(120)


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """Jobs that take a moment."""
    with running(EmulatorOptions(job_seconds=0.2)) as emulator:
        yield emulator


def test_batches_go_on_while_every_place_of_single_calls_is_taken(
    tmp_path: Path, gemini: Emulator
) -> None:
    """Google answers no single call, others queue; batches are sent, polled, fetched, published."""
    settings = {"GATEWAY_SINGLE_CALLS": str(CALLS), "GATEWAY_SINGLE_QUEUE_SECONDS": "600"}
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        gemini.fault("hang", on="generate")
        with asked_for(gateway) as statuses:
            until(lambda: gemini.calls().get("generate") == CALLS, "every place is taken")
            client = gateway.client()
            batches = [
                submit(client, [chat_line(f"{n}-{i}", "say it", MODEL) for i in range(5)])
                for n in range(5)
            ]
            for batch in batches:
                done = finished(client, batch)
                assert done.status == "completed"
                assert len(read_lines(client, done.output_file_id)) == 5
            assert statuses == []
            assert gemini.calls()["generate"] == CALLS
            gateway.close()


def test_single_calls_are_answered_while_batches_wait_for_room(
    tmp_path: Path, gemini: Emulator
) -> None:
    """Every live job is taken for an hour, and as many batches wait as there are."""
    with serving(tmp_path, gemini.base_url, GATEWAY_MAX_LIVE_JOBS=str(LIVE_JOBS)) as gateway:
        gemini.fault("job-slow", seconds=HOUR)
        client = gateway.client()
        batches = [
            submit(client, [chat_line(f"{n}-{i}", "say it", MODEL) for i in range(5)])
            for n in range(BATCHES)
        ]
        waiting = "SELECT count(*) FROM jobs WHERE state IN ('planned', 'staging')"
        until(
            lambda: gateway.rows(waiting) == [(BATCHES - LIVE_JOBS,)],
            "all but the live jobs wait",
        )
        with asked_for(gateway) as statuses:
            pass
        assert statuses == [200] * ASKED
        assert gateway.rows(waiting) == [(BATCHES - LIVE_JOBS,)]
        gemini.clear_faults()
        gemini.finish()
        assert finished(client, batches[0]).status == "completed"
