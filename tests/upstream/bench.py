"""A client of the Gemini upstream against small servers, on a clock that does not wait."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson

from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.upstream.gemini import GeminiUpstream
from gateway.upstream.options import GeminiOptions

KEY = "AIzaSyD-not-a-real-key-0123456789"
# With asyncio's 100 the kernel drops some of 150 connections at once: they come seconds later.
BACKLOG = 512


class SkipClock:
    """Sleeps take no time and are remembered."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> int:
        return 1_790_000_000_000

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class Spool:
    """A source over bytes; remembers from where it was read."""

    def __init__(self, content: bytes, block: int = 1 << 20) -> None:
        self.content = content
        self.size = len(content)
        self.block = block
        self.starts: list[int] = []
        self.open = 0

        self.sealed: str | None = hashlib.sha256(content).hexdigest()
        self.digested = 0

    async def digest(self) -> str:
        self.digested += 1
        return hashlib.sha256(self.content).hexdigest()

    def blocks(self) -> AsyncIterator[bytes]:
        return self.unchecked()

    async def unchecked(self, start: int = 0) -> AsyncIterator[bytes]:
        self.starts.append(start)
        self.open += 1
        try:
            for at in range(start, self.size, self.block):
                yield self.content[at : at + self.block]
        finally:
            self.open -= 1


def make_job(**changes: Any) -> Job:
    """A planned generate job, changed as asked."""
    job = Job(
        id="jobidjobid12",
        batch_id="batch_1",
        number=1,
        model="gemini-2.5-flash",
        method="batchGenerateContent",
        items=2,
        lines=2,
        bytes=1,
        tokens=1,
        spool="spool",
        echo="echo",
        display_name="gw12345678-jobidjobid12",
        created_at=0,
    )
    return replace(job, **changes)


def make_staged(**changes: Any) -> StagedFile:
    """A client's file on its way to the upstream."""
    staged = StagedFile("stagedstaged", "ab" * 32, "application/pdf", "default", 1, created_at=0)
    return replace(staged, **changes)


def make_spool(items: int = 2, text: str = "hi", uri: str | None = None) -> Spool:
    """A spool of generate requests with keys 1.0, 2.0 ...; each may name a file."""
    parts: list[dict[str, Any]] = [{"text": text}]
    parts += [] if uri is None else [{"fileData": {"fileUri": uri}}]
    request = {"contents": [{"role": "user", "parts": parts}]}
    rows = [orjson.dumps({"key": f"{i}.0", "request": request}) for i in range(1, items + 1)]
    return Spool(b"".join(row + b"\n" for row in rows))


async def collected(blocks: AsyncIterator[bytes]) -> bytes:
    """Everything an iterator gives."""
    return b"".join([block async for block in blocks])


@dataclass
class Request:
    """What a raw server read."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Wire:
    """One connection of a raw server; a script reads and writes it as it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: Request
    requests: list[Request] = field(default_factory=list)

    async def read_body(self, limit: int | None = None) -> bytes:
        """The request's body, or its first ``limit`` bytes."""
        length = int(self.head.headers.get("content-length", 0))
        self.head.body = await self.reader.readexactly(length if limit is None else limit)
        return self.head.body

    async def answer(
        self, status: int, body: bytes = b"", cut: int | None = None, **headers: str
    ) -> None:
        """Write an answer with an honest Content-Length, ``cut`` to so many body bytes."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body[:cut])
        await self.writer.drain()


Script = Callable[[Wire], Awaitable[None]]


@asynccontextmanager
async def raw_server(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A loopback server that hands every request to ``script`` and closes after it; its URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            await script(Wire(reader, writer, Request(method, target, headers)))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=BACKLOG)
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Handler = Callable[[httpx.Request], httpx.Response]


class Bench:
    """Makes clients, and whatever they talk to; everything is closed at the end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.clock = SkipClock()
        self._stack = stack

    def client(self, base_url: str, inner: Any = None, **options: Any) -> GeminiUpstream:
        """A client with short patience and the key :data:`KEY`."""
        defaults = {"stall_seconds": 5.0, "call_seconds": 5.0, "connect_seconds": 2.0}
        upstream = GeminiUpstream(
            GeminiOptions({"default": KEY}, base_url=base_url, **{**defaults, **options}),
            self.clock,
            inner,
        )
        self._stack.push_async_callback(upstream.close)
        return upstream

    def asking(self, handler: Handler, **options: Any) -> GeminiUpstream:
        """A client whose every request is answered by a function."""
        base_url = options.pop("base_url", "https://gemini.test")
        return self.client(base_url, httpx.MockTransport(handler), **options)

    async def serving(self, script: Script, tls: ssl.SSLContext | None = None) -> str:
        """Start a raw server; its URL."""
        return await self._stack.enter_async_context(raw_server(script, tls))
