"""The part of collecting that makes a follow-up of the lines that run again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.follow_ups import Piece, follow_up, told_faults
from gateway.batches.job import Cause, Job, JobState
from gateway.batches.lifecycle import moved
from gateway.batches.pacing import next_retry
from gateway.batches.planning import display_name
from gateway.batches.rescue import may_rescue
from gateway.ids import jitter, new_job_id
from gateway.ports.metrics import Series
from gateway.ports.store import BlobChange
from gateway.runner.context import JobClaim, StepContext, job_label
from gateway.runner.cpu.recut import PickTask, SplitTask

logger = logging.getLogger(__name__)

PICK_SECONDS: Final = 4 * 3600.0

# The lines of a job that was stuck go on in so many smaller ones.
STUCK_PIECES: Final = 4

# What was refused a moment ago is not asked for again at once: the pause starts here on the ladder.
FIRST_PAUSE: Final = 5


@dataclass(frozen=True, slots=True)
class Follower:
    """A new job, the files that it names, and the blobs that go live with its row."""

    job: Job
    files: Sequence[str]
    blobs: Sequence[str]


async def follow(
    context: StepContext, batch: Batch, job: Job, summary: Mapping[str, Any], place: Path
) -> Sequence[Follower]:
    """Return the follow-up that collecting asks for; its blobs go live with its row."""
    if summary["wanted"] is None:
        return ()
    held = await context.keep([summary["held"]]) if summary["held"] else []
    cause = Cause.RETRY if job.stuck_at is None else Cause.STUCK
    rescued = may_rescue(batch, job, context.options.rescue, context.clock.now())
    if rescued:
        cause = Cause.RESCUE
    pause = next_retry(FIRST_PAUSE + job.attempt, context.options.retry, jitter())
    # Inline answers that came without their keys will do so again: a file's results have theirs.
    inline = job.inline and not summary["unknown_keys"]
    made: list[Follower] = []
    pieces = STUCK_PIECES if cause is Cause.STUCK else 1
    for part in await _pick(context, job, summary["wanted"], place, pieces):
        one = await follower(context, job, cause, part)
        again = replace(
            one.job,
            state=JobState.RESCUING if rescued else one.job.state,
            due_at=one.job.created_at + (0 if rescued else pause),
            inline=inline,
            held=held[0] if held else None,
            fault=told_faults(summary["faults"]),
        )
        made.append(replace(one, job=again, blobs=[*one.blobs, *held] if not made else one.blobs))
    return made


async def follower(
    context: StepContext, job: Job, cause: Cause, part: Mapping[str, Any]
) -> Follower:
    """Make the job of a part; its blobs are kept, to go live with its row."""
    names = await context.keep([part["spool"], part["echo"]])
    piece = Piece(
        spool=names[0],
        echo=names[1],
        held=None,
        **{name: part[name] for name in ("items", "lines", "bytes", "tokens", "files")},
    )
    job_id = new_job_id()
    name = display_name(context.options.gateway_id, job_id)
    made = follow_up(job, cause, piece, (job_id, name), context.clock.now())
    context.meters.count(Series.FOLLOW_UPS, cause=cause.value, model=job.model)
    return Follower(made, piece.files, names)


async def divide_refused(context: StepContext, claim: JobClaim) -> None:
    """Have a job that Google did not take go on as two: all but the line to blame, and that line.

    Where Google does not say which it is, two halves.
    """
    job = claim.row
    failure = job.failure
    async with context.workplace() as place:
        await context.copy_to(job.spool, place / "spool")
        await context.copy_to(job.echo, place / "echo")
        await context.copy_to(job.outgoing[0], place / "sent")
        item = None if failure is None else failure.item
        spool, echo, sent = (str(place / name) for name in ("spool", "echo", "sent"))
        task = SplitTask(spool, echo, str(place), sent, item)
        summary = await context.workers.run("split", task, PICK_SECONDS)
        made = [await follower(context, job, Cause.RECUT, part) for part in summary["parts"]]
    pause = next_retry(1, context.options.retry, jitter())
    parts = [
        replace(each, job=replace(each.job, held=job.held, due_at=each.job.created_at + pause))
        for each in made
    ]
    if item is not None:
        blamed = replace(parts[-1].job, state=JobState.REFUSED, failure=failure, due_at=0)
        parts[-1] = replace(parts[-1], job=blamed)
    logger.info("%s: refused for one of its lines, divided", job_label(job))
    await claim.save(
        moved(job, JobState.COLLECTED, spool="", filled=None),
        jobs=[each.job for each in parts],
        named={each.job.id: each.files for each in parts},
        blobs=BlobChange(
            live=[blob for each in parts for blob in each.blobs],
            deletable=[blob for blob in (job.spool, job.echo, job.filled) if blob],
        ),
    )


async def _pick(
    context: StepContext, job: Job, wanted: str, place: Path, pieces: int
) -> Sequence[Mapping[str, Any]]:
    if not (place / "spool").exists():
        await context.copy_to(job.spool, place / "spool")
    task = PickTask(str(place / "spool"), str(place / "echo"), str(place), wanted, pieces)
    summary = await context.workers.run("pick", task, PICK_SECONDS)
    parts: Sequence[Mapping[str, Any]] = summary["parts"]
    return parts
