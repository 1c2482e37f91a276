"""The event loop's lag: how much later than asked a task is woken."""

from typing import Final

from gateway.clock import Clock
from gateway.ports.metrics import Meters, Series

LOOK_SECONDS: Final = 0.5


async def watch_lag(clock: Clock, meters: Meters) -> None:
    """Measure it for ever."""
    while True:
        asked = clock.monotonic() + LOOK_SECONDS
        await clock.sleep(LOOK_SECONDS)
        meters.observe(Series.LOOP_LAG, max(clock.monotonic() - asked, 0))
