"""Transactions over batches.

A row is made due from outside by raising its wake-up version (the column ``rings``; ``heard`` is
the one that the last claim saw): its ``due_at`` becomes a negative number that never comes twice.
So :func:`rest` cannot mistake a new version for the one it read, and :func:`save` can tell that the
row was woken after its claim.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.batches.admission import Unread
from gateway.batches.batch import BACKGROUND, LIVE_STATUSES, Batch, BatchStatus, Counts, TokenUsage
from gateway.batches.file import File
from gateway.batches.job import Job
from gateway.batches.limits import (
    NO_LIMITS,
    Estimate,
    OverLimitError,
    OwnerLimits,
    day_of,
    over_limits,
    too_many_live,
)
from gateway.batches.outlook import ModelQueue
from gateway.ports.store import BatchChangedError, BatchEnd, BlobChange, Page
from gateway.store import blobs as blob_rows
from gateway.store import files as file_rows
from gateway.store import jobs as job_rows
from gateway.store import limits as limit_sums
from gateway.store import staging, webhooks
from gateway.store.columns import batch_of, batch_values, sums_values
from gateway.store.session import Row, Session

_QUEUE: Final = ("waiting", "ahead", "batches_ahead", "sent", "submitted_at", "usual")


def _maybe(row: Row | None) -> Batch | None:
    return None if row is None else batch_of(row)


async def add(
    session: Session, batch: Batch, same_since: int | None, within: OwnerLimits | None = None
) -> Batch | None:
    """Insert, due at once; or an earlier batch that is the same; or None without its input."""
    same = await _same(session, batch, same_since)
    if same is not None:
        return same
    if await file_rows.current(session, batch.owner, batch.input_file_id, batch.created_at) is None:
        return None
    if within is not None and within.live_batches is not None:
        used = await limit_sums.used_by(session, batch.owner, batch.created_at)
        if error := too_many_live(used, within):
            raise OverLimitError(error)
    due_at = batch.created_at if batch.due_at is None else batch.due_at
    await session.run("insert_batch", batch_values(replace(batch, due_at=due_at)))
    await session.ring()
    return await by_id(session, batch.id)


async def _same(session: Session, batch: Batch, same_since: int | None) -> Batch | None:
    row = None
    if batch.idempotency_key is not None:
        row = await session.one(
            "batch_of_key", {"owner": batch.owner, "idempotency_key": batch.idempotency_key}
        )
    if row is None and same_since is not None and batch.fingerprint is not None:
        row = await session.one(
            "batch_alike",
            {"owner": batch.owner, "fingerprint": batch.fingerprint, "since": same_since},
        )
    return _maybe(row)


async def by_id(session: Session, batch_id: str) -> Batch | None:
    """Return a batch, whatever its owner."""
    return _maybe(await session.one("batch_by_id", {"id": batch_id}))


async def owned(session: Session, owner: str, batch_id: str) -> Batch | None:
    """Return a batch of this owner."""
    return _maybe(await session.one("owned_batch", {"owner": owner, "id": batch_id}))


async def with_queues(
    session: Session, owner: str, batch_id: str
) -> tuple[Batch, Sequence[ModelQueue]] | None:
    """Return a batch of this owner and, while it is in progress, what its jobs wait for."""
    rows = await session.all("owned_batch_and_queues", {"owner": owner, "id": batch_id})
    queues = [
        ModelQueue(model=row["queue_model"], **{name: row[name] for name in _QUEUE})
        for row in rows
        if row["queue_model"] is not None
    ]
    return (batch_of(rows[0]), queues) if rows else None


async def page(session: Session, owner: str, limit: int, after: str | None) -> Page[Batch] | None:
    """Return a stretch of the list, newest first, one row more read than shown."""
    start = file_rows.LAST
    if after is not None:
        row = await session.one("owned_batch", {"owner": owner, "id": after})
        if row is None:
            return None
        start = row["seq"]
    rows = await session.all(
        "batches_newest_first", {"owner": owner, "after": start, "limit": limit + 1}
    )
    return Page([batch_of(row) for row in rows[:limit]], has_more=len(rows) > limit)


async def request_cancel(session: Session, owner: str, batch_id: str, now: int) -> Batch | None:
    """Note the wish once, on a live batch, and wake its row.

    Not on one of responses in the background: these are cancelled one by one.
    """
    if await owned(session, owner, batch_id) is None:
        return None
    await session.run("request_cancel", {"owner": owner, "id": batch_id, "now": now})
    await session.ring()
    return await owned(session, owner, batch_id)


async def note_used(session: Session, owner: str, batch_ids: Sequence[str], now: int) -> None:
    """Mark ids as shown to a client."""
    ids = orjson.dumps(list(batch_ids)).decode()
    await session.run("note_used", {"owner": owner, "ids": ids, "now": now})


async def rest(session: Session, batch: Batch, due_at: int | None) -> None:
    """Set when the row is due next, unless that changed since it was read."""
    await session.run("rest_batch", {"id": batch.id, "was": batch.due_at, "due_at": due_at})


async def claim(session: Session, batch_id: str, lease: int) -> Batch | None:
    """Claim a live batch whose row is free."""
    return _maybe(await session.one("claim_batch", {"id": batch_id, "lease": lease}))


async def save(
    session: Session,
    batch: Batch,
    *,
    jobs: Sequence[Job],
    named: Mapping[str, Mapping[str, str]],
    files: Sequence[File],
    blobs: BlobChange,
    keep: bool,
    within: tuple[OwnerLimits, Estimate] | None,
    sent_again: tuple[int, Counts] | None,
    now: int,
) -> bool:
    """Save the runner's columns of a batch that is live and still its, and what comes with them.

    Files come before the row that names them. Counts and usage are written when the batch leaves
    validation and when it ends; in between they are the sums that saves of jobs have made.
    """
    row = await session.one("batch_to_save", {"id": batch.id})
    if row is None or row["fence"] != batch.fence or row["status"] not in LIVE_STATUSES:
        return False
    if within is not None:
        await _check_limits(session, row["owner"], *within, now)
    await blob_rows.register_contents(session, blobs.seals, now)
    await _write(session, batch, files=files, keep=keep, now=now)
    if jobs:
        await session.ring()
    for job in jobs:
        await job_rows.insert(session, job)
        await staging.name(session, row["owner"], job.id, named.get(job.id, {}), now)
    if sent_again is not None:
        await _note_sent_again(session, batch.id, *sent_again)
    await _note_end(session, row, batch, now)
    await blob_rows.change(session, blobs, now)
    return True


async def _write(
    session: Session, batch: Batch, *, files: Sequence[File], keep: bool, now: int
) -> None:
    """Write a batch over its row, and before it the files that it names."""
    values = {**batch_values(batch), "keep": keep}
    for file in files:
        await file_rows.add(session, file)
    await session.run("set_counts", {**values, "final": batch.status not in LIVE_STATUSES})
    await session.run("save_batch", {**values, "now": now})


async def _note_end(session: Session, row: Row, batch: Batch, now: int) -> None:
    """Release what a live batch alone needs, and announce its end; nothing while it is live."""
    if batch.status not in LIVE_STATUSES:
        await staging.forget(session, batch.id, now)
        if row["kind"] != BACKGROUND:
            await webhooks.announce(session, row["owner"], batch, now)


async def save_job(
    session: Session,
    job: Job,
    ends: BatchEnd | None,
    *,
    now: int,
    **others: Any,  # noqa: ANN401 - as in the port
) -> bool:
    """Save a job, and end the batch with it whose only one it is. Errors: BatchChangedError."""
    row = None if ends is None else await session.one("batch_to_save", {"id": job.batch_id})
    if ends is not None and not _is_as_read(row, ends.batch):
        raise BatchChangedError(job.batch_id)
    if not await job_rows.save(session, job, now=now, **others):
        return False
    if ends is None or row is None:
        return True
    await _write(session, ends.batch, files=ends.files, keep=False, now=now)
    await _note_end(session, row, ends.batch, now)
    await blob_rows.change(session, BlobChange(deletable=ends.deletable), now)
    return True


def _is_as_read(row: Row | None, batch: Batch) -> bool:
    """Whether a batch that is to end is in progress under that fence, with no holder or cancel."""
    return (
        row is not None
        and row["fence"] == batch.fence
        and row["status"] == BatchStatus.IN_PROGRESS
        and row["lease_until"] is None
        and row["cancel_requested_at"] == batch.cancel_requested_at
    )


async def _note_sent_again(session: Session, batch_id: str, lines: int, lost: Counts) -> None:
    """Count lines that run again though they may be paid for, and take back what they counted."""
    await session.run("note_paid_twice", {"id": batch_id, "lines": lines})
    sums = sums_values(Counts() - lost, TokenUsage())
    await session.run("add_counts", {"id": batch_id, **sums, "cost": 0, "more": 0})


async def _check_limits(
    session: Session, owner: str, limits: OwnerLimits, estimate: Estimate, now: int
) -> None:
    """Refuse what is beyond a limit; of two at once, the second. Errors: OverLimitError."""
    if limits == NO_LIMITS:
        return
    used = await limit_sums.used_by(session, owner, day_of(now))
    error = over_limits(used, estimate, limits)
    if error is not None:
        raise OverLimitError(error)


async def add_rerendered(
    session: Session, batch_id: str, entry: Mapping[str, object], files: Sequence[File]
) -> Batch | None:
    """Add new files to an ended batch; None where its raw results are gone."""
    values = {"id": batch_id, "entry": orjson.dumps(entry).decode()}
    if await session.run("add_rerendered", values) == 0:
        return None
    for file in files:
        await file_rows.add(session, file)
    return await by_id(session, batch_id)


async def due(session: Session, now: int, limit: int) -> Sequence[Batch]:
    """Return batches whose own row is due: free ones first, then the longest due."""
    return [batch_of(row) for row in await session.all("due_batches", {"now": now, "limit": limit})]


async def validations(session: Session, now: int, limit: int) -> Sequence[Unread]:
    """Return batches that wait for their validation, some of each owner."""
    rows = await session.all("due_validations", {"now": now, "limit": limit})
    return [Unread(**row) for row in rows]


async def due_kinds(session: Session, now: int) -> frozenset[str]:
    """Name the kinds of rows of which one is due and free."""
    return frozenset(row["kind"] for row in await session.all("due_kinds", {"now": now}))


async def next_due(session: Session, after: int) -> int | None:
    """Tell when something becomes due next."""
    row = await session.one("next_due", {"after": after})
    earliest: int | None = None if row is None else row["due"]
    return earliest


async def recover(session: Session, now: int) -> None:
    """End the leases of a dead process."""
    await session.run("recover_batches", {"now": now})
