"""multipart/related of two parts, metadata and media (RFC 2387): Google's simple uploads."""

import re
from typing import Final

from gateway.emulator.protocol.errors import ApiError, invalid

# Bytes before the media: metadata and the headers of both parts.
MAX_HEAD: Final = 128 * 1024
_BOUNDARY: Final = re.compile(r'boundary="?([^";,]{1,70})"?', re.IGNORECASE)
_TYPE: Final = re.compile(rb"^content-type:\s*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


class Related:
    """Takes a body as it comes and gives its media; holds no more than what is before them."""

    def __init__(self, content_type: str) -> None:
        """Of a ``content-type`` header; raises ApiError 400 for one without a boundary."""
        found = _BOUNDARY.search(content_type)
        if found is None:
            raise invalid("Malformed multipart body: no boundary.")
        self._boundary = b"--" + found[1].encode()
        self._waiting = b""
        self._is_over = False
        self.metadata: bytes | None = None
        """Of the first part, once the headers of the second have come, too."""
        self.kind = ""
        """The type of the media, by then."""

    def feed(self, piece: bytes) -> bytes:
        """Take a piece of the body; the media that came with it. Raises ApiError 400."""
        if self._is_over:
            self._waiting = (self._waiting + piece)[:2]
            return b""
        self._waiting += piece
        if self.metadata is None:
            self._read_head()
        return b"" if self.metadata is None else self._media()

    def end(self) -> None:
        """End the body; raises ApiError 400 unless it had two parts."""
        if not (self._is_over and self._waiting.startswith(b"--")):
            raise _malformed()

    def _read_head(self) -> None:
        pieces = self._waiting.split(self._boundary, 2)
        if len(pieces) < 3 or b"\r\n\r\n" not in pieces[2]:
            if len(self._waiting) > MAX_HEAD:
                raise _malformed()
            return
        _, gap, metadata = pieces[1].partition(b"\r\n\r\n")
        headers, _, self._waiting = pieces[2].partition(b"\r\n\r\n")
        if not gap:
            raise invalid("Malformed multipart body: a part without an end of headers.")
        kind = _TYPE.search(headers.lstrip())
        self.kind = kind[1].decode(errors="replace").strip() if kind else ""
        self.metadata = metadata.removesuffix(b"\r\n")

    def _media(self) -> bytes:
        """Return what is certainly media; the end of the rest may be the start of a boundary."""
        mark = b"\r\n" + self._boundary
        at = self._waiting.find(mark)
        if at >= 0:
            media, self._waiting = self._waiting[:at], self._waiting[at + len(mark) :][:2]
            self._is_over = True
            return media
        sure = max(len(self._waiting) - len(mark) + 1, 0)
        media, self._waiting = self._waiting[:sure], self._waiting[sure:]
        return media


def _malformed() -> ApiError:
    return invalid("Malformed multipart body: two parts are expected.")
