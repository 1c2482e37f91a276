"""A whole batch: CPU of the gateway's processes against the floors, and what a second worker saves.

``python -m tests.benchmarks.pipeline`` sends one file of mixed lines, with options of their own
(temperature, limits, seed, texts of tools), through the real program before an emulator that
answers at once, with one worker and with two. Floors, of the same bytes and in the same run, are
what cannot be left out: each line of the input and of the output parsed and written, both files
copied and hashed. Goals: main process and workers together at most 3.0 times the floors; with two
workers, validation and collection take at most 0.65 of the time with one. ``validated`` is the
gateway's own, from its records: from creation to ``in_progress``. ``collected`` is what comes
between the end of a job and the files: the results of the one-worker run, collected and published
by one worker and by two in turn, in worker processes of this one, so that no upstream is in it.
Of both the CPU of the busiest worker is shown as well: on a busy machine, where times say how much
of a core was left, that says what two save. The client asks with ``?wait=``, and memory is
allocated as in the image. ``--count`` takes fewer lines, ``--rounds`` several times each. A
machine's speed drifts from minute to minute, so each run is held against the floors right before
and behind it, and the median of these ratios is given with the least and the most; of times the
best.
"""

import argparse
import asyncio
import contextlib
import hashlib
import io
import itertools
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same lines every time
from statistics import fmean, median
from typing import Any, Final, NamedTuple, TypeVar

import orjson
import psutil

from gateway.runner.cpu.archive import unpack
from gateway.runner.cpu.collect import CollectTask
from gateway.runner.cpu.collect_ranges import JoinResultsTask
from gateway.runner.cpu.publish import PublishTask, RunPaths
from gateway.runner.workers import Workers
from tests.benchmarks import lines
from tests.benchmarks.service import CLOCK, MIB, Service, service

COUNT: Final = 50_000
WARMING_LINES: Final = 50
CPU_GOAL: Final = 3.0
WALL_GOAL: Final = 0.65
# No end of it is announced: within a day of a model's end each of its lines has a note.
MODEL: Final = "gemini-2.5-flash-lite"


# As deploy/Dockerfile sets them.
ALLOCATION: Final = {
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
}

CPU = dict[int, float]  # seconds, by process
SECONDS: Final = 3600.0


T = TypeVar("T", bound=tuple[Any, ...])


class Took(NamedTuple):
    """CPU seconds of all processes, and of the main one: until creation, and from then on.

    ``validated`` is a time, ``validating`` CPU of the busiest worker meanwhile, ``later`` of all
    workers from then on.
    """

    cpu: float
    upload: float
    main: float
    later: float
    validating: float
    validated: float


class Collected(NamedTuple):
    """Seconds from results to files, and CPU seconds of the busiest worker."""

    collected: float
    collecting: float


def varied() -> Iterator[bytes]:
    """Mixed lines, each with some values of its own."""
    random = Random(7)
    for number, text in enumerate(lines.mixed()):
        line: dict[str, Any] = orjson.loads(text)
        body = line["body"]
        body["model"] = MODEL
        body["temperature"] = random.randrange(2_000) / 1_000
        body["seed"] = number
        if "max_completion_tokens" not in body:
            body["max_tokens"] = random.randrange(100, 4_000)
        for tool in body.get("tools", ()):
            tool["function"]["description"] = f"For the customer {number}"
        yield orjson.dumps(line)


def write(path: Path, count: int) -> int:
    """Write the input; its size."""
    with path.open("wb", buffering=MIB) as file:
        return sum(file.write(line + b"\n") for line in itertools.islice(varied(), count))


def floors(path: Path, copy: Path) -> float:
    """CPU seconds to parse and write each line of a file, to copy the file and to hash it."""
    start = time.process_time()
    digest = hashlib.sha256()
    with path.open("rb", buffering=MIB) as file, copy.open("wb", buffering=MIB) as target:
        for line in file:
            orjson.dumps(orjson.loads(line))
            digest.update(line)
            target.write(line)
    return time.process_time() - start


def cpu_of(pid: int) -> CPU:
    """CPU seconds of a process and of its children, each, so far."""
    main = psutil.Process(pid)
    times = {one.pid: one.cpu_times() for one in (main, *main.children(recursive=True))}
    return {pid: one.user + one.system for pid, one in times.items()}


def spent(before: CPU, after: CPU) -> CPU:
    """CPU seconds of each process between two looks."""
    return {pid: seconds - before.get(pid, 0) for pid, seconds in after.items()}


def reached(gateway: Service, batch_id: str, *statuses: str) -> Any:
    """Wait for a status as a program does that asks with ``?wait=``."""
    path = f"/v1/batches/{batch_id}?wait=120"
    while (batch := gateway.call("GET", path))["status"] not in statuses:
        assert batch["status"] not in {"failed", "expired", "cancelled"}, batch["errors"]
    return batch


def rows(gateway: Service, query: str, batch_id: str) -> list[Any]:
    """Ask the gateway's records about a batch."""
    uri = f"file:{gateway.data}/gateway.sqlite3?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
        return database.execute(query, [batch_id]).fetchall()


def validated_after(gateway: Service, batch_id: str) -> float:
    """Seconds of a validation."""
    query = "SELECT in_progress_at - created_at FROM batches WHERE id = ?"
    [[milliseconds]] = rows(gateway, query, batch_id)
    return float(milliseconds) / 1000


def keep_results(gateway: Service, batch_id: str, place: Path) -> None:
    """Keep what a batch's job is collected from, as it came."""
    query = "SELECT raw, echo, model FROM jobs WHERE batch_id = ?"
    [[raw, echo, model]] = rows(gateway, query, batch_id)
    for name, blob in (("raw", raw), ("echo", echo)):
        path = gateway.data / "blobs" / blob[:2] / blob
        unpack(path, place).replace(place / name)
    (place / "model").write_text(model, encoding="ascii")


async def collect(pool: Workers, place: Path, lines: int) -> None:
    """Have the workers do what the runner has them do with a job's results."""
    task = CollectTask(
        echo=str(place / "echo"),
        scratch=tempfile.mkdtemp(dir=place),
        batch_id="batch_benchmark",
        endpoint="/v1/chat/completions",
        created=0,
        max_warnings=1_000,
        model=(place / "model").read_text(encoding="ascii"),
        raw=str(place / "raw"),
        again=True,
        pack=True,
    )
    parts = [
        replace(task, scratch=f"{task.scratch}/{number}", part=(number, pool.count))
        for number in range(pool.count)
    ]
    if pool.count == 1:
        made = await pool.run("collect", task, SECONDS)
    else:
        found = await pool.run_all("collect_range", parts, SECONDS)
        joined = await pool.run("join_results", JoinResultsTask(task, found), SECONDS)
        made = joined["whole"]
    runs = [RunPaths(made["run"], made["index"])]
    await pool.run("publish", PublishTask(task.scratch, runs, lines, 0, 1_000), SECONDS)
    shutil.rmtree(task.scratch)


async def compare(place: Path, lines: int, rounds: int) -> Mapping[int, Collected]:
    """Collect by one worker and by two in turn, once unmeasured: processes start."""
    pools = {count: Workers(count) for count in (1, 2)}
    found: dict[int, list[Collected]] = {count: [] for count in pools}
    for _ in range(1 + rounds):
        for count, pool in pools.items():
            before, started = cpu_of(os.getpid()), CLOCK.monotonic()
            await collect(pool, place, lines)
            took, after = CLOCK.monotonic() - started, spent(before, cpu_of(os.getpid()))
            found[count].append(Collected(took, max(after.get(pid, 0) for pid in pool.pids())))
    for pool in pools.values():
        await pool.close()
    return {count: best_of(several[1:]) for count, several in found.items()}


def best_of(several: Sequence[T]) -> T:
    """Take the least of each figure."""
    return type(several[0])(*(min(column) for column in zip(*several, strict=True)))


def spread(figures: Sequence[float]) -> str:
    """Write the median, and the least and the most."""
    return f"{median(figures):.2f} ({min(figures):.2f} to {max(figures):.2f})"


def warm_up(gateway: Service, workers: int, path: Path) -> None:
    """Have all processes started: several small batches at once, of the file's first lines."""
    with path.open("rb") as file:
        head = b"".join(itertools.islice(file, WARMING_LINES))
    file_id = gateway.upload(io.BytesIO(head), len(head))
    for batch_id in [gateway.create(file_id) for _ in range(2 * workers)]:
        gateway.wait(batch_id, "completed")


def run(gateway: Service, path: Path, size: int) -> tuple[Took, Any]:
    """One batch, and what became of it."""
    looks = [cpu_of(gateway.pid)]
    with path.open("rb") as file:
        file_id = gateway.upload(file, size)
    looks.append(cpu_of(gateway.pid))
    batch_id = gateway.create(file_id)
    reached(gateway, batch_id, "in_progress", "finalizing", "completed")
    looks.append(cpu_of(gateway.pid))
    done = reached(gateway, batch_id, "completed")
    looks.append(cpu_of(gateway.pid))
    assert done["request_counts"]["failed"] == 0, done["request_counts"]
    upload, validating, collecting = (spent(*pair) for pair in itertools.pairwise(looks))
    main = validating.pop(gateway.pid) + collecting.pop(gateway.pid)
    took = Took(
        cpu=sum(spent(looks[0], looks[-1]).values()),
        upload=upload[gateway.pid],
        main=main,
        later=sum(collecting.values()),
        validating=max(validating.values()),
        validated=validated_after(gateway, batch_id),
    )
    return took, done


def fetch(gateway: Service, file_id: str, path: Path) -> None:
    """Download a file."""
    connection = gateway.connection()
    headers = {"Authorization": "Bearer benchmark"}
    connection.request("GET", f"/v1/files/{file_id}/content", headers=headers)
    response = connection.getresponse()
    with path.open("wb") as file:
        while block := response.read(MIB):
            file.write(block)
    connection.close()


def measure(workers: int, path: Path, size: int, output: Path) -> Took:
    """One batch with so many workers, after small ones that start all processes."""
    settings = {
        "GATEWAY_TRANSLATE_WORKERS": str(workers),
        "GATEWAY_TIER": "3",
        "GATEWAY_RECORDED_BLOB_BYTES": "0",  # the results of few lines are a file, too
        **ALLOCATION,
    }
    with service(**settings) as gateway:
        warm_up(gateway, workers, path)
        took, done = run(gateway, path, size)
        fetch(gateway, done["output_file_id"], output)
        if workers == 1:
            keep_results(gateway, done["id"], output.parent)
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path, output, copy = (Path(directory) / name for name in ("input", "output", "copy"))
        size = write(path, arguments.count)
        found: dict[int, list[Took]] = {1: [], 2: []}
        ratios: dict[int, list[float]] = {1: [], 2: []}
        floor: list[float] = []
        for _ in range(arguments.rounds):
            for workers, several in found.items():
                several.append(measure(workers, path, size, output))
                floor.append(floors(path, copy) + floors(output, copy))
                ratios[workers].append(several[-1].cpu / fmean(floor[-2:]))
        ways = asyncio.run(compare(Path(directory), arguments.count, 3 * arguments.rounds))
    print(f"{arguments.count:,} lines, {size / 1e6:.0f} MB; floors, seconds of CPU:", spread(floor))
    best = {workers: best_of(several) for workers, several in found.items()}
    for workers, took in best.items():
        print(f"{workers} workers, of the floors (goal {CPU_GOAL}): {spread(ratios[workers])}")
        figures = took._asdict() | ways[workers]._asdict()
        print("  best, seconds:", *(f"{name} {value:.2f}" for name, value in figures.items()))
    print(f"two workers, of one's (goal {WALL_GOAL}):")
    for name, one, two in (
        ("validated", best[1].validated, best[2].validated),
        ("its busiest worker's CPU", best[1].validating, best[2].validating),
        ("collected", ways[1].collected, ways[2].collected),
        ("its busiest worker's CPU", ways[1].collecting, ways[2].collecting),
    ):
        print(f"  {name}: {two / one:.2f}")


if __name__ == "__main__":
    main()
