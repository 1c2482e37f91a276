"""A replica for campaigns: the gateway with file bytes in a directory that all of them share.

``python -m tests.campaigns.replica DIRECTORY SKEW`` serves as ``gateway serve`` does, by a clock
that is so many milliseconds wrong. Users have a bucket for the bytes, and no such setting.
"""

import asyncio
import sys
from pathlib import Path

import uvloop

from gateway.app import Gateway
from gateway.blobs.local import LocalBlobs
from gateway.cli.environment import read_settings
from gateway.cli.logs import set_up_logs
from gateway.clock import SystemClock


class SkewedClock(SystemClock):
    """A machine's clock that is wrong."""

    def __init__(self, skew: int) -> None:
        self._skew = skew

    def now(self) -> int:
        """Milliseconds, wrong."""
        return super().now() + self._skew


def main(directory: str, skew: str) -> None:
    """Serve until SIGTERM."""
    settings, _ = read_settings()
    set_up_logs(settings.log_level)
    gateway = Gateway(settings, SkewedClock(int(skew)), LocalBlobs(Path(directory)))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(gateway.serve(lambda url: print(f"gateway listening on {url}/v1", flush=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
