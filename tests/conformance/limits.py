"""Rules of what an owner has, for every store."""

from dataclasses import replace

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from gateway.batches.limits import BILLION, Estimate, OverLimitError, OwnerLimits, Used
from gateway.ports.store import Store
from tests.conformance.records import (
    OTHER,
    OWNER,
    a_batch,
    a_file,
    a_job,
    claim,
    claim_job,
    claimed_batch,
)

NOTHING = Estimate(0, 0)


async def running(store: Store, name: str, most: int, tokens: int, **fields: object) -> None:
    """A batch in progress with a job."""
    batch = await claimed_batch(store, name, **fields)
    job = a_job(name, batch_id=batch.id, most=most, tokens=tokens, due_at=1)
    assert await store.save_batch(replace(batch, status=BatchStatus.IN_PROGRESS), jobs=[job])


class LimitRules:
    """Sums, and that nothing is written beyond a limit."""

    async def test_what_an_owner_has_is_summed_up(self, store: Store) -> None:
        """Tombstones, others' and older batches aside."""
        assert await store.used_by(OWNER, 0) == Used()
        await running(store, "a", 5, 70)
        await running(store, "old", 50, 30, created_at=10)
        await running(store, "his", 7, 700, owner=OTHER)
        await store.add_file(a_file("gone"))
        await store.delete_file(OWNER, "file-gone", 5)
        assert await store.used_by(OWNER, 500) == Used(2_000, 2, 100, 5)
        job = await claim_job(store, "a")
        ended = replace(job, state=JobState.ENDED)
        assert await store.save_job(ended)
        batch = await claim(store, "batch_a", 10**6)
        assert await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        assert await store.used_by(OWNER, 500) == Used(2_000, 1, 30, 0)  # it cost nothing

    async def test_a_batch_beyond_a_limit_is_not_begun(self, store: Store) -> None:
        """Nothing of it is written; the claim stays."""
        await running(store, "a", 3 * BILLION, 70)
        batch = await claimed_batch(store, "b", created_at=10**12)
        begun = replace(batch, status=BatchStatus.IN_PROGRESS)
        jobs = [a_job("b", batch_id=batch.id)]
        for limits, estimate in (
            (OwnerLimits(enqueued_tokens=100), Estimate(31, 0)),
            (OwnerLimits(usd_per_day=0), Estimate(0, 1)),
        ):
            with pytest.raises(OverLimitError):
                await store.save_batch(begun, jobs=jobs, within=(limits, estimate))
        assert await store.load_job("b") is None
        enough = OwnerLimits(enqueued_tokens=101, usd_per_day=4 * BILLION)
        assert await store.save_batch(begun, jobs=jobs, within=(enough, Estimate(31, BILLION)))

    async def test_no_more_batches_than_allowed(self, store: Store) -> None:
        """But the one that is asked for again is given again."""
        one = OwnerLimits(live_batches=1)
        await store.add_file(a_file())
        first = await store.add_batch(a_batch(idempotency_key="k"), within=one)
        assert first is not None
        again = await store.add_batch(a_batch("two", idempotency_key="k"), within=one)
        assert again == first
        with pytest.raises(OverLimitError):
            await store.add_batch(a_batch("three"), within=one)
        assert await store.add_batch(a_batch("three"), within=OwnerLimits()) is not None
