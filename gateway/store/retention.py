"""Retention: what outlives the end of a batch, and when it goes."""

from gateway.store import blobs, uploads
from gateway.store.session import Session


async def expire_raw(session: Session, now: int, limit: int) -> int:
    """Release raw results and hints whose time is over; return of how many batches."""
    rows = await session.all("raw_outlived", {"now": now, "limit": limit})
    for row in rows:
        await _drop_raw(session, row["id"], now)
    return len(rows)


async def drop_unread_raw(session: Session, file_id: str, now: int) -> None:
    """Drop raw results once all that a batch wrote is deleted: they hold the same answers."""
    for row in await session.all("raw_unread", {"file_id": file_id}):
        await _drop_raw(session, row["id"], now)


async def _drop_raw(session: Session, batch_id: str, now: int) -> None:
    rows = await session.all("raw_of_batch", {"id": batch_id})
    await blobs.mark_deletable(session, [row["blob"] for row in rows], now)
    await session.run("forget_raw", {"id": batch_id})
    await session.run("forget_raw_of_jobs", {"id": batch_id})


async def forget_records(session: Session, before: int, limit: int) -> int:
    """Remove rows of what ended, files' tombstones and events told, before a time."""
    values = {"before": before, "limit": limit}
    batches = await session.all("batches_outlived", values)
    for row in batches:
        await _drop_raw(session, row["id"], before)  # results that came late, say
        await session.run("remove_jobs", {"id": row["id"]})
        await session.run("remove_batch", {"id": row["id"]})
    files = await session.all("tombstones_outlived", values)
    for row in files:
        await session.run("remove_file", {"id": row["id"]})
    others = await uploads.forget(session, before, limit)
    await session.run("single_costs_outlived", {"before": before})
    others += await session.run("webhook_deliveries_outlived", values)
    return len(batches) + len(files) + others
