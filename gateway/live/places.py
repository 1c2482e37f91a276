"""Places for calls at the upstream: a limit for all, one for each owner, a bounded wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.live.failures import BusyError
from gateway.live.options import LiveOptions
from gateway.units import MIB

# Requests that may wait for each place, and bytes of all their bodies, which are held in memory.
WAITING_PER_PLACE: Final = 10
MOST_WAITING_BYTES: Final = 256 * MIB


class Places:
    """Hands out places in the order of asking; an owner at its own limit holds up no other."""

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._all = asyncio.Semaphore(options.calls)
        self._owners: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}
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
        own = self._owners.setdefault(owner, asyncio.Semaphore(self._options.calls_per_owner))
        self._users[owner] = self._users.get(owner, 0) + 1
        try:
            await self._wait(own, size)
            try:
                yield
            finally:
                self._all.release()
                own.release()
        finally:
            self._users[owner] -= 1
            if not self._users[owner]:  # the names of owners are no endless table
                del self._users[owner], self._owners[owner]

    async def _wait(self, own: asyncio.Semaphore, size: int) -> None:
        """Wait for the owner's place, then for one of all."""
        options = self._options
        many = self._waiting >= options.calls * WAITING_PER_PLACE
        # One body may be larger than all that may wait: it waits alone.
        if many or (self._bytes and self._bytes + size > MOST_WAITING_BYTES):
            raise BusyError("GATEWAY_SINGLE_CALLS", options.calls)
        self._waiting += 1
        self._bytes += size
        limit = ("GATEWAY_SINGLE_CALLS_PER_KEY", options.calls_per_owner)
        try:
            async with asyncio.timeout(options.queue_seconds):
                await own.acquire()
                limit = ("GATEWAY_SINGLE_CALLS", options.calls)
                try:
                    await self._all.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError:
            raise BusyError(*limit) from None
        finally:
            self._waiting -= 1
            self._bytes -= size
