"""multipart/related of two parts, metadata and media (RFC 2387): Google's simple uploads."""

import re

from gateway.emulator.errors import invalid

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_TYPE = re.compile(rb"^content-type:\s*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def split_related(content_type: str, body: bytes) -> tuple[bytes, str, bytes]:
    """(metadata, type of the media, media); raises ApiError 400."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise invalid("Malformed multipart body: no boundary.")
    pieces = body.split(b"--" + found[1].encode())
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        raise invalid("Malformed multipart body: two parts are expected.")
    (_, metadata), (headers, media) = (_part(piece) for piece in pieces[1:3])
    kind = _TYPE.search(headers)
    return metadata, kind[1].decode().strip() if kind else "", media


def _part(piece: bytes) -> tuple[bytes, bytes]:
    """Headers and content of one part; the line ends around it are the framing's."""
    headers, gap, content = piece.partition(b"\r\n\r\n")
    if not gap:
        raise invalid("Malformed multipart body: a part without an end of headers.")
    return headers.lstrip(), content.removesuffix(b"\r\n")
