"""Digests of requests that were answered: the index by which later batches find the answers.

Each job has a file of its own, which is never more than a part of what its raw results take::

    {"digests":1}
    digest 16 bytes, line u32, item u32     a record for each item, big-endian, ascending

The digest is of everything that decides what is asked: the model, the method, the request as it is
sent, and the policy it was made under. Memory does not grow with the answers: a record has 24
bytes, and those of earlier jobs are read where they lie.
"""

import hashlib
import mmap
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from gateway.translate import Answer

HEAD: Final = b'{"digests":1}\n'
DIGEST: Final = 16
RECORD: Final = struct.Struct(f">{DIGEST}sII")
# The same in one file for several jobs: with the number of the job. At its end it says how many
# records there are before those that begin with each two bytes, so that one is found in a step.
MERGED: Final = struct.Struct(f">{DIGEST}sIII")
BUCKETS: Final = 256
FENCES: Final = BUCKETS * BUCKETS + 1
FENCES_BYTES: Final = 4 * FENCES
# What is no part of the identity: where an alias leads is the model, and the spelling of the path.
_NOT_ASKED: Final = frozenset({"aliases", "endpoint_as_sent"})
WHOLE: Final = "STOP"  # any other finishReason cuts an answer short, or refuses it
_ZERO: Final = b'"temperature":0'

Digester = Callable[[bytes], bytes]


def digester(policy: Mapping[str, Any], method: str, model: str) -> Digester:
    """Return the function that gives the digest of a request, as it is sent, to a model."""
    decided = {name: value for name, value in policy.items() if name not in _NOT_ASKED}
    prefix = orjson.dumps([1, method, model, decided], option=orjson.OPT_SORT_KEYS)
    base = hashlib.blake2b(prefix, digest_size=DIGEST)

    def digest(request: bytes) -> bytes:
        mine = base.copy()
        mine.update(request)
        return mine.digest()

    return digest


def is_whole(answer: Answer) -> bool:
    """Whether an answer is complete: neither an error, nor cut short, nor blocked."""
    response = answer.get("response")
    if not isinstance(response, dict):
        return False
    if "embedding" in response:
        return True
    candidates = response.get("candidates")
    return (
        isinstance(candidates, list)
        and bool(candidates)
        and all(isinstance(each, dict) and each.get("finishReason") == WHOLE for each in candidates)
    )


def is_steady(request: bytes) -> bool:
    """Whether each attempt says the same: temperature 0, as far as Google promises that."""
    if _ZERO not in request:
        return False
    config = orjson.loads(request).get("generationConfig") or {}
    return bool(config.get("temperature") == 0)


class DigestWriter:
    """Records in any order, written sorted; sorted in parts, so that few are objects at a time."""

    def __init__(self) -> None:
        self._buckets = [bytearray() for _ in range(BUCKETS)]

    def add(self, digest: bytes, line: int, item: int) -> None:
        """Add an item that was answered."""
        self._buckets[digest[0]] += RECORD.pack(digest, line, item)

    def write(self, path: Path) -> bool:
        """Write the file; False, and none is written, when there is nothing in it."""
        if not any(self._buckets):
            return False
        with path.open("wb") as file:
            file.write(HEAD)
            for bucket in self._buckets:
                file.writelines(sorted(_pieces(bucket, RECORD.size)))
        return True


def _pieces(text: bytes | bytearray, size: int) -> Iterator[bytes]:
    return (bytes(text[at : at + size]) for at in range(0, len(text), size))


@dataclass(frozen=True, slots=True)
class MergeTask:
    """``paths``: digests of earlier jobs; the number of a job is its place among them."""

    paths: Sequence[str]
    target: str


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """``items``: how many records were written."""

    items: int


def merge(task: MergeTask) -> MergeSummary:
    """Write the records of several files into one, sorted. Errors: OSError, ValueError."""
    before = array("I", [0])
    with ExitStack() as files, Path(task.target).open("wb") as target:
        sources = [_mapped(Path(path), files) for path in task.paths]
        fences = [_fences(source) for source in sources]
        for bucket in range(BUCKETS):
            records = sorted(
                record[:DIGEST] + number.to_bytes(4, "big") + record[DIGEST:]
                for number, (source, fence) in enumerate(zip(sources, fences, strict=True))
                for record in _pieces(source[fence[bucket] : fence[bucket + 1]], RECORD.size)
            )
            target.writelines(records)
            counts = Counter(record[1] for record in records)
            for second in range(BUCKETS):
                before.append(before[-1] + counts[second])
        before.tofile(target)
    return MergeSummary(before[-1])


def _mapped(path: Path, files: ExitStack) -> mmap.mmap:
    file = files.enter_context(path.open("rb"))
    text = files.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    if text[: len(HEAD)] != HEAD or (len(text) - len(HEAD)) % RECORD.size:
        raise ValueError("a file of digests has an unknown format")
    return text


def _fences(text: mmap.mmap) -> list[int]:
    """Return the offset at which the records with each first byte begin, and the end."""
    count = (len(text) - len(HEAD)) // RECORD.size
    firsts = range(BUCKETS)
    places = [
        bisect_left(range(count), first, key=lambda at: text[len(HEAD) + at * RECORD.size])
        for first in firsts
    ]
    return [len(HEAD) + place * RECORD.size for place in (*places, count)]


class Place(NamedTuple):
    """An answer: number of the job among those merged, line, item."""

    source: int
    line: int
    item: int


class Answered:
    """Merged digests, to be asked for requests. Requests that say the same get answers in turn."""

    def __init__(self, path: Path, files: ExitStack) -> None:
        file = files.enter_context(path.open("rb"))
        self._text = files.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        end = len(self._text) - FENCES_BYTES
        self._count = end // MERGED.size
        self._before = array("I", self._text[end:])
        self._taken = bytearray(self._count)

    def find(self, digests: Sequence[bytes], *, distinct: bool = False) -> Sequence[Place] | None:
        """Return an answer for each digest; None unless there is one for all.

        With ``distinct``, no answer is given twice: a line that asks for several wants several.
        """
        places: list[int] = []
        fresh: list[int] = []
        for digest in digests:
            at = self._next(digest, places if distinct else ())
            if at is None:
                for each in fresh:
                    self._taken[each] = 0
                return None
            if not self._taken[at]:
                self._taken[at] = 1
                fresh.append(at)
            places.append(at)
        return [self._place(at) for at in places]

    def _next(self, digest: bytes, but: Sequence[int]) -> int | None:
        """Return the first record of a digest that was not taken, or the first of all ``but``."""
        first = self._first(digest)
        if first is None:
            return None
        if first + 1 == self._count or self._digest(first + 1) != digest:
            return None if first in but else first
        end = bisect_right(range(first, self._count), digest, key=self._digest) + first
        free = self._taken.find(0, first, end)
        if free >= 0:
            return free
        return next((at for at in range(first, end) if at not in but), None)

    def _first(self, digest: bytes) -> int | None:
        """Look among those that begin alike: a few dozen at most, of millions."""
        at = digest[0] * BUCKETS + digest[1]
        start = self._before[at] * MERGED.size
        alike = self._text[start : self._before[at + 1] * MERGED.size]
        found = alike.find(digest)
        while found > 0 and found % MERGED.size:  # across two records, by chance
            found = alike.find(digest, found + 1)
        return None if found < 0 else (start + found) // MERGED.size

    def _digest(self, at: int) -> bytes:
        start = at * MERGED.size
        return self._text[start : start + DIGEST]

    def _place(self, at: int) -> Place:
        _, source, line, item = MERGED.unpack_from(self._text, at * MERGED.size)
        return Place(source, line, item)


def requests_of(spool: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield line, item and request of every line of a spool, which was written here."""
    head, middle = b'{"key":"', b'","request":'
    with spool.open("rb", buffering=1 << 18) as file:
        for text in file:
            end = text.index(b'"', len(head))
            line, _, item = text[len(head) : end].partition(b".")
            yield int(line), int(item or 0), text[end + len(middle) : text.rindex(b"}")]
