"""Transactions over clients' sealed keys."""

from collections.abc import Mapping, Sequence

from gateway.store.session import Session


async def keep(session: Session, owner: str, sealed: str, now: int) -> None:
    """Write a key down, or anew."""
    await session.run("keep_client_key", {"owner": owner, "sealed": sealed, "now": now})


async def every(session: Session) -> Mapping[str, str]:
    """Return all that are written down."""
    return {row["owner"]: row["sealed"] for row in await session.all("client_keys")}


async def wipe(session: Session, before: int) -> Sequence[str]:
    """Remove the keys that nothing needs."""
    owners = [row["owner"] for row in await session.all("idle_client_keys", {"before": before})]
    for owner in owners:
        await session.run("wipe_client_key", {"owner": owner})
    return owners
