"""Validate: read the input once; check and translate every line; write spools and echoes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.batches.batch import BatchError
from gateway.batches.planning import MAX_MODELS, JobLimits, Size, goes_inline
from gateway.batches.quota import Quota, QuotaRules, tokens_per_job
from gateway.batches.runs import Kind
from gateway.runner.cpu.answers import answer_bytes
from gateway.runner.cpu.complaints import Complaints
from gateway.runner.cpu.digests import Answered, Place
from gateway.runner.cpu.duplicates import SeenIds, repeated
from gateway.runner.cpu.echoes import EchoWriter
from gateway.runner.cpu.envelope import Envelope, Line
from gateway.runner.cpu.gather import Earlier, WantedWriter
from gateway.runner.cpu.guard import MESSAGE, Guard
from gateway.runner.cpu.input import Range, input_lines
from gateway.runner.cpu.lines import (
    SPOOL_END,
    SPOOL_KEY,
    IndexWriter,
    RunWriter,
    answer_line,
    spool_lines,
)
from gateway.runner.cpu.notes import NoteWriter
from gateway.runner.cpu.trail import (
    DEADLY,
    Trail,
    TrailWriter,
    line_at,
)
from gateway.translate import (
    BILLION,
    ENDING,
    ENDPOINTS,
    LOGPROBS,
    LONG_PROMPT,
    UNKNOWN_MEMBER,
    LineError,
    Marks,
    Note,
    Policy,
    Translation,
    Unusable,
    capabilities_of,
    life_of,
    line_cost,
    line_tokens,
    price_of,
    refusal_of,
)
from gateway.wire.jsonl import LongLine
from gateway.wire.openai_errors import error_body, error_type

# One for each of up to 50 models may be open at once. A block of 64 KiB takes a third longer.
BUFFER: Final = 256 * 1024
BYTES_PER_TOKEN: Final = 4  # of the keys, which travel with the items


@dataclass(frozen=True, slots=True)
class InputLimits:
    """Limits of one input file."""

    max_lines: int
    max_items: int
    max_line_bytes: int
    max_reported_errors: int
    max_named_files: int  # different uploaded files that all lines together may name
    max_staged_bytes: int  # what these may have in all, and those of all batches at a time
    max_warnings: int  # notes about its lines, and their answers, that are listed


@dataclass(frozen=True, slots=True)
class ValidateTask:
    """``models``: what the upstream offers, id to methods; None when that is not known.

    ``rules`` and ``quotas``: how many tokens a model's job may have.
    ``unusable``: uploaded files that lines may not name, and why; every other id is taken as good.
    ``day``: for prices, as ``2026-11-25``; ``prices``: those that come before the table.
    ``part``: which of how many ranges of the file. ``trail``: where the line is noted that is
    being worked on, and which lines are left out because processes died of them.
    ``answered``: digests of requests that were answered earlier, as :func:`digests.merge` writes
    them; with ``every_line`` any line may have such an answer, else only those that are steady.
    """

    input: str
    scratch: str
    batch_id: str
    endpoint: str
    policy: Mapping[str, Any]
    models: Mapping[str, Sequence[str]] | None
    limits: InputLimits
    jobs: JobLimits
    rules: QuotaRules = field(default_factory=QuotaRules)
    quotas: Sequence[Quota] = ()
    unusable: Mapping[str, Unusable] = field(default_factory=dict)
    day: str = ""
    part: tuple[int, int] = (0, 1)
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    trail: Trail | None = None
    answered: str | None = None
    every_line: bool = False


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job, cut; ``spool`` and ``echo`` are paths in the scratch directory.

    ``files`` are the ids of uploaded files for which the spool holds placeholders. ``most`` is what
    it may cost at most, in billionths of a dollar; None when that is not known. ``output`` is what
    comes out, as :class:`Size` has it. ``answers`` says where the answers of its items are, and
    ``sources`` in which earlier jobs, when its lines were answered before: then it is never sent.
    """

    number: int
    model: str
    method: str
    items: int
    lines: int
    bytes: int
    tokens: int
    inline: bool
    spool: str
    echo: str
    files: Sequence[str]
    most: int | None = None
    output: int = 0
    answers: str | None = None
    sources: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ValidateSummary:
    """Findings of a validation. With ``errors`` the batch fails and there are no jobs."""

    lines: int
    refused: int = 0
    errors: Sequence[BatchError] = ()
    jobs: Sequence[PlannedJob] = ()
    model: str | None = None
    run: str | None = None
    index: str | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    internal: Mapping[str, int] = field(default_factory=dict)
    unknown_models: Sequence[str] = ()
    # The first line whose price is not known, and why; None when all are.
    unpriced: str | None = None


@dataclass(frozen=True, slots=True)
class RangeSummary:
    """Findings of one range: ``faulty`` says that it found an error of the file.

    ``seen`` is a file with the hashes of its custom_ids.
    """

    lines: int
    refused: int
    items: int
    faulty: bool
    jobs: Sequence[PlannedJob]
    run: str
    index: str
    seen: str
    notes: dict[str, int]
    internal: dict[str, int]
    unpriced: str | None


class _OpenJob:
    """A job that still takes lines."""

    def __init__(
        self,
        number: int,
        limits: "ModelLimits",
        size: Size,
        scratch: Path,
        files: ExitStack,
        *,
        reused: bool = False,
    ) -> None:
        self.number = number
        self._most: int | None = 0
        self._limits = limits
        self.model = limits.model
        self.spool_path = scratch / f"spool-{number}"
        self.echo_path = scratch / f"echo-{number}"
        self._spool = files.enter_context(self.spool_path.open("wb", buffering=BUFFER))
        self._echo = EchoWriter(self.echo_path)
        files.callback(self._echo.close)
        self._answers = WantedWriter(scratch / f"answers-{number}") if reused else None
        self.ending = limits.ending
        # What :class:`Size` has of a job, each by itself: most lines change two of them.
        self.items, self.bytes, self.tokens, self.output = size
        self.lines = 0
        self.named: set[str] = set()

    def takes(self, size: Size) -> bool:
        """Whether there is room for one more line of that size, which then is counted."""
        whole = Size(self.items, self.bytes, self.tokens, self.output).plus(size)
        if whole.exceeds(self._limits.most):
            return False
        self.items, self.bytes, self.tokens, self.output = whole
        return True

    def take(self, number: int, places: Sequence[Place]) -> None:
        """Note where the answers of a line are that was answered before."""
        if self._answers is not None:
            self._answers.add(number, places)

    def add(
        self,
        line: Line,
        number: int,
        made: Translation,
        spooled: Sequence[bytes],
        cost: int | None,
    ) -> None:
        """Take a line: its translation, the pieces of its spool lines, its cost."""
        items, hints, _, files, *_ = made
        self._spool.writelines(spooled)
        self._echo.add(number, line.custom_id, len(items), hints)
        if files:
            self.named.update(files)
        if self._most is not None:
            self._most = None if cost is None else self._most + cost
        self.lines += 1

    def add_text(self, number: int, custom_id: str, made: Translation) -> bool:
        """Take a line of one request of text, with all that :meth:`add` and others do for any.

        In one step, which takes a third of theirs: most lines are such. False where it is another,
        or where there is no room for it; then nothing was done. Notes are the caller's to write.
        """
        items, hints, _, files, marks, most_tokens = made
        if marks or files or len(items) != 1:
            return False
        key = SPOOL_KEY % number
        text = len(items[0])
        own = len(key) + len(SPOOL_END)
        tokens = -(-text // BYTES_PER_TOKEN)
        size, all_tokens = self.bytes + own + text, self.tokens + own // BYTES_PER_TOKEN + tokens
        most, (asked, told) = self._limits.most, self._limits.rates
        if (
            tokens > LONG_PROMPT  # which may have another price
            or self.items >= most.items
            or size > most.bytes
            or all_tokens > most.tokens
            or self.output > most.output
        ):
            return False
        if self._most is not None:
            self._most += round((tokens * asked + most_tokens * told) * BILLION)
        self.items += 1
        self.bytes, self.tokens = size, all_tokens
        self.lines += 1
        write = self._spool.write
        write(key)
        write(items[0])
        write(SPOOL_END)
        self._echo.add(number, custom_id, 1, hints)
        return True

    def close(self, method: str, limits: JobLimits, *, media: bool) -> PlannedJob:
        self._spool.close()
        self._echo.close()
        reused = self._answers
        if reused is not None:
            reused.close()
        size = Size(self.items, self.bytes, self.tokens, self.output)
        return PlannedJob(
            number=self.number,
            model=self.model,
            method=method,
            items=self.items,
            lines=self.lines,
            bytes=self.bytes,
            tokens=self.tokens,
            inline=goes_inline(method, size, limits, media=media),
            spool=str(self.spool_path),
            echo=str(self.echo_path),
            files=sorted(self.named),
            most=self._most,
            output=self.output,
            answers=None if reused is None else str(reused.path),
            sources=() if reused is None else sorted(reused.sources),
        )


class ModelLimits:
    """Where jobs of one model are cut, and what decides it."""

    def __init__(self, model: str, task: ValidateTask, policy: Policy) -> None:
        can = capabilities_of(model, policy)
        learned = next((quota for quota in task.quotas if quota.model == model), None)
        jobs = task.jobs
        self.model = model
        self.media = can.media
        self.price = price_of(model, task.day, task.prices)
        # Of a token of the prompt and of the answer, where the prompt is none of the long ones.
        self.rates = (0.0, 0.0) if self.price is None else self.price.of(0)
        self.ending = _ending(model, task.day)
        self._speaks = can.speaks
        self.most = Size(
            jobs.items_per_job,
            jobs.bytes_per_job,
            tokens_per_job(learned or Quota("", model), task.rules),
            jobs.output_bytes_per_job,
        )
        # Whether there is no more to a line of text than its request, and notes.
        self.plain = not (self.media or self.price is None)

    def size_of(self, items: Sequence[bytes], marks: Marks, spooled: Sequence[bytes]) -> Size:
        """Return the size of one line."""
        size = sum(map(len, spooled))
        if not marks and not self.media and len(items) == 1:  # most lines, at half of the time
            text = len(items[0])
            keys = (size - text) // BYTES_PER_TOKEN
            return Size(1, size, keys - (-text // BYTES_PER_TOKEN), 0)
        keys = (size - sum(map(len, items))) // BYTES_PER_TOKEN
        output = 0
        if self.media or LOGPROBS in marks:
            output = answer_bytes(items, media=self.media, speaks=self._speaks)
        return Size(len(items), size, keys + line_tokens(items, marks), output)


def validate(task: ValidateTask) -> ValidateSummary:
    """Check and translate a whole input file. Errors: OSError of the scratch directory."""
    with ExitStack() as files:
        return _Validation(task, files).summary()


def validate_range(task: ValidateTask) -> RangeSummary:
    """Check and translate a range of an input file. Errors: OSError of the scratch directory."""
    Path(task.scratch).mkdir(exist_ok=True)
    with ExitStack() as files:
        return _Validation(task, files).range_summary()


class _Validation:
    def __init__(self, task: ValidateTask, files: ExitStack) -> None:
        self._task = task
        self._files = files
        self._scratch = Path(task.scratch)
        self._endpoint = ENDPOINTS[task.endpoint]
        self._policy = Policy.from_json(task.policy)
        models = task.models
        self._envelope = Envelope(
            self._endpoint,
            self._policy,
            None if models is None else {name: frozenset(models[name]) for name in models},
            task.limits.max_line_bytes,
        )
        self._guard = Guard()
        self._trail = TrailWriter(task.trail, files)
        self._seen = SeenIds()
        self._errors = Complaints(task.limits.max_reported_errors)
        self._named: set[str] = set()
        self._models: set[str] = set()
        self._limits: dict[str, ModelLimits] = {}
        # By model, and whether its lines were answered before.
        self._open: dict[tuple[str, bool], _OpenJob] = {}
        # Of these, by model, the ones that take texts without further questions.
        self._plain: dict[str, _OpenJob] = {}
        self._done: list[PlannedJob] = []
        # The number of the last line, and how many there were: of a range these differ.
        self._lines = self._count = 0
        self._jobs = self._items = self._refused = 0
        self._most = task.limits.max_items
        self._unpriced: str | None = None
        self._run_path = self._scratch / "run-0"
        self._index_path = self._scratch / "index-0"
        self._run = RunWriter(self._run_path)
        self._index = IndexWriter(self._index_path)
        self._notes = NoteWriter(self._run, task.limits.max_warnings)
        files.callback(self._run.close)
        files.callback(self._index.close)
        self._earlier: Earlier | None = None
        if task.answered is not None:
            answered = Answered(Path(task.answered), files)
            method = self._endpoint.method
            self._earlier = Earlier(answered, task.policy, method, every_line=task.every_line)

    def summary(self) -> ValidateSummary:
        self._read_all()
        self._trail.end()
        self._find_duplicates()
        if self._lines == 0 and not self._errors:
            self._errors.add(
                BatchError(
                    "empty_file",
                    "The input file is empty. Please ensure that the batch contains at least "
                    "one request.",
                )
            )
        internal = dict(self._guard.caught)
        if self._errors:
            return ValidateSummary(
                self._lines,
                errors=self._errors.entries(),
                internal=internal,
                unknown_models=sorted(filter(None, self._envelope.unknown)),
            )
        self._end()
        models = {job.model for job in self._done}
        return ValidateSummary(
            lines=self._lines,
            refused=self._refused,
            jobs=self._done,
            model=models.pop() if len(models) == 1 else None,
            run=str(self._run_path),
            index=str(self._index_path),
            notes=dict(self._notes.counts),
            internal=internal,
            unpriced=self._unpriced,
        )

    def range_summary(self) -> RangeSummary:
        self._read_all()
        self._end()
        seen = self._scratch / "seen"
        self._seen.save(seen)
        return RangeSummary(
            lines=self._count,
            refused=self._refused,
            items=self._items,
            faulty=bool(self._errors),
            jobs=self._done,
            run=str(self._run_path),
            index=str(self._index_path),
            seen=str(seen),
            notes=dict(self._notes.counts),
            internal=dict(self._guard.caught),
            unpriced=self._unpriced,
        )

    def _end(self) -> None:
        for job in self._open.values():
            self._close(job)
        self._done.sort(key=lambda job: job.number)
        self._run.close()
        self._index.close()

    def _lines_of_input(self) -> Iterator[tuple[int, bytes | LongLine]]:
        part = Range(*self._task.part)
        return input_lines(Path(self._task.input), self._task.limits.max_line_bytes, part)

    def _read_all(self) -> None:
        limits, only = self._task.limits, self._trail.only
        for number, raw in self._lines_of_input():
            if number > limits.max_lines:
                self._refuse_file("lines", limits.max_lines)
                return
            self._lines = number
            self._count += 1
            if only and number != line_at(only):
                self._trail.end()  # a process that is killed from outside now died of no line
                continue
            self._read(raw, number)

    def _read(self, raw: bytes | LongLine, number: int) -> None:
        """Take a line, unless a process has died of it."""
        size = len(raw) if type(raw) is bytes else _size(raw)
        if not self._trail.reads(number, size):
            self._errors.add(BatchError("unprocessable_line", DEADLY, None, number))
            return
        line: dict[str, Any] | Line | BatchError = self._envelope.parse(raw, number)
        if isinstance(line, dict):
            if self._fits(line, number, size):
                return
            line = self._envelope.check(raw, line, number)
        if isinstance(line, BatchError):
            self._errors.add(line)
        else:
            self._seen.add(line.custom_id)
            self._work_on(line, number, size)

    def _fits(self, parsed: dict[str, Any], number: int, size: int) -> bool:
        """Take a line that is like others before it; False where it is not, and nothing is done.

        Without a look for its depth, which takes a tenth of all: it is nested as one of these.
        """
        fitting, line = self._endpoint.fitting, self._envelope.usual(parsed)
        if line is None or fitting is None or self._errors:
            return False
        custom_id, model, body, _ = line
        if model not in self._models or not self._trail.works_on(number, size):
            return False
        made = self._guard.call(fitting, body, self._policy, model)
        if made is None:
            return False
        self._seen.add(custom_id)
        self._take(line, number, made)
        return True

    def _work_on(self, line: Line, number: int, size: int) -> None:
        if line.model not in self._models and not self._admits(line.model):
            self._errors.add(_too_many_models(number))
        elif not self._trail.works_on(number, size):
            self._refuse(line, number, LineError(500, "internal_error", None, DEADLY))
        elif not self._errors:
            self._translate(line, number)

    def _admits(self, model: str) -> bool:
        """Count the models, also where an earlier error keeps lines from being translated."""
        if len(self._models) < MAX_MODELS:
            self._models.add(model)
        return model in self._models

    def _refuse_file(self, what: str, most: int) -> None:
        # Azure's code; OpenAI's own for more than 50,000 requests is not known.
        self._errors.add(
            BatchError("too_many_tasks", f"The input file has more than {most} {what}.", None, None)
        )

    def _translate(self, line: Line, number: int) -> None:
        _, model, body, extra = line
        if extra:
            self._note(line, number, [Note(UNKNOWN_MEMBER, name[:100]) for name in extra])
        made = self._guard.call(self._endpoint.to_gemini, body, self._policy, model)
        if isinstance(made, tuple) and made[3]:
            made = self._guard.call(self._usable, made, body)
        if made is None:
            self._refuse(line, number, LineError(500, "internal_error", None, MESSAGE))
        elif isinstance(made, LineError):
            self._refuse(line, number, made)
        else:
            self._take(line, number, made)

    def _take(self, line: Line, number: int, made: Translation) -> None:
        job = self._plain.get(line.model)
        if (
            job is not None
            and self._items < self._most
            and job.add_text(number, line.custom_id, made)
        ):
            self._items += 1
            if made[2] or job.ending:
                self._note(line, number, [*made[2], *job.ending])
        else:
            self._place(line, number, made)

    def _usable(self, made: Translation, body: dict[str, Any]) -> LineError | Translation:
        """Refuse a line that names a file which cannot be used."""
        for file_id in made[3]:
            if file_id in self._task.unusable:
                return refusal_of(file_id, self._task.unusable[file_id], body)
        return made

    def _note(self, line: Line, number: int, notes: Sequence[Note]) -> None:
        written = self._notes.write(number, line.custom_id, notes)
        if written is not None:
            self._index.write(number, Kind.NOTES, *written)

    def _refuse(self, line: Line, number: int, why: LineError) -> None:
        body = orjson.dumps(error_body(why.message, error_type(why.status), why.code, why.param))
        text = answer_line(self._task.batch_id, number, line.custom_id, why.status, body)
        self._index.write(number, Kind.ERROR, *self._run.write(text))
        self._refused += 1

    def _place(self, line: Line, number: int, made: Translation) -> None:
        items, _, notes, named, marks, most = made
        limits = self._limits.get(line.model) or self._limits_of(line.model)
        if notes or limits.ending:
            self._note(line, number, [*notes, *limits.ending])
        self._items += len(items)
        if self._items > self._most:
            self._refuse_file("upstream requests", self._most)
            return
        if named:
            self._named.update(named)
            if len(self._named) > self._task.limits.max_named_files:
                self._errors.add(_too_many_files(self._task.limits.max_named_files))
                return
        spooled = spool_lines(items, number)
        size = limits.size_of(items, marks, spooled)
        places = None if self._earlier is None else self._earlier.find(line.model, items)
        job = self._job_for(size, limits, reused=places is not None)
        if places is not None:
            job.take(number, places)
            job.add(line, number, made, spooled, 0)
            return
        cost = line_cost(items, limits.price, marks, most)
        if cost is None and self._unpriced is None:
            self._unpriced = _unpriced(number, line.model, limits)
        job.add(line, number, made, spooled, cost)

    def _job_for(self, size: Size, limits: ModelLimits, *, reused: bool) -> _OpenJob:
        """Return the open job that takes a line of that size, a new one where there is no room.

        A line is never split between jobs, so a line larger than a whole job gets one of its own.
        """
        model = limits.model
        job = self._open.get((model, reused))
        if job is not None:
            if job.takes(size):
                return job
            self._close(job)
        job = _OpenJob(self._jobs, limits, size, self._scratch, self._files, reused=reused)
        self._open[model, reused] = job
        if limits.plain and self._earlier is None:
            self._plain[model] = job
        self._jobs += 1
        return job

    def _close(self, job: _OpenJob) -> None:
        media = self._limits_of(job.model).media
        self._done.append(job.close(self._endpoint.method, self._task.jobs, media=media))

    def _limits_of(self, model: str) -> "ModelLimits":
        if model not in self._limits:
            self._limits[model] = ModelLimits(model, self._task, self._policy)
        return self._limits[model]

    def _find_duplicates(self) -> None:
        suspects, rest = self._seen.suspects()
        found = repeated(self._ids(), suspects) if suspects else ()
        self._errors.add_all((_duplicate(line, name) for line, name in found), unlisted=rest)

    def _ids(self) -> Iterator[tuple[int, str]]:
        """Yield line and custom_id of the lines whose envelope is good, read again."""
        for number, raw in self._lines_of_input():
            if number > self._lines:
                return
            if not self._trail.reads(number, _size(raw)):
                continue
            line = self._envelope.read(raw, number)
            if isinstance(line, Line):
                yield number, line.custom_id


def _size(raw: bytes | LongLine) -> int:
    return raw.size if isinstance(raw, LongLine) else len(raw)


def _ending(model: str, day: str) -> Sequence[Note]:
    """Note a model that Google shuts down within the batch's window of a day."""
    life = life_of(model)
    if not day or life.shutdown is None:
        return ()
    window = date.fromisoformat(day) + timedelta(days=1)
    if not day <= life.shutdown <= window.isoformat():
        return ()
    instead = f"; Google names {life.instead} in its place" if life.instead else ""
    return (Note(ENDING, "model", f"{model} is shut down on {life.shutdown}{instead}"),)


def _unpriced(number: int, model: str, limits: ModelLimits) -> str:
    if limits.price is None:
        return (
            f"line {number} names {model}, whose price is not published. Give it in GATEWAY_PRICES,"
            " or take another model."
        )
    return (
        f"line {number} has media, cached content or one of Google's tools, which the price table"
        " does not cover. Send such lines without a budget."
    )


def _duplicate(line: int, custom_id: str) -> BatchError:
    return BatchError(
        "duplicate_custom_id",
        f"The custom_id '{custom_id[:200]}' for this request is a duplicate of another request. "
        "The custom_id parameter must be unique for each request in a batch.",
        "custom_id",
        line,
    )


def _too_many_files(most: int) -> BatchError:
    return BatchError(
        "too_many_files", f"The lines of the input file name more than {most} different files."
    )


def _too_many_models(line: int) -> BatchError:
    return BatchError(
        "mismatched_model",
        f"The model of this request is one too many: a batch may name at most {MAX_MODELS} models.",
        "body.model",
        line,
    )
