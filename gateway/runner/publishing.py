"""Writing the files that a batch ends with, from its runs; what the disk has lost is made again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.follow_ups import without_cut
from gateway.batches.job import Failure, Job
from gateway.batches.lifecycle import stop_reason
from gateway.errors import AuditError, DamagedBlobError
from gateway.runner.context import StepContext
from gateway.runner.cpu.collect import MISSING
from gateway.runner.cpu.publish import PublishTask, RunPaths
from gateway.runner.cpu.validate import ValidateTask
from gateway.runner.follow_step import Follower
from gateway.runner.lost_runs import run_again
from gateway.runner.mending import LOST, bring_input
from gateway.runner.missing_lines import send_again
from gateway.runner.named_files import find_files

logger = logging.getLogger(__name__)

PUBLISH_SECONDS: Final = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Written:
    """Files that were written, or the jobs that run lines again which were in no run."""

    summary: Mapping[str, Any]
    again: Sequence[Follower] = ()


async def write_files(
    context: StepContext, batch: Batch, jobs: Sequence[Job], noted: int, place: Path
) -> Written:
    """Write every line once, in input order. ``noted`` is the number of all notes.

    Lines that are in no run are sent again, as far as a follow-up may be; of the others each gets
    an error.
    """
    runs = _Runs(context, batch, jobs, place)
    try:
        summary = await runs.publish(noted)
    except AuditError as error:
        logger.error("batch %s: %s; all is rendered again", batch.id, error)  # noqa: TRY400
        runs = runs.untrusted()
        summary = await runs.publish(noted)
    if summary["missing"] is None:
        return Written(summary)
    again = await send_again(context, batch, without_cut(jobs), summary["missing"], place)
    if again:
        return Written(summary, again)
    return Written(await runs.with_errors().publish(noted) if runs.left else summary)


@dataclass
class _Runs:
    """The rendered lines of a batch. Those on the disk are not ``trusted`` after an audit.

    Of a job whose results are lost ``final`` gets an error for each line; until then they are left
    out, since they may run again.
    """

    context: StepContext
    batch: Batch
    jobs: Sequence[Job]
    place: Path
    trusted: bool = True
    final: bool = False
    left: bool = field(init=False, default=False)  # whether a job's lines were left out
    _has_input: bool | None = field(init=False, default=None)
    _damaged: bool = field(init=False, default=False)

    def untrusted(self) -> "_Runs":
        """Return the same, all of it rendered again."""
        return self._anew("all-again", trusted=False, final=False)

    def with_errors(self) -> "_Runs":
        """Return the same with an error for each line of jobs that were left out."""
        return self._anew("final", trusted=self.trusted, final=True)

    def _anew(self, name: str, *, trusted: bool, final: bool) -> "_Runs":
        place = self.place / name
        place.mkdir()
        return replace(self, place=place, trusted=trusted, final=final)

    async def publish(self, noted: int) -> Mapping[str, Any]:
        refused = [] if self.batch.run is None else [await self._refused()]
        runs = [*refused, *[await self._run_of(job) for job in without_cut(self.jobs)]]
        told = {job.failure.code for job in self.jobs if job.failure is not None}
        damaged = self._damaged or LOST.code in told
        lost = damaged or None in runs or not self.trusted
        limits = self.context.options.input_limits
        task = PublishTask(
            scratch=str(self.place),
            runs=[run for run in runs if run is not None],
            lines=self.batch.lines,
            noted=noted,
            max_warnings=limits.max_warnings,
            batch_id=self.batch.id,
            lost=self._why_missing(damaged=damaged) if lost else None,
            input=await self._input() if lost else None,
            max_line_bytes=limits.max_line_bytes,
            mended=not self.trusted,
        )
        return await self.context.workers.run("publish", task, PUBLISH_SECONDS)

    def _why_missing(self, *, damaged: bool) -> Failure:
        """Return what to say of a line that is in no run and may not run again."""
        if damaged:
            return LOST
        return stop_reason(self.batch, self.context.clock.now()) or MISSING

    async def _run_of(self, job: Job) -> RunPaths | None:
        if self.trusted or (job.failure is not None and job.failure.code == LOST.code):
            brought = await self._brought(job.run, job.index, f"run-{job.number}")
            if brought is not None:
                return brought
        made = await run_again(
            self.context, self.batch, job, self.jobs, self.place, final=self.final
        )
        self.left = self.left or made is None
        return made

    async def _refused(self) -> RunPaths | None:
        """Run 0, of the lines that were refused at validation."""
        batch = self.batch
        brought = await self._brought(batch.run, batch.index, "refused") if self.trusted else None
        return brought or await self._refused_again()

    async def _brought(self, run: str | None, index: str | None, name: str) -> RunPaths | None:
        if run is None or index is None:
            raise LookupError("a run that is to be published is not there")
        paths = RunPaths(str(self.place / name), str(self.place / f"{name}.index"))
        try:
            await self.context.copy_to(run, Path(paths.run))
            await self.context.copy_to(index, Path(paths.index))
        except DamagedBlobError as damage:
            logger.error("batch %s: %s", self.batch.id, damage)  # noqa: TRY400
            self._damaged = True
            return None
        return paths

    async def _input(self) -> str | None:
        """Bring the input, for the names of lines that nothing else is known of."""
        path = self.place / "input"
        if self._has_input is None:
            try:
                await bring_input(self.context, self.batch, path)
                self._has_input = True
            except DamagedBlobError as damage:
                logger.error("batch %s: %s", self.batch.id, damage)  # noqa: TRY400
                self._has_input = False
        return str(path) if self._has_input else None

    async def _refused_again(self) -> RunPaths | None:
        """Validate once more, for the lines that are refused. None without the input."""
        path = await self._input()
        if path is None:
            return None
        batch, options = self.batch, self.context.options
        scratch = self.place / "validated"
        scratch.mkdir()
        limits = (options.input_limits, options.job_limits)
        task = ValidateTask(
            path, str(scratch), batch.id, batch.endpoint, batch.policy, None, *limits
        )
        while True:
            summary = await self.context.workers.run("validate", task, PUBLISH_SECONDS)
            named = sorted({file_id for job in summary["jobs"] for file_id in job["files"]})
            files = await find_files(self.context, batch.owner, named)
            if not files.unusable:
                break
            task = replace(task, unusable={**task.unusable, **files.unusable})
        return RunPaths(summary["run"], summary["index"]) if summary["run"] else None
