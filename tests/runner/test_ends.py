"""A batch ends when we say, with its reasons, and whatever the wall clock does."""

import asyncio
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.errors import UpstreamHeldError
from gateway.runner.runner import HELD
from tests.runner.world import HOUR, OWNER, World, chat, world

pytestmark = pytest.mark.slow

TWO = chat("a", "one") + chat("b", "two")
BILLING = UpstreamHeldError("a bill is due", status=403, code="BILLING_DISABLED")


async def cancel(here: World, batch_id: str) -> None:
    """As a client does."""
    await here.context.store.request_cancel(OWNER, batch_id, here.clock.now())
    here.runner.wake()


@pytest.mark.parametrize("way", ["cancel", "expiry"])
async def test_a_batch_ends_though_google_ignores_its_cancel(tmp_path: Path, way: str) -> None:
    """After a bounded wait, with the reason; the job is told to end on and on."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        here.upstream.deaf = True
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        if way == "cancel":
            await cancel(here, batch.id)
        else:
            here.clock.ahead = 24 * HOUR
        work = await here.until(lambda work: work.jobs[0].cancel_sent_at, batch)
        assert work.batch.status is BatchStatus.IN_PROGRESS

        here.clock.ahead += 31_000
        await here.until(lambda _: here.upstream.calls.count("cancel") == 2, batch)
        here.clock.ahead += 600_000
        done = await here.ended(batch)

        ends = {"cancel": BatchStatus.CANCELLED, "expiry": BatchStatus.EXPIRED}
        assert done.status is ends[way]
        rows = await here.lines(done.error_file_id)
        assert all("it was RUNNING 600 s after" in row["error"]["message"] for row in rows)
        assert "it was RUNNING 600 s after it was told to end" in (done.ended_because or "")
        assert (done.upstream_state, done.upstream_since is None) == ("RUNNING", False)

        told = here.upstream.calls.count("cancel")
        here.clock.ahead += 2 * HOUR
        here.runner.wake()
        await here.until(lambda _: here.upstream.calls.count("cancel") > told, batch)


async def test_a_batch_finished_in_time_is_completed_whenever_it_is_looked_at(
    tmp_path: Path,
) -> None:
    """A day later the job is looked at, not cancelled; it was expired, with 2 of 2 answers."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        here.upstream.jobs[0].state = "SUCCEEDED"
        here.clock.ahead = 25 * HOUR

        done = await here.ended(batch)

        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 2)
        assert "cancel" not in here.upstream.calls


async def test_a_second_with_a_wrong_clock_cancels_nothing(tmp_path: Path) -> None:
    """A day ahead for a moment: the second look finds the window open again."""
    async with world(tmp_path, polls=(400, 400)) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)

        here.clock.ahead = 25 * HOUR
        here.runner.wake()
        await here.until(lambda work: work.jobs[0].stop_at, batch)
        here.clock.ahead = 0
        here.upstream.jobs[0].state = "SUCCEEDED"
        done = await here.ended(batch)

        assert done.status is BatchStatus.COMPLETED
        assert "cancel" not in here.upstream.calls


@pytest.mark.parametrize("ahead", [HOUR, 48 * HOUR])
async def test_a_clock_that_is_set_back_stops_no_job(tmp_path: Path, ahead: int) -> None:
    """Running jobs stood still until the clock had caught up."""
    async with world(tmp_path) as here:
        here.clock.ahead = ahead
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].looked_at, batch)

        here.clock.ahead = 0
        here.upstream.jobs[0].state = "SUCCEEDED"

        assert (await here.ended(batch)).status is BatchStatus.COMPLETED


async def test_a_clock_that_is_set_back_while_the_disk_is_full_stops_no_job(tmp_path: Path) -> None:
    """What could not be written then is written later; jobs stood still for as long as above."""
    async with world(tmp_path) as here:
        here.clock.ahead = HOUR
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].looked_at, batch)

        here.clock.ahead = 0
        here.store.full = True
        here.runner.wake()
        await here.until(lambda _: here.store.late, batch)
        here.store.full = False
        here.upstream.jobs[0].state = "SUCCEEDED"

        assert (await here.ended(batch)).status is BatchStatus.COMPLETED


async def test_a_clock_that_is_set_back_during_a_poll_stops_no_job(tmp_path: Path) -> None:
    """What the poll then saves is due by the time that it had read: an hour from now."""
    async with world(tmp_path) as here:
        here.clock.ahead = HOUR
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].looked_at, batch)
        here.store.saves = saves = asyncio.Event()
        await here.until(lambda _: here.store.waiting, batch)

        pulled = here.store.pulled
        here.clock.ahead = 0
        here.runner.wake()
        await here.until(lambda _: here.store.pulled > pulled, batch)
        here.store.saves = None
        saves.set()
        here.upstream.jobs[0].state = "SUCCEEDED"

        assert (await here.ended(batch)).status is BatchStatus.COMPLETED


async def test_why_it_waited_outlives_the_end(tmp_path: Path) -> None:
    """On the batch and in its lines: a bill that was due all day."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [BILLING] * 100_000
        batch = await here.submit(TWO)
        first = await here.until(lambda work: work.batch.waiting_since, batch)
        later = await here.until(lambda work: work.jobs[0].failures > 4, batch)
        assert later.batch.waiting_since == first.batch.waiting_since

        here.clock.ahead = 25 * HOUR
        done = await here.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        held = HELD % "default"
        reason = f"the upstream answered 403 BILLING_DISABLED; {held}"
        assert done.ended_because == f"the completion window ended; {reason}"
        rows = await here.lines(done.error_file_id)
        assert all(reason in row["error"]["message"] for row in rows)
