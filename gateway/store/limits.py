"""Sums of what an owner has, for its limits."""

from gateway.batches.limits import Used
from gateway.store.session import Session


async def used_by(session: Session, owner: str, since: int) -> Used:
    """Sum up what an owner has; money of batches created since that moment."""
    row = await session.the("used_by_owner", {"owner": owner, "since": since})
    return Used(**{name: int(row[name]) for name in row})
