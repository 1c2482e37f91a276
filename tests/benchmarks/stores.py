"""PostgreSQL against SQLite as a store, in one run: steps a second, and answers to a GET.

``python -m tests.benchmarks.stores`` claims and saves jobs through both stores, one after the other
and sixteen at a time, then asks two gateways for a batch over 32 connections, in turns, and prints
rates and ratios. Both keep their data in memory, so that it is not the disk that is measured, and
PostgreSQL is asked through a socket of the machine. Goal:
a GET from PostgreSQL at half of SQLite's rate or more.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.batches.batch import BatchStatus
from gateway.emulator.running import running
from gateway.emulator.testing import EmulatorOptions
from gateway.ports.store import Store
from gateway.store.postgres import PostgresEngine
from gateway.store.records import Records
from gateway.store.sqlite import SQLiteStore
from tests.conformance.moments import take_job
from tests.conformance.records import a_batch, a_file, a_job
from tests.e2e.harness import CLOCK, GatewayProcess, chat_line
from tests.postgres_server import MEMORY, PostgresServer

JOBS: Final = 400
AT_ONCE: Final = 16
CONNECTIONS: Final = 32
SECONDS: Final = 3.0
ROUNDS: Final = 3
# For the transaction that inserts all jobs, on a machine that does other work too.
PATIENCE_SECONDS: Final = 300.0
LEASE: Final = 60_000


async def _steps(store: Store, at_once: int) -> float:
    """Claims with their saves, a second."""
    waiting = iter(range(JOBS))

    async def work() -> None:
        for number in waiting:
            job = await take_job(store, f"job{number}", LEASE)
            assert job is not None
            assert await store.save_job(replace(job, denials=job.denials + 1))

    start = CLOCK.monotonic()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return JOBS / (CLOCK.monotonic() - start)


async def _measure_steps(store: Store) -> list[float]:
    await store.open(0)
    await store.add_file(a_file())
    added = await store.add_batch(a_batch())
    assert added is not None
    batch = await store.claim_batch(added.id, LEASE)
    assert batch is not None
    jobs = [a_job(f"job{number}", number=number) for number in range(JOBS)]
    await store.save_batch(replace(batch, status=BatchStatus.IN_PROGRESS), jobs=jobs)
    rates = [await _steps(store, at_once) for at_once in (1, AT_ONCE)]
    await store.close()
    return rates


async def _gets(url: str, path: str) -> float:
    """Answers a second, over connections that stay open."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    question = (
        f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer any\r\n\r\n".encode()
    )
    start = CLOCK.monotonic()
    answered = 0

    async def ask() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(host, port)
        while CLOCK.monotonic() < start + SECONDS:
            writer.write(question)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
            await reader.readexactly(size)
            answered += 1
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return answered / (CLOCK.monotonic() - start)


def _batch_of(process: GatewayProcess) -> str:
    client = process.client()
    file = client.files.create(file=("a.jsonl", chat_line("a", "x")), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    return f"/v1/batches/{batch.id}"


@contextlib.contextmanager
def _gateways(place: Path, gemini: str, database: str) -> Iterator[list[GatewayProcess]]:
    blobs = place / "blobs"
    (blobs / "tmp").mkdir(parents=True)
    replica = (sys.executable, "-m", "tests.campaigns.replica", str(blobs), "0")
    # The limit of requests a minute for each client is off: it is not what is measured.
    common = {"GATEWAY_REQUESTS_PER_MINUTE": "0"}
    own = {**common, "GATEWAY_STORE": database}
    both = [
        GatewayProcess(place / "sqlite" / "data", gemini, common),
        GatewayProcess(place / "postgres" / "data", gemini, own, replica),
    ]
    try:
        for process in both:
            process.data.mkdir(parents=True)
            process.start()
        yield both
    finally:
        for process in both:
            process.close()


def _measure_gets(place: Path, database: str) -> list[float]:
    with (
        running(EmulatorOptions(job_seconds=3600)) as gemini,
        _gateways(place, gemini.base_url, database) as both,
    ):
        paths = [_batch_of(process) for process in both]
        rounds = [
            [asyncio.run(_gets(one.url, path)) for one, path in zip(both, paths, strict=True)]
            for _ in range(ROUNDS)
        ]
    return [statistics.median(rates) for rates in zip(*rounds, strict=True)]


def main() -> None:
    """Measure and print."""
    place = MEMORY if MEMORY.is_dir() else None
    server = PostgresServer()
    try:
        with tempfile.TemporaryDirectory(dir=place) as directory:
            path = Path(directory)
            ours = asyncio.run(_measure_steps(SQLiteStore(path / "steps" / "gateway.db")))
            server.run("CREATE DATABASE steps")
            engine = PostgresEngine(server.near("steps"), patience=PATIENCE_SECONDS)
            theirs = asyncio.run(_measure_steps(Records(engine, CLOCK)))
            gets = _measure_gets(path, server.near())
    finally:
        server.close()
    rows = [
        ("claim and save, one after the other", ours[0], theirs[0]),
        (f"claim and save, {AT_ONCE} at a time", ours[1], theirs[1]),
        (f"GET of a batch, {CONNECTIONS} connections", gets[0], gets[1]),
    ]
    print("| a second | SQLite | PostgreSQL | ratio |")
    print("| --- | --- | --- | --- |")
    for name, first, second in rows:
        print(f"| {name} | {first:,.0f} | {second:,.0f} | {second / first:.2f} |")


if __name__ == "__main__":
    main()
