"""Rules of a store about answers that may be given again: whose, how old, how long kept."""

from dataclasses import replace
from typing import Any

from gateway.batches.batch import BatchStatus
from gateway.batches.file import Segment
from gateway.batches.job import Job, JobState
from gateway.ports.store import BlobChange, Store
from tests.conformance.records import OTHER, OWNER, a_file, a_job, claim, claim_job, claimed_batch

NOW = 10_000


async def answered(store: Store, name: str, **fields: Any) -> Job:
    """A job whose answers are kept, of a batch that runs."""
    batch = await claimed_batch(store, name, owner=fields.pop("owner", OWNER))
    blobs = [f"raw-{name}", f"digests-{name}"]
    for blob in blobs:
        await store.register_blob(blob, 500)
    values = {"state": JobState.COLLECTED, "ended_at": 5_000, **fields}
    job = a_job(name, batch_id=batch.id, raw=blobs[0], digests=blobs[1], **values)
    assert await store.save_batch(batch, jobs=[job], blobs=BlobChange(live=blobs))
    return job


async def ended(store: Store, job: Job, **fields: Any) -> None:
    """The batch of a job ends, with an output file."""
    batch = await claim(store, job.batch_id)
    await store.register_blob(f"out-{job.id}", 500)
    segments = (Segment(f"out-{job.id}", 1000),)
    life = fields.pop("expires_at", None)
    file = a_file(f"out-{job.id}", owner=batch.owner, segments=segments, expires_at=life)
    values = {"completed_at": 6_000, "due_at": None, "raw_until": 90_000, **fields}
    done = replace(batch, output_file_id=file.id, status=BatchStatus.COMPLETED, **values)
    assert await store.save_batch(done, files=[file])


async def found(store: Store, since: int = 0, now: int = NOW, limit: int = 9) -> list[str]:
    """Ids of jobs whose answers may be given again."""
    return [job.id for job in await store.answered_jobs(OWNER, since, now, limit)]


class ReuseRules:
    """Only what is the owner's, and kept."""

    async def test_answers_are_those_of_the_owner_the_newest_first(self, store: Store) -> None:
        await answered(store, "old", ended_at=4_000)
        await answered(store, "new", ended_at=6_000)
        await answered(store, "theirs", owner=OTHER)

        assert await found(store) == ["new", "old"]
        assert await found(store, since=4_001) == ["new"]
        assert await found(store, limit=1) == ["new"]

    async def test_answers_without_digests_are_not_found(self, store: Store) -> None:
        job = await answered(store, "one")
        claimed = await claim_job(store, job.id)
        assert await store.save_job(replace(claimed, digests=None))

        assert await found(store) == []

    async def test_answers_are_found_while_raw_results_are_kept(self, store: Store) -> None:
        await ended(store, await answered(store, "kept"))
        await ended(store, await answered(store, "gone"), raw_until=None)
        await ended(store, await answered(store, "old"), raw_until=NOW)

        assert await found(store) == ["kept"]
        await store.expire_raw(90_000, 9)
        assert await found(store) == []
        work = await store.load_job("kept")
        assert work is not None
        assert (work.jobs[0].raw, work.jobs[0].digests) == (None, None)
        assert {"raw-kept", "digests-kept"} <= set(await store.sweepable_blobs(100_000, 99))

    async def test_no_claim_brings_back_what_is_not_kept(self, store: Store) -> None:
        """A release of the job is under way: by what it read, the row named blobs that are gone."""
        job = await answered(store, "kept")
        await ended(store, job)
        held = await claim_job(store, job.id)
        await store.expire_raw(90_000, 9)

        assert not await store.save_job(replace(held, state=JobState.RELEASED))
        again = await claim_job(store, job.id)  # at once, though the lease had not run out
        assert (again.raw, again.digests) == (None, None)

    async def test_answers_go_with_the_output(self, store: Store) -> None:
        """Deleted, or past its expiry before anything has looked."""
        for name in ("kept", "deleted"):
            await ended(store, await answered(store, name))
        await ended(store, await answered(store, "expired"), expires_at=NOW)
        await store.delete_file(OWNER, "file-out-deleted", NOW)

        assert await found(store) == ["kept"]

    async def test_how_many_lines_were_given_answers_is_kept(self, store: Store) -> None:
        batch = await claimed_batch(store)
        assert await store.save_batch(replace(batch, reused=7))

        seen = await store.load_batch(batch.id)
        assert seen is not None
        assert seen.reused == 7
