"""Two replicas on two cores against one, and bare processes that do the same work of the CPU.

``python -m tests.benchmarks.replicas`` has batches validated whose last line is wrong: each line of
their input is read, checked and translated, and Google is asked nothing. Steps are claimed over
PostgreSQL as ever. First one replica works on them, on one core, then two, each on a core of its
own; and in turn with these, bare processes that call the same validation for the same bytes. Goal:
two replicas gain at least 0.9 of what two bare processes gain, by the medians of the rounds.
Two cores share memory and, on most machines, more than that: they seldom gain twice.

It prints the load before and after. Where other programs want the same cores, ``chrt -r 1`` before
the command keeps them away while it runs.
"""

import argparse
import contextlib
import gc
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import openai
import psycopg

from gateway.app import input_limits, job_limits
from gateway.emulator.running import Emulator, running
from gateway.emulator.testing import EmulatorOptions
from gateway.runner.cpu.validate import ValidateTask, validate
from gateway.runner.worker import GARBAGE_THRESHOLD, NICENESS
from gateway.settings.load import load
from tests.benchmarks import lines
from tests.e2e.harness import CLOCK, GatewayProcess
from tests.postgres_server import MEMORY, PostgresServer

BARE: Final = "bare"
GOAL: Final = 0.9
ENDPOINT: Final = "/v1/chat/completions"
BAD_LINE: Final = b'{"custom_id":"the-last-one"}\n'
LIVE: Final = b"SELECT count(*) FROM batches WHERE status = 'validating'"
PAUSE: Final = 0.02


def write(path: Path, megabytes: int) -> None:
    """Write an input of mixed lines, the last one wrong."""
    left = megabytes * 10**6
    with path.open("wb") as file:
        for line in itertools.cycle(lines.mixed()):
            left -= file.write(line + b"\n")
            if left <= 0:
                break
        file.write(BAD_LINE)


# --- bare processes ---------------------------------------------------------------------------


def work(source: str, taken: Path, count: int) -> None:
    """Validate the input as often as that, shared with the other processes, as a worker does."""
    os.nice(NICENESS)
    gc.set_threshold(GARBAGE_THRESHOLD)
    settings, _ = load({"GEMINI_API_KEY": "none is asked for"})
    limits, jobs = input_limits(settings), job_limits(settings)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        try:
            (taken / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        with tempfile.TemporaryDirectory(dir=taken.parent) as scratch:
            told = validate(ValidateTask(source, scratch, "b", ENDPOINT, {}, None, limits, jobs))
        assert len(told.errors) == 1, told.errors
    print("done", flush=True)


def pinned(core: int, *command: str) -> tuple[str, ...]:
    """A command whose processes stay on one core."""
    return ("taskset", "-c", str(core), *command)


def bare(place: Path, cores: Sequence[int], count: int) -> float:
    """Seconds until processes on these cores have validated the input so many times."""
    with contextlib.ExitStack() as stack:
        taken = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place))) / "taken"
        taken.mkdir()
        own = (sys.executable, "-m", "tests.benchmarks.replicas", BARE)
        command = (*own, str(place / "input"), str(taken), str(count))
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    pinned(core, *command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for core in cores
        ]
        _all_say(processes, "ready")
        start = CLOCK.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        _all_say(processes, "done")
        return CLOCK.monotonic() - start


def _all_say(processes: Sequence["subprocess.Popen[str]"], word: str) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == word


# --- replicas ---------------------------------------------------------------------------------


class Replicas:
    """Gateways over one database and one directory of bytes, each on a core of its own."""

    def __init__(self, place: Path, gemini: Emulator, database: str, cores: Sequence[int]) -> None:
        self._database = database
        (place / "blobs" / "tmp").mkdir(parents=True)
        replica = (sys.executable, "-m", "tests.campaigns.replica", str(place / "blobs"), "0")
        settings = {"GATEWAY_STORE": database, "GATEWAY_REQUESTS_PER_MINUTE": "0"}
        self._processes = []
        for core in cores:
            data = place / f"replica{core}" / "data"
            data.mkdir(parents=True)
            command = pinned(core, *replica)
            self._processes.append(GatewayProcess(data, gemini.base_url, settings, command))
        self._file = ""

    @contextlib.contextmanager
    def up(self, count: int) -> Iterator[openai.OpenAI]:
        """Have so many of them serve; a client of the first."""
        started = self._processes[:count]
        try:
            for process in started:
                process.start()
            yield started[0].client()
        finally:
            for process in started:
                process.terminate()

    def upload(self, path: Path) -> None:
        """Bring the input, once for all rounds."""
        with self.up(1) as client, path.open("rb") as file:
            self._file = client.files.create(file=file, purpose="batch").id

    def run(self, replicas: int, count: int) -> float:
        """Seconds until so many batches are validated."""
        with self.up(replicas) as client, psycopg.connect(self._database) as records:
            records.autocommit = True
            self._validated(client, records, 2 * replicas)  # each starts its worker with the first
            return self._validated(client, records, count)

    def _validated(
        self, client: openai.OpenAI, records: "psycopg.Connection[Any]", count: int
    ) -> float:
        start = CLOCK.monotonic()
        for _ in range(count):
            client.batches.create(
                input_file_id=self._file, endpoint=ENDPOINT, completion_window="24h"
            )
        pause = threading.Event()
        while _live(records):
            pause.wait(PAUSE)
        return CLOCK.monotonic() - start

    def close(self) -> None:
        """Close what their clients hold."""
        for process in self._processes:
            process.close()


def _live(records: "psycopg.Connection[Any]") -> int:
    [(count,)] = records.execute(LIVE).fetchall()
    return int(count)


@contextlib.contextmanager
def ready(megabytes: int, cores: Sequence[int]) -> Iterator[tuple[Path, Replicas]]:
    """A place with the input, and replicas that have it."""
    with contextlib.ExitStack() as stack:
        memory = MEMORY if MEMORY.is_dir() else None
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        write(place / "input", megabytes)
        gemini = stack.enter_context(running(EmulatorOptions()))
        server = PostgresServer()
        stack.callback(server.close)
        replicas = Replicas(place, gemini, server.near(), cores)
        stack.callback(replicas.close)
        replicas.upload(place / "input")
        yield place, replicas


def measured(megabytes: int, count: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each, in turn."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    assert len(cores) == 2, "it needs two cores"
    with ready(megabytes, cores) as (place, replicas):
        ways: dict[str, Callable[[], float]] = {
            "one bare process": lambda: bare(place, cores[:1], count),
            "one replica": lambda: replicas.run(1, count),
            "two bare processes": lambda: bare(place, cores, count),
            "two replicas": lambda: replicas.run(2, count),
        }
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                found[way].append(run())
                print(f"{way}: {found[way][-1]:.2f} s", file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=16, help="of the input")
    parser.add_argument("--batches", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    before = os.getloadavg()[0]
    found = measured(given.megabytes, given.batches, given.rounds)
    print(f"{given.batches} batches of {given.megabytes} MB, {given.rounds} rounds, load", end=" ")
    print(f"{before:.1f} before and {os.getloadavg()[0]:.1f} after")
    middle = {way: statistics.median(times) for way, times in found.items()}
    for way, seconds in middle.items():
        print(f"{way:20} {seconds:6.2f} s ({min(found[way]):.2f} to {max(found[way]):.2f})")
    bare_gain = middle["one bare process"] / middle["two bare processes"]
    gain = middle["one replica"] / middle["two replicas"]
    told = f"two replicas gain {gain:.2f}, two bare processes {bare_gain:.2f}"
    print(f"{told}: {gain / bare_gain:.2f} of it (goal {GOAL})")


if __name__ == "__main__":
    if sys.argv[1:2] == [BARE]:
        work(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
