"""Transactions over uploads and their parts."""

from collections.abc import Sequence
from dataclasses import replace

from gateway.batches.file import File
from gateway.batches.upload import Part, Upload, UploadStatus
from gateway.ports.store import Seal
from gateway.store import blobs, files
from gateway.store.columns import part_of, part_values, upload_of, upload_values
from gateway.store.session import Session


async def add(session: Session, upload: Upload) -> None:
    """Insert a row."""
    await session.run("insert_upload", upload_values(upload))


async def owned(session: Session, owner: str, upload_id: str) -> Upload | None:
    """Return one upload."""
    row = await session.one("owned_upload", {"owner": owner, "id": upload_id})
    return None if row is None else upload_of(row)


async def add_part(
    session: Session, owner: str, part: Part, now: int, content: bytes | None
) -> bool:
    """Insert a part of a pending upload; its blob goes live, sealed."""
    values = {"owner": owner, "id": part.upload_id, "bytes": part.bytes, "now": now}
    if await session.run("count_part", values) == 0:
        return False
    await session.run("insert_part", part_values(part))
    await blobs.take(session, part.blob, Seal(part.bytes, part.sha256, content), now)
    return True


async def parts(session: Session, upload_id: str) -> Sequence[Part]:
    """Return every part of an upload that has not ended, in any order."""
    return [part_of(row) for row in await session.all("parts_of_upload", {"id": upload_id})]


async def complete(session: Session, upload: Upload, file: File, now: int) -> File | None:
    """Insert the file of a pending upload over blobs that are live already."""
    if not await _end(session, upload, UploadStatus.COMPLETED, file.id):
        return None
    added = await files.insert(session, file)
    await _release(session, upload, now, {segment.blob for segment in file.segments})
    return added


async def cancel(session: Session, owner: str, upload_id: str, now: int) -> Upload | None:
    """Cancel a pending upload; its bytes become deletable."""
    upload = await owned(session, owner, upload_id)
    if upload is not None and upload.status_at(now) is UploadStatus.PENDING:
        await _end(session, upload, UploadStatus.CANCELLED)
        await _release(session, upload, now)
        return replace(upload, status=UploadStatus.CANCELLED)
    return upload


async def expire(session: Session, now: int, limit: int) -> int:
    """End pending uploads whose hour is over; their bytes become deletable."""
    rows = await session.all("expired_uploads", {"now": now, "limit": limit})
    for upload in map(upload_of, rows):
        await _end(session, upload, UploadStatus.EXPIRED)
        await _release(session, upload, now)
    return len(rows)


async def forget(session: Session, before: int, limit: int) -> int:
    """Remove rows of uploads that ended before a time."""
    rows = await session.all("uploads_outlived", {"before": before, "limit": limit})
    for row in rows:
        await session.run("remove_upload", {"id": row["id"]})
    return len(rows)


async def _end(
    session: Session, upload: Upload, status: UploadStatus, file_id: str | None = None
) -> bool:
    values = {"owner": upload.owner, "id": upload.id, "status": status.value, "file_id": file_id}
    return await session.run("end_upload", values) == 1


async def _release(
    session: Session, upload: Upload, now: int, kept: frozenset[str] | set[str] = frozenset()
) -> None:
    """Remove the rows of parts; blobs that no file has taken over become deletable."""
    left = [part.blob for part in await parts(session, upload.id) if part.blob not in kept]
    await blobs.mark_deletable(session, left, now)
    await session.run("remove_parts", {"id": upload.id})
