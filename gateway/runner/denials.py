"""Jobs and results that the upstream denies: time passes, then witnesses decide.

The rule is in :mod:`gateway.batches.patience`. While a denial is not believed, its error goes on to
the supervisor, which notes it on the job (``batch.gateway`` says it) and pauses, ever longer.
"""

import logging
from dataclasses import replace
from typing import Final

from gateway.batches.job import Cause, Failure, Job, JobState
from gateway.batches.lifecycle import moved
from gateway.batches.pacing import next_retry
from gateway.batches.patience import (
    GONE,
    RESULTS_LOST,
    UPSTREAM_LIFE,
    denied,
    elapsed,
    given_up,
    is_empty,
    is_overdue,
    undenied,
)
from gateway.errors import UpstreamError, UpstreamGoneError, UpstreamHeldError
from gateway.ids import jitter
from gateway.ports.store import BlobChange
from gateway.ports.upstream import Absent
from gateway.runner.context import JobClaim, StepContext, job_label

logger = logging.getLogger(__name__)

FOREIGN: Final = (
    "this job was made with another Gemini key; it goes on with that key, or one of its project"
)
NOT_SHOWN: Final = "Google does not show this job now, which is asked for again for hours"
NOT_GIVEN: Final = (
    "Google does not give this job's results now, which are asked for again for hours"
)
LOST_RAW: Final = "the raw results on the disk are gone or changed, they are fetched again"
NO_RESULTS: Final = "what the upstream serves as results has no result in it"


async def believe_job(context: StepContext, claim: JobClaim, error: UpstreamError) -> None:
    """Give a job up that has been denied for hours and that a working listing lacks too.

    Errors: the denial, while it is not believed.
    """
    error.add_note(NOT_SHOWN)
    await _note(context, claim, error)
    job = claim.row
    if not is_overdue(job, context.clock.now(), context.options.patience):
        raise error
    if await _is_listed(context, job):
        raise error
    await _give_up(context, claim, GONE)


def shown(context: StepContext, job: Job) -> Job:
    """Return the job once it was shown (again): the key that saw it is as good as its own."""
    if (job.denied_at, job.denials, job.made_by) == (None, 0, context.key_of(job)):
        return job
    return replace(undenied(job), made_by=context.key_of(job))


def require_own_key(context: StepContext, job: Job) -> None:
    """Hold a job that another key made than the one set now. Errors: UpstreamHeldError."""
    if context.is_foreign(job):
        raise UpstreamHeldError(FOREIGN)


async def _note(context: StepContext, claim: JobClaim, error: UpstreamError) -> None:
    require_own_key(context, claim.row)
    await claim.save(denied(claim.row, context.clock.now()), keep=True)
    if claim.row.denials == 1:
        logger.warning("%s: the upstream denies it: %s", job_label(claim.row), error.code or "")


async def _is_listed(context: StepContext, job: Job) -> bool:
    """Whether the job may still be there, by a listing. One that shows nothing proves little."""
    now = context.clock.now()
    known = await context.store.running_job(job, now - context.options.settle)
    if known is None and not is_overdue(job, now, context.options.patience, proven=False):
        return True
    found = await context.upstream.find(
        job.display_name, job.credential, known.upstream_name if known else None
    )
    return not isinstance(found, Absent)


async def _give_up(context: StepContext, claim: JobClaim, failure: Failure) -> None:
    logger.error("%s: given up, and looked for on: %s", job_label(claim.row), failure.code)
    await claim.save(given_up(claim.row, failure, context.clock.now()))


async def believe_results(context: StepContext, claim: JobClaim, error: UpstreamError) -> None:
    """Give results up that have been denied for hours, once the job shows no output either.

    While it does, for as long as the upstream keeps files. Errors: the denial, while it is not
    believed.
    """
    error.add_note(NOT_GIVEN)
    await _note(context, claim, error)
    job = claim.row
    now = context.clock.now()
    if not is_overdue(job, now, context.options.patience):
        raise error
    if elapsed(job.ended_at, now) < UPSTREAM_LIFE and await _has_output(context, job):
        raise error
    await _give_up(context, claim, Failure(RESULTS_LOST, error.message, 500))


async def fetch_again(context: StepContext, claim: JobClaim) -> bool:
    """Ask again for results of which not one line is a result: that is no result file.

    False when that has been so for long: then the lines count as missing.
    """
    job = denied(claim.row, context.clock.now())
    if is_empty(job, context.clock.now(), context.options.patience):
        return False
    pause = next_retry(job.denials, context.options.retry, jitter())
    due = context.while_ending(job, context.clock.now() + pause)
    again = moved(job, JobState.ENDED, raw=None, due_at=due, failures=1, last_error=NO_RESULTS)
    deletable = [] if job.raw is None else [job.raw]
    logger.warning("%s: %s", job_label(job), NO_RESULTS)
    await claim.save(again, blobs=BlobChange(deletable=deletable))
    return True


async def fetch_lost(context: StepContext, claim: JobClaim) -> None:
    """Fetch raw results again that the disk lost or changed: the upstream still has them.

    Answers of synchronous calls are in the records until they are collected.
    """
    job = denied(claim.row, context.clock.now())
    due = context.while_ending(
        job, context.clock.now() + next_retry(job.denials, context.options.retry, jitter())
    )
    logger.error("%s: %s", job_label(job), LOST_RAW)
    state = JobState.RESCUING if job.cause is Cause.RESCUE else JobState.ENDED
    again = moved(job, state, raw=None, due_at=due, failures=1, last_error=LOST_RAW)
    deletable = [] if job.raw is None else [job.raw]
    await claim.save(again, blobs=BlobChange(deletable=deletable))


async def _has_output(context: StepContext, job: Job) -> bool:
    try:
        seen = await context.upstream.observe(job.upstream_name or "", job.credential)
    except UpstreamGoneError:
        return await _is_listed(context, job)
    return seen.output is not None
