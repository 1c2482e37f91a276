"""Rules every store obeys; ``tests/store/`` runs them on each implementation.

A test class inherits :class:`StoreRules` and has a fixture ``store``: an open, empty store.
"""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.batches.admission import Sent
from gateway.batches.batch import (
    LIVE_STATUSES,
    Batch,
    BatchError,
    BatchStatus,
    Counts,
    TokenUsage,
)
from gateway.batches.file import Segment
from gateway.batches.job import Cause, Failure, Job, JobState
from gateway.batches.outlook import ModelQueue
from gateway.batches.quota import Quota
from gateway.errors import InternalError
from gateway.ports.store import BatchChangedError, BatchEnd, BlobChange, Deletion, Kind, Store, Work
from tests.conformance.admission import AdmissionRules
from tests.conformance.background import BackgroundRules
from tests.conformance.contents import ContentRules
from tests.conformance.keys import KeyRules
from tests.conformance.limits import LimitRules
from tests.conformance.moments import at, claim_batch_at, claim_job_at
from tests.conformance.records import (
    OTHER,
    OWNER,
    a_batch,
    a_file,
    a_job,
    add_file_with_blob,
    claim,
    claim_job,
    claimed_batch,
    make_live,
)
from tests.conformance.rescue import RescueCallRules
from tests.conformance.responses import ResponseRules
from tests.conformance.reuse import ReuseRules
from tests.conformance.staging import StagingRules
from tests.conformance.uploads import UploadRules
from tests.conformance.webhooks import WebhookRules

LATER = 10_000_000
TERMINAL = [status for status in BatchStatus if status not in LIVE_STATUSES]


async def due_ids(store: Store, now: int, limit: int = 100) -> list[str]:
    """Ids of batches with something due: their own rows first, each kind in its order."""
    found = [work.batch.id for work in await store.due_batches(now, limit)]
    found += [each.batch_id for each in await store.due_validations(now, limit)]
    for state in JobState:
        found += [work.batch.id for work in await store.due_jobs(state, now, limit)]
    return list(dict.fromkeys(found))


async def load(store: Store, batch_id: str = "batch_one") -> Work:
    """Work that must be there."""
    work = await store.load_work(batch_id)
    assert work is not None
    return work


async def queues_of(store: Store, batch_id: str, owner: str = OWNER) -> list[ModelQueue]:
    """What the jobs of a batch wait for; it comes with the batch as any read has it."""
    found = await store.get_batch_and_queues(owner, batch_id)
    assert found is not None
    batch, queues = found
    assert batch == await store.get_batch(owner, batch_id)
    return list(queues)


async def collect(store: Store, job_id: str) -> None:
    """Save a job as collected."""
    job = await claim_job(store, job_id)
    assert await store.save_job(replace(job, state=JobState.COLLECTED))


class BlobRules:
    """Names go from pending to live to deletable to forgotten."""

    async def test_pending_blobs_are_sweepable_when_old(self, store: Store) -> None:
        await store.register_blob("old", 1_000)
        await store.register_blob("new", 2_000)
        assert await store.sweepable_blobs(2_000, 10) == ["old"]

    async def test_what_is_being_written_may_have_longer(self, store: Store) -> None:
        """A long upload is no garbage; what was deletable meanwhile is."""
        await add_file_with_blob(store)
        await store.delete_file(OWNER, "file-one", 2_000)
        await store.register_blob("slow", 1_000)
        assert await store.sweepable_blobs(9_000, 10, pending_before=1_000) == ["blob-one"]
        swept = await store.sweepable_blobs(9_000, 10, pending_before=1_001)
        assert sorted(swept) == ["blob-one", "slow"]

    async def test_a_live_blob_is_not_sweepable(self, store: Store) -> None:
        await make_live(store, "used")
        assert await store.sweepable_blobs(LATER, 10) == []

    async def test_a_deletable_blob_is_sweepable_from_then_on(self, store: Store) -> None:
        await add_file_with_blob(store)
        await store.delete_file(OWNER, "file-one", 5_000)
        assert await store.sweepable_blobs(5_000, 10) == []
        assert await store.sweepable_blobs(5_001, 10) == ["blob-one"]

    async def test_a_blob_made_deletable_twice_keeps_the_first_time(self, store: Store) -> None:
        await add_file_with_blob(store)
        await store.delete_file(OWNER, "file-one", 5_000)
        batch = await claimed_batch(store, "two")
        await store.save_batch(batch, blobs=BlobChange(deletable=["blob-one"]))
        assert await store.sweepable_blobs(5_001, 10) == ["blob-one"]

    async def test_what_is_sweepable_can_no_longer_go_live(self, store: Store) -> None:
        """Else a slow upload could point at bytes that are being removed."""
        await store.register_blob("slow", 1_000)
        assert await store.sweepable_blobs(2_000, 10) == ["slow"]
        with pytest.raises(InternalError, match="slow"):
            await store.add_file(a_file(segments=(Segment("slow", 1),)))

    async def test_sweepable_takes_at_most_the_limit(self, store: Store) -> None:
        for number in range(5):
            await store.register_blob(f"blob-{number}", number)
        assert len(await store.sweepable_blobs(LATER, 2)) == 2

    async def test_forgotten_blobs_have_no_row(self, store: Store) -> None:
        await store.register_blob("gone", 1_000)
        await store.register_blob("kept", 1_000)
        await store.forget_blobs(["gone", "never-there"])
        assert await store.known_blobs(["gone", "kept", "never-there"]) == {"kept"}

    async def test_a_live_blob_is_not_forgotten(self, store: Store) -> None:
        await make_live(store, "used")
        await store.forget_blobs(["used"])
        assert await store.known_blobs(["used"]) == {"used"}

    async def test_known_blobs_of_no_names(self, store: Store) -> None:
        assert await store.known_blobs([]) == set()

    async def test_pointing_at_an_unregistered_blob_fails_the_whole_write(
        self, store: Store
    ) -> None:
        with pytest.raises(InternalError, match="nowhere"):
            await store.add_file(a_file(segments=(Segment("nowhere", 1),)))
        assert await store.get_file(OWNER, "file-one", 1_000) is None


class FileRules:
    """Files belong to an owner, end by deletion or expiry, and leave a tombstone."""

    async def test_a_file_comes_back_as_it_went_in(self, store: Store) -> None:
        await store.register_blob("first", 1)
        await store.register_blob("second", 1)
        segments = (Segment("first", 600), Segment("second", 400))
        file = a_file(segments=segments, expires_at=9_000, filename='a "\u00e9\u2028\U0001f600".x')
        added = await store.add_file(file)
        assert replace(added, seq=0) == file
        assert added.seq > 0
        assert await store.get_file(OWNER, file.id, 1_000) == added

    async def test_another_owner_finds_no_file(self, store: Store) -> None:
        await add_file_with_blob(store)
        assert await store.get_file(OTHER, "file-one", 1_000) is None
        assert await store.delete_file(OTHER, "file-one", 1_000) is Deletion.MISSING
        assert await store.list_files(OTHER, 1_000, limit=10, after="file-one") is None
        page = await store.list_files(OTHER, 1_000, limit=10)
        assert page is not None
        assert page.data == []

    async def test_a_file_expires_at_its_moment(self, store: Store) -> None:
        await store.add_file(a_file(expires_at=2_000))
        assert await store.get_file(OWNER, "file-one", 1_999) is not None
        assert await store.get_file(OWNER, "file-one", 2_000) is None
        page = await store.list_files(OWNER, 2_000, limit=10)
        assert page is not None
        assert page.data == []
        assert await store.delete_file(OWNER, "file-one", 2_000) is Deletion.MISSING

    @pytest.mark.parametrize("ascending", [True, False])
    @pytest.mark.parametrize("purpose", [None, "batch"])
    async def test_pages_cover_the_list_once_in_order(
        self, store: Store, purpose: str | None, ascending: bool
    ) -> None:
        for number in range(7):
            await store.add_file(a_file(f"{number}"))
            await store.add_file(a_file(f"other-{number}", owner=OTHER))
            if purpose is not None:
                await store.add_file(a_file(f"output-{number}", purpose="batch_output"))
        seen: list[str] = []
        more, after = True, None
        while more:
            page = await store.list_files(
                OWNER, 1_000, limit=3, after=after, purpose=purpose, ascending=ascending
            )
            assert page is not None
            seen += [file.id for file in page.data]
            more, after = page.has_more, seen[-1]
        numbers = range(7) if ascending else reversed(range(7))
        assert seen == [f"file-{number}" for number in numbers]

    async def test_a_full_last_page_has_no_more(self, store: Store) -> None:
        for number in range(4):
            await store.add_file(a_file(f"{number}"))
        page = await store.list_files(OWNER, 1_000, limit=2, after="file-2")
        assert page is not None
        assert [file.id for file in page.data] == ["file-1", "file-0"]
        assert not page.has_more

    @pytest.mark.parametrize("ascending", [True, False])
    async def test_a_cursor_may_name_a_deleted_file(self, store: Store, ascending: bool) -> None:
        for number in range(3):
            await store.add_file(a_file(f"{number}"))
        await store.delete_file(OWNER, "file-1", 1_000)
        page = await store.list_files(OWNER, 1_000, limit=9, after="file-1", ascending=ascending)
        assert page is not None
        assert [file.id for file in page.data] == ["file-2" if ascending else "file-0"]

    async def test_an_unknown_file_as_a_cursor(self, store: Store) -> None:
        assert await store.list_files(OWNER, 1_000, limit=9, after="file-never") is None

    async def test_a_deleted_file_is_missing(self, store: Store) -> None:
        await add_file_with_blob(store)
        assert await store.delete_file(OWNER, "file-one", 2_000) is Deletion.DELETED
        assert await store.get_file(OWNER, "file-one", 2_000) is None
        assert await store.delete_file(OWNER, "file-one", 2_000) is Deletion.MISSING

    @pytest.mark.parametrize("status", list(BatchStatus))
    async def test_a_file_a_live_batch_reads_stays(self, store: Store, status: BatchStatus) -> None:
        batch = await claimed_batch(store)
        assert await store.save_batch(replace(batch, status=status))
        deletion = await store.delete_file(OWNER, batch.input_file_id, 2_000)
        assert deletion is (Deletion.IN_USE if status in LIVE_STATUSES else Deletion.DELETED)

    async def test_what_a_batch_may_name_stays_until_it_is_validated(self, store: Store) -> None:
        batch = await claimed_batch(store)
        for purpose in ("user_data", "batch"):
            await add_file_with_blob(store, purpose, purpose=purpose, expires_at=2_000)
            await add_file_with_blob(store, f"of-{purpose}", purpose=purpose, owner=OTHER)
        assert await store.delete_file(OWNER, "file-user_data", 1_500) is Deletion.IN_USE
        assert await store.delete_file(OTHER, "file-of-user_data", 1_500) is Deletion.DELETED
        assert await store.expire_files(3_000, 10) == 1
        assert await store.save_batch(replace(batch, status=BatchStatus.IN_PROGRESS))
        assert await store.expire_files(3_000, 10) == 1

    async def test_expiry_deletes_what_no_live_batch_reads(self, store: Store) -> None:
        await add_file_with_blob(store, expires_at=2_000)
        await add_file_with_blob(store, "two", expires_at=2_000)
        await add_file_with_blob(store, "later", expires_at=2_001)
        await add_file_with_blob(store, "never")
        await store.add_batch(a_batch())
        assert await store.expire_files(2_000, 10) == 1
        assert await store.expire_files(2_000, 10) == 0
        assert await store.sweepable_blobs(LATER, 10) == ["blob-two"]
        batch = await claim(store, "batch_one")
        await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        assert await store.expire_files(2_000, 10) == 1

    async def test_files_in_use_do_not_fill_the_limit_of_an_expiry(self, store: Store) -> None:
        await add_file_with_blob(store, expires_at=2_000)
        await store.add_batch(a_batch())
        await add_file_with_blob(store, "two", expires_at=2_001)
        assert await store.expire_files(3_000, 1) == 1

    async def test_a_batch_keeps_the_name_of_a_deleted_output(self, store: Store) -> None:
        batch = await claimed_batch(store)
        done = replace(batch, status=BatchStatus.COMPLETED, output_file_id="file-out")
        assert await store.save_batch(done, files=[a_file("out", purpose="batch_output")])
        assert await store.delete_file(OWNER, "file-out", 2_000) is Deletion.DELETED
        assert (await load(store)).batch.output_file_id == "file-out"


class BatchRules:
    """Batches as requests see them."""

    async def test_a_batch_comes_back_as_it_went_in_and_is_due(self, store: Store) -> None:
        await store.add_file(a_file())
        batch = a_batch(
            metadata={"customer": "\u00e9\u2028"},
            output_expires_after=3_600,
            policy={"aliases": {"a": ["b", 1, None, True]}},
            model="gemini-9",
            idempotency_key="again",
            fingerprint="f" * 64,
        )
        added = await store.add_batch(batch)
        assert added is not None
        assert replace(added, seq=0, due_at=None) == batch
        assert await store.get_batch(OWNER, batch.id) == added
        assert await due_ids(store, 1_000) == [batch.id]

    async def test_another_owner_finds_no_batch(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_batch(a_batch())
        assert await store.get_batch(OTHER, "batch_one") is None
        assert await store.request_cancel(OTHER, "batch_one", 2_000) is None
        assert await store.list_batches(OTHER, limit=5, after="batch_one") is None
        page = await store.list_batches(OTHER, limit=5)
        assert page is not None
        assert page.data == []
        assert (await load(store)).batch.cancel_requested_at is None

    async def test_no_batch_without_its_input_file(self, store: Store) -> None:
        await store.add_file(a_file(owner=OTHER))
        await store.add_file(a_file("deleted"))
        await store.delete_file(OWNER, "file-deleted", 500)
        await store.add_file(a_file("expired", expires_at=1_000))
        assert await store.add_batch(a_batch()) is None
        for name in ("never", "deleted", "expired"):
            assert await store.add_batch(a_batch(name, input_file_id=f"file-{name}")) is None
        page = await store.list_batches(OWNER, limit=5)
        assert page is not None
        assert page.data == []

    async def test_the_same_idempotency_key_finds_the_first_batch(self, store: Store) -> None:
        await store.add_file(a_file())
        first = await store.add_batch(a_batch(idempotency_key="k"))
        assert await store.add_batch(a_batch("two", idempotency_key="k")) == first
        assert await store.get_batch(OWNER, "batch_two") is None

    async def test_an_idempotency_key_is_its_owners(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_file(a_file("two", owner=OTHER))
        await store.add_batch(a_batch(idempotency_key="k"))
        batch = a_batch("two", owner=OTHER, input_file_id="file-two", idempotency_key="k")
        added = await store.add_batch(batch)
        assert added is not None
        assert added.id == "batch_two"

    async def test_a_key_finds_its_batch_when_the_file_is_gone(self, store: Store) -> None:
        batch = await claimed_batch(store, idempotency_key="k")
        await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        await store.delete_file(OWNER, batch.input_file_id, 2_000)
        retried = a_batch("two", input_file_id=batch.input_file_id, idempotency_key="k")
        again = await store.add_batch(retried)
        assert again is not None
        assert again.id == "batch_one"

    async def test_the_same_fingerprint_counts_within_its_window_alone(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_batch(a_batch("early", fingerprint="f", created_at=1_000))
        second = await store.add_batch(a_batch("second", fingerprint="f", created_at=2_000))
        again = a_batch("again", fingerprint="f", created_at=3_000)
        assert await store.add_batch(again, same_since=1_000) == second
        assert await store.add_batch(again, same_since=2_000) == second
        added = await store.add_batch(again, same_since=2_001)
        assert added is not None
        assert added.id == "batch_again"

    async def test_a_fingerprint_alone_does_not_dedupe(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_batch(a_batch(fingerprint="f"))
        added = await store.add_batch(a_batch("two", fingerprint="f"))
        assert added is not None
        assert added.id == "batch_two"

    async def test_of_many_creates_with_one_key_one_inserts(self, store: Store) -> None:
        await store.add_file(a_file())
        creates = (store.add_batch(a_batch(f"{n}", idempotency_key="k")) for n in range(20))
        answers = await asyncio.gather(*creates)
        assert len({answer.id for answer in answers if answer is not None}) == 1

    async def test_pages_cover_the_list_once_newest_first(self, store: Store) -> None:
        await store.add_file(a_file())
        for number in range(7):
            await store.add_batch(a_batch(f"{number}"))
        seen: list[str] = []
        more, after = True, None
        while more:
            page = await store.list_batches(OWNER, limit=3, after=after)
            assert page is not None
            seen += [batch.id for batch in page.data]
            more, after = page.has_more, seen[-1]
        assert seen == [f"batch_{number}" for number in reversed(range(7))]

    async def test_an_unknown_batch_as_a_cursor(self, store: Store) -> None:
        assert await store.list_batches(OWNER, limit=5, after="batch_never") is None

    async def test_a_cancel_is_noted_once_and_makes_due(self, store: Store) -> None:
        batch = await claimed_batch(store)
        assert await store.save_batch(replace(batch, due_at=None))
        assert await due_ids(store, LATER) == []
        cancelled = await store.request_cancel(OWNER, "batch_one", 5_000)
        again = await store.request_cancel(OWNER, "batch_one", 6_000)
        assert cancelled == again
        assert cancelled is not None
        assert cancelled.cancel_requested_at == 5_000
        assert await due_ids(store, 5_000) == ["batch_one"]

    @pytest.mark.parametrize("status", TERMINAL)
    async def test_a_terminal_batch_cannot_be_cancelled(
        self, store: Store, status: BatchStatus
    ) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(replace(batch, status=status))
        cancelled = await store.request_cancel(OWNER, "batch_one", 5_000)
        assert cancelled is not None
        assert cancelled.cancel_requested_at is None
        assert cancelled.status is status

    async def test_cancelling_what_is_not_there(self, store: Store) -> None:
        assert await store.request_cancel(OWNER, "batch_never", 5_000) is None


class ClaimRules:
    """Leases decide who tries, fences who is right."""

    async def test_of_two_claims_exactly_one_wins(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_batch(a_batch())
        claims = (claim_batch_at(store, "batch_one", 1_000, 2_000) for _ in range(10))
        won = [batch for batch in await asyncio.gather(*claims) if batch is not None]
        assert [(batch.fence, batch.lease_until) for batch in won] == [(1, 2_000)]

    async def test_of_two_claims_on_a_job_exactly_one_wins(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(batch, jobs=[a_job()])
        claims = (claim_job_at(store, "one", 1_000, 2_000) for _ in range(10))
        won = [job for job in await asyncio.gather(*claims) if job is not None]
        assert [(job.fence, job.lease_until) for job in won] == [(1, 2_000)]

    async def test_a_lease_lasts_until_its_moment(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_batch(a_batch())
        assert await claim_batch_at(store, "batch_one", 1_000, 2_000) is not None
        assert await claim_batch_at(store, "batch_one", 1_999, 3_000) is None
        second = await claim_batch_at(store, "batch_one", 2_000, 3_000)
        assert second is not None
        assert second.fence == 2

    async def test_who_lost_the_claim_changes_nothing(self, store: Store) -> None:
        first = await claimed_batch(store)
        await store.register_blob("late", 1)
        second = await claim(store, "batch_one", LATER)
        assert not await store.save_batch(
            replace(first, status=BatchStatus.FAILED),
            jobs=[a_job()],
            files=[a_file("out")],
            blobs=BlobChange(live=["late"], deletable=["late"]),
        )
        work = await load(store)
        assert work.batch == second
        assert work.jobs == []
        assert await store.get_file(OWNER, "file-out", 1_000) is None

    async def test_who_lost_a_jobs_claim_changes_nothing(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(batch, jobs=[a_job()])
        before = await load(store)
        first = await claim_job(store, "one")
        second = await claim_job(store, "one", LATER)
        assert not await store.save_job(
            replace(first, state=JobState.RUNNING), counts=Counts(failed=1)
        )
        assert await load(store) == Work(before.batch, [second])

    async def test_nothing_to_claim(self, store: Store) -> None:
        assert await claim_batch_at(store, "batch_never", 1, 2) is None
        assert await claim_job_at(store, "never", 1, 2) is None
        assert not await store.save_batch(a_batch("never"))
        assert not await store.save_job(a_job("never"))
        assert await store.load_work("batch_never") is None
        assert await store.input_file("batch_never") is None

    async def test_a_save_ends_the_claim(self, store: Store) -> None:
        batch = await claimed_batch(store)
        assert await store.save_batch(batch, jobs=[a_job()])
        job = await claim_job(store, "one")
        assert await store.save_job(job)
        assert (await claim(store, "batch_one")).fence == 2
        assert (await claim_job(store, "one")).fence == 2

    async def test_a_save_may_keep_the_claim(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(batch, jobs=[a_job()], keep=True)
        job = await claim_job(store, "one")
        await store.save_job(job, keep=True)
        assert await claim_batch_at(store, "batch_one", 60_999, LATER) is None
        assert await claim_job_at(store, "one", 60_999, LATER) is None
        assert await store.save_batch(batch)
        assert await store.save_job(job)

    async def test_claims_are_renewed_until_they_are_lost(self, store: Store) -> None:
        """By the store's own clock, from the moment of the renewal."""
        batch = await claimed_batch(store)
        await store.save_batch(batch, jobs=[a_job(), a_job("two", number=2)], keep=True)
        one, two = await claim_job(store, "one"), await claim_job(store, "two")
        await at(store, 50_000)
        assert await store.renew_claims([batch, one], 60_000) == set()
        assert await claim_job_at(store, "one", 109_999, LATER) is None
        assert await claim_batch_at(store, "batch_one", 109_999, LATER) is None
        assert await claim_job_at(store, "two", 61_000, LATER) is not None
        await store.save_batch(batch)
        assert await store.renew_claims([batch, one, two], 60_000) == {"batch_one", "two"}

    async def test_leases_are_measured_by_the_stores_own_clock(self, store: Store) -> None:
        await at(store, 7_000)
        assert await store.now() == 7_000
        batch = await claimed_batch(store)
        assert batch.lease_until == 61_000
        await at(store, 100)
        assert await store.claim_batch("batch_one", 1_000) is None

    async def test_a_lease_that_ran_out_over_heavy_work_counts(self, store: Store) -> None:
        """Validating and collecting take memory: what kills one process must not kill them all."""
        first = await claimed_batch(store)
        again = await claim(store, "batch_one", LATER)
        assert (first.defects, again.defects) == (0, 1)
        await store.save_batch(again, jobs=[a_job(), a_job("two", number=2)])
        light, heavy = await claim_job(store, "one"), await claim_job(store, "two")
        await store.save_job(replace(heavy, state=JobState.SECURED), keep=True)
        assert (await claim_job(store, "one", LATER)).defects == light.defects
        assert (await claim_job(store, "two", LATER)).defects == heavy.defects + 1

    @pytest.mark.parametrize("status", TERMINAL)
    async def test_a_terminal_status_never_changes(self, store: Store, status: BatchStatus) -> None:
        batch = await claimed_batch(store)
        assert await store.save_batch(replace(batch, status=status), keep=True)
        for other in BatchStatus:
            assert not await store.save_batch(replace(batch, status=other))
        assert await claim_batch_at(store, "batch_one", LATER, LATER + 1) is None
        assert (await load(store)).batch.status is status

    async def test_a_released_job_never_changes(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(batch, jobs=[a_job()])
        job = await claim_job(store, "one")
        assert await store.save_job(replace(job, state=JobState.RELEASED), keep=True)
        assert not await store.save_job(replace(job, state=JobState.RUNNING))
        assert await claim_job_at(store, "one", LATER, LATER + 1) is None


class SaveRules:
    """What a save writes, and what it must leave alone."""

    async def test_every_field_the_runner_owns_is_written(self, store: Store) -> None:
        await store.add_file(a_file("out"))
        claimed = await claimed_batch(store)
        batch = replace(
            claimed,
            status=BatchStatus.EXPIRED,
            model="gemini-9",
            in_progress_at=1,
            finalizing_at=2,
            completed_at=3,
            failed_at=4,
            expired_at=5,
            cancelled_at=6,
            counts=Counts(30, 20, 10),
            usage=TokenUsage(1, 2, 3, 4),
            errors=(BatchError("bad", "why", "body", 7), BatchError("more", "many")),
            notes={"dropped": 3},
            output_file_id="file-out",
            error_file_id="file-out",
            notes_file_id="file-out",
            lines=30,
            run="run",
            index="index",
            due_at=77,
            failures=2,
            last_error="slow",
        )
        assert await store.save_batch(replace(batch, ended_because="why"))
        stored = (await load(store)).batch
        assert stored.waiting_since is not None
        expected = replace(batch, lease_until=None, ended_because="why")
        assert replace(stored, waiting_since=None) == expected

    async def test_the_columns_of_requests_are_left_alone(self, store: Store) -> None:
        claimed = await claimed_batch(store)
        await store.request_cancel(OWNER, "batch_one", 5_000)
        forged = replace(
            claimed,
            owner=OTHER,
            endpoint="/other",
            metadata={"a": "b"},
            policy={"a": 1},
            created_at=9,
            expires_at=9,
            output_expires_after=9,
            idempotency_key="k",
            fingerprint="f",
        )
        assert await store.save_batch(forged)
        stored = (await load(store)).batch
        expected = replace(claimed, cancel_requested_at=5_000, lease_until=None)
        assert replace(stored, due_at=None) == replace(expected, due_at=None)

    async def test_a_batch_in_progress_says_what_it_waits_for(self, store: Store) -> None:
        claimed = await claimed_batch(store)
        batch = replace(claimed, status=BatchStatus.IN_PROGRESS)
        await store.save_batch(batch, jobs=[a_job("one"), a_job("two", number=7)])
        for name, error, failures in (("one", "busy", 1), ("two", "no quota", 4)):
            job = await claim_job(store, name)
            await store.save_job(replace(job, last_error=error, failures=failures))
        assert (await load(store)).batch.last_error == "no quota"
        job = await claim_job(store, "two")
        await store.save_job(replace(job, last_error=None, failures=0))
        assert (await load(store)).batch.last_error == "busy"
        job = await claim_job(store, "one")
        await store.save_job(replace(job, last_error="old news", state=JobState.COLLECTED))
        assert (await load(store)).batch.last_error is None

    async def test_every_field_of_a_job_comes_back(self, store: Store) -> None:
        claimed = await claimed_batch(store)
        new = a_job(
            follows="earlier",
            cause=Cause.RETRY,
            attempt=2,
            credential="second",
            inline=True,
            due_at=5,
        )
        assert await store.save_batch(claimed, jobs=[new])
        assert list((await load(store)).jobs) == [new]
        job = replace(
            await claim_job(store, "one"),
            state=JobState.LOST,
            items=6,
            lines=5,
            bytes=301,
            tokens=71,
            spool="recut",
            echo="recut-echo",
            inline=False,
            credential="third",
            staged="files/1",
            staged_until=1,
            send_deadline=2,
            submitted_at=3,
            upstream_name="batches/1",
            upstream_state="BATCH_STATE_FAILED",
            output="files/2",
            cancel_sent_at=4,
            ended_at=5,
            raw="raw",
            run="run",
            index="index",
            held="held",
            counts=Counts(4, 3, 1),
            usage=TokenUsage(5, 6, 7, 8),
            failure=Failure("lost", "nothing there", 500),
            doubt=6,
            absences=7,
            due_at=8,
            failures=9,
            last_error="slow",
            made_by="digest",
            denied_at=10,
            denials=11,
            stop_at=12,
            looked_at=13,
            recover_until=14,
            unmatched=15,
        )
        assert await store.save_job(job)
        work = await load(store)
        [stored] = work.jobs
        assert stored.waiting_since is not None
        assert stored.upstream_since is not None
        kept = replace(stored, waiting_since=None, upstream_since=None)
        assert kept == replace(job, lease_until=None)

    async def test_a_wait_and_a_state_know_since_when(self, store: Store) -> None:
        claimed = await claimed_batch(store)
        batch = replace(claimed, status=BatchStatus.IN_PROGRESS)
        await store.save_batch(batch, jobs=[a_job()])
        seen = replace(await claim_job(store, "one"), last_error="busy", upstream_state="PENDING")
        await store.save_job(seen)
        first = await load(store)
        await store.save_job(
            replace(await claim_job(store, "one"), last_error="quota", upstream_state="PENDING")
        )
        again = await load(store)
        [job] = again.jobs
        assert (job.waiting_since, job.upstream_since) == (
            first.jobs[0].waiting_since,
            first.jobs[0].upstream_since,
        )
        assert (again.batch.last_error, again.batch.waiting_since) == ("quota", job.waiting_since)
        shown = (again.batch.upstream_state, again.batch.upstream_since)
        assert shown == ("PENDING", job.upstream_since)
        await store.save_job(
            replace(await claim_job(store, "one"), last_error=None, state=JobState.COLLECTED)
        )
        ended = (await load(store)).batch
        assert (ended.last_error, ended.waiting_since) == (None, None)
        assert ended.upstream_state == "PENDING"

    async def test_jobs_and_files_come_with_the_batch_or_not_at_all(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.register_blob("made", 1)
        with pytest.raises(InternalError, match="unmade"):
            await store.save_batch(
                replace(batch, status=BatchStatus.COMPLETED, output_file_id="file-out"),
                jobs=[a_job()],
                files=[a_file("out", segments=(Segment("made", 1), Segment("unmade", 1)))],
            )
        assert await load(store) == Work(batch, [])
        assert await store.get_file(OWNER, "file-out", 1_000) is None
        assert await store.save_batch(
            replace(batch, status=BatchStatus.COMPLETED, output_file_id="file-out"),
            jobs=[a_job()],
            files=[a_file("out", segments=(Segment("made", 1),))],
        )
        assert await store.get_file(OWNER, "file-out", 1_000) is not None

    async def test_counts_of_jobs_add_up_whoever_holds_the_batch(self, store: Store) -> None:
        batch = await claimed_batch(store)
        jobs = [a_job(f"j{number}", number=number) for number in range(10)]
        running = replace(batch, status=BatchStatus.IN_PROGRESS, counts=Counts(total=40))
        await store.save_batch(running, jobs=jobs)
        held = await claim(store, "batch_one")
        for job in jobs:
            claimed = await claim_job(store, job.id)
            await store.save_job(claimed, counts=Counts(0, 3, 1), usage=TokenUsage(1, 2, 3, 4))
        await store.save_batch(replace(held, status=BatchStatus.FINALIZING), keep=True)
        stored = (await load(store)).batch
        assert (stored.counts, stored.usage) == (Counts(40, 30, 10), TokenUsage(10, 20, 30, 40))
        final = replace(held, status=BatchStatus.COMPLETED, counts=Counts(40, 31, 9))
        await store.save_batch(final)
        assert (await load(store)).batch.counts == Counts(40, 31, 9)

    async def test_lines_that_are_sent_again_do_not_count_meanwhile(self, store: Store) -> None:
        batch = await claimed_batch(store)
        first = replace(batch, status=BatchStatus.IN_PROGRESS, counts=Counts(4, 0, 1))
        await store.save_batch(first, jobs=[a_job()])
        held = await claim(store, "batch_one")
        job = await claim_job(store, "one")
        await store.save_job(replace(job, state=JobState.RUNNING), counts=Counts(0, 3, 0))
        again = replace(held, status=BatchStatus.IN_PROGRESS)
        more = [a_job("two", number=job.number + 1)]
        assert await store.save_batch(again, jobs=more, sent_again=(2, Counts(0, 2, 0)))
        work = await load(store)
        assert (work.batch.counts, work.batch.paid_twice_at_most) == (Counts(4, 1, 1), 2)
        assert [each.id for each in work.jobs] == ["one", "two"]

    async def test_counts_of_a_terminal_batch_stay(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(
            replace(batch, status=BatchStatus.EXPIRED, counts=Counts(4)), jobs=[a_job()]
        )
        job = await claim_job(store, "one")
        collected = replace(job, state=JobState.COLLECTED)
        assert await store.save_job(collected, counts=Counts(completed=4))
        assert (await load(store)).batch.counts == Counts(4)
        assert await due_ids(store, LATER) == []

    async def test_a_job_makes_blobs_live_and_deletable(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.register_blob("spool", 1)
        await store.save_batch(batch, jobs=[a_job()], blobs=BlobChange(live=["spool"]))
        await store.register_blob("raw", 1)
        job = await claim_job(store, "one")
        await store.save_job(job, blobs=BlobChange(live=["raw"], deletable=["spool"]))
        assert await store.sweepable_blobs(2**60, 10) == ["spool"]

    async def test_the_only_job_ends_its_batch(self, store: Store) -> None:
        batch, job = await one_collected(store)
        await store.register_blob("blob-out", 1)
        file = a_file("out", segments=(Segment("blob-out", 1000),))
        done = replace(batch, status=BatchStatus.COMPLETED, output_file_id=file.id, due_at=None)
        assert await store.save_job(job, ends=BatchEnd(done, [file], ["spool"]))
        ended = await load(store)
        assert (ended.batch.status, ended.jobs[0].state) == (done.status, job.state)
        assert ended.batch.output_file_id == file.id
        assert await store.get_file(OWNER, file.id, 1_000) is not None
        assert await store.sweepable_blobs(2**60, 10) == ["spool"]
        assert await due_ids(store, LATER) == []

    @pytest.mark.parametrize("change", ["cancelled", "held", "fence", "ended"])
    async def test_a_batch_that_changed_does_not_end_with_its_job(
        self, store: Store, change: str
    ) -> None:
        batch, job = await one_collected(store)
        done = replace(batch, status=BatchStatus.COMPLETED)
        if change == "cancelled":
            await store.request_cancel(OWNER, batch.id, 1_000)
        else:
            held = await claim(store, batch.id)
            if change == "fence":
                await store.save_batch(held)
            elif change == "ended":
                done = replace(held, status=BatchStatus.EXPIRED)
                await store.save_batch(done)
        before = await load(store)
        with pytest.raises(BatchChangedError):
            await store.save_job(job, ends=BatchEnd(done, [a_file("out")], []))
        assert await load(store) == before
        assert await store.save_job(job)


async def one_collected(store: Store) -> tuple[Batch, Job]:
    """A batch in progress, and its only job, claimed and about to be saved as collected."""
    batch = await claimed_batch(store)
    await store.register_blob("spool", 1)
    begun = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
    await store.save_batch(begun, jobs=[a_job()], blobs=BlobChange(live=["spool"]))
    job = await claim_job(store, "one")
    return (await load(store)).batch, replace(job, state=JobState.COLLECTED)


async def two_owners(store: Store, mine: int) -> None:
    """Jobs of mine, the smaller the later, one of another model; and one of another owner."""
    jobs = [a_job(f"j{n}", number=n, tokens=10 - n, due_at=10 + n) for n in range(mine)]
    jobs.append(a_job("o1", number=99, model="other", due_at=50))
    batch = await claimed_batch(store)
    running = {"status": BatchStatus.IN_PROGRESS, "due_at": None}
    await store.save_batch(replace(batch, **running), jobs=jobs)  # type: ignore[arg-type]
    await store.add_file(a_file("his", owner=OTHER))
    his = a_batch("his", owner=OTHER, input_file_id="file-his")
    await store.add_batch(his)
    job = a_job("his", batch_id="batch_his", due_at=60)
    claimed = await claim(store, "batch_his")
    await store.save_batch(replace(claimed, **running), jobs=[job])  # type: ignore[arg-type]


class DueRules:
    """What is due, in which order, and what never gets lost between two looks."""

    async def test_the_longest_due_come_first(self, store: Store) -> None:
        await store.add_file(a_file())
        for name, created in (("b", 3_000), ("a", 1_000), ("c", 2_000), ("later", 9_000)):
            await store.add_batch(a_batch(name, created_at=created))
        assert await due_ids(store, 3_000) == ["batch_a", "batch_c", "batch_b"]
        assert await due_ids(store, 3_000, limit=2) == ["batch_a", "batch_c"]
        assert await store.next_due() == 1_000

    async def test_a_due_job_brings_its_batch_and_itself_alone(self, store: Store) -> None:
        batch = await claimed_batch(store)
        jobs = [a_job(f"j{n}", number=n, due_at=5_000 if n == 2 else None) for n in (3, 1, 2)]
        await store.save_batch(
            replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None), jobs=jobs
        )
        assert await due_ids(store, 4_999) == []
        assert await store.next_due() == 5_000
        (work,) = await store.due_jobs(JobState.PLANNED, 5_000, 10)
        assert (work.batch.id, [job.number for job in work.jobs]) == ("batch_one", [2])
        assert await store.load_job("j2") == work
        assert await store.load_job("j4") is None
        assert await store.due_jobs(JobState.STAGING, 5_000, 10) == []
        assert await store.next_due(5_000) is None

    @pytest.mark.parametrize("status", list(BatchStatus))
    async def test_a_batch_counts_while_live_its_jobs_until_released(
        self, store: Store, status: BatchStatus
    ) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(replace(batch, status=status, due_at=1), jobs=[a_job()])
        assert await due_ids(store, LATER) == (["batch_one"] if status in LIVE_STATUSES else [])
        job = await claim_job(store, "one")
        await store.save_job(replace(job, state=JobState.COLLECTED, due_at=2))
        assert await due_ids(store, LATER) == ["batch_one"]
        job = await claim_job(store, "one")
        await store.save_job(replace(job, state=JobState.RELEASED, due_at=None))
        assert await due_ids(store, LATER) == (["batch_one"] if status in LIVE_STATUSES else [])

    async def test_kinds_that_are_due(self, store: Store) -> None:
        """All with one question: batches that started, validations, and jobs by their state."""
        assert await store.due_kinds(LATER) == set()
        batch = await claimed_batch(store)
        assert await store.due_kinds(2_000) == {Kind.VALIDATION}
        running = a_job("b", number=1, state=JobState.RUNNING, due_at=7_000)
        await store.save_batch(
            replace(batch, status=BatchStatus.IN_PROGRESS, due_at=9_000),
            jobs=[a_job("a", number=0, due_at=5_000), running],
        )
        assert await store.due_kinds(4_999) == set()
        assert await store.due_kinds(5_000) == {JobState.PLANNED}
        assert await store.due_kinds(9_000) == {JobState.PLANNED, JobState.RUNNING, Kind.BATCH}
        job = await claim_job_at(store, "a", 5_000, 8_000)
        assert job is not None
        assert await store.due_kinds(7_999) == {JobState.RUNNING}
        assert await store.due_kinds(8_000) == {JobState.PLANNED, JobState.RUNNING}

    async def test_a_batch_that_is_to_be_withdrawn_is_due(self, store: Store) -> None:
        await store.add_file(a_file())
        await store.add_batch(a_batch())
        await store.request_cancel(OWNER, "batch_one", 3_000)
        assert await store.due_kinds(3_000) >= {Kind.BATCH}
        assert await due_ids(store, 3_000) == ["batch_one"]

    async def test_nothing_due(self, store: Store) -> None:
        assert await due_ids(store, LATER) == []
        assert await store.waiting_jobs(LATER, 10) == []
        assert await store.next_due() is None

    async def test_leased_rows_wait_for_the_end_of_their_lease(self, store: Store) -> None:
        await store.add_file(a_file())
        for number in range(4):
            await store.add_batch(a_batch(f"{number}", created_at=1_000 + number))
        for number in range(3):
            await claim_batch_at(store, f"batch_{number}", 2_000, 9_000)
        assert await due_ids(store, 3_000, limit=1) == ["batch_3"]
        assert await due_ids(store, 3_000) == ["batch_3"]
        assert await due_ids(store, 9_000, limit=1) == ["batch_0"]

    async def test_a_leased_row_is_next_due_when_its_lease_ends(self, store: Store) -> None:
        """Else the runner would spin while its own step runs."""
        batch = await claimed_batch(store)
        assert batch.lease_until == 61_000
        assert await store.next_due() == 61_000
        await store.save_batch(replace(batch, due_at=None), jobs=[a_job(due_at=50)])
        job = await claim_job(store, "one")
        assert await store.next_due() == 61_000
        assert await store.next_due(61_000) is None, "nor while a row whose lease is over must wait"
        await store.save_job(replace(job, due_at=70_000))
        assert await store.next_due() == 70_000

    async def test_jobs_that_must_end_are_asked_for_by_themselves(self, store: Store) -> None:
        """Those of batches that were cancelled, or whose window is over."""
        for name in ("one", "two", "three"):
            batch = await claimed_batch(store, name)
            job = a_job(name, batch_id=batch.id, state=JobState.RUNNING, due_at=40)
            running = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
            waits = a_job(f"{name}-2", batch_id=batch.id, number=2, due_at=40)
            await store.save_batch(running, jobs=[job, waits])
        assert list(await store.ending_jobs(1_000, 10)) == []
        await store.request_cancel(OWNER, "batch_two", 1_000)
        [work] = await store.ending_jobs(1_000, 10)
        assert (work.batch.id, [job.id for job in work.jobs]) == ("batch_two", ["two"])
        overdue = await store.ending_jobs(86_401_000, 10)
        assert sorted(work.jobs[0].id for work in overdue) == ["one", "three", "two"]
        assert len(await store.ending_jobs(86_401_000, 2)) == 2
        assert list(await store.ending_jobs(39, 10)) == []
        assert await claim_job_at(store, "two", 1_000, 2_000) is not None
        assert list(await store.ending_jobs(1_000, 10)) == []

    async def test_a_job_that_is_told_to_have_ended_is_due_before_all_others(
        self, store: Store
    ) -> None:
        batch = await claimed_batch(store)
        named = [
            a_job(f"{number}", number=number, state=JobState.RUNNING, due_at=number)
            for number in range(1, 4)
        ]
        jobs = [replace(job, upstream_name=f"batches/{job.id}") for job in named]
        late = replace(jobs[2], due_at=90_000)
        await store.save_batch(
            replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None), jobs=[*jobs[:2], late]
        )
        await store.hurry_job("batches/3")
        await store.hurry_job("batches/unknown")
        due = await store.due_jobs(JobState.RUNNING, 1_000, 10)
        assert [work.jobs[0].id for work in due] == ["3", "1", "2"]

    async def test_rest_sets_the_next_time(self, store: Store) -> None:
        await store.add_file(a_file())
        batch = await store.add_batch(a_batch())
        assert batch is not None
        await store.rest_batch(batch, 50_000)
        assert await due_ids(store, 49_999) == []
        assert await store.next_due() == 50_000
        await store.rest_batch(replace(batch, due_at=50_000), None)
        assert await store.next_due() is None

    async def test_the_last_job_that_is_done_wakes_its_batch(self, store: Store) -> None:
        """Not each: a batch of thousands would be read as often as it has jobs."""
        batch = await claimed_batch(store)
        running = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
        await store.save_batch(running, jobs=[a_job("a", number=1), a_job("b", number=2)])
        await collect(store, "a")
        assert await due_ids(store, 1_000) == []
        follower = a_job("c", number=3)
        job = replace(await claim_job(store, "b"), state=JobState.COLLECTED)
        await store.save_job(job, jobs=[follower])
        assert await due_ids(store, 1_000) == []
        await collect(store, "c")
        assert await due_ids(store, 1_000) == ["batch_one"]

    async def test_rest_does_not_silence_a_ring_it_has_not_seen(self, store: Store) -> None:
        """Two rings in a row: the runner saw the first and rests after the second."""
        batch = await claimed_batch(store)
        running = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
        await store.save_batch(running, jobs=[a_job()])
        await store.request_cancel(OWNER, "batch_one", 500)
        (seen,) = await store.due_batches(1_000, 10)
        await collect(store, "one")
        await store.rest_batch(seen.batch, 50_000)
        assert await due_ids(store, 1_000) == ["batch_one"]

    async def test_a_late_rest_does_not_silence_a_ring_after_another_rest(
        self, store: Store
    ) -> None:
        batch = await claimed_batch(store)
        running = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
        await store.save_batch(running, jobs=[a_job()])
        await store.request_cancel(OWNER, "batch_one", 500)
        (seen,) = await store.due_batches(1_000, 10)
        await store.rest_batch(seen.batch, 50_000)
        await collect(store, "one")
        await store.rest_batch(seen.batch, 60_000)
        assert await due_ids(store, 1_000) == ["batch_one"]

    @pytest.mark.parametrize("keep", [True, False])
    async def test_a_save_does_not_silence_a_cancel_after_the_claim(
        self, store: Store, keep: bool
    ) -> None:
        batch = await claimed_batch(store)
        await store.request_cancel(OWNER, "batch_one", 1_500)
        await store.save_batch(replace(batch, due_at=None), keep=keep)
        assert await due_ids(store, 1_500) == ["batch_one"]
        assert (await load(store)).batch.cancel_requested_at == 1_500

    async def test_a_save_does_not_silence_a_job_that_rang_after_the_claim(
        self, store: Store
    ) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(batch, jobs=[a_job()])
        held = await claim(store, "batch_one")
        await collect(store, "one")
        await store.save_batch(replace(held, due_at=90_000))
        assert await due_ids(store, 1_000) == ["batch_one"]
        heard = await claim(store, "batch_one")
        await store.save_batch(replace(heard, due_at=90_000))
        assert await due_ids(store, 1_000) == []
        assert await store.next_due() == 90_000

    async def test_the_input_file_is_found_though_deleted(self, store: Store) -> None:
        batch = await claimed_batch(store)
        await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        await store.delete_file(OWNER, batch.input_file_id, 2_000)
        file = await store.input_file("batch_one")
        assert file is not None
        assert (file.id, file.deleted_at) == (batch.input_file_id, 2_000)

    async def test_what_a_clock_ahead_wrote_is_pulled_in(self, store: Store) -> None:
        """But for a batch that waits for the end of its window."""
        batch = await claimed_batch(store)
        waits = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=batch.expires_at)
        jobs = [a_job(due_at=900), a_job("two", number=7, due_at=500)]
        await store.save_batch(waits, jobs=jobs)

        await store.pull_in(10, 600)

        work = await load(store)
        assert [job.due_at for job in work.jobs] == [10, 500]
        assert work.batch.due_at == batch.expires_at
        again = await claim(store, "batch_one")
        await store.save_batch(replace(again, due_at=batch.expires_at - 1))
        await store.pull_in(10, 600)
        assert (await load(store)).batch.due_at == 10

    async def test_a_job_that_must_be_listed(self, store: Store) -> None:
        batch = await claimed_batch(store)
        jobs = [a_job(f"j{number}", number=number) for number in range(6)]
        await store.save_batch(batch, jobs=jobs)
        changes = (
            {"state": JobState.COLLECTED, "submitted_at": 5_000},
            {"state": JobState.RUNNING, "submitted_at": 4_000, "credential": "other"},
            {"state": JobState.RUNNING, "submitted_at": 3_000},
            {"state": JobState.RELEASED, "submitted_at": 2_000},
            {"state": JobState.REFUSED, "submitted_at": 1_000, "upstream_name": None},
        )
        for job, change in zip(jobs, changes, strict=False):
            named = replace(await claim_job(store, job.id), upstream_name=f"batches/{job.id}")
            await store.save_job(replace(named, **change))  # type: ignore[arg-type]
        asking = a_job("asking")
        assert await store.running_job(asking, 3_000) is None
        for before, name in ((3_001, "j2"), (5_001, "j0")):
            found = await store.running_job(asking, before)
            assert found is not None
            assert found.id == name
        assert await store.running_job(replace(asking, credential="third"), 9_000) is None
        itself = await store.running_job(replace(asking, id="j0"), 9_000)
        assert itself is not None
        assert itself.id == "j2"

    @pytest.mark.parametrize(
        "change", [{"denied_at": 1}, {"recover_until": 1}, {"made_by": "another key"}]
    )
    async def test_a_job_that_proves_nothing_of_a_listing(
        self, store: Store, change: dict[str, Any]
    ) -> None:
        await store.save_batch(await claimed_batch(store), jobs=[a_job()])
        running = replace(
            await claim_job(store, "one"),
            state=JobState.RUNNING,
            upstream_name="batches/1",
            submitted_at=1,
            made_by="a key",
        )
        await store.save_job(running)
        asking = replace(a_job("asking"), made_by="a key")
        assert await store.running_job(asking, 9_000) is not None
        await store.save_job(replace(await claim_job(store, "one"), **change))
        assert await store.running_job(asking, 9_000) is None

    async def test_batches_are_read_by_their_ids(self, store: Store) -> None:
        await store.add_file(a_file())
        added = [await store.add_batch(a_batch(name)) for name in ("one", "two", "three")]
        found = await store.load_batches({"batch_one", "batch_three", "batch_gone"})
        assert found == {batch.id: batch for batch in added if batch and batch.id != "batch_two"}
        assert await store.load_batches([]) == {}

    async def test_validations_are_asked_for_by_themselves(self, store: Store) -> None:
        await store.add_file(a_file(bytes=77))
        await store.add_file(a_file("his", owner=OTHER))
        for name in ("one", "two", "three"):
            await store.add_batch(a_batch(name, due_at=1))
        await store.add_batch(a_batch("his", owner=OTHER, input_file_id="file-his", due_at=2))
        await store.request_cancel(OWNER, "batch_two", 2)
        [work] = await store.due_batches(10, 10)
        assert work.batch.id == "batch_two"
        found = [(each.batch_id, each.bytes) for each in await store.due_validations(10, 1)]
        assert found == [("batch_one", 77), ("batch_his", 1000)]
        await claim(store, "batch_one")
        assert len(await store.due_validations(10, 10)) == 2

    async def test_owners_take_turns(self, store: Store) -> None:
        """A thousand due jobs of one stand before none of another's."""
        await two_owners(store, mine=5)
        found = [work.jobs[0].id for work in await store.due_jobs(JobState.PLANNED, 100, 3)]
        assert sorted(found) == ["his", "j0", "j1"]

    async def test_what_waits_to_be_sent_is_shown_by_owner_and_model(self, store: Store) -> None:
        """The longest due and the smallest of each, what is stopped, and nothing held."""
        await two_owners(store, mine=5)
        await claim_job(store, "j1")
        found = {job.job_id: job for job in await store.waiting_jobs(100, 1)}
        assert found.keys() == {"j0", "j4", "o1", "his"}
        assert (found["j4"].tokens, found["j4"].owner, found["o1"].model) == (6, OWNER, "other")
        assert not any(job.stopped for job in found.values())
        await store.request_cancel(OTHER, "batch_his", 2)
        stopped = {job.job_id for job in await store.waiting_jobs(100, 9) if job.stopped}
        assert stopped == {"his"}
        assert await store.waiting_jobs(9, 9) == []

    async def test_figures_are_of_what_is_live(self, store: Store) -> None:
        """By model and state, the oldest of each; what has ended is in none of them."""
        await two_owners(store, mine=3)
        running = replace(await claim_job(store, "j0"), state=JobState.RUNNING)
        await store.save_job(replace(running, upstream_state="PENDING"))
        collected = replace(await claim_job(store, "j1"), state=JobState.COLLECTED)
        await store.save_job(replace(collected, due_at=5))

        figures = await store.figures()

        found = {(each.model, each.state, each.upstream_state): each for each in figures.jobs}
        assert {key: each.jobs for key, each in found.items()} == {
            ("gemini-9", "planned", None): 2,
            ("gemini-9", "running", "PENDING"): 1,
            ("other", "planned", None): 1,
        }
        assert found["gemini-9", "running", "PENDING"].upstream_since is not None
        assert sum(figures.batches.values()) == 2
        assert figures.deliveries == 0

    async def test_what_is_sent_is_summed_up(self, store: Store) -> None:
        await two_owners(store, mine=3)
        for name, state in (("j0", JobState.RUNNING), ("j1", JobState.SUBMITTING)):
            await store.save_job(replace(await claim_job(store, name), state=state))
        assert list(await store.sent_jobs()) == [Sent("default", "gemini-9", OWNER, 2, 19)]
        assert list(await store.sent_jobs(but=["j1", "j0"])) == []

    async def test_what_a_batch_waits_for(self, store: Store) -> None:
        """What stands before it, what is at the upstream, what jobs of its model took."""
        await two_owners(store, mine=3)
        sent = replace(await claim_job(store, "j0"), state=JobState.RUNNING, submitted_at=5_000)
        await store.save_job(sent)
        ended = replace(await claim_job(store, "j1"), state=JobState.ENDED, submitted_at=1_000)
        await store.save_job(replace(ended, ended_at=4_000))
        [his] = await queues_of(store, "batch_his", OTHER)
        assert his == ModelQueue("gemini-9", 70, 0, 0, 10, None, 3_000)
        other, mine = sorted(await queues_of(store, "batch_one"), key=lambda queue: queue.waiting)
        assert (mine.model, mine.waiting, mine.usual) == ("other", 70, None)
        assert (other.waiting, other.submitted_at, other.usual) == (8, 5_000, 3_000)
        assert await store.get_batch_and_queues(OTHER, "batch_one") is None
        assert await store.get_batch_and_queues(OWNER, "batch_none") is None

    async def test_no_job_is_taken_to_end_before_it_began(self, store: Store) -> None:
        """One whose create was found late: an estimate of less than nothing was shown."""
        await two_owners(store, mine=3)
        ended = replace(await claim_job(store, "j1"), state=JobState.ENDED, submitted_at=9_000)
        await store.save_job(replace(ended, ended_at=4_000))
        [his] = await queues_of(store, "batch_his", OTHER)
        assert his.usual == 0

    async def test_only_a_batch_in_progress_waits(self, store: Store) -> None:
        """Another is shown without queues, whatever became of its jobs."""
        batch = await claimed_batch(store)
        assert await queues_of(store, batch.id) == []
        ended = replace(batch, status=BatchStatus.CANCELLED)
        await store.save_batch(ended, jobs=[a_job("late")])
        assert await queues_of(store, batch.id) == []

    async def test_what_is_learned_of_a_quota_is_kept(self, store: Store) -> None:
        """Each change sees the one before it."""

        def more(row: Quota) -> Quota:
            return replace(row, refusals=row.refusals + 1, room=5, held_until=7, refused_at=3)

        assert list(await store.quotas()) == []
        await asyncio.gather(*(store.learn("default", "m", more) for _ in range(5)))
        await store.learn("default", "other", lambda row: row)
        first = Quota("default", "m", room=5, refusals=5, held_until=7, refused_at=3)
        assert list(await store.quotas()) == [first, Quota("default", "other")]

    async def test_the_gateway_id_stays(self, store: Store) -> None:
        assert await store.gateway_id() == await store.gateway_id()


class StoreRules(
    AdmissionRules,
    BlobRules,
    ContentRules,
    FileRules,
    UploadRules,
    ResponseRules,
    BackgroundRules,
    BatchRules,
    ClaimRules,
    SaveRules,
    DueRules,
    StagingRules,
    RescueCallRules,
    ReuseRules,
    WebhookRules,
    KeyRules,
    LimitRules,
):
    """All of it."""

    def test_no_rule_hides_another(self) -> None:
        """Of two with one name only the first would run."""
        names = [name for rules in StoreRules.__mro__[1:] for name in vars(rules)]
        tests = [name for name in names if name.startswith("test_")]
        assert len(tests) == len(set(tests))
