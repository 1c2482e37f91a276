"""When to ask again: pure functions of age, size and failures. Milliseconds throughout."""

from dataclasses import dataclass

# Recorded: 2 inline items took 94 s to 6 min, a 2-line file 68 s. A look every few seconds pays
# for jobs of a few items only; the others get the longer first pause.
SMALL_JOB_ITEMS = 100
LARGE_JOB_PAUSE = 30_000
AGE_SHARE = 10  # pause for a tenth of the age
JITTER_SHARE = 0.2
LONGEST_PAUSE = 3_600_000  # whatever happens, a step that waits is tried again within this


@dataclass(frozen=True, slots=True)
class Pace:
    """Shortest and longest pause, in ms."""

    shortest: int
    longest: int


def patient(pace: Pace) -> Pace:
    """The same, with pauses that grow to an hour: for what is worth waiting for hours."""
    return Pace(pace.shortest, max(pace.longest, LONGEST_PAUSE))


def next_poll(age: int, items: int, pace: Pace, jitter: float) -> int:
    """The pause before the next look at a job of that age and size; ``jitter`` in [0, 1)."""
    start = pace.shortest if items <= SMALL_JOB_ITEMS else max(pace.shortest, LARGE_JOB_PAUSE)
    pause = min(max(start, age // AGE_SHARE), pace.longest)
    return int(pause * (1 - JITTER_SHARE * jitter))


def next_retry(failures: int, pace: Pace, jitter: float, hint: float | None = None) -> int:
    """The pause after the ``failures``-th failure in a row; ``hint`` is the upstream's, in s.

    Doubles from the shortest to the longest; up to half of it is random, so that jobs which
    failed together do not come back together.
    """
    doubled = pace.shortest * 2 ** min(max(failures - 1, 0), 32)
    pause = min(doubled, pace.longest)
    pause = int(pause * (1 - 0.5 * jitter))
    return max(pause, int((hint or 0) * 1000))
