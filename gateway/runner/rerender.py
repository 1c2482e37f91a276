"""Rerender: the files of an ended batch written anew from its raw results, without paying again."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.batches.batch import Batch
from gateway.batches.follow_ups import without_cut
from gateway.batches.job import Job
from gateway.errors import ConflictError
from gateway.runner.batch_end import FILES, output_file
from gateway.runner.batch_steps import CPU_STEP_SECONDS
from gateway.runner.context import StepContext
from gateway.runner.cpu.publish import PublishTask, RunPaths
from gateway.runner.rendering import render_again, sources

logger = logging.getLogger(__name__)


class Rerenderer:
    """Renders ended batches again, one at a time, under the policy of today or the stored one."""

    def __init__(self, context: StepContext, policy: Mapping[str, Any]) -> None:
        self._context = context
        self._policy = policy
        self._turn = asyncio.Lock()

    async def render(self, batch: Batch, *, stored_policy: bool) -> Batch:
        """Write the files and list them on the batch; those it ended with stay what they are.

        Errors: ConflictError when the raw results are gone.
        """
        policy = batch.policy if stored_policy else self._policy
        async with self._turn, self._context.workplace() as place:
            work = await self._context.store.load_work(batch.id)
            if work is None or work.batch.raw_until is None:
                raise _gone(batch)
            summary = await self._publish(work.batch, work.jobs, policy, place)
            written = {name: summary[name] for name in FILES if summary[name]}
            blobs = await self._context.keep([made["path"] for made in written.values()])
        files = {
            name: output_file(self._context, batch, name, made, blob)
            for (name, made), blob in zip(written.items(), blobs, strict=True)
        }
        ids = {f"{name}_file_id": files[name].id if name in files else None for name in FILES}
        entry = {"created_at": self._context.clock.now() // 1000, **ids}
        done = await self._context.store.add_rerendered(batch.id, entry, list(files.values()))
        if done is None:
            raise _gone(batch)
        logger.info("batch %s was rendered again", batch.id)
        return done

    async def _publish(
        self, batch: Batch, jobs: Sequence[Job], policy: Mapping[str, Any], place: Path
    ) -> Mapping[str, Any]:
        runs = []
        if batch.run is not None and batch.index is not None:
            run, index = place / "run", place / "index"
            await self._context.copy_to(batch.run, run)
            await self._context.copy_to(batch.index, index)
            runs.append(RunPaths(str(run), str(index)))
        notes = Counter(batch.notes)  # of lines and answers: the latter are counted anew
        for job in without_cut(jobs):
            notes.subtract(job.notes)
            summary = await self._collect(batch, job, jobs, policy, place)
            notes.update(summary["notes"])
            runs.append(RunPaths(summary["run"], summary["index"]))
        most = self._context.options.input_limits.max_warnings
        task = PublishTask(str(place), runs, batch.lines, notes.total(), most)
        return await self._context.workers.run("publish", task, CPU_STEP_SECONDS)

    async def _collect(
        self,
        batch: Batch,
        job: Job,
        jobs: Sequence[Job],
        policy: Mapping[str, Any],
        place: Path,
    ) -> Mapping[str, Any]:
        """Render what one job brought, but for lines that went on into other jobs."""
        own = place / str(job.number)
        own.mkdir()
        paths = {}
        for name, (_, blob) in sources(job, jobs).items():
            await self._context.copy_to(blob, own / name)
            paths[name] = str(own / name)
        return await render_again(self._context, batch, job, paths, policy=policy)


def _gone(batch: Batch) -> ConflictError:
    return ConflictError(
        f"The raw results of batch '{batch.id}' are gone (GATEWAY_RAW_RESULTS_SECONDS): it cannot"
        " be rendered again."
    )
