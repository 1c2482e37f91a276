"""Transactions over synchronous calls for lines that are left near a deadline."""

from collections.abc import Sequence
from dataclasses import asdict

from gateway.batches.job import Job
from gateway.ports.store import RescueAnswer, RescueBegin, RescueCall
from gateway.store.session import Session


async def begin(session: Session, job: Job, call: RescueCall, budget: int) -> RescueBegin:
    """Insert the row of a call that is about to be sent, and count what it may cost."""
    values = {"id": job.id, "batch_id": job.batch_id, **asdict(call), "budget": budget}
    if await session.one("rescue_claimed", {"id": job.id, "fence": job.fence}) is None:
        return RescueBegin.TAKEN
    if await session.one("rescue_sent", values) is not None:
        return RescueBegin.TAKEN
    if not await session.run("reserve_rescue", values):
        return RescueBegin.BEYOND_BUDGET
    await session.run("insert_rescue_call", values)
    return RescueBegin.BEGUN


async def answer(session: Session, job: Job, key: str, text: str, cost: int | None) -> None:
    """Keep an answer, and count what it cost in the place of what it could."""
    values = {"id": job.id, "batch_id": job.batch_id, "key": key}
    row = await session.one("rescue_call", values)
    if row is None:
        return
    more = 0 if cost is None else cost - row["reserved"]
    await session.run("answer_rescue_call", {**values, "answer": text, "cost": cost})
    await session.run("settle_rescue", {**values, "more": more, "calls": 1})


async def withdraw(session: Session, job: Job, key: str) -> None:
    """Forget a call that was not served: it costs nothing, and may be sent again."""
    values = {"id": job.id, "batch_id": job.batch_id, "key": key}
    row = await session.one("rescue_call", values)
    if row is not None:
        await session.run("remove_rescue_call", values)
        await session.run("settle_rescue", {**values, "more": -row["reserved"], "calls": 0})


async def lose(session: Session, job: Job, key: str) -> int:
    """Note that a call, or with an empty key all that are open, will have no answer."""
    lost = await session.run("lose_rescue_calls", {"id": job.id, "key": key})
    if lost:
        await session.run("count_lost_rescue", {"batch_id": job.batch_id, "lost": lost})
    return lost


async def keys(session: Session, job_id: str) -> frozenset[str]:
    """Return the keys of the calls that were sent."""
    return frozenset(row["key"] for row in await session.all("rescue_keys", {"id": job_id}))


async def answers(session: Session, job_id: str, after: str, limit: int) -> Sequence[RescueAnswer]:
    """Return what came of the calls, by key."""
    rows = await session.all("rescue_answers", {"id": job_id, "after": after, "limit": limit})
    return [RescueAnswer(**row) for row in rows]
