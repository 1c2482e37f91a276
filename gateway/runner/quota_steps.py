"""The step that teaches the admission, around create; and the one that cuts a job again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from gateway.batches import quota as quotas
from gateway.batches.admission import Admission
from gateway.batches.batch import Batch
from gateway.batches.follow_ups import Piece, follow_up
from gateway.batches.job import Cause, Job, JobState
from gateway.batches.lifecycle import moved
from gateway.batches.pacing import next_retry
from gateway.batches.planning import display_name
from gateway.batches.quota import LIVE_JOBS, Quota, QuotaRules
from gateway.errors import UpstreamUnavailableError
from gateway.ids import jitter, new_job_id
from gateway.ports.metrics import Series
from gateway.ports.store import BlobChange
from gateway.runner import send_steps
from gateway.runner.context import JobClaim, StepContext, describe, job_label
from gateway.runner.cpu.recut import RecutTask

logger = logging.getLogger(__name__)

TOO_MANY_REQUESTS: Final = 429
RECUT_SECONDS: Final = 3600.0
# With other jobs at the upstream room comes back as these end: the pause grows no further.
SHARED_FAILURES: Final = 5


async def create(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Create, and learn from the answer. A refusal for want of quota is no failure of the job."""
    try:
        await send_steps.create(context, batch, claim)
    except UpstreamUnavailableError as error:
        if error.status != TOO_MANY_REQUESTS:
            raise
        context.meters.count(Series.RATE_LIMITED, call="create")
        until, why = await _refused(context, claim.row, error)
        again = replace(claim.row, due_at=until, failures=claim.row.failures + 1)
        error.add_note(why)
        again = replace(again, last_error=describe(error))
        await claim.save(send_steps.looked_for_again(context, again) or again)
        return
    if claim.row.state is JobState.RUNNING:
        await _accepted(context, claim)


async def _look(context: StepContext, job: Job) -> Admission:
    """Return what is at the upstream, that job aside."""
    rules, now = context.options.quota, context.clock.now()
    sent = await context.store.sent_jobs(but=[job.id])
    return Admission(rules, await context.store.quotas(), sent, now)


async def _accepted(context: StepContext, claim: JobClaim) -> None:
    """Learn from a create that went well, by what was seen when the job was admitted.

    Another look for each would read every job that is live.
    """
    job, seen = claim.row, claim.seen
    if seen is None:
        return
    rules, now = context.options.quota, context.clock.now()
    for model in (job.model, LIVE_JOBS):
        used = seen.used(job.credential, model)
        change = partial(quotas.accepted, rules=rules, used=used, now=now)
        known = seen.quota(job.credential, model)
        if change(known) != known:  # most creates teach nothing: a write for each would cost
            await context.store.learn(job.credential, model, change)


async def _refused(
    context: StepContext, job: Job, error: UpstreamUnavailableError
) -> tuple[int, str]:
    """Blame what is nearer to its limit, tokens or jobs; return until when to wait, and why."""
    seen, now = await _look(context, job), context.clock.now()
    model, more = _to_blame(seen, job)
    quota, used = seen.quota(job.credential, model), seen.used(job.credential, model)
    failures = min(quota.refusals + 1, SHARED_FAILURES) if used else quota.refusals + 1
    until = now + next_retry(failures, context.options.retry, jitter(), error.retry_after)
    change = partial(
        quotas.refused, rules=context.options.quota, used=used, more=more, until=until, now=now
    )
    learned = await context.store.learn(job.credential, model, change)
    what = "live jobs" if model == LIVE_JOBS else f"tokens of {model}"
    told = (job_label(job), used, more, what, learned.room)
    logger.info("%s: no quota for %d and %d more %s; from now on at most %s", *told)
    why = f"Google admits no more enqueued tokens of {job.model}, or live jobs"
    return until, why if used else _alone(context.options.quota, learned, more)


def _alone(rules: QuotaRules, learned: Quota, more: int) -> str:
    """Say that a job waits though it is alone; of one that is not cut again, the remedy as well."""
    why = f"429 though nothing else of {learned.model} is enqueued"
    if learned.refusals < quotas.REFUSALS_OF_SIZE or more > rules.floor(learned.model):
        return why
    return (
        f"{why}; this job has about {more:,} tokens and is not cut further. If Google's limit for"
        " your project is below that, name the limit in GATEWAY_ENQUEUED_TOKENS"
    )


def _to_blame(seen: Admission, job: Job) -> tuple[str, int]:
    """Learn from a 429, which does not tell tokens from jobs; a lone job has no other to blame."""
    tokens = seen.quota(job.credential, job.model).tokens(job.tokens)
    fills = {
        model: (seen.used(job.credential, model) + more) / max(seen.room(job.credential, model), 1)
        for model, more in ((job.model, tokens), (LIVE_JOBS, 1))
    }
    if seen.used(job.credential, LIVE_JOBS) and fills[LIVE_JOBS] > fills[job.model]:
        return LIVE_JOBS, 1
    return job.model, tokens


async def recut(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Put two jobs in the place of one of which nothing was created; its lines are in both once."""
    job = claim.row
    async with context.workplace() as place:
        await context.copy_to(job.spool, place / "spool")
        await context.copy_to(job.echo, place / "echo")
        task = RecutTask(str(place / "spool"), str(place / "echo"), str(place))
        summary = await context.workers.run("recut", task, RECUT_SECONDS)
        parts = summary["parts"]
        paths = [path for part in parts for path in (part["spool"], part["echo"])]
        names = await context.keep(paths)
    halves = [
        _half(context, job, part, names[2 * number : 2 * number + 2])
        for number, part in enumerate(parts)
    ]
    deletable = [blob for blob in (job.spool, job.echo, job.filled) if blob is not None]
    await claim.save(
        moved(job, JobState.COLLECTED, spool="", filled=None),
        jobs=halves,
        named={half.id: part["files"] for half, part in zip(halves, parts, strict=True)},
        blobs=BlobChange(live=names, deletable=deletable),
    )
    logger.info(
        "%s: too large for the quota, cut into %s", job_label(job), [half.id for half in halves]
    )


def _half(context: StepContext, job: Job, part: Mapping[str, Any], blobs: Sequence[str]) -> Job:
    """Put a part in the place of the whole: it has waited for as long."""
    job_id = new_job_id()
    # Both halves hold what was held for the whole: each takes what is of its lines.
    piece = Piece(held=job.held, **{**part, "spool": blobs[0], "echo": blobs[1]})
    names = (job_id, display_name(context.options.gateway_id, job_id))
    half = follow_up(job, Cause.RECUT, piece, names, context.clock.now())
    context.meters.count(Series.FOLLOW_UPS, cause=Cause.RECUT.value, model=job.model)
    return replace(half, created_at=job.created_at)
