"""uvicorn's HTTP/1.1 with an end to everything that a client may send, or leave unread.

httptools reads heads and trailers without a limit, before a key was shown; uvicorn has a limit for
h11 only, no timeout for a head that never ends, and takes up all requests of one connection at
once. What is bounded here, by the finding of reports/attacks.md that each answers:

    a head                 64 KiB, 30 s
    what is no body        64 KiB in a row: trailers and chunk extensions without end (A4)
    requests in a row      parsed as earlier ones are answered (A5)
    an answer not read     64 KiB a minute, or the connection is cut (A8)
    half-closed clients    get their answer (A9)
    a body behind answers  5 s (A10)
    connections            as many as leave descriptors for the rest of the process (A22)
"""

import asyncio
from typing import Any, ClassVar, Final

import orjson
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.api.answers import answer_error
from gateway.api.connections import Connections
from gateway.api.paths import is_single_request
from gateway.errors import UnavailableError
from gateway.units import MIB
from gateway.wire.openai_errors import error_body

# Nothing that an SDK sends comes near; nginx and Apache allow 32 and 8 KiB.
MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0
# Bytes in a row that bring neither body nor head, trailers say.
MAX_EMPTY_BYTES = 64 * 1024
# What is parsed at a time, but for a body that said its length. Thousands of tiny requests fit into
# one segment.
SLICE_BYTES = 16 * 1024
# What may wait on a connection whose requests are being answered: two reads of the event loop.
MAX_HELD_BYTES = MIB
# A client must take this much of its answer in this time.
READ_BYTES = 64 * 1024
READ_SECONDS = 60.0
# After an answer, how long the rest of its request's body is read: a client that still sends must
# come to read the answer, which a connection that is closed at once may destroy.
LINGER_SECONDS = 5.0

# What is answered even while clients hold all connections that they may have.
PROBES: Final = frozenset({"/healthz", "/readyz"})
CROWDED_RETRY_SECONDS: Final = 5
_CROWDED: Final = UnavailableError(
    "The gateway has as many connections as it has descriptors for. Please try again.",
    retry_after=CROWDED_RETRY_SECONDS,
)

_BAD_REQUEST: Final = orjson.dumps(
    error_body("The request is no valid HTTP.", "invalid_request_error", None)
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """A connection of one client."""

    open: ClassVar[Connections] = Connections()  # of the process, as descriptors are
    _late = False  # whether clients had all connections that they may have when it was made
    _head_bytes = 0
    _empty_bytes = 0
    _in_head = True
    _in_body = False
    _body_left = 0  # bytes to come of a body that said its length
    _moved = False  # whether what was parsed last was a head or a body
    _held = b""
    _unread = 0  # bytes of an answer that waited at the last look
    _head_deadline: asyncio.TimerHandle | None = None
    _read_deadline: asyncio.TimerHandle | None = None
    _linger_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn declares it
        """Wait for the first head."""
        super().connection_made(transport)
        self.open.opened(self)
        self._late = self.open.crowded
        if self.open.full:
            self.transport.abort()
            return
        self._head_deadline = self.loop.call_later(HEAD_SECONDS, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._held = b""
        self.open.closed(self)
        self._stop_waiting_for_head()
        self._stop_lingering()
        self._stop_watching()
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close an idle connection: another needs its descriptor."""
        self._close()

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks whether to go on
        """Keep a half-closed connection until its requests are answered.

        A client of a single request has given up: what Google does for it is ended.
        """
        last: RequestResponseCycle | None = self.cycle
        if last is None or last.response_complete or self._in_head or self._in_body:
            return False
        if is_single_request(self.scope["path"]):
            return False
        last.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Parse what arrives, or hold it while earlier requests wait for their turn."""
        self._parse(self._held + data if self._held else data)

    def _parse(self, data: bytes) -> None:
        self._held = b""
        start = 0
        while start < len(data):
            if self.transport.is_closing():
                return
            if self.pipeline:
                self._hold(data[start:])
                return
            piece = data[start : start + (self._body_left or SLICE_BYTES)]
            start += len(piece)
            self._moved = False
            super().data_received(piece)
            self._count(len(piece))

    def _hold(self, rest: bytes) -> None:
        self._held = rest
        self.flow.pause_reading()
        if len(rest) > MAX_HELD_BYTES:
            self._close()

    def _go_on(self) -> None:
        if self._held and not self.transport.is_closing():
            self._parse(self._held)

    def _count(self, size: int) -> None:
        """Bound what is no body: heads by their own limit, everything else in a row."""
        if self._in_head:
            self._head_bytes += size
        self._empty_bytes = 0 if self._moved else self._empty_bytes + size
        if self._head_bytes > MAX_HEAD_BYTES or self._empty_bytes > MAX_EMPTY_BYTES:
            self._close()

    def on_message_begin(self) -> None:
        """Begin a head; on a connection that is kept alive uvicorn's own timer waits for it."""
        super().on_message_begin()
        self._in_head = self._moved = True
        self._head_bytes = 0
        self._stop_waiting_for_head()
        self._head_deadline = self.loop.call_later(HEAD_SECONDS, self._close)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; one behind the body is dropped."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take a head that came in time."""
        self._in_head, self._in_body, self._moved = False, True, True
        self._stop_waiting_for_head()
        self._body_left = self._declared()
        self.open.rests(self, idle=False)
        super().on_headers_complete()

    def _declared(self) -> int:
        """Return how long the body says it is; 0 of one in chunks, whose length no one knows."""
        told = next((value for name, value in self.headers if name == b"content-length"), b"")
        return int(told) if told.isdigit() else 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - an ASGI application
        """Answer a request, of a late connection only a probe as long as there is no room."""
        refused = self._late and self.open.crowded and cycle.scope["path"] not in PROBES
        chosen: Any = _refuse if refused else app
        super()._start_asgi_task(cycle, chosen)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body; one that is alone until it is read is not copied."""
        self._moved = True
        if self._body_left and not self.cycle.body:
            self.cycle.body = b""  # type: ignore[assignment] # added to it, the piece is the body
        self._body_left = max(self._body_left - len(body), 0)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; what comes is another."""
        self._in_body, self._moved = False, True
        self._body_left = 0
        self._stop_lingering()
        super().on_message_complete()
        self._note_rest()

    def on_response_complete(self) -> None:
        """Go on with the next request, or close soon behind a body that was not wanted."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._in_body and not self.pipeline:
            self._stop_lingering()
            self._linger_deadline = self.loop.call_later(LINGER_SECONDS, self._close)
        if self._held:
            self.loop.call_soon(self._go_on)
        self._note_rest()

    def _note_rest(self) -> None:
        waits = self._in_body or self._held or self.pipeline or not self.cycle.response_complete
        self.open.rests(self, idle=not waits)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Answer what is no HTTP as everything else is answered."""
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nx-should-retry: false\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % len(_BAD_REQUEST) + _BAD_REQUEST)
        self._close()

    def pause_writing(self) -> None:
        """Watch a client that does not read."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._stop_watching()
        self._read_deadline = self.loop.call_later(READ_SECONDS, self._look_at_reader)

    def resume_writing(self) -> None:
        """Go on: the client reads."""
        self._stop_watching()
        super().resume_writing()

    def _look_at_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        if self._unread - unread < READ_BYTES:
            self.transport.abort()
            return
        self._unread = unread
        self._read_deadline = self.loop.call_later(READ_SECONDS, self._look_at_reader)

    def _close(self) -> None:
        self._held = b""
        self.transport.close()

    def _stop_waiting_for_head(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _stop_watching(self) -> None:
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None

    def _stop_lingering(self) -> None:
        if self._linger_deadline is not None:
            self._linger_deadline.cancel()
            self._linger_deadline = None


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell a client to come back, on another connection."""
    response = answer_error(_CROWDED)
    response.headers["connection"] = "close"
    await response(scope, receive, send)
