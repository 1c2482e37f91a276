"""A job belongs to the key that made it: under another one nothing is gone, and nothing absent."""

import asyncio
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from gateway.errors import UpstreamAmbiguousError, UpstreamUnavailableError
from tests.runner.world import HOUR, OWNER, World, chat, world

TWO = chat("a", "one") + chat("b", "two")
FOREIGN = "this job was made with another Gemini key"


def turn(here: World, key: str, project: str) -> None:
    """Set another key."""
    here.upstream.key, here.upstream.project = key, project
    here.runner.wake()


async def test_a_job_under_a_key_of_another_project_is_held(tmp_path: Path) -> None:
    """However long; it goes on when its key is back. It was lost within ten seconds."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        turn(here, "second", "two")
        waiting = await here.until(lambda work: work.jobs[0].failures > 8, batch)
        assert FOREIGN in (waiting.batch.last_error or "")
        here.clock.ahead = 20 * HOUR
        await here.until(lambda work: work.jobs[0].failures > 10, batch)

        here.upstream.jobs[0].state = "SUCCEEDED"
        turn(here, "first", "one")
        done = await here.ended(batch)

        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 2)
        assert len(here.upstream.jobs) == 1


async def test_another_key_of_the_same_project_goes_on(tmp_path: Path) -> None:
    """A key that is turned; the job is its own from then on."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        turn(here, "second", "one")

        work = await here.until(lambda work: work.jobs[0].made_by == "second", batch)

        assert work.batch.last_error is None
        here.upstream.jobs[0].state = "SUCCEEDED"
        assert (await here.ended(batch)).counts.completed == 2


async def test_results_under_another_key_are_held(tmp_path: Path) -> None:
    """Neither lost after hours nor fetched."""
    async with world(tmp_path) as here:
        here.upstream.script["fetch"] = [UpstreamUnavailableError("busy", status=503)] * 3
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].state is JobState.ENDED, batch)
        turn(here, "second", "two")
        here.clock.ahead = 20 * HOUR
        await here.until(lambda work: FOREIGN in (work.batch.last_error or ""), batch)

        turn(here, "first", "one")
        assert (await here.ended(batch)).counts.completed == 2


async def test_nothing_is_created_again_under_another_key(tmp_path: Path) -> None:
    """An empty listing there is no absence: that made a second job, paid too."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamAmbiguousError("no answer", status=500)]
        here.upstream.script["find"] = [UpstreamUnavailableError("busy", status=503)]
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].doubt, batch)
        turn(here, "second", "two")

        waiting = await here.until(lambda work: work.jobs[0].failures > 6, batch)
        assert FOREIGN in (waiting.batch.last_error or "")
        assert here.upstream.calls.count("create") == 1
        turn(here, "first", "one")
        done = await here.ended(batch)

        assert done.counts.completed == 2
        assert len(here.upstream.jobs) == 1


async def test_a_cancel_under_another_key_ends_in_time(tmp_path: Path) -> None:
    """It is never taken for sent; the batch ends without the job, and says why on its lines."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        turn(here, "second", "two")
        await here.context.store.request_cancel(OWNER, batch.id, here.clock.now())
        here.runner.wake()
        await here.until(lambda work: work.jobs[0].failures > 3, batch)

        here.clock.ahead = 700_000
        here.runner.wake()
        done = await here.ended(batch)

        rows = await here.lines(done.error_file_id)
        assert done.status is BatchStatus.CANCELLED
        assert all(FOREIGN in row["error"]["message"] for row in rows)
        assert "cancel" not in here.upstream.calls

        turn(here, "first", "one")
        here.clock.ahead = 3 * HOUR
        async with asyncio.timeout(30):
            while not here.upstream.jobs[0].cancelled:
                here.runner.wake()
                await here.clock.sleep(0.01)


async def test_a_start_with_another_key_is_said_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One sentence, with the number of jobs."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        here.runner.stop()
        here.upstream.key = "second"

        await here.runner.run()

        [record] = [each for each in caplog.records if "another Gemini key" in each.message]
        assert record.levelname == "ERROR"
        assert record.message.startswith("1 jobs that are paid for")
