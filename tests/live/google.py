"""A Google that plays a scripted answer to single calls, byte for byte, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

CHUNKED = b"transfer-encoding: chunked"
KEEP = b"HTTP/1.1 %d OK\r\ncontent-type: %b\r\n" + CHUNKED + b"\r\n\r\n"


@dataclass
class Script:
    """What to answer: a status, and blocks that are written one by one.

    ``end`` is ``eof`` for a body that ends, ``silence`` for one that never goes on, ``again`` for
    one whose last block comes again and again, ``reset`` for a connection that is dropped,
    ``nothing`` for one that is dropped before any answer. ``declared``
    is a length that the head says, of a body that does not come in chunks.
    """

    blocks: Sequence[bytes]
    status: int = 200
    end: str = "eof"
    media_type: bytes = b"text/event-stream"
    declared: int | None = None
    pause: float = 0.0  # between blocks, seconds


@dataclass
class Google:
    """The server: its URL, what it was asked, and how its connections ended."""

    script: Script = field(default_factory=lambda: Script(()))
    url: str = ""
    paths: list[str] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: list[Any] = field(default_factory=list)
    live: int = 0
    asked: int = 0  # requests under way
    most: int = 0  # of them at a time
    together: int = 0  # no answer ends before so many were under way, and more had time to come
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def play_pieces(self, pieces: Sequence[Any], **how: Any) -> None:
        """Answer with these events."""
        self.script = Script([b"data: %b\r\n\r\n" % orjson.dumps(piece) for piece in pieces], **how)

    def play_json(self, value: Any, status: int = 200) -> None:
        """Answer with one JSON object."""
        self.script = Script([orjson.dumps(value)], status, media_type=b"application/json")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.live += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            self.live -= 1
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.paths.append(lines[0].split(" ")[1])
        self.reached.set()
        lengths = [line for line in lines if line.lower().startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0].split(":")[1]) if lengths else 0)
        self.bodies.append(orjson.loads(body) if body else None)
        self.asked += 1
        self.most = max(self.most, self.asked)
        try:
            return await self._play(self.script, reader, writer)
        finally:
            self.asked -= 1

    async def _play(
        self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if script.end == "nothing":
            return False
        head = KEEP % (script.status, script.media_type)
        if script.declared is not None:
            head = head.replace(CHUNKED, b"content-length: %d" % script.declared)
        writer.write(head)
        for block in script.blocks:
            chunk = b"%x\r\n%b\r\n" % (len(block), block)
            writer.write(chunk if script.declared is None else block)
            await writer.drain()
            await asyncio.sleep(script.pause)
        if self.together:
            if self.asked >= self.together:
                asyncio.get_running_loop().call_later(0.3, self.ending.set)
            await self.ending.wait()
        if script.end == "reset":
            return False
        if script.end == "again":
            with suppress(ConnectionError):
                while True:
                    writer.write(chunk)
                    await writer.drain()
                    await asyncio.sleep(script.pause)
            self.left.set()
            return False
        if script.end == "silence":
            await reader.read()  # until the caller goes
            self.left.set()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def scripted_google() -> AsyncIterator[Google]:
    """Serve on a free loopback port."""
    google = Google()
    server = await asyncio.start_server(google.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    google.url = f"http://{host}:{port}"
    async with server:
        yield google
