"""Limits of what one client, and all of them together, may have under way.

An upload holds a block of memory, a download too, for as long as its client wants; so both have a
number of slots, of which one owner gets three quarters at most. Whoever waits for a batch to change
has the records asked for it twice a second; bodies that are read are held in memory. Requests are
counted by owner.
"""

import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from enum import Enum
from typing import Final

from gateway.clock import Clock
from gateway.errors import TooManyRequestsError, UnavailableError
from gateway.shares import FullError, Shares
from gateway.units import MIB

# A slot is waited for so long: a client that tries again would have to send its request again.
SLOT_SECONDS: Final = 30.0
# One owner's share of the slots.
SHARE: Final = 3 / 4
# When to come again: a watcher waits for two minutes at most, a body comes in seconds.
WATCH_RETRY_SECONDS: Final = 10
READ_RETRY_SECONDS: Final = 2
# Of all bodies of JSON that are being read; those of uploads are written as they come.
MOST_READ_BYTES: Final = 256 * MIB
# Requests that may come at once, as seconds of the rate.
BURST_SECONDS: Final = 10.0
# Owners whose requests are remembered; with keys of Google's as owners there is no end of them.
MAX_OWNERS: Final = 10_000


class Takes(Enum):
    """Capacity that a request holds while it is served."""

    NOTHING = "nothing"
    UPLOAD = "upload"
    DOWNLOAD = "download"
    WATCH = "watch"


class Slots:
    """So many at once, fairly between owners."""

    def __init__(self, what: Takes, total: int, wait_seconds: float = SLOT_SECONDS) -> None:
        self._what = what
        self._shares = Shares(total, max(1, int(total * SHARE)))
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Hold a slot, waiting for it. Errors: UnavailableError when none comes free in time."""
        async with AsyncExitStack() as held:
            try:
                await held.enter_async_context(self._shares.place(owner, self._wait_seconds))
            except FullError as error:
                raise UnavailableError(
                    f"Too many {self._what.value}s are under way: try again when some have ended.",
                    retry_after=10,
                ) from error
            yield


class Watchers:
    """So many that wait for a change at once, three quarters of them of one owner.

    Who is one too many is told so at once: waiting to wait helps no one.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._share = max(1, int(total * SHARE))
        self._own: Counter[str] = Counter()

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """Watch. Errors: TooManyRequestsError when there are too many."""
        if self._own[owner] >= self._share or self._own.total() >= self._total:
            raise TooManyRequestsError(
                f"Too many requests wait for a batch to change: at most {self._share} of one key"
                " may. Ask again without waiting, or end others.",
                retry_after=WATCH_RETRY_SECONDS,
            )
        self._own[owner] += 1
        try:
            yield
        finally:
            self._own[owner] -= 1
            if not self._own[owner]:
                del self._own[owner]


class Reading:
    """Bytes of bodies that are being read, three quarters of them of one owner.

    One body may be larger than all that may be read: it is read alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._own: Counter[str] = Counter()

    @contextmanager
    def body(self, owner: str) -> Iterator[Callable[[int], None]]:
        """Give what counts the bytes of one body. Errors: TooManyRequestsError of too many."""
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            others, own = self._own.total() - taken, self._own[owner] - taken
            taken += size
            self._own[owner] += size
            beyond = others and others + taken > self._total
            if beyond or (own and own + taken > self._total * SHARE):
                raise TooManyRequestsError(
                    "Too many bytes of requests are being read at once. Please try again.",
                    retry_after=READ_RETRY_SECONDS,
                )

        try:
            yield take
        finally:
            self._own[owner] -= taken
            if not self._own[owner]:
                del self._own[owner]


class Rate:
    """So many requests of one owner in a minute, the unused of some seconds at once; 0: any."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._per_second = per_minute / 60
        self._burst = max(1.0, self._per_second * BURST_SECONDS)
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def count(self, owner: str) -> None:
        """Count one. Errors: TooManyRequestsError that says when to come again."""
        if not self._per_second:
            return
        now = self._clock.monotonic()
        left, since = self._left.get(owner, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_second)
        if left < 1:
            raise TooManyRequestsError(
                f"Too many requests: at most {self._per_second * 60:.0f} a minute are served for"
                " one key.",
                retry_after=math.ceil((1 - left) / self._per_second),
            )
        if len(self._left) >= MAX_OWNERS and owner not in self._left:
            self._left.clear()
        self._left[owner] = (left - 1, now)


class Limits:
    """The slots and the rate of one application."""

    def __init__(
        self, uploads: int, downloads: int, watchers: int, per_minute: int, clock: Clock
    ) -> None:
        self._slots = {
            Takes.UPLOAD: Slots(Takes.UPLOAD, uploads),
            Takes.DOWNLOAD: Slots(Takes.DOWNLOAD, downloads),
        }
        self._watchers = Watchers(watchers)
        self.reading = Reading(MOST_READ_BYTES)
        self.rate = Rate(per_minute, clock)

    @asynccontextmanager
    async def held(self, takes: Takes, owner: str) -> AsyncIterator[None]:
        """Hold what a request takes while it is served."""
        if takes is Takes.NOTHING:
            yield
        elif takes is Takes.WATCH:
            with self._watchers.one(owner):
                yield
        else:
            async with self._slots[takes].slot(owner):
                yield
