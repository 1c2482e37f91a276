"""Transactions over jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice, zip_longest

import orjson

from gateway.batches.admission import Waiting
from gateway.batches.batch import Counts, TokenUsage
from gateway.batches.figures import Figures, JobFigures
from gateway.batches.job import DONE_STATES, Cause, Job, JobState
from gateway.batches.patience import may_be_paid
from gateway.batches.quota import Lesson
from gateway.ports.store import BlobChange
from gateway.store import blobs as blob_rows
from gateway.store import quotas, staging
from gateway.store.columns import job_of, job_values, sums_values
from gateway.store.session import Row, Session


async def insert(session: Session, job: Job) -> None:
    """Insert a row."""
    await session.run("insert_job", job_values(job))
    values = {"id": job.batch_id, "attempt": job.attempt, "most": job.most}
    await session.run("note_job", values)


async def of_batch(session: Session, batch_id: str) -> Sequence[Job]:
    """Return the jobs of a batch, in order of their number."""
    return [job_of(row) for row in await session.all("jobs_of_batch", {"batch_id": batch_id})]


async def by_id(session: Session, job_id: str) -> Job | None:
    """Return a job."""
    row = await session.one("job_by_id", {"id": job_id})
    return None if row is None else job_of(row)


async def due(session: Session, state: JobState, now: int, limit: int) -> Sequence[Job]:
    """Return due jobs in a state without a holder: of each owner in turn the one longest due."""
    # Most states are empty most of the time: the whole query takes longer to find that.
    if await session.one("any_due_in_state", {"state": state.value}) is None:
        return []
    rows = await session.all("due_jobs", {"state": state.value, "now": now, "limit": limit})
    queues: dict[str, list[Row]] = {}
    for row in rows:
        queues.setdefault(row["owner"], []).append(row)
    turns = chain.from_iterable(zip_longest(*queues.values()))
    return [job_of(row) for row in islice((row for row in turns if row is not None), limit)]


async def young(session: Session, now: int, since: int, items: int, limit: int) -> Sequence[Job]:
    """Return due jobs of few items that began to run after that moment."""
    values = {"now": now, "since": since, "items": items, "limit": limit}
    return [job_of(row) for row in await session.all("young_jobs", values)]


async def ending(session: Session, now: int, limit: int) -> Sequence[Job]:
    """Return due jobs of batches that were cancelled or are overdue."""
    rows = await session.all("ending_jobs", {"now": now, "limit": limit})
    return [job_of(row) for row in rows]


async def hurry(session: Session, upstream_name: str) -> None:
    """Make the running job of that name due before all others."""
    await session.run("hurry_job", {"name": upstream_name})


async def waiting(session: Session, now: int, limit: int) -> Sequence[Waiting]:
    """Return jobs that wait to be sent and are due, some of each owner and model."""
    rows = await session.all("waiting_jobs", {"now": now, "limit": limit})
    return [_waiting(row) for row in rows]


def _waiting(values: Row) -> Waiting:
    flags = {name: bool(values[name]) for name in ("stopped", "placed")}
    return Waiting(**{**values, **flags})


async def running(session: Session, job: Job, submitted_before: int) -> Job | None:
    """Return the youngest other job of the same key that the upstream's listing must have."""
    values = {
        "credential": job.credential,
        "made_by": job.made_by,
        "besides": job.id,
        "submitted_before": submitted_before,
    }
    row = await session.one("running_job", values)
    return None if row is None else job_of(row)


async def another_model_runs(session: Session, job: Job, since: int) -> bool:
    """Whether a job of another model was accepted from the same key since then."""
    values = {
        "credential": job.credential,
        "made_by": job.made_by,
        "model": job.model,
        "since": since,
    }
    return await session.one("another_model_runs", values) is not None


async def foreign(session: Session, credential: str, made_by: str) -> int:
    """Count jobs that run upstream, or may, and that another key made."""
    values = {"credential": credential, "made_by": made_by}
    count: int = (await session.the("foreign_jobs", values))["count"]
    return count


async def figures(session: Session) -> Figures:
    """Return what is live now, by model and state."""
    jobs = [JobFigures(**row) for row in await session.all("job_figures")]
    batches = {row["status"]: row["batches"] for row in await session.all("batch_figures")}
    deliveries = (await session.the("delivery_figures"))["deliveries"]
    responses = {row["state"]: row["responses"] for row in await session.all("response_figures")}
    return Figures(jobs, batches, deliveries, responses)


async def longest(session: Session, model: str) -> int:
    """Return the longest time of a model's last jobs that ended well."""
    found: int = (await session.the("longest_job", {"model": model}))["longest"]
    return found


async def answered(session: Session, owner: str, since: int, now: int, limit: int) -> Sequence[Job]:
    """Return an owner's jobs whose answers may be given again, the newest first."""
    values = {"owner": owner, "since": since, "now": now, "limit": limit}
    return [job_of(row) for row in await session.all("answered_jobs", values)]


async def inline_mismatches(session: Session, model: str, since: int) -> bool:
    """Whether the results of an inline job of a model did not match of late."""
    values = {"model": model, "since": since}
    return await session.one("inline_mismatches", values) is not None


async def claim(session: Session, job_ids: Sequence[str], lease: int) -> Sequence[Job]:
    """Take those of the jobs that are not released and have no holder.

    In one statement, which on PostgreSQL waits for no save of a batch: a serializable transaction
    over many jobs met one again and again, for seconds, while replicas saved 150 jobs a second.
    """
    values = {"ids": orjson.dumps(list(job_ids)).decode(), "lease": lease}
    return [job_of(row) for row in await session.all("claim_jobs", values)]


async def save(
    session: Session,
    job: Job,
    *,
    counts: Counts,
    usage: TokenUsage,
    blobs: BlobChange,
    jobs: Sequence[Job],
    named: Mapping[str, Sequence[str]],
    doubt_files: bool,
    paid_again: int | None,
    lesson: Lesson | None,
    keep: bool,
    now: int,
) -> bool:
    """Save a job that is not released and still its holder's, and what its batch gains by it."""
    values = {**job_values(job), "keep": keep, "now": now}
    before = await session.one("job_as_told", {"id": job.id})
    if await session.run("save_job", values) == 0:
        return False
    await _succeed(session, job, jobs, named)
    if jobs or before is None or _told(job) != (*before.values(),):
        await session.run("tell_batch", {"batch_id": job.batch_id})
    if jobs or counts != Counts() or usage != TokenUsage():
        money = {"cost": job.cost, "more": None if job.most is None else -job.most}
        await session.run("add_counts", {"id": job.batch_id, **sums_values(counts, usage), **money})
    if paid_again is not None:
        await session.run("note_paid_twice", {"id": job.batch_id, "lines": paid_again})
        await session.run("sum_money", {"id": job.batch_id})
    if jobs:
        await session.ring()
    if job.state in DONE_STATES:
        await _note_done(session, job, now, newly=before is not None and not before["done"])
    if lesson is not None:
        await quotas.learn(session, job.credential, job.model, lesson)
    if doubt_files:
        await staging.doubt(session, job.id, now)
    await blob_rows.register_contents(session, blobs.seals, now)
    await blob_rows.change(session, blobs, now)
    return True


async def _note_done(session: Session, job: Job, now: int, *, newly: bool) -> None:
    """Wake the batch that has waited for this job alone; release what the job needed."""
    if newly and await session.run("ring_done", {"id": job.batch_id}):
        await session.ring()
    if job.files:
        await staging.release_copies(session, job.id, now)
    if job.cause is Cause.RESCUE:
        await session.run("forget_rescue_calls", {"id": job.id})


def _told(job: Job) -> tuple[object, ...]:
    """Return what the batch shows of a job, in the order of the query ``job_as_told``."""
    return job.last_error, job.failures, job.upstream_state, job.state in DONE_STATES


async def _succeed(
    session: Session, before: Job, jobs: Sequence[Job], named: Mapping[str, Sequence[str]]
) -> None:
    """Insert the jobs that go on for one, with the next numbers of the batch."""
    if not jobs:
        return
    last: int = (await session.the("last_job_number", {"batch_id": before.batch_id}))["number"]
    for number, job in enumerate(jobs, last + 1):
        await insert(session, replace(job, number=number))
        await staging.take_over(session, before.id, job.id, named.get(job.id, ()))
    if may_be_paid(before):
        lines = sum(job.lines for job in jobs)
        await session.run("note_paid_twice", {"id": before.batch_id, "lines": lines})


async def recover(session: Session, now: int) -> None:
    """End the leases and the sends of a dead process."""
    await session.run("recover_jobs", {"now": now})
    await session.run("cut_send_deadlines", {"now": now})
