"""Transactions over files."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from gateway.batches.file import File
from gateway.ports.store import Deletion, Page, Seal
from gateway.store import blobs, retention
from gateway.store.columns import file_of, file_values
from gateway.store.session import Session

# Before the first and after the last row of a list.
FIRST, LAST = 0, 2**63 - 1

# Of these purposes no line can name a file; as the query ``expired_files`` has them.
NEVER_NAMED: Final = frozenset({"batch", "batch_output"})


async def add(session: Session, file: File, content: bytes | None = None) -> File:
    """Insert a row; the blobs it points at go live. The answer carries ``seq``.

    ``content``: the bytes of its one blob, if they are kept in the records.
    """
    file = await insert(session, file)
    if content is not None:
        [segment] = file.segments
        seal = Seal(file.bytes, file.sha256, content)
        await blobs.register(session, segment.blob, file.created_at, seal)
    await blobs.activate(session, (segment.blob for segment in file.segments))
    return file


async def insert(session: Session, file: File) -> File:
    """Insert a row over blobs that are live already. The answer carries ``seq``."""
    await session.number_in_order(file.owner)
    row = await session.the("insert_file", file_values(file))
    return replace(file, seq=row["seq"])


async def current(session: Session, owner: str, file_id: str, now: int) -> File | None:
    """Return a file that is neither deleted nor expired."""
    row = await session.one("current_file", {"owner": owner, "id": file_id, "now": now})
    return None if row is None else file_of(row)


async def page(
    session: Session,
    owner: str,
    now: int,
    *,
    limit: int,
    after: str | None,
    purpose: str | None,
    ascending: bool,
) -> Page[File] | None:
    """Return a stretch of the list, one row more read than shown."""
    start = FIRST if ascending else LAST
    if after is not None:
        row = await session.one("owned_file", {"owner": owner, "id": after})
        if row is None:
            return None
        start = row["seq"]
    query = "files" if purpose is None else "files_of_purpose"
    query += "_oldest_first" if ascending else "_newest_first"
    rows = await session.all(
        query,
        {"owner": owner, "now": now, "purpose": purpose, "after": start, "limit": limit + 1},
    )
    return Page([file_of(row) for row in rows[:limit]], has_more=len(rows) > limit)


async def delete(session: Session, owner: str, file_id: str, now: int) -> Deletion:
    """Leave a tombstone, unless a live batch reads the file."""
    file = await current(session, owner, file_id, now)
    if file is None:
        return Deletion.MISSING
    nameable = file.purpose not in NEVER_NAMED
    values = {"id": file_id, "owner": owner, "nameable": nameable}
    if await session.one("file_is_read", values) is not None:
        return Deletion.IN_USE
    await _bury(session, file, now)
    return Deletion.DELETED


async def expire(session: Session, now: int, limit: int) -> int:
    """Delete files past their expiry that no live batch reads."""
    expired = [
        file_of(row) for row in await session.all("expired_files", {"now": now, "limit": limit})
    ]
    for file in expired:
        await _bury(session, file, now)
    return len(expired)


async def input_of(session: Session, batch_id: str) -> File | None:
    """Return the input file of a batch, deleted or not."""
    row = await session.one("input_file", {"id": batch_id})
    return None if row is None else file_of(row)


async def _bury(session: Session, file: File, now: int) -> None:
    await session.run("delete_file", {"id": file.id, "now": now})
    await blobs.mark_deletable(session, (segment.blob for segment in file.segments), now)
    await retention.drop_unread_raw(session, file.id, now)


async def by_id(session: Session, file_id: str) -> File | None:
    """Return a file that is not deleted."""
    row = await session.one("file_by_id", {"id": file_id})
    return None if row is None else file_of(row)


async def remove(session: Session, file_id: str, now: int) -> None:
    """Remove a file that no client knows of."""
    file = await by_id(session, file_id)
    if file is not None:
        await _bury(session, file, now)


async def owners(session: Session) -> Mapping[str, tuple[int, int]]:
    """Return every owner, with how many files and batches it has."""
    return {row["owner"]: (row["files"], row["batches"]) for row in await session.all("owners")}
