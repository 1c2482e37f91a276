"""A job belongs to the key that made it: under another one nothing is gone, and nothing absent."""

import asyncio
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from gateway.errors import UpstreamAmbiguousError, UpstreamUnavailableError
from tests.runner.world import HOUR, OWNER, World, chat, naming, world

TWO = chat("a", "one") + chat("b", "two")
FOREIGN = "this job was made with another Gemini key"


def turn(here: World, key: str, project: str) -> None:
    """Set another key."""
    here.upstream.key, here.upstream.project = key, project
    here.runner.wake()


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize("doubtful", [True, False], ids=["in doubt", "running"])
async def test_the_window_ends_a_job_whose_key_never_comes_back(
    tmp_path: Path, doubtful: bool
) -> None:
    """A batch ends when we say, though nothing decides what became of its job."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        if doubtful:
            lost = UpstreamAmbiguousError("no answer", status=500)
            here.upstream.script["create"] = [lost]
            here.upstream.script["find"] = [UpstreamUnavailableError("busy", status=503)]
        batch = await here.submit(TWO)
        sent = "doubt" if doubtful else "upstream_name"
        await here.until(lambda work: work.jobs and getattr(work.jobs[0], sent), batch)
        turn(here, "second", "two")
        await here.until(lambda work: FOREIGN in (work.jobs[0].last_error or ""), batch)
        here.clock.ahead = 24 * HOUR
        await here.until(lambda work: work.jobs[0].stop_at, batch)
        here.clock.ahead += 700_000
        here.runner.wake()

        done = await here.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        rows = await here.lines(done.error_file_id)
        assert {row["custom_id"] for row in rows} == {"a", "b"}
        assert all(FOREIGN in row["error"]["message"] for row in rows)
        assert "cancel" not in here.upstream.calls
        assert here.upstream.calls.count("create") == 1


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
        async with asyncio.timeout(60):
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
        assert record.message.startswith("1 job paid for with another")


BUSY = UpstreamUnavailableError("busy", status=503)


@pytest.mark.parametrize("inline_items", [100, 0], ids=["inline", "file"])
@pytest.mark.parametrize("project", ["one", "two"])
async def test_files_of_another_key_are_looked_for_before_they_are_named(
    tmp_path: Path, inline_items: int, project: str
) -> None:
    """A job was created that named what its project does not have: each such line failed, paid.

    A key of the same project sees them: nothing is uploaded again.
    """
    async with world(tmp_path, inline_items=inline_items) as here:
        here.upstream.script["create"] = [BUSY] * 9999
        file = await here.upload(b"%PDF-1.7", "a.pdf")
        batch = await here.submit(naming("a", file.id) + chat("b"))
        await here.until(lambda _: here.upstream.calls.count("create") > 3, batch)
        turn(here, "second", project)
        await here.until(lambda _: "observe_file" in here.upstream.calls, batch)
        here.upstream.script["create"].clear()
        done = await here.ended(batch)

        assert done.counts.completed == 2
        [job] = here.upstream.jobs
        [name] = [name for name in here.upstream.projects if f'/{name}"'.encode() in job.spool]
        assert here.upstream.projects[name] == project
        assert here.upstream.calls.count("stage_file") == (1 if project == "one" else 2)


async def test_a_job_that_runs_keeps_the_files_of_its_project(tmp_path: Path) -> None:
    """It is held; another job of the new key has copies of its own."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        file = await here.upload(b"%PDF-1.7", "a.pdf")
        first = await here.submit(naming("a", file.id))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, first)
        turn(here, "second", "two")
        here.upstream.state = "SUCCEEDED"
        second = await here.ended(await here.submit(naming("b", file.id)))
        assert second.counts.completed == 1
        assert here.upstream.there >= {"files/c0"}

        here.upstream.jobs[0].state = "SUCCEEDED"
        turn(here, "first", "one")
        assert (await here.ended(first)).counts.completed == 1
        assert len(here.upstream.jobs) == 2
