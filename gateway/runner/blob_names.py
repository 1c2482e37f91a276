"""Names of blobs that are registered before they are needed, many in one transaction.

A blob's name is on record before its first byte, so that a crash leaves nothing that the sweeper
does not know. A transaction for each step's few names was a quarter of all those that a batch of
one line takes.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gateway.ids import new_blob_names
from gateway.ports.store import Store

AT_ONCE: Final = 32
# A name that is pending is given up a day after it was registered: none is used that late.
FRESH_FOR: Final = 3600 * 1000  # ms


@dataclass(slots=True)
class BlobNames:
    """Names that are registered and not used yet, each with the time (ms) when it was.

    Those of a process that has ended are swept like all that it had not finished.
    """

    left: deque[tuple[str, int]] = field(default_factory=deque)
    _registering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def take(self, store: Store, now: int, count: int) -> list[str]:
        """Return registered names that nothing else has or gets."""
        taken: list[str] = []
        old: list[str] = []
        while len(taken) < count:
            if not self.left:
                await self._register(store, now, count - len(taken))
                continue  # by now others may have taken them
            name, since = self.left.popleft()
            (taken if abs(now - since) < FRESH_FOR else old).append(name)
        if old:
            await store.forget_blobs(old)
        return taken

    def drop(self, before: float = math.inf) -> None:
        """Use none that was registered before then: the sweeper gives up what is pending since.

        A clock that was a day ahead for a moment left names that were swept, and look fresh.
        """
        self.left = deque((name, since) for name, since in self.left if since >= before)

    async def _register(self, store: Store, now: int, least: int) -> None:
        async with self._registering:
            if not self.left:  # else who came first has registered some for all that wait
                names = new_blob_names(max(least, AT_ONCE))
                await store.register_blobs(dict.fromkeys(names), now)
                self.left.extend((name, now) for name in names)
