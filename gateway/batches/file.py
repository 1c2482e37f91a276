"""Uploaded and published files, as stored: frozen records, replaced and never changed.

Times are integer milliseconds since the epoch, UTC, ``None`` when not (yet) set.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a file's bytes: one blob."""

    blob: str
    bytes: int


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded or published file. Deleted rows stay as tombstones, so cursors keep working."""

    id: str
    owner: str
    purpose: str
    filename: str
    bytes: int
    lines: int
    sha256: str
    segments: tuple[Segment, ...]
    created_at: int
    expires_at: int | None = None
    deleted_at: int | None = None
    seq: int = 0
