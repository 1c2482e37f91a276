"""Gather: answers of earlier jobs, copied as the raw results of a job that is never sent.

Validation writes down for each item where its answer is; the raw results of one earlier job after
the other are read from beginning to end, and what is wanted of them is written under the new key.
"""

import json
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.runner.cpu.archive import unpack
from gateway.runner.cpu.digests import Answered, Digester, Place, digester, is_steady, is_whole
from gateway.translate import Answer
from gateway.wire.gemini import EMBED_CONTENT
from gateway.wire.gemini_results import parse_result, unfold_inline

# Source, its line and item; line and item of the batch that wants the answer.
WANTED: Final = struct.Struct(">IIIII")
BUFFER: Final = 1 << 18
_KEY: Final = b'{"key":"'


class Earlier:
    """The answers that lines of one batch may have."""

    def __init__(
        self, answered: Answered, policy: Mapping[str, Any], method: str, *, every_line: bool
    ) -> None:
        self._answered = answered
        self._policy = policy
        self._method = method
        self._embeds = method == EMBED_CONTENT
        self._every = every_line or self._embeds
        self._digesters: dict[str, Digester] = {}

    def find(self, model: str, requests: Sequence[bytes]) -> Sequence[Place] | None:
        """Return where the answers of a line are, one for each request; None: it has none."""
        steady = self._embeds or (
            (len(requests) > 1 or not self._every) and all(map(is_steady, requests))
        )
        if not self._every and not steady:
            return None
        if model not in self._digesters:
            self._digesters[model] = digester(self._policy, self._method, model)
        digests = [self._digesters[model](request) for request in requests]
        return self._answered.find(digests, distinct=not steady)


class WantedWriter:
    """Writes down where the answers of a job's items are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sources: set[int] = set()
        self._file = path.open("wb", buffering=BUFFER)

    def add(self, line: int, places: Sequence[Place]) -> None:
        """Add a line of the batch."""
        for item, place in enumerate(places):
            self.sources.add(place.source)
            self._file.write(WANTED.pack(*place, line, item))

    def close(self) -> None:
        """Flush."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class GatherTask:
    """A job's answers from one earlier job: they are added to ``target``.

    ``wanted`` says what the items of the job want, of all earlier jobs; ``source`` is the number of
    this one, ``raw`` its raw results. ``alone``: it had one item, which may have come without its
    key.
    """

    wanted: str
    source: int
    raw: str
    inline: bool
    alone: bool
    target: str
    scratch: str


@dataclass(frozen=True, slots=True)
class GatherSummary:
    """``missing``: how many of the wanted answers are not among the raw results."""

    missing: int


def gather(task: GatherTask) -> GatherSummary:
    """Copy what is wanted of one earlier job. Errors: OSError, ValueError of a broken archive."""
    wanted = _Wanted(Path(task.wanted), task.source)
    with (
        _results(task).open("rb", buffering=BUFFER) as results,
        Path(task.target).open("ab", buffering=BUFFER) as target,
    ):
        for text in results:
            quick = _quick_key(text)
            if quick is not None and not wanted.places(quick, alone=task.alone):
                continue
            key, answer = parse_result(text)
            places = wanted.places(key, alone=task.alone)
            if places and is_whole(answer):
                rest = _rest(text, key, answer)
                target.writelines(b'{"key":"%b",%b\n' % (wanted.take(at), rest) for at in places)
    return GatherSummary(wanted.left)


def _quick_key(text: bytes) -> str | None:
    """Read a key that comes first, without the parser: most results are not wanted."""
    if not text.startswith(_KEY):
        return None
    return text[len(_KEY) : text.find(b'"', len(_KEY))].decode(errors="replace")


def _rest(text: bytes, key: str | None, answer: Answer) -> bytes:
    """Return a result without its key, and without the brace before it, as it came if possible."""
    head = b'{"key":"%b",' % (key or "").encode()
    if text.startswith(head):
        return text[len(head) :].rstrip()
    try:
        return b'"response":%b}' % orjson.dumps(answer["response"])
    except orjson.JSONEncodeError:  # deeper than 254: orjson reads it all the same
        written = json.dumps(answer["response"])  # noqa: TID251 - what orjson refused
        return b'"response":%b}' % written.encode()


def _results(task: GatherTask) -> Path:
    scratch = Path(task.scratch)
    path = unpack(Path(task.raw), scratch)
    if not task.inline:
        return path
    unfolded = scratch / f"unfolded-{task.source}"
    unfold_inline(path, unfolded)
    return unfolded


class _Wanted:
    """Keys of one earlier job that a job wants, and its own for them: a few integers each."""

    def __init__(self, path: Path, source: int) -> None:
        mine = source.to_bytes(4, "big")
        records = sorted(text for text in _records(path) if text.startswith(mine))
        self._theirs = array("Q")
        self._lines = array("I")
        self._items = array("I")
        for text in records:
            _, line, item, new_line, new_item = WANTED.unpack(text)
            self._theirs.append(line << 32 | item)
            self._lines.append(new_line)
            self._items.append(new_item)
        self._done = bytearray(len(records))
        self.left = len(records)

    def places(self, key: str | None, *, alone: bool) -> Sequence[int]:
        """Return the places that wait for the answer with this key; a single one may have none."""
        if key is None:
            return range(len(self._theirs)) if alone and self.left else ()
        line, _, item = key.partition(".")
        if not (line.isdecimal() and (item or "0").isdecimal()):
            return ()
        theirs = int(line) << 32 | int(item or 0)
        first = bisect_left(self._theirs, theirs)
        return [
            place
            for place in range(first, bisect_right(self._theirs, theirs, first))
            if not self._done[place]
        ]

    def take(self, place: int) -> bytes:
        """Return the key of the item at that place, which has its answer now."""
        self._done[place] = 1
        self.left -= 1
        return b"%d.%d" % (self._lines[place], self._items[place])


def _records(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=BUFFER) as file:
        while text := file.read(WANTED.size):
            yield text
