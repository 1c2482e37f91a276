"""The step between planning and sending of a job whose spool names uploaded files."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.job import FILE_FAILED, Failure, Job, JobState
from gateway.batches.lifecycle import moved
from gateway.batches.pacing import next_poll
from gateway.batches.staging import NamedFile, StagedState, earliest, usable_until
from gateway.errors import DamagedBlobError
from gateway.ids import jitter
from gateway.ports.store import BlobChange
from gateway.runner.context import (
    DEFECTS,
    JobClaim,
    LostClaimError,
    StepContext,
    is_hopeless,
    job_label,
)
from gateway.runner.cpu.collect import INTERNAL
from gateway.runner.cpu.fill import FillTask, Usable
from gateway.units import counted

logger = logging.getLogger(__name__)

OTHER_KEY: Final = (
    "its files were uploaded with another Gemini key: they are looked for, and uploaded again where"
    " the key that is set now does not see them"
)
FILL_SECONDS: Final = 4 * 3600.0
ON_THEIR_WAY: Final = frozenset({StagedState.WANTED, StagedState.UPLOADED})


async def fill(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Put together what is sent of a job; one of which nothing is left is refused."""
    failure = await put_together(context, batch, claim)
    if failure is not None:
        await claim.save(moved(claim.row, JobState.REFUSED, failure=failure))


async def put_together(context: StepContext, batch: Batch, claim: JobClaim) -> Failure | None:
    """Have every file staged; when all are, write their URIs into the spool.

    Saved is what came of it, or when to look again; a failure is returned if nothing can be sent.
    """
    job = claim.row
    now = context.clock.now()
    room = context.options.input_limits.max_staged_bytes
    files = await context.store.stage_files(job, batch.expires_at, room, now)
    if files is None:
        raise LostClaimError(job.id)
    if job.state is JobState.STAGING:  # what it sends names copies that have grown too old
        job = moved(job, JobState.PLANNED, staged=None, staged_until=None)
    waiting = _waits_for(files)
    if waiting is None and await has_foreign_files(context, job):
        await look_for_files(context, claim, job)
        return None
    if waiting is None:
        return await _write(context, batch, claim, job, files)
    pause = next_poll(now - job.created_at, len(files), context.options.poll, jitter())
    await claim.save(replace(job, due_at=now + pause, failures=0, last_error=waiting))
    return None


async def has_foreign_files(context: StepContext, job: Job) -> bool:
    """Whether the key that is set now may not see the copies of its files."""
    return bool(job.files and await context.store.foreign_copies(job.id, context.key_of(job)))


async def look_for_files(context: StepContext, claim: JobClaim, job: Job) -> None:
    """Have each copy looked at with the key that is set now; those it does not see come anew.

    A job that names what its project does not have would be paid for in vain.
    """
    logger.warning("%s: %s", job_label(job), OTHER_KEY)
    due = context.clock.now() + context.options.poll.shortest
    again = replace(job, due_at=due, failures=0, last_error=OTHER_KEY)
    before = claim.row.filled
    deletable = [] if before is None or before == job.filled else [before]
    await claim.save(again, doubt_files=True, blobs=BlobChange(deletable=deletable))


def _waits_for(files: Sequence[NamedFile]) -> str | None:
    """Say why the spool cannot be filled yet."""
    copies = [file.staged for file in files if file.staged is not None]
    if len(copies) < len(files):
        return "files of other batches leave no room for this one's at the upstream"
    waiting = [copy for copy in copies if copy.state in ON_THEIR_WAY]
    if not waiting:
        return None
    why = f"{len(waiting)} of {counted(len(files), 'file')} being copied to the upstream"
    troubles = [copy.last_error for copy in waiting if copy.last_error is not None]
    return ": ".join([why, *troubles[:1]])


async def _write(
    context: StepContext, batch: Batch, claim: JobClaim, job: Job, files: Sequence[NamedFile]
) -> Failure | None:
    copies = [(file.file_id, file.staged) for file in files if file.staged is not None]
    ready = {
        file_id: Usable(copy.uri or "", copy.media_type)
        for file_id, copy in copies
        if copy.state is StagedState.READY
    }
    failed = sorted({file_id for file_id, _ in copies} - ready.keys())
    async with context.workplace() as place:
        try:
            summary = await _filled(context, job, ready, failed, place)
        except DEFECTS as error:
            if isinstance(error, DamagedBlobError) or not is_hopeless(job.defects + 1, error):
                raise
            return INTERNAL
        if failed:
            left = (job.items - summary["items"], job.items, counted(len(failed), "failed file"))
            logger.warning("%s: of its items %d of %d name %s", job_label(job), *left)
        if not summary["items"]:
            return NOTHING_LEFT
        [blob] = await context.keep([summary["path"]])
    filled = replace(
        job,
        filled=blob,
        filled_bytes=summary["bytes"],
        filled_until=earliest([usable_until(copy, batch.expires_at) for _, copy in copies]),
        due_at=context.clock.now(),
        failures=0,
        defects=0,
        last_error=None,
    )
    deletable = [] if job.filled is None else [job.filled]
    await claim.save(filled, blobs=BlobChange(live=[blob], deletable=deletable))
    return None


async def _filled(
    context: StepContext, job: Job, ready: Mapping[str, Usable], failed: Sequence[str], place: Path
) -> Mapping[str, Any]:
    await context.copy_to(job.spool, place / "spool")
    task = FillTask(str(place / "spool"), str(place), ready, failed)
    return await context.workers.run("fill", task, FILL_SECONDS)


# Never shown: each line of such a job names a failed file, and is told which.
NOTHING_LEFT: Final = Failure(FILE_FAILED, "The upstream cannot use the files of this job.", 400)


async def unusable_files(context: StepContext, job: Job) -> Mapping[str, Failure]:
    """Return what to say of the lines that name files which the upstream cannot use, by file."""
    if not job.files:
        return {}
    failures = {}
    for file in await context.store.failed_files(job.id):
        why = file.staged.failure if file.staged is not None else None
        why = why or NOTHING_LEFT
        message = f"File '{file.file_id}', which this request names, cannot be used: {why.message}"
        failures[file.file_id] = replace(why, message=message)
    return failures
