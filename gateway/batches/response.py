"""Stored answers of ``/v1/responses``, which later requests may name; times in ms, UTC."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ResponseStatus(StrEnum):
    """OpenAI's words. ``in_progress`` is derived: a queued one whose job runs at the upstream.

    The others are set once and never change: a cancelled response never becomes a completed one.
    """

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED: Final = frozenset({ResponseStatus.QUEUED, ResponseStatus.IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A Response: its blob holds the answer, and what the next turn begins with.

    One that is made in the background has a ``queue``, of those that may be sent together. Until
    its answer is written ``due_at`` says by when it is to be sent, ``batch_id`` with which batch it
    was; then neither it nor its bytes expire. ``tokens`` and ``most`` (billionths of a dollar)
    count for its owner until its batch does. ``tries``: how often an SDK has said that it asked.
    """

    id: str
    owner: str
    blob: str
    created_at: int
    expires_at: int
    status: ResponseStatus = ResponseStatus.COMPLETED
    queue: str | None = None
    due_at: int | None = None
    batch_id: str | None = None
    tokens: int = 0
    most: int | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    tries: int = 0
    used_at: int | None = None  # when a client first used the id
    model: str | None = None
    traceparent: str | None = None  # the span of its client that it was asked for in
    waiting_for: str | None = None  # what its batch waits for; the store's to say

    @property
    def is_open(self) -> bool:
        """Whether its answer may still come."""
        return self.due_at is not None


@dataclass(frozen=True, slots=True)
class WaitingQueue:
    """Responses of an owner that will be sent together, for people: since when, and until when.

    ``most`` is what they may cost in all, in billionths of a dollar; None: unknown.
    """

    model: str | None
    responses: int
    since: int
    due_at: int
    most: int | None


@dataclass(frozen=True, slots=True)
class DueQueue:
    """Responses that wait together, some of them until now; ``since``: the oldest of these."""

    queue: str
    owner: str
    since: int
