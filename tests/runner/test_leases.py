"""Several runners over one store: a lease that runs out, a process that is paused and wakes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from gateway.batches.batch import Batch
from gateway.clock import SharedClock
from gateway.errors import UpstreamUnavailableError
from gateway.runner.heartbeat import Heartbeat, set_clock
from gateway.runner.runner import Runner
from tests.conformance.moments import take_job
from tests.runner.world import HOUR, World, chat, world

LEASE = 60_000


@contextlib.asynccontextmanager
async def another(here: World) -> AsyncIterator[Runner]:
    """A second runner over the same records."""
    runner = Runner(here.context)
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        yield runner
        runner.stop()


class Gate(asyncio.Event):
    """An event that tells whether it is waited for."""

    reached = False

    async def wait(self) -> Literal[True]:
        """Wait."""
        self.reached = True
        return await super().wait()


async def calls(here: World, batch: Batch, method: str, count: int) -> None:
    """Wait for calls upstream."""
    await here.until(lambda _: here.upstream.calls.count(method) >= count, batch)


async def test_what_a_dead_process_held_is_taken_over(tmp_path: Path) -> None:
    """When its lease has run out, not before; without a restart."""
    async with world(tmp_path, lease=LEASE) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(chat("a"))
        job = (await here.until(lambda _: here.upstream.jobs, batch)).jobs[0]
        taken = None
        while taken is None:
            taken = await take_job(here.store, job.id, LEASE)  # what dies with this
        here.upstream.state = here.upstream.jobs[0].state = "SUCCEEDED"
        assert (await here.work(batch)).batch.status == "in_progress"
        here.clock.ahead += LEASE
        assert (await here.ended(batch)).status == "completed"
        assert not await here.store.save_job(taken)


async def test_a_failure_whose_record_is_in_doubt_ends_no_process(tmp_path: Path) -> None:
    """The connection broke in the commit: the claim counts as lost, and the row is taken over."""
    async with world(tmp_path, lease=LEASE) as here:
        here.store.doubts = 1
        here.upstream.script["observe"] = [UpstreamUnavailableError("busy", status=503)]
        batch = await here.submit(chat("a"))
        await here.until(lambda _: not here.store.doubts, batch)
        here.clock.ahead += LEASE
        assert (await here.ended(batch)).status == "completed"


async def test_the_heartbeat_keeps_what_is_held(tmp_path: Path) -> None:
    """A step may take longer than any lease."""
    async with world(tmp_path, lease=LEASE, inline_items=0) as here:
        here.upstream.hanging["stage"] = asyncio.Event()
        batch = await here.submit(chat("a"))
        job = (await here.until(lambda work: work.jobs, batch)).jobs[0]
        await calls(here, batch, "stage", 1)
        heartbeat = Heartbeat(here.store, here.runner, SharedClock(here.clock), LEASE)
        for _ in range(3):
            here.clock.ahead += LEASE - 1_000
            await heartbeat.beat()
        assert await take_job(here.store, job.id, LEASE) is None
        here.upstream.hanging["stage"].set()
        assert (await here.ended(batch)).status == "completed"
        assert here.upstream.calls.count("stage") == 1


async def test_who_hears_that_a_claim_is_lost_stops(tmp_path: Path) -> None:
    """And whoever has taken over ends the batch; what the first still does is not written."""
    async with world(tmp_path, lease=LEASE, inline_items=0) as here:
        hanging = here.upstream.hanging["stage"] = asyncio.Event()
        batch = await here.submit(chat("a"))
        await here.until(lambda work: work.jobs, batch)
        await calls(here, batch, "stage", 1)
        first = here.runner
        async with another(here) as second:
            here.clock.ahead += LEASE
            second.wake()
            await calls(here, batch, "stage", 2)
            [row] = first.held()
            await Heartbeat(here.store, first, SharedClock(here.clock), LEASE).beat()
            await here.until(lambda _: not first.held(), batch)
            assert [(one.id, one.fence > row.fence) for one in second.held()] == [(row.id, True)]
            hanging.set()
            assert (await here.ended(batch)).status == "completed"
    assert here.upstream.calls.count("create") == 1


async def test_a_create_that_comes_through_too_late_is_cancelled(tmp_path: Path) -> None:
    """A process was stopped in the middle of it; another waited, looked twice, created again."""
    async with world(tmp_path, lease=LEASE) as here:
        here.upstream.state = "RUNNING"
        hanging = here.upstream.hanging["create"] = Gate()
        batch = await here.submit(chat("a"))
        await here.until(lambda _: hanging.reached, batch)
        first, here.upstream.hanging = here.runner, {}
        async with another(here) as second:
            here.clock.ahead += HOUR
            second.wake()
            runs = await here.until(lambda work: work.jobs[0].upstream_name, batch)
            hanging.set()
            await here.until(lambda _: not first.held() and len(here.upstream.jobs) == 2, batch)
            await here.until(lambda _: any(job.cancelled for job in here.upstream.jobs), batch)
    late = [job for job in here.upstream.jobs if job.name != runs.jobs[0].upstream_name]
    assert [job.cancelled for job in late] == [True]


async def test_the_clock_is_set_to_that_of_the_records(tmp_path: Path) -> None:
    """Whatever the machine's own clock says."""
    async with world(tmp_path) as here:
        clock = SharedClock(here.clock)

        class Ahead:
            async def now(self) -> int:
                return here.clock.now() + HOUR

        await set_clock(Ahead(), clock)  # type: ignore[arg-type]  # the one method that is asked
        assert abs(clock.now() - here.clock.now() - HOUR) < 5_000
