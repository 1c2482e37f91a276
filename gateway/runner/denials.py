"""Jobs and results that the upstream denies: time passes, then witnesses decide.

The rule is in :mod:`gateway.batches.patience`. While a denial is not believed, its error goes on to
the supervisor, which notes it on the job (``batch.gateway`` says it) and pauses, ever longer.
"""

import logging
from dataclasses import replace

from gateway.batches.job import Failure, Job, JobState
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
from gateway.runner.context import JobClaim, Tools, named

logger = logging.getLogger(__name__)

FOREIGN = (
    "this job was made with another Gemini key; it goes on with that key, or one of its project"
)
LOST_RAW = "the raw results on the disk are gone or changed, they are fetched again"
NO_RESULTS = "what the upstream serves as results has no result in it"


async def believe_job(tools: Tools, claim: JobClaim, error: UpstreamError) -> None:
    """Give a job up that has been denied for hours and that a working listing lacks too.

    Errors: the denial, while it is not believed.
    """
    await _note(tools, claim, error)
    job = claim.row
    if not is_overdue(job, tools.clock.now(), tools.options.patience):
        raise error
    if await _is_listed(tools, job):
        raise error
    await _give_up(tools, claim, GONE)


def shown(tools: Tools, job: Job) -> Job:
    """Return the job once it was shown (again): the key that saw it is as good as its own."""
    return replace(undenied(job), made_by=tools.key_of(job))


def require_own_key(tools: Tools, job: Job) -> None:
    """Errors: UpstreamHeldError for a job that was made with another key than the one set now."""
    if tools.is_foreign(job):
        raise UpstreamHeldError(FOREIGN)


async def _note(tools: Tools, claim: JobClaim, error: UpstreamError) -> None:
    require_own_key(tools, claim.row)
    await claim.save(denied(claim.row, tools.clock.now()), keep=True)
    if claim.row.denials == 1:
        logger.warning("%s: the upstream denies it: %s", named(claim.row), error.code or "")


async def _is_listed(tools: Tools, job: Job) -> bool:
    """Whether the job may still be there, by a listing. One that shows nothing proves little."""
    now = tools.clock.now()
    known = await tools.store.running_job(job, now - tools.options.settle)
    if known is None and not is_overdue(job, now, tools.options.patience, proven=False):
        return True
    found = await tools.upstream.find(
        job.display_name, job.credential, known.upstream_name if known else None
    )
    return not isinstance(found, Absent)


async def _give_up(tools: Tools, claim: JobClaim, failure: Failure) -> None:
    logger.error("%s: given up, and looked for on: %s", named(claim.row), failure.code)
    await claim.save(given_up(claim.row, failure, tools.clock.now()))


async def believe_results(tools: Tools, claim: JobClaim, error: UpstreamError) -> None:
    """Give results up that have been denied for hours, once the job shows no output either.

    While it does, for as long as the upstream keeps files. Errors: the denial, while it is not
    believed.
    """
    await _note(tools, claim, error)
    job = claim.row
    now = tools.clock.now()
    if not is_overdue(job, now, tools.options.patience):
        raise error
    if elapsed(job.ended_at, now) < UPSTREAM_LIFE and await _has_output(tools, job):
        raise error
    await _give_up(tools, claim, Failure(RESULTS_LOST, error.message, 500))


async def fetch_again(tools: Tools, claim: JobClaim) -> bool:
    """Of what was fetched not one line is a result: it is no result file, ask again.

    False when that has been so for long: then the lines count as missing.
    """
    job = denied(claim.row, tools.clock.now())
    if is_empty(job, tools.clock.now(), tools.options.patience):
        return False
    pause = next_retry(job.denials, tools.options.retry, jitter())
    due = tools.while_ending(job, tools.clock.now() + pause)
    again = moved(job, JobState.ENDED, raw=None, due_at=due, failures=1, last_error=NO_RESULTS)
    doomed = [] if job.raw is None else [job.raw]
    logger.warning("%s: %s", named(job), NO_RESULTS)
    await claim.save(again, blobs=BlobChange(doomed=doomed))
    return True


async def fetch_lost(tools: Tools, claim: JobClaim) -> None:
    """Fetch raw results again that the disk lost or changed: the upstream still has them."""
    job = denied(claim.row, tools.clock.now())
    due = tools.while_ending(
        job, tools.clock.now() + next_retry(job.denials, tools.options.retry, jitter())
    )
    logger.error("%s: %s", named(job), LOST_RAW)
    again = moved(job, JobState.ENDED, raw=None, due_at=due, failures=1, last_error=LOST_RAW)
    doomed = [] if job.raw is None else [job.raw]
    await claim.save(again, blobs=BlobChange(doomed=doomed))


async def _has_output(tools: Tools, job: Job) -> bool:
    try:
        seen = await tools.upstream.observe(job.upstream_name or "", job.credential)
    except UpstreamGoneError:
        return await _is_listed(tools, job)
    return seen.output is not None
