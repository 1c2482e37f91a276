"""Answers that are sent piece by piece, and answers that end before their end."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

# Closes a connection; gives what is to be raised.
End = Callable[[], Awaitable[Exception]]

Sleep = Callable[[float], Awaitable[None]]


class Streamed(Response):
    """A body sent piece by piece, under the Content-Length given or in chunks."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        headers: Mapping[str, str],
        status: int = 200,
    ) -> None:
        super().__init__(None, status, headers)
        if "content-length" not in headers:
            del self.headers["content-length"]
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send everything; raises what the pieces end with."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        await send(start)
        async for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _first(pieces: AsyncIterator[bytes], size: int, end: End) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            raise await end()


def cut(response: Response, size: int, end: End) -> Streamed:
    """Return the same answer, closed after ``size`` bytes of its body if it has more."""
    pieces = _first(_pieces(response), size, end)
    return Streamed(pieces, dict(response.headers), response.status_code)


def drip(response: Response, rate: int, sleep: Sleep) -> Streamed:
    """Return the same answer at ``rate`` bytes per second."""
    pieces = _slowly(_pieces(response), rate, sleep)
    return Streamed(pieces, dict(response.headers), response.status_code)


async def _slowly(pieces: AsyncIterator[bytes], rate: int, sleep: Sleep) -> AsyncIterator[bytes]:
    block = max(rate // 10, 1)
    async for piece in pieces:
        for start in range(0, len(piece), block):
            yield piece[start : start + block]
            await sleep(block / rate)


def _pieces(response: Response) -> AsyncIterator[bytes]:
    return response.pieces if isinstance(response, Streamed) else _whole(bytes(response.body))
