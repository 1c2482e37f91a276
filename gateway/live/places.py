"""Places for calls at the upstream: a limit for all, one for each owner, a bounded wait."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

from gateway.live.failures import BusyError
from gateway.live.options import LiveOptions
from gateway.shares import FullError, Shares
from gateway.units import MIB

# Requests that may wait for each place, and bytes of all their bodies, which are held in memory.
WAITING_PER_PLACE: Final = 10
MOST_WAITING_BYTES: Final = 256 * MIB


class Places:
    """Hands out places in the order of asking; an owner at its own limit holds up no other."""

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._shares = Shares(options.calls, options.calls_per_owner)
        self._waiting = self._bytes = 0

    @property
    def waiting(self) -> int:
        """Count the requests that wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def one(self, owner: str, size: int) -> AsyncIterator[None]:
        """Hold a place for a body of that size.

        Errors: BusyError when none came free in time, or too much waits already.
        """
        many = self._waiting >= self._options.calls * WAITING_PER_PLACE
        # One body may be larger than all that may wait: it waits alone.
        if many or (self._bytes and self._bytes + size > MOST_WAITING_BYTES):
            raise BusyError("GATEWAY_SINGLE_CALLS", self._options.calls)
        async with AsyncExitStack() as held:
            with self._counted(size):
                await self._take(held, owner)
            yield

    @contextmanager
    def _counted(self, size: int) -> Iterator[None]:
        self._waiting += 1
        self._bytes += size
        try:
            yield
        finally:
            self._waiting -= 1
            self._bytes -= size

    async def _take(self, held: AsyncExitStack, owner: str) -> None:
        options = self._options
        try:
            await held.enter_async_context(self._shares.place(owner, options.queue_seconds))
        except FullError as full:
            if full.own:
                raise BusyError("GATEWAY_SINGLE_CALLS_PER_KEY", options.calls_per_owner) from None
            raise BusyError("GATEWAY_SINGLE_CALLS", options.calls) from None
