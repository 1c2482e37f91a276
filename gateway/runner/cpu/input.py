"""The lines of an input file with their numbers, as a whole or one range of it.

A range begins at the first line that starts at its share of the bytes or behind it, so ranges need
no word from each other: every line is in exactly one, under the number it has in the file.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from gateway.units import MIB
from gateway.wire.jsonl import LongLine, count_line_ends, drop_blank_end, read_lines

# What stays in the cache of a core: lines are read from there a moment later.
BUFFER: Final = 256 * 1024


class Range(NamedTuple):
    """The range of this number among so many, from 0."""

    number: int = 0
    among: int = 1


WHOLE: Final = Range()


def input_lines(
    path: Path, max_line_bytes: int, part: Range = WHOLE
) -> Iterator[tuple[int, bytes | LongLine]]:
    """Read the lines of an input file, each with its number.

    Blank lines at the end of the file are left out; those at the end of a range are not, because
    what follows decides whether they are one of those.
    """
    with path.open("rb", buffering=BUFFER) as file:
        size = file.seek(0, 2)
        start, end = _span(file, size, part)
        first = 1 + _line_ends(file, 0, start)
        count = _line_ends(file, start, end) if end < size else None
        file.seek(start)
        lines: Iterator[bytes | LongLine] = read_lines(file, max_line_bytes, start=start == 0)
        lines = drop_blank_end(lines) if count is None else itertools.islice(lines, count)
        yield from enumerate(lines, first)


def span_of(path: Path, part: Range) -> tuple[int, int]:
    """Return where a range of a file of lines begins and ends."""
    with path.open("rb") as file:
        return _span(file, file.seek(0, 2), part)


def _span(file: BinaryIO, size: int, part: Range) -> tuple[int, int]:
    start = _line_from(file, size * part.number // part.among)
    return start, _line_from(file, size * (part.number + 1) // part.among)


def _line_from(file: BinaryIO, offset: int) -> int:
    """Return where the first line starts that starts at an offset or behind it."""
    if offset == 0:
        return 0
    file.seek(offset - 1)
    while piece := file.readline(MIB):
        if piece.endswith(b"\n"):
            break
    return file.tell()


def _line_ends(file: BinaryIO, start: int, end: int) -> int:
    count = 0
    file.seek(start)
    while start < end:
        block = file.read(min(MIB, end - start))
        if not block:
            break
        count += count_line_ends(block)
        start += len(block)
    return count
