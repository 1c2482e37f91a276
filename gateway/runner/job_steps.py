"""Steps on one job: stage, create, reconcile, poll, cancel, refuse, secure, collect, release."""

import logging
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from gateway.batches.lifecycle import EXPIRED, moved, stop_reason, unserved
from gateway.batches.pacing import next_poll
from gateway.batches.records import Batch, Counts, Failure, Job, JobState, TokenUsage
from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
    WorkerError,
)
from gateway.ids import jitter
from gateway.ports.store import BlobChange
from gateway.ports.upstream import Found, Observation, Unknown
from gateway.runner.tools import BlobSource, JobClaim, Tools
from gateway.runner.work.collect import INTERNAL, CollectTask

logger = logging.getLogger(__name__)

COLLECT_SECONDS = 4 * 3600.0
MAX_WORKER_DEATHS = 3
# A job the upstream denies is asked for this often before it counts as lost: deleting one was
# seen to show late (python-genai#2495), and a listing was once taken for the truth at the price
# of 14,070 submissions for 10,207 pages (sourcelibrary-v2#4889).
MAX_DENIALS = 5
MAX_RELEASE_FAILURES = 5
# Two listings, a settling time apart, must both lack a job before it is created again.
ABSENCES_NEEDED = 2

# For how many settling times after a second create the first is still looked for.
DOUBT_SETTLES = 10

RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"


async def stage(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Upload the spool."""
    job = claim.row
    staged = await tools.upstream.stage(job, BlobSource(tools.blobs, job.spool, job.bytes))
    changes = {"staged": staged.ref, "staged_until": staged.until}
    if job.state is JobState.STAGING:  # what was staged before had grown too old
        job = moved(job, JobState.PLANNED)
    await claim.save(moved(job, JobState.STAGING, **changes))


async def create(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Save the intent, then call create: at most once for it, whatever happens."""
    before = claim.row
    now = tools.clock.now()
    deadline = now + int(tools.options.create_seconds * 1000)
    intent = moved(
        before,
        JobState.SUBMITTING,
        send_deadline=deadline,
        due_at=deadline + tools.options.settle,
        absences=0,
    )
    await claim.save(intent, keep=True)
    source = BlobSource(tools.blobs, intent.spool, intent.bytes)
    try:
        name = await tools.upstream.create(intent, source, tools.options.create_seconds)
    except UpstreamAmbiguousError as error:
        await _doubt(tools, claim, error)
    except UpstreamStaleError:
        logger.info("%s: what was staged is gone, staging again", _named(intent))
        await claim.save(moved(intent, JobState.PLANNED, staged=None, staged_until=None))
    except UpstreamRefusedError as error:
        failure = Failure(error.code or "upstream_refused", error.message, error.status or 400)
        await claim.save(moved(intent, JobState.REFUSED, failure=failure))
    except (UpstreamUnavailableError, UpstreamHeldError):
        back = moved(intent, before.state, failures=before.failures, send_deadline=None)
        await claim.save(back, keep=True)
        raise
    else:
        await _adopt(tools, claim, name)


async def _doubt(tools: Tools, claim: JobClaim, error: UpstreamError) -> None:
    """Nobody knows whether it was created. This process has stopped sending, so settle from now."""
    now = tools.clock.now()
    logger.warning("%s: the create is ambiguous: %s", _named(claim.row), error.message)
    await claim.save(
        replace(
            claim.row,
            doubt=now,
            send_deadline=now,
            due_at=now + tools.options.settle,
            last_error=error.message,
        )
    )


async def _adopt(tools: Tools, claim: JobClaim, name: str) -> None:
    now = tools.clock.now()
    due = now + next_poll(0, claim.row.items, tools.options.poll, jitter())
    await claim.save(
        moved(
            claim.row,
            JobState.RUNNING,
            upstream_name=name,
            submitted_at=now,
            send_deadline=None,
            due_at=due,
        )
    )


async def reconcile(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Find out whether a create landed. Absence from one listing proves nothing."""
    job = claim.row
    now = tools.clock.now()
    settled = (job.send_deadline or 0) + tools.options.settle
    if now < settled:
        await claim.save(replace(job, due_at=settled))
        return
    found = await _find(tools, job, now)
    if isinstance(found, Unknown):
        raise UpstreamUnavailableError("the upstream's listing does not prove anything")
    if isinstance(found, Found):
        logger.info("%s: the create had landed", _named(job))
        await _cancel_others(tools, job, found)
        await _adopt(tools, claim, found.names[0])
        return
    if job.absences + 1 < ABSENCES_NEEDED:
        again = replace(job, absences=job.absences + 1, doubt=job.doubt or now, failures=0)
        await claim.save(replace(again, due_at=now + tools.options.settle))
        return
    logger.info("%s: the create had not landed, creating again", _named(job))
    state = JobState.STAGING if job.staged is not None else JobState.PLANNED
    await claim.save(moved(job, state, doubt=job.doubt or now, absences=0, send_deadline=None))


async def _find(tools: Tools, job: Job, now: int) -> object:
    known = await tools.store.running_job(job.credential, now - tools.options.settle)
    return await tools.upstream.find(
        job.display_name, job.credential, known.upstream_name if known else None
    )


async def _cancel_others(tools: Tools, job: Job, found: Found) -> None:
    """A second job for the same work must not run on: the older is kept."""
    for name in found.names[1:]:
        logger.warning("%s: the upstream has it twice, the younger is cancelled", _named(job))
        await tools.upstream.cancel(name, job.credential)


async def poll(tools: Tools, batch: Batch, claim: JobClaim) -> None:
    """Ask for the state; the cadence follows age and size."""
    await _settle_doubt(tools, claim)
    job = claim.row
    try:
        seen = await tools.upstream.observe(_name(job), job.credential)
    except UpstreamGoneError:
        if job.failures + 1 < MAX_DENIALS:
            raise
        gone = Failure("upstream_job_lost", "The upstream no longer knows this job.", 500)
        await claim.save(moved(job, JobState.LOST, failure=gone, ended_at=tools.clock.now()))
        return
    now = tools.clock.now()
    if not seen.ended:
        age = now - (job.submitted_at or now)
        due = now + next_poll(age, job.items, tools.options.poll, jitter())
        await claim.save(
            replace(job, upstream_state=seen.state, due_at=due, failures=0, last_error=None)
        )
        return
    ended = {"upstream_state": seen.state, "ended_at": seen.ended_at or now}
    if seen.output is None:
        failure = _failure(batch, job, seen)
        await claim.save(moved(job, JobState.LOST, failure=failure, **ended))
    else:
        await claim.save(moved(job, JobState.ENDED, output=seen.output, **ended))
    logger.info("%s ended upstream: %s", _named(job), seen.state)


async def _settle_doubt(tools: Tools, claim: JobClaim) -> None:
    """After an ambiguous create and a second one: look for a while whether the first comes up.

    A listing that shows neither is still behind. Our own name counts whether it is listed or not:
    of two jobs the older is usually listed first.
    """
    job = claim.row
    if job.doubt is None:
        return
    age = tools.clock.now() - (job.submitted_at or 0)
    if age < tools.options.settle:
        return
    found = await tools.upstream.find(job.display_name, job.credential, job.upstream_name)
    if not isinstance(found, Found):
        return
    own = _name(job)
    names = [*found.names, *([] if own in found.names else [own])]
    await _cancel_others(tools, job, Found(names))
    settled = len(names) > 1 or age >= DOUBT_SETTLES * tools.options.settle
    doubt = None if settled else job.doubt
    await claim.save(replace(job, upstream_name=names[0], doubt=doubt), keep=True)


def _named(job: Job) -> str:
    """As it stands in logs: nobody should have to look up whose job it is."""
    return f"batch {job.batch_id}: job {job.id}"


def _name(job: Job) -> str:
    if job.upstream_name is None:
        raise LookupError("a running job has no upstream name")
    return job.upstream_name


def _failure(batch: Batch, job: Job, seen: Observation) -> Failure:
    """Why a job that ended without output has none."""
    if job.cancel_sent_at is not None:
        return unserved(batch)
    if seen.state == "EXPIRED":
        return EXPIRED
    reason = f": {seen.error}" if seen.error else ""
    if seen.error_code == RESOURCE_EXHAUSTED:
        return Failure("rate_limit_exceeded", f"The upstream ran out of quota{reason}", 429)
    word = seen.state.lower()
    return Failure("upstream_job_failed", f"The upstream job ended as {word}{reason}", 500)


async def cancel(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Ask the upstream to end the job; what was served until then is still collected."""
    job = claim.row
    await tools.upstream.cancel(_name(job), job.credential)
    now = tools.clock.now()
    due = now + tools.options.poll.shortest
    await claim.save(replace(job, cancel_sent_at=now, due_at=due, failures=0, last_error=None))


async def refuse(tools: Tools, batch: Batch, claim: JobClaim) -> None:
    """A job that was never sent will not be: its batch was cancelled or ran out of time."""
    reason = stop_reason(batch, tools.clock.now())
    if reason is None:
        raise LookupError("a job is refused without a reason")
    await claim.save(moved(claim.row, JobState.REFUSED, failure=reason))


async def secure(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Copy the raw results before the upstream forgets them."""
    job = claim.row
    raw = await tools.new_blob()
    fetched = tools.upstream.fetch(_name(job), job.output or "", job.credential)
    try:
        async with aclosing(fetched) as blocks, tools.blobs.create(raw) as writer:
            async for block in blocks:
                await writer.write(block)
    except (UpstreamRefusedError, UpstreamGoneError, UpstreamStaleError) as error:
        if job.failures + 1 < MAX_DENIALS:
            raise
        failure = Failure("upstream_results_lost", error.message, 500)
        await claim.save(moved(job, JobState.LOST, failure=failure))
        return
    await claim.save(moved(job, JobState.SECURED, raw=raw), blobs=BlobChange(live=[raw]))


async def collect(tools: Tools, batch: Batch, claim: JobClaim) -> None:
    """Render the job's lines."""
    job = claim.row
    async with tools.workplace() as place:
        await tools.blobs.bring(job.echo, place / "echo")
        if job.raw is not None:
            await tools.blobs.bring(job.raw, place / "raw")
        task = _collect_task(batch, job, place)
        try:
            summary = await tools.workers.run("collect", task, COLLECT_SECONDS)
        except WorkerError:
            if job.state is not JobState.SECURED or job.failures + 1 < MAX_WORKER_DEATHS:
                raise
            await claim.save(moved(job, JobState.LOST, failure=INTERNAL))
            return
        names = await tools.keep([summary["run"], summary["index"]])
    for place_of_error, count in summary["internal"].items():
        logger.error("%s: %d lines failed inside: %s", _named(job), count, place_of_error)
    odd_results = summary["missing"] or summary["doubled"] or summary["strays"]
    if odd_results and job.failure is None:
        odd = (summary["missing"], summary["doubled"], summary["strays"])
        logger.warning("%s: results missing %d, doubled %d, unknown %d", _named(job), *odd)
    counts = Counts(**summary["counts"])
    usage = TokenUsage(**summary["usage"])
    await claim.save(
        moved(job, JobState.COLLECTED, run=names[0], index=names[1], counts=counts, usage=usage),
        counts=counts,
        usage=usage,
        blobs=BlobChange(live=names),
        ring=True,
    )


def _collect_task(batch: Batch, job: Job, place: Path) -> CollectTask:
    has_results = job.raw is not None and job.state is JobState.SECURED
    ended_at = job.ended_at or job.created_at
    return CollectTask(
        echo=str(place / "echo"),
        scratch=str(place),
        batch_id=batch.id,
        endpoint=batch.endpoint,
        created=ended_at // 1000,
        raw=str(place / "raw") if has_results else None,
        inline=job.output == "inline",
        failure=job.failure,
        unserved=_unserved_by(batch, job),
    )


def _unserved_by(batch: Batch, job: Job) -> Failure | None:
    if job.cancel_sent_at is not None:
        return unserved(batch)
    return EXPIRED if job.upstream_state == "EXPIRED" else None


async def release(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Delete the upstream's copies. They expire by themselves, so it is given up after a while."""
    job = claim.row
    if job.upstream_name is not None or job.staged is not None:
        try:
            await tools.upstream.release(job)
        except UpstreamError as error:
            if job.failures + 1 < MAX_RELEASE_FAILURES:
                raise
            logger.warning("%s: left behind at the upstream: %s", _named(job), error.message)
    await claim.save(moved(job, JobState.RELEASED, due_at=None))
