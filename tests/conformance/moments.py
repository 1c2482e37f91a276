"""A store whose own clock is set by tests: leases are measured by no other."""

from typing import Protocol, runtime_checkable

from gateway.batches.batch import Batch
from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.ports.store import Store


@runtime_checkable
class Timed(Protocol):
    """What a store under test has besides its port."""

    async def at(self, now: int) -> None:
        """Set the store's clock."""
        ...


async def at(store: Store, now: int) -> None:
    """Set the clock of a store under test."""
    assert isinstance(store, Timed)
    await store.at(now)


async def claim_batch_at(store: Store, batch_id: str, now: int, until: int) -> Batch | None:
    """Claim at a moment of the store's own clock."""
    await at(store, now)
    return await store.claim_batch(batch_id, until - now)


async def claim_job_at(store: Store, job_id: str, now: int, until: int) -> Job | None:
    """Claim at a moment of the store's own clock."""
    await at(store, now)
    return await take_job(store, job_id, until - now)


async def take_job(store: Store, job_id: str, lease: int) -> Job | None:
    """Claim one job, if it is free."""
    claimed = await store.claim_jobs([job_id], lease)
    return claimed[0] if claimed else None


async def claim_staged_at(store: Store, staged_id: str, now: int, until: int) -> StagedFile | None:
    """Claim at a moment of the store's own clock."""
    await at(store, now)
    return await store.claim_staged(staged_id, until - now)
