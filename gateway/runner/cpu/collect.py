"""Collect: raw results -> run. By key, never by position.

Lines with one item are rendered as their result passes by. Of lines with several, only the place
of each result is kept, and they are rendered afterwards: memory does not grow with the answers.
Doubled results: a success wins over an error, then the first.
"""

import os
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.batches.batch import Counts, TokenUsage
from gateway.batches.job import Failure
from gateway.batches.runs import Kind
from gateway.runner.cpu.echoes import Echo, Echoes
from gateway.runner.cpu.fill import lines_naming
from gateway.runner.cpu.guard import MESSAGE, Guard
from gateway.runner.cpu.lines import IndexWriter, RunWriter, answer_line, failure_line
from gateway.runner.cpu.notes import NoteWriter
from gateway.translate import ENDPOINTS, NO_USAGE, Answer, Context, Policy, Rendered
from gateway.wire.gemini_results import Loads, Result, parse_result, read_results, unfold_inline

MISSING = Failure(
    "result_missing", "The upstream job ended without a result for this request.", 500
)
INTERNAL = Failure("internal_error", MESSAGE, 500)
UPSTREAM_CANCELLED = 1  # google.rpc.Code CANCELLED: the item was never served

NOTHING, FAILED, SERVED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class CollectTask:
    """``raw`` is None when there are no results: then every line gets ``failure``.

    ``unserved`` is what to say of items the upstream never got to (the job was told to end);
    ``unusable`` what to say of lines that name an uploaded file which the upstream cannot use, by
    the file's id, and ``spool`` then says which these are; ``created`` is the job's end in whole
    seconds.
    """

    echo: str
    scratch: str
    batch_id: str
    endpoint: str
    created: int
    max_warnings: int
    policy: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None
    inline: bool = False
    failure: Failure | None = None
    unserved: Failure | None = None
    spool: str | None = None
    unusable: Mapping[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CollectSummary:
    """``strays`` are results whose key nobody knows, ``doubled`` those that came again."""

    run: str
    index: str
    counts: Counts
    usage: TokenUsage
    missing: int = 0
    doubled: int = 0
    strays: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)
    internal: Mapping[str, int] = field(default_factory=dict)


def collect(task: CollectTask) -> CollectSummary:
    """Render one job's lines. Errors: OSError, ValueError of an echo file nobody wrote."""
    with ExitStack() as files:
        return _Collection(task, files).summary()


class _Collection:
    def __init__(self, task: CollectTask, files: ExitStack) -> None:
        self._task = task
        self._endpoint = ENDPOINTS[task.endpoint]
        self._policy = Policy.from_json(task.policy)
        self._scratch = Path(task.scratch)
        self._echoes = files.enter_context(Echoes(Path(task.echo)))
        self._run_path = self._scratch / "run"
        self._run = RunWriter(self._run_path)
        files.callback(self._run.close)
        count = len(self._echoes)
        # The lines of a job are of one kind, mostly; any other is only parsed slower.
        quick = self._endpoint.quick
        self._loads = quick(self._echoes.read(0).hints) if quick and count else None
        self._states = bytearray(count)
        self._kinds = bytearray(count)
        self._offsets = array("Q", bytes(8 * count))
        self._lengths = array("I", bytes(4 * count))
        self._parts: _Parts | None = None
        self._guard = Guard()
        self._notes = NoteWriter(self._run, task.max_warnings)
        self._noted: dict[int, tuple[int, int]] = {}
        self._usage = TokenUsage()
        self._missing = self._doubled = self._strays = 0

    def summary(self) -> CollectSummary:
        if self._task.raw is not None:
            self._read(self._results_path(Path(self._task.raw)))
        self._fill()
        index = self._scratch / "index"
        self._write_index(index)
        self._run.close()
        kinds = Counter(self._kinds)
        return CollectSummary(
            run=str(self._run_path),
            index=str(index),
            counts=Counts(completed=kinds[Kind.OUTPUT], failed=kinds[Kind.ERROR]),
            usage=self._usage,
            missing=self._missing,
            doubled=self._doubled,
            strays=self._strays,
            notes=dict(self._notes.counts),
            internal=dict(self._guard.caught),
        )

    def _results_path(self, raw: Path) -> Path:
        if not self._task.inline:
            return raw
        unfolded = self._scratch / "unfolded"
        unfold_inline(raw, unfolded)
        return unfolded

    def _read(self, path: Path) -> None:
        for result in read_results(path, self._loads):
            place = self._echoes.locate(result.key)
            if place is None:
                self._strays += 1
            elif self._echoes.items[place[0]] > 1:
                self._keep_part(place, result)
            else:
                self._take(place[0], result.answer)
        if self._parts is not None:
            self._join_parts(path)

    def _take(self, ordinal: int, answer: Answer) -> None:
        state = SERVED if "response" in answer else FAILED
        if self._states[ordinal] != NOTHING:
            self._doubled += 1
            if self._states[ordinal] >= state:
                return
        self._states[ordinal] = state
        self._render(ordinal, self._echoes.read(ordinal), [answer])

    def _keep_part(self, place: tuple[int, int], result: Result) -> None:
        if self._parts is None:
            self._parts = _Parts(self._echoes.total_items)
        item = self._echoes.first_item[place[0]] + place[1]
        state = SERVED if "response" in result.answer else FAILED
        if not self._parts.keep(item, state, result.offset, result.length):
            self._doubled += 1

    def _join_parts(self, path: Path) -> None:
        """Render the lines with several items, all of whose results are there."""
        assert self._parts is not None  # noqa: S101 - called only then
        with path.open("rb") as file:
            for ordinal, items in enumerate(self._echoes.items):
                if items == 1:
                    continue
                first = self._echoes.first_item[ordinal]
                some = range(first, first + items)
                answers = self._parts.answers(file.fileno(), some, self._loads)
                if answers is not None:
                    self._states[ordinal] = SERVED
                    self._render(ordinal, self._echoes.read(ordinal), answers)

    def _render(self, ordinal: int, echo: Echo, answers: Sequence[Answer]) -> None:
        task = self._task
        if task.unserved is not None and any(map(_was_cancelled, answers)):
            self._write(ordinal, *failure_line(task.batch_id, *echo[:2], task.unserved))
            return
        made = self._guard.call(lambda: self._translate(echo, answers))
        if made is None:
            self._write(ordinal, *failure_line(task.batch_id, *echo[:2], INTERNAL))
            return
        (status, _, usage, notes), line = made
        if usage is not NO_USAGE:
            self._usage += TokenUsage(*usage)
        if notes:
            written = self._notes.write(echo.line, echo.custom_id, notes)
            if written is not None:
                self._noted[ordinal] = written
        self._write(ordinal, Kind.OUTPUT if status < 400 else Kind.ERROR, line)

    def _translate(self, echo: Echo, answers: Sequence[Answer]) -> tuple[Rendered, bytes]:
        """Everything that can go wrong on a line happens here, before anything is counted."""
        task = self._task
        context = Context(task.batch_id, echo.line, task.created, self._policy)
        made = self._endpoint.from_gemini(echo.hints, answers, context)
        status, body, _, _ = made
        return made, answer_line(task.batch_id, echo.line, echo.custom_id, status, body)

    def _write(self, ordinal: int, kind: Kind, line: bytes) -> None:
        self._kinds[ordinal] = kind
        self._offsets[ordinal], self._lengths[ordinal] = self._run.write(line)

    def _fill(self) -> None:
        """An error line for every line that got no answer."""
        task = self._task
        failure = task.failure or task.unserved or MISSING
        spool = None if task.spool is None else Path(task.spool)
        never_sent = {} if spool is None else lines_naming(spool, task.unusable)
        for ordinal in range(len(self._echoes)):
            if self._kinds[ordinal] != 0:
                continue
            echo = self._echoes.read(ordinal)
            why = failure
            if echo.line in never_sent:
                why = task.unusable[never_sent[echo.line]]
            else:
                self._missing += 1
            self._write(ordinal, *failure_line(task.batch_id, *echo[:2], why))

    def _write_index(self, path: Path) -> None:
        index = IndexWriter(path)
        rows = zip(self._echoes.lines, self._kinds, self._offsets, self._lengths, strict=True)
        for ordinal, row in enumerate(rows):
            index.write(*row)
            if ordinal in self._noted:
                index.write(row[0], Kind.NOTES, *self._noted[ordinal])
        index.close()


def _was_cancelled(answer: Mapping[str, Any]) -> bool:
    error = answer.get("error")
    return isinstance(error, dict) and error.get("code") == UPSTREAM_CANCELLED


class _Parts:
    """Where the result of each item of lines with several items stands."""

    def __init__(self, items: int) -> None:
        self._states = bytearray(items)
        self._offsets = array("Q", bytes(8 * items))
        self._lengths = array("I", bytes(4 * items))

    def keep(self, item: int, state: int, offset: int, length: int) -> bool:
        """Remember a result unless a better one is there; False if there was one at all."""
        fresh = self._states[item] == NOTHING
        if self._states[item] < state:
            self._states[item] = state
            self._offsets[item] = offset
            self._lengths[item] = length
        return fresh

    def answers(self, descriptor: int, items: range, loads: Loads | None) -> list[Answer] | None:
        """The answers of a line's items in order, None while one is missing."""
        if any(self._states[item] == NOTHING for item in items):
            return None
        return [
            parse_result(os.pread(descriptor, self._lengths[item], self._offsets[item]), loads)[1]
            for item in items
        ]
