"""The part of collecting that makes a follow-up of the lines that run again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gateway.batches.follow_ups import Piece, follow_up
from gateway.batches.job import Cause, Job
from gateway.batches.pacing import next_retry
from gateway.batches.planning import display_name
from gateway.ids import jitter, new_job_id
from gateway.runner.context import Tools
from gateway.runner.cpu.recut import PickTask

PICK_SECONDS = 4 * 3600.0

# What was refused a moment ago is not asked for again at once: the pause starts here on the ladder.
FIRST_PAUSE = 5


@dataclass(frozen=True, slots=True)
class Follower:
    """A new job, the files that it names, and the blobs that go live with its row."""

    job: Job
    files: Sequence[str]
    blobs: Sequence[str]


async def follow(
    tools: Tools, job: Job, summary: Mapping[str, Any], place: Path
) -> Sequence[Follower]:
    """The follow-up that collecting a job asks for; its blobs are kept, to go live with its row."""
    if summary["wanted"] is None:
        return ()
    part = await _pick(tools, job, summary["wanted"], place)
    paths = [part["spool"], part["echo"], *([summary["held"]] if summary["held"] else [])]
    names = await tools.keep(paths)
    piece = Piece(
        spool=names[0],
        echo=names[1],
        held=names[2] if summary["held"] else None,
        **{name: part[name] for name in ("items", "lines", "bytes", "tokens", "files")},
    )
    job_id = new_job_id()
    name = display_name(tools.options.gateway_id, job_id)
    now = tools.clock.now()
    made = follow_up(job, Cause.RETRY, piece, (job_id, name), now)
    pause = next_retry(FIRST_PAUSE + job.attempt, tools.options.retry, jitter())
    # Inline answers that came without their keys will do so again: a file's results have theirs.
    inline = job.inline and not summary["strays"]
    return (Follower(replace(made, due_at=now + pause, inline=inline), piece.files, names),)


async def _pick(tools: Tools, job: Job, wanted: str, place: Path) -> Mapping[str, Any]:
    if not (place / "spool").exists():
        await tools.blobs.bring(job.spool, place / "spool")
    task = PickTask(str(place / "spool"), str(place / "echo"), str(place), wanted)
    return await tools.workers.run("pick", task, PICK_SECONDS)
