"""Steps on a job that was sent: poll, cancel, secure, collect, release."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.follow_ups import job_failure, may_run_again
from gateway.batches.job import Failure, Job, JobState
from gateway.batches.lifecycle import moved, unserved
from gateway.batches.pacing import next_poll
from gateway.errors import (
    UpstreamError,
    UpstreamGoneError,
    UpstreamRefusedError,
    UpstreamStaleError,
)
from gateway.ids import jitter
from gateway.ports.store import BlobChange
from gateway.ports.upstream import Found, Observation
from gateway.runner.context import DEFECTS, MAX_DEFECTS, JobClaim, Tools, describe, named
from gateway.runner.cpu.collect import INTERNAL, CollectTask
from gateway.runner.fill_step import unusable_files
from gateway.runner.follow_step import Follower, follow
from gateway.wire.gemini import INLINE, SUCCEEDED

logger = logging.getLogger(__name__)

COLLECT_SECONDS = 4 * 3600.0
# A job the upstream denies is asked for this often before it counts as lost: deleting one was
# seen to show late (python-genai#2495), and a listing was once taken for the truth at the price
# of 14,070 submissions for 10,207 pages (sourcelibrary-v2#4889).
MAX_DENIALS = 5
MAX_RELEASE_FAILURES = 5
# For how many settling times after an ambiguous create a job that nobody adopted is looked for.
DOUBT_SETTLES = 10


GONE = Failure("upstream_job_lost", "The upstream no longer knows this job.", 500)
# Should the upstream have been wrong, somebody can still fetch what these made.
LEFT_BEHIND = (GONE,)


async def poll(tools: Tools, batch: Batch, claim: JobClaim) -> None:
    """Ask for the state; the cadence follows age and size."""
    try:
        await _settle_doubt(tools, claim)
    except UpstreamError as error:  # a broken listing must not keep results from being secured
        logger.warning("%s: its twin is not looked for: %s", named(claim.row), describe(error))
    job = claim.row
    try:
        seen = await tools.upstream.observe(_name(job), job.credential)
    except UpstreamGoneError:
        if await _denied(claim):
            raise
        await claim.save(moved(job, JobState.LOST, failure=GONE, ended_at=tools.clock.now()))
        return
    now = tools.clock.now()
    if not seen.ended:
        age = now - (job.submitted_at or now)
        due = now + next_poll(age, job.items, tools.options.poll, jitter())
        await claim.save(
            replace(
                job, upstream_state=seen.state, due_at=due, failures=0, denials=0, last_error=None
            )
        )
        return
    ended: dict[str, Any] = {
        "upstream_state": seen.state,
        "ended_at": seen.ended_at or now,
        "denials": 0,
    }
    if seen.output is None:
        failure = _failure(batch, job, seen)
        await claim.save(moved(job, JobState.LOST, failure=failure, **ended))
    else:
        whole = seen.state == SUCCEEDED or job.cancel_sent_at is not None
        ended["failure"] = None if whole else _failure(batch, job, seen)
        await claim.save(moved(job, JobState.ENDED, output=seen.output, **ended))
    logger.info("%s ended upstream: %s", named(job), seen.state)


async def _denied(claim: JobClaim) -> bool:
    """Count one more denial; whether there may be another before it is believed."""
    denied = replace(claim.row, denials=claim.row.denials + 1)
    if denied.denials >= MAX_DENIALS:
        return False
    await claim.save(denied, keep=True)
    return True


async def _settle_doubt(tools: Tools, claim: JobClaim) -> bool:
    """After an ambiguous create: look for a while whether it made a job that nobody reads.

    Such a job is cancelled; of two that run, the older is kept. True when there is nothing (more)
    to doubt. Our own name counts whether it is listed or not: of two jobs the older is usually
    listed first.
    """
    job = claim.row
    if job.doubt is None:
        return True
    age = tools.clock.now() - max(job.doubt, job.submitted_at or 0)
    if age < tools.options.settle:
        return False
    found = await tools.upstream.find(job.display_name, job.credential, job.upstream_name)
    names = list(found.names) if isinstance(found, Found) else []
    own = job.upstream_name
    if own is not None and own not in names:
        names.append(own)
    keep = names[0] if job.state is JobState.RUNNING else own
    for name in names:
        if name != keep:
            logger.warning("%s: the upstream has it twice, one is cancelled", named(job))
            await tools.upstream.cancel(name, job.credential)
    twins = len(names) > (own is not None)
    settled = twins or age >= DOUBT_SETTLES * tools.options.settle
    doubt = None if settled else job.doubt
    await claim.save(replace(job, upstream_name=keep, doubt=doubt), keep=True)
    return settled


def _name(job: Job) -> str:
    if job.upstream_name is None:
        raise LookupError("a running job has no upstream name")
    return job.upstream_name


def _failure(batch: Batch, job: Job, seen: Observation) -> Failure:
    """What to say of the lines that a job which ended otherwise than well brought no result for."""
    if job.cancel_sent_at is not None:
        return unserved(batch)
    return job_failure(seen.state, seen.error_code, seen.error)


async def cancel(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Ask the upstream to end the job; what was served until then is still collected."""
    job = claim.row
    await tools.upstream.cancel(_name(job), job.credential)
    now = tools.clock.now()
    due = now + tools.options.poll.shortest
    await claim.save(replace(job, cancel_sent_at=now, due_at=due, failures=0, last_error=None))


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
        if await _denied(claim):
            raise
        failure = Failure("upstream_results_lost", error.message, 500)
        await claim.save(moved(job, JobState.LOST, failure=failure))
        return
    await claim.save(moved(job, JobState.SECURED, raw=raw), blobs=BlobChange(live=[raw]))


async def collect(tools: Tools, batch: Batch, claim: JobClaim) -> None:
    """Render the job's lines; those without a lasting answer go into a follow-up."""
    job = claim.row
    async with tools.workplace() as place:
        try:
            summary = await _render(tools, batch, job, place)
        except DEFECTS:
            if job.state is not JobState.SECURED or job.defects + 1 < MAX_DEFECTS:
                raise
            await claim.save(moved(job, JobState.LOST, failure=INTERNAL))
            return
        followers = await follow(tools, job, summary, place)
        names = await tools.keep([summary["run"], summary["index"]])
    _tell(job, summary, followers)
    counts = Counts(**summary["counts"])
    usage = TokenUsage(**summary["usage"])
    await claim.save(
        moved(
            job,
            JobState.COLLECTED,
            run=names[0],
            index=names[1],
            counts=counts,
            usage=usage,
            notes=summary["notes"],
        ),
        counts=counts,
        usage=usage,
        jobs=[each.job for each in followers],
        named={each.job.id: each.files for each in followers},
        blobs=BlobChange(live=[*names, *(blob for each in followers for blob in each.blobs)]),
        ring=True,
    )


def _tell(job: Job, summary: Mapping[str, Any], followers: Sequence[Follower]) -> None:
    for place_of_error, count in summary["internal"].items():
        logger.error("%s: %d lines failed inside: %s", named(job), count, place_of_error)
    odd = (summary["missing"], summary["doubled"], summary["strays"])
    if any(odd) and job.failure is None:
        logger.warning("%s: results missing %d, doubled %d, unknown %d", named(job), *odd)
    for job_again in (each.job for each in followers):
        said = (job_again.lines, job_again.attempt, job_again.id)
        logger.info("%s: %d lines run again (attempt %d) as job %s", named(job), *said)


async def _render(tools: Tools, batch: Batch, job: Job, place: Path) -> Mapping[str, Any]:
    await tools.blobs.bring(job.echo, place / "echo")
    if job.raw is not None:
        await tools.blobs.bring(job.raw, place / "raw")
    if job.held is not None:
        await tools.blobs.bring(job.held, place / "held")
    unusable = await unusable_files(tools, job)
    if unusable:
        await tools.blobs.bring(job.spool, place / "spool")
    task = _collect_task(tools, batch, job, place, unusable)
    return await tools.workers.run("collect", task, COLLECT_SECONDS)


def _collect_task(
    tools: Tools, batch: Batch, job: Job, place: Path, unusable: Mapping[str, Failure]
) -> CollectTask:
    has_results = job.raw is not None and job.state is JobState.SECURED
    ended_at = job.ended_at or job.created_at
    return CollectTask(
        echo=str(place / "echo"),
        scratch=str(place),
        batch_id=batch.id,
        endpoint=batch.endpoint,
        created=ended_at // 1000,
        max_warnings=tools.options.input_limits.max_warnings,
        policy=batch.policy,
        raw=str(place / "raw") if has_results else None,
        inline=job.output == INLINE,
        failure=job.failure,
        unserved=_unserved_by(batch, job),
        spool=str(place / "spool") if unusable else None,
        unusable=unusable,
        held=str(place / "held") if job.held is not None else None,
        again=may_run_again(batch, job, tools.options.retries, tools.clock.now()),
        retry_empty=tools.options.retries.empty,
    )


def _unserved_by(batch: Batch, job: Job) -> Failure | None:
    """What to say of items that Google never got to: those have an error of their own."""
    if job.cancel_sent_at is not None:
        return unserved(batch)
    return job.failure if job.upstream_state == "EXPIRED" else None


async def release(tools: Tools, _: Batch, claim: JobClaim) -> None:
    """Delete the upstream's copies. They expire by themselves, so it is given up after a while.

    Results that we could not get are left where they are: they are paid for.
    """
    if not await _settle_doubt(tools, claim):
        due = tools.clock.now() + max(tools.options.settle, tools.options.retry.shortest)
        await claim.save(replace(claim.row, due_at=due, failures=0, last_error=None))
        return
    job = claim.row
    secured = job.raw is not None or job.output is None
    if secured and job.failure not in LEFT_BEHIND and (job.upstream_name or job.staged):
        try:
            await tools.upstream.release(job)
        except UpstreamError as error:
            if job.failures + 1 < MAX_RELEASE_FAILURES:
                raise
            logger.warning("%s: left behind at the upstream: %s", named(job), describe(error))
    await claim.save(moved(job, JobState.RELEASED, due_at=None))
