"""A world for the API's tests: real store, real blobs, a clock that moves when told.

No runner: a test that needs a batch further on moves it there itself.
"""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gateway.api.app import create_api
from gateway.api.services import ApiOptions, Services
from gateway.batches.batch import Batch
from gateway.blobs.local import LocalBlobs
from gateway.blobs.recorded import RecordedBlobs
from gateway.ids import digest
from gateway.ports.blobs import Blobs
from gateway.ports.upstream import Model
from gateway.store.sqlite import SQLiteStore
from gateway.units import KIB
from tests.databases import migrated

START = 1_800_000_000_000
ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")
RECORDED_BYTES = 16 * KIB  # as the program's default; with ``files_only`` none
SECRETS = {"secret-a": "alice", "secret-b": "bob"}
LINE = (
    b'{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"a"}}\n'
)


class TestClock:
    """Stands still until it is moved; durations are real."""

    __test__ = False

    def __init__(self) -> None:
        self.time = START

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self.time

    def monotonic(self) -> float:
        """Seconds, of the loop's own clock."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait for real."""
        await asyncio.sleep(seconds)


@dataclass
class World:
    """What an application of the API stands on, and what it did."""

    root: Path
    store: SQLiteStore
    blobs: Blobs
    clock: TestClock = field(default_factory=TestClock)
    rung: int = 0
    is_ready: bool = True
    offered: Sequence[Model] | Exception = (
        Model("gemini-2.5-flash", frozenset({"generateContent", "batchGenerateContent"})),
        Model("veo-3.1", frozenset({"predictLongRunning"})),
    )

    def app(self, **changes: Any) -> ASGIApp:
        """The API with the test's secrets; ``changes`` go to its options or its services."""
        options = ApiOptions(credentials={digest(key): name for key, name in SECRETS.items()})
        services = Services(
            store=self.store,
            blobs=self.blobs,
            clock=self.clock,
            wake=self._ring,
            ready=lambda: self.is_ready,
            endpoints=ENDPOINTS,
            policy={"version": 1},
            models=self._models,
        )
        for name, value in changes.items():
            if hasattr(options, name):
                options = replace(options, **{name: value})
            else:
                services = replace(services, **{name: value})
        return create_api(services, options)

    def blob_files(self) -> list[Path]:
        """Every file below the blobs' directory."""
        return [path for path in (self.root / "blobs").rglob("*") if path.is_file()]

    def kept(self) -> set[str]:
        """The names of all bytes that are kept, in files and in the records."""
        with closing(sqlite3.connect(self.root / "data" / "gateway.db")) as records:
            rows = {name for (name,) in records.execute("SELECT name FROM blob_contents")}
        return rows | {path.name for path in self.blob_files()}

    def lose_all(self) -> None:
        """Have the disk lose every byte, but not the rows that point at them."""
        with closing(sqlite3.connect(self.root / "data" / "gateway.db")) as records, records:
            lost = records.execute("DELETE FROM blob_contents").rowcount
        for path in self.blob_files():
            path.unlink()
            lost += 1
        assert lost

    async def move(self, batch_id: str, **changes: Any) -> Batch:
        """Write a batch's columns as the runner would."""
        claimed = await self.store.claim_batch(batch_id, 1000)
        assert claimed is not None
        moved = replace(claimed, **changes)
        assert await self.store.save_batch(moved)
        return moved

    def _ring(self) -> None:
        self.rung += 1

    async def _models(self, _owner: str) -> Sequence[Model]:
        if isinstance(self.offered, Exception):
            raise self.offered
        return self.offered


@asynccontextmanager
async def new_world(root: Path) -> AsyncGenerator[World, None]:
    """A world in an empty directory."""
    clock = TestClock()
    store = SQLiteStore(migrated(root / "data" / "gateway.db"), clock)
    blobs = RecordedBlobs(LocalBlobs(root / "blobs"), store, RECORDED_BYTES)
    await store.open(START)
    await blobs.open()
    try:
        yield World(root, store, blobs, clock)
    finally:
        await store.close()


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str, None]:
    """A real server on a loopback port, in this event loop; its base URL."""
    config = uvicorn.Config(
        app, log_level="error", lifespan="off", timeout_keep_alive=75, access_log=False
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    listening = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listening])
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(server.main_loop())
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await ticking
            await server.shutdown(sockets=[listening])


def form_of(data: bytes, filename: str = "in.jsonl", **fields: str) -> tuple[bytes, dict[str, str]]:
    """A multipart body and its headers, the file last, as openai-python writes it."""
    parts = [
        f'--BB\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'--BB\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + data + b"\r\n--BB--\r\n"
    return body, {"content-type": "multipart/form-data; boundary=BB"}


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something outside the loop; a pause between looks leaves the server its time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a directory has no event to wait for
            await asyncio.sleep(0.005)
