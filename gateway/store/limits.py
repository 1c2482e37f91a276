"""Sums of what an owner has, for its limits, and what its single requests cost."""

from gateway.batches.limits import Estimate, OverLimitError, OwnerLimits, Used, day_of, over_request
from gateway.store.session import Session


async def used_by(session: Session, owner: str, since: int) -> Used:
    """Sum up what an owner has; money of batches created since that moment."""
    row = await session.the("used_by_owner", {"owner": owner, "since": since})
    return Used(**{name: int(row[name]) for name in row})


async def check_request(
    session: Session, owner: str, estimate: Estimate, within: OwnerLimits, now: int
) -> None:
    """Refuse a request outside of batches that would cost too much. Errors: OverLimitError."""
    used = await used_by(session, owner, day_of(now))
    error = over_request(used, estimate, within)
    if error is not None:
        raise OverLimitError(error)


async def spend(
    session: Session, owner: str, estimate: Estimate, within: OwnerLimits, now: int
) -> None:
    """Note what a single request may cost, if its owner may spend it. Errors: OverLimitError."""
    await check_request(session, owner, estimate, within, now)
    await settle(session, owner, day_of(now), estimate.most or 0)


async def settle(session: Session, owner: str, day: int, change: int) -> None:
    """Add to what an owner's single requests of a day cost, or take from it."""
    await session.run("add_single_cost", {"owner": owner, "day": day, "cost": change})
