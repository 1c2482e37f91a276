"""Outlook of a batch: its place in the queue, what it waits for, how long it may take.

Estimates are from what jobs of the same model took; without any, the outlook says so
with null.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.lifecycle import stop_reason


@dataclass(frozen=True, slots=True)
class ModelQueue:
    """Jobs of one batch and model, and the jobs that come first. Times in ms.

    ``waiting`` are tokens of jobs that wait to be sent, ``ahead`` those of older jobs of any batch,
    ``batches_ahead`` how many batches these are of. ``sent`` are tokens at Google. ``submitted_at``
    is that of the batch's oldest job that runs, ``usual`` what the last jobs of the model took.
    """

    model: str
    waiting: int
    ahead: int
    batches_ahead: int
    sent: int
    submitted_at: int | None
    usual: int | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """Forecast for a client; each member is None when it is not known, or does not apply."""

    position: int | None = None
    waiting_for: str | None = None
    eta: int | None = None  # ms from now


UNKNOWN: Final = Outlook()
ENDING: Final = (
    "Google to end its jobs, which are told to again and again; after GATEWAY_CANCEL_SECONDS the"
    " batch ends without them"
)


def outlook(batch: Batch, queues: Sequence[ModelQueue], now: int) -> Outlook:
    """Return the outlook of a batch with jobs that wait or run."""
    if batch.status is not BatchStatus.IN_PROGRESS or not queues:
        return UNKNOWN
    etas = [_eta(queue, now) for queue in queues]
    if stop_reason(batch, now) is not None:
        return Outlook(waiting_for=ENDING)
    known = [eta for eta in etas if eta is not None]
    eta = max(known) if len(known) == len(etas) else None
    last = max(queues, key=lambda queue: (queue.waiting > 0, queue.batches_ahead))
    if not last.waiting:
        return Outlook(eta=eta)
    return Outlook(last.batches_ahead + 1, _waits_for(last), eta)


def _waits_for(queue: ModelQueue) -> str | None:
    if not queue.batches_ahead and not queue.sent:  # nothing keeps it: it is being sent
        return None
    before = {0: "it is next", 1: "one batch waits before it"}.get(
        queue.batches_ahead, f"{queue.batches_ahead} batches wait before it"
    )
    return f"room at Google for jobs of {queue.model}: {before}"


def _eta(queue: ModelQueue, now: int) -> int | None:
    """Estimate: running jobs take as long as usual, waiting ones go in rounds as large as now."""
    if queue.usual is None:
        return None
    left = 0
    if queue.submitted_at is not None:
        left = queue.usual - (now - queue.submitted_at)
        if left < 0:  # longer than usual: then there is no telling
            return None
    if not queue.waiting:
        return left
    rounds = -(-(queue.ahead + queue.waiting) // max(queue.sent, queue.waiting))
    return left + rounds * queue.usual
