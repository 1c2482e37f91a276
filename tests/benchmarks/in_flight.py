"""Many jobs in flight cost little: calls a minute, CPU and memory of the main process.

``python -m tests.benchmarks.in_flight`` brings 10,000 jobs that do not end to the stand-in, one
line each, and watches the gateway for two minutes. Goals: at most 500 calls a minute, 5 % of a
core, 150 MB. ``--jobs`` and ``--seconds`` change the sizes. With fewer jobs than are looked at in
the time the number of calls is too low: each job counts once.
"""

import argparse
import io

import psutil

from gateway.clock import SystemClock
from tests.benchmarks.lines import KINDS
from tests.benchmarks.service import CLOCK, MIB, PAUSE, service
from tests.benchmarks.small_batches import SETTINGS, STUCK, count, until

RUNNING = "SELECT count(*) FROM jobs WHERE state = 'running'"


def stuck_lines(lines: int) -> bytes:
    """Make a file of lines whose jobs do not end."""
    make = KINDS["small"]()
    wanted = b'"role": "user", "content": "'
    return b"".join(next(make).replace(wanted, wanted + STUCK, 1) + b"\n" for _ in range(lines))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    given = parser.parse_args()
    settings = {**SETTINGS, "GATEWAY_ITEMS_PER_JOB": "1"}
    with service("--max-live-jobs", "30000", **settings) as gateway:
        content = stuck_lines(given.jobs)
        gateway.create(gateway.upload(io.BytesIO(content), len(content)))
        until(gateway, RUNNING, given.jobs)
        process = psutil.Process(gateway.pid)
        since, begun = SystemClock().now(), CLOCK.monotonic()
        before = process.cpu_times()
        PAUSE.wait(given.seconds)
        after, took = process.cpu_times(), CLOCK.monotonic() - begun
        looked = count(gateway, f"SELECT count(*) FROM jobs WHERE looked_at >= {since}")
        spent = after.user + after.system - before.user - before.system
        print(f"{given.jobs} jobs in flight, watched for {took:.0f} s")
        print(f"{looked * 60 / took:8.0f} looks a minute")
        print(f"{100 * spent / took:8.1f} % of a core")
        print(f"{process.memory_info().rss / MIB:8.0f} MB")


if __name__ == "__main__":
    main()
