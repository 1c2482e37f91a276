"""Rules of responses in the background that every store obeys; part of ``store.py`` there."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.batches.batch import BACKGROUND, BatchStatus
from gateway.batches.job import JobState
from gateway.batches.limits import NO_LIMITS, Estimate, OverLimitError, OwnerLimits
from gateway.batches.response import DueQueue, ResponseStatus, StoredResponse, WaitingQueue
from gateway.ports.store import BlobChange, Seal, Store
from tests.conformance.moments import take_job
from tests.conformance.records import OTHER, OWNER, a_batch, a_file, a_job

SEAL = Seal(2, "ab" * 32)
CANCELLED, QUEUED = ResponseStatus.CANCELLED, ResponseStatus.QUEUED


async def queued(
    store: Store, name: str = "one", within: OwnerLimits = NO_LIMITS, **fields: Any
) -> StoredResponse:
    """One that waits until 2,000; its blob has its name."""
    values: dict[str, Any] = {
        "id": f"resp_{name}",
        "owner": OWNER,
        "blob": f"blob-{name}",
        "created_at": 1_000,
        "expires_at": 9_000,
        "status": QUEUED,
        "queue": "q",
        "due_at": 2_000,
        "tokens": 10,
        "most": 100,
        "fingerprint": name,
    }
    response = StoredResponse(**{**values, **fields})
    await store.register_blob(response.blob, 500)
    return await store.queue_response(response, SEAL, same_since=0, within=within)


async def collected(store: Store, *taken: StoredResponse, name: str = "bg") -> bool:
    """A batch of these."""
    file = a_file(name, purpose=BACKGROUND, owner=taken[0].owner)
    batch = a_batch(name, input_file_id=file.id, kind=BACKGROUND, owner=taken[0].owner)
    return await store.collect_responses(batch, file, taken)


async def finished(store: Store, row: StoredResponse, name: str) -> bool:
    """One that is completed, its answer in a blob of that name."""
    await store.register_blob(name, 500)
    done = replace(row, status=ResponseStatus.COMPLETED, blob=name, expires_at=20_000)
    status = await store.finish_response(done, SEAL)
    assert status in {None, row.status, ResponseStatus.COMPLETED}
    return status is not None


async def ended_batch(store: Store, name: str = "bg") -> None:
    """The batch of ``collected`` comes to its end."""
    batch = await store.claim_batch(f"batch_{name}", 1_000)
    assert batch is not None
    assert await store.save_batch(replace(batch, status=BatchStatus.COMPLETED, due_at=None))


class BackgroundRules:
    """A response waits, goes into one batch, and ends once."""

    async def test_a_queued_response_is_stored_as_it_is(self, store: Store) -> None:
        one = await queued(store)
        assert await store.get_response(OWNER, one.id, 2_000) == one
        assert await store.get_response(OTHER, one.id, 2_000) is None
        assert await store.due_queues(1_999, 10) == []
        assert await store.due_queues(2_000, 10) == [DueQueue("q", OWNER, 2_000)]
        assert await store.waiting_responses("q", 10) == [one]
        assert (await store.figures()).responses == {"queued": 1}

    async def test_what_waits_is_collected_once(self, store: Store) -> None:
        one, two = await queued(store), await queued(store, "two", created_at=1_500)
        late = await queued(store, "late", created_at=1_900)
        assert not await collected(store, two)
        assert await collected(store, one, two)
        assert not await collected(store, one, two, name="again")
        assert {row.id for row in await store.responses_of("batch_bg")} == {one.id, two.id}
        assert await store.waiting_responses("q", 10) == [late]
        assert await store.live_backgrounds() == {OWNER: 1}
        assert (await store.figures()).responses == {"queued": 1, "sent": 2}
        work = await store.load_batch("batch_bg")
        assert work is not None
        assert work.kind == BACKGROUND
        assert [each.batch_id for each in await store.due_validations(5_000, 9)] == ["batch_bg"]

    async def test_one_that_came_late_is_not_taken_for_a_cancelled_one(self, store: Store) -> None:
        """They are as many as before, and one of them has no line in the batch's input."""
        one, two = await queued(store), await queued(store, "two", created_at=1_500)
        await store.cancel_response(OWNER, one.id, 1_600)
        late = await queued(store, "late", created_at=1_400)
        assert not await collected(store, one, two)
        assert await store.waiting_responses("q", 10) == [late, two]
        assert await collected(store, late, two)

    async def test_owners_of_many_queues_take_turns(self, store: Store) -> None:
        """One with many queues keeps no other out."""
        for number in range(3):
            await queued(store, f"{number}", queue=f"q{number}")
        await queued(store, "other", queue="last", owner=OTHER, due_at=3_000)
        due = await store.due_queues(9_000, 2)
        assert [each.queue for each in due] == ["q0", "last"]

    async def test_owners_of_many_ended_batches_take_turns(self, store: Store) -> None:
        """What cannot be written of one's answers keeps no other's waiting."""
        for number, owner in enumerate([OWNER, OWNER, OWNER, OTHER, OTHER]):
            name = f"{number}"
            row = await queued(store, name, queue=f"q{number}", owner=owner)
            assert await collected(store, row, name=name)
            await ended_batch(store, name)
        ended = [batch.id for batch in await store.undelivered_batches(9)]
        assert ended == [f"batch_{number}" for number in (0, 3, 1, 4, 2)]
        first = [batch.id for batch in await store.undelivered_batches(2)]
        assert first == ["batch_0", "batch_3"]

    async def test_its_batch_and_files_are_no_clients(self, store: Store) -> None:
        await collected(store, await queued(store))
        assert await store.get_batch(OWNER, "batch_bg") is None
        assert await store.get_file(OWNER, "file-bg", 1_000) is None
        batches = await store.list_batches(OWNER, limit=9)
        files = await store.list_files(OWNER, 1_000, limit=9)
        assert batches is not None
        assert files is not None
        assert [*batches.data, *files.data] == []
        assert await store.request_cancel(OWNER, "batch_bg", 1_500) is None
        kept = await store.load_batch("batch_bg")
        assert kept is not None
        assert kept.cancel_requested_at is None
        used = await store.used_by(OWNER, 0)
        assert (used.live_batches, used.stored_bytes) == (0, 0)
        assert await store.file_by_id("file-bg") is not None

    async def test_it_ends_once(self, store: Store) -> None:
        one = await queued(store)
        await collected(store, one)
        await ended_batch(store)
        [batch] = await store.undelivered_batches(9)
        assert await finished(store, one, "answer")
        assert not await finished(store, one, "another")
        found = await store.get_response(OWNER, one.id, 19_999)
        assert found is not None
        assert (found.status, found.blob) == (ResponseStatus.COMPLETED, "answer")
        assert await store.get_response(OWNER, one.id, 20_000) is None
        await store.release_background(batch)
        assert await store.undelivered_batches(9) == []
        assert await store.file_by_id("file-bg") is None

    async def test_a_batch_is_told_while_some_of_its_jobs_are_collected(self, store: Store) -> None:
        """Neither before the first of them is, nor when all are: then it ends."""
        await collected(store, await queued(store))
        batch = await store.claim_batch("batch_bg", 1_000)
        assert batch is not None
        running = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
        jobs = [a_job("one", batch_id="batch_bg"), a_job("two", batch_id="batch_bg", number=2)]
        assert await store.save_batch(running, jobs=jobs)
        assert await store.partly_collected(9) == []
        for job, left in (("one", ["batch_bg"]), ("two", [])):
            claimed = await take_job(store, job, 1_000)
            assert claimed is not None
            await store.register_blob(f"run-{job}", 500)
            done = replace(claimed, state=JobState.COLLECTED, run=f"run-{job}", index="i")
            assert await store.save_job(done, blobs=BlobChange(live=[f"run-{job}"]))
            assert [each.id for each in await store.partly_collected(9)] == left

    async def test_an_owner_sees_what_waits_and_what_was_sent(self, store: Store) -> None:
        """By queue what waits; by batch, the newest first, the rest. Another owner sees nothing."""
        one = await queued(store, model="gemini-9", traceparent="00-1")
        await queued(store, "two", queue="other", model="gemini-8", most=None, created_at=1_100)
        await queued(store, "three", queue="other", model="gemini-8", created_at=1_200)
        assert await store.waiting_queues(OTHER, 9) == []
        assert await store.waiting_queues(OWNER, 1) == [
            WaitingQueue("gemini-9", 1, 1_000, 2_000, 100)
        ]
        assert await collected(store, one)
        assert await store.waiting_queues(OWNER, 9) == [
            WaitingQueue("gemini-8", 2, 1_100, 2_000, None)
        ]
        assert [each.id for each in await store.backgrounds(OWNER, 9)] == ["batch_bg"]
        assert await store.backgrounds(OTHER, 9) == []
        await ended_batch(store)
        assert [each.id for each in await store.backgrounds(OWNER, 9)] == ["batch_bg"]
        [row] = await store.responses_of("batch_bg")
        assert (row.model, row.traceparent) == ("gemini-9", "00-1")

    async def test_cancelled_in_time_it_is_collected_no_more(self, store: Store) -> None:
        one, two = await queued(store), await queued(store, "two")
        cancelled = await store.cancel_response(OWNER, one.id, 1_500)
        assert cancelled is not None
        assert (cancelled.status, cancelled.is_open) == (CANCELLED, False)
        assert await store.cancel_response(OTHER, two.id, 1_500) is None
        assert await store.waiting_responses("q", 10) == [two]

    async def test_cancelled_later_its_answer_is_kept(self, store: Store) -> None:
        one, two = await queued(store), await queued(store, "two")
        await collected(store, one, two)
        cancelled = await store.cancel_response(OWNER, one.id, 2_500)
        assert cancelled is not None
        assert cancelled.is_open
        live = await store.load_batch("batch_bg")
        assert live is not None
        assert live.cancel_requested_at is None
        await store.register_blob("paid", 500)
        done = replace(one, status=ResponseStatus.COMPLETED, blob="paid", expires_at=20_000)
        assert await store.finish_response(done, SEAL) is ResponseStatus.CANCELLED
        found = await store.get_response(OWNER, one.id, 5_000)
        assert found is not None
        assert (found.status, found.blob) == (CANCELLED, "paid")

    async def test_a_batch_that_nothing_waits_for_is_cancelled(self, store: Store) -> None:
        one, two = await queued(store), await queued(store, "two")
        await collected(store, one, two)
        await store.cancel_response(OWNER, one.id, 2_500)
        assert await store.delete_response(OWNER, two.id, 2_600)
        batch = await store.load_batch("batch_bg")
        assert batch is not None
        assert batch.cancel_requested_at == 2_600

    async def test_none_expires_before_its_answer(self, store: Store) -> None:
        one = await queued(store)
        assert await store.expire_responses(99_000, 9) == 0
        await store.cancel_response(OWNER, one.id, 1_500)
        assert await store.expire_responses(99_000, 9) == 1

    async def test_a_repeated_request_is_the_same(self, store: Store) -> None:
        """Each repetition finds one that was repeated less often; used ids are left alone."""
        same: Any = {"fingerprint": "f"}
        one, two = await queued(store, **same), await queued(store, "two", **same)
        assert {one.id, two.id} == {"resp_one", "resp_two"}
        again = [await queued(store, f"again{n}", tries=1, **same) for n in range(2)]
        assert {row.id for row in again} == {one.id, two.id}
        assert (await queued(store, "third", tries=1, **same)).id == "resp_third"
        for row in (one.id, two.id, "resp_third"):
            await store.note_response_used(OWNER, row, 1_500)
        assert (await queued(store, "new", tries=2, **same)).id == "resp_new"

    async def test_an_idempotency_key_names_one(self, store: Store) -> None:
        one = await queued(store, idempotency_key="k")
        again = await queued(store, "two", idempotency_key="k", fingerprint="other")
        assert again.id == one.id
        assert again.fingerprint == one.fingerprint

    async def test_an_idempotency_key_outlives_its_response_by_nothing(self, store: Store) -> None:
        """Whether or not it is swept by then."""
        one = await queued(store, idempotency_key="k")
        await store.cancel_response(OWNER, one.id, 1_500)
        late = one.expires_at + 1
        two = await queued(
            store, "two", idempotency_key="k", created_at=late, expires_at=late + 9, due_at=late
        )
        assert two.id == "resp_two"
        assert await store.get_response(OWNER, one.id, 1_500) is None
        assert one.blob in await store.sweepable_blobs(late + 1, 9)

    async def test_what_waits_counts_for_its_owner(self, store: Store) -> None:
        await queued(store)
        await queued(store, "two")
        used = await store.used_by(OWNER, 0)
        assert (used.enqueued_tokens, used.spent) == (20, 200)
        for name, most in (("usd_per_day", 299), ("usd_per_batch", 99), ("enqueued_tokens", 29)):
            with pytest.raises(OverLimitError, match=f"{most}"):
                await queued(store, name, replace(NO_LIMITS, **{name: most}))
            assert await store.get_response(OWNER, f"resp_{name}", 1_500) is None
        within = OwnerLimits(usd_per_day=300, usd_per_batch=100, enqueued_tokens=30)
        assert (await queued(store, "four", within)).id == "resp_four"

    async def test_single_requests_count_for_their_day(self, store: Store) -> None:
        limits, day = OwnerLimits(usd_per_day=100), 86_400_000
        await store.spend(OWNER, Estimate(0, 60), limits, day + 5)
        with pytest.raises(OverLimitError):
            await store.spend(OWNER, Estimate(0, 60), limits, day + 9)
        await store.settle(OWNER, day, 10 - 60)
        await store.spend(OWNER, Estimate(0, 60), limits, day + 9)
        await store.spend(OTHER, Estimate(0, 60), limits, day + 9)
        await store.spend(OWNER, Estimate(0, 100), limits, 2 * day)
        assert (await store.used_by(OWNER, day)).spent == 170
