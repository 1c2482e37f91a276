"""The step that looks again for a job that was given up, and takes what it made, late."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.batches.batch import Batch, BatchStatus, Counts, TokenUsage
from gateway.batches.job import Job
from gateway.batches.lifecycle import CANCEL_AGAIN, wants_cancel
from gateway.batches.pacing import AGE_SHARE, LONGEST_PAUSE
from gateway.batches.patience import elapsed
from gateway.ports.store import BlobChange
from gateway.ports.upstream import Found
from gateway.runner import denials
from gateway.runner.context import JobClaim, StepContext, job_label
from gateway.runner.fill_step import unusable_files
from gateway.runner.job_steps import download
from gateway.runner.rendering import render_again, sources

logger = logging.getLogger(__name__)


async def recover(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Look again for a job that was given up; what it made is collected or kept, late."""
    now = context.clock.now()
    if now >= (claim.row.recover_until or 0):
        await claim.save(_recovered(claim.row))
        return
    if claim.row.raw is not None:
        await _collect_late(context, batch, claim)
        return
    job = await _found_again(context, claim.row)
    if job.upstream_name is None:
        await claim.save(replace(job, due_at=now + _recovery_pause(job, now)))
        return
    seen = await context.upstream.observe(job.upstream_name, job.credential)
    job = replace(denials.shown(context, job), upstream_state=seen.state, looked_at=now)
    if not seen.ended and (wants_cancel(job, now) or job.stuck_at is not None):
        await context.upstream.cancel(job.upstream_name or "", job.credential)
        job = replace(job, cancel_sent_at=now)
    if seen.output is not None:
        job = replace(job, output=seen.output)
        raw, seal = await download(context, job)
        if seal.bytes:
            change = BlobChange(live=[raw], seals={raw: seal})
            await claim.save(replace(job, raw=raw), blobs=change, keep=True)
            logger.info("%s: its raw results are here, late: %d bytes", job_label(job), seal.bytes)
            await _collect_late(context, batch, claim)
            return
    await claim.save(replace(job, due_at=now + _recovery_pause(job, now), failures=0))


async def _found_again(context: StepContext, job: Job) -> Job:
    """Return the job with its name, if a create whose answer was lost has one by now."""
    if job.upstream_name is not None:
        return job
    found = await context.upstream.find(job.display_name, job.credential, None)
    return replace(job, upstream_name=found.names[0]) if isinstance(found, Found) else job


def _recovery_pause(job: Job, now: int) -> int:
    """Return the pause: a tenth of the time since it ended or was given up, an hour at most."""
    return min(max(elapsed(job.ended_at, now) // AGE_SHARE, CANCEL_AGAIN), LONGEST_PAUSE)


def _recovered(job: Job) -> Job:
    """Return the job with nothing more to look for: what is left is to release it."""
    return replace(job, recover_until=None, due_at=0, failures=0, last_error=None)


async def _collect_late(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Render late results in the place of the errors, while nothing of the batch is published.

    Lines that follow-ups took are theirs; what the first attempt at them cost is usage all the
    same. After the end of the batch raw results are kept, for rendering again.
    """
    job = claim.row
    if batch.status is not BatchStatus.IN_PROGRESS:
        await claim.save(_recovered(job))
        return
    async with context.workplace() as place:
        made, whole = await _render_late(context, batch, job, place)
        run, index = await context.keep([made["run"], made["index"]])
    counts, usage = Counts(**made["counts"]), TokenUsage(**whole["usage"])
    # What was doubtful, at an unknown cost, and what was stuck were counted when their lines ran
    # again. Of any other job that ended without an output it shows only now that it is paid for.
    counted = job.cost is None or job.stuck_at is not None
    twice = 0 if counted else whole["counts"]["completed"] - counts.completed
    late = replace(
        _recovered(job),
        run=run,
        index=index,
        counts=counts,
        usage=usage,
        cost=whole["cost"],
        notes=made["notes"],
        unmatched=made["missing"] + made["unknown_keys"],
    )
    deletable = [blob for blob in (job.run, job.index) if blob is not None]
    await claim.save(
        late,
        counts=counts - job.counts,
        usage=usage - job.usage,
        paid_again=twice,
        blobs=BlobChange(live=[run, index], deletable=deletable),
    )
    logger.info("%s: late, %d of its lines are answered", job_label(job), counts.completed)


async def _render_late(
    context: StepContext, batch: Batch, job: Job, place: Path
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Render the lines that are still the job's; and all of its lines, for what they cost."""
    work = await context.store.load_work(batch.id)
    jobs = [] if work is None else work.jobs
    unusable = await unusable_files(context, job)
    blobs = {name: blob for name, (_, blob) in sources(job, jobs).items()}
    paths = {}
    for name, blob in {**blobs, **({"spool": job.spool} if unusable else {})}.items():
        await context.copy_to(blob, place / name)
        paths[name] = str(place / name)
    own = {name: path for name, path in paths.items() if not name.startswith("skip-")}
    told: dict[str, Any] = {"policy": batch.policy, "unusable": unusable}
    whole = await render_again(context, batch, job, own, **told)
    made = whole if own == paths else await render_again(context, batch, job, paths, **told)
    return made, whole
