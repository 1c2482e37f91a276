"""The heartbeat: renews what steps hold, and sets the clock that replicas share.

A process that is gone renews nothing, so others take its work over when its leases have run out.
One that was paused hears with its first beat what it has lost; its fences had refused it already.
"""

import logging
from typing import Final

from gateway.clock import SharedClock
from gateway.errors import UnavailableError
from gateway.ports.store import Store
from gateway.runner.runner import Runner

logger = logging.getLogger(__name__)

BEATS: Final = 3  # in a lease: two may fail
# A clock read that took longer says too little (ms); one that differs by more is told of.
SLOW_READ: Final = 2_000
TOLD_DIFFERENCE: Final = 1_000


class Heartbeat:
    """Beats for one process."""

    def __init__(self, store: Store, runner: Runner, clock: SharedClock, lease: int) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._lease = lease

    async def run(self) -> None:
        """Beat for ever; a beat that fails is made up for by the next."""
        while True:
            try:
                await self.beat()
            except UnavailableError as error:
                logger.warning("leases are not renewed: %s", error.message)
            await self._clock.sleep(self._lease / BEATS / 1000)

    async def beat(self) -> None:
        """Renew every claim that is open, and set the clock."""
        await set_clock(self._store, self._clock)
        held = self._runner.held()
        if held:
            lost = await self._store.renew_claims(held, self._lease)
            self._runner.give_up(lost)


async def set_clock(store: Store, clock: SharedClock) -> None:
    """Set the clock to the store's time."""
    before = clock.own.now()
    told = await store.now()
    after = clock.own.now()
    if not 0 <= after - before <= SLOW_READ:
        return
    ahead = told - (before + after) // 2
    if abs(ahead - clock.ahead) > TOLD_DIFFERENCE:
        logger.warning("the clock of the records is %d ms ahead of this machine's", ahead)
    clock.ahead = ahead
