"""``gateway serve`` whose clock is ahead by as many milliseconds as a file says, at any moment."""

import asyncio
import sys
from pathlib import Path

from gateway.app import Gateway
from gateway.cli.logs import set_up_logs
from gateway.clock import SystemClock
from gateway.settings.load import load


class ShiftedClock(SystemClock):
    """The machine's clock, moved from outside."""

    def __init__(self, ahead: Path) -> None:
        self._ahead = ahead

    def now(self) -> int:
        """Milliseconds, shifted."""
        return super().now() + int(self._ahead.read_text() or 0)


def main() -> None:
    """``python -m tests.e2e.shifted FILE``; settings come from the environment."""
    settings, _ = load()
    set_up_logs(settings.log_level, settings.log_format)
    gateway = Gateway(settings, ShiftedClock(Path(sys.argv[1])))
    asyncio.run(gateway.serve(lambda url: print(f"listening on {url}/v1", flush=True)))


if __name__ == "__main__":
    main()
