"""Turns: work that people ask for, done one at a time, so that batches keep their workers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.errors import UnavailableError, WorkerError

WAIT_SECONDS: Final = 30.0


class Turns:
    """One at a time; whoever waits for longer is asked to come again.

    ``busy`` and ``slow`` are sentences: another is being done, this one took too long.
    """

    def __init__(self, busy: str, slow: str) -> None:
        self._busy = busy
        self._slow = slow
        self._taken = asyncio.Lock()

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Have the turn. Errors: UnavailableError, of a worker that ran out of time too."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._taken.acquire()
        except TimeoutError as error:
            raise UnavailableError(f"{self._busy}: please try again.", retry_after=10) from error
        try:
            yield
        except WorkerError as error:
            raise UnavailableError(f"{self._slow} ({error})", retry_after=60) from error
        finally:
            self._taken.release()
