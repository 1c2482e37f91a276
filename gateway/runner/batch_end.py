"""The end of a batch: the records of its files, and what it and its blobs become by it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.batches.batch import BACKGROUND, Batch, BatchStatus
from gateway.batches.file import File, Segment
from gateway.batches.job import Cause, Job, JobState
from gateway.batches.lifecycle import final_status
from gateway.batches.patience import RECOVERY, ended_because
from gateway.ids import new_file_id
from gateway.ports.store import BatchEnd, Seal
from gateway.runner.context import StepContext
from gateway.translate import REUSED
from gateway.units import counted

logger = logging.getLogger(__name__)

# The files of so many lines are written in a moment: unless that fails, their batch is `finalizing`
# for no longer than the transaction that ends it.
QUICKLY_WRITTEN: Final = 1000

BATCH_OUTPUT: Final = "batch_output"
FILES: Final = (
    "output",
    "error",
    "warnings",
)  # what a batch ends with, each unless it would be empty

Made = Mapping[str, Any]


def may_end_with(batch: Batch, job: Job) -> bool:
    """Whether the files of a batch are written where its results are read, in the same step.

    A batch of few lines that one job has, all of them: no other job exists, since others come of
    one that was cut again, or that left lines.
    """
    waits_for_nothing = (
        batch.status is BatchStatus.IN_PROGRESS
        and batch.kind != BACKGROUND  # its responses are answered by the job's run
        and batch.cancel_requested_at is None
        and not batch.failures
    )
    has_results = job.state is JobState.SECURED and job.failure is None and not job.recover_until
    is_only_one = job.cause is Cause.FIRST and job.lines == batch.lines <= QUICKLY_WRITTEN
    return waits_for_nothing and has_results and is_only_one


def made_files(summary: Mapping[str, Any]) -> Mapping[str, Made]:
    """Return those that were written, by their kind."""
    return {name: summary[name] for name in FILES if summary[name]}


def seals_of(made: Mapping[str, Made]) -> Mapping[str, Seal]:
    """Return by path what files are, which were hashed as they were written."""
    return {each["path"]: Seal(each["bytes"], each["sha256"]) for each in made.values()}


def end_of(
    context: StepContext,
    batch: Batch,
    jobs: Sequence[Job],
    made: Mapping[str, Made],
    blobs: Sequence[str],
) -> BatchEnd:
    """Return the end of a batch, for good; ``blobs`` are those of its files, in their order.

    Its counts and notes are those of the end.
    """
    files = {
        name: output_file(context, batch, name, each, blob)
        for (name, each), blob in zip(made.items(), blobs, strict=True)
    }
    done = _done(context, batch, jobs, files)
    deletable = outlived(batch, jobs, kept=done.raw_until is not None)
    return BatchEnd(done, list(files.values()), deletable)


def tell_end(batch: Batch) -> None:
    """Log what a batch came to."""
    if batch.status is BatchStatus.FAILED:
        told = counted(len(batch.errors), "error")
        logger.info("batch %s failed with %s, nothing ran", batch.id, told)
    elif batch.in_progress_at is not None:
        _tell_counts(batch)
    elif batch.status is BatchStatus.EXPIRED:
        logger.warning("batch %s expired while its input was read, nothing ran", batch.id)
    else:
        logger.info("batch %s cancelled before it was validated", batch.id)


def _tell_counts(batch: Batch) -> None:
    counts = batch.counts
    told = (counted(counts.total, "line"), counts.completed, counts.failed)
    logger.info("batch %s %s: %s, %d completed, %d failed", batch.id, batch.status, *told)


def _done(
    context: StepContext, batch: Batch, jobs: Sequence[Job], files: Mapping[str, File]
) -> Batch:
    now = context.clock.now()
    status = final_status(batch, batch.counts)
    kept = _raw_life(context, jobs)
    return replace(
        batch,
        status=status,
        reused=batch.notes.get(REUSED, 0),
        output_file_id=files["output"].id if "output" in files else None,
        error_file_id=files["error"].id if "error" in files else None,
        notes_file_id=files["warnings"].id if "warnings" in files else None,
        run=batch.run if kept else None,
        index=batch.index if kept else None,
        raw_until=now + kept if kept else None,
        due_at=None,
        failures=0,
        last_error=None,
        ended_because=ended_because(status, jobs),
        completed_at=now if status is BatchStatus.COMPLETED else None,
        expired_at=now if status is BatchStatus.EXPIRED else None,
        cancelled_at=now if status is BatchStatus.CANCELLED else None,
    )


def _raw_life(context: StepContext, jobs: Sequence[Job]) -> int:
    """Return how long files can be rendered again (ms): longer while results may be late."""
    life = context.options.retention.raw
    late = any(job.failure is not None or job.unmatched for job in jobs)
    return life or (RECOVERY if late else 0)


def outlived(batch: Batch, jobs: Sequence[Job], *, kept: bool) -> list[str]:
    """Return blobs not needed any more; ``kept`` are those the files can be rendered from again.

    And the indexes, so that whoever read results while it ran finds where the rest of them is.
    """
    blobs: list[str | None] = [] if kept else [batch.run, batch.index]
    for job in jobs:
        blobs += [job.spool, job.filled, job.run]
        blobs += [] if kept else [job.index, job.echo, job.raw, job.held, job.digests]
    return [blob for blob in blobs if blob]


def output_file(
    context: StepContext, batch: Batch, name: str, made: Mapping[str, Any], blob: str
) -> File:
    """Return the record of a file that a batch ends with, or is rendered into again."""
    now = context.clock.now()
    life = context.options.retention.output
    if batch.output_expires_after is not None:
        life = batch.output_expires_after * 1000
    background = batch.kind == BACKGROUND  # it goes when its answers are where they belong
    expires = now + life if life and not background else None
    return File(
        id=new_file_id(),
        owner=batch.owner,
        purpose=BACKGROUND if background else BATCH_OUTPUT,
        filename=f"{batch.id}_{name}.jsonl",
        bytes=made["bytes"],
        lines=made["lines"],
        sha256=made["sha256"],
        segments=(Segment(blob, made["bytes"]),),
        created_at=now,
        expires_at=expires,
    )
