"""The work of a job: every item answered, streaming, in a thread of its own.

Inline items come from memory and their results stay there; the lines of a file are read, answered
and written one by one, so a job of a million lines needs no more memory than one of ten.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random  # noqa: TID251 - seeded per job: a run of faults can be repeated
from typing import Final, Protocol

import orjson

from gateway.emulator.faults.markers import find_marks
from gateway.emulator.faults.prompt_faults import of_item, still_hit
from gateway.emulator.faults.table import Fault
from gateway.emulator.protocol.errors import CODE_OF_HTTP, ApiError, JsonObject, invalid
from gateway.emulator.protocol.schema import is_deep, read, refuse, too_deep
from gateway.emulator.resources.ledger import Charge
from gateway.emulator.resources.project_resources import ProjectResources

# A parsed request and what it may refer to -> its response; raises ApiError.
Answer = Callable[[JsonObject, ProjectResources], JsonObject]

# Kind of job -> the message of one of its requests.
MESSAGES: Final = {"generate": "GenerateContentRequest", "embed": "EmbedContentRequest"}

_SHUFFLE_WINDOW: Final = 4096


@dataclass(frozen=True)
class Item:
    """One request of a job; ``tag`` is what its result carries: key or metadata."""

    tag: JsonObject
    request: JsonObject | None
    refusal: ApiError | None = None

    @property
    def key(self) -> str:
        """Name by which faults with ``keys`` choose this item."""
        metadata = self.tag.get("metadata")
        if "key" not in self.tag and isinstance(metadata, dict):
            return str(metadata.get("key", metadata.get("custom_id", "")))
        return str(self.tag.get("key", ""))


def inline_items(requests: list[JsonObject]) -> Iterator[Item]:
    """Items of a parsed create body: ``{"request", "metadata"?}`` each."""
    for entry in requests:
        tag = {"metadata": entry["metadata"]} if "metadata" in entry else {}
        yield Item(tag, entry.get("request", {}))


def file_items(
    path: Path, message: str, *, metadata: bool = False, unchecked: bool = False
) -> Iterator[Item]:
    """Items of a JSONL file; a line that cannot be read is an item with a refusal.

    ``metadata`` says whether a line's own is kept in its tag, ``unchecked`` whether fields that
    there are not are let pass.
    """
    with path.open("rb") as stream:
        for line in stream:
            if not line.isspace():
                yield line_item(line, message, metadata=metadata, unchecked=unchecked)


def line_item(
    line: bytes, message: str, *, metadata: bool = False, unchecked: bool = False
) -> Item:
    """``{"key", "request"}`` or a bare request, which has no key then (Google's batch guide)."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return Item({}, None, invalid(f"Invalid JSON payload received. {error.msg}."))
    if not isinstance(value, dict):
        return Item({}, None, invalid("Invalid JSON payload received. Expected an object."))
    deep = is_deep(line, value)
    kept = ("key", "metadata") if metadata and not deep else ("key",)
    tag = {name: value[name] for name in kept if name in value}
    if deep:
        return Item(tag if isinstance(tag.get("key"), str) else {}, None, too_deep())
    bare = "request" not in value and "key" not in value
    request, violations = read(message, value if bare else value.get("request", {}), "request")
    if unchecked:
        violations = [one for one in violations if not one.is_unknown_name]
    return Item(tag, request, refuse(violations) if violations else None)


@dataclass(frozen=True)
class Shape:
    """The faults of one job's results."""

    faults: Mapping[str, Fault] = field(default_factory=dict)
    seed: str = ""

    def picks(self, item: Item, random: Random) -> dict[str, Fault]:
        """Return the faults that hit ``item``."""
        return {name: fault for name, fault in self.faults.items() if fault.picks(item.key, random)}


class Sink(Protocol):
    """Where results go."""

    # Whether a result may be no JSON: only lines of a file can.
    is_of_lines: bool

    def write(self, lines: list[bytes]) -> None:
        """Take some results, one JSON text each."""
        ...


class ListSink:
    """Results in memory, for inline jobs."""

    is_of_lines = False

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, lines: list[bytes]) -> None:
        """Append; as copies, for what orjson makes holds 4 KiB however short it is (measured)."""
        self.lines += (bytes(memoryview(line)) for line in lines)


class FileSink:
    """Results as lines of a file."""

    is_of_lines = True

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")

    def write(self, lines: list[bytes]) -> None:
        """Append, one per line."""
        self._stream.writelines(line + b"\n" for line in lines)

    def close(self) -> None:
        """Finish the file."""
        self._stream.close()


class BadLineError(Exception):
    """A line that fails its whole job, when the options say so."""

    def __init__(self, refusal: ApiError) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass
class Counts:
    """Items so far."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0


class _Dice:
    """The dice of one run: which items are hit, and the order of members. 5 KiB."""

    def __init__(self, seed: str) -> None:
        self.hits = Random(seed)  # noqa: S311 - dice, not secrets
        self.order = Random(seed)  # noqa: S311 - dice, not secrets


@dataclass
class Work:
    """Turns items into results; asked to stop, it stops at the next item."""

    answer: Answer
    resources: ProjectResources
    text_of: Callable[[JsonObject], str]
    shape: Shape
    serve: int | None = None
    unserved: int = 1
    strict: bool = False
    charge: Callable[[str, str, JsonObject], Charge] | None = None
    charges: list[Charge] = field(default_factory=list)
    """What each answer cost, when a ledger is kept."""
    counts: Counts = field(default_factory=Counts)
    finished_ns: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """Have :meth:`run` return early."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop."""
        return self._stop.is_set()

    def run(self, items: Iterable[Item], sink: Sink) -> None:
        """Answer all ``items`` into ``sink``; raises BadLineError when strict."""
        waiting: list[bytes] = []
        dice = _Dice(self.shape.seed)
        shuffled = "results-shuffled" in self.shape.faults
        for item in items:
            if self._stop.is_set():
                return
            results = self._results(item, dice, garble=sink.is_of_lines)
            if not shuffled:
                sink.write(results)
                continue
            waiting += results
            if len(waiting) >= _SHUFFLE_WINDOW:
                sink.write(_shuffled(waiting, dice))
                waiting = []
        sink.write(_shuffled(waiting, dice))

    def _results(self, item: Item, dice: _Dice, *, garble: bool) -> list[bytes]:
        """Return the results of one item as JSON: one, or by a fault none, two or a broken one."""
        text = self.text_of(item.request) if item.request else ""
        marks, seen = find_marks(text), self.resources.seen
        try:
            picked = self.shape.picks(item, dice.hits)
            faults = still_hit(picked, text, seen) | of_item(text, seen)
        except ApiError as wrong:
            faults, item = {}, replace(item, refusal=wrong)
        result = self._result(item, faults)
        if "drop" in marks or "results-dropped" in faults:
            return []
        tag = {} if "keyless" in marks or "results-keyless" in faults else item.tag
        blank = "blank" in marks or "results-blank" in faults
        line = orjson.dumps(_mixed(tag if blank else tag | result, dice))
        if garble and "results-garbled" in faults:
            line = line[: len(line) // 2]
        return [line] * (2 if "double" in marks or "results-doubled" in faults else 1)

    def _result(self, item: Item, faults: Mapping[str, Fault]) -> JsonObject:
        """``{"response"}`` or ``{"error"}``, counted."""
        at = self.counts.total
        self.counts.total += 1
        if self.serve is not None and at >= self.serve:
            self.counts.failed += 1
            return {"error": {"code": self.unserved}}  # no message: a live capture of 2026-08-15
        if "results-fail" in faults:
            self.counts.failed += 1
            return {"error": fault_status(faults["results-fail"])}
        return self._served(item, faults)

    def _served(self, item: Item, faults: Mapping[str, Fault]) -> JsonObject:
        try:
            response = self._respond(item)
        except ApiError as refusal:
            self.counts.failed += 1
            return {"error": status(refusal)}
        self.counts.succeeded += 1
        if self.charge is not None:
            text = self.text_of(item.request or {})
            self.charges.append(self.charge(item.key, text, response))
        for name, spoil in _SPOILERS.items():
            if name in faults:
                response = spoil(response)
        return {"response": response}

    def _respond(self, item: Item) -> JsonObject:
        if item.refusal is not None:
            if self.strict:
                raise BadLineError(item.refusal)
            raise item.refusal
        request = item.request or {}
        if "cache-ignored" in self.shape.faults:
            request = {name: value for name, value in request.items() if name != "cachedContent"}
        return self.answer(request, self.resources)


def _shuffled(lines: list[bytes], dice: _Dice) -> list[bytes]:
    """Another order; for sure so with two or more."""
    mixed = list(lines)
    dice.hits.shuffle(mixed)
    return mixed if mixed != lines else mixed[::-1]


def _mixed(entry: JsonObject, dice: _Dice) -> JsonObject:
    """Its members, and those of its response, in any order (recorded result files)."""
    names = list(entry)
    dice.order.shuffle(names)
    mixed = {name: entry[name] for name in names}
    if "response" in mixed:
        response = mixed["response"]
        names = list(response)
        dice.order.shuffle(names)
        mixed["response"] = {name: response[name] for name in names}
    return mixed


def _empty(response: JsonObject) -> JsonObject:
    return {key: value for key, value in response.items() if key != "candidates"}


def _citation_only(response: JsonObject) -> JsonObject:
    citation = {"citationSources": [{"startIndex": 0, "endIndex": 1}]}
    return {**response, "candidates": [{"citationMetadata": citation}]}


def _refused(response: JsonObject) -> JsonObject:
    return {**response, "candidates": [{"finishReason": "SAFETY", "index": 0}]}


def _cut(response: JsonObject) -> JsonObject:
    candidates = [
        {**candidate, "content": _cut_content(candidate["content"])}
        if "content" in candidate
        else candidate
        for candidate in response.get("candidates", [])
    ]
    return {**response, "candidates": candidates}


def _cut_content(content: JsonObject) -> JsonObject:
    parts = [
        {**part, "text": part["text"][: len(part["text"]) // 2]} if "text" in part else part
        for part in content.get("parts", [])
    ]
    return {**content, "parts": parts}


# Fault -> what it makes of a response.
_SPOILERS: dict[str, Callable[[JsonObject], JsonObject]] = {
    "results-empty": _empty,
    "results-citation-only": _citation_only,
    "results-refused": _refused,
    "results-cut": _cut,
}


def status(refusal: ApiError) -> JsonObject:
    """google.rpc.Status of an item: numeric code, no status name; message left out when empty."""
    found: JsonObject = {"code": CODE_OF_HTTP.get(refusal.code, 13)}
    return found | ({"message": refusal.message} if refusal.message else {})


def fault_status(fault: Fault) -> JsonObject:
    """google.rpc.Status that a fault speaks of."""
    texts = {8: "Resource has been exhausted (e.g. check quota).", 3: "bad request"}
    message = fault.message
    if message == "default":
        message = texts.get(fault.code, "An internal error has occurred.")
    return {"code": fault.code} | ({"message": message} if message else {})
