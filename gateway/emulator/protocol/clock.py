"""The emulator's own time: it can run faster than the machine's, and be moved."""

from datetime import UTC, datetime
from typing import Final

from gateway.clock import Clock

# Nanoseconds in a second: the emulator counts time in integer nanoseconds UTC.
SECOND: Final = 1_000_000_000
MAX_ADVANCE: Final = 100 * 365 * 24 * 3600.0
MAX_SPEED: Final = 1e6
# The last second of the year 9999, beyond which there are no timestamps.
LAST_NS: Final = 253_402_300_799 * SECOND


class EmulatorClock:
    """Nanoseconds UTC that follow a :class:`Clock` at some speed and can be moved forward."""

    def __init__(self, clock: Clock, speed: float, offset: float = 0.0) -> None:
        self._clock = clock
        self._speed = speed
        self._origin_ns = clock.now() * 1_000_000 + int(offset * SECOND)
        self._mark = clock.monotonic()

    @property
    def speed(self) -> float:
        """Emulated seconds per real second."""
        return self._speed

    def now_ns(self) -> int:
        """Nanoseconds since the epoch, UTC, as this emulator sees it; never goes back."""
        return self._origin_ns + int((self._clock.monotonic() - self._mark) * self._speed * SECOND)

    def monotonic(self) -> float:
        """Seconds of the machine's own time."""
        return self._clock.monotonic()

    def advance(self, seconds: float) -> None:
        """Move the time forward by ``seconds``; raises ValueError if negative or beyond years."""
        if not seconds >= 0:
            raise ValueError("time does not go back")
        if (
            seconds > MAX_ADVANCE
            or self.now_ns() + seconds * SECOND > LAST_NS - MAX_ADVANCE * SECOND
        ):
            raise ValueError(
                f"time goes forward by at most {MAX_ADVANCE:.0f} s, not to the year 10000"
            )
        self._origin_ns += int(seconds * SECOND)

    def set_speed(self, speed: float) -> None:
        """Run at ``speed`` from now on; raises ValueError unless positive and at most a million."""
        if not 0 < speed <= MAX_SPEED:
            raise ValueError(f"speed must be positive and at most {MAX_SPEED:.0f}")
        self._origin_ns = self.now_ns()
        self._mark = self._clock.monotonic()
        self._speed = speed

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of the machine's time (faults delay answers in real time)."""
        await self._clock.sleep(seconds)


def parse_stamp(text: str) -> int:
    """Nanoseconds of an RFC 3339 timestamp (microseconds count); raises ValueError."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


def stamp(ns: int, digits: int = 9) -> str:
    """``2026-08-19T14:34:12.267870162Z``: jobs carry 9 digits, files' createTime 6, events 0."""
    seconds, fraction = divmod(ns, SECOND)
    day = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{day}.{fraction:09d}"[: len(day) + digits + (digits > 0)] + "Z"
