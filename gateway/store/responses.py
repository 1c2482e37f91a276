"""Transactions over stored answers of ``/v1/responses``."""

from gateway.batches.response import StoredResponse
from gateway.ports.store import Seal
from gateway.store import blobs
from gateway.store.columns import response_of, response_values
from gateway.store.session import Session


async def add(session: Session, response: StoredResponse, seal: Seal) -> None:
    """Insert a row; its blob goes live, sealed."""
    await session.run("insert_response", response_values(response))
    await blobs.activate(session, [response.blob])
    await blobs.seal(session, response.blob, seal)


async def owned(session: Session, owner: str, response_id: str, now: int) -> StoredResponse | None:
    """Return one that has not expired."""
    row = await session.one("owned_response", {"owner": owner, "id": response_id, "now": now})
    return None if row is None else response_of(row)


async def delete(session: Session, owner: str, response_id: str, now: int) -> bool:
    """Remove one, its blob deletable; False when there is none."""
    found = await owned(session, owner, response_id, now)
    if found is None:
        return False
    await session.run("remove_response", {"id": found.id})
    await blobs.mark_deletable(session, [found.blob], now)
    return True


async def expire(session: Session, now: int, limit: int) -> int:
    """Remove those whose time is over; how many."""
    rows = await session.all("expired_responses", {"now": now, "limit": limit})
    for row in rows:
        await session.run("remove_response", {"id": row["id"]})
        await blobs.mark_deletable(session, [row["blob"]], now)
    return len(rows)
