"""An echo file, read at random: what a line's answer needs from its request.

First line ``{"format":1}``, then one JSON array per line, ascending: ``[line, custom_id, items,
options]``. In memory stay a few integers per line.
"""

import os
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

ECHO_FORMAT = 1


def echo_line(line: int, custom_id: str, items: int, options: bytes) -> bytes:
    """One line's echo, written; ``options`` is written JSON."""
    return b"[%d,%b,%d,%b]\n" % (line, orjson.dumps(custom_id), items, options)


class Echo(NamedTuple):
    """One line's echo."""

    line: int
    custom_id: str
    items: int
    options: Any


class Echoes:
    """The echoes of one job. ``ordinal`` is a line's place in the job, from 0."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=1 << 18)
        self.lines = array("I")
        self.items = array("I")
        self.first_item = array("Q")  # among all items of the job
        self._offsets = array("Q")
        self.total_items = 0
        self._scan()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self.lines)

    def _scan(self) -> None:
        head = self._file.readline()
        if orjson.loads(head) != {"format": ECHO_FORMAT}:
            self._file.close()
            raise ValueError("the echo file has an unknown format")
        offset = len(head)
        for text in self._file:
            echo = Echo._make(orjson.loads(text))
            self.lines.append(echo.line)
            self.items.append(echo.items)
            self.first_item.append(self.total_items)
            self._offsets.append(offset)
            self.total_items += echo.items
            offset += len(text)
        self._offsets.append(offset)

    def read(self, ordinal: int) -> Echo:
        """The echo of one line."""
        start = self._offsets[ordinal]
        text = os.pread(self._file.fileno(), self._offsets[ordinal + 1] - start, start)
        return Echo._make(orjson.loads(text))

    def locate(self, key: str | None) -> tuple[int, int] | None:
        """Ordinal of the line and number of the item a key names; None for a stranger."""
        line, dot, item = (key or "").partition(".")
        if not (line.isdecimal() and line.isascii() and len(line) < 10):
            return None
        if dot and not (item.isdecimal() and item.isascii() and len(item) < 10):
            return None
        ordinal = bisect_left(self.lines, int(line))
        number = int(item) if dot else 0
        known = ordinal < len(self.lines) and self.lines[ordinal] == int(line)
        return (ordinal, number) if known and number < self.items[ordinal] else None
