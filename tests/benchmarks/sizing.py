"""How large a replica is: memory, CPU, scratch and connections, for the table of deploy/README.md.

``python -m tests.benchmarks.sizing`` runs one replica over PostgreSQL and moto's S3, each a process
of its own, before the emulator: idle, with a batch of ``--megabytes``, with batches of one line,
and with uploads at a time; with ``--sidecar`` over SQLite and a directory. Memory is what is
resident (RSS), of the main process and of the largest worker; scratch is what lies in the data
directory at most.
"""

import argparse
import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg

from tests.benchmarks.buckets import moto
from tests.benchmarks.lines import KINDS
from tests.benchmarks.memory import MB, write
from tests.benchmarks.service import MIB, PAUSE, Service, service
from tests.engines.buckets import BUCKET
from tests.postgres_server import PostgresServer
from tests.sampling import sampled

SMALL_BATCHES: Final = 50
UPLOADS: Final = 8
CONNECTIONS: Final = b"""
SELECT count(*) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


def resident(pid: int) -> tuple[int, int]:
    """Bytes of the main process, and of its largest worker."""
    main = psutil.Process(pid)
    workers = [0]
    for worker in main.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            workers.append(worker.memory_info().rss)
    return main.memory_info().rss, max(workers)


def scratch(data: Path) -> int:
    """Bytes in the data directory."""
    total = 0
    for place, _, names in os.walk(data):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


def spent(pid: int) -> float:
    """Seconds of CPU of all of its processes."""
    main = psutil.Process(pid)
    times = [one.cpu_times() for one in (main, *main.children(recursive=True))]
    return sum(one.user + one.system for one in times)


@dataclass
class Most:
    """What a replica has at most while a block runs."""

    main: int = 0
    worker: int = 0
    scratch: int = 0
    cpu: float = 0.0

    def told(self) -> str:
        """In words."""
        main, worker = self.main / MIB, self.worker / MIB
        held = f"at most {main:.0f} MiB and {worker:.0f} MiB, scratch {self.scratch / MB:.0f} MB"
        return f"{self.cpu:.2f} s of CPU, {held}"


@contextlib.contextmanager
def watched(gateway: Service) -> Iterator[Most]:
    """Keep what the gateway has at most, and the CPU that it takes."""
    most, before = Most(), spent(gateway.pid)

    def look() -> None:
        main, worker = resident(gateway.pid)
        most.main, most.worker = max(most.main, main), max(most.worker, worker)
        most.scratch = max(most.scratch, scratch(gateway.data))

    with sampled(look):
        yield most
    most.cpu = spent(gateway.pid) - before


@contextlib.contextmanager
def sidecar() -> Iterator[tuple[Service, str]]:
    """A gateway by itself."""
    with service(GATEWAY_TIER="3") as gateway:
        yield gateway, ""


@contextlib.contextmanager
def replica() -> Iterator[tuple[Service, str]]:
    """One, and where its records are."""
    server = PostgresServer()
    try:
        with moto() as bucket:
            own = {"GATEWAY_STORE": server.url(), "GATEWAY_BLOBS": f"s3://{BUCKET}/sizing"}
            with service(GATEWAY_TIER="3", **own, **bucket) as gateway:
                yield gateway, server.url()
    finally:
        server.close()


def run_batch(gateway: Service, content: bytes) -> None:
    """One batch, from upload to its end."""
    batch = gateway.create(gateway.upload(io.BytesIO(content), len(content)))
    gateway.wait(batch, "completed")


def idle(gateway: Service, records: str) -> str:
    """Memory and connections when nothing happens."""
    PAUSE.wait(3)
    main, worker = resident(gateway.pid)
    held = f"{main / MIB:.0f} MiB, {worker / MIB:.0f} MiB for a worker"
    if not records:
        return held
    with psycopg.connect(records) as connection:
        [(count,)] = connection.execute(CONNECTIONS).fetchall()
    return f"{held}, {count} connections to PostgreSQL"


def upload_at_once(gateway: Service, path: Path, count: int) -> None:
    """So many uploads of a file."""
    size = path.stat().st_size

    def upload(_: int) -> None:
        with path.open("rb") as file:
            gateway.upload(file, size)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(upload, range(count)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=57, help="of the batch")
    parser.add_argument("--sidecar", action="store_true")
    given = parser.parse_args()
    one = sidecar() if given.sidecar else replica()
    with tempfile.TemporaryDirectory() as directory, one as (gateway, records):
        print(f"load {os.getloadavg()[0]:.1f}")
        path = Path(directory) / "input"
        write(path, KINDS["mixed"](), size=given.megabytes * MB)
        line = next(KINDS["small"]()) + b"\n"
        run_batch(gateway, line)
        print(f"idle: {idle(gateway, records)}")
        with watched(gateway) as most:
            run_batch(gateway, path.read_bytes())
        print(f"batch of {given.megabytes} MB: {most.told()}")
        with watched(gateway) as most:
            for _ in range(SMALL_BATCHES):
                run_batch(gateway, line)
        print(f"batch of one line: {most.cpu / SMALL_BATCHES * 1000:.0f} ms of CPU")
        print(f"idle again: {idle(gateway, records)}")
        for count in (1, UPLOADS):
            before, _ = resident(gateway.pid)
            with watched(gateway) as most:
                upload_at_once(gateway, path, count)
            grown = (most.main - before) / MIB
            print(f"{count} uploads at a time: {grown:.0f} MiB more, {most.cpu:.2f} s of CPU")
        print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
