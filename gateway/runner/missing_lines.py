"""Lines that are in no run when a batch is about to be published, sent again.

A count that does not add up is never published. Such a line runs again within the bounds of every
follow-up: so many times, and while the window is open.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.follow_ups import may_run_again
from gateway.batches.job import Cause, Job
from gateway.runner.context import StepContext, job_label
from gateway.runner.cpu.recut import SeekTask
from gateway.runner.follow_step import Follower, follower
from gateway.runner.mending import bring_left, remade
from gateway.runner.named_files import find_files

logger = logging.getLogger(__name__)

SEEK_SECONDS: Final = 4 * 3600.0
FAULT: Final = "an answer that the gateway lost"


async def send_again(
    context: StepContext, batch: Batch, jobs: Sequence[Job], missing: str, place: Path
) -> list[Follower]:
    """Return the jobs that run again what is missing, as far as it may; their blobs are kept.

    A line goes to the last of the jobs that had it: nothing but that knows how often it ran.
    """
    now = context.clock.now()
    made: list[Follower] = []
    number = max((job.number for job in jobs), default=-1)
    for job in sorted(jobs, key=lambda each: -each.attempt):
        own = place / f"missing-{job.number}"
        own.mkdir()
        found = await _sought(context, batch, job, missing, own)
        if found is None:
            continue
        missing = found["missing"]
        if not may_run_again(batch, replace(job, failure=None), context.options.retries, now):
            continue
        for part in found["parts"]:
            number += 1
            one = await follower(context, job, Cause.RETRY, part)
            again = replace(one.job, number=number, held=job.held, fault=FAULT, inline=False)
            made.append(replace(one, job=again))
            logger.error("%s: %d of its lines are in no run", job_label(job), again.lines)
    return made


async def _sought(
    context: StepContext, batch: Batch, job: Job, missing: str, place: Path
) -> dict[str, Any] | None:
    """Pick what is missing out of a job; None if what it had sent cannot be had any more."""
    left = dict(await bring_left(context, job, place))
    if not {"spool", "echo"} <= left.keys():
        made = await remade(context, batch, job, left, place)
        if made is None:
            return None
        left = {"spool": made["spool"], "echo": made["echo"], **left}
    task = SeekTask(left["spool"], left["echo"], str(place), missing)
    return await context.workers.run("seek", task, SEEK_SECONDS)


async def files_of(
    context: StepContext, batch: Batch, made: Sequence[Follower]
) -> dict[str, dict[str, str]]:
    """Return which uploaded files the new jobs name, and of which media types."""
    named = {}
    for one in made:
        found = await find_files(context, batch.owner, one.files)
        named[one.job.id] = dict(found.media_types)
    return named
