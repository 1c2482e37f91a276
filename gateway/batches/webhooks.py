"""Webhooks, as stored, frozen: endpoints, and deliveries of events about batches and responses.

A delivery is written in the transaction that ends what it is about. It is attempted until a
receiver answers with 2xx, or until it is too old. Times are milliseconds, as everywhere in records.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.pacing import Pace, next_retry
from gateway.batches.response import ResponseStatus

# The statuses in which a batch ends, and OpenAI's names of the events.
EVENT_TYPES: Final = {
    BatchStatus.COMPLETED: "batch.completed",
    BatchStatus.FAILED: "batch.failed",
    BatchStatus.EXPIRED: "batch.expired",
    BatchStatus.CANCELLED: "batch.cancelled",
}

# The same of responses that are made in the background.
RESPONSE_EVENT_TYPES: Final = {
    ResponseStatus.COMPLETED: "response.completed",
    ResponseStatus.FAILED: "response.failed",
    ResponseStatus.CANCELLED: "response.cancelled",
    ResponseStatus.INCOMPLETE: "response.incomplete",
}
OFFERED_TYPES: Final = (*EVENT_TYPES.values(), *RESPONSE_EVENT_TYPES.values())

# For how long OpenAI tries to deliver (Hookdeck, "Guide to OpenAI webhooks", 2026).
GIVE_UP_AFTER: Final = 72 * 3600 * 1000

# The owner of the endpoint that is set in the environment: it hears of what ends of all owners.
EVERY_OWNER: Final = ""
# Its id: there is one at most.
SETTINGS_ENDPOINT: Final = "we_settings"

# Attempts that a delivery remembers, the last ones: 72 hours at one an hour.
MOST_ATTEMPTS: Final = 100


class DeliveryState(StrEnum):
    """``failed``: given up."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """Where events go, and with which secret they are signed.

    ``old_secret`` signs too, until ``old_secret_until``: a receiver may know only that one yet.
    The endpoint of the settings has no secret here.
    """

    id: str
    owner: str
    name: str
    url: str
    event_types: tuple[str, ...]
    created_at: int
    updated_at: int
    secret: str = ""
    old_secret: str | None = None
    old_secret_until: int | None = None
    seq: int = 0

    def secrets(self, now: int) -> Sequence[str]:
        """Give the secrets that sign now, the newest first."""
        if self.old_secret is None or now >= (self.old_secret_until or 0):
            return (self.secret,)
        return (self.secret, self.old_secret)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Outcome of one attempt: the receiver's status, or why there is none."""

    at: int
    milliseconds: int
    status_code: int | None = None
    error: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the receiver has it: 2xx, and nothing else (a redirect is none)."""
        return self.status_code is not None and 200 <= self.status_code < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint. ``event_id`` is the ``webhook-id`` that receivers may compare."""

    event_id: str
    endpoint_id: str
    owner: str  # of the batch
    type: str
    batch_id: str  # or that of the response
    created_at: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: tuple[Attempt, ...] = ()
    tried: int = 0
    due_at: int | None = None
    fence: int = 0
    lease_until: int | None = None
    seq: int = 0


def event_of(batch: Batch) -> tuple[str, int] | None:
    """Give the type of the event that ends a batch, and when; None while it is live."""
    ended = {
        BatchStatus.COMPLETED: batch.completed_at,
        BatchStatus.FAILED: batch.failed_at,
        BatchStatus.EXPIRED: batch.expired_at,
        BatchStatus.CANCELLED: batch.cancelled_at,
    }
    if batch.status not in ended:
        return None
    return EVENT_TYPES[batch.status], ended[batch.status] or 0


def attempted(
    delivery: Delivery, attempt: Attempt, pace: Pace, now: int, jitter: float
) -> Delivery:
    """Give a delivery after one more attempt: done, due after a pause that grows, or over."""
    delivery = replace(
        delivery,
        attempts=(*delivery.attempts, attempt)[-MOST_ATTEMPTS:],
        tried=delivery.tried + 1,
        lease_until=None,
    )
    if attempt.accepted:
        return replace(delivery, state=DeliveryState.DELIVERED, due_at=None)
    if now - delivery.created_at >= GIVE_UP_AFTER:
        return replace(delivery, state=DeliveryState.FAILED, due_at=None)
    return replace(delivery, due_at=now + next_retry(delivery.tried, pace, jitter))
