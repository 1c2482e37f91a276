"""Rendering again what one job brought: for new files of an ended batch, and for a lost run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.batches.batch import Batch
from gateway.batches.job import Cause, Failure, Job
from gateway.runner.context import StepContext
from gateway.runner.cpu.collect import CollectTask
from gateway.runner.job_steps import run_collect, unserved_by
from gateway.wire.gemini import INLINE


async def render_again(
    context: StepContext,
    batch: Batch,
    job: Job,
    paths: Mapping[str, str],
    *,
    policy: Mapping[str, Any],
    unusable: Mapping[str, Failure] | None = None,
) -> Mapping[str, Any]:
    """Render what one job brought, but for lines that went on into other jobs.

    ``paths``: those of ``echo``, ``raw``, ``held`` and ``spool`` that there are, and the hints of
    jobs that follow, as ``skip-…``. The directory of the first is written to.
    """
    task = CollectTask(
        echo=paths["echo"],
        scratch=str(Path(paths["echo"]).parent),
        batch_id=batch.id,
        endpoint=batch.endpoint,
        created=(job.ended_at or job.created_at) // 1000,
        max_warnings=context.options.input_limits.max_warnings,
        model=job.model,
        policy=policy,
        raw=paths.get("raw"),
        inline=job.output == INLINE,
        failure=job.failure,
        unserved=unserved_by(batch, job),
        held=paths.get("held"),
        spool=paths.get("spool"),
        unusable=unusable or {},
        reused=job.cause is Cause.REUSED,
        skip=[path for name, path in paths.items() if name.startswith("skip-")],
    )
    return await run_collect(context, job, task)


def sources(job: Job, jobs: Sequence[Job]) -> Mapping[str, tuple[Job, str]]:
    """Name what a job is rendered from, as :func:`render_again` does: whose blob, and which."""
    blobs = {"echo": (job, job.echo), "raw": (job, job.raw), "held": (job, job.held)}
    blobs |= {f"skip-{each.number}": (each, each.echo) for each in successors(job, jobs)}
    return {name: (owner, blob) for name, (owner, blob) in blobs.items() if blob is not None}


def successors(job: Job, jobs: Sequence[Job]) -> Iterator[Job]:
    """Find the jobs that took lines of this one; of one that was cut before it ran, its parts."""
    for each in jobs:
        if each.follows == job.id:
            parts = list(successors(each, jobs)) if each.run is None else []
            yield from parts or [each]
