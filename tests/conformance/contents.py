"""Rules of blobs that are kept in the records, for every store.

Their bytes come with the transaction that points at them: both are there after it, or neither.
"""

from dataclasses import replace
from typing import Final

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.file import File, Segment
from gateway.batches.job import JobState
from gateway.batches.limits import NO_LIMITS, Estimate, OverLimitError, OwnerLimits
from gateway.batches.response import ResponseStatus, StoredResponse
from gateway.batches.upload import Part
from gateway.ids import new_recorded_name
from gateway.ports.placing import sealed_content
from gateway.ports.store import BatchChangedError, BatchEnd, BlobChange, Seal, Store
from tests.conformance.moments import claim_batch_at, claim_job_at
from tests.conformance.records import (
    OWNER,
    a_file,
    a_job,
    claim,
    claim_job,
    claimed_batch,
)
from tests.conformance.uploads import with_parts

NOW: Final = 1_000
ALWAYS: Final = 2**60
EVERY_BYTE: Final = bytes(range(256)) * 64  # 16 KiB
SEAL: Final = sealed_content(EVERY_BYTE)


async def is_kept(store: Store, name: str, content: bytes = EVERY_BYTE) -> bool:
    """Whether its bytes are there, with their seal."""
    found, seal = await store.blob_content(name), await store.blob_seal(name)
    assert found in {None, content}
    assert seal in {None, sealed_content(content)}
    return found is not None and seal is not None


async def is_nowhere(store: Store, name: str) -> bool:
    """Whether there is neither a byte nor a row of it."""
    gone = await store.blob_content(name) is None and await store.blob_seal(name) is None
    return gone and await store.known_blobs([name]) == set()


async def is_live(store: Store, name: str) -> bool:
    """Whether no sweep takes it; one that is pending is gone by that."""
    swept = await store.sweepable_blobs(ALWAYS, 100)
    await store.forget_blobs([name])
    kept = await is_kept(store, name)
    assert kept is (name not in swept)
    assert kept is not await is_nowhere(store, name)
    return kept


def change_of(*names: str, live: bool = True) -> BlobChange:
    """Blobs that come with their bytes."""
    return BlobChange(live=names if live else (), seals=dict.fromkeys(names, SEAL))


def a_file_of(name: str, blob: str) -> File:
    """A file whose one blob is in the records."""
    segments = (Segment(blob, SEAL.bytes),)
    return a_file(name, bytes=SEAL.bytes, sha256=SEAL.sha256, segments=segments)


def a_response(blob: str) -> StoredResponse:
    """One that is stored with its answer."""
    return StoredResponse("resp_one", OWNER, blob, NOW, ALWAYS)


def a_part_of(blob: str) -> Part:
    """A part of ``upload_one``."""
    return Part(f"part_{blob}", "upload_one", blob, SEAL.bytes, SEAL.sha256, 2_000)


def a_waiting(blob: str) -> StoredResponse:
    """One that waits; asked for again it is the same."""
    return StoredResponse(
        "resp_one",
        OWNER,
        blob,
        NOW,
        9_000,
        status=ResponseStatus.QUEUED,
        queue="q",
        due_at=2_000,
        tokens=10,
        most=100,
        fingerprint=blob,
        idempotency_key="key",
    )


def ended(batch: Batch, output: str) -> BatchEnd:
    """The end of a batch, with a file whose blob is in the records."""
    return BatchEnd(replace(batch, status=BatchStatus.COMPLETED), [a_file_of("out", output)], [])


class ContentRules:
    """Bytes in the records are there with what points at them, and go when nothing does."""

    @pytest.mark.parametrize("content", [b"", b"\x00", EVERY_BYTE, EVERY_BYTE * 64])
    async def test_registered_bytes_are_there_and_pending(
        self, store: Store, content: bytes
    ) -> None:
        name, other = new_recorded_name(), new_recorded_name()
        seals = {name: sealed_content(content), other: SEAL, "file": Seal(2, "ab" * 32)}
        await store.register_blobs(seals, NOW)
        assert await is_kept(store, name, content)
        assert await is_kept(store, other)
        assert await store.blob_content("file") is None
        assert await store.known_blobs([*seals]) == set(seals)
        assert await store.sweepable_blobs(NOW, 9) == []
        assert set(await store.sweepable_blobs(NOW + 1, 9)) == set(seals)
        await store.forget_blobs([name])
        assert await is_nowhere(store, name)
        assert await is_kept(store, other)

    async def test_bytes_that_are_nowhere(self, store: Store) -> None:
        assert await store.blob_content(new_recorded_name()) is None

    async def test_bytes_come_with_a_batch(self, store: Store) -> None:
        live, pending, of_file = (new_recorded_name() for _ in range(3))
        batch = await claimed_batch(store)
        blobs = BlobChange(live=[live], seals=dict.fromkeys((live, pending, of_file), SEAL))
        jobs, files = [a_job(spool=live)], [a_file_of("out", of_file)]
        assert await store.save_batch(batch, jobs=jobs, files=files, blobs=blobs)
        assert [await is_kept(store, name) for name in (live, pending, of_file)] == [True] * 3
        assert await is_live(store, live)
        assert await is_live(store, of_file)
        assert not await is_live(store, pending)

    async def test_no_bytes_come_with_a_batch_that_others_hold(self, store: Store) -> None:
        name = new_recorded_name()
        batch = await claimed_batch(store)
        assert await claim_batch_at(store, batch.id, 90_000, 99_000) is not None
        assert not await store.save_batch(batch, blobs=change_of(name))
        assert await is_nowhere(store, name)

    async def test_no_bytes_come_with_a_batch_beyond_a_limit(self, store: Store) -> None:
        name = new_recorded_name()
        batch = await claimed_batch(store)
        begun = replace(batch, status=BatchStatus.IN_PROGRESS)
        within = (OwnerLimits(enqueued_tokens=1), Estimate(2, 0))
        with pytest.raises(OverLimitError):
            await store.save_batch(begun, jobs=[a_job()], blobs=change_of(name), within=within)
        assert await is_nowhere(store, name)
        assert await store.save_batch(begun, jobs=[a_job()], blobs=change_of(name))
        assert await is_live(store, name)

    async def test_bytes_come_with_a_job_and_go_with_the_next_sweep(self, store: Store) -> None:
        raw, run = new_recorded_name(), new_recorded_name()
        await store.save_batch(await claimed_batch(store), jobs=[a_job(due_at=1)])
        secured = replace(await claim_job(store, "one"), state=JobState.SECURED, raw=raw)
        assert await store.save_job(secured, blobs=change_of(raw))
        assert await is_live(store, raw)
        job = await claim_job(store, "one")
        change = BlobChange(live=[run], deletable=[raw], seals={run: SEAL})
        assert await store.save_job(replace(job, run=run), blobs=change)
        assert await is_live(store, run)
        assert await is_kept(store, raw), "a reader may have it still"
        assert await store.sweepable_blobs(ALWAYS, 9) == [raw]
        await store.forget_blobs([raw])
        assert await is_nowhere(store, raw)

    async def test_no_bytes_come_with_a_job_that_others_hold(self, store: Store) -> None:
        name = new_recorded_name()
        await store.save_batch(await claimed_batch(store), jobs=[a_job(due_at=1)])
        job = await claim_job(store, "one")
        assert await claim_job_at(store, "one", 90_000, 99_000) is not None
        assert not await store.save_job(job, blobs=change_of(name))
        assert await is_nowhere(store, name)

    async def test_bytes_come_with_the_end_of_a_batch(self, store: Store) -> None:
        """Not when the batch is another by then: they come again with the save after that."""
        raw, output = new_recorded_name(), new_recorded_name()
        begun = replace(await claimed_batch(store), status=BatchStatus.IN_PROGRESS, due_at=None)
        await store.save_batch(begun, jobs=[a_job(due_at=1)])
        job = replace(await claim_job(store, "one"), state=JobState.COLLECTED, raw=raw)
        blobs = BlobChange(live=[raw], seals={raw: SEAL, output: SEAL})
        held = await claim(store, "batch_one")
        with pytest.raises(BatchChangedError):
            await store.save_job(job, blobs=blobs, ends=ended(held, output))
        assert await is_nowhere(store, raw)
        assert await is_nowhere(store, output)
        assert await store.save_batch(held)
        work = await store.load_work("batch_one")
        assert work is not None
        assert await store.save_job(job, blobs=blobs, ends=ended(work.batch, output))
        assert await is_live(store, raw)
        assert await is_live(store, output)

    async def test_bytes_come_with_a_file_and_go_with_it(self, store: Store) -> None:
        name = new_recorded_name()
        added = await store.add_file(a_file_of("one", name), EVERY_BYTE)
        assert await is_live(store, name)
        await store.delete_file(OWNER, added.id, 2_000)
        assert await is_kept(store, name)
        assert not await is_live(store, name)

    async def test_a_file_of_no_bytes(self, store: Store) -> None:
        name, seal = new_recorded_name(), sealed_content(b"")
        file = replace(a_file_of("one", name), bytes=0, sha256=seal.sha256)
        await store.add_file(replace(file, segments=(Segment(name, 0),)), b"")
        assert await store.blob_content(name) == b""
        assert await store.blob_seal(name) == seal

    async def test_bytes_come_with_a_part_and_stay_with_the_file(self, store: Store) -> None:
        upload = await with_parts(store)
        used, left = new_recorded_name(), new_recorded_name()
        for blob in (used, left):
            assert await store.add_part(OWNER, a_part_of(blob), 2_000, EVERY_BYTE)
        assert await is_live(store, used)
        assert await is_live(store, left)
        assert await store.complete_upload(upload, a_file_of("made", used), 3_000) is not None
        assert await is_live(store, used)
        assert not await is_live(store, left)

    async def test_no_bytes_come_with_a_part_of_an_ended_upload(self, store: Store) -> None:
        upload = await with_parts(store)
        late, refused = new_recorded_name(), new_recorded_name()
        assert not await store.add_part(OWNER, a_part_of(late), upload.expires_at, EVERY_BYTE)
        await store.cancel_upload(OWNER, upload.id, 2_000)
        assert not await store.add_part(OWNER, a_part_of(refused), 2_000, EVERY_BYTE)
        assert await is_nowhere(store, late)
        assert await is_nowhere(store, refused)

    async def test_bytes_come_with_a_response_and_go_with_it(self, store: Store) -> None:
        name = new_recorded_name()
        await store.add_response(a_response(name), SEAL)
        assert await is_live(store, name)
        assert await store.delete_response(OWNER, "resp_one", 2_000)
        assert await is_kept(store, name)
        assert not await is_live(store, name)

    async def test_a_response_of_no_bytes(self, store: Store) -> None:
        name = new_recorded_name()
        await store.add_response(a_response(name), sealed_content(b""))
        assert await store.blob_content(name) == b""

    async def test_bytes_come_with_a_queued_response(self, store: Store) -> None:
        """Not with one that is asked for again, nor with one beyond a limit."""
        first, again, beyond = (new_recorded_name() for _ in range(3))
        row = a_waiting(first)
        assert await store.queue_response(row, SEAL, same_since=0, within=NO_LIMITS) == row
        same = replace(a_waiting(again), id="resp_again")
        assert await store.queue_response(same, SEAL, same_since=0, within=NO_LIMITS) == row
        other = replace(a_waiting(beyond), id="resp_beyond", idempotency_key="other")
        limits = replace(NO_LIMITS, enqueued_tokens=1)
        with pytest.raises(OverLimitError):
            await store.queue_response(other, SEAL, same_since=0, within=limits)
        assert await is_live(store, first)
        assert await is_nowhere(store, again)
        assert await is_nowhere(store, beyond)

    async def test_bytes_come_with_a_finished_response(self, store: Store) -> None:
        """Those of its request go; a second answer is none."""
        asked, answer, second = (new_recorded_name() for _ in range(3))
        row = await store.queue_response(a_waiting(asked), SEAL, same_since=0, within=NO_LIMITS)
        done = replace(row, status=ResponseStatus.COMPLETED, blob=answer, expires_at=ALWAYS)
        assert await store.finish_response(done, SEAL) is not None
        assert await is_live(store, answer)
        assert not await is_live(store, asked)
        assert await store.finish_response(replace(done, blob=second), SEAL) is None
        assert await is_nowhere(store, second)
        assert await is_kept(store, answer)
