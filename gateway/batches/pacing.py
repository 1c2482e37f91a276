"""Pauses before the upstream is asked again, in ms: pure functions of age, size and failures."""

from dataclasses import dataclass
from typing import Final

# Recorded: 2 inline items took 94 s to 6 min, a 2-line file 68 s. A look every few seconds pays
# for jobs of a few items only; the others get the longer first pause.
SMALL_JOB_ITEMS: Final = 100
LARGE_JOB_PAUSE: Final = 30_000
AGE_SHARE: Final = 10  # pause for a tenth of the age
JITTER_SHARE: Final = 0.2
POLL_BURST: Final = 100  # as many as Google admits live jobs
# A quarter of the polls is kept for jobs of few items that were accepted within two minutes: most
# of these end within minutes, and a client waits for them.
YOUNG_SHARE: Final = 4
YOUNG_FOR: Final = 120_000
LONGEST_PAUSE: Final = 3_600_000  # whatever happens, a step that waits is tried again within this


@dataclass(frozen=True, slots=True)
class Pace:
    """Shortest and longest pause, in ms."""

    shortest: int
    longest: int


def patient(pace: Pace) -> Pace:
    """Return the pause of something worth waiting for hours: pauses grow to an hour."""
    return Pace(pace.shortest, max(pace.longest, LONGEST_PAUSE))


def next_poll(age: int, items: int, pace: Pace, jitter: float) -> int:
    """Return the pause before the next look at a job of that age and size; ``jitter`` in [0, 1)."""
    start = pace.shortest if items <= SMALL_JOB_ITEMS else max(pace.shortest, LARGE_JOB_PAUSE)
    pause = min(max(start, age // AGE_SHARE), pace.longest)
    return int(pause * (1 - JITTER_SHARE * jitter))


def next_retry(failures: int, pace: Pace, jitter: float, hint: float | None = None) -> int:
    """Return the pause after the ``failures``-th failure in a row; ``hint`` is upstream's, in s.

    Doubles from the shortest to the longest; up to half of it is random, so that jobs which
    failed together do not come back together.
    """
    doubled = pace.shortest * 2 ** min(max(failures - 1, 0), 32)
    pause = min(doubled, pace.longest)
    pause = int(pause * (1 - 0.5 * jitter))
    return max(pause, int((hint or 0) * 1000))


class PollBudget:
    """Budget of polls that may begin, so that all running jobs together keep to a rate.

    A bucket that fills steadily: who has few jobs is never held up, and of ten thousand each waits
    its turn, the longest due first. A part is kept for young jobs, which would wait for their
    first look behind all that are overdue; what they leave goes to the others. Seconds are those of
    a monotonic clock.
    """

    def __init__(self, per_minute: int, burst: int = POLL_BURST) -> None:
        burst = min(burst, max(1, per_minute))
        self._per_second = per_minute / 60
        self._most_kept = burst // YOUNG_SHARE
        self._most = burst - self._most_kept
        self._kept = float(self._most_kept)
        self._left = float(self._most)
        self._at = 0.0

    def left(self, now: float) -> int:
        """Return how many may begin now."""
        more = max(now - self._at, 0) * self._per_second
        kept = min(more / YOUNG_SHARE, self._most_kept - self._kept)
        self._kept += kept
        self._left = min(self._most, self._left + more - kept)
        self._at = now
        return int(self._left)

    def left_for_young(self) -> int:
        """Return how many more may begin of young jobs, as of the last :meth:`left`."""
        return int(self._kept)

    def take(self, *, young: bool = False) -> None:
        """Count one that has begun."""
        if young:
            self._kept -= 1
        else:
            self._left -= 1
