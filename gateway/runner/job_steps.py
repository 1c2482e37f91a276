"""Steps on a job that was sent: poll, cancel, secure, collect, release."""

import asyncio
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gateway.batches import quota as quotas
from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.follow_ups import (
    is_stuck,
    job_failure,
    may_be_divided,
    may_run_again,
    stuck_failure,
)
from gateway.batches.job import Cause, Failure, Job, JobState
from gateway.batches.lifecycle import moved, stop_reason, unserved
from gateway.batches.pacing import next_poll
from gateway.batches.patience import (
    FRUITLESS,
    RECOVERY,
    UPSTREAM_LIFE,
    elapsed,
    given_up,
    is_doubtful,
    may_delete,
    with_reason,
)
from gateway.batches.rescue import ignores_its_end, may_rescue
from gateway.batches.reuse import reuse_of
from gateway.errors import (
    DamagedBlobError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamRefusedError,
    UpstreamStaleError,
    WorkerError,
)
from gateway.ids import jitter
from gateway.ports.metrics import Series
from gateway.ports.store import BatchChangedError, BlobChange, Seal
from gateway.ports.upstream import Found, Observation
from gateway.runner import denials
from gateway.runner.batch_end import end_of, made_files, may_end_with, seals_of
from gateway.runner.blob_source import SEALED_AT_ONCE, add_to
from gateway.runner.context import (
    HeldResults,
    JobClaim,
    StepContext,
    describe,
    job_label,
)
from gateway.runner.cpu.collect import CollectTask
from gateway.runner.cpu.collect_ranges import RANGE_BYTES, JoinResultsTask
from gateway.runner.cpu.ranges import ranges_of
from gateway.runner.cpu.trail import Trail
from gateway.runner.fill_step import unusable_files
from gateway.runner.follow_step import Follower, divide_refused, follow
from gateway.runner.send_steps import DOUBT_SETTLES
from gateway.runner.suspects import LINE_SECONDS, run_on_lines
from gateway.units import counted
from gateway.wire.gemini import INLINE, SUCCEEDED

logger = logging.getLogger(__name__)

COLLECT_SECONDS: Final = 4 * 3600.0
# Deleting the upstream's copies is tried for days; no batch waits for it.
RELEASE_LIFE: Final = UPSTREAM_LIFE

STUCK: Final = "the upstream's job, which runs longer than is usual for its model"
RESCUED: Final = (
    "the upstream's job, which is told to end: the window is nearly over, and what it has not"
    " served is asked by synchronous calls"
)
STUCK_AND_ENDED: Final = f"{STUCK}: it is told to end, and its lines are sent again"

# Up to so many items an inline job's answer is read with its state: half a megabyte of vectors.
FEW_ITEMS: Final = 10

NO_OUTPUT: Final = "The upstream job ended well, but shows no output."


async def poll(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Ask for the state; the cadence follows age and size."""
    try:
        await _settle_doubt(context, claim)
    except UpstreamError as error:  # a broken listing must not keep results from being secured
        logger.warning("%s: its twin is not looked for: %s", job_label(claim.row), describe(error))
    try:
        seen = await context.upstream.observe(
            _name(claim.row), claim.row.credential, whole=_answers_little(claim.row)
        )
        _check_output(seen)
    except UpstreamGoneError as error:
        await denials.believe_job(context, claim, error)
        return
    if seen.ended:
        await _note_end(context, batch, claim, seen)
    else:
        await _note_running(context, batch, claim, seen)


def _answers_little(job: Job) -> bool:
    return job.inline and job.items <= FEW_ITEMS


def _check_output(seen: Observation) -> None:
    """Wait while an end promises an output that is not there: it has come late elsewhere.

    (litellm#37715, bifrost#3951.) Errors: UpstreamGoneError.
    """
    if seen.ended and seen.output is None and seen.state not in FRUITLESS:
        raise UpstreamGoneError(NO_OUTPUT, code=seen.state)


async def _note_running(
    context: StepContext, batch: Batch, claim: JobClaim, seen: Observation
) -> None:
    now = context.clock.now()
    told = {"upstream_state": seen.state, "looked_at": now, "failures": 0, "last_error": None}
    job = denials.shown(context, claim.row).changed(told)
    due = now + next_poll(
        now - (job.submitted_at or now), job.items, context.options.poll, jitter()
    )
    if stop_reason(batch, now) is None:
        job = replace(job, stop_at=None, due_at=due)
        if may_rescue(batch, job, context.options.rescue, now):
            job = await _end_for_rescue(context, claim, job, now)
        else:
            job = await _look_at_age(context, claim, job, now)
        await claim.save(job)
        return
    if job.cancel_sent_at is None:
        # A wall clock that jumps may end a window for a second: then look once more.
        due = now if batch.cancel_requested_at else now + context.options.poll.shortest
    await claim.save(replace(job, due_at=context.while_ending(job, due)))


async def _look_at_age(context: StepContext, claim: JobClaim, job: Job, now: int) -> Job:
    """Say that a job runs longer than is usual; by setting tell it to end, again and again.

    Its lines run again once it has ended, in smaller jobs: never before.
    """
    rules = context.options.retries
    if now - (job.submitted_at or now) < rules.stuck_after:
        return job
    if not is_stuck(job, await context.store.longest_job(job.model), rules, now):
        return job
    if not rules.resend:
        return replace(job, last_error=STUCK)
    return await _told_to_end(context, claim, replace(job, last_error=STUCK_AND_ENDED), now)


async def _end_for_rescue(context: StepContext, claim: JobClaim, job: Job, now: int) -> Job:
    """Tell a job to end whose lines are asked one by one; go on without one that ignores it."""
    if ignores_its_end(job, now, context.options.patience.ending):
        logger.error("%s: it ignores that it is told to end, its lines go on", job_label(job))
        return given_up(job, stuck_failure(job, now), now)
    return await _told_to_end(context, claim, replace(job, last_error=RESCUED), now)


async def _told_to_end(context: StepContext, claim: JobClaim, job: Job, now: int) -> Job:
    """Write down that it is we who end a job, then tell Google.

    A cancel whose answer is lost, with its connection or with this process, leaves a job that has
    been cancelled; as if by others, its lines failed.
    """
    if job.stuck_at is None:
        job = replace(job, stuck_at=now)
        await claim.save(job, keep=True)
    if not context.is_foreign(job):
        await context.upstream.cancel(_name(job), job.credential)
    return job


async def _note_end(context: StepContext, batch: Batch, claim: JobClaim, seen: Observation) -> None:
    now = context.clock.now()
    job = denials.shown(context, claim.row)
    ended: dict[str, Any] = {
        "upstream_state": seen.state,
        "ended_at": seen.ended_at or now,
        "looked_at": now,
    }
    if seen.output is None:
        # Whether its output may come late is not proven: it is looked at again for as long as
        # Google keeps it.
        ended |= {"failure": _failure(batch, job, seen), "recover_until": now + UPSTREAM_LIFE}
        await claim.save(moved(job, JobState.LOST, **ended))
    else:
        whole = seen.state == SUCCEEDED or job.cancel_sent_at is not None
        ended["failure"] = None if whole else _failure(batch, job, seen)
        job_ended = moved(job, JobState.ENDED, output=seen.output, **ended)
        if seen.raw is None:
            await claim.save(job_ended)
        else:
            await _secure_at_once(context, claim, job_ended, seen.raw)
    logger.info("%s ended upstream: %s", job_label(job), seen.state)


async def _settle_doubt(context: StepContext, claim: JobClaim) -> bool:
    """Look for a while whether an ambiguous create made a job that no row names.

    Such a job is cancelled; of two that run, the older is kept. True when there is nothing (more)
    to doubt. Our own name counts whether it is listed or not: of two jobs the older is usually
    listed first.
    """
    job = claim.row
    if job.doubt is None:
        return True
    age = context.clock.now() - max(job.doubt, job.submitted_at or 0)
    if age < context.options.settle:
        return False
    found = await context.upstream.find(job.display_name, job.credential, job.upstream_name)
    names = list(found.names) if isinstance(found, Found) else []
    own = job.upstream_name
    if own is not None and own not in names:
        names.append(own)
    keep = names[0] if job.state is JobState.RUNNING else own
    for name in names:
        if name != keep:
            logger.warning("%s: the upstream has it twice, one is cancelled", job_label(job))
            await context.upstream.cancel(name, job.credential)
    twins = len(names) > (own is not None)
    life = RECOVERY if context.is_foreign(job) else DOUBT_SETTLES * context.options.settle
    settled = twins or age >= life
    doubt = None if settled else job.doubt
    await claim.save(replace(job, upstream_name=keep, doubt=doubt), keep=True)
    return settled


def _name(job: Job) -> str:
    if job.upstream_name is None:
        raise LookupError("a running job has no upstream name")
    return job.upstream_name


def _failure(batch: Batch, job: Job, seen: Observation) -> Failure:
    """Say why lines have no result of a job that ended otherwise than well."""
    if job.cancel_sent_at is not None:
        return unserved(batch, job)
    if job.stuck_at is not None:
        return stuck_failure(job, job.stuck_at)
    return job_failure(seen.state, seen.error_code, seen.error)


async def cancel(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Ask the upstream to end the job; what was served until then is still collected."""
    job = claim.row
    denials.require_own_key(context, job)  # it would be told that there is nothing to cancel
    await context.upstream.cancel(_name(job), job.credential)
    now = context.clock.now()
    due = context.while_ending(job, now + context.options.poll.shortest)
    await claim.save(replace(job, cancel_sent_at=now, due_at=due, failures=0, last_error=None))


async def abandon(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """End with the batch: tell the job to end, and look after it for as long as it may run."""
    job = claim.row
    now = context.clock.now()
    if job.raw is not None:
        await claim.save(moved(job, JobState.LOST, failure=UNREAD))
        return
    waited = context.options.patience.ending // 1000
    state = f"it was {job.upstream_state or 'not found'} {waited} s after it was told to end"
    failure = with_reason(unserved(batch, job), job.last_error or state)
    await claim.save(given_up(job, failure, now))
    logger.warning("%s: its batch ends without it: %s", job_label(job), job.last_error or state)


UNREAD: Final = Failure(
    "internal_error",
    "The gateway could not read the results of this request before its batch ended; the raw"
    " results are kept.",
    500,
)


async def secure(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Copy the raw results before the upstream forgets them."""
    try:
        raw, seal = await download(context, claim.row)
    except (UpstreamRefusedError, UpstreamGoneError, UpstreamStaleError) as error:
        await denials.believe_results(context, claim, error)
        return
    # Since when they were denied is kept: what was fetched may turn out to be no results.
    change = BlobChange(live=[raw], seals={raw: seal})
    await claim.save(moved(claim.row, JobState.SECURED, raw=raw), blobs=change)


async def _secure_at_once(
    context: StepContext, claim: JobClaim, ended: Job, results: bytes
) -> None:
    """Keep results that came in the call which found the job's end."""
    held = await HeldResults.of(context, results)
    context.meters.count(Series.UPSTREAM_RECEIVED, len(results))
    secured = moved(ended, JobState.SECURED, raw=held.name)
    if context.workers.free and claim.goes_on(secured):
        # They are rendered now, and written down with what comes of that: after a crash meanwhile
        # Google is asked again, which keeps them until they are collected.
        due = context.clock.now() + context.options.retry.longest
        otherwise = replace(claim.row, due_at=context.while_ending(claim.row, due))
        claim.put_off(secured, held, otherwise)
    else:
        await claim.save(secured, blobs=await held.written())


async def download(context: StepContext, job: Job) -> tuple[str, Seal]:
    """Return the blob of a job's raw results, and its seal. Errors: ``Upstream*``."""
    size, digest = 0, hashlib.sha256()
    fetched = context.upstream.fetch(_name(job), job.output or "", job.credential)
    async with aclosing(fetched) as blocks, context.unplaced_blob() as raw:
        async for block in blocks:
            size += len(block)
            await add_to(digest, block)
            await raw.write(block)
    context.meters.count(Series.UPSTREAM_RECEIVED, size)
    return raw.name, Seal(size, digest.hexdigest(), raw.content)


@dataclass(frozen=True, slots=True)
class Kept:
    """Blobs that were made of a job's results, by what they hold, and their seals."""

    blobs: Mapping[str, str] = field(default_factory=dict)
    seals: Mapping[str, Seal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A job whose results were rendered, what came of that, and the files that are to be kept.

    ``in_memory`` are results that are in no blob by now, nor packed.
    """

    job: Job
    summary: Mapping[str, Any]
    in_memory: Path | None

    @property
    def archives(self) -> Mapping[str, str]:
        """Return what takes the place of the job's blobs, by what it holds."""
        made = {name: self.summary[name] for name in ("raw", "echo", "digests")}
        found = {name: path for name, path in made.items() if path}
        return found if self.in_memory is None else {"raw": str(self.in_memory), **found}


async def collect(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Render the job's lines; those without a lasting answer go into a follow-up."""
    if may_be_divided(claim.row):
        await divide_refused(context, claim)
        return
    async with context.workplace() as place:
        rendered = await _rendered(context, batch, claim, place)
        if rendered is None:
            return
        followers = await follow(context, batch, rendered.job, rendered.summary, place)
        _tell(rendered.job, rendered.summary, followers)
        kept = Kept()
        if rendered.summary["published"] is not None:
            kept = await _end_batch(context, batch, claim, rendered)
            if claim.ended is not None:
                return
        await _save_collected(context, claim, rendered, followers, kept=kept)


async def _save_collected(
    context: StepContext,
    claim: JobClaim,
    rendered: Rendered,
    followers: Sequence[Follower],
    *,
    kept: Kept,
) -> None:
    """Save a job with its run, and the jobs that go on for it; some may be ``kept`` already."""
    job, summary, archives = rendered.job, rendered.summary, rendered.archives
    made = {**archives, "run": summary["run"], "index": summary["index"]}
    left = {name: path for name, path in made.items() if name not in kept.blobs}
    adopted = await context.adopt([*left.values()])
    blobs = {**kept.blobs, **dict(zip(left, adopted, strict=True))}
    collected = _collected(job, summary, blobs)
    await claim.save(
        collected,
        **_learned(context, job, collected),
        jobs=[each.job for each in followers],
        named={each.job.id: each.files for each in followers},
        blobs=BlobChange(
            live=[*blobs.values(), *(blob for each in followers for blob in each.blobs)],
            deletable=_replaced(claim.row, job, archives),
            seals={**kept.seals, **adopted},
        ),
    )


async def _end_batch(
    context: StepContext, batch: Batch, claim: JobClaim, rendered: Rendered
) -> Kept:
    """Save a job and end its batch with it, in one transaction: it is the only one.

    Nothing is written when the batch is not as it was read by now (a cancel). Returns the blobs
    that were made of the job's results: their files are in the scratch directory no more.
    """
    job, summary, archives = rendered.job, rendered.summary, rendered.archives
    made = made_files(summary["published"])
    if batch.index is not None:  # whoever read results by then finds where the rest of them is
        archives = {**archives, "index": summary["index"]}
    seals = seals_of(made)
    adopted = await context.adopt([*archives.values(), *seals], seals)
    names = list(adopted)
    kept = dict(zip(archives, names, strict=False))
    collected = _collected(job, summary, kept)
    whole = replace(
        batch,
        finalizing_at=context.clock.now(),
        counts=Counts(**summary["published"]["counts"]),
        usage=batch.usage + collected.usage,
        notes=dict(Counter(batch.notes) + Counter(collected.notes)),
    )
    end = end_of(context, whole, [collected], made, names[len(kept) :])
    blobs = BlobChange(names[: len(kept)], _replaced(claim.row, job, kept), adopted)
    try:
        await claim.save(collected, **_learned(context, job, collected), blobs=blobs, ends=end)
    except BatchChangedError:
        return Kept(kept, {name: adopted[name] for name in kept.values()})
    return Kept()


def _collected(job: Job, summary: Mapping[str, Any], kept: Mapping[str, str]) -> Job:
    """Return the job with what its results came to; ``kept`` are the blobs made of them."""
    changes: dict[str, Any] = {
        "counts": Counts(**summary["counts"]),
        "usage": TokenUsage(**summary["usage"]),
        "cost": _cost_of(job, summary),
        "notes": summary["notes"],
        "unmatched": summary["missing"] + summary["unknown_keys"],
        "denied_at": None,
        "denials": 0,
    }
    return moved(job, JobState.COLLECTED, **changes, **kept, **_spent(job))


def _spent(job: Job) -> Mapping[str, Any]:
    """Drop the requests, which are not read again unless the job is looked for on.

    Lines that run again are in follow-ups by now. What else may want them makes them again from the
    input.
    """
    return {} if job.recover_until is not None else {"spool": "", "filled": None}


def _learned(context: StepContext, job: Job, collected: Job) -> Mapping[str, Any]:
    """Return what the batch and the quota gain by a collected job."""
    counts, usage = collected.counts, collected.usage
    lesson = quotas.lesson(job, counts, usage, context.clock.now())
    return {"counts": counts, "usage": usage, "lesson": lesson}


async def _rendered(
    context: StepContext, batch: Batch, claim: JobClaim, place: Path
) -> Rendered | None:
    """Render the results; None when these are no results, and are fetched again."""
    job = claim.row
    if not await _bring_raw(context, claim, place / "raw"):
        if job.cause is not Cause.REUSED:
            await denials.fetch_lost(context, claim)
            return None
        job = replace(job, raw=None)  # its lines are asked like any other
    summary = await _render(context, batch, job, place)
    if _is_no_result_file(job, summary) and await denials.fetch_again(context, claim):
        return None
    in_memory = None if claim.held is None or summary["raw"] else place / "raw"
    return Rendered(job, summary, in_memory)


def _replaced(before: Job, job: Job, kept: Mapping[str, str]) -> list[str]:
    """List the blobs that archives take the place of, and what is of no use any more."""
    blobs = [getattr(job, name) for name in (*kept, *_spent(job))]
    if before.raw != job.raw:
        blobs.append(before.raw)
    return [blob for blob in blobs if blob]


def _tell(job: Job, summary: Mapping[str, Any], followers: Sequence[Follower]) -> None:
    for place_of_error, count in summary["internal"].items():
        lines = counted(count, "line")
        logger.error("%s: %s failed inside: %s", job_label(job), lines, place_of_error)
    odd = (summary["missing"], summary["doubled"], summary["unknown_keys"])
    if any(odd) and job.failure is None:
        logger.warning("%s: results missing %d, doubled %d, unknown %d", job_label(job), *odd)
    for job_again in (each.job for each in followers):
        said = (counted(job_again.lines, "line"), job_again.id, job_again.attempt)
        logger.info("%s: %s to run again as job %s (attempt %d)", job_label(job), *said)


def _cost_of(job: Job, summary: Mapping[str, Any]) -> int | None:
    """Return what a job's answers cost; those of synchronous calls were priced one by one."""
    if job.cause is Cause.RESCUE:
        return job.cost
    cost: int | None = summary["cost"]
    return None if is_doubtful(job) else cost


def _is_no_result_file(job: Job, summary: Mapping[str, Any]) -> bool:
    """Whether what was fetched is no results file, or not the whole of one.

    Answers without their keys are results: asking again brings no keys.
    """
    if job.state is not JobState.SECURED:
        return False
    if job.cause in {Cause.RESCUE, Cause.REUSED}:  # there is nothing to ask for again
        return False
    if summary["unreadable"]:
        return True
    # A job that was cancelled or expired may have served nothing: that is its results file, then.
    nothing = summary["missing"] == job.lines and not summary["keyless"]
    return nothing and job.upstream_state not in FRUITLESS


async def _bring_raw(context: StepContext, claim: JobClaim, path: Path) -> bool:
    """Bring the raw results; False when the disk has lost or changed them, but not the upstream."""
    job = claim.row
    if claim.held is not None:
        await _write(path, claim.held.results)
        return True
    if job.raw is None or job.state is not JobState.SECURED:
        return True
    try:
        await context.copy_to(job.raw, path)
    except DamagedBlobError:
        return False
    return True


async def _write(path: Path, content: bytes) -> None:
    """Write a file, on a thread if that takes longer than the way there."""
    if len(content) > SEALED_AT_ONCE:
        await asyncio.to_thread(path.write_bytes, content)
    else:
        path.write_bytes(content)  # noqa: ASYNC240 - microseconds, in the event loop


async def _render(context: StepContext, batch: Batch, job: Job, place: Path) -> Mapping[str, Any]:
    await context.copy_to(job.echo, place / "echo")
    if job.held is not None:
        await context.copy_to(job.held, place / "held")
    unusable = await unusable_files(context, job)
    if unusable:
        await context.copy_to(job.spool, place / "spool")
    if _keeps_digests(context, batch, job):
        await context.copy_to(job.spool, place / "requests")
    task = _collect_task(context, batch, job, place, unusable)
    return await run_collect(context, job, await _ending_its_batch(context, batch, job, task))


async def _ending_its_batch(
    context: StepContext, batch: Batch, job: Job, task: CollectTask
) -> CollectTask:
    """Have the files of the batch written too, if it ends with this job; not from a lost run."""
    if not may_end_with(batch, job):
        return task
    task = replace(task, batch_lines=batch.lines, noted=sum(batch.notes.values()))
    if batch.run is None or batch.index is None:
        return task
    first = Path(task.scratch, "first"), Path(task.scratch, "first.index")
    try:
        for blob, path in zip((batch.run, batch.index), first, strict=True):
            await context.copy_to(blob, path)
    except DamagedBlobError:  # the step that publishes makes it again
        return replace(task, batch_lines=0)
    return replace(task, first=(str(first[0]), str(first[1])))


async def run_collect(context: StepContext, job: Job, task: CollectTask) -> Mapping[str, Any]:
    """Render a job's lines; one that processes die of gets an error of its own."""
    whole = await _collected_by_ranges(context, job, task)
    if whole is not None:
        return whole

    async def work(trail: Trail) -> dict[str, Any]:
        step = replace(task, trail=trail)
        if trail.only:
            step = replace(step, pack=False, batch_lines=0)
        return await context.workers.run("collect", step, COLLECT_SECONDS)

    return await run_on_lines(context, job.id, work)


async def _collected_by_ranges(
    context: StepContext, job: Job, task: CollectTask
) -> Mapping[str, Any] | None:
    """Render large results by as many workers as are free; None when one process must do it."""
    count = _ranges(context, job, task)
    if count == 1:
        return None
    parts = [
        replace(task, scratch=place, part=(number, count), trail=Trail(f"{place}/at", LINE_SECONDS))
        for number in range(count)
        for place in [f"{task.scratch}/range-{number}"]
    ]
    try:
        found = await context.workers.run_all("collect_range", parts, COLLECT_SECONDS)
        together = JoinResultsTask(task, found)
        joined = await context.workers.run("join_results", together, COLLECT_SECONDS)
    except WorkerError as error:
        logger.error("%s: read again by one process: %s", job_label(job), error)  # noqa: TRY400
        return None
    whole: Mapping[str, Any] | None = joined["whole"]
    return whole


def _ranges(context: StepContext, job: Job, task: CollectTask) -> int:
    """Return into how many ranges a job's results are divided: one where more than they count."""
    more = (task.held, task.skip, task.spool, task.requests, task.failure, task.unserved)
    if task.raw is None or task.inline or task.reused or any(more):
        return 1
    if job.defects or not 1 < job.lines == job.items:
        return 1
    size = os.stat(task.raw).st_size  # noqa: PTH116 - microseconds, in the event loop
    return ranges_of(size, context.workers.free, RANGE_BYTES)


def _keeps_digests(context: StepContext, batch: Batch, job: Job) -> bool:
    """Whether later batches may find its answers: never what it was given itself."""
    answered = job.raw is not None and job.cause is not Cause.REUSED
    return answered and reuse_of(batch, context.options.reuse).keeps


def _collect_task(
    context: StepContext, batch: Batch, job: Job, place: Path, unusable: Mapping[str, Failure]
) -> CollectTask:
    has_results = job.raw is not None and job.state is JobState.SECURED
    ended_at, now = job.ended_at or job.created_at, context.clock.now()
    rescued = may_rescue(batch, job, context.options.rescue, now)
    return CollectTask(
        echo=str(place / "echo"),
        scratch=str(place),
        batch_id=batch.id,
        endpoint=batch.endpoint,
        created=ended_at // 1000,
        max_warnings=context.options.input_limits.max_warnings,
        model=job.model,
        policy=batch.policy,
        prices=context.options.prices,
        raw=str(place / "raw") if has_results else None,
        inline=job.output == INLINE,
        failure=job.failure,
        unserved=unserved_by(batch, job),
        spool=str(place / "spool") if unusable else None,
        unusable=unusable,
        held=str(place / "held") if job.held is not None else None,
        again=may_run_again(batch, job, context.options.retries, now, rescued=rescued),
        retry_empty=context.options.retries.empty,
        pack=context.options.retention.raw > 0,
        reused=job.cause is Cause.REUSED,
        requests=str(place / "requests") if (place / "requests").exists() else None,
    )


def unserved_by(batch: Batch, job: Job) -> Failure | None:
    """Return what to say of items that Google never got to: those have an error of their own.

    A job that was stuck and told to end may read SUCCEEDED all the same.
    """
    if job.cancel_sent_at is not None and job.upstream_state != SUCCEEDED:
        return unserved(batch, job)
    if job.stuck_at is not None:
        return job.failure or stuck_failure(job, job.stuck_at)
    return job.failure if job.upstream_state == "EXPIRED" else None


async def release(context: StepContext, _: Batch, claim: JobClaim) -> None:
    """Delete the upstream's copies, for days if need be; they expire by themselves after that.

    While a line of a job is missing or unmatched, what could tell of it is left where it is.
    """
    if not await _settle_doubt(context, claim):
        due = context.clock.now() + max(context.options.settle, context.options.retry.shortest)
        await claim.save(replace(claim.row, due_at=due, failures=0, last_error=None))
        return
    job = claim.row
    if may_delete(job) and (job.upstream_name or job.staged):
        try:
            denials.require_own_key(context, job)
            await context.upstream.release(job)
        except UpstreamError as error:
            if elapsed(job.ended_at or job.created_at, context.clock.now()) < RELEASE_LIFE:
                raise
            logger.warning("%s: left behind at the upstream: %s", job_label(job), describe(error))
    await claim.save(moved(job, JobState.RELEASED, due_at=None))
