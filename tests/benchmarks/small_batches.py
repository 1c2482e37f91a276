"""A batch of one line costs little, however many batches are live.

``python -m tests.benchmarks.small_batches`` measures the CPU of the main process from create to
published, upload excluded, with few and with many batches live whose jobs do not end, and prints
the ratio. The looks at those have a budget of their own (``in_flight``): the share of a core that
they take is measured before and after, with nothing else to do, and what they took meanwhile is
left out.
Goals: at most 10 ms, and a ratio of 1. Next to each figure is its floor: as many commits, calls,
rows and lines to a process and back, made bare (:mod:`tests.benchmarks.bare_batches`), by turns
with it. ``--live``, ``--batches`` and ``--rounds`` change the sizes.
"""

import argparse
import contextlib
import io
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.benchmarks.lines import KINDS
from tests.benchmarks.service import CLOCK, PAUSE, Service, service

FEW = 10
# Without an announced end, which is noted of each line: notes make a run and a file of their own.
MODEL = b"gemini-2.5-flash-lite"
IDLE_SECONDS = 20.0
STUCK = b"[[fault:job-stuck:times=1000000]]"
SETTINGS = {"GATEWAY_MAX_LIVE_JOBS": "20000", "GATEWAY_POLL_MAX_SECONDS": "60"}


def count(gateway: Service, query: str) -> int:
    """Look into the records: asking over the API would cost what is measured."""
    uri = f"file:{gateway.data}/gateway.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
        return int(database.execute(query).fetchone()[0])


def until(gateway: Service, query: str, wanted: int) -> None:
    """Wait until that many rows are so."""
    while count(gateway, query) < wanted:
        PAUSE.wait(0.1)


def submit(gateway: Service, line: bytes, batches: int) -> None:
    """Create batches over one file."""
    file_id = gateway.upload(io.BytesIO(line), len(line))
    for _ in range(batches):
        gateway.create(file_id)


def spent(process: psutil.Process) -> float:
    """Seconds of CPU."""
    times = process.cpu_times()
    return float(times.user + times.system)


def idle_share(gateway: Service) -> float:
    """The share of a core that the live jobs take by themselves."""
    process = psutil.Process(gateway.pid)
    before, started = spent(process), CLOCK.monotonic()
    PAUSE.wait(IDLE_SECONDS)
    return (spent(process) - before) / (CLOCK.monotonic() - started)


def measure(gateway: Service, file_id: str, batches: int) -> tuple[float, float]:
    """Seconds of CPU for some batches, from create to published, and seconds that they took."""
    ended = "SELECT count(*) FROM batches WHERE status = 'completed'"
    before = count(gateway, ended)
    process = psutil.Process(gateway.pid)
    start, started = spent(process), CLOCK.monotonic()
    with contextlib.closing(gateway.connection()) as kept:  # as OpenAI's clients do
        for _ in range(batches):
            gateway.create(file_id, kept)
    until(gateway, ended, before + batches)
    return spent(process) - start, CLOCK.monotonic() - started


@contextlib.contextmanager
def bare(upstream: str) -> Iterator[Service]:
    """The floor, before the same upstream."""
    with tempfile.TemporaryDirectory() as directory:
        command = (sys.executable, "-m", "tests.benchmarks.bare_batches", directory, upstream)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[-1]
            yield Service(url, process.pid, Path(directory), upstream)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def compare(gateway: Service, floor: Service, line: bytes, given: argparse.Namespace) -> float:
    """Measure both by turns and print; milliseconds of the gateway, median of the rounds.

    Jobs are looked at less often the older they are, so the share of these looks is measured before
    and after each round.
    """
    file_id = gateway.upload(io.BytesIO(line), len(line))
    ours: list[float] = []
    floors: list[float] = []
    shares = [idle_share(gateway)]
    for _ in range(given.rounds):
        used, took = measure(gateway, file_id, given.batches)
        shares.append(idle_share(gateway))
        looks = took * (shares[-2] + shares[-1]) / 2
        ours.append(1000 * (used - looks) / given.batches)
        bare_used, _ = measure(floor, "file", given.batches)
        floors.append(1000 * bare_used / given.batches)
    each = ", ".join(f"{milliseconds:.1f}" for milliseconds in ours)
    looks_at = f"{100 * max(shares):.1f} to {100 * min(shares):.1f} % of a core for looks left out"
    half, least = statistics.median(ours), statistics.median(floors)
    print(f"{half:8.1f} ms of CPU a batch ({each}), {looks_at}", flush=True)
    print(f"{least:8.1f} ms bare: {half / least:.2f} times", flush=True)
    return half


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--live", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    line = next(KINDS["small"]()).replace(b"gemini-2.5-flash", MODEL) + b"\n"
    before, user, after = line.partition(b'"role": "user", "content": "')
    assert user
    stuck = before + user + STUCK + after
    running = "SELECT count(*) FROM jobs WHERE state = 'running'"
    with (
        service("--max-live-jobs", "30000", **SETTINGS) as gateway,
        bare(gateway.upstream) as floor,
    ):
        warm = gateway.upload(io.BytesIO(line), len(line))
        measure(gateway, warm, FEW)  # the worker starts, modules are loaded
        measure(floor, "file", FEW)
        submit(gateway, stuck, FEW)
        until(gateway, running, FEW)
        few = compare(gateway, floor, line, given)
        submit(gateway, stuck, given.live - FEW)
        until(gateway, running, given.live)
        many = compare(gateway, floor, line, given)
    print(f"{given.live} live against {FEW}: {many / few:.2f} times")


if __name__ == "__main__":
    main()
