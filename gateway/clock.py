"""Time, as something that is passed in.

The only file that imports ``time``. Everything that acts over time takes a
:class:`Clock`, so a test can move it; the pure floors (``translate/``,
``batches/``) take plain numbers instead.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Time, as far as the gateway may ask for it."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC. May jump; never used to measure a duration."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``; zero yields to other tasks once."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Suspend the current task."""
        await asyncio.sleep(seconds)


class SharedClock:
    """A clock set to the time of what several processes share, by whoever asks that now and then.

    Times in rows are compared by all of them: a machine whose own clock is wrong by minutes would
    else take another's deadline for over.
    """

    def __init__(self, clock: Clock) -> None:
        self.own = clock
        self.ahead = 0  # ms of the shared time before the machine's

    def now(self) -> int:
        """Milliseconds since the epoch, UTC, as all processes have them."""
        return self.own.now() + self.ahead

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, the machine's own."""
        return self.own.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Suspend the current task."""
        await self.own.sleep(seconds)
