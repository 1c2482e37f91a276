"""Remake: a job's requests and answer hints made anew from the input, when the disk has lost them.

Numbers and keys stay what they are, since results may come, or have come, under them. Which lines
are a job's is read from the one of the two that is left; without either, the lines of a model were
given to its jobs in order.
"""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.batches.runs import Kind, unpack
from gateway.runner.cpu import archive
from gateway.runner.cpu.echoes import EchoParts
from gateway.runner.cpu.envelope import Envelope, Line
from gateway.runner.cpu.guard import Guard
from gateway.runner.cpu.input import input_lines
from gateway.runner.cpu.lines import spool_lines
from gateway.runner.cpu.recut import Part, PartWriter, spooled
from gateway.translate import ENDPOINTS, LineError, Policy, Translation
from gateway.wire.gemini_results import read_results

PIECES: Final = 3  # of a line of a spool: its key, its request, its end


@dataclass(frozen=True, slots=True)
class RemakeTask:
    """``spool`` or ``echo`` is what is left of the job; ``held`` has results of items that ran.

    Where neither is left it has ``lines`` lines of ``model``, behind the ``skip`` first of those
    that validation took; ``index`` names those it refused.
    """

    input: str
    scratch: str
    endpoint: str
    policy: Mapping[str, Any]
    max_line_bytes: int
    model: str
    lines: int
    skip: int
    spool: str | None = None
    echo: str | None = None
    held: str | None = None
    index: str | None = None


class Taken(NamedTuple):
    """A line that is the job's, and its items; all of them where they are None."""

    number: int
    items: frozenset[int] | None = None


def remake(task: RemakeTask) -> Part:
    """Translate the job's lines again, into one part. Errors: OSError."""
    return _Remaking(task).part()


class _Remaking:
    def __init__(self, task: RemakeTask) -> None:
        self._task = task
        self._endpoint = ENDPOINTS[task.endpoint]
        self._policy = Policy.from_json(task.policy)
        self._envelope = Envelope(self._endpoint, self._policy, None, task.max_line_bytes)
        self._guard = Guard()

    def part(self) -> Part:
        with ExitStack() as files:
            part = PartWriter(0, Path(self._task.scratch), files)
            for taken, line, made in self._found():
                self._add(part, taken, line, made)
            return part.close()

    def _add(self, part: PartWriter, taken: Taken, line: Line, made: Translation) -> None:
        items, hints = made[0], made[1]
        pieces = spool_lines(items, taken.number)
        for item in range(len(items)):
            if taken.items is None or item in taken.items:
                part.add(b"".join(pieces[PIECES * item : PIECES * (item + 1)]))
        part.add_line(taken.number, line.custom_id, len(items), hints)

    def _found(self) -> Iterator[tuple[Taken, Line, Translation]]:
        """Translate the job's lines. Those that cannot be any more are left out."""
        known = self._known()
        if known is None:
            last = self._task.skip + self._task.lines
            yield from itertools.islice(self._stretch(), self._task.skip, last)
            return
        taken = next(known, None)
        for number, raw in self._input():
            if taken is None:
                return
            if number < taken.number:
                continue
            line = self._envelope.read(raw, number)
            made = self._translated(line)
            if isinstance(line, Line) and made is not None:
                yield taken, line, made
            taken = next(known, None)

    def _known(self) -> Iterator[Taken] | None:
        """Read from the other file which lines are the job's, in order."""
        if self._task.spool is not None:
            return _of_spool(Path(self._task.spool))
        if self._task.echo is not None:
            return self._of_echo(Path(self._task.echo))
        return None

    def _of_echo(self, path: Path) -> Iterator[Taken]:
        done = self._held_items()
        for line, _, items, _ in EchoParts(archive.unpack(path, Path(self._task.scratch))):
            left = frozenset(range(items)) - done.get(line, frozenset())
            yield Taken(line, left)

    def _held_items(self) -> Mapping[int, set[int]]:
        done: dict[int, set[int]] = {}
        if self._task.held is not None:
            for result in read_results(Path(self._task.held)):
                line, _, item = (result.key or "").partition(".")
                if line.isdecimal() and item.isdecimal():
                    done.setdefault(int(line), set()).add(int(item))
        return done

    def _stretch(self) -> Iterator[tuple[Taken, Line, Translation]]:
        """Yield all lines of the model that validation took."""
        refused = _refused(self._task.index)
        for number, raw in self._input():
            if number in refused:
                continue
            line = self._envelope.read(raw, number)
            if not isinstance(line, Line) or line.model != self._task.model:
                continue
            made = self._translated(line)
            if made is not None:
                yield Taken(number), line, made

    def _input(self) -> Iterator[tuple[int, Any]]:
        return input_lines(Path(self._task.input), self._task.max_line_bytes)

    def _translated(self, line: Any) -> Translation | None:  # noqa: ANN401 - a line or a complaint
        if not isinstance(line, Line):
            return None
        made = self._guard.call(
            lambda: self._endpoint.to_gemini(line.body, self._policy, line.model)
        )
        return None if made is None or isinstance(made, LineError) else made


def _of_spool(path: Path) -> Iterator[Taken]:
    for line, rows in itertools.groupby(spooled(path), key=lambda row: row[0]):
        yield Taken(line, frozenset(item for _, item, _ in rows))


def _refused(index: str | None) -> frozenset[int]:
    if index is None:
        return frozenset()
    entries = unpack(Path(index).read_bytes())
    return frozenset(entry.line for entry in entries if entry.kind == Kind.ERROR)
