"""Rules of clients' sealed keys, for every store."""

from dataclasses import replace

from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from gateway.ports.store import Store
from tests.conformance.records import OTHER, OWNER, a_job, claim, claim_job, claimed_batch


class KeyRules:
    """A key is there while something needs it."""

    async def test_a_key_is_written_anew(self, store: Store) -> None:
        await store.keep_client_key(OWNER, "first", 5)
        await store.keep_client_key(OTHER, "his", 6)
        await store.keep_client_key(OWNER, "second", 7)
        assert await store.client_keys() == {OWNER: "second", OTHER: "his"}
        assert list(await store.wipe_client_keys(7)) == [OTHER]
        assert await store.client_keys() == {OWNER: "second"}

    async def test_a_key_that_is_needed_stays(self, store: Store) -> None:
        """By a live batch, then by a job that has something due; those of others do not count."""
        await store.keep_client_key(OWNER, "mine", 5)
        await claimed_batch(store, "his", owner=OTHER)
        batch = await claimed_batch(store)
        assert list(await store.wipe_client_keys(10)) == []
        job = a_job(credential=OWNER, due_at=5)
        batch = replace(batch, status=BatchStatus.IN_PROGRESS)
        assert await store.save_batch(batch, jobs=[job])
        batch = await claim(store, batch.id)
        assert await store.save_batch(replace(batch, status=BatchStatus.COMPLETED, due_at=None))
        assert list(await store.wipe_client_keys(10)) == []
        released = replace(await claim_job(store, "one"), state=JobState.RELEASED, due_at=None)
        assert await store.save_job(released)
        assert list(await store.wipe_client_keys(10)) == [OWNER]
