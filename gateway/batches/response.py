"""Stored answers of ``/v1/responses``, which later requests may name; times in ms, UTC."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A Response: its blob holds the answer, and what the next turn begins with."""

    id: str
    owner: str
    blob: str
    created_at: int
    expires_at: int
