"""Results so far: the cursor of whoever reads finished lines, and where the next ones are.

While a batch runs, its lines lie in runs, and a cursor says how many records of each run's index
were read. After its end they lie in two files, in the order of the input: what is left there are
the lines that no run gave before. Who begins after the end has a place in a file alone.
"""

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.batches.runs import RECORD, Entry, Kind, merged, unpack

MARK: Final = 6  # characters of a run's name that tell it from the one that took its place

_NUMBER: Final = r"(\d{1,15})"
_RUN: Final = re.compile(rf"{_NUMBER}\.([0-9A-Za-z_-]{{0,{MARK}}}):{_NUMBER}")
_IN_ORDER: Final = re.compile(rf"{_NUMBER},{_NUMBER},{_NUMBER}")
_IN_FILE: Final = re.compile(rf"{_NUMBER}:{_NUMBER}")


class Taken(NamedTuple):
    """Position in a run's index: records read; ``mark`` tells which run that was."""

    mark: str
    records: int


class Place(NamedTuple):
    """After a line in the order of the input: how many bytes of both files lie before."""

    line: int = 0
    output: int = 0
    error: int = 0


class FilePlace(NamedTuple):
    """In the output file (0) or the error file (1): the offset of a line."""

    file: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position of a reader in the results of a batch."""

    taken: Mapping[int, Taken] = field(default_factory=dict)
    place: Place | None = None
    in_file: FilePlace | None = None

    def __str__(self) -> str:
        """Write it as clients carry it: opaque, safe in a header and in a query."""
        parts = [f"{number}.{mark}:{count}" for number, (mark, count) in self.taken.items()]
        place = ",".join(map(str, self.place or ()))
        in_file = ":".join(map(str, self.in_file or ()))
        text = "/".join((";".join(parts), place, in_file))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(text: str) -> Cursor | None:
    """Read a cursor; None for a text that no gateway wrote."""
    try:
        padded = text + "=" * (-len(text) % 4)
        plain = base64.b64decode(padded, b"-_", validate=True).decode("ascii")
        runs, place, in_file = plain.split("/")
        return Cursor(
            {int(number): Taken(mark, int(count)) for number, mark, count in _runs(runs)},
            Place(*_numbers(_IN_ORDER, place)) if place else None,
            FilePlace(*_numbers(_IN_FILE, in_file)) if in_file else None,
        )
    except (binascii.Error, ValueError):
        return None


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    for part in filter(None, text.split(";")):
        found = _RUN.fullmatch(part)
        if found is None:
            raise ValueError
        yield found.groups()


def _numbers(form: re.Pattern[str], text: str) -> Iterator[int]:
    found = form.fullmatch(text)
    if found is None:
        raise ValueError
    return map(int, found.groups())


class Piece(NamedTuple):
    """A line in one of the two files; its place is the one after it."""

    is_output: bool
    offset: int
    length: int
    after: Place


def rest_of_files(indexes: Sequence[bytes], taken: Sequence[int], place: Place) -> Iterator[Piece]:
    """Give the lines after ``place`` that were not read from their run, in the files' order.

    ``taken`` says of each run how many of its records were read.
    """
    read = [_line_of(index, count) for index, count in zip(indexes, taken, strict=True)]
    rests = [unpack(index[_after(index, place.line) * RECORD.size :]) for index in indexes]
    for run, entry in merged(rests):
        if entry.kind == Kind.NOTES:
            continue
        is_output = entry.kind == Kind.OUTPUT
        offset = place.output if is_output else place.error
        place = _advanced(place, entry)
        if entry.line > read[run]:
            yield Piece(is_output, offset, entry.length, place)


def sizes(indexes: Sequence[bytes]) -> tuple[int, int]:
    """Count the bytes of output and error file, if the runs alone made them."""
    place = Place()
    for index in indexes:
        for entry in unpack(index):
            if entry.kind != Kind.NOTES:
                place = _advanced(place, entry)
    return place.output, place.error


def _advanced(place: Place, entry: Entry) -> Place:
    if entry.kind == Kind.OUTPUT:
        return Place(entry.line, place.output + entry.length, place.error)
    return Place(entry.line, place.output, place.error + entry.length)


def _line_of(index: bytes, count: int) -> int:
    """Give the line of the last of so many records; 0: none."""
    count = min(count, len(index) // RECORD.size)
    return Entry(*RECORD.unpack_from(index, (count - 1) * RECORD.size)).line if count else 0


def _after(index: bytes, line: int) -> int:
    """Count the records of that line or one before."""
    records = range(len(index) // RECORD.size)
    return bisect_right(
        records, line, key=lambda at: Entry(*RECORD.unpack_from(index, at * RECORD.size)).line
    )
