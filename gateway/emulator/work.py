"""The work of a job: every item answered, streaming, in a thread of its own.

Inline items come from memory and their results stay there; the lines of a file are read, answered
and written one by one, so a job of a million lines needs no more memory than one of ten.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - seeded per job: a run of faults can be repeated
from typing import Protocol

import orjson

from gateway.emulator.errors import CODE_OF_HTTP, ApiError, JsonObject, invalid
from gateway.emulator.faults import Fault
from gateway.emulator.markers import find_marks
from gateway.emulator.schema import read, refuse

Answer = Callable[[JsonObject], JsonObject]
"""A parsed request -> its response; raises ApiError."""

CANCELLED: JsonObject = {"error": {"code": 1}}
"""What an item is that a cancel left unserved: no message (a live capture of 2026-08-15)."""

_SHUFFLE_WINDOW = 4096


@dataclass(frozen=True)
class Item:
    """One request of a job; ``tag`` is what its result carries: key or metadata."""

    tag: JsonObject
    request: JsonObject | None
    refusal: ApiError | None = None

    @property
    def key(self) -> str:
        """What faults with ``keys`` call this item."""
        metadata = self.tag.get("metadata")
        if "key" not in self.tag and isinstance(metadata, dict):
            return str(metadata.get("key", metadata.get("custom_id", "")))
        return str(self.tag.get("key", ""))


def inline_items(requests: list[JsonObject]) -> Iterator[Item]:
    """Items of a parsed create body: ``{"request", "metadata"?}`` each."""
    for entry in requests:
        tag = {"metadata": entry["metadata"]} if "metadata" in entry else {}
        yield Item(tag, entry.get("request", {}))


def file_items(path: Path, message: str, *, metadata: bool = False) -> Iterator[Item]:
    """Items of a JSONL file; a line that cannot be read is an item with a refusal.

    ``metadata`` says whether a line's own is kept in its tag.
    """
    with path.open("rb") as stream:
        for line in stream:
            if not line.isspace():
                yield line_item(line, message, metadata=metadata)


def line_item(line: bytes, message: str, *, metadata: bool = False) -> Item:
    """``{"key", "request"}`` or a bare request, which has no key then (Google's batch guide)."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        return Item({}, None, invalid(f"Invalid JSON payload received. {exc.msg}."))
    if not isinstance(value, dict):
        return Item({}, None, invalid("Invalid JSON payload received. Expected an object."))
    kept = ("key", "metadata") if metadata else ("key",)
    tag = {name: value[name] for name in kept if name in value}
    bare = "request" not in value and "key" not in value
    request, violations = read(message, value if bare else value.get("request", {}), "request")
    return Item(tag, request, refuse(violations) if violations else None)


@dataclass(frozen=True)
class Shape:
    """The faults of one job's results."""

    faults: dict[str, Fault] = field(default_factory=dict)
    seed: str = ""

    def picks(self, name: str, item: Item, random: Random) -> bool:
        """Whether the fault called ``name`` hits ``item``."""
        fault = self.faults.get(name)
        return fault is not None and fault.picks(item.key, random)


class Sink(Protocol):
    """Where results go."""

    def write(self, lines: list[bytes]) -> None:
        """Take some results, one JSON text each."""
        ...


class ListSink:
    """Results in memory, for inline jobs."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, lines: list[bytes]) -> None:
        """Append."""
        self.lines += lines


class FileSink:
    """Results as lines of a file."""

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


class Work:
    """Turns items into results; asked to stop, it stops at the next item."""

    def __init__(
        self,
        answer: Answer,
        text_of: Callable[[JsonObject], str],
        shape: Shape,
        *,
        serve: int | None,
        strict: bool,
    ) -> None:
        self._answer = answer
        self._text_of = text_of
        self._shape = shape
        self._serve = serve
        self._strict = strict
        self._random = Random(shape.seed)  # noqa: S311 - dice, not secrets
        self._stop = threading.Event()
        self.counts = Counts()
        self.finished_ns = 0

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
        shuffled = "results-shuffled" in self._shape.faults
        for item in items:
            if self._stop.is_set():
                return
            results = [orjson.dumps(entry) for entry in self._entries(item)]
            if not shuffled:
                sink.write(results)
                continue
            waiting += results
            if len(waiting) >= _SHUFFLE_WINDOW:
                sink.write(self._mixed(waiting))
                waiting = []
        sink.write(self._mixed(waiting))

    def _mixed(self, lines: list[bytes]) -> list[bytes]:
        """Another order; for sure so with two or more."""
        mixed = list(lines)
        self._random.shuffle(mixed)
        return mixed if mixed != lines else mixed[::-1]

    def _entries(self, item: Item) -> list[JsonObject]:
        """The results of one item: one, or by a fault none or two."""
        result = self._result(item)
        marks = find_marks(self._text_of(item.request)) if item.request else {}
        if "drop" in marks or self._hit("results-dropped", item):
            return []
        keyless = "keyless" in marks or self._hit("results-keyless", item)
        blank = "blank" in marks or self._hit("results-blank", item)
        tag = {} if keyless else item.tag
        entry = tag | result if at_odds(item) else result | tag
        entry = tag if blank else entry
        doubled = "double" in marks or self._hit("results-doubled", item)
        return [entry, entry] if doubled else [entry]

    def _hit(self, name: str, item: Item) -> bool:
        return bool(self._shape.faults) and self._shape.picks(name, item, self._random)

    def _result(self, item: Item) -> JsonObject:
        """``{"response"}`` or ``{"error"}``, counted."""
        at = self.counts.total
        self.counts.total += 1
        if self._serve is not None and at >= self._serve:
            self.counts.failed += 1
            return CANCELLED
        if self._hit("results-fail", item):
            self.counts.failed += 1
            return {"error": fault_status(self._shape.faults["results-fail"])}
        return self._served(item)

    def _served(self, item: Item) -> JsonObject:
        try:
            response = self._respond(item)
        except ApiError as refusal:
            self.counts.failed += 1
            return {"error": status(refusal)}
        self.counts.succeeded += 1
        for name, spoil in _SPOILERS.items():
            if self._hit(name, item):
                response = spoil(response)
        return {"response": response}

    def _respond(self, item: Item) -> JsonObject:
        if item.refusal is not None:
            if self._strict:
                raise BadLineError(item.refusal)
            raise item.refusal
        return self._answer(item.request or {})


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


_SPOILERS: dict[str, Callable[[JsonObject], JsonObject]] = {
    "results-empty": _empty,
    "results-citation-only": _citation_only,
    "results-refused": _refused,
    "results-cut": _cut,
}
"""Fault -> what it makes of a response."""


def at_odds(item: Item) -> bool:
    """Whether an item's members stand in the other order (order is arbitrary on record)."""
    return len(item.key) % 2 == 1


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
