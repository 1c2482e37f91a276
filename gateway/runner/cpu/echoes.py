"""An echo file, written as lines come and read at random: what answers need of their requests.

::

    {"format":2}
    {"model":"gemini-2.5-flash"}            a part, at byte 13
    {"schema":"{…}"}                        a part, at byte 42
    [1,"a",1,13,42]                         line, custom_id, items, where its parts begin
    [2,"b",1,13,42]

Lines of a batch say mostly the same apart from their words, so what they say is written once: the
hints of a line are its parts merged. In memory stay a few integers per line, and what was read
or written last.
"""

import mmap
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Self, TypeVar

import orjson

from gateway.translate import AnswerHints
from gateway.units import MIB

ECHO_FORMAT: Final = 2
BUFFER: Final = 64 * 1024
# Parts that are remembered, in bytes: of all of a job's, and the largest.
REMEMBERED: Final = MIB
LARGEST_REMEMBERED: Final = 64 * 1024

# ``[7,"a",1,13,42]``: a line, as :meth:`EchoWriter.add` writes it.
_LINE: Final = re.compile(rb'\[\d+,("[^"\\]*(?:\\.[^"\\]*)*"),\d+([,\d]*)\]\n')

Key = TypeVar("Key")
Value = TypeVar("Value")


class _Remembered(dict[Key, Value]):
    """Cache of the last lookups, emptied as a whole when it has grown to too many bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._room = REMEMBERED

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Remember, unless it is not worth the memory."""
        if size > LARGEST_REMEMBERED:
            return
        if size > self._room:
            self.clear()
            self._room = REMEMBERED
        self._room -= size
        self[key] = value


class EchoWriter:
    """An echo file that grows."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=BUFFER)
        self._offset = 0
        self._write(orjson.dumps({"format": ECHO_FORMAT}))
        self._known: _Remembered[bytes, int] = _Remembered()
        # The places of all parts of a line, as they are written; of parts that came before.
        self._places: _Remembered[tuple[bytes, ...], bytes] = _Remembered()

    def add(self, line: int, custom_id: str, items: int, parts: Sequence[bytes]) -> None:
        """Write one line's echo; its parts are written JSON objects."""
        parts = tuple(parts)
        places = self._places.get(parts)
        if places is None:
            end = self._offset
            places = b"".join([b",%d" % self._place(part) for part in parts])
            if self._offset == end:
                self._places.keep(parts, places, sum(map(len, parts)))
        text = b"[%d,%b,%d%b]\n" % (line, orjson.dumps(custom_id), items, places)
        self._offset += len(text)
        self._file.write(text)

    def close(self) -> None:
        """Flush, and forget: a batch holds the files of all its jobs to its end."""
        self._file.close()
        self._known.clear()
        self._places.clear()

    def _place(self, part: bytes) -> int:
        """Return the place of a part; it is written now unless it is known to be there."""
        place = self._known.get(part)
        if place is not None:
            return place
        place = self._write(part)
        self._known.keep(part, place, len(part))
        return place

    def _write(self, text: bytes) -> int:
        place = self._offset
        self._file.write(text)
        self._file.write(b"\n")
        self._offset += len(text) + 1
        return place


class Echo(NamedTuple):
    """One line's echo."""

    line: int
    custom_id: str
    items: int
    hints: AnswerHints


class Echoes:
    """The echoes of one job. ``ordinal`` is a line's place in the job, from 0."""

    def __init__(self, path: Path) -> None:
        self.lines = array("I")
        self.items = array("I")
        self.first_item = array("Q")  # among all items of the job
        self._offsets = array("Q")
        self.total_items = 0
        self._known: _Remembered[bytes, AnswerHints] = _Remembered()
        with path.open("rb", buffering=BUFFER) as file:
            self._scan(file)
            # Mapped, a line costs no call of the system; the pages are the file's.
            self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def __len__(self) -> int:
        return len(self.lines)

    def _scan(self, file: BinaryIO) -> None:
        head = file.readline()
        if orjson.loads(head) != {"format": ECHO_FORMAT}:
            raise ValueError("the echo file has an unknown format")
        offset, total = len(head), 0
        for text in file:
            if text[:1] == b"[":
                line, _, items, *_ = orjson.loads(text)
                self.lines.append(line)
                self.items.append(items)
                self.first_item.append(total)
                self._offsets.append(offset)
                total += items
            offset += len(text)
        self.total_items = total

    def read(self, ordinal: int) -> Echo:
        """Return the echo of one line. Lines share what it holds: never change it."""
        custom_id, hints = self.written(ordinal)
        return Echo(self.lines[ordinal], orjson.loads(custom_id), self.items[ordinal], hints)

    def written(self, ordinal: int) -> tuple[bytes, AnswerHints]:
        """Return custom_id, as it is written, and hints of one line: all that most answers need.

        Errors: ValueError of a damaged file.
        """
        found = _LINE.match(self._text, self._offsets[ordinal])
        if found is None:
            raise ValueError("a line of the echo file is damaged")
        custom_id, places = found.groups()
        hints = self._known.get(places)
        return custom_id, self._hints(places) if hints is None else hints

    def _hints(self, places: bytes) -> AnswerHints:
        """Return the parts at these places, ``,13,42``, merged."""
        hints: AnswerHints = {}
        size = 0
        for place in map(int, places.split(b",")[1:]):
            text = self._text[place : self._text.find(b"\n", place)]
            hints.update(orjson.loads(text))
            size += len(text)
        self._known.keep(places, hints, size)
        return hints

    def locate(self, key: str | None) -> tuple[int, int] | None:
        """Return ordinal of the line and number of the item of a key; None for an unknown one."""
        line, dot, item = (key or "").partition(".")
        if not (line.isdecimal() and line.isascii() and len(line) < 10):
            return None
        if dot and not (item.isdecimal() and item.isascii() and len(item) < 10):
            return None
        ordinal, number = self._ordinal(int(line)), int(item) if dot else 0
        if ordinal is None or number >= self.items[ordinal]:
            return None
        return ordinal, number

    def locate_alone(self, key: str) -> int | None:
        """Return the ordinal of a line with one item whose key is ``7``; None of any other key."""
        if not (key.isdecimal() and key.isascii() and len(key) < 10):
            return None
        ordinal = self._ordinal(int(key))
        return ordinal if ordinal is not None and self.items[ordinal] == 1 else None

    def _ordinal(self, line: int) -> int | None:
        lines = self.lines
        ordinal = line - lines[0] if lines else 0  # lines follow each other, mostly
        if 0 <= ordinal < len(lines) and lines[ordinal] == line:
            return ordinal
        ordinal = bisect_left(lines, line)
        return ordinal if ordinal < len(lines) and lines[ordinal] == line else None


class EchoParts:
    """The lines of an echo file with their parts as they were written, for another echo file.

    Line, custom_id, items, parts: what :meth:`EchoWriter.add` takes. Lines that follow each other
    with the same parts get the same tuple.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[tuple[int, str, int, Sequence[bytes]]]:
        with self._path.open("rb", buffering=BUFFER) as file, self._path.open("rb") as hints:
            if orjson.loads(file.readline()) != {"format": ECHO_FORMAT}:
                raise ValueError("the echo file has an unknown format")
            last: Sequence[int] = ()
            parts: tuple[bytes, ...] = ()
            for text in file:
                if text[:1] != b"[":
                    continue
                line, custom_id, items, *places = orjson.loads(text)
                if places != last:
                    parts = tuple([_line_at(hints, place) for place in places])
                    last = places
                yield line, custom_id, items, parts


def _line_at(file: BinaryIO, place: int) -> bytes:
    file.seek(place)
    return file.readline().rstrip(b"\n")
