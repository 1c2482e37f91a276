"""Places for so many at a time, of which one owner has at most a share, in the order of asking."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FullError(Exception):
    """No place came free in time; ``own``: of the owner's share, else of all."""

    def __init__(self, *, own: bool) -> None:
        super().__init__()
        self.own = own


class Shares:
    """An owner at its own limit holds up no other."""

    def __init__(self, total: int, share: int) -> None:
        self._all = asyncio.Semaphore(total)
        self._share = share
        self._own: dict[str, asyncio.Semaphore] = {}
        self._users: Counter[str] = Counter()

    @asynccontextmanager
    async def place(self, owner: str, seconds: float) -> AsyncIterator[None]:
        """Hold a place, waiting for it at most ``seconds``. Errors: FullError."""
        own = self._own.setdefault(owner, asyncio.Semaphore(self._share))
        self._users[owner] += 1
        try:
            await self._acquire(own, seconds)
            try:
                yield
            finally:
                self._all.release()
                own.release()
        finally:
            self._users[owner] -= 1
            if not self._users[owner]:  # the names of owners are no endless table
                del self._users[owner], self._own[owner]

    async def _acquire(self, own: asyncio.Semaphore, seconds: float) -> None:
        """Take the owner's place, then one of all."""
        waits_for_own = True
        try:
            async with asyncio.timeout(seconds):
                await own.acquire()
                waits_for_own = False
                try:
                    await self._all.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError:
            raise FullError(own=waits_for_own) from None
