"""Trail: the place that a worker is at, written where it outlives the process.

A line that takes more memory than its process may have, or that is worked on without an end, takes
the process with it, and all lines of the file. The place tells which it was: it is tried once more
alone, and left out if it kills that process too, so that it costs nothing but itself.

The place is a number in a file that is mapped: writing it costs less than a microsecond, and the
kernel keeps it however the process ends. Time is that of the CPU, by a timer whose signal ends the
process: a busy machine ends no line, and a search that holds the interpreter is ended as well.
"""

import mmap
import os
import signal
import struct
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.units import MIB

DEADLY: Final = (
    "The gateway's process ended each time it worked on this line: it takes more memory"
    " (GATEWAY_WORKER_MEMORY_BYTES) or time than there is. The other lines of the batch are not"
    " affected."
)

NOWHERE: Final = 0
PLACE: Final = struct.Struct("=Q")
# The timer is set anew after so many bytes, of which each place counts some more than it has.
BYTES_AT_ONCE: Final = 4 * MIB
BYTES_OF_A_PLACE: Final = 64 * 1024


def reading(place: int) -> int:
    """Name what is being read there, whatever it is."""
    return place * 2 + 1


def working_on(line: int) -> int:
    """Name a line that has been read."""
    return line * 2 + 2


def is_reading(place: int) -> bool:
    """Whether :func:`reading` has made this place."""
    return bool(place % 2)


def line_at(place: int) -> int:
    """Return the number that :func:`reading` or :func:`working_on` was given."""
    return (place - 1) // 2


@dataclass(frozen=True, slots=True)
class Trail:
    """``path`` is a file for the place; ``culprits`` are places to leave out.

    ``only``, if any, is the one place to work on. ``seconds`` of the CPU may pass at one of them.
    """

    path: str
    seconds: float
    culprits: Sequence[int] = ()
    only: int = NOWHERE


class TrailWriter:
    """Writes where this process is; without a trail, nothing."""

    def __init__(self, trail: Trail | None, files: ExitStack) -> None:
        self.culprits = frozenset(() if trail is None else trail.culprits)
        self.only = NOWHERE if trail is None else trail.only
        self.everywhere = not self.culprits and self.only == NOWHERE  # nothing is left out
        self._seconds = 0.0 if trail is None else trail.seconds
        self._left = 0  # bytes until the timer is set anew
        self._offset = 0  # where the last result began that was read
        self._place = memoryview(bytearray(PLACE.size)).cast("Q")
        if trail is not None:
            self._map(Path(trail.path), files)

    def _map(self, path: Path, files: ExitStack) -> None:
        file = os.open(path, os.O_RDWR)
        try:
            mapped = files.enter_context(mmap.mmap(file, PLACE.size))
        finally:
            os.close(file)
        whole = files.enter_context(memoryview(mapped))
        self._place = files.enter_context(whole.cast("Q"))
        files.callback(signal.setitimer, signal.ITIMER_PROF, 0)

    def at(self, place: int, size: int = 0) -> None:
        """Note the place, and how many bytes there are to work on, if that is known."""
        self._place[0] = place
        self._left -= size + BYTES_OF_A_PLACE
        if self._left <= 0:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._seconds:
            self._left = BYTES_AT_ONCE
            signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def reads(self, line: int, size: int) -> bool:
        """Note that a line of so many bytes is being read; False for one that is left out."""
        place = line * 2 + 1  # as :func:`reading` and :meth:`at`, in one call: it is for each line
        if place in self.culprits:
            return False
        self._place[0] = place
        self._left -= size + BYTES_OF_A_PLACE
        if self._left <= 0:
            self._set_timer()
        return True

    def works_on(self, line: int, size: int) -> bool:
        """Note that a line that was read is being worked on; False for one that is left out.

        The timer goes on, unless the line is so large that it was set for this alone.
        """
        place = line * 2 + 2  # as :func:`working_on`
        if place in self.culprits:
            return False
        self._place[0] = place
        if size > BYTES_OF_A_PLACE:
            self.at(place, size)
        return True

    def read_at(self, offset: int) -> bool:
        """Note that what is there is being read, and that all before it was; it is to be read."""
        self._place[0] = offset * 2 + 1  # as reading() has it: a call for each result counts
        self._left -= offset - self._offset + BYTES_OF_A_PLACE
        self._offset = offset
        if self._left <= 0:
            self._set_timer()
        return True

    def end(self) -> None:
        """Note that nothing is worked on. What ends in any other way leaves its place behind."""
        self._place[0] = NOWHERE
