"""Removes bytes that nothing points at, and files past their expiry."""

import logging

from gateway.errors import UnavailableError
from gateway.runner.context import Tools

logger = logging.getLogger(__name__)

SWEEP_AT_ONCE = 500

# A pending blob may still be written: an upload or a download over a slow line takes hours. What
# a dead process left pending is doomed when the store is opened, so nothing waits this long.
LONGEST_WRITE = 24 * 3600 * 1000  # ms

LONGEST_PAUSE = 60.0  # seconds
SHORTEST_PAUSE = 1.0


class Sweeper:
    """Sweeps now and then; a sweep that fails is tried again with the next."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._stuck: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        age = self._tools.options.sweep_age / 1000
        while True:
            try:
                await self.sweep()
            except (OSError, UnavailableError) as error:
                logger.warning("sweeping failed: %s", error)
            await self._tools.clock.sleep(min(max(age, SHORTEST_PAUSE), LONGEST_PAUSE))

    async def sweep(self) -> int:
        """One round: doomed and pending blobs past the age, bytes without a row; how many."""
        now = self._tools.clock.now()
        before = now - self._tools.options.sweep_age
        await self._tools.store.expire_files(now, SWEEP_AT_ONCE)
        await self._tools.store.expire_raw(now, SWEEP_AT_ONCE)
        if records := self._tools.options.retention.records:
            await self._tools.store.forget_records(now - records, SWEEP_AT_ONCE)
        swept = 0
        pending_before = now - max(self._tools.options.sweep_age, LONGEST_WRITE)
        while names := await self._tools.store.sweepable_blobs(
            before, SWEEP_AT_ONCE, pending_before=pending_before
        ):
            gone = [name for name in names if await self._delete(name)]
            await self._tools.store.forget_blobs(gone)
            swept += len(gone)
            if len(gone) < len(names):
                break  # what could not be removed would be named again at once
        swept += await self._sweep_strangers(before)
        if swept:
            logger.info("swept %d blobs", swept)
        return swept

    async def _sweep_strangers(self, before: int) -> int:
        """Bytes whose row is gone: a crash between the two removals leaves them."""
        swept = 0
        names = list(await self._tools.blobs.names(before))
        for start in range(0, len(names), SWEEP_AT_ONCE):
            some = names[start : start + SWEEP_AT_ONCE]
            known = await self._tools.store.known_blobs(some)
            for name in set(some) - known:
                swept += await self._delete(name)
        return swept

    async def _delete(self, name: str) -> bool:
        """Remove one blob's bytes; each fails alone, and is said once."""
        try:
            await self._tools.blobs.delete(name)
        except OSError as error:
            if name not in self._stuck:
                told = (name, error.strerror)
                logger.error("blob %s cannot be removed: %s", *told)  # noqa: TRY400
            self._stuck.add(name)
            return False
        self._stuck.discard(name)
        return True
