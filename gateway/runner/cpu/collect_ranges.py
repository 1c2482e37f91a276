"""Ranges of results: one job's answers rendered by several processes at once, and joined.

Each process reads one range of the results and renders the lines that these are of. Where each line
has one result and nothing is odd, joining is cheap: runs one behind the other, indexes merged in
the order of the input. Anything else (a result that is missing, comes twice or is of no line, lines
of several items) is for one process that reads all of it: nothing is joined, and what comes out is
the same however many processes there are.
"""

import heapq
import itertools
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Counts, TokenUsage
from gateway.batches.runs import Kind
from gateway.runner.cpu.archive import pack
from gateway.runner.cpu.collect import CollectSummary, CollectTask, RangeCollected
from gateway.runner.cpu.lines import IndexWriter, index_ends, read_moved, rendered_in
from gateway.units import MIB

BLOCK: Final = MIB
# Some thousand answers, which take half a second.
RANGE_BYTES: Final = 4 * MIB


@dataclass(frozen=True, slots=True)
class JoinResultsTask:
    """``task`` is the collection of the whole job, ``ranges`` what was found in each, in order.

    The runner passes on what workers answered, as it came.
    """

    task: CollectTask
    ranges: Sequence[Any]


@dataclass(frozen=True, slots=True)
class JoinedResults:
    """``whole`` is None when the results must be read from the beginning to the end."""

    whole: CollectSummary | None


def join_results(task: JoinResultsTask) -> JoinedResults:
    """Join what ranges found. Errors: OSError."""
    ranges: Sequence[RangeCollected] = task.ranges
    if any(one.odd for one in ranges):
        return JoinedResults(None)
    in_order = _in_order(ranges)
    if not (_all_there if in_order else _each_once)(ranges):
        return JoinedResults(None)
    scratch = Path(task.task.scratch)
    echo = pack(Path(task.task.echo)) if task.task.pack else None
    costs = [one.cost for one in ranges]
    index = scratch / "index"
    _join_indexes(ranges, index, in_order=in_order)
    return JoinedResults(
        CollectSummary(
            run=_together([one.run for one in ranges], scratch / "run") or "",
            index=str(index),
            counts=sum((one.counts for one in ranges), Counts()),
            usage=sum((one.usage for one in ranges), TokenUsage()),
            raw=_together([one.raw for one in ranges], scratch / "raw.zst"),
            echo=None if echo is None else str(echo),
            notes=_added(one.notes for one in ranges),
            internal=_added(one.internal for one in ranges),
            wanted=_join_wanted(ranges, scratch / "wanted"),
            faults=_added(one.faults for one in ranges),
            cost=None if None in costs else sum(cost or 0 for cost in costs),
        )
    )


def _in_order(ranges: Sequence[RangeCollected]) -> bool:
    """Whether the lines of each range come behind those of the one before, and none runs again.

    Nearly always: then no line is in two ranges, and nothing needs to be merged.
    """
    if any(one.wanted is not None for one in ranges):
        return False
    ends = [index_ends(Path(one.index)) for one in ranges]
    return all(one[1] < other[0] for one, other in itertools.pairwise(ends))


def _all_there(ranges: Sequence[RangeCollected]) -> bool:
    return sum(rendered_in(Path(one.index)) for one in ranges) == ranges[0].lines


def _each_once(ranges: Sequence[RangeCollected]) -> bool:
    """Whether each line of the job is rendered, or is to run again, in exactly one range."""
    count = last = 0
    for line in heapq.merge(*map(_rendered, ranges), *map(_wanted, ranges)):
        if line == last:
            return False
        last = line
        count += 1
    return count == ranges[0].lines


def _rendered(found: RangeCollected) -> Iterator[int]:
    return (line for line, kind, _, _ in read_moved(Path(found.index), 0) if kind != Kind.NOTES)


def _wanted(found: RangeCollected) -> Iterator[int]:
    if found.wanted is not None:
        with Path(found.wanted).open("rb") as file:
            yield from map(int, file)


def _join_indexes(ranges: Sequence[RangeCollected], path: Path, *, in_order: bool) -> None:
    """Merge the indexes for runs that are one behind the other."""
    before = [0]
    for one in ranges:
        before.append(before[-1] + Path(one.run).stat().st_size)
    indexes = [(Path(one.index), at) for one, at in zip(ranges, before, strict=False)]
    index = IndexWriter(path)
    if in_order:
        for each, at in indexes:
            index.append(each, at)
    else:
        for line, kind, offset, length in heapq.merge(*itertools.starmap(read_moved, indexes)):
            index.write(line, kind, offset, length)
    index.close()


def _join_wanted(ranges: Sequence[RangeCollected], path: Path) -> str | None:
    lines = list(heapq.merge(*map(_wanted, ranges)))
    if not lines:
        return None
    with path.open("wb") as file:
        file.writelines(b"%d\n" % line for line in lines)
    return str(path)


def _together(parts: Sequence[str | None], path: Path) -> str | None:
    """Append files to the first, which is moved; None when there is one less."""
    there = [part for part in parts if part is not None]
    if len(there) < len(parts):
        return None
    first, *others = there
    Path(first).rename(path)
    with path.open("ab") as target:
        for part in others:
            with Path(part).open("rb") as file:
                shutil.copyfileobj(file, target, BLOCK)
    return str(path)


def _added(counts: Iterable[Any]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
