"""Publish: every line once, in input order, into the output or the error file, and its notes."""

import hashlib
import itertools
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from gateway.batches.batch import Counts
from gateway.batches.job import Failure
from gateway.batches.runs import (
    GAP,
    Kind,
    Stretch,
    audited,
    gaps_filled,
    merged,
    single,
    stretches,
)
from gateway.errors import AuditError
from gateway.runner.cpu.input import input_lines
from gateway.runner.cpu.lines import failure_line, read_index
from gateway.runner.cpu.notes import MAX_BYTES, rest_entry
from gateway.units import MIB

BUFFER: Final = MIB


@dataclass(frozen=True, slots=True)
class RunPaths:
    """A run and its index."""

    run: str
    index: str


@dataclass(frozen=True, slots=True)
class PublishTask:
    """``lines`` is the number of lines of the input, ``noted`` that of all notes about them.

    ``lost``: what to say of lines that no run has; the names of these are in ``input``, if there is
    one. None: each line must be there. With ``mended``, which an audit has failed before, a line
    that comes twice is taken once, and one that cannot be read counts as one that no run has.
    """

    scratch: str
    runs: Sequence[RunPaths]
    lines: int
    noted: int
    max_warnings: int
    batch_id: str = ""
    lost: Failure | None = None
    input: str | None = None
    max_line_bytes: int = MIB
    mended: bool = False


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file, hashed as it was written."""

    path: str
    bytes: int
    lines: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PublishSummary:
    """None for a file that would be empty, as OpenAI leaves it out.

    ``missing`` is a file with the numbers of the lines that no run had, an unsigned integer each;
    None when there are none. ``in_runs`` counts the others.
    """

    output: PublishedFile | None
    error: PublishedFile | None
    warnings: PublishedFile | None
    counts: Counts
    in_runs: Counts
    missing: str | None = None


def publish(task: PublishTask) -> PublishSummary:
    """Write the files. Errors: AuditError when a line is missing or comes twice; OSError."""
    with ExitStack() as files:
        runs = [
            files.enter_context(Path(paths.run).open("rb", buffering=0)).fileno()
            for paths in task.runs
        ]
        pieces = _Pieces(task, runs)
        output = _Writer(Path(task.scratch) / "output", files)
        error = _Writer(Path(task.scratch) / "error", files)
        warnings = _Writer(Path(task.scratch) / "warnings", files)
        kinds: Counter[int] = Counter()
        for kind, text, lines in pieces:
            if kind == Kind.NOTES:
                _write_notes(text, warnings, task.max_warnings)
                continue
            writer = output if kind == Kind.OUTPUT else error
            writer.write(text, lines)
            kinds[kind] += lines
        if task.noted > warnings.lines:
            warnings.write(rest_entry(task.noted - warnings.lines))
        if output.lines + error.lines != task.lines:
            raise AuditError(f"{output.lines + error.lines} of {task.lines} lines were written")
        counts = Counts(task.lines, output.lines, kinds[Kind.ERROR])
        in_runs = replace(counts, failed=counts.failed - pieces.failed_gaps)
        made = output.close(), error.close(), warnings.close()
        return PublishSummary(*made, counts, in_runs, pieces.save_missing())


class _Pieces:
    """Lines and notes to be written, in the order of the input, each with its kind."""

    def __init__(self, task: PublishTask, runs: Sequence[int]) -> None:
        self._task = task
        self._runs = runs
        self._gaps = _Gaps(task)
        self.failed_gaps = 0  # lines that no run has, and that count as failed

    def __iter__(self) -> Iterator[tuple[int, bytes, int]]:
        """Yield kind, text and number of lines. Errors: AuditError unless each is there once."""
        task = self._task
        entries = merged([read_index(Path(paths.index)) for paths in task.runs])
        if task.mended:
            entries = single(entries, task.lines)
        if task.lost is not None:
            entries = gaps_filled(entries, task.lines)
        # What was damaged is taken line by line.
        most_bytes = 0 if task.mended else BUFFER
        for stretch in stretches(audited(entries, task.lines), most_bytes):
            text = self._text(stretch)
            if text is not None:
                yield stretch.kind, text, len(stretch.lengths)
            elif stretch.kind != Kind.NOTES:
                kind, line = self._gaps.line(stretch.line)
                self.failed_gaps += kind is Kind.ERROR
                yield kind, line, 1

    def _text(self, stretch: Stretch) -> bytes | None:
        """Return what an index names; None when that is nothing, or nothing that can be used."""
        if stretch.run == GAP:
            return None
        try:
            return _piece(self._runs[stretch.run], stretch)
        except AuditError:
            if self._task.mended and self._task.lost is not None:
                return None
            raise

    def save_missing(self) -> str | None:
        """Write the numbers of the lines that no run had."""
        if not self._gaps.numbers:
            return None
        path = Path(self._task.scratch) / "missing"
        path.write_bytes(self._gaps.numbers.tobytes())
        return str(path)


class _Gaps:
    """Error lines for what no run has, in the order of the input."""

    def __init__(self, task: PublishTask) -> None:
        self.numbers = array("I")
        self._task = task
        lines = None if task.input is None else Path(task.input)
        self._input = iter(()) if lines is None else input_lines(lines, task.max_line_bytes)

    def line(self, number: int) -> tuple[Kind, bytes]:
        """Write the error line of one."""
        failure = self._task.lost
        assert failure is not None  # noqa: S101 - without it there are no gaps
        self.numbers.append(number)
        told = failure
        if failure.status is not None:
            told = replace(failure, message=f"{failure.message} (Line {number} of the input.)")
        return failure_line(self._task.batch_id, number, self._custom_id(number), told)

    def _custom_id(self, number: int) -> str:
        """Return its custom_id; empty when the input is gone too."""
        raw = next((raw for at, raw in self._input if at == number), b"")
        try:
            name = orjson.loads(raw if isinstance(raw, bytes) else b"")["custom_id"]
        except (TypeError, ValueError, KeyError):
            return ""
        return name if isinstance(name, str) else ""


def _piece(run: int, stretch: Stretch) -> bytes:
    """Read what an index names. Errors: AuditError when the run was cut or is another one's."""
    text = os.pread(run, sum(stretch.lengths), stretch.offset)
    start = 0
    for line, end in enumerate(itertools.accumulate(stretch.lengths), stretch.line):
        # A look for the next line end skips what counting all of them compares byte by byte.
        if end == start or text.find(b"\n", start) != end - 1:
            if text[start:end][-1:] != b"\n":
                raise AuditError(f"line {line} of a run is cut")
            if stretch.kind != Kind.NOTES:
                raise AuditError(f"line {line} of a run is not one line")
        start = end
    return text


def _write_notes(entries: bytes, warnings: "_Writer", most: int) -> None:
    """Write the entries about one line, as far as there is room."""
    if warnings.lines < most and warnings.bytes < MAX_BYTES:
        for text in entries.splitlines(keepends=True)[: most - warnings.lines]:
            warnings.write(text)


class _Writer:
    def __init__(self, path: Path, files: ExitStack) -> None:
        self._path = path
        self._file = files.enter_context(path.open("wb", buffering=BUFFER))
        self._hash = hashlib.sha256()
        self.bytes = self.lines = 0

    def write(self, text: bytes, lines: int = 1) -> None:
        self._file.write(text)
        self._hash.update(text)
        self.bytes += len(text)
        self.lines += lines

    def close(self) -> PublishedFile | None:
        self._file.close()
        if self.lines == 0:
            return None
        return PublishedFile(str(self._path), self.bytes, self.lines, self._hash.hexdigest())
