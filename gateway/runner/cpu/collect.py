"""Collect: raw results -> run, matched by key, never by position.

Lines with one item are rendered as their result passes by. Of lines with several, only the place
of each result is kept, and they are rendered afterwards: memory does not grow with the answers.
Doubled results: a success wins over an error, then the first.

Lines that are to run again are left out of the run: their keys go into a file of their own, from
which the follow-up is cut, and what is finished of a line with several items is held for it.
"""

import itertools
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Counts, TokenUsage
from gateway.batches.job import Failure
from gateway.batches.runs import Kind
from gateway.errors import AuditError
from gateway.runner.cpu.archive import is_packed, pack, pack_span, unpack
from gateway.runner.cpu.digests import DigestWriter, digester, is_whole, requests_of
from gateway.runner.cpu.echoes import Echoes
from gateway.runner.cpu.fill import lines_naming
from gateway.runner.cpu.guard import MESSAGE, Guard
from gateway.runner.cpu.input import Range, span_of
from gateway.runner.cpu.lines import IndexWriter, RunWriter, failure_line, named_line
from gateway.runner.cpu.notes import NoteWriter
from gateway.runner.cpu.parts import FAILED, NOTHING, SERVED, Parts
from gateway.runner.cpu.publish import PublishSummary, PublishTask, RunPaths, publish
from gateway.runner.cpu.trail import (
    DEADLY,
    NOWHERE,
    PLACE,
    Trail,
    TrailWriter,
    is_reading,
    reading,
    working_on,
)
from gateway.runner.cpu.usual_lines import UsualLine, UsualLines
from gateway.translate import (
    ENDPOINTS,
    NO_USAGE,
    REUSED,
    Answer,
    Context,
    Note,
    Policy,
    Rendered,
    Usage,
    answer_cost,
    failure_of,
    passes,
    price_of,
    usages_cost,
)
from gateway.wire.gemini_results import UNREAD, Result, read_results, unfold_inline

MISSING: Final = Failure(
    "result_missing", "The upstream job ended without a result for this request.", 500
)
INTERNAL: Final = Failure("internal_error", MESSAGE, 500)
UNREADABLE: Final = Failure("internal_error", f"{DEADLY} The raw result is kept.", 500)
# Lines that are in no index: they run again, or are rendered elsewhere.
SKIPPED: Final = 255
NOT_WRITTEN: Final = frozenset({0, SKIPPED})
# Usual lines that are written together, and a result that waits for no others.
TAKEN_AT_ONCE: Final = 64
LARGE: Final = 64 * 1024
# Plain, as it is set for each line: to make a number of an enum's member takes longer.
OUTPUT: Final = int(Kind.OUTPUT)
_NO_ANSWER: Answer = {"error": {"code": 13}}
EMPTY: Final = "empty_response"
_REUSED: Final = (Note(REUSED, "body"),)
UPSTREAM_CANCELLED: Final = 1  # google.rpc.Code CANCELLED: the item was never served


@dataclass(frozen=True, slots=True)
class CollectTask:
    """``raw`` is None when there are no results: then every line gets ``failure``.

    ``unserved`` is what to say of items the upstream never got to (the job was told to end);
    ``unusable`` what to say of lines that name an uploaded file which the upstream cannot use, by
    the file's id, and ``spool`` then says which these are; ``created`` is the job's end in whole
    seconds. ``held`` are results that predecessors of a follow-up brought. With ``again``, lines
    without a lasting answer are to run once more; with ``retry_empty``, an empty answer
    is none; with ``pack``, archives are made of results and hints. ``skip`` are the hints
    of follow-ups: their lines are rendered there. ``reused``: the answers are copies of earlier
    ones, which costs nothing and is noted. With ``requests``, the job's spool, digests are made of
    those that were answered. ``trail`` is as in a validation, a place being that of a result in its
    file, or a line with several items. ``part``: which of how many ranges of the results.
    ``batch_lines``: the job is the only one of a batch of so many lines, about which there are
    ``noted`` notes already, in the run and the index ``first``, if any: unless lines run again, the
    files that the batch ends with are written.
    """

    echo: str
    scratch: str
    batch_id: str
    endpoint: str
    created: int
    max_warnings: int
    model: str = ""
    policy: Mapping[str, Any] = field(default_factory=dict)
    raw: str | None = None
    inline: bool = False
    failure: Failure | None = None
    unserved: Failure | None = None
    spool: str | None = None
    unusable: Mapping[str, Failure] = field(default_factory=dict)
    held: str | None = None
    again: bool = False
    retry_empty: bool = False
    pack: bool = False
    skip: Sequence[str] = ()
    trail: Trail | None = None
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reused: bool = False
    requests: str | None = None
    part: tuple[int, int] = (0, 1)
    batch_lines: int = 0
    noted: int = 0
    first: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CollectSummary:
    """``unknown_keys`` are results whose key is unknown, ``doubled`` those that came again.

    Of the former, those that are ``keyless`` say how an item came out and not which, those that are
    ``unreadable`` are no results at all. ``raw`` and ``echo`` are archives, None where none
    was asked for or there is nothing to gain.

    ``wanted`` is a file with the keys of the items that are to run again, ``held`` one with results
    of the lines these are of; None when there are none. ``faults`` counts what those lines met.
    ``cost`` is that of the answers, in billionths of a dollar; None when it is not known.
    ``digests`` are those of requests that were answered for good, None where none were asked for.
    ``published`` are the files of the whole batch, if it may end with this job.
    """

    run: str
    index: str
    counts: Counts
    usage: TokenUsage
    missing: int = 0
    doubled: int = 0
    unknown_keys: int = 0
    keyless: int = 0
    unreadable: int = 0
    raw: str | None = None
    echo: str | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    internal: Mapping[str, int] = field(default_factory=dict)
    wanted: str | None = None
    held: str | None = None
    faults: Mapping[str, int] = field(default_factory=dict)
    cost: int | None = 0
    digests: str | None = None
    published: PublishSummary | None = None


@dataclass(frozen=True, slots=True)
class RangeCollected:
    """Findings of one range of a job's results; ``lines`` are the whole job's.

    With anything that is ``odd`` the results are to be read as a whole. The others are as in a
    :class:`CollectSummary`; ``raw`` is an archive of the range.
    """

    lines: int
    odd: bool
    run: str = ""
    index: str = ""
    counts: Counts = Counts()
    usage: TokenUsage = TokenUsage()
    raw: str | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    internal: Mapping[str, int] = field(default_factory=dict)
    wanted: str | None = None
    faults: Mapping[str, int] = field(default_factory=dict)
    cost: int | None = 0


def collect(task: CollectTask) -> CollectSummary:
    """Render one job's lines. Errors: OSError, ValueError of a damaged echo file."""
    with ExitStack() as files:
        summary = _Collection(task, files).summary()
    whole = not (summary.wanted or summary.missing or summary.unknown_keys)
    return _published(task, summary) if task.batch_lines and whole else summary


def _published(task: CollectTask, summary: CollectSummary) -> CollectSummary:
    """Write the files of the batch, out of the run that was just made.

    Where the audit fails they are left to the step that publishes: it mends what it can.
    """
    runs = (
        [(summary.run, summary.index)]
        if task.first is None
        else [task.first, (summary.run, summary.index)]
    )
    made = PublishTask(
        scratch=task.scratch,
        runs=[RunPaths(*paths) for paths in runs],
        lines=task.batch_lines,
        noted=task.noted + sum(summary.notes.values()),
        max_warnings=task.max_warnings,
        batch_id=task.batch_id,
    )
    try:
        return replace(summary, published=publish(made))
    except AuditError:
        return summary


def collect_range(task: CollectTask) -> RangeCollected:
    """Render the lines whose results are in one range. Errors: as :func:`collect`."""
    Path(task.scratch).mkdir(exist_ok=True)
    if task.trail is not None:
        Path(task.trail.path).write_bytes(PLACE.pack(NOWHERE))
    with ExitStack() as files:
        return _Collection(task, files).range_summary()


class _Collection:
    def __init__(self, task: CollectTask, files: ExitStack) -> None:
        self._task = task
        self._endpoint = ENDPOINTS[task.endpoint]
        self._policy = Policy.from_json(task.policy)
        self._scratch = Path(task.scratch)
        self._echoes = files.enter_context(Echoes(unpack(Path(task.echo), self._scratch)))
        self._run_path = self._scratch / "run"
        self._run = RunWriter(self._run_path)
        files.callback(self._run.close)
        count = len(self._echoes)
        # The lines of a job are of one kind, mostly; any other is only parsed slower.
        quick = self._endpoint.quick
        self._loads = quick(self._echoes.read(0).hints) if quick and count else None
        self._usual = self._usual_lines()
        self._taken: list[UsualLine] = []
        self._states = bytearray(count)
        self._kinds = bytearray(count)
        self._offsets = array("Q", bytes(8 * count))
        self._lengths = array("I", bytes(4 * count))
        self._parts: Parts | None = None
        self._files = files
        self._wanted: dict[int, Sequence[int]] = {}
        self._faults: dict[int, str] = {}
        self._price = price_of(task.model, date_of(task.created), task.prices)
        self._spent: int | None = 0
        self._held_path = self._scratch / "held-on"
        self._held_path.unlink(missing_ok=True)  # of a process that died here
        self._guard = Guard()
        self._trail = TrailWriter(task.trail, files)
        self._notes = NoteWriter(self._run, task.max_warnings)
        self._noted: dict[int, tuple[int, int]] = {}
        self._usage = [0, 0, 0, 0]
        self._missing = self._doubled = self._unknown_keys = 0
        spool = None if task.spool is None else Path(task.spool)
        self._never_sent = {} if spool is None else lines_naming(spool, task.unusable)
        self._keyless = self._unreadable = 0
        # Which items have an answer that later batches may have.
        self._whole = bytearray(self._echoes.total_items if task.requests else 0)
        self._skip()

    def _usual_lines(self) -> UsualLines | None:
        """Return what writes usual lines, where there is no more to an answer than to write it.

        A single answer may lack its key, and what is copied is noted.
        """
        write = self._endpoint.usual
        if write is None or self._task.reused or self._echoes.total_items == 1:
            return None
        return UsualLines(self._echoes, self._task.batch_id, write(self._context(0)))

    def _skip(self) -> None:
        """Take lines that follow-ups render for done."""
        for path in self._task.skip:
            with Echoes(unpack(Path(path), self._scratch)) as others:
                for line in others.lines:
                    place = self._echoes.locate(str(line))
                    if place is not None:
                        self._states[place[0]] = SKIPPED
                        self._kinds[place[0]] = SKIPPED

    def summary(self) -> CollectSummary:
        if self._task.held is not None:
            self._read(Path(self._task.held), held=True)
        if self._task.raw is not None:
            self._read(self._results_path(Path(self._task.raw)))
        self._join_parts()
        self._trail.end()
        self._fill()
        index = self._scratch / "index"
        self._write_index(index)
        self._run.close()
        kinds = Counter(self._kinds)
        return CollectSummary(
            run=str(self._run_path),
            index=str(index),
            counts=Counts(completed=kinds[Kind.OUTPUT], failed=kinds[Kind.ERROR]),
            usage=TokenUsage(*self._usage),
            missing=self._missing,
            doubled=self._doubled,
            unknown_keys=self._unknown_keys,
            keyless=self._keyless,
            unreadable=self._unreadable,
            raw=self._packed(self._task.raw),
            echo=self._packed(self._task.echo),
            notes=dict(self._notes.counts),
            internal=dict(self._guard.caught),
            wanted=self._write_wanted(self._scratch / "wanted") if self._wanted else None,
            held=str(self._held_path) if self._held_path.exists() else None,
            faults=Counter(self._faults.values()),
            cost=self._spent,
            digests=self._write_digests(),
        )

    def range_summary(self) -> RangeCollected:
        """Leave to whoever joins the ranges what is in none of them."""
        raw = Path(self._task.raw or "")
        if is_packed(raw):
            return RangeCollected(len(self._echoes), odd=True)
        span = span_of(raw, Range(*self._task.part))
        self._read(raw, span=span)
        self._trail.end()
        index = self._scratch / "index"
        self._write_index(index)
        self._run.close()
        kinds = Counter(self._kinds)
        odd = self._parts is not None or self._doubled or self._unknown_keys
        packed = pack_span(raw, span, self._scratch / "raw.zst") if self._task.pack else None
        return RangeCollected(
            lines=len(self._echoes),
            odd=bool(odd),
            run=str(self._run_path),
            index=str(index),
            counts=Counts(completed=kinds[Kind.OUTPUT], failed=kinds[Kind.ERROR]),
            usage=TokenUsage(*self._usage),
            raw=None if packed is None else str(packed),
            notes=dict(self._notes.counts),
            internal=dict(self._guard.caught),
            wanted=self._write_wanted(self._scratch / "wanted") if self._wanted else None,
            faults=Counter(self._faults.values()),
            cost=self._spent,
        )

    def _packed(self, path: str | None) -> str | None:
        archive = pack(Path(path)) if path is not None and self._task.pack else None
        return None if archive is None else str(archive)

    def _results_path(self, raw: Path) -> Path:
        raw = unpack(raw, self._scratch)
        if not self._task.inline:
            return raw
        unfolded = self._scratch / "unfolded"
        self._unreadable += not unfold_inline(raw, unfolded).whole
        return unfolded

    def _read(self, path: Path, *, held: bool = False, span: tuple[int, int] | None = None) -> None:
        reads = self._trail.read_at if self._trail.everywhere else self._reads
        takes = None if held or self._usual is None else partial(self._takes, self._usual)
        results = read_results(path, self._loads, None if held else reads, span, takes)
        if self._echoes.total_items == 1:
            results = self._named_if_alone(results)
        for result in results:
            self._settle()
            place = self._echoes.locate(result.key)
            if place is None:
                self._unknown_keys += not held  # the halves of a job share what it held
                self._unreadable += not result.readable
                self._keyless += self._lacks_its_key(result)
            elif result.answer is UNREAD:
                self._leave_out(place[0])
            else:
                if self._whole and not held:
                    self._note_whole(place, result.answer)
                if self._echoes.items[place[0]] > 1:
                    self._keep_part(place, result, path, held=held)
                else:
                    self._take(place[0], result.answer)
        self._settle()

    def _note_whole(self, place: tuple[int, int], answer: Answer) -> None:
        """Note an answer that may be given again; what is held is in the job that brought it."""
        if is_whole(answer):
            self._whole[self._echoes.first_item[place[0]] + place[1]] = 1

    def _write_digests(self) -> str | None:
        """Write digests of the requests that were answered, but of lines that got an error."""
        task = self._task
        if task.requests is None:
            return None
        digest = digester(task.policy, self._endpoint.method, task.model)
        writer = DigestWriter()
        for line, item, request in requests_of(Path(task.requests)):
            place = self._echoes.locate(f"{line}.{item}")
            if place is None or self._kinds[place[0]] in {Kind.ERROR, Kind.UNSERVED}:
                continue
            if self._whole[self._echoes.first_item[place[0]] + item]:
                writer.add(digest(request), line, item)
        path = self._scratch / "digests"
        return str(path) if writer.write(path) else None

    def _reads(self, offset: int) -> bool:
        """Whether a result is to be read: no process has died of it."""
        place, only = reading(offset), self._trail.only
        if place in self._trail.culprits or (is_reading(only) and place != only):
            self._trail.end()  # a process that is killed from outside now died of no result
            return False
        return self._trail.read_at(offset)

    def _leave_out(self, ordinal: int) -> None:
        """Give a line an error of its own, whose result nothing can read: it is paid for."""
        if self._states[ordinal] == SERVED:
            self._doubled += 1
            return
        self._states[ordinal] = SERVED
        self._spent = 0 if self._task.reused else None
        self._fail(ordinal, UNREADABLE)

    def _lacks_its_key(self, result: Result) -> bool:
        """Whether it is some item's all the same: a download may be an error of another kind."""
        told = self._task.inline or "response" in result.answer
        return result.key is None and result.readable and told

    def _named_if_alone(self, results: Iterator[Result]) -> Iterator[Result]:
        """Name a single answer to a single item: inline answers have lacked their keys for weeks.

        (python-genai#2008.) With more of either, none is matched by its place.
        """
        some = list(itertools.islice(results, 2))
        if len(some) == 1 and self._lacks_its_key(some[0]):
            some = [some[0]._replace(key=str(self._echoes.lines[0]))]
        yield from some
        yield from results

    def _take(self, ordinal: int, answer: Answer) -> None:
        weak = self._task.again and self._is_weak(answer)
        state = SERVED if "response" in answer and not weak else FAILED
        if self._states[ordinal] != NOTHING:
            self._doubled += 1
            if self._states[ordinal] >= state:
                return
        self._states[ordinal] = state
        if weak:
            self._want(ordinal, (0,), self._cost(ordinal, [answer]), _fault_of(answer))
            self._spend(answer)
        else:
            self._render(ordinal, [answer])
            self._spend(answer)

    def _takes(self, usual: UsualLines, result: bytes) -> bool:
        """Take a result of the usual kind for the line it is of; False: it is to be read in full.

        That way has the same outcome, so a defect of this one that is caught costs nothing.
        """
        made = self._guard.call(usual.made_of, result)
        if made is None or self._states[made[0]] != NOTHING:
            return False
        ordinal, _, _, notes = made
        self._states[ordinal] = SERVED
        if self._whole:
            self._whole[self._echoes.first_item[ordinal]] = 1
        if notes:  # which come before their line
            self._settle()
            self._note(ordinal, notes)
        taken = self._taken
        taken.append(made)
        if len(taken) == TAKEN_AT_ONCE or len(result) > LARGE:
            self._settle()
        return True

    def _settle(self) -> None:
        """Write the usual lines that were taken, and count what they used."""
        if not self._taken:
            return
        offset = self._run.write_all([line for _, line, _, _ in self._taken])
        for ordinal, line, _, _ in self._taken:
            self._kinds[ordinal] = OUTPUT
            self._offsets[ordinal] = offset
            self._lengths[ordinal] = length = len(line)
            offset += length
        usages = [usage for _, _, usage, _ in self._taken]
        prompt, cached, output, reasoning = map(sum, zip(*usages, strict=True))
        self._use((prompt, cached, output, reasoning))
        if self._spent is not None:
            cost = usages_cost(usages, self._price)
            self._spent = None if cost is None else self._spent + cost
        self._taken.clear()

    def _spend(self, answer: Answer) -> None:
        """Add what an answer cost; of doubled ones, only of those that are taken."""
        if self._spent is not None and not self._task.reused:
            cost = answer_cost(answer, self._price)
            self._spent = None if cost is None else self._spent + cost

    def _is_weak(self, answer: Answer) -> bool:
        """Whether an answer is no lasting one, so that its item is to run again."""
        empty = self._task.retry_empty
        response = answer.get("response")
        if response and not empty and ("embedding" in response or response.get("candidates")):
            return False  # nearly all of them
        cancelled = self._task.unserved is not None and _was_cancelled(answer)
        return cancelled or passes(answer, empty=empty)

    def _want(
        self, ordinal: int, items: Sequence[int], spent: Usage = NO_USAGE, fault: str | None = None
    ) -> None:
        """Have these items of a line run again; what the others and they cost is paid."""
        self._wanted[ordinal] = items
        self._faults[ordinal] = fault or (self._task.failure or MISSING).code
        self._use(spent)

    def _keep_part(self, place: tuple[int, int], result: Result, path: Path, *, held: bool) -> None:
        if self._parts is None:
            self._parts = Parts(self._echoes.total_items, self._loads, self._files)
        item = self._echoes.first_item[place[0]] + place[1]
        weak = self._task.again and self._is_weak(result.answer)
        state = SERVED if "response" in result.answer and not weak else FAILED
        if not self._parts.keep(item, state, result, path, held=held):
            self._doubled += 1
        elif not held:
            self._spend(result.answer)

    def _join_parts(self) -> None:
        """Render the lines with several items, or have what they lack run again."""
        if self._parts is None:
            return
        for ordinal, items in enumerate(self._echoes.items):
            if self._kinds[ordinal] or items == 1:
                continue
            place, only = working_on(self._echoes.lines[ordinal]), self._trail.only
            if place in self._trail.culprits:
                self._leave_out(ordinal)
                continue
            if only not in {NOWHERE, place}:
                self._trail.end()
                continue
            self._trail.at(place)
            if self._echoes.lines[ordinal] not in self._never_sent:
                first = self._echoes.first_item[ordinal]
                self._join(ordinal, range(first, first + items), self._parts)

    def _join(self, ordinal: int, items: range, parts: Parts) -> None:
        answers = [parts.answer(item) for item in items]
        paid = self._cost(ordinal, [parts.answer(item, held=True) for item in items])
        here = [answer for answer in answers if answer is not None]
        weak = [n for n, each in enumerate(answers) if each is None or self._is_weak(each)]
        lost = any("response" not in each and not self._is_weak(each) for each in here)
        if self._task.again and weak and not lost:
            faults = (_fault_of(each) for n, each in enumerate(answers) if each and n in weak)
            fault = next(faults, None)
            self._want(ordinal, weak, _less(self._cost(ordinal, answers), paid), fault)
            parts.hold([item for n, item in enumerate(items) if n not in weak], self._held_path)
        elif len(here) == len(items):
            self._render(ordinal, here, paid)
        else:
            self._use(_less(self._cost(ordinal, answers), paid))

    def _use(self, usage: Usage) -> None:
        """Add up; a sum of records, each copied, took a quarter of a line's time."""
        total = self._usage
        total[0] += usage[0]
        total[1] += usage[1]
        total[2] += usage[2]
        total[3] += usage[3]

    def _cost(self, ordinal: int, answers: Sequence[Answer | None]) -> Usage:
        """Count what a line costs that lacks some of its answers, as for a whole one."""
        if self._task.reused or not any(
            answer is not None and "response" in answer for answer in answers
        ):
            return NO_USAGE
        filled = [answer or _NO_ANSWER for answer in answers]
        made = self._guard.call(self._translate, ordinal, filled)
        return NO_USAGE if made is None else made[0][2]

    def _render(self, ordinal: int, answers: Sequence[Answer], paid: Usage = NO_USAGE) -> None:
        """Write a line; ``paid`` is the part of its usage that was counted before."""
        if self._task.unserved is not None and any(map(_was_cancelled, answers)):
            self._fail(ordinal, self._task.unserved)
            return
        made = self._guard.call(self._translate, ordinal, answers)
        if made is None:
            self._fail(ordinal, INTERNAL)
            return
        (status, _, usage, notes), line = made
        if self._task.reused:
            notes = [*notes, *_REUSED]
        elif usage is not NO_USAGE:
            self._use(usage if paid is NO_USAGE else _less(usage, paid))
        if notes:
            self._note(ordinal, notes)
        self._write(ordinal, Kind.OUTPUT if status < 400 else Kind.ERROR, line)

    def _translate(self, ordinal: int, answers: Sequence[Answer]) -> tuple[Rendered, bytes]:
        """Translate an answer: what can go wrong on a line does so here, before it is counted."""
        number = self._echoes.lines[ordinal]
        custom_id, hints = self._echoes.written(ordinal)
        made = self._endpoint.from_gemini(hints, answers, self._context(number))
        return made, named_line(self._task.batch_id, number, custom_id, made[0], made[1])

    def _context(self, line: int) -> Context:
        task = self._task
        return Context(task.batch_id, line, task.created, self._policy, task.model)

    def _note(self, ordinal: int, notes: Sequence[Note]) -> None:
        echo = self._echoes.read(ordinal)
        written = self._notes.write(echo.line, echo.custom_id, notes)
        if written is not None:
            self._noted[ordinal] = written

    def _fail(self, ordinal: int, why: Failure) -> None:
        """Write the error line of a line that is not translated."""
        echo = self._echoes.read(ordinal)
        self._write(ordinal, *failure_line(self._task.batch_id, echo.line, echo.custom_id, why))

    def _write(self, ordinal: int, kind: Kind, line: bytes) -> None:
        if self._wanted:  # a better result has come
            self._wanted.pop(ordinal, None)
            self._faults.pop(ordinal, None)
        self._kinds[ordinal] = kind
        self._offsets[ordinal], self._lengths[ordinal] = self._run.write(line)

    def _fill(self) -> None:
        """Have every line that got no answer run again, or write an error line for it."""
        task = self._task
        failure = task.failure or task.unserved or MISSING
        for ordinal in range(len(self._echoes)):
            if self._kinds[ordinal] != 0 or ordinal in self._wanted:
                continue
            line, items = self._echoes.lines[ordinal], self._echoes.items[ordinal]
            why = failure
            if line in self._never_sent:
                why = task.unusable[self._never_sent[line]]
            else:
                self._missing += 1
                if task.again and items == 1:
                    self._want(ordinal, (0,))
                    continue
                if task.again and self._parts is None:
                    self._want(ordinal, range(items))
                    continue
            self._fail(ordinal, why)

    def _write_wanted(self, path: Path) -> str:
        with path.open("wb") as file:
            for ordinal in sorted(self._wanted):
                line, items = self._echoes.lines[ordinal], self._echoes.items[ordinal]
                keys = (
                    b"%d\n" % line if items == 1 else b"%d.%d\n" % (line, item)
                    for item in self._wanted[ordinal]
                )
                file.writelines(keys)
        return str(path)

    def _write_index(self, path: Path) -> None:
        index = IndexWriter(path)
        columns = (self._echoes.lines, self._kinds, self._offsets, self._lengths)
        if not self._noted and not any(map(self._kinds.count, NOT_WRITTEN)):
            index.write_all(*columns)  # nearly always: nothing of them is left out, or added
            index.close()
            return
        for ordinal, row in enumerate(zip(*columns, strict=True)):
            if row[1] in NOT_WRITTEN:
                continue
            index.write(*row)
            if ordinal in self._noted:
                index.write(row[0], Kind.NOTES, *self._noted[ordinal])
        index.close()


def _fault_of(answer: Answer) -> str:
    """Give OpenAI's code of what an item met that is to run again."""
    failure = failure_of(answer)
    return (failure.code if failure else None) or EMPTY


def _was_cancelled(answer: Mapping[str, Any]) -> bool:
    error = answer.get("error")
    return isinstance(error, dict) and error.get("code") == UPSTREAM_CANCELLED


def _less(usage: Usage, paid: Usage) -> Usage:
    """Return what of a usage was not counted before."""
    if paid == NO_USAGE:
        return usage
    pairs = zip(usage, paid, strict=True)
    left = [max(all_of_it - before, 0) for all_of_it, before in pairs]
    return left[0], left[1], left[2], left[3]


def date_of(seconds: int) -> str:
    """Return the day of a moment, as the table of prices names it: ``2026-11-25``."""
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
