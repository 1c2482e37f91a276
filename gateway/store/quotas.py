"""Transactions over quotas: what answers have taught of them, and claims of what takes some.

The admission decides in the process, by what it has read. A turn makes that exact for all of them:
it ends with every claim, and a claim names the turn that its decision was made in. So nothing can
have been claimed between what was read and what is claimed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Final

import orjson

from gateway.batches.admission import Sent
from gateway.batches.job import Job
from gateway.batches.quota import Quota
from gateway.ports.store import Intent
from gateway.store.columns import job_of
from gateway.store.session import Row, Session

TURN: Final = "admission_turn"
FIRST_TURN: Final = "0"


_COLUMNS: Final = tuple(field.name for field in fields(Quota))


def _quota(row: Row) -> Quota:
    return Quota(**{name: row[name] for name in _COLUMNS})


async def every(session: Session) -> Sequence[Quota]:
    """Return all rows, which are a few for each credential."""
    return [_quota(row) for row in await session.all("quotas")]


async def learn(
    session: Session, credential: str, model: str, change: Callable[[Quota], Quota]
) -> Quota:
    """Change one row by a pure function of what it is; a row that is not there begins empty."""
    row = await session.one("quota", {"credential": credential, "model": model})
    learned = change(Quota(credential, model) if row is None else _quota(row))
    await session.run("keep_quota", asdict(learned))
    return learned


async def sent(session: Session, but: Iterable[str], claimed: bool) -> Sequence[Sent]:
    """Return what is at the upstream, or may be, by credential and model."""
    rows = await session.all(
        "jobs_sent", {"but": orjson.dumps(list(but)).decode(), "claimed": claimed}
    )
    return [Sent(**row) for row in rows]


async def turn(session: Session) -> tuple[str, bool]:
    """Return the turn that a decision is made in; whether a claim of a waiting job has lapsed."""
    row = await session.the("admission_turn", {"key": TURN})
    return row["turn"] or FIRST_TURN, bool(row["lapsed"])


async def release_lapsed(session: Session) -> None:
    """End claims of processes that are gone on jobs that wait: they would count for ever.

    Their fences are raised, so that one that was only paused sends nothing more of it.
    """
    await session.run("release_lapsed")


async def claim_to_send(
    session: Session,
    placed: Mapping[str, str],
    turn: str,
    lease: int,
    intents: Mapping[str, Intent],
) -> Sequence[Job] | None:
    """End the turn and claim jobs, each under its credential; None when it is over already.

    What is about to be created at once is claimed with its intent.
    """
    await session.run("keep_meta", {"key": TURN, "value": FIRST_TURN})
    values = {"key": TURN, "turn": turn, "next": str(int(turn) + 1)}
    if await session.run("end_turn", values) == 0:
        return None
    claimed = {}
    for job_id, credential in sorted(placed.items()):  # the order in which all claim jobs
        named = {"id": job_id, "credential": credential, "lease": lease}
        intent = intents.get(job_id)
        if intent is None:
            row = await session.one("claim_job_to_send", named)
        else:
            row = await session.one("claim_job_to_create", {**named, **asdict(intent)})
        if row is not None:
            claimed[job_id] = job_of(row)
    # They are sent in the order in which owners take turns.
    return [claimed[job_id] for job_id in placed if job_id in claimed]
