"""Server-sent events: Google's are read, OpenAI's are written.

Google ends an event with CRLF CRLF and sends no comment, no ``event:`` and no ``[DONE]`` (56
recordings). Relays in front of it also send LF, ``data:`` without a space, and errors as bare JSON
over several lines (OmniRoute#4177, Firebase's test data), so all of these are read.
"""

from collections.abc import Iterator
from typing import Final

from gateway.errors import UpstreamUnavailableError
from gateway.units import MIB
from gateway.wire.jsonl import escape_separators

# An image of 4K in base64 has some 30 MB.
MAX_EVENT_BYTES: Final = 64 * MIB
# What a line costs that has nothing in it: events of empty lines alone would grow for ever.
LINE_BYTES: Final = 64
# What both SDKs skip (measured); a proxy closes a connection that is silent for a minute.
KEEP_ALIVE: Final = b": keep-alive\n\n"
DONE: Final = b"data: [DONE]\n\n"

_FIELDS: Final = frozenset({b"data", b"event", b"id", b"retry", b""})


class EventReader:
    """Cuts a body into the data of its events, wherever the network cut it.

    Only CR and LF end a line: U+2028, U+2029 and U+0085 occur inside Google's JSON.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._bare: list[bytes] = []
        self._held = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield the data of each event that this block completes.

        Errors: UpstreamUnavailableError of an event beyond :data:`MAX_EVENT_BYTES`.
        """
        searched = max(0, len(self._rest) - 1)
        self._rest += block
        if len(self._rest) + self._held > MAX_EVENT_BYTES:
            raise UpstreamUnavailableError("The upstream's event is too long.", status=200)
        if self._rest.find(b"\n", searched) < 0:
            return
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        for line in lines:
            data = self._take(bytes(line.removesuffix(b"\r")))
            if data:
                yield data

    def end(self) -> bytes:
        """Return the data of an event that the end of the body completes, or ``b""``."""
        self._take(bytes(self._rest.removesuffix(b"\r")))
        self._rest.clear()
        return self._complete()

    def _take(self, line: bytes) -> bytes:
        if not line:
            return self._complete()
        name, colon, value = line.partition(b":")
        if name not in _FIELDS or not colon:
            self._keep(self._bare, line)
        elif name == b"data":
            self._keep(self._data, value.removeprefix(b" "))
        return b""

    def _keep(self, lines: list[bytes], line: bytes) -> None:
        lines.append(line)
        self._held += len(line) + LINE_BYTES

    def _complete(self) -> bytes:
        """End an event: lines that are no field, as a bare error is written, count without data."""
        data = b"\n".join(self._data or self._bare)
        self._data, self._bare, self._held = [], [], 0
        return data


def data_event(written: bytes) -> bytes:
    """Write an event of one JSON value, as chat and completions have them."""
    return b"data: %b\n\n" % escape_separators(written)


def named_event(name: str, written: bytes) -> bytes:
    """Write an event with a name, as responses and images have them."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), escape_separators(written))
