"""Steps that send a job, or find out whether it was sent: stage, create, reconcile, refuse."""

import logging
from dataclasses import replace
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.follow_ups import MODEL_NOT_FOUND
from gateway.batches.job import Failure, Job, JobState
from gateway.batches.lifecycle import moved, recalling, stop_reason
from gateway.batches.pacing import next_poll, next_retry
from gateway.batches.patience import denied, is_overdue, with_reason
from gateway.errors import (
    DamagedBlobError,
    UnavailableError,
    UpstreamAmbiguousError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ids import jitter
from gateway.ports.store import BlobChange, Intent
from gateway.ports.upstream import Absent, FileState, Found, Unknown
from gateway.runner.context import JobClaim, LostClaimError, StepContext, describe, job_label
from gateway.runner.denials import FOREIGN
from gateway.runner.fill_step import has_foreign_files, look_for_files
from gateway.units import counted

logger = logging.getLogger(__name__)

# A model is refused by itself if another one was accepted from the same key within this (ms).
OTHER_MODEL_WITHIN: Final = 3_600_000
# Two listings, a settling time apart, must both lack a job before it is created again.
ABSENCES_NEEDED: Final = 2
# When nothing is known that a working listing must show, an empty one is believed later.
ABSENCES_NEEDED_UNPROVEN: Final = 4

# For how many settling times after an ambiguous create a job that was never adopted is looked for.
DOUBT_SETTLES: Final = 10

# Said of a batch whose create was sent and not answered.
LANDED: Final = (
    "Google is asked whether it made the job, since the answer to its create was lost; nothing is"
    " sent again before that is known"
)

# The members that are cleared of a job whose spool must be filled and staged anew.
UNSENT: Final = {
    "staged": None,
    "staged_until": None,
    "filled": None,
    "filled_bytes": None,
    "filled_until": None,
}


async def stage(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Upload the spool."""
    job = claim.row
    staged = await context.upstream.stage(job, await context.outgoing(job))
    changes = {"staged": staged.ref, "staged_until": staged.until}
    if job.state is JobState.STAGING:  # what was staged before had grown too old
        job = moved(job, JobState.PLANNED)
    await claim.save(moved(job, JobState.STAGING, **changes))


async def create(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Call create, unless what the job names is another project's.

    An intent for which nothing was sent is taken back in whatever way this ends (a stop of the
    process, a disk that fails): it would be reconciled, for minutes.
    """
    try:
        if await has_foreign_files(context, claim.row):
            await _put_together_anew(context, claim)
        else:
            await _send(context, claim)
    finally:
        withdraw(claim)


def intent_of(context: StepContext, job: Job) -> Intent | None:
    """Return the intent that a job is claimed with, if nothing of it is to be looked at before.

    One that has failed before tells its batch so, and copies of files may be another key's: their
    intent is saved by the step itself.
    """
    if job.files or job.failures or job.last_error is not None:
        return None
    deadline = _deadline(context)
    return Intent(job.fence, deadline, deadline + context.options.settle, context.key_of(job))


def withdraw(claim: JobClaim) -> None:
    """Take back an intent for which nothing was sent; what ends the claim writes it down."""
    before, claim.before = claim.before, None
    if before is not None and claim.row.state is JobState.SUBMITTING:  # it was saved
        claim.row = _not_sent(claim.row, before)


def _deadline(context: StepContext) -> int:
    return context.clock.now() + int(context.options.create_seconds * 1000)


async def _intended(context: StepContext, claim: JobClaim) -> Job:
    """Save the intent, unless that was done with the claim; return what the job was before.

    From now on something may have been sent.
    """
    if claim.before is not None and context.is_foreign(claim.row):
        withdraw(claim)  # another key was set since, whose listings alone will show the job
    before = claim.before
    if before is None:
        before = claim.before = claim.row  # a stop may meet the save
        await claim.save(_intent(context, before, _deadline(context)), keep=True)
    claim.before = None
    return before


async def _send(context: StepContext, claim: JobClaim) -> None:
    """Have the intent saved, then call create: at most once for it, whatever happens."""
    spool = await context.outgoing(claim.row)
    before = await _intended(context, claim)
    intent = claim.row
    left = ((intent.send_deadline or 0) - context.clock.now()) / 1000
    if left <= 0:  # the save took that long: whoever reconciles may believe that nothing is sent
        back = _not_sent(intent, before)
        await claim.save(back, keep=True)
        raise UnavailableError("the intent was saved too late to send anything")
    try:
        name = await context.upstream.create(intent, spool, left)
    except (DamagedBlobError, UnavailableError):  # of its bytes, before anything was sent
        await claim.save(_not_sent(intent, before), keep=True)
        raise
    except UpstreamAmbiguousError as error:
        await _doubt(context, claim, error)
    except UpstreamStaleError as error:
        await _stage_again(context, claim, before, error)
    except UpstreamRefusedError as error:
        told = {"failure": _refusal(error), "refused": intent.refused + 1}
        await claim.save(moved(intent, JobState.REFUSED, **told))
    except UpstreamHeldError as error:
        await claim.save(_not_sent(intent, before, refused=1), keep=True)
        if not await _refuses_model(context, intent, error):
            raise
        failure = Failure((error.code or "permission_denied").lower(), error.message, 403)
        await claim.save(moved(claim.row, JobState.REFUSED, failure=failure))
    except UpstreamUnavailableError as error:
        answered = error.status != 0
        await claim.save(_not_sent(intent, before, refused=int(answered)), keep=True)
        raise
    else:
        await _adopt_created(context, claim, name)


def _intent(context: StepContext, job: Job, deadline: int) -> Job:
    """Return the job while its create is under way, or may be."""
    return moved(
        job,
        JobState.SUBMITTING,
        send_deadline=deadline,
        due_at=deadline + context.options.settle,
        absences=0,
        made_by=context.key_of(job),
        last_error=job.last_error,  # what it waits for is true until this create has ended
    )


async def _put_together_anew(context: StepContext, claim: JobClaim) -> None:
    """Forget what names copies of another key's project; nothing was created of it."""
    job = claim.row
    planned = job if job.state is JobState.PLANNED else moved(job, JobState.PLANNED)
    nothing: dict[str, Any] = dict(UNSENT)
    await look_for_files(context, claim, replace(planned, **nothing))


async def _adopt_created(context: StepContext, claim: JobClaim, name: str) -> None:
    """Save the name of what was created. Too late, it may be a twin of what others created since.

    Whoever has taken over while this process was paused looks for twins as well, for a while.
    Errors: LostClaimError.
    """
    try:
        await _adopt(context, claim, name)
    except LostClaimError:
        work = await context.store.load_job(claim.row.id)
        others = None if work is None else work.jobs[0].upstream_name
        if others not in {None, name}:
            logger.warning("%s: created too late, the twin is cancelled", job_label(claim.row))
            await context.upstream.cancel(name, claim.row.credential)
        raise


def _refusal(error: UpstreamRefusedError) -> Failure:
    """Say why lines of a job that is not wanted did not run, in OpenAI's words if it has some.

    A 404 at create is about the model (one that is listed may not be served to this project).
    """
    status = error.status or 400
    code = MODEL_NOT_FOUND if status == 404 else (error.code or "upstream_refused").lower()
    return Failure(code, error.message, status, error.item)


def _not_sent(intent: Job, before: Job, *, refused: int = 0) -> Job:
    """Back to where it was: what failed before, and why, is still so."""
    kept: dict[str, Any] = {"failures": before.failures, "last_error": before.last_error}
    kept["refused"] = before.refused + refused
    return moved(intent, before.state, send_deadline=None, **kept)


async def _stage_again(
    context: StepContext, claim: JobClaim, before: Job, error: UpstreamStaleError
) -> None:
    """Create did not find what was staged: upload it again, after ever longer pauses, for hours.

    Which it did not find is not said for sure, so the copies of files are looked at as well. But
    what the upstream shows itself was not missed: Google says the same when a bill is due
    (python-genai#1218). Errors: UpstreamHeldError then.
    """
    if before.staged is not None and not before.files:
        await claim.save(_not_sent(claim.row, before), keep=True)
        if await _is_there(context, before):
            raise UpstreamHeldError(error.message, status=error.status, code=error.code)
    job = denied(claim.row, context.clock.now())
    if is_overdue(job, context.clock.now(), context.options.patience):
        failure = Failure("upstream_file_lost", error.message, 500)
        await claim.save(moved(job, JobState.REFUSED, failure=failure))
        return
    logger.info("%s: what was staged is gone, staging again", job_label(job))
    due = context.clock.now() + next_retry(job.denials, context.options.retry, jitter())
    told = {"last_error": describe(error), "due_at": due, "send_deadline": None}
    again = moved(job, JobState.PLANNED, **UNSENT, **told)
    deletable = [] if job.filled is None else [job.filled]
    await claim.save(again, blobs=BlobChange(deletable=deletable), doubt_files=job.files > 0)


async def _is_there(context: StepContext, job: Job) -> bool:
    try:
        seen = await context.upstream.observe_file(job.staged or "", job.credential)
    except UpstreamGoneError:
        return False
    return seen.state is FileState.READY


async def _refuses_model(context: StepContext, job: Job, error: UpstreamHeldError) -> bool:
    """Whether a refusal is about the model: it names it, and others work with the same key."""
    if error.status != 403 or f"models/{job.model}" not in error.message:
        return False
    since = context.clock.now() - OTHER_MODEL_WITHIN
    return await context.store.another_model_runs(job, since)


async def _doubt(context: StepContext, claim: JobClaim, error: UpstreamAmbiguousError) -> None:
    """Settle from now: it is unknown whether it was created, and this process no longer sends."""
    now = context.clock.now()
    logger.warning("%s: the create is ambiguous: %s", job_label(claim.row), describe(error))
    await claim.save(
        replace(
            claim.row,
            doubt=now,
            send_deadline=now,
            due_at=now + context.options.settle,
            last_error=f"{LANDED}: {describe(error)}",
        )
    )


async def _adopt(context: StepContext, claim: JobClaim, name: str) -> None:
    """Note what was created; it is never sent again, and names its files' copies by itself."""
    now = context.clock.now()
    filled = claim.row.filled
    due = now + next_poll(0, claim.row.items, context.options.poll, jitter())
    await claim.save(
        moved(
            claim.row,
            JobState.RUNNING,
            upstream_name=name,
            made_by=context.key_of(claim.row),
            submitted_at=now,
            send_deadline=None,
            denied_at=None,
            denials=0,
            due_at=due,
            filled=None,
        ),
        blobs=BlobChange(deletable=[] if filled is None else [filled]),
    )
    items = counted(claim.row.items, "item")
    logger.info("%s runs upstream: %s", job_label(claim.row), items)


async def reconcile(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Find out whether a create landed. Absence from one listing proves nothing."""
    job = claim.row
    now = context.clock.now()
    settled = (job.send_deadline or 0) + context.options.settle
    if now < settled:
        await claim.save(replace(job, due_at=settled))
        return
    known = await context.store.running_job(job, now - context.options.settle)
    found = await context.upstream.find(
        job.display_name, job.credential, known.upstream_name if known else None
    )
    if context.is_foreign(job) and not _decides(found, known):
        raise UpstreamHeldError(FOREIGN)
    if isinstance(found, Unknown):
        raise UpstreamUnavailableError("the upstream's listing does not prove anything")
    if isinstance(found, Found):
        logger.info("%s: the create had landed", job_label(job))
        await _cancel_others(context, job, found)
        await _adopt(context, claim, found.names[0])
        return
    needed = ABSENCES_NEEDED if known else ABSENCES_NEEDED_UNPROVEN
    if job.absences + 1 < needed:
        again = replace(job, absences=job.absences + 1, doubt=job.doubt or now, failures=0)
        await claim.save(replace(again, due_at=now + context.options.settle))
        return
    logger.info("%s: the create had not landed", job_label(job))
    state = JobState.STAGING if job.staged is not None else JobState.PLANNED
    asked = max(job.doubt or now, job.send_deadline or 0)
    doubt = None if now - asked >= _doubted_for(context) else now
    await claim.save(moved(job, state, doubt=doubt, absences=0, send_deadline=None))


def looked_for_again(context: StepContext, job: Job) -> Job | None:
    """Return a waiting job whose doubt is old, so that listings are read once more; None: not yet.

    What may have landed is neither cut again nor asked for line by line, and an answer that never
    came would hold it so for ever: a job that is too large for the quota met 429 until its window
    ended. What landed would have been listed long since.
    """
    now = context.clock.now()
    if job.doubt is None or now - job.doubt < _doubted_for(context):
        return None
    told = {"send_deadline": job.doubt, "absences": 0, "last_error": job.last_error}
    return moved(job, JobState.SUBMITTING, **told)


def _doubted_for(context: StepContext) -> int:
    return DOUBT_SETTLES * context.options.settle


def _decides(found: Found | Absent | Unknown, known: Job | None) -> bool:
    """Whether a listing under another key says something: it shows the job, or one of that key."""
    return isinstance(found, Found) or (isinstance(found, Absent) and known is not None)


async def _cancel_others(context: StepContext, job: Job, found: Found) -> None:
    """Cancel a second job for the same work: the older is kept."""
    for name in found.names[1:]:
        logger.warning("%s: the upstream has it twice, the younger is cancelled", job_label(job))
        await context.upstream.cancel(name, job.credential)


async def refuse(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """End a job that was never sent: its batch was cancelled or ran out of time."""
    reason = stop_reason(batch, context.clock.now())
    if reason is None:
        raise LookupError("a job is refused without a reason")
    failure = with_reason(recalling(reason, claim.row), claim.row.last_error)
    await claim.save(moved(claim.row, JobState.REFUSED, failure=failure))
