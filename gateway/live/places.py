"""Places for calls at the upstream: a limit for all, one for each owner, a bounded wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.live.failures import BusyError
from gateway.live.options import LiveOptions

# Requests that may wait for each place: each holds its body in memory.
WAITING_PER_PLACE: Final = 10


class Places:
    """Hands out places in the order of asking; an owner at its own limit holds up no other."""

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._all = asyncio.Semaphore(options.calls)
        self._owners: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Count the requests that wait for a place."""
        return self._waiting

    @asynccontextmanager
    async def one(self, owner: str) -> AsyncIterator[None]:
        """Hold a place. Errors: BusyError when none came free in time, or too many wait."""
        own = self._owners.setdefault(owner, asyncio.Semaphore(self._options.calls_per_owner))
        self._users[owner] = self._users.get(owner, 0) + 1
        try:
            await self._wait(own)
            try:
                yield
            finally:
                self._all.release()
                own.release()
        finally:
            self._users[owner] -= 1
            if not self._users[owner]:  # the names of owners are no endless table
                del self._users[owner], self._owners[owner]

    async def _wait(self, own: asyncio.Semaphore) -> None:
        """Wait for the owner's place, then for one of all."""
        options = self._options
        if self._waiting >= options.calls * WAITING_PER_PLACE:
            raise BusyError("GATEWAY_SINGLE_CALLS", options.calls)
        self._waiting += 1
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
