"""Notes about a request, as a batch tells them in its warnings file: in a header and a body."""

import json
from collections.abc import Iterable
from typing import Final

from gateway.translate import Note

NOTES_HEADER: Final = "x-gateway-notes"
# Heads of answers beyond 8 KB are refused by common proxies.
NOTES_BYTES: Final = 4096


def told(notes: Iterable[Note]) -> list[dict[str, str]]:
    """Return notes as entries of the warnings file are, without the line."""
    return [_told(note) for note in notes]


def headers(entries: list[dict[str, str]]) -> dict[str, str]:
    """Write notes as a header, in ASCII; what does not fit is only in the body."""
    if not entries:
        return {}
    shown = entries
    while len(text := _ascii(shown)) > NOTES_BYTES:
        shown = shown[: len(shown) // 2]
    return {NOTES_HEADER: text}


def _told(note: Note) -> dict[str, str]:
    entry = {"code": note.code, "field": note.field}
    return {**entry, "message": note.message} if note.message else entry


def _ascii(entries: list[dict[str, str]]) -> str:
    return json.dumps(entries, separators=(",", ":"))  # noqa: TID251 - orjson cannot escape to ASCII
