"""Lines that worker processes died of: found by the trail, tried once more alone, left out.

A process may also be killed from outside, whatever it is at. So one death makes a line suspected,
and another while it is worked on alone, or several at the same place, leave it out. All of this is
kept in files, for the kernel may end the gateway together with its worker (a container whose memory
is one group). Deaths of both prove less: a gateway that is killed from outside begins with the same
line each time. Five of them leave it out.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.errors import WorkerError
from gateway.runner.context import StepContext
from gateway.runner.cpu.trail import NOWHERE, PLACE, Trail, line_at
from gateway.runner.spares import Spares

logger = logging.getLogger(__name__)

# The folder of the files, in the data directory.
TRAILS: Final = "trails"
# Of the CPU, at one line: the largest lines that are accepted take a few.
LINE_SECONDS: Final = 120.0
# Deaths at one place, in the company of all other lines, that prove as much as one alone.
ENOUGH_DEATHS: Final = 3
# Deaths at one place that prove as much when the gateway died with its worker: it was killed from
# outside, most likely.
ENOUGH_WITH_THE_GATEWAY: Final = 5
# Deaths that one attempt at a step survives; after these it fails, and pauses, as before.
MAX_DEATHS: Final = 40

Summary = dict[str, Any]
Work = Callable[[Trail], Awaitable[Summary]]


async def run_on_lines(context: StepContext, row_id: str, work: Work) -> Summary:
    """Run a worker over all lines of a row's file, but those that processes die of.

    Errors: WorkerError when a process died at no line, or at more of them than are looked for.
    """
    # Files of a few bytes: made and removed in less time than the way to a thread takes.
    suspects = _Suspects(_directory(context), row_id, context.spares)
    for _ in range(MAX_DEATHS):
        place = suspects.not_tried_alone
        try:
            if place is None:
                summary = await work(suspects.trail())
                suspects.forget()
                return summary
            await asyncio.to_thread(suspects.begin_alone, place)
            await work(suspects.trail(only=place))
        except WorkerError:
            if not await asyncio.to_thread(suspects.note_death):
                raise
            told = (row_id, suspects.last)
            logger.error("%s: a process died at its line or byte %d", *told)  # noqa: TRY400
        else:
            suspects.clear(place)
    raise WorkerError("processes die of more lines than are looked for at once")


async def explained_deaths(context: StepContext, row_id: str) -> int:
    """Count the deaths by which lines were found that are left out now."""
    suspects = await asyncio.to_thread(_Suspects, _directory(context), row_id, context.spares)
    return suspects.explained


async def forget_trails(context: StepContext, before: float) -> None:
    """Remove files of rows that ended otherwise; ``before`` is in seconds since the epoch."""
    await asyncio.to_thread(_forget_old, _directory(context), before)


def _directory(context: StepContext) -> Path:
    return context.scratch.with_name(TRAILS)


def _forget_old(directory: Path, before: float) -> None:
    for path in directory.glob("*"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    """Return what is in a small file; None if there is none, as is usual."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _place_in(content: bytes | None) -> int:
    """Return where the last process was.

    A death between the making of the file and its first write left it empty: that was nowhere.
    """
    if content is None or len(content) != PLACE.size:
        return NOWHERE
    place: int = PLACE.unpack(content)[0]
    return place


class _Suspects:
    """Deaths by place, as the files of one row have them."""

    def __init__(self, directory: Path, name: str, spares: Spares) -> None:
        self._spares = spares
        self._place = directory / name
        self._record = directory / f"{name}.deaths"
        self._deaths: Counter[int] = Counter()
        self._together: Counter[int] = Counter()  # of these, those of the gateway as well
        self._believed: set[int] = set()  # one of their processes did nothing else
        self._alone = NOWHERE  # the place that is being tried alone
        self._cleared: set[int] = set()
        self.last = 0
        self._is_recorded = False
        if told := self._recorded():
            self._alone, self._believed = told["alone"], set(told["believed"])
            self._deaths.update(dict(told["deaths"]))
            self._together.update(dict(told.get("together", ())))
        self.note_death(together=True)

    def _recorded(self) -> dict[str, Any] | None:
        """Return what was saved; a power cut may leave a file empty, which then tells nothing."""
        content = _content(self._record)
        self._is_recorded = content is not None
        try:
            told: dict[str, Any] | None = orjson.loads(content) if content else None
        except orjson.JSONDecodeError:
            return None
        return told

    def _start_nowhere(self, *, is_there: bool) -> None:
        """Have a file that says so: the one that is there, a spare one, or a new one."""
        nowhere = PLACE.pack(NOWHERE)
        if not is_there and self._spares.file(self._place, nowhere):
            return
        try:
            self._place.write_bytes(nowhere)
        except FileNotFoundError:
            self._place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._place.write_bytes(nowhere)

    @property
    def _culprits(self) -> list[int]:
        deaths = self._deaths.items()
        return [at for at, n in deaths if self._is_enough(at, n) or at in self._believed]

    def _is_enough(self, place: int, deaths: int) -> bool:
        alone = deaths - self._together[place]
        return alone >= ENOUGH_DEATHS or deaths >= ENOUGH_WITH_THE_GATEWAY

    @property
    def explained(self) -> int:
        """Count the deaths at places that are left out."""
        return sum(self._deaths[place] for place in self._culprits)

    @property
    def not_tried_alone(self) -> int | None:
        """A place where processes died, and that nothing has tried alone."""
        settled = self._cleared.union(self._culprits)
        return next((place for place in self._deaths if place not in settled), None)

    def trail(self, only: int = NOWHERE) -> Trail:
        """Return what the next process is told."""
        return Trail(str(self._place), LINE_SECONDS, self._culprits, only)

    def begin_alone(self, place: int) -> None:
        """Note that the next process tries nothing but this."""
        self._alone = place
        self._save()

    def note_death(self, *, together: bool = False) -> bool:
        """Whether the last process died at a place: that is counted.

        ``together``: the gateway ended too, and finds the place at its next start.
        """
        content = _content(self._place)
        place = _place_in(content)
        if place != NOWHERE:
            self._deaths[place] += 1
            self._together[place] += together
            if place == self._alone and not together:
                self._believed.add(place)
            self._alone, self.last = NOWHERE, line_at(place)
            self._save()
        self._start_nowhere(is_there=content is not None)
        return place != NOWHERE

    def _save(self) -> None:
        told = {
            "alone": self._alone,
            "believed": list(self._believed),
            "deaths": list(self._deaths.items()),
            "together": list(self._together.items()),
        }
        new = self._record.with_suffix(".new")  # whole, or not there
        new.write_bytes(orjson.dumps(told))
        new.replace(self._record)
        self._is_recorded = True

    def clear(self, place: int) -> None:
        """Take a place for innocent: nothing died of it alone."""
        self._cleared.add(place)
        self._alone = NOWHERE

    def forget(self) -> None:
        """Remove the files: the work is done."""
        self._spares.keep_file(self._place)
        if self._is_recorded:
            self._record.unlink(missing_ok=True)
