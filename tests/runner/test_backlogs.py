"""Backlogs: what waits for one kind of step, or of one owner, stands before nothing else."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import Job, JobState
from gateway.batches.planning import JobLimits
from gateway.store import jobs
from gateway.store.session import Session
from tests.runner.world import World, chat, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

HIM = "him"
BACKLOG = 230  # more than the runner once looked at


async def backlog(here: World, method: str) -> None:
    """Many batches of one owner that wait for calls which do not return."""
    here.upstream.hanging[method] = asyncio.Event()
    batches = [await here.submit(chat("a")) for _ in range(BACKLOG)]
    await here.until(lambda work: work.batch.status is BatchStatus.IN_PROGRESS, batches[-1])


@pytest.mark.parametrize(("method", "inline_items"), [("create", 100), ("stage", 0)])
async def test_a_backlog_of_sending_holds_up_no_results(
    tmp_path: Path, method: str, inline_items: int
) -> None:
    """Another owner's job has ended: it is looked at, secured, collected and published."""
    async with world(tmp_path, inline_items=inline_items) as here:
        here.upstream.state = "RUNNING"
        his = await here.submit(chat("his"), owner=HIM)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, his)
        await backlog(here, method)

        here.upstream.jobs[0].state = "SUCCEEDED"
        done = await here.until(lambda work: work.batch.status is BatchStatus.COMPLETED, his)

        assert done.batch.counts.completed == 1
        here.upstream.state = "SUCCEEDED"
        here.upstream.hanging[method].set()


async def test_owners_take_turns_in_being_sent(tmp_path: Path) -> None:
    """One line of another owner behind a backlog is among the next that are sent."""
    async with world(tmp_path) as here:
        await backlog(here, "create")
        his = await here.submit(chat("his"), owner=HIM)
        await here.until(lambda work: work.jobs, his)

        here.upstream.hanging["create"].set()
        sent = await here.until(lambda work: work.jobs[0].state is not JobState.PLANNED, his)

        assert len(here.upstream.jobs) < BACKLOG / 2
        assert sent.jobs[0].failures == 0


async def test_polls_of_all_jobs_keep_to_a_budget(tmp_path: Path) -> None:
    """Jobs that are due every few hundredths of a second, and a hundred looks to begin with."""
    async with world(tmp_path, polls_per_minute=60) as here:
        here.upstream.state = "RUNNING"
        batches = [await here.submit(chat("a")) for _ in range(20)]
        for batch in batches:
            await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        await here.until(lambda _: here.upstream.calls.count("observe") >= 60, batches[0])
        begun = here.clock.monotonic()
        before = here.upstream.calls.count("observe")

        await here.until(lambda _: here.upstream.calls.count("observe") >= before + 4, batches[0])

        looked = here.upstream.calls.count("observe") - before
        assert looked <= 2 + here.clock.monotonic() - begun
        here.upstream.jobs[0].state = "SUCCEEDED"
        await here.ended(batches[0])


async def test_a_young_job_does_not_wait_for_all_that_are_overdue(tmp_path: Path) -> None:
    """Thirty are due again and again; the first look at a new one takes no thirty of theirs."""
    async with world(tmp_path, polls_per_minute=120) as here:
        here.upstream.state = "RUNNING"
        batches = [await here.submit(chat("a")) for _ in range(30)]
        for batch in batches:
            await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        await here.until(lambda _: here.upstream.calls.count("observe") >= 102, batches[0])
        here.clock.ahead += 600_000
        here.upstream.state = "SUCCEEDED"
        young = await here.submit(chat("young"))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, young)
        before = here.upstream.calls.count("observe")

        await here.until(lambda work: work.jobs[0].ended_at, young)

        assert here.upstream.calls.count("observe") - before < 20
        for job in here.upstream.jobs:
            job.state = "SUCCEEDED"


async def test_a_cancel_does_not_wait_behind_polls(tmp_path: Path) -> None:
    """Thirty jobs are due again and again, and more than may be looked at."""
    async with world(tmp_path, polls_per_minute=120) as here:
        here.upstream.state = "RUNNING"
        batches = [await here.submit(chat("a")) for _ in range(30)]
        for batch in batches:
            await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        await here.until(lambda _: here.upstream.calls.count("observe") >= 102, batches[0])
        before = here.upstream.calls.count("observe")

        await here.store.request_cancel(batches[-1].owner, batches[-1].id, here.clock.now())
        here.runner.wake()
        await here.until(lambda work: work.jobs[0].cancel_sent_at, batches[-1])

        assert here.upstream.calls.count("observe") - before < 20
        for job in here.upstream.jobs:
            job.state = "SUCCEEDED"


JOBS = 40


async def test_a_batch_of_many_jobs_costs_by_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read of its jobs at each end of one does not grow with the number of the others.

    Its row was woken by each job that was collected, and then all of its jobs were read.
    """
    read: list[int] = []
    original = jobs.of_batch

    async def counted(session: Session, batch_id: str) -> Sequence[Job]:
        found = await original(session, batch_id)
        read.append(len(found))
        return found

    monkeypatch.setattr(jobs, "of_batch", counted)
    alone = JobLimits(1, 2**29, 2**20, 100, 20)
    async with world(tmp_path, job_limits=alone) as here:
        batch = await here.submit(b"".join(chat(f"{n}") for n in range(JOBS)))
        async with asyncio.timeout(150):  # as World.until, which would read all of its jobs
            while (done := await here.get(batch)).status is not BatchStatus.COMPLETED:
                await here.clock.sleep(0.05)
    assert done.counts.completed == JOBS
    assert max(read) == JOBS
    assert sum(read) <= 5 * JOBS, read
