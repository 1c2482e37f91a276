"""Usual lines: results that need no more than to be written, as most of a job's do not.

They are read by their types and written by templates, in half the time of the ordinary way, whose
outcome is the same: what is not usual, or odd in any way, is left to it.
"""

from collections.abc import Sequence
from typing import Final

from gateway.runner.cpu.echoes import Echoes
from gateway.runner.cpu.lines import named_line
from gateway.translate import Note, Usage, WriteUsual
from gateway.wire.usual_results import usual_result

# After so many results in a row that were not usual, one of so many is tried: to try each would
# take a tenth of the time of a job of others.
UNUSUAL: Final = 32
ONE_OF: Final = 32

# The ordinal of a line, the line as it is written, its usage and its notes.
UsualLine = tuple[int, bytes, Usage, Sequence[Note]]


class UsualLines:
    """The usual lines of a job, as their results come."""

    def __init__(self, echoes: Echoes, batch_id: str, write: WriteUsual) -> None:
        self._echoes = echoes
        self._batch_id = batch_id
        self._write = write
        self._missed = 0  # in a row

    def made_of(self, text: bytes) -> UsualLine | None:
        """Write the line that a result is of; None: it is to be read in full."""
        self._missed += 1
        if self._missed > UNUSUAL and self._missed % ONE_OF:
            return None
        result = usual_result(text)
        if result is None:
            return None
        ordinal = self._echoes.locate_alone(result.key)
        if ordinal is None:
            return None
        custom_id, hints = self._echoes.written(ordinal)
        number = self._echoes.lines[ordinal]
        made = self._write(hints, number, result.response)
        if made is None:
            return None
        self._missed = 0
        status, body, usage, notes = made
        return ordinal, named_line(self._batch_id, number, custom_id, status, body), usage, notes
