"""A whole batch: CPU of the gateway's processes against the floors, and what a second worker saves.

``python -m tests.benchmarks.pipeline`` sends one file of mixed lines, with options of their own
(temperature, limits, seed, texts of tools), through the real program before an emulator that
answers at once, with one worker and with two. Floors, of the same bytes and in the same run, are
what cannot be left out: each line of the input and of the output parsed and written, both files
copied and hashed. Goals: main process and workers together at most 3.0 times the floors; with two
workers, from creation to the end of validation and of collection, at most 0.65 of the time with
one. ``--count`` takes fewer lines, ``--rounds`` several times each, of which the best counts.
"""

import argparse
import hashlib
import io
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same lines every time
from typing import Any, Final, NamedTuple

import orjson
import psutil

from tests.benchmarks import lines
from tests.benchmarks.service import CLOCK, MIB, Service, service

COUNT: Final = 50_000
WARMING_LINES: Final = 50
CPU_GOAL: Final = 3.0
WALL_GOAL: Final = 0.65


class Took(NamedTuple):
    """CPU seconds of all processes of the gateway; seconds until validated, and from then on."""

    cpu: float
    validated: float
    rest: float


def varied() -> Iterator[bytes]:
    """Mixed lines, each with some values of its own."""
    random = Random(7)
    for number, text in enumerate(lines.mixed()):
        line: dict[str, Any] = orjson.loads(text)
        body = line["body"]
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


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and all its children so far."""
    main = psutil.Process(pid)
    times = [process.cpu_times() for process in (main, *main.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def warm_up(gateway: Service, workers: int, path: Path) -> None:
    """Have all processes started: several small batches at once, of the file's first lines."""
    with path.open("rb") as file:
        head = b"".join(itertools.islice(file, WARMING_LINES))
    file_id = gateway.upload(io.BytesIO(head), len(head))
    for batch_id in [gateway.create(file_id) for _ in range(2 * workers)]:
        gateway.wait(batch_id, "completed")


def run(gateway: Service, path: Path, size: int) -> tuple[Took, str]:
    """One batch, and the id of its output."""
    before = cpu_of(gateway.pid)
    with path.open("rb") as file:
        file_id = gateway.upload(file, size)
    started = CLOCK.monotonic()
    batch_id = gateway.create(file_id)
    gateway.wait(batch_id, "in_progress", "finalizing", "completed")
    validated = CLOCK.monotonic()
    done = gateway.wait(batch_id, "completed")
    ended = CLOCK.monotonic()
    assert done["request_counts"]["failed"] == 0, done["request_counts"]
    cpu = cpu_of(gateway.pid) - before
    return Took(cpu, validated - started, ended - validated), done["output_file_id"]


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
    with service(GATEWAY_TRANSLATE_WORKERS=str(workers), GATEWAY_TIER="3") as gateway:
        warm_up(gateway, workers, path)
        took, file_id = run(gateway, path, size)
        fetch(gateway, file_id, output)
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
        least = []
        for _ in range(arguments.rounds):
            for workers, several in found.items():
                several.append(measure(workers, path, size, output))
            least.append(floors(path, copy) + floors(output, copy))
    floor = min(least)
    print(f"{arguments.count:,} lines, {size / 1e6:.0f} MB; floors {floor:.2f} s of CPU")
    print(f"{'workers':>8}{'CPU s':>8}{'ratio':>7}{'validated s':>13}{'rest s':>8}")
    best = {}
    for workers, several in found.items():
        best[workers] = took = Took(*(min(column) for column in zip(*several, strict=True)))
        print(
            f"{workers:>8}{took.cpu:>8.2f}{took.cpu / floor:>7.2f}"
            f"{took.validated:>13.2f}{took.rest:>8.2f}"
        )
    ratio = best[2].validated / best[1].validated
    rest = best[2].rest / best[1].rest
    print(f"two workers: validation {ratio:.2f}, the rest {rest:.2f} of one's (goal {WALL_GOAL})")
    print(f"CPU goal: {CPU_GOAL}")


if __name__ == "__main__":
    main()
