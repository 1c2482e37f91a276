"""Rendered lines that the disk has lost or changed before they were published, rendered again."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from gateway.batches.batch import Batch
from gateway.batches.job import Job, JobState
from gateway.batches.patience import elapsed
from gateway.errors import DamagedBlobError, UpstreamError, UpstreamGoneError
from gateway.runner import denials
from gateway.runner.context import StepContext, job_label
from gateway.runner.cpu.publish import RunPaths
from gateway.runner.mending import LOST, bring_left, remade
from gateway.runner.rendering import render_again, sources

logger = logging.getLogger(__name__)


async def run_again(
    context: StepContext,
    batch: Batch,
    job: Job,
    jobs: Sequence[Job],
    place: Path,
    *,
    final: bool,
) -> RunPaths | None:
    """Render the run of a job from its raw results.

    None when its lines are not known, or, unless it is ``final``, when its results are gone. A line
    that was never sent, since the upstream could not use its file, is told ``result_missing``: why
    was known by the copy of the file, which goes as soon as the job is collected.

    Errors: ``Upstream*`` while results that are lost here may still be fetched.
    """
    own = place / f"again-{job.number}"
    own.mkdir()
    paths = await _bring_sources(context, batch, job, jobs, own)
    if paths is None:
        return None
    failure = job.failure
    if job.raw is not None and "raw" not in paths:
        if await _fetched(context, batch, job, own / "raw"):
            paths["raw"] = str(own / "raw")
        elif final:
            failure = LOST
        else:
            return None
    logger.warning("%s: its answers are rendered again", job_label(job))
    again = replace(job, failure=failure)
    summary = await render_again(context, batch, again, paths, policy=batch.policy)
    return RunPaths(summary["run"], summary["index"])


async def _bring_sources(
    context: StepContext, batch: Batch, job: Job, jobs: Sequence[Job], own: Path
) -> dict[str, str] | None:
    """Return paths of what the disk still has, and of new answer hints; None without any."""
    paths = {}
    for name, (owner, blob) in sources(job, jobs).items():
        path = own / name
        try:
            await context.copy_to(blob, path)
        except DamagedBlobError as damage:
            path.unlink(missing_ok=True)
            logger.error("%s: %s", job_label(owner), damage)  # noqa: TRY400
            if blob != owner.echo:
                continue
            place = own / f"of-{name}"
            place.mkdir()
            made = await remade(
                context, batch, owner, await bring_left(context, owner, place), place
            )
            if made is None:
                return None
            path = Path(made["echo"])
        paths[name] = str(path)
    return paths


async def _fetched(context: StepContext, batch: Batch, job: Job, path: Path) -> bool:
    """Whether the upstream still has the results: asked for hours, unless we deleted them there.

    Errors: ``Upstream*`` until then.
    """
    if job.upstream_name is None:  # synchronous calls: Google keeps no answers of these
        return False
    try:
        denials.require_own_key(context, job)
        fetched = context.upstream.fetch(job.upstream_name or "", job.output or "", job.credential)
        async with aclosing(fetched) as blocks:
            await asyncio.to_thread(path.touch)
            async for block in blocks:
                await asyncio.to_thread(_append, path, block)
    except UpstreamError as error:
        asked = elapsed(batch.finalizing_at, context.clock.now())
        deleted = job.state is JobState.RELEASED and isinstance(error, UpstreamGoneError)
        if not deleted and asked < context.options.patience.denial:
            raise
        logger.error("%s: raw results are lost, here and there", job_label(job))  # noqa: TRY400
        return False
    return True


def _append(path: Path, block: bytes) -> None:
    with path.open("ab") as file:
        file.write(block)
