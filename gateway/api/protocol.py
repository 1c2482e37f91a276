"""uvicorn's HTTP/1.1 with an end to the head of a request.

httptools reads headers without a limit, before a key was shown; uvicorn has a limit for
h11 only, and no timeout for a head that never ends.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Nothing that an SDK sends comes near; nginx and Apache allow 32 and 8 KiB.
MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 30.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request's head is too long or too slow."""

    _head_bytes = 0
    _in_head = True
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn declares it
        """Wait for the first head."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what arrives while a head is not complete."""
        before = self._in_head
        super().data_received(data)
        if before and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a head; on a connection that is kept alive uvicorn's own timer waits for it."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_headers_complete(self) -> None:
        """Take a head that came in time."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _too_slow(self) -> None:
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
