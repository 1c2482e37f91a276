"""Bare batches: what a batch of one line costs with no checks, rules, logs or records read.

``python -m tests.benchmarks.bare_batches DIRECTORY UPSTREAM`` listens on a free port. For each POST
it does as often what the gateway does for a batch of one line, with the same libraries: commits of
a row as wide as a job's, and of the bytes of small blobs, calls to the upstream, one of them on a
connection of its own, and lines to a process and back. It is what
:mod:`tests.benchmarks.small_batches` compares with.
"""

import asyncio
import os
import socket
import sqlite3
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import orjson
import uvicorn
import uvloop
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.upstream.pooled import PooledTransport

COLUMNS: Final = 70
ROW: Final = {f"c{number}": f"value {number}" for number in range(COLUMNS)}
TASK: Final = b'{"task": "' + b"x" * 1500 + b'"}\n'
CONTENT: Final = b"y" * 800
ECHO: Final = (
    "import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.flush()"
)
JOB_SECONDS: Final = 0.5
WAITS: Final = {"connect": 10.0, "pool": 10.0, "read": 10.0, "write": 10.0}


class Records:
    """Rows that are committed one by one, each with an fsync, on a thread of their own."""

    def __init__(self, path: Path) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._database.execute(f"PRAGMA {pragma}")
        columns = ", ".join(ROW)
        self._database.execute(f"CREATE TABLE batches (id INTEGER PRIMARY KEY, status, {columns})")
        values = ", ".join(f":{name}" for name in ROW)
        self._insert = f"INSERT INTO batches VALUES (:id, :status, {values})"
        changes = ", ".join(f"{name} = :{name}" for name in ROW)
        self._update = f"UPDATE batches SET status = :status, {changes} WHERE id = :id"
        self._database.execute("CREATE TABLE contents (name TEXT PRIMARY KEY, content BLOB)")

    async def commit(
        self, number: int, status: str, *, new: bool = False, contents: int = 0
    ) -> None:
        """Write one row, and contents; all is durable when this returns."""
        loop, values = asyncio.get_running_loop(), {"id": number, "status": status, **ROW}
        await loop.run_in_executor(self._thread, self._write, values, new, contents)

    def _write(self, values: dict[str, object], new: bool, contents: int) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.execute(self._insert if new else self._update, values)
        for _ in range(contents):
            name = f"{time.time_ns():x}{os.urandom(8).hex()}"
            self._database.execute("INSERT INTO contents VALUES (?, ?)", (name, CONTENT))
        self._database.execute("COMMIT")


class BareBatches:
    """An ASGI application of one route."""

    def __init__(self, directory: Path, upstream: str) -> None:
        self._records = Records(directory / "gateway.sqlite3")
        self._upstream = upstream
        self._pooled = PooledTransport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), 5.0)
        self._alone = PooledTransport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), None)
        self._worker: asyncio.subprocess.Process
        self._turn = asyncio.Lock()
        self._numbers = count(1)

    async def start(self) -> None:
        """Start the process that gives back what it gets."""
        pipe = asyncio.subprocess.PIPE
        self._worker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ECHO, stdin=pipe, stdout=pipe
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Insert a row, answer, and go on with it."""
        wanted = orjson.loads(await Request(scope, receive).body())
        number = next(self._numbers)
        await self._records.commit(number, "validating", new=True)
        answer = orjson.dumps({"id": str(number), **wanted, **ROW})
        rest = BackgroundTask(self._run, number)
        response = Response(answer, media_type="application/json", background=rest)
        await response(scope, receive, send)

    async def _run(self, number: int) -> None:
        commit = self._records.commit
        await commit(number, "claimed")
        await self._work()
        await commit(number, "in_progress", contents=2)  # requests and answer hints
        for status in ("claimed", "submitting"):
            await commit(number, status)
        await self._call(self._alone)
        await commit(number, "running")
        await asyncio.sleep(JOB_SECONDS)
        await commit(number, "claimed")
        await self._call(self._pooled)
        await self._work()
        await commit(number, "collected", contents=2)  # raw results and output
        await self._call(self._pooled)
        await commit(number, "completed")

    async def _work(self) -> None:
        async with self._turn:
            assert self._worker.stdin is not None
            assert self._worker.stdout is not None
            self._worker.stdin.write(TASK)
            await self._worker.stdin.drain()
            await self._worker.stdout.readline()

    async def _call(self, transport: PooledTransport) -> None:
        url = f"{self._upstream}/v1beta/batches/none"
        headers = {"x-goog-api-key": "benchmark-key"}
        request = httpx.Request("GET", url, headers=headers, extensions={"timeout": WAITS})
        answer = await transport.handle_async_request(request)
        await answer.aread()
        await answer.aclose()


async def serve(directory: Path, upstream: str) -> None:
    """Serve until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    batches = BareBatches(directory, upstream)
    await batches.start()
    config = uvicorn.Config(
        batches, http="httptools", lifespan="off", access_log=False, log_config=None
    )
    print(f"bare listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(Path(sys.argv[1]), sys.argv[2]))
