"""``gateway serve`` that gives notice for an hour after SIGTERM: no test is too slow to see it."""

import asyncio

from gateway.app import NOTICE_SECONDS, Gateway
from gateway.cli.logs import set_up_logs
from gateway.clock import SystemClock
from gateway.settings.load import load


class PatientClock(SystemClock):
    """The machine's clock, but for the one pause."""

    async def sleep(self, seconds: float) -> None:
        """Sleep, the notice for an hour."""
        await super().sleep(3600 if seconds == NOTICE_SECONDS else seconds)


def main() -> None:
    """``python -m tests.e2e.noticing``; settings come from the environment."""
    settings, _ = load()
    set_up_logs(settings.log_level, settings.log_format)
    gateway = Gateway(settings, PatientClock())
    asyncio.run(gateway.serve(lambda url: print(f"listening on {url}/v1", flush=True)))


if __name__ == "__main__":
    main()
