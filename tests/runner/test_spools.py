"""What waits to be sent is removed as soon as no job needs it, not at the end of the batch."""

from pathlib import Path
from typing import Final

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import DONE_STATES, JobState
from gateway.batches.planning import JobLimits
from gateway.ports.store import Work
from tests.runner.world import World, chat, kept, naming, sweep, world

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("both_places")]

JOBS: Final = 20
ONE_BY_ONE: Final = JobLimits(10, 2**29, 2**20, 0, 20)  # ten items a job, by file
TEXT: Final = "word " * 200
LINES: Final = b"".join(chat(str(line), f"{line} {TEXT}") for line in range(10 * JOBS))


def done(work: Work) -> int:
    """Count the jobs that are collected."""
    return sum(job.state in DONE_STATES for job in work.jobs)


async def swept(here: World) -> None:
    """Let the sweep take what is not needed."""
    here.clock.ahead += 1000
    await sweep(here.context)


async def running(here: World, batch: Batch) -> Work:
    """Wait until each job runs at the upstream."""
    return await here.until(
        lambda work: work.jobs and all(job.state is JobState.RUNNING for job in work.jobs), batch
    )


async def test_the_spools_of_a_batch_go_one_by_one(tmp_path: Path) -> None:
    """A day of disk for each: with one job left of twenty, all their requests still lay there."""
    async with world(tmp_path, job_limits=ONE_BY_ONE) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(LINES)
        spools = [job.spool for job in (await running(here, batch)).jobs]
        before = kept(tmp_path)
        assert len(spools) == JOBS
        assert sum(before[spool] for spool in spools) > len(LINES) // 2

        for job in here.upstream.jobs[:-1]:
            job.state = "SUCCEEDED"
        here.runner.wake()
        work = await here.until(lambda work: done(work) == JOBS - 1, batch)
        await swept(here)

        left = {job.spool for job in work.jobs} - {""}
        assert len(left) == 1
        assert set(spools) & kept(tmp_path).keys() == left
        here.upstream.jobs[-1].state = "SUCCEEDED"
        here.runner.wake()
        ended = await here.ended(batch)
        assert (ended.status, ended.counts.completed) == (BatchStatus.COMPLETED, 10 * JOBS)


async def test_a_follow_up_has_its_own(tmp_path: Path) -> None:
    """What it is cut from goes in the transaction that makes it."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.state = "RUNNING"
        here.upstream.spoilt = [{"2": {"error": {"code": 13, "message": "again"}}}]
        batch = await here.submit(chat("a") + chat("b"))
        [first] = (await running(here, batch)).jobs
        here.upstream.state = here.upstream.jobs[0].state = "SUCCEEDED"
        here.runner.wake()
        assert (await here.ended(batch)).counts.completed == 2
        assert [job.spool for job in (await here.work(batch)).jobs] == ["", ""]
        await swept(here)
        assert first.spool not in kept(tmp_path)


async def test_a_full_disk_costs_no_spool(tmp_path: Path) -> None:
    """It goes with the record of the answers and not before: what is not collected needs it."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(chat("a") + chat("b"))
        [job] = (await running(here, batch)).jobs
        here.store.full = True
        here.upstream.jobs[0].state = "SUCCEEDED"
        here.runner.wake()
        await here.until(lambda _: here.runner.trouble is not None, batch)
        await swept(here)
        assert job.spool in kept(tmp_path)
        here.store.full = False
        here.runner.wake()
        assert (await here.ended(batch)).counts.completed == 2


async def test_what_names_copies_goes_once_it_is_sent(tmp_path: Path) -> None:
    """The requests with the copies' URIs in them are a second spool, of no use after the create."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.state = "RUNNING"
        pdf = await here.upload(b"%PDF-1.7", "report.pdf")
        batch = await here.submit(naming("a", pdf.id))
        [job] = (await running(here, batch)).jobs
        await swept(here)
        assert job.filled is None
        # The input, the document's two parts, the requests and the answer hints; none with URIs.
        assert len(kept(tmp_path)) == 5
        assert job.spool in kept(tmp_path)
        here.upstream.jobs[0].state = "SUCCEEDED"
        here.runner.wake()
        assert (await here.ended(batch)).counts.completed == 1
