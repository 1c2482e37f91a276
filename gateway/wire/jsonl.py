"""JSONL framing: lines read under limits, lines written so that no reader splits them wrongly."""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway.units import MIB

UTF8_BOM: Final = b"\xef\xbb\xbf"

# Parsed, each bracket, comma or colon takes 40 to 240 bytes: this many up to 240 MB. The longest
# lists of token ids and the largest schemas have a tenth.
MAX_STRUCTURE: Final = 1_000_000

_STRING: Final = re.compile(rb'"[^"]*"')  # of a text without escaped quotes

# str.splitlines() and the OpenAI SDKs' own iter_lines() end a line at these characters too;
# measured with openai-python: two lines that carry them raw come back as six. orjson has no
# option to escape them. In valid JSON they can be inside strings only. The last byte of each, as
# a number: CPython 3.11 takes bytes that are looked for with ``in`` for a number first, and its
# failing at that takes 15 times as long as the search (measured).
_SEPARATORS: Final = (
    (0xA8, b"\xe2\x80\xa8", b"\\u2028"),
    (0xA9, b"\xe2\x80\xa9", b"\\u2029"),
    (0x85, b"\xc2\x85", b"\\u0085"),
)


# Where lines are longer, looking for each takes a tenth of counting, which compares byte by byte
# (CPython 3.11, measured); where they are not, this many looks take a twentieth of it.
LONG: Final = 4096


def count_line_ends(block: bytes) -> int:
    """Count the line ends of a block."""
    place = -1
    looks = len(block) // LONG
    for count in range(looks):
        place = block.find(b"\n", place + 1)
        if place < 0:
            return count
    return looks + block.count(b"\n", place + 1)


def escape_separators(line: bytes) -> bytes:
    r"""Write U+2028, U+2029 and U+0085 as ``\uXXXX`` in one encoded JSON text."""
    if line.isascii():  # the usual case, found out at a fraction of what the searches cost
        return line
    for last, raw, escaped in _SEPARATORS:
        if last in line:  # a search for one byte, which takes a tenth
            line = line.replace(raw, escaped)
    return line


@dataclass(slots=True)
class LongLine:
    """A line beyond the limit; ``size`` counts all of its bytes but the newline."""

    size: int


def read_lines(file: BinaryIO, max_bytes: int, *, start: bool = True) -> Iterator[bytes | LongLine]:
    """Yield each physical line without its end, never holding more than ``max_bytes`` of one.

    A byte order mark at the ``start`` of the file is dropped, a last line without an end counts,
    the nothing behind the last line end does not.
    """
    first = start
    while piece := file.readline(max_bytes + 2):
        if first:
            piece = piece.removeprefix(UTF8_BOM)
            first = False
            if not piece:
                return
        if piece.endswith(b"\n"):
            line = piece[:-1].removesuffix(b"\r")
            yield line if len(line) <= max_bytes else LongLine(len(line))
        elif len(piece) <= max_bytes:
            yield piece
        else:
            yield _skip(file, len(piece))


def drop_blank_end(lines: Iterable[bytes | LongLine]) -> Iterator[bytes | LongLine]:
    """Yield lines without the blank ones at the end, as editors and shells leave them."""
    held = 0
    for line in lines:
        if isinstance(line, bytes) and not line.strip():
            held += 1
            continue
        if held:
            yield from itertools.repeat(b"", held)
            held = 0
        yield line


def _skip(file: BinaryIO, size: int) -> LongLine:
    """Read on to the end of a line that is too long, in blocks."""
    while piece := file.readline(MIB):
        if piece.endswith(b"\n"):
            return LongLine(size + len(piece) - 1)
        size += len(piece)
    return LongLine(size)


def structure_of(text: bytes, limit: int) -> int:
    """Count brackets, commas and colons of a JSON text, outside of its strings where these matter.

    Each becomes an object in memory once the text is parsed: 31 MB of ``{}`` take 1 GB. Where
    all of them together are within the limit, those inside strings are counted too.
    """
    if len(text) <= limit:
        return len(text)
    count = _structure(text)
    if count <= limit:
        return count
    plain = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return _structure(_STRING.sub(b"", plain))


def _structure(text: bytes) -> int:
    return sum(text.count(mark) for mark in (b"{", b"[", b",", b":"))
