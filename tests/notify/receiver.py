"""A receiver of webhooks: keeps what comes, and answers as it is told."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[["Received"], Awaitable[bytes]]

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass(frozen=True)
class Received:
    """One request: its first line, its headers in lower case, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


async def accept(_request: Received) -> bytes:
    """The answer of a receiver that is content."""
    return OK


@dataclass
class Receiver:
    """``reply`` may wait, refuse, or redirect."""

    reply: Reply = accept
    url: str = ""
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rows = head.split("\r\n")
            pairs = (row.split(": ", 1) for row in rows if row)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            request = Received(line, headers, body)
            async with self.arrived:
                self.requests.append(request)
                self.arrived.notify_all()
            writer.write(await self.reply(request))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def wait_for(self, count: int, seconds: float = 60) -> list[Received]:
        """Until so many requests have come; those."""
        async with asyncio.timeout(seconds), self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= count)
        return list(self.requests)


@asynccontextmanager
async def receiving(
    reply: Reply = accept, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[Receiver, None]:
    """A receiver on a loopback port."""
    receiver = Receiver(reply)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.url = f"http://127.0.0.1:{receiver.port}/hook"
    try:
        yield receiver
    finally:
        server.close()
