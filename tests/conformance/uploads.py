"""Rules of uploads that every store obeys; part of ``tests/conformance/store.py``."""

from typing import Any

import pytest

from gateway.batches.file import File, Segment
from gateway.batches.upload import Part, Upload, UploadStatus
from gateway.errors import InternalError
from gateway.ports.store import Seal, Store
from tests.conformance.records import OTHER, OWNER, a_file

HOUR = 3_600_000


def an_upload(name: str = "one", **fields: Any) -> Upload:
    """An upload just created."""
    values: dict[str, Any] = {
        "id": f"upload_{name}",
        "owner": OWNER,
        "purpose": "batch",
        "filename": "in.jsonl",
        "bytes": 300,
        "mime_type": "text/jsonl",
        "expires_after": 7_200,
        "created_at": 1_000,
        "expires_at": 1_000 + HOUR,
    }
    return Upload(**{**values, **fields})


def a_part(name: str, upload: str = "upload_one", size: int = 100) -> Part:
    """A part whose blob has its name."""
    return Part(f"part_{name}", upload, f"blob-{name}", size, "ab" * 32, 2_000)


async def with_parts(store: Store, *names: str, **fields: Any) -> Upload:
    """An upload that has parts."""
    upload = an_upload(**fields)
    await store.add_upload(upload)
    for name in names:
        await store.register_blob(f"blob-{name}", 1_500)
        assert await store.add_part(OWNER, a_part(name), 2_000)
    return upload


def made_of(*names: str) -> File:
    """A file of the blobs of parts."""
    return a_file(segments=tuple(Segment(f"blob-{name}", 100) for name in names))


class UploadRules:
    """An upload is pending, and then ends once: completed, cancelled or expired."""

    async def test_an_upload_comes_back_as_it_went_in(self, store: Store) -> None:
        upload = await with_parts(store)
        assert await store.get_upload(OWNER, upload.id) == upload
        assert await store.get_upload(OTHER, upload.id) is None

    async def test_parts_are_counted_and_their_blobs_live(self, store: Store) -> None:
        upload = await with_parts(store, "a", "b")
        found = await store.get_upload(OWNER, upload.id)
        assert found is not None
        assert (found.parts, found.received) == (2, 200)
        assert sorted(part.id for part in await store.parts_of(upload)) == ["part_a", "part_b"]
        assert await store.blob_seal("blob-a") == Seal(100, "ab" * 32)
        await store.forget_blobs(["blob-a"])
        assert await store.known_blobs(["blob-a"]) == {"blob-a"}

    async def test_a_part_of_bytes_that_were_swept_is_none(self, store: Store) -> None:
        upload = await with_parts(store)
        with pytest.raises(InternalError, match="not pending"):
            await store.add_part(OWNER, a_part("never"), 2_000)
        assert await store.get_upload(OWNER, upload.id) == upload

    async def test_only_a_pending_upload_of_the_owner_takes_parts(self, store: Store) -> None:
        upload = await with_parts(store)
        await store.register_blob("blob-a", 1_500)
        assert not await store.add_part(OTHER, a_part("a"), 2_000)
        assert not await store.add_part(OWNER, a_part("a"), upload.expires_at)
        await store.cancel_upload(OWNER, upload.id, 2_000)
        assert not await store.add_part(OWNER, a_part("a"), 2_000)
        assert await store.parts_of(upload) == []

    async def test_completing_takes_over_the_blobs_and_leaves_the_others(
        self, store: Store
    ) -> None:
        upload = await with_parts(store, "a", "b", "left")
        made = await store.complete_upload(upload, made_of("b", "a"), 3_000)
        assert made is not None
        assert await store.get_file(OWNER, made.id, 3_000) == made
        ended = await store.get_upload(OWNER, upload.id)
        assert ended is not None
        assert (ended.status, ended.file_id) == (UploadStatus.COMPLETED, made.id)
        assert await store.parts_of(upload) == []
        assert await store.sweepable_blobs(9_000, 10) == ["blob-left"]

    async def test_an_upload_ends_once(self, store: Store) -> None:
        upload = await with_parts(store, "a")
        assert await store.complete_upload(upload, made_of("a"), 3_000) is not None
        again = await store.complete_upload(upload, a_file("again"), 3_000)
        assert again is None
        assert await store.get_file(OWNER, "file-again", 3_000) is None
        cancelled = await store.cancel_upload(OWNER, upload.id, 3_000)
        assert cancelled is not None
        assert cancelled.status is UploadStatus.COMPLETED
        assert await store.expire_uploads(upload.expires_at, 10) == 0
        assert await store.sweepable_blobs(9_000, 10) == []

    async def test_cancelling_frees_the_blobs(self, store: Store) -> None:
        upload = await with_parts(store, "a")
        assert await store.cancel_upload(OTHER, upload.id, 3_000) is None
        cancelled = await store.cancel_upload(OWNER, upload.id, 3_000)
        assert cancelled is not None
        assert cancelled.status is UploadStatus.CANCELLED
        assert await store.cancel_upload(OWNER, upload.id, 3_000) == cancelled
        assert await store.complete_upload(upload, made_of("a"), 3_000) is None
        assert await store.sweepable_blobs(9_000, 10) == ["blob-a"]

    async def test_an_hour_ends_an_upload(self, store: Store) -> None:
        upload = await with_parts(store, "a")
        assert await store.expire_uploads(upload.expires_at - 1, 10) == 0
        assert await store.expire_uploads(upload.expires_at, 10) == 1
        ended = await store.get_upload(OWNER, upload.id)
        assert ended is not None
        assert ended.status is UploadStatus.EXPIRED
        assert await store.sweepable_blobs(upload.expires_at + 1, 10) == ["blob-a"]

    async def test_rows_of_ended_uploads_are_forgotten(self, store: Store) -> None:
        upload = await with_parts(store, "a")
        later = upload.expires_at + 1
        assert await store.forget_records(later, 10) == 0
        await store.cancel_upload(OWNER, upload.id, 3_000)
        assert await store.forget_records(later, 10) == 1
        assert await store.get_upload(OWNER, upload.id) is None
