"""The story of one line: asked by the client, sent to Gemini, answered, and what was made of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.runner.cpu import provenance
from gateway.runner.cpu.archive import unpack
from gateway.runner.cpu.envelope import Envelope, Line
from gateway.runner.cpu.guard import Guard
from gateway.translate import ENDPOINTS, LineError, Policy
from gateway.units import MIB
from gateway.wire.gemini_results import read_results, unfold_inline
from gateway.wire.jsonl import LongLine, drop_blank_end, read_lines

# A story is shown to a person: what is larger is not.
MOST_BYTES: Final = 4 * MIB


@dataclass(frozen=True, slots=True)
class RawPath:
    """Raw results of one job of ``model``."""

    path: str
    inline: bool
    model: str


@dataclass(frozen=True, slots=True)
class LineStoryTask:
    """``input`` is None when it was deleted; ``files`` are output, error, warnings by name."""

    scratch: str
    endpoint: str
    policy: Mapping[str, Any]
    custom_id: str
    max_line_bytes: int
    input: str | None = None
    raws: Sequence[RawPath] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineStory:
    """Each part is None, or empty, where it is not there any more."""

    line: int | None = None
    asked: Any = None
    model: str | None = None
    sent: Sequence[Any] = ()
    answered: Sequence[Any] = ()
    got: Any = None
    notes: Sequence[Any] = ()
    # Which members of what was sent come from which field of what was asked.
    became: Mapping[str, Sequence[str]] = field(default_factory=dict)


def line_story(task: LineStoryTask) -> LineStory:
    """Find the line in everything that is kept of its batch. Errors: OSError."""
    number, asked, line = _asked(task)
    sent: Sequence[Any] = ()
    if line is not None:
        sent = [_shown(item) for item in _translated(task, line)]
    answered = [] if number is None else list(_answered(task, number, line))
    got = next(_lines_of(task, ("output", "error")), None)
    notes = list(_lines_of(task, ("warnings",)))
    model = None if line is None else line.model
    return LineStory(number, asked, model, sent, answered, got, notes, _became(task, line, sent))


def _became(
    task: LineStoryTask, line: Line | None, sent: Sequence[Any]
) -> Mapping[str, Sequence[str]]:
    if line is None or not sent or len(orjson.dumps(line.body)) > provenance.MOST_BYTES:
        return {}
    policy = Policy.from_json(task.policy)
    return provenance.provenance(ENDPOINTS[task.endpoint], line.body, policy, line.model)


def _asked(task: LineStoryTask) -> tuple[int | None, Any, Line | None]:
    """Find the line in the input, and check it as validation did."""
    if task.input is None:
        return None, None, None
    policy = Policy.from_json(task.policy)
    envelope = Envelope(ENDPOINTS[task.endpoint], policy, None, task.max_line_bytes)
    wanted = orjson.dumps(task.custom_id)
    with Path(task.input).open("rb", buffering=MIB) as file:
        lines = drop_blank_end(read_lines(file, task.max_line_bytes))
        for number, raw in enumerate(lines, 1):
            if isinstance(raw, LongLine) or not _may_hold(raw, wanted):
                continue
            line = envelope.read(raw, number)
            if isinstance(line, Line) and line.custom_id == task.custom_id:
                return number, _shown(raw), line
    return None, None, None


def _may_hold(raw: bytes, wanted: bytes) -> bool:
    """Tell whether an id may be in a line; one that is written with escapes needs the parser."""
    return wanted in raw or b"\\" in raw


def _translated(task: LineStoryTask, line: Line) -> Sequence[bytes]:
    policy = Policy.from_json(task.policy)
    made = Guard().call(lambda: ENDPOINTS[task.endpoint].to_gemini(line.body, policy, line.model))
    return () if made is None or isinstance(made, LineError) else made[0]


def _answered(task: LineStoryTask, number: int, line: Line | None) -> Iterator[Any]:
    """Find the raw results of the line: its key is its number, with the item's where several."""
    key, several = str(number), f"{number}."
    for place, raw in enumerate(task.raws):
        if line is not None and raw.model != line.model:
            continue
        for result in read_results(_results(task, raw, place)):
            if result.key == key or (result.key or "").startswith(several):
                yield {"key": result.key, **result.answer}


def _results(task: LineStoryTask, raw: RawPath, place: int) -> Path:
    path = unpack(Path(raw.path), Path(task.scratch))
    if not raw.inline:
        return path
    unfolded = Path(task.scratch) / f"unfolded-{place}"
    unfold_inline(path, unfolded)
    return unfolded


def _lines_of(task: LineStoryTask, names: Sequence[str]) -> Iterator[Any]:
    """Yield the lines of files that are of this custom_id."""
    wanted = orjson.dumps(task.custom_id)
    for path in (Path(task.files[name]) for name in names if name in task.files):
        with path.open("rb", buffering=MIB) as file:
            for text in file:
                if _may_hold(text, wanted):
                    value = orjson.loads(text)
                    if value.get("custom_id") == task.custom_id:
                        yield _shown(text)


def _shown(text: bytes) -> Any:  # noqa: ANN401 - JSON
    """Parse what is to be shown; a line of megabytes of media is named by its size."""
    if len(text) > MOST_BYTES:
        return {"too_large_to_show": len(text)}
    return orjson.loads(text)
