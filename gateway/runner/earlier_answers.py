"""Answers of earlier batches, for lines that ask the same again and may be given them.

What may be given is found before the input is read, and copied before the batch has jobs: a batch
whose lines have all been answered creates none at the upstream. Where an answer turns out not to be
there any more, the input is read again without the job that had it.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.job import Job
from gateway.batches.reuse import reuse_of
from gateway.errors import DamagedBlobError, WorkerError
from gateway.runner.context import StepContext, job_label
from gateway.runner.cpu.digests import MergeTask
from gateway.runner.cpu.gather import GatherTask
from gateway.runner.cpu.validate import ValidateTask
from gateway.units import counted
from gateway.wire.gemini import INLINE

logger = logging.getLogger(__name__)

# Of an owner's jobs the newest are looked at: so many, and of so many items in all (24 MB of
# digests for each million).
MOST_JOBS: Final = 1000
MOST_ITEMS: Final = 4_000_000
AT_ONCE: Final = 16
SECONDS: Final = 3600.0


class EarlierAnswers:
    """The jobs whose answers lines of a batch may be given, and a place to bring them to."""

    def __init__(
        self, context: StepContext, place: Path, jobs: Sequence[Job], *, every_line: bool
    ) -> None:
        self._context = context
        self._place = place
        self._jobs = list(jobs)
        if self._jobs:
            self._place.mkdir()
        self._every_line = every_line

    @classmethod
    async def of(cls, context: StepContext, batch: Batch, place: Path) -> "EarlierAnswers":
        """Find the jobs for a batch; none where it does not want any."""
        reuse = reuse_of(batch, context.options.reuse)
        found: list[Job] = []
        if reuse.within:
            now = context.clock.now()
            since = now - reuse.within
            jobs = await context.store.answered_jobs(batch.owner, since, now, MOST_JOBS)
            found = list(_newest(jobs, MOST_ITEMS))
        earlier = cls(context, place, found, every_line=reuse.every_line)
        await earlier._bring_digests()
        return earlier

    async def _bring_digests(self) -> None:
        """Bring the digests of all jobs; those whose digests are gone are left out."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def bring(job: Job) -> Job | None:
            async with gate:
                try:
                    await self._context.copy_to(job.digests or "", self._digests(job))
                except DamagedBlobError as damage:
                    logger.warning("%s: not reused: %s", job_label(job), damage)
                    return None
                return job

        brought = await asyncio.gather(*map(bring, self._jobs))
        self._jobs = [job for job in brought if job is not None]

    def _digests(self, job: Job) -> Path:
        return self._place / f"digests-{job.id}"

    async def offered(self, task: ValidateTask) -> ValidateTask:
        """Return the task with what lines may be given."""
        if not self._jobs:
            return replace(task, answered=None)
        target = self._place / "answered"
        paths = [str(self._digests(job)) for job in self._jobs]
        try:
            await self._context.workers.run("merge", MergeTask(paths, str(target)), SECONDS)
        except WorkerError as error:  # no batch fails for want of answers
            logger.warning("nothing is reused: %s", error)
            self._jobs = []
            return replace(task, answered=None)
        return replace(task, answered=str(target), every_line=self._every_line)

    async def gather(self, planned: Sequence[Mapping[str, Any]]) -> bool:
        """Copy the answers for planned jobs, next to their spools; False if some are not there.

        The jobs that lack some are left out from then on.
        """
        reused = [plan for plan in planned if plan["answers"] is not None]
        _remove([answers_of(plan) for plan in reused])
        lacking = []
        for number in sorted({number for plan in reused for number in plan["sources"]}):
            wanting = [plan for plan in reused if number in plan["sources"]]
            if not await self._gather_from(number, wanting):
                lacking.append(self._jobs[number])
        self._jobs = [job for job in self._jobs if job not in lacking]
        return not lacking

    async def _gather_from(self, number: int, wanting: Sequence[Mapping[str, Any]]) -> bool:
        job, raw = self._jobs[number], self._place / "raw"
        try:
            await self._context.copy_to(job.raw or "", raw)
            for plan in wanting:
                task = GatherTask(
                    wanted=plan["answers"],
                    source=number,
                    raw=str(raw),
                    inline=job.output == INLINE,
                    alone=job.items == 1,
                    target=answers_of(plan),
                    scratch=str(self._place),
                )
                summary = await self._context.workers.run("gather", task, SECONDS)
                if summary["missing"]:
                    gone = counted(summary["missing"], "answer")
                    logger.warning("%s: not reused: %s gone", job_label(job), gone)
                    return False
        except (DamagedBlobError, WorkerError) as error:
            logger.warning("%s: not reused: %s", job_label(job), error)
            return False
        finally:
            _remove([str(raw)])
        return True


def _remove(paths: Sequence[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


def answers_of(plan: Mapping[str, Any]) -> str:
    """Name the file with the raw results of a job whose lines were answered before."""
    return f"{plan['answers']}.raw"


def _newest(jobs: Sequence[Job], items: int) -> Iterator[Job]:
    """Yield as many of the jobs as have so many items at most."""
    for job in jobs:
        items -= job.items
        if items < 0:
            return
        yield job
