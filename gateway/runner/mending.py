"""Mending: what the disk has lost or changed of a live job is made again, or the job ends without.

Requests (spool) and answer hints (echo) come from the input, under the batch's stored policy. When
that is gone too, the lines get an error: a batch always ends.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.follow_ups import may_be_divided
from gateway.batches.job import Cause, Failure, Job, JobState
from gateway.batches.lifecycle import moved, stop_reason
from gateway.batches.pacing import next_retry, patient
from gateway.errors import DamagedBlobError
from gateway.ids import jitter
from gateway.ports.store import BlobChange
from gateway.runner.context import (
    MAX_DEFECTS,
    JobClaim,
    StepContext,
    job_label,
)
from gateway.runner.cpu.hold import HoldTask
from gateway.runner.cpu.remake import RemakeTask
from gateway.runner.send_steps import UNSENT
from gateway.units import counted
from gateway.wire.gemini import INLINE

logger = logging.getLogger(__name__)

REMAKE_SECONDS: Final = 4 * 3600.0
WAITING: Final = frozenset({JobState.PLANNED, JobState.STAGING})

LOST: Final = Failure(
    "gateway_data_lost",
    "The gateway's disk has lost or changed what it kept of this request, which cannot be made"
    " again from the input file. Check the disk, and send the request again.",
    500,
)


async def mend(
    context: StepContext, batch: Batch, claim: JobClaim, damage: DamagedBlobError
) -> None:
    """Make again what a step of this job has found damaged; the step comes again after a pause.

    Errors: the damage, if it is of nothing that is the job's to make again.
    """
    job = claim.row
    logger.error("%s: %s: it is made again", job_label(job), damage)
    if damage.blob == job.filled:
        await _save(context, claim, _unfilled(job), damage)
    elif damage.blob == job.held:
        await _mend_held(context, claim, damage)
    elif damage.blob == job.raw and job.recover_until is not None:
        await _save(context, claim, replace(job, raw=None), damage)
    elif damage.blob in {job.spool, job.echo}:
        await _mend_requests(context, batch, claim, damage)
    else:
        raise damage


def _unfilled(job: Job) -> Job:
    """Drop the spool that names the files' copies; which item was refused was said of it."""
    if job.state is JobState.STAGING:
        job = moved(job, JobState.PLANNED)
    failure = None if job.failure is None else replace(job.failure, item=None)
    nothing: dict[str, Any] = dict(UNSENT)
    return replace(job, failure=failure, **nothing)


async def _save(
    context: StepContext,
    claim: JobClaim,
    job: Job,
    damage: DamagedBlobError,
    live: Sequence[str] = (),
) -> None:
    """Save the mended job, due after a pause that grows: a disk may go on like this."""
    before = claim.row
    old = {before.spool, before.echo, before.filled, before.held, before.raw}
    kept = {job.spool, job.echo, job.filled, job.held, job.raw}
    deletable = [name for name in old - kept if name]
    defects = before.defects + 1
    pause = next_retry(defects, patient(context.options.retry), jitter())
    due = context.while_ending(job, context.clock.now() + pause)
    mended = replace(
        job,
        due_at=due,
        defects=defects,
        failures=before.failures + 1,
        last_error=f"{damage}: it is made again",
    )
    await claim.save(mended, blobs=BlobChange(live=live, deletable=deletable))


async def _mend_requests(
    context: StepContext, batch: Batch, claim: JobClaim, damage: DamagedBlobError
) -> None:
    job = claim.row
    async with context.workplace() as place:
        left = await bring_left(context, job, place)
        made = None
        if job.defects < MAX_DEFECTS or _may_wait(context, batch, job):
            made = await remade(context, batch, job, left, place)
        if made is None:
            await _do_without(context, claim, left, place)
            return
        lost = [name for name in ("spool", "echo") if name not in left]
        names = await context.keep([made[name] for name in lost])
    changes: dict[str, Any] = dict(zip(lost, names, strict=True))
    if "spool" in lost:
        changes |= {"bytes": made["bytes"], "tokens": made["tokens"]}
    await _save(context, claim, replace(job, **changes), damage, names)


async def _mend_held(context: StepContext, claim: JobClaim, damage: DamagedBlobError) -> None:
    """Take what predecessors were answered from their raw results; it is paid for.

    Where these are gone too, the line lacks items that nothing can send again: it gets an error.
    """
    job = claim.row
    async with context.workplace() as place:
        raws, inlines = await _raws_before(context, job, place)
        if raws:
            task = HoldTask(raws, inlines, str(place))
            made = await context.workers.run("hold", task, REMAKE_SECONDS)
            [held] = await context.keep([made["held"]])
            await _save(context, claim, replace(job, held=held), damage, [held])
        else:
            claim.row = replace(job, held=None)
            await _do_without(context, claim, await bring_left(context, claim.row, place), place)


async def _raws_before(context: StepContext, job: Job, place: Path) -> tuple[list[str], list[bool]]:
    """Bring the raw results of all attempts before, as far as they are whole; which are inline."""
    work = await context.store.load_work(job.batch_id)
    jobs = {each.id: each for each in (work.jobs if work else ())}
    raws, inlines = [], []
    before = jobs.get(job.follows or "")
    while before is not None:
        if before.raw is not None:
            path = place / f"raw-{before.number}"
            try:
                await context.copy_to(before.raw, path)
            except DamagedBlobError:
                return [], []
            raws.append(str(path))
            inlines.append(before.output == INLINE)
        before = jobs.get(before.follows or "")
    return raws, inlines


def _may_wait(context: StepContext, batch: Batch, job: Job) -> bool:
    """Whether the batch has time, so that results that are here are not given up."""
    return job.state is JobState.SECURED and stop_reason(batch, context.clock.now()) is None


async def bring_left(context: StepContext, job: Job, place: Path) -> Mapping[str, str]:
    """Return paths of those of a job's spool, hints and held results that are undamaged."""
    left = {}
    for name, blob in (("spool", job.spool), ("echo", job.echo), ("held", job.held)):
        path = place / f"left-{name}"
        if not blob:
            continue
        try:
            await context.copy_to(blob, path)
        except DamagedBlobError:
            path.unlink(missing_ok=True)
        else:
            left[name] = str(path)
    return left


async def remade(
    context: StepContext, batch: Batch, job: Job, left: Mapping[str, str], place: Path
) -> Mapping[str, Any] | None:
    """Make spool and hints from the input; None when it is gone, or has other lines."""
    try:
        await bring_input(context, batch, place / "input")
    except DamagedBlobError as damage:
        logger.error("%s: cannot be made again: %s", job_label(job), damage)  # noqa: TRY400
        return None
    index: str | None = str(place / "refused")
    try:
        if batch.index is None:
            _empty(place / "refused")
        else:
            await context.copy_to(batch.index, place / "refused")
    except DamagedBlobError:
        index = None  # then what is refused now counts
    skip = await _lines_before(context, job)
    if skip is None and not left.keys() & {"spool", "echo"}:
        return None
    task = RemakeTask(
        input=str(place / "input"),
        scratch=str(place),
        endpoint=batch.endpoint,
        policy=batch.policy,
        max_line_bytes=context.options.input_limits.max_line_bytes,
        model=job.model,
        lines=job.lines,
        skip=skip or 0,
        index=index,
        **left,
    )
    made = await context.workers.run("remake", task, REMAKE_SECONDS)
    if (made["lines"], made["items"]) != (job.lines, job.items):
        has, had = (
            f"{counted(lines, 'line')} of {counted(items, 'item')}"
            for lines, items in ((made["lines"], made["items"]), (job.lines, job.items))
        )
        logger.error("%s: made again, it has %s, not %s", job_label(job), has, had)
        return None
    return made


async def _lines_before(context: StepContext, job: Job) -> int | None:
    """Count the lines of its model in jobs before it; None if it follows another.

    And where lines that were answered before stand between those of other jobs.
    """
    if job.follows is not None:
        return None
    work = await context.store.load_work(job.batch_id)
    jobs = [] if work is None else work.jobs
    if any(other.cause is Cause.REUSED for other in jobs):
        return None
    return sum(
        other.lines
        for other in jobs
        if other.cause is Cause.FIRST and other.model == job.model and other.number < job.number
    )


async def bring_input(context: StepContext, batch: Batch, path: Path) -> None:
    """Have the input file of a batch. Errors: DamagedBlobError when it is gone or has changed."""
    file = await context.store.input_file(batch.id)
    if file is None:
        raise DamagedBlobError(batch.input_file_id, "is not there")
    await context.bring(file, path)


async def _do_without(
    context: StepContext, claim: JobClaim, left: Mapping[str, str], place: Path
) -> None:
    """Give its lines an error, so that its batch ends: there is nothing to make it again from."""
    job = claim.row
    logger.error("%s: what the disk has lost of it is lost for good", job_label(job))
    if job.state in WAITING:
        await claim.save(moved(job, JobState.REFUSED, failure=LOST))
    elif "echo" not in left:
        await _end_unread(context, claim, place)
    elif may_be_divided(job):
        await claim.save(replace(job, failure=LOST, due_at=context.clock.now()))
    else:
        [empty] = await context.keep([_empty(place / "no-requests")])
        # Answers stay; without its spool nothing of the job can be sent once more.
        unspooled = replace(job, spool=empty, bytes=0, due_at=context.clock.now())
        await claim.save(unspooled, blobs=BlobChange(live=[empty], deletable=[job.spool]))


async def _end_unread(context: StepContext, claim: JobClaim, place: Path) -> None:
    """End a job of which not even the lines are known: publishing finds the gap they leave.

    Raw results stay, here and at the upstream.
    """
    job = claim.row
    run, index = await context.keep([_empty(place / "no-run"), _empty(place / "no-index")])
    told = {"failure": LOST, "unmatched": job.lines, "run": run, "index": index}
    ended = moved(job, JobState.COLLECTED, **told)
    await claim.save(ended, blobs=BlobChange(live=[run, index]))


def _empty(path: Path) -> str:
    path.touch()
    return str(path)
