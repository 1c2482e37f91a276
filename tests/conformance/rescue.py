"""Rules of a store's synchronous calls: a row before each is sent, its answer after."""

from dataclasses import replace

import pytest

from gateway.batches.batch import Batch
from gateway.batches.job import Cause, Job, JobState
from gateway.ports.store import RescueAnswer, RescueBegin, RescueCall, Store
from tests.conformance.records import a_job, claim_job, claimed_batch

BUDGET = 100


async def rescuing(store: Store) -> Job:
    """A claimed job whose items are asked one by one."""
    batch = await claimed_batch(store)
    job = a_job(batch_id=batch.id, cause=Cause.RESCUE, state=JobState.RESCUING)
    assert await store.save_batch(batch, jobs=[job])
    return await claim_job(store, job.id)


async def batch_of(store: Store, job: Job) -> Batch:
    """The batch as it is."""
    batch = await store.load_batch(job.batch_id)
    assert batch is not None
    return batch


class RescueCallRules:
    """Nothing is sent twice, and what it may cost is counted before it is sent."""

    async def test_what_a_call_may_cost_is_counted_until_its_answer_says(
        self, store: Store
    ) -> None:
        job = await rescuing(store)
        begun = await store.begin_rescue_call(job, RescueCall("1", 60, 5), BUDGET)
        assert begun is RescueBegin.BEGUN
        assert (await batch_of(store, job)).rescue_cost == 60

        await store.answer_rescue_call(job, "1", '{"key":"1"}', 20)

        batch = await batch_of(store, job)
        assert (batch.rescue_cost, batch.rescue_calls, batch.rescue_lost) == (20, 1, 0)
        assert await store.rescue_answers(job.id, "", 9) == [RescueAnswer("1", '{"key":"1"}', 20)]
        assert await store.rescue_answers(job.id, "1", 9) == []

    async def test_a_call_beyond_the_budget_is_not_begun(self, store: Store) -> None:
        job = await rescuing(store)
        await store.begin_rescue_call(job, RescueCall("1", 60, 5), BUDGET)

        beyond = await store.begin_rescue_call(job, RescueCall("2", 41, 5), BUDGET)
        within = await store.begin_rescue_call(job, RescueCall("3", 40, 5), BUDGET)

        assert (beyond, within) == (RescueBegin.BEYOND_BUDGET, RescueBegin.BEGUN)
        assert await store.rescue_keys(job.id) == {"1", "3"}

    async def test_a_call_is_begun_once(self, store: Store) -> None:
        """Also after its answer, or once it was lost."""
        job = await rescuing(store)
        for key in ("open", "answered", "lost"):
            await store.begin_rescue_call(job, RescueCall(key, 1, 5), BUDGET)
        await store.answer_rescue_call(job, "answered", "{}", None)
        assert await store.lose_rescue_calls(job, "lost") == 1

        for key in ("open", "answered", "lost"):
            again = await store.begin_rescue_call(job, RescueCall(key, 1, 6), BUDGET)
            assert again is RescueBegin.TAKEN
        batch = await batch_of(store, job)
        assert (batch.rescue_cost, batch.rescue_calls, batch.rescue_lost) == (3, 1, 1)

    @pytest.mark.parametrize("changes", [{"fence": 0}, {"id": "another"}])
    async def test_who_lost_the_claim_begins_nothing(
        self, store: Store, changes: dict[str, object]
    ) -> None:
        job = await rescuing(store)
        stale = replace(job, **changes)  # type: ignore[arg-type]  # any column

        begun = await store.begin_rescue_call(stale, RescueCall("1", 1, 5), BUDGET)

        assert begun is RescueBegin.TAKEN
        assert await store.rescue_keys(job.id) == set()

    async def test_a_call_that_was_not_served_may_be_begun_again(self, store: Store) -> None:
        job = await rescuing(store)
        await store.begin_rescue_call(job, RescueCall("1", 60, 5), BUDGET)

        await store.withdraw_rescue_call(job, "1")

        assert (await batch_of(store, job)).rescue_cost == 0
        begun = await store.begin_rescue_call(job, RescueCall("1", 60, 6), BUDGET)
        assert begun is RescueBegin.BEGUN

    async def test_what_a_dead_process_left_open_is_lost(self, store: Store) -> None:
        """It may be paid for; an answer that comes after all changes nothing."""
        job = await rescuing(store)
        for key in ("1", "2"):
            await store.begin_rescue_call(job, RescueCall(key, 10, 5), BUDGET)
        await store.answer_rescue_call(job, "1", "{}", 10)

        assert await store.lose_rescue_calls(job) == 1
        await store.answer_rescue_call(job, "2", "{}", 3)

        batch = await batch_of(store, job)
        assert (batch.rescue_cost, batch.rescue_calls, batch.rescue_lost) == (20, 1, 1)
        assert [each.answer for each in await store.rescue_answers(job.id, "", 9)] == ["{}", None]

    async def test_answers_go_once_they_are_collected(self, store: Store) -> None:
        job = await rescuing(store)
        await store.begin_rescue_call(job, RescueCall("1", 10, 5), BUDGET)

        secured = replace(job, state=JobState.SECURED)
        assert await store.save_job(secured, keep=True)
        assert await store.rescue_keys(job.id) == {"1"}
        assert await store.save_job(replace(job, state=JobState.COLLECTED, run="r"))

        assert await store.rescue_keys(job.id) == set()
