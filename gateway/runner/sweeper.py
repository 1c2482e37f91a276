"""Removes bytes that nothing points at, and files and uploads past their expiry."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final

from gateway.errors import UnavailableError
from gateway.ids import is_recorded
from gateway.runner.context import StepContext
from gateway.runner.suspects import forget_trails
from gateway.units import counted

logger = logging.getLogger(__name__)

SWEEP_AT_ONCE: Final = 500
# Writes wait while a transaction goes on: of 500 blobs of 16 KiB for 0.14 s (measured).
FORGOTTEN_AT_ONCE: Final = 50

# A pending blob may still be written: an upload or a download over a slow line takes hours. What
# a dead process left pending is deletable once the store is opened: nothing waits this long.
LONGEST_WRITE: Final = 24 * 3600 * 1000  # ms

LONGEST_PAUSE: Final = 60.0  # seconds
SHORTEST_PAUSE: Final = 1.0


class Sweeper:
    """Sweeps now and then; a sweep that fails is tried again with the next."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._stuck: set[str] = set()
        self._listed_at: float | None = None
        self._is_to_erase = True  # whether a log may hold bytes that were removed, as after a crash

    async def run(self) -> None:
        """Sweep for ever."""
        age = self._context.options.sweep_age / 1000
        while True:
            try:
                await self.sweep()
            except (OSError, UnavailableError) as error:
                logger.warning("sweeping failed: %s", error)
            await self._context.clock.sleep(min(max(age, SHORTEST_PAUSE), LONGEST_PAUSE))

    async def sweep(self) -> int:
        """Sweep deletable and pending blobs past the age, and bytes without a row; how many."""
        now = self._context.clock.now()
        before = now - self._context.options.sweep_age
        await self._context.store.expire_files(now, SWEEP_AT_ONCE)
        await self._context.store.expire_uploads(now, SWEEP_AT_ONCE)
        await self._context.store.expire_responses(now, SWEEP_AT_ONCE)
        await self._context.store.expire_raw(now, SWEEP_AT_ONCE)
        if records := self._context.options.retention.records:
            await self._context.store.forget_records(now - records, SWEEP_AT_ONCE)
        await forget_trails(self._context, (now - LONGEST_WRITE) / 1000)
        swept = 0
        pending_before = now - max(self._context.options.sweep_age, LONGEST_WRITE)
        self._context.names.drop(pending_before)
        while names := await self._context.store.sweepable_blobs(
            before, SWEEP_AT_ONCE, pending_before=pending_before
        ):
            gone = [name for name in names if await self._delete(name)]
            await self._forget(gone)
            swept += len(gone)
            if len(gone) < len(names):
                break  # what could not be removed would be named again at once
        if self._is_to_erase:
            self._is_to_erase = not await self._context.store.erase_forgotten()
        swept += await self._sweep_unreferenced(before)
        if swept:
            logger.info("swept %s", counted(swept, "blob"))
        return swept

    async def _forget(self, names: Sequence[str]) -> None:
        """Forget names, some at a time: all that is in the records is overwritten in one go."""
        for first in range(0, len(names), FORGOTTEN_AT_ONCE):
            some = names[first : first + FORGOTTEN_AT_ONCE]
            await self._context.store.forget_blobs(some)
            self._is_to_erase = self._is_to_erase or any(map(is_recorded, some))

    async def _sweep_unreferenced(self, before: int) -> int:
        """Sweep bytes whose row is gone: a crash between the two removals leaves them.

        They are as rare as crashes, and a listing of a bucket has a price: one in each age.
        """
        swept, clock = 0, self._context.clock.monotonic()
        age = self._context.options.sweep_age / 1000
        if self._listed_at is not None and clock < self._listed_at + age:
            return 0
        self._listed_at = clock
        async with aclosing(self._context.blobs.names(before)) as pages:
            async for names in pages:
                known = await self._context.store.known_blobs(names) if names else set()
                for name in set(names) - known:
                    swept += await self._delete(name)
        return swept

    async def _delete(self, name: str) -> bool:
        """Remove one blob's bytes; each fails alone, and is said once."""
        try:
            await self._context.blobs.delete(name)
        except OSError as error:
            if name not in self._stuck:
                told = (name, error.strerror)
                logger.error("blob %s cannot be removed: %s", *told)  # noqa: TRY400
            self._stuck.add(name)
            return False
        self._stuck.discard(name)
        return True
