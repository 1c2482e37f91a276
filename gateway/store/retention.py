"""Retention: what outlives the end of a batch, and when it goes."""

from gateway.store import blobs
from gateway.store.session import Session


def expire_raw(session: Session, now: int, limit: int) -> int:
    """Release raw results and hints whose time is over; return of how many batches."""
    rows = session.all("raw_outlived", {"now": now, "limit": limit})
    for row in rows:
        _drop_raw(session, row["id"], now)
    return len(rows)


def drop_unread_raw(session: Session, file_id: str, now: int) -> None:
    """Whoever deletes what a batch wrote wants its answers gone: raw results hold them too."""
    for row in session.all("raw_unread", {"file_id": file_id}):
        _drop_raw(session, row["id"], now)


def _drop_raw(session: Session, batch_id: str, now: int) -> None:
    rows = session.all("raw_of_batch", {"id": batch_id})
    blobs.mark_deletable(session, [row["blob"] for row in rows], now)
    session.run("forget_raw", {"id": batch_id})
    session.run("forget_raw_of_jobs", {"id": batch_id})


def forget_records(session: Session, before: int, limit: int) -> int:
    """Remove rows of batches that ended, and tombstones of files deleted, before a time."""
    values = {"before": before, "limit": limit}
    batches = session.all("batches_outlived", values)
    for row in batches:
        _drop_raw(session, row["id"], before)  # results that came late, say
        session.run("remove_jobs", {"id": row["id"]})
        session.run("remove_batch", {"id": row["id"]})
    files = session.all("tombstones_outlived", values)
    for row in files:
        session.run("remove_file", {"id": row["id"]})
    return len(batches) + len(files)
