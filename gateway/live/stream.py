"""A streamed answer: pieces from one or several calls, events to the client, in one order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import NamedTuple

from gateway.errors import GatewayError, UpstreamError
from gateway.live.failures import envelope_of, of_upstream, refused
from gateway.live.options import FAN_OUT, LiveOptions
from gateway.ports.single import Answered, Reply, SingleCall, SingleUpstream
from gateway.translate import AnswerStream, Rendered
from gateway.wire.sse import KEEP_ALIVE

# Pieces of a call that wait to be written: a client that reads slowly holds up its own call.
AHEAD = 2


class _Piece(NamedTuple):
    """Result of one call: a reply, an error of the call, a defect of the gateway's, or the end."""

    item: int
    reply: Reply | None = None
    error: UpstreamError | None = None
    died: bool = False
    failure: GatewayError | None = None  # of the gateway's own


class HeldEvents:
    """Events with all that they hold, which is given back even if they are never read.

    A generator that was not begun runs no ``finally``: a client that left just as its stream began
    kept its place and its call for ever.
    """

    def __init__(self, events: AsyncGenerator[bytes, None], held: AsyncExitStack) -> None:
        self._events = events
        self._held = held

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read them once."""
        return self._events

    async def aclose(self) -> None:
        """End the calls; again: nothing."""
        try:
            await self._events.aclose()
        finally:
            await self._held.aclose()


class LiveStream:
    """Runs the calls of a streamed answer and writes its events.

    :meth:`begin` waits until the stream may begin, or gives the answer of one that failed before.
    :meth:`close` ends the calls: closing their connections is what stops Google.
    """

    def __init__(
        self,
        upstream: SingleUpstream,
        calls: Sequence[SingleCall],
        answer: AnswerStream,
        options: LiveOptions,
    ) -> None:
        self.rendered: Rendered | None = None
        self.failed: int | None = None  # the HTTP status of what ended a stream that had begun
        self.before_end: Callable[[], Awaitable[None]] | None = None
        self.answer = answer
        self._options = options
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue(AHEAD)
        self._left = len(calls)
        self._places = asyncio.Semaphore(FAN_OUT)
        self._tasks = [
            asyncio.create_task(  # noqa: TID251 - begun here, ended by close(), watched by _next()
                self._read(upstream, number, call), name="single-call"
            )
            for number, call in enumerate(calls)
        ]

    async def begin(self) -> Answered | None:
        """Return the answer of a request that failed; None: :meth:`events` has what to send.

        Errors: GatewayError of a call without an answer.
        """
        try:
            async with asyncio.timeout(self._options.open_seconds):
                while self._left and not self.answer.opened:
                    failure = self._before(await self._next())
                    if failure is not None:
                        return failure
        except TimeoutError:
            return None
        if not self.answer.opened:
            self.rendered = self.answer.whole()
            if self.rendered[0] >= 400:
                return Answered(self.rendered[0], self.rendered[1])
        return None

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events; each yield is what one piece brought, so a slow reader slows Google."""
        if self.rendered is None:
            yield b"".join((*self.answer.open(), *self.answer.news()))
        while self._left:
            try:
                async with asyncio.timeout(self._options.keep_alive_seconds):
                    piece = await self._next()
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            failure = self._after(piece)
            if failure is not None:
                yield b"".join(self.answer.fail(failure))
                return
            if written := b"".join(self.answer.news()):
                yield written
        if self.rendered is None:
            self.rendered = self.answer.whole()
        if self.before_end is not None:
            await self.before_end()
        yield b"".join(self.answer.finish(self.rendered))

    def fail(self, failure: GatewayError) -> None:
        """End the stream with an error, in the place of pieces that are not written yet."""
        while self._pieces.full():
            self._pieces.get_nowait()
        self._pieces.put_nowait(_Piece(0, failure=failure))

    def close(self) -> None:
        """End what still runs."""
        for task in self._tasks:
            task.cancel()

    async def _next(self) -> _Piece:
        """Wait for a piece. Errors: what the task died of that should have brought it."""
        piece = await self._pieces.get()
        if piece.died:
            await self._tasks[piece.item]
        return piece

    # --- pieces -----------------------------------------------------------------------------

    async def _read(self, upstream: SingleUpstream, item: int, call: SingleCall) -> None:
        try:
            async with self._places, aclosing(upstream.stream(call)) as replies:
                async for reply in replies:
                    await self._pieces.put(_Piece(item, reply))
            await self._pieces.put(_Piece(item))
        except UpstreamError as error:
            await self._pieces.put(_Piece(item, error=error))
        except Exception:
            await self._pieces.put(_Piece(item, died=True))
            raise

    def _before(self, piece: _Piece) -> Answered | None:
        """Take a piece while nothing is sent. Errors: GatewayError of the call."""
        if piece.failure is not None:
            raise piece.failure
        if piece.error is not None:
            raise of_upstream(piece.error)
        if piece.reply is None:
            self._left -= 1
            return None
        failure = refused(piece.reply)
        if failure is None and self.answer.add(piece.item, piece.reply):
            self.answer.opened = True
        return failure

    def _after(self, piece: _Piece) -> bytes | None:
        """Take a piece of a stream that has begun; the envelope of what ends it, or None."""
        if piece.failure is not None:
            return envelope_of(piece.failure)
        if piece.error is not None:
            error = of_upstream(piece.error)
            self.failed = error.status
            return envelope_of(error)
        if piece.reply is None:
            self._left -= 1
            return None
        failure = refused(piece.reply)
        if failure is None:
            self.answer.add(piece.item, piece.reply)
            return None
        self.failed = failure.status
        return failure.body
