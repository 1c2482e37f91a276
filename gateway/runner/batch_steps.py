"""Steps on the batch row: validate, end unvalidated, publish."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.batches.batch import BACKGROUND, Batch, BatchError, BatchStatus, Counts
from gateway.batches.follow_ups import MODEL_NOT_FOUND, refused_model
from gateway.batches.job import Cause, Job, JobState
from gateway.batches.lifecycle import rest_until
from gateway.batches.limits import NO_LIMITS, Estimate, OverLimitError, limits_of, over_budget
from gateway.batches.patience import HOUR, ended_because
from gateway.batches.planning import display_name
from gateway.batches.quota import Quota
from gateway.errors import WorkerError
from gateway.ids import new_job_id
from gateway.ports.store import BlobChange
from gateway.runner.batch_end import (
    QUICKLY_WRITTEN,
    end_of,
    made_files,
    outlived,
    seals_of,
)
from gateway.runner.context import (
    DEFECTS,
    MAX_DEATHS,
    BatchClaim,
    StepContext,
    is_hopeless,
)
from gateway.runner.cpu.collect import date_of
from gateway.runner.cpu.ranges import JoinTask, ranges_of
from gateway.runner.cpu.validate import ValidateTask
from gateway.runner.earlier_answers import EarlierAnswers, answers_of
from gateway.runner.mending import bring_input
from gateway.runner.missing_lines import files_of
from gateway.runner.model_list import ModelList
from gateway.runner.named_files import NamedFiles, find_files
from gateway.runner.publishing import Written, write_files
from gateway.runner.suspects import explained_deaths, run_on_lines
from gateway.units import counted

logger = logging.getLogger(__name__)

Answered = TypeVar("Answered")

CPU_STEP_SECONDS: Final = 4 * 3600.0  # 2 GiB take a few minutes; far beyond that something hangs

# Seconds after which a batch says that its validation waits for the upstream.
TOLD_AFTER: Final = 1.0
THE_LIST: Final = (
    "Google's list of models, which the models that its lines name are looked up in; if it does not"
    " come within seconds, they are not checked before their jobs are created"
)
UNLISTED: Final = (
    "Google's answer whether a model exists that its list lacks; if it does not come within"
    " seconds, the model is not checked before its job is created"
)

# For how long (ms) jobs of a model go by file after inline results that did not match.
KEYLESS_FOR: Final = 24 * HOUR

_UNREAD: Final = BatchError(
    "batch_expired",
    "The completion window expired before the input file was read. Nothing was run: create the"
    " batch again.",
)


async def validate(context: StepContext, models: ModelList, claim: BatchClaim) -> None:
    """Read the input once; the batch becomes ``in_progress`` with its jobs, or ``failed``.

    When the window ends meanwhile, what is read soon is accounted for line by line. What is not
    ends unread: a file that takes for ever holds neither its batch nor a worker.
    """
    batch = claim.row
    explained = await explained_deaths(context, batch.id) if batch.defects else 0
    if batch.defects - explained >= MAX_DEATHS:  # the process died of it each time
        await _fail(context, claim, [_gave_up(MAX_DEATHS)])
        return
    async with context.workplace() as place:
        reading = asyncio.timeout(_seconds_to_read(context, batch))
        try:
            async with reading:
                summary, files = await _read_input(context, models, claim, place)
        except TimeoutError:
            if not reading.expired():
                raise
            await _expire_unread(context, claim)
            return
        except DEFECTS as error:
            failures = batch.defects - explained + 1
            if not is_hopeless(failures, error):
                raise
            await _fail(context, claim, [_gave_up(failures)])
            return
        _log_internal(batch.id, summary["internal"])
        estimate = _estimate(summary)
        is_background = batch.kind == BACKGROUND  # its responses were looked at one by one
        errors = (
            [BatchError(**error) for error in summary["errors"]]
            or _too_large(context, files)
            or ([] if is_background else _too_dear(context, batch, estimate))
        )
        if errors:
            await _fail(context, claim, errors)
            return
        await _start(context, claim, summary, files, estimate)


def _seconds_to_read(context: StepContext, batch: Batch) -> float:
    """Return the time until the window ends, and as long after it as a batch waits for its jobs."""
    left = max(batch.expires_at - context.clock.now(), 0)
    return (left + context.options.patience.ending) / 1000


async def _expire_unread(context: StepContext, claim: BatchClaim) -> None:
    now = context.clock.now()
    expired = replace(
        claim.row,
        status=BatchStatus.EXPIRED,
        expired_at=now,
        errors=(_UNREAD,),
        due_at=None,
        last_error=None,
        ended_because=ended_because(BatchStatus.EXPIRED, []),
    )
    await claim.save(expired)


async def _read_input(
    context: StepContext, models: ModelList, claim: BatchClaim, place: Path
) -> tuple[Mapping[str, Any], NamedFiles]:
    """Read the input; again, if its lines name files that cannot be used, to refuse these.

    Again also if a model that the list lacks turns out to exist. A third time, and so on, only if
    files, or answers that were to be given again, are deleted at that very moment.
    """
    batch = claim.row
    await bring_input(context, batch, place / "input")
    earlier = await EarlierAnswers.of(context, batch, place / "earlier")
    task = ValidateTask(
        input=str(place / "input"),
        scratch=str(place),
        batch_id=batch.id,
        endpoint=batch.endpoint,
        policy=batch.policy,
        models=await _telling(claim, models.get(batch.owner), THE_LIST),
        limits=context.options.input_limits,
        jobs=context.options.job_limits,
        rules=context.options.quota,
        quotas=await _quotas(context, batch.owner),
        day=date_of(context.clock.now() // 1000),
        prices=context.options.prices,
    )
    task = await earlier.offered(task)
    while True:
        summary = await _validated(context, batch, task)
        listed = task.models or {}
        unknown = [name for name in summary["unknown_models"] if name not in listed]
        found = await _look_up(models, claim, unknown) if unknown else None
        if found:
            task = replace(task, models={**listed, **found})
            continue
        named = sorted({file_id for job in summary["jobs"] for file_id in job["files"]})
        files = await find_files(context, batch.owner, named)
        if files.unusable:
            task = replace(task, unusable={**task.unusable, **files.unusable})
        elif await earlier.gather(summary["jobs"]):
            return summary, files
        else:
            task = await earlier.offered(task)


async def _telling(
    claim: BatchClaim, asked: Coroutine[Any, Any, Answered], waits_for: str
) -> Answered:
    """Await what the upstream is asked; a batch that has to wait for it says so meanwhile."""
    asking = asyncio.ensure_future(asked)
    try:
        if not (await asyncio.wait([asking], timeout=TOLD_AFTER))[0]:
            await claim.save(replace(claim.row, last_error=waits_for), keep=True)
            await asyncio.wait([asking])
            await claim.save(replace(claim.row, last_error=None), keep=True)
    finally:
        asking.cancel()
    return asking.result()


async def _validated(context: StepContext, batch: Batch, task: ValidateTask) -> Mapping[str, Any]:
    """Validate the input: a large one by as many workers as there are, each a range of it.

    By one alone once a process has died of it, which tells at which line.
    """
    workers = context.workers
    size = os.stat(task.input).st_size  # noqa: PTH116 - microseconds, in the event loop
    count = 1 if batch.defects else ranges_of(size, workers.count)
    whole = await _validated_by_ranges(context, task, count) if count > 1 else None
    if whole is not None:
        return whole
    return await run_on_lines(
        context,
        batch.id,
        lambda trail: workers.run("validate", replace(task, trail=trail), CPU_STEP_SECONDS),
    )


async def _validated_by_ranges(
    context: StepContext, task: ValidateTask, count: int
) -> Mapping[str, Any] | None:
    """Validate ranges at the same time; None when the file must be read by one process."""
    workers = context.workers
    parts = [
        replace(task, scratch=f"{task.scratch}/range-{number}", part=(number, count))
        for number in range(count)
    ]
    try:
        found = await workers.run_all("validate_range", parts, CPU_STEP_SECONDS)
        joined = await workers.run("join", JoinTask(task, found), CPU_STEP_SECONDS)
    except WorkerError as error:
        logger.error("batch %s: read again by one process: %s", task.batch_id, error)  # noqa: TRY400
        return None
    whole: Mapping[str, Any] | None = joined["whole"]
    return whole


async def _quotas(context: StepContext, owner: str) -> list[Quota]:
    """Return what was learned of the credential whose jobs these will be."""
    quotas = await context.store.quotas()
    credential = context.options.credential_for(owner)
    return [quota for quota in quotas if quota.credential == credential]


async def _look_up(
    models: ModelList, claim: BatchClaim, names: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """Ask for the models that the list lacks, before a batch fails for them."""
    return await _telling(claim, models.look_up(names, claim.row.owner), UNLISTED)


def _too_large(context: StepContext, files: NamedFiles) -> list[BatchError]:
    most = context.options.input_limits.max_staged_bytes
    if files.bytes <= most:
        return []
    message = (
        f"The files that the lines name have {files.bytes} bytes in all; at most {most} are"
        " accepted for one batch."
    )
    return [BatchError("files_too_large", message)]


def _estimate(summary: Mapping[str, Any]) -> Estimate:
    most = [job["most"] for job in summary["jobs"]]
    known = sum(each for each in most if each is not None)
    tokens = sum(job["tokens"] for job in summary["jobs"] if job["answers"] is None)
    return Estimate(tokens, None if None in most else known, summary["unpriced"])


def _too_dear(context: StepContext, batch: Batch, estimate: Estimate) -> list[BatchError]:
    error = over_budget(batch, estimate, limits_of(batch.owner, context.options.limits))
    return [] if error is None else [error]


def _gave_up(failures: int) -> BatchError:
    return BatchError(
        "internal_error",
        f"The gateway failed to read the input file, {failures} times. Nothing was run.",
    )


def _log_internal(batch_id: str, internal: Mapping[str, int]) -> None:
    for place, count in internal.items():
        lines = counted(count, "line")
        logger.error("batch %s: %s failed inside the gateway: %s", batch_id, lines, place)


async def _fail(
    context: StepContext,
    claim: BatchClaim,
    errors: Sequence[BatchError],
    deletable: Sequence[str] = (),
) -> None:
    now = context.clock.now()
    failed = replace(
        claim.row,
        status=BatchStatus.FAILED,
        failed_at=now,
        errors=tuple(errors),
        counts=Counts(),
        run=None,
        index=None,
        due_at=None,
        last_error=None,
    )
    await claim.save(failed, blobs=BlobChange(deletable=deletable))


async def _start(
    context: StepContext,
    claim: BatchClaim,
    summary: Mapping[str, Any],
    files: NamedFiles,
    estimate: Estimate,
) -> None:
    """Make the jobs, unless that would be beyond what the owner may have."""
    by_file = await _goes_by_file(context, summary["jobs"])
    planned = [
        {**plan, "inline": plan["inline"] and plan["model"] not in by_file}
        for plan in summary["jobs"]
    ]
    paths = [*_refused_lines(summary), *_paths_of(planned)]
    kept = await context.adopt(paths)
    blobs = dict(zip(paths, kept, strict=True))
    now = context.clock.now()
    jobs = [_job(context, claim.row, plan, blobs, now) for plan in planned]
    batch = _in_progress(claim.row, summary, jobs, blobs, now)
    named = {
        job.id: {file_id: files.media_types[file_id] for file_id in plan["files"]}
        for job, plan in zip(jobs, planned, strict=True)
    }
    is_background = batch.kind == BACKGROUND  # its responses were counted one by one
    limits = NO_LIMITS if is_background else limits_of(batch.owner, context.options.limits)
    live = BlobChange(live=list(kept), seals=kept)
    try:
        await claim.save(batch, jobs=jobs, named=named, blobs=live, within=(limits, estimate))
    except OverLimitError as over:  # nothing was written, and nothing has been sent
        await _fail(context, claim, [over.error], list(kept))
        return
    told = (counted(batch.lines, "line"), summary["refused"], batch.reused)
    what = "batch %s in progress: %s, %d refused, %d answered before, %s"
    logger.info(what, batch.id, *told, counted(len(jobs), "job"))


def _in_progress(
    batch: Batch,
    summary: Mapping[str, Any],
    jobs: Sequence[Job],
    blobs: Mapping[str, str],
    now: int,
) -> Batch:
    """Return the batch as validation leaves it."""
    begun = replace(
        batch,
        status=BatchStatus.IN_PROGRESS,
        in_progress_at=now,
        model=summary["model"],
        lines=summary["lines"],
        counts=Counts(total=summary["lines"], failed=summary["refused"]),
        notes=summary["notes"],
        run=blobs.get(summary["run"]),
        index=blobs.get(summary["index"]),
        reused=sum(job.lines for job in jobs if job.cause is Cause.REUSED),
        failures=0,
        last_error=None,
    )
    # With no job at all there is nothing left but to publish the refused lines.
    return replace(begun, due_at=rest_until(begun, now) if jobs else now)


def _refused_lines(summary: Mapping[str, Any]) -> Sequence[str]:
    """Return the paths of run 0 and its index; none where no line was refused or noted.

    A run without an entry would cost two blobs, which is much for a batch of one line.
    """
    said = os.stat(summary["index"]).st_size > 0  # noqa: PTH116 - microseconds, in the event loop
    return [summary["run"], summary["index"]] if said else []


def _paths_of(planned: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for plan in planned:
        yield plan["spool"]
        yield plan["echo"]
        if plan["answers"] is not None:
            yield answers_of(plan)


async def _goes_by_file(context: StepContext, planned: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the models whose inline jobs come back without their keys.

    For weeks the service itself has left them out (python-genai#2008): then nothing tells whose
    each answer is, and it is paid for again. The results of a file have theirs.
    """
    since = context.clock.now() - KEYLESS_FOR
    models = {plan["model"] for plan in planned if plan["inline"] and plan["lines"] > 1}
    return {model for model in models if await context.store.inline_mismatches(model, since)}


def _job(
    context: StepContext,
    batch: Batch,
    plan: Mapping[str, Any],
    blobs: Mapping[str, str],
    now: int,
) -> Job:
    job_id = new_job_id()
    same = ("number", "model", "method", "items", "lines", "bytes", "tokens", "inline", "most")
    job = Job(
        id=job_id,
        batch_id=batch.id,
        spool=blobs[plan["spool"]],
        echo=blobs[plan["echo"]],
        display_name=display_name(context.options.gateway_id, job_id),
        credential=context.options.credential_for(batch.owner),
        placed=context.options.pass_through,
        files=len(plan["files"]),
        created_at=now,
        due_at=now,
        **{name: plan[name] for name in same},
    )
    if plan["answers"] is None:
        return job
    raw = blobs[answers_of(plan)]
    return replace(
        job, state=JobState.SECURED, cause=Cause.REUSED, attempt=0, raw=raw, ended_at=now
    )


async def end_unvalidated(context: StepContext, claim: BatchClaim) -> None:
    """End a batch cancelled before it was validated: nothing ran, nothing is to be published."""
    now = context.clock.now()
    await claim.save(
        replace(claim.row, status=BatchStatus.CANCELLED, cancelled_at=now, due_at=None)
    )


async def publish(context: StepContext, claim: BatchClaim, jobs: Sequence[Job]) -> None:
    """Audit the runs, write the files once, make all of it visible in one transaction."""
    advice = refused_model(jobs)
    if advice is not None and claim.row.cancel_requested_at is None:
        deletable = outlived(claim.row, jobs, kept=False)
        await _fail(context, claim, [BatchError(MODEL_NOT_FOUND, advice)], deletable)
        return
    batch = await _finalizing(context, claim)
    notes = Counter(batch.notes)
    for job in jobs:
        notes.update(job.notes)
    async with context.workplace() as place:
        files_or_jobs = await write_files(context, batch, jobs, notes.total(), place)
        if files_or_jobs.again:
            await _send_again(context, claim, files_or_jobs)
            return
        summary = files_or_jobs.summary
        made = made_files(summary)
        seals = seals_of(made)
        kept = await context.adopt(list(seals), seals)
    batch = replace(batch, counts=Counts(**summary["counts"]), notes=dict(notes))
    end = end_of(context, batch, jobs, made, list(kept))
    blobs = BlobChange(deletable=end.deletable, seals=kept)
    await claim.save(end.batch, files=end.files, blobs=blobs)


async def _finalizing(context: StepContext, claim: BatchClaim) -> Batch:
    """Return the batch while its files are written; saved where that may take long."""
    batch = claim.row
    if batch.status is BatchStatus.IN_PROGRESS:
        now = context.clock.now()
        batch = replace(batch, status=BatchStatus.FINALIZING, finalizing_at=now)
        if batch.lines > QUICKLY_WRITTEN or batch.failures:
            await claim.save(batch, keep=True)
    return batch


async def _send_again(context: StepContext, claim: BatchClaim, found: Written) -> None:
    """Go on with the jobs that run lines again which were in no run; nothing is published yet."""
    batch = claim.row
    lost = batch.counts - Counts(**found.summary["in_runs"])
    jobs = [each.job for each in found.again]
    again = replace(batch, status=BatchStatus.IN_PROGRESS, finalizing_at=None, failures=0)
    await claim.save(
        replace(again, last_error=None, due_at=rest_until(again, context.clock.now())),
        jobs=jobs,
        named=await files_of(context, batch, found.again),
        blobs=BlobChange(live=[blob for each in found.again for blob in each.blobs]),
        sent_again=(sum(job.lines for job in jobs), lost),
    )
    logger.error("batch %s: lines that are in no run are sent again", batch.id)
