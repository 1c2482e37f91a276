"""Ranges: one input validated by several processes at once, and what they found joined.

Each process checks and translates one range of the lines, and cuts jobs of its own. Joining is
cheap: only jobs too small to be worth one more are written together, with a model's jobs before and
after in the order of the input. Where anything is wrong with the file, or its ranges together are
over a limit, nothing is joined and the file is read once more from the beginning to the end, so
that errors are the same however many processes there are.
"""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.planning import MAX_MODELS, Size, goes_inline, must_cut
from gateway.batches.runs import RECORD
from gateway.runner.cpu.duplicates import any_twice
from gateway.runner.cpu.echoes import EchoParts, EchoWriter
from gateway.runner.cpu.validate import (
    ModelLimits,
    PlannedJob,
    RangeSummary,
    ValidateSummary,
    ValidateTask,
)
from gateway.translate import ENDPOINTS, Policy
from gateway.units import MIB

# A range is not worth a process of its own below this.
RANGE_BYTES: Final = 16 * MIB
# Jobs of two ranges that have no more together are made one.
JOINED_BYTES: Final = 16 * MIB
INDEX_BLOCK: Final = 4096 * RECORD.size


@dataclass(frozen=True, slots=True)
class JoinTask:
    """``task`` is the validation of the whole file, ``ranges`` what was found in each, in order.

    The runner passes on what workers answered, as it came.
    """

    task: ValidateTask
    ranges: Sequence[Any]


@dataclass(frozen=True, slots=True)
class JoinSummary:
    """``whole`` is None when the file must be read from the beginning to the end."""

    whole: ValidateSummary | None


def ranges_of(size: int, workers: int, least: int = RANGE_BYTES) -> int:
    """Return into how many ranges, none below ``least``, a file of ``size`` bytes is divided."""
    return max(1, min(workers, size // least))


def join(task: JoinTask) -> JoinSummary:
    """Join what ranges found. Errors: OSError."""
    ranges: Sequence[RangeSummary] = task.ranges
    jobs = [job for one in ranges for job in one.jobs]
    if _over_limits(task, jobs) or any_twice([Path(one.seen) for one in ranges]):
        return JoinSummary(None)
    scratch = Path(task.task.scratch)
    joined = _Jobs(task.task).joined(ranges)
    models = {job.model for job in joined}
    notes: Counter[str] = Counter()
    internal: Counter[str] = Counter()
    for one in ranges:
        notes.update(one.notes)
        internal.update(one.internal)
    run, index = _join_runs(ranges, scratch)
    return JoinSummary(
        ValidateSummary(
            lines=sum(one.lines for one in ranges),
            refused=sum(one.refused for one in ranges),
            jobs=joined,
            model=models.pop() if len(models) == 1 else None,
            run=str(run),
            index=str(index),
            notes=dict(notes),
            internal=dict(internal),
            unpriced=next((one.unpriced for one in ranges if one.unpriced is not None), None),
        )
    )


def _over_limits(task: JoinTask, jobs: Sequence[PlannedJob]) -> bool:
    """Whether the file has an error, one that a range found or one of all together."""
    limits = task.task.limits
    return (
        any(one.faulty for one in task.ranges)
        or not any(one.lines for one in task.ranges)
        or sum(one.items for one in task.ranges) > limits.max_items
        or len({file_id for job in jobs for file_id in job.files}) > limits.max_named_files
        or len({job.model for job in jobs}) > MAX_MODELS
    )


def _join_runs(ranges: Sequence[RangeSummary], scratch: Path) -> tuple[Path, Path]:
    """Write the rendered lines of all ranges, and notes about lines, into one run."""
    run, index = scratch / "run-0", scratch / "index-0"
    with run.open("wb") as lines, index.open("wb") as entries:
        for one in ranges:
            before = lines.tell()
            with Path(one.run).open("rb") as file:
                shutil.copyfileobj(file, lines, MIB)
            entries.writelines(_shifted(Path(one.index), before))
    return run, index


def _shifted(index: Path, before: int) -> Iterator[bytes]:
    with index.open("rb") as file:
        while block := file.read(INDEX_BLOCK):
            for line, kind, offset, length in RECORD.iter_unpack(block):
                yield RECORD.pack(line, kind, before + offset, length)


class _Jobs:
    """Jobs of ranges, numbered as if one process had cut them; small ones become one."""

    def __init__(self, task: ValidateTask) -> None:
        self._task = task
        self._policy = Policy.from_json(task.policy)
        self._limits: dict[str, ModelLimits] = {}

    def joined(self, ranges: Iterable[RangeSummary]) -> list[PlannedJob]:
        groups: list[list[PlannedJob]] = []
        last: dict[str, list[PlannedJob]] = {}
        for one in ranges:
            # Of a model's jobs in a range only the first follows one of the range before.
            for job in one.jobs:
                group = last.get(job.model)
                if job.answers is not None:  # nothing is gained by fewer jobs that are never sent
                    groups.append([job])
                elif group is not None and self._fit(group, job):
                    group.append(job)
                else:
                    last[job.model] = [job]
                    groups.append(last[job.model])
        return [self._one(number, group) for number, group in enumerate(groups)]

    def _fit(self, group: Sequence[PlannedJob], job: PlannedJob) -> bool:
        size = _size_of(group)
        return size.bytes + job.bytes <= JOINED_BYTES and not must_cut(
            size, _size_of([job]), self._limits_of(job.model).most
        )

    def _one(self, number: int, group: Sequence[PlannedJob]) -> PlannedJob:
        if len(group) == 1:
            return replace(group[0], number=number)
        scratch = Path(self._task.scratch)
        spool, echo = scratch / f"spool-{number}", scratch / f"echo-{number}"
        _write_together(group, spool, echo)
        size = _size_of(group)
        media = self._limits_of(group[0].model).media
        costs = [job.most for job in group]
        method = ENDPOINTS[self._task.endpoint].method
        return replace(
            group[0],
            number=number,
            items=size.items,
            lines=sum(job.lines for job in group),
            bytes=size.bytes,
            tokens=size.tokens,
            output=size.output,
            inline=goes_inline(method, size, self._task.jobs, media=media),
            spool=str(spool),
            echo=str(echo),
            files=sorted({file_id for job in group for file_id in job.files}),
            most=None if None in costs else sum(cost or 0 for cost in costs),
        )

    def _limits_of(self, model: str) -> ModelLimits:
        if model not in self._limits:
            self._limits[model] = ModelLimits(model, self._task, self._policy)
        return self._limits[model]


def _size_of(jobs: Sequence[PlannedJob]) -> Size:
    size = Size()
    for job in jobs:
        size = size.plus(Size(job.items, job.bytes, job.tokens, job.output))
    return size


def _write_together(group: Sequence[PlannedJob], spool: Path, echo: Path) -> None:
    with spool.open("wb") as requests:
        for job in group:
            with Path(job.spool).open("rb") as file:
                shutil.copyfileobj(file, requests, MIB)
    writer = EchoWriter(echo)
    try:
        for job in group:
            for line in EchoParts(Path(job.echo)):
                writer.add(*line)
    finally:
        writer.close()
