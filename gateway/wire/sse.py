"""Server-sent events: Google's are read, OpenAI's are written.

Google ends an event with CRLF CRLF and sends no comment, no ``event:`` and no ``[DONE]`` (56
recordings). Relays in front of it also send LF, ``data:`` without a space, and errors as bare JSON
over several lines (OmniRoute#4177, Firebase's test data); other vendors end a stream with
``[DONE]``. All of these are read, and whatever else the standard has (WHATWG HTML, "Server-sent
events").
"""

import re
from collections.abc import Iterator
from typing import Final

from gateway.errors import UpstreamUnreadableError
from gateway.units import MIB
from gateway.wire.jsonl import UTF8_BOM, escape_separators

# An image of 4K in base64 has some 30 MB.
MAX_EVENT_BYTES: Final = 64 * MIB
# What a line costs that has nothing in it: events of empty lines alone would grow for ever.
LINE_BYTES: Final = 64
# What both SDKs skip (measured); a proxy closes a connection that is silent for a minute.
KEEP_ALIVE: Final = b": keep-alive\n\n"
DONE_DATA: Final = b"[DONE]"
DONE: Final = b"data: %b\n\n" % DONE_DATA

_CR: Final = 0x0D  # as a number: bytes are looked for more slowly (see wire/jsonl.py)
# The name of a field, also of one that the standard ignores. Bare JSON, HTML and prose have none.
_FIELD: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_-]*")


class EventReader:
    """Cuts a body into the data of its events, wherever the network cut it.

    CR LF, LF and CR end a line: U+2028, U+2029 and U+0085 occur inside Google's JSON. A byte order
    mark in front, comments and fields other than ``data`` are left out. An event that the end of
    the body leaves open counts, which is where this differs from the standard.
    """

    def __init__(self) -> None:
        self._mark: bytes | None = b""  # the beginning of the body while it may be a mark
        self._after_cr = False
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._bare: list[bytes] = []
        self._held = 0

    def feed(self, block: bytes) -> Iterator[bytes]:
        """Yield the data of each event that this block completes.

        Errors: UpstreamUnreadableError of an event beyond :data:`MAX_EVENT_BYTES`.
        """
        if self._mark is not None:
            block = self._without_mark(self._mark + block)
        searched = len(self._rest)
        self._rest += self._with_plain_ends(block)
        if len(self._rest) + self._held > MAX_EVENT_BYTES:
            raise UpstreamUnreadableError(
                "Google's answer cannot be read: an event of it is too long.", status=200
            )
        if self._rest.find(b"\n", searched) < 0:
            return
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        for line in lines:
            data = self._take(bytes(line))
            if data:
                yield data

    def end(self) -> bytes:
        """Return the data of an event that the end of the body completes, or ``b""``."""
        if self._rest:
            self._take(bytes(self._rest))
            self._rest.clear()
        return self._complete()

    def _without_mark(self, start: bytes) -> bytes:
        """Drop a byte order mark, which comes whole or in pieces."""
        if len(start) < len(UTF8_BOM) and UTF8_BOM.startswith(start):
            self._mark = start
            return b""
        self._mark = None
        return start.removeprefix(UTF8_BOM)

    def _with_plain_ends(self, block: bytes) -> bytes:
        """End its lines with LF; one that a CR ended before this block is not ended again."""
        if not block:
            return block
        if self._after_cr:
            block = block.removeprefix(b"\n")
        self._after_cr = block.endswith(b"\r")
        if _CR in block:
            return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return block

    def _take(self, line: bytes) -> bytes:
        if not line:
            return self._complete()
        name, _, value = line.partition(b":")
        if name == b"data":
            self._keep(self._data, value.removeprefix(b" "))
        elif name and (self._bare or not _FIELD.fullmatch(name)):
            self._keep(self._bare, line)
        return b""

    def _keep(self, lines: list[bytes], line: bytes) -> None:
        lines.append(line)
        self._held += len(line) + LINE_BYTES

    def _complete(self) -> bytes:
        """End an event: lines that are no field, as a bare error is written, count without data."""
        data = b"\n".join(self._data or self._bare)
        self._data, self._bare, self._held = [], [], 0
        return data.strip()


def data_event(written: bytes) -> bytes:
    """Write an event of one JSON value, as chat and completions have them."""
    return b"data: %b\n\n" % escape_separators(written)


def named_event(name: str, written: bytes) -> bytes:
    """Write an event with a name, as responses and images have them."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), escape_separators(written))
