"""Writing the files that a batch ends with, from its runs; what the disk has lost is made again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.job import Cause, Job
from gateway.errors import AuditError
from gateway.runner.blob_source import DamagedBlobError
from gateway.runner.context import StepContext
from gateway.runner.cpu.publish import PublishTask, RunPaths
from gateway.runner.cpu.validate import ValidateTask
from gateway.runner.lost_runs import run_again
from gateway.runner.mending import LOST, bring_input
from gateway.runner.named_files import find_files

logger = logging.getLogger(__name__)

PUBLISH_SECONDS: Final = 4 * 3600.0


async def write_files(
    context: StepContext, batch: Batch, jobs: Sequence[Job], noted: int, place: Path
) -> Mapping[str, Any]:
    """Every line once, in input order. ``noted`` is the number of all notes.

    Errors: AuditError when a line comes twice.
    """
    runs = _Runs(context, batch, jobs, place)
    try:
        return await runs.publish(noted)
    except AuditError as error:
        logger.error("batch %s: %s; all is rendered again", batch.id, error)  # noqa: TRY400
    again = place / "all-again"
    again.mkdir()
    return await _Runs(context, batch, jobs, again, trusted=False).publish(noted)


class _Runs:
    """The rendered lines of a batch. Those on the disk are not ``trusted`` after an audit."""

    def __init__(
        self,
        context: StepContext,
        batch: Batch,
        jobs: Sequence[Job],
        place: Path,
        *,
        trusted: bool = True,
    ) -> None:
        self._context = context
        self._batch = batch
        self._jobs = jobs
        self._place = place
        self._trusted = trusted
        self._has_input: bool | None = None

    async def publish(self, noted: int) -> Mapping[str, Any]:
        runs = [await self._refused(), *[await self._run_of(job) for job in self._ran()]]
        told = {job.failure.code for job in self._jobs if job.failure is not None}
        lost = None in runs or LOST.code in told or not self._trusted
        limits = self._context.options.input_limits
        task = PublishTask(
            scratch=str(self._place),
            runs=[run for run in runs if run is not None],
            lines=self._batch.lines,
            noted=noted,
            max_warnings=limits.max_warnings,
            batch_id=self._batch.id,
            lost=LOST if lost else None,
            input=await self._input() if lost else None,
            max_line_bytes=limits.max_line_bytes,
        )
        return await self._context.workers.run("publish", task, PUBLISH_SECONDS)

    def _ran(self) -> Sequence[Job]:
        """Leave out the jobs whose lines other jobs took over before they ran."""
        cut_again = {job.follows for job in self._jobs if job.cause is Cause.RECUT}
        return [job for job in self._jobs if job.run is not None or job.id not in cut_again]

    async def _run_of(self, job: Job) -> RunPaths | None:
        if self._trusted or (job.failure is not None and job.failure.code == LOST.code):
            brought = await self._brought(job.run, job.index, f"run-{job.number}")
            if brought is not None:
                return brought
        return await run_again(self._context, self._batch, job, self._jobs, self._place)

    async def _refused(self) -> RunPaths | None:
        """Run 0, of the lines that were refused at validation."""
        batch = self._batch
        brought = await self._brought(batch.run, batch.index, "refused") if self._trusted else None
        return brought or await self._refused_again()

    async def _brought(self, run: str | None, index: str | None, name: str) -> RunPaths | None:
        if run is None or index is None:
            raise LookupError("a run that is to be published is not there")
        paths = RunPaths(str(self._place / name), str(self._place / f"{name}.index"))
        try:
            await self._context.copy_to(run, Path(paths.run))
            await self._context.copy_to(index, Path(paths.index))
        except DamagedBlobError as damage:
            logger.error("batch %s: %s", self._batch.id, damage)  # noqa: TRY400
            return None
        return paths

    async def _input(self) -> str | None:
        """Bring the input, for the names of lines that nothing else is known of."""
        path = self._place / "input"
        if self._has_input is None:
            try:
                await bring_input(self._context, self._batch, path)
                self._has_input = True
            except DamagedBlobError as damage:
                logger.error("batch %s: %s", self._batch.id, damage)  # noqa: TRY400
                self._has_input = False
        return str(path) if self._has_input else None

    async def _refused_again(self) -> RunPaths | None:
        """Validate once more, for the lines that are refused. None without the input."""
        path = await self._input()
        if path is None:
            return None
        batch, options = self._batch, self._context.options
        scratch = self._place / "validated"
        scratch.mkdir()
        limits = (options.input_limits, options.job_limits)
        task = ValidateTask(
            path, str(scratch), batch.id, batch.endpoint, batch.policy, None, *limits
        )
        while True:
            summary = await self._context.workers.run("validate", task, PUBLISH_SECONDS)
            named = sorted({file_id for job in summary["jobs"] for file_id in job["files"]})
            files = await find_files(self._context, batch.owner, named)
            if not files.unusable:
                break
            task = replace(task, unusable={**task.unusable, **files.unusable})
        return RunPaths(summary["run"], summary["index"]) if summary["run"] else None
