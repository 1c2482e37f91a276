"""A claim across cancellation: what was being saved is not written over."""

import asyncio
from dataclasses import replace

import pytest

from gateway.batches.job import Job, JobState
from gateway.runner.context import JobClaim, LostClaimError

JOB = Job("j", "b", 0, "m", "x", 1, 1, 1, 1, "spool", "echo", "name", 0)


class Rows:
    """A store of one row whose writes can be held up."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.written: list[tuple[Job, bool]] = []
        self.fenced = False

    async def write(self, job: Job, *, keep: bool = False) -> bool:
        """As ``save_job``."""
        await self.free.wait()
        self.written.append((job, keep))
        return not self.fenced


async def test_a_save_behind_a_cancelled_step_is_the_last_word() -> None:
    """The name of a paid job survives a shutdown in the very moment it is saved.

    The step ends after its save, whose outcome it tells, and before it when it is ended again.
    """
    rows = Rows()
    claim = JobClaim(JOB, rows.write)
    running = replace(JOB, state=JobState.RUNNING, upstream_name="batches/1")
    step = asyncio.ensure_future(claim.save(running))
    for _ in range(2):
        await asyncio.sleep(0)
        assert not step.done()
        step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    ending = asyncio.ensure_future(claim.end())
    await asyncio.sleep(0)
    rows.free.set()

    await ending

    assert rows.written == [(running, False)]


async def test_an_open_claim_is_let_go_as_it_was_saved() -> None:
    """The intent stays, the lease goes."""
    rows = Rows()
    rows.free.set()
    claim = JobClaim(JOB, rows.write)
    intent = replace(JOB, state=JobState.SUBMITTING)
    await claim.save(intent, keep=True)

    await claim.end()
    await claim.end()

    assert rows.written == [(intent, True), (intent, False)]


async def test_a_lost_claim_says_so_once() -> None:
    """And is not written again."""
    rows = Rows()
    rows.free.set()
    rows.fenced = True
    claim = JobClaim(JOB, rows.write)

    with pytest.raises(LostClaimError):
        await claim.save(JOB)
    await claim.end()

    assert len(rows.written) == 1
