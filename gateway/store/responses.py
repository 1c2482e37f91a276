"""Transactions over stored answers of ``/v1/responses``, and those that are made in the background.

An answer in the background waits for its window to end, goes into a batch with others, and is
written when that has ended. It becomes ``completed``, ``failed``, ``incomplete`` or ``cancelled``
once, in :func:`_ended`.
"""

from collections.abc import Mapping, Sequence

from gateway.batches.batch import Batch
from gateway.batches.file import File
from gateway.batches.limits import Estimate, OwnerLimits
from gateway.batches.response import (
    UNFINISHED,
    DueQueue,
    ResponseStatus,
    StoredResponse,
    WaitingQueue,
)
from gateway.ports.store import Seal
from gateway.store import blobs, files, webhooks
from gateway.store import limits as limit_sums
from gateway.store.columns import batch_of, batch_values, response_of, response_values
from gateway.store.session import Row, Session


async def add(session: Session, response: StoredResponse, seal: Seal) -> None:
    """Insert a row; its blob goes live, sealed."""
    await session.run("insert_response", response_values(response))
    await blobs.take(session, response.blob, seal, response.created_at)


async def queue(
    session: Session, response: StoredResponse, seal: Seal, since: int, within: OwnerLimits
) -> StoredResponse:
    """Insert one that waits, or return the one that is asked for again; OverLimitError."""
    now = response.created_at
    same = await _same(session, response, since)
    if same is not None:
        values = {"id": same["id"], "tries": response.tries}
        await session.run("note_response_tried", values)
        found = await owned(session, response.owner, str(same["id"]), now)
        if found is not None:
            return found
        await _remove(session, same, now)  # it has expired, and still has the key
    estimate = Estimate(response.tokens, response.most)
    await limit_sums.check_request(session, response.owner, estimate, within, now)
    await add(session, response, seal)
    return response


async def _same(session: Session, response: StoredResponse, since: int) -> Row | None:
    if response.idempotency_key is not None:
        key = {"owner": response.owner, "idempotency_key": response.idempotency_key}
        return await session.one("response_of_key", key)
    if response.tries:
        values = {**response_values(response), "since": since}
        return await session.one("response_alike", values)
    return None


async def owned(session: Session, owner: str, response_id: str, now: int) -> StoredResponse | None:
    """Return one that has not expired."""
    row = await session.one("owned_response", {"owner": owner, "id": response_id, "now": now})
    return None if row is None else response_of(row)


async def note_used(session: Session, owner: str, response_id: str, now: int) -> None:
    """Note that a client has the id."""
    await session.run("note_response_used", {"owner": owner, "id": response_id, "now": now})


async def delete(session: Session, owner: str, response_id: str, now: int) -> bool:
    """Remove one, its blob deletable; False when there is none. Nothing is sent for it alone."""
    found = await owned(session, owner, response_id, now)
    if found is None:
        return False
    await _remove(session, {"id": found.id, "blob": found.blob}, now)
    await _cancel_unwanted(session, found, now)
    return True


async def _remove(session: Session, row: Row, now: int) -> None:
    await session.run("remove_response", {"id": row["id"]})
    await blobs.mark_deletable(session, [row["blob"]], now)


async def cancel(session: Session, owner: str, response_id: str, now: int) -> StoredResponse | None:
    """Cancel one that is made in the background, unless it has ended; as it is now."""
    found = await owned(session, owner, response_id, now)
    if found is None or found.status not in UNFINISHED:
        return found
    await session.run("cancel_response", {"owner": owner, "id": response_id})
    await _cancel_unwanted(session, found, now)
    await _ended(session, found, ResponseStatus.CANCELLED, now)
    return await owned(session, owner, response_id, now)


async def _cancel_unwanted(session: Session, response: StoredResponse, now: int) -> None:
    """Cancel the batch of a response when no other is waiting for it."""
    if response.batch_id is None or not response.is_open:
        return
    if await session.one("wanted_of_batch", {"batch_id": response.batch_id}) is None:
        values = {"owner": response.owner, "id": response.batch_id, "now": now}
        await session.run("request_cancel", values)
        await session.ring()


async def expire(session: Session, now: int, limit: int) -> int:
    """Remove those whose time is over; how many."""
    rows = await session.all("expired_responses", {"now": now, "limit": limit})
    for row in rows:
        await _remove(session, row, now)
    return len(rows)


async def due_queues(session: Session, now: int, limit: int) -> Sequence[DueQueue]:
    """Return queues whose window has ended."""
    rows = await session.all("due_queues", {"now": now, "limit": limit})
    return [DueQueue(**row) for row in rows]


async def waiting_queues(session: Session, owner: str, limit: int) -> Sequence[WaitingQueue]:
    """Return what of an owner's waits to be sent."""
    rows = await session.all("waiting_queues", {"owner": owner, "limit": limit})
    return [WaitingQueue(**row) for row in rows]


async def newest_batches(session: Session, owner: str, limit: int) -> Sequence[Batch]:
    """Return an owner's batches of such responses."""
    rows = await session.all("backgrounds_newest_first", {"owner": owner, "limit": limit})
    return [batch_of(row) for row in rows]


async def live_batches(session: Session) -> Mapping[str, int]:
    """Count the batches of such responses that have not ended, by owner."""
    return {row["owner"]: row["batches"] for row in await session.all("live_backgrounds")}


async def waiting(session: Session, queue: str, limit: int) -> Sequence[StoredResponse]:
    """Return the oldest of a queue."""
    rows = await session.all("waiting_responses", {"queue": queue, "limit": limit})
    return [response_of(row) for row in rows]


async def collect(
    session: Session, batch: Batch, file: File, taken: Sequence[StoredResponse]
) -> bool:
    """Insert a batch, due at once, of the oldest of a queue, if they are these and no others."""
    values = {**response_values(taken[-1]), "batch_id": batch.id}
    oldest = {row["id"] for row in await session.all("waiting_until", values)}
    if oldest != {row.id for row in taken}:
        return False
    await files.add(session, file)
    await session.run("insert_batch", {**batch_values(batch), "due_at": batch.created_at})
    await session.run("collect_waiting", values)
    await session.ring()
    return True


async def undelivered(session: Session, limit: int) -> Sequence[Batch]:
    """Return batches that have ended and whose answers are not written."""
    rows = await session.all("undelivered_batches", {"limit": limit})
    return [batch_of(row) for row in rows]


async def partly_collected(session: Session, limit: int) -> Sequence[Batch]:
    """Return live batches some of whose jobs are collected while others are not."""
    rows = await session.all("partly_collected", {"limit": limit})
    return [batch_of(row) for row in rows]


async def of_batch(session: Session, batch_id: str) -> Sequence[StoredResponse]:
    """Return those of a batch's responses whose answers are not written."""
    rows = await session.all("responses_of_batch", {"batch_id": batch_id})
    return [response_of(row) for row in rows]


async def finish(
    session: Session, response: StoredResponse, seal: Seal, now: int
) -> ResponseStatus | None:
    """Write the end of one that is open, and return its status then; None of any other.

    A cancelled one stays that, and has its answer.
    """
    row = await session.one("open_response", {"id": response.id})
    if row is None:
        return None
    before = response_of(row)
    await session.run("finish_response", response_values(response))
    await blobs.take(session, response.blob, seal, now)
    await blobs.mark_deletable(session, [before.blob], now)
    if before.status is not ResponseStatus.QUEUED:
        return before.status
    await _ended(session, response, response.status, now)
    return response.status


async def _ended(
    session: Session, response: StoredResponse, status: ResponseStatus, now: int
) -> None:
    """Do what belongs to the end of a response, in its transaction: once for each."""
    await webhooks.announce_response(session, response, status, now)


async def release(session: Session, batch: Batch, now: int) -> None:
    """Note that a batch's answers are written; its files go, they were for nothing else."""
    if await session.run("note_delivered", {"id": batch.id, "now": now}) == 0:
        return
    written = list(batch.written.values())
    for entry in batch.rerendered:
        written += [value for name, value in entry.items() if name.endswith("_file_id")]
    for file_id in filter(None, (batch.input_file_id, *written)):
        await files.remove(session, file_id, now)
