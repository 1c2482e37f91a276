"""Transactions over what answers have taught of quotas."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import orjson

from gateway.batches.admission import Sent
from gateway.batches.quota import Quota
from gateway.store.session import Row, Session


def _quota(row: Row) -> Quota:
    return Quota(**row)


async def every(session: Session) -> Sequence[Quota]:
    """All rows: a few for each credential."""
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
