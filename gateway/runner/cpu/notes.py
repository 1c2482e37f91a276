"""Notes about lines: entries of the warnings file, written into a run together with its lines.

An entry is ``{"line":7,"custom_id":"a","code":"dropped","field":"seed"}``, with a ``message`` where
code and field do not say it all. Every note is counted, a limited number is written out.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import orjson

from gateway.runner.cpu.lines import RunWriter
from gateway.translate import NOT_LISTED, Note
from gateway.units import MIB
from gateway.wire.jsonl import escape_separators

# The custom_id is in every entry and may be as long as a line: what one run writes at most.
MAX_BYTES: Final = 64 * MIB


def entry(line: int | None, custom_id: str | None, note: Note) -> bytes:
    """Write an entry."""
    value = {"line": line, "custom_id": custom_id, "code": note.code, "field": note.field}
    if note.message:
        value["message"] = note.message
    return escape_separators(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))


def rest_entry(more: int) -> bytes:
    """Return the last entry of a file that does not list every note."""
    message = f"{more} more are not listed (GATEWAY_MAX_WARNINGS)."
    value = {"line": None, "custom_id": None, "code": NOT_LISTED, "field": None, "message": message}
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


class NoteWriter:
    """Counts notes, and writes the first of them into a run."""

    def __init__(self, run: RunWriter, most: int) -> None:
        self.counts: Counter[str] = Counter()
        self._run = run
        self._left = most
        self._bytes_left = MAX_BYTES

    def write(self, line: int, custom_id: str, notes: Sequence[Note]) -> tuple[int, int] | None:
        """Return offset and length of what was written about a line; None: it is only counted."""
        for note in notes:
            self.counts[note.code] += 1
        if self._left <= 0 or self._bytes_left <= 0:
            return None
        text = b"".join(entry(line, custom_id, note) for note in notes[: self._left])
        self._left -= len(notes)
        self._bytes_left -= len(text)
        return self._run.write(text)
