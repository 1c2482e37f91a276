"""Looks for work: one serves many batches, and nothing that is known to wait waits for it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from gateway.ports.store import Intent, Work
from gateway.runner import runner
from tests.runner.world import OWNER, World, chat, world

SOME = 9  # more than are validated, or sent, at a time
NEVER = 3600.0


def counted(here: World) -> list[int]:
    """The moments at which work was looked for."""
    looks: list[int] = []
    original = here.store.due_kinds

    async def due_kinds(now: int) -> frozenset[str]:
        looks.append(now)
        return await original(now)

    here.store.due_kinds = due_kinds  # type: ignore[method-assign]
    return looks


def held(here: World) -> asyncio.Event:
    """Keep the first look from being made before this is set."""
    gate = asyncio.Event()
    original = here.store.pull_in

    async def pull_in(now: int, latest: int) -> None:
        await gate.wait()
        await original(now, latest)

    here.store.pull_in = pull_in  # type: ignore[method-assign]
    return gate


async def test_one_look_serves_many_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are validated after one look, though one is at a time; all are sent after the next."""
    monkeypatch.setattr(runner, "TICK_SECONDS", NEVER)
    async with world(tmp_path, look_seconds=NEVER) as here:
        gate, looks = held(here), counted(here)
        batches = [await here.submit(chat("a")) for _ in range(SOME)]
        gate.set()
        for batch in batches:
            await here.until(lambda work: work.batch.status is BatchStatus.IN_PROGRESS, batch)

        assert len(looks) == 1
        assert here.upstream.jobs == []

        here.runner.stop()
        again = runner.Runner(here.context)
        async with asyncio.TaskGroup() as group:
            group.create_task(again.run())
            for batch in batches:
                await here.until(lambda work: work.jobs[0].upstream_name, batch)
            again.stop()

        assert len(looks) > 2  # those that waited for a slot were looked for when one was free


async def test_looks_are_apart(tmp_path: Path) -> None:
    """However often jobs are due, and steps end."""
    async with world(tmp_path, look_seconds=0.1) as here:
        here.upstream.state = "RUNNING"
        looks, begun = counted(here), here.clock.monotonic()
        batch = await here.submit(chat("a"))
        await here.until(lambda _: here.upstream.calls.count("observe") >= 5, batch)

        assert len(looks) <= 2 + (here.clock.monotonic() - begun) / 0.1
        here.upstream.state = "SUCCEEDED"
        here.upstream.jobs[0].state = "SUCCEEDED"
        await here.ended(batch)


async def test_a_cancel_that_meets_the_claim_takes_the_intent_back(tmp_path: Path) -> None:
    """The intent was saved with the claim, of a batch that was cancelled since it was looked at."""
    async with world(tmp_path) as here:
        claim = here.store.claim_to_send
        given: list[Mapping[str, Intent]] = []

        async def late(
            placed: Mapping[str, str], turn: str, lease: int, intents: Mapping[str, Intent]
        ) -> Sequence[Work] | None:
            given.append(intents)
            await here.store.request_cancel(OWNER, batch.id, here.clock.now())
            return await claim(placed, turn, lease, intents)

        here.store.claim_to_send = late  # type: ignore[method-assign, assignment]
        batch = await here.submit(chat("a"))
        ended = await here.ended(batch)

        assert ended.status is BatchStatus.CANCELLED
        assert len(given[0]) == 1
        assert here.upstream.jobs == []


async def test_a_stop_that_meets_the_claim_takes_the_intent_back(tmp_path: Path) -> None:
    """What is next to start finds a job that waits, not one that may have been sent."""
    async with world(tmp_path) as here:
        claim = here.store.claim_to_send
        states: list[JobState] = []

        async def stopping(
            placed: Mapping[str, str], turn: str, lease: int, intents: Mapping[str, Intent]
        ) -> Sequence[Work] | None:
            claimed = await claim(placed, turn, lease, intents)
            states.extend(work.jobs[0].state for work in claimed or ())
            here.runner.stop()
            return claimed

        here.store.claim_to_send = stopping  # type: ignore[method-assign, assignment]
        batch = await here.submit(chat("a"))
        work = await here.until(lambda work: states and work.jobs[0].lease_until is None, batch)

        assert states == [JobState.SUBMITTING]
        assert work.jobs[0].state is JobState.PLANNED
        assert work.jobs[0].send_deadline is None
        assert here.upstream.jobs == []
