"""Budgets of keys: a request counts with what it may cost before it is sent, with its cost after.

Only keys that have a budget are counted: each count is a write to the records. A request whose
answer was lost goes on counting with the most, as it may be paid for; so does one that the process
did not survive.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.batches.limits import (
    Estimate,
    OverLimitError,
    OwnerLimits,
    day_of,
    limits_of,
)
from gateway.clock import Clock
from gateway.errors import LimitedError, UnavailableError
from gateway.live.prepare import Prepared
from gateway.ports.single import Reply
from gateway.ports.store import Store
from gateway.translate import (
    Policy,
    Price,
    answer_cost,
    capabilities_of,
    item_tokens,
    most_cost,
    price_of,
)

logger = logging.getLogger(__name__)

# The table has a batch's prices; the flex tier has the same, and the standard tier twice these.
STANDARD: Final = 2
BILLION: Final = 1_000_000_000
HALF: Final = 1


@dataclass(frozen=True, slots=True)
class Prices:
    """``own`` come before the table; ``limits`` of every owner that has some."""

    own: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, OwnerLimits] = field(default_factory=dict)


@dataclass(slots=True)
class Spending:
    """Cost of one request, in billionths of a dollar; None: what it may have been at most."""

    price: Price | None = None
    cost: int | None = 0  # until something is sent

    def sent(self) -> None:
        """Note that from here on it may be paid for, whatever becomes of it."""
        self.cost = None

    @property
    def dollars(self) -> float | None:
        """Dollars that it cost; None: that is not known."""
        return None if self.cost is None else self.cost / BILLION

    def answered(self, answers: Sequence[Reply], *, half: bool) -> None:
        """Take what answers cost: errors cost nothing (Google's billing page)."""
        costs = [answer_cost(dict(answer), self.price) for answer in answers]
        known = [cost for cost in costs if cost is not None]
        if len(known) == len(costs):
            self.cost = sum(known) * (HALF if half else STANDARD)


class Budgets:
    """Knows what requests may cost, and keeps count for keys that have a budget."""

    def __init__(self, store: Store, clock: Clock, policy: Policy, prices: Prices) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy
        self._prices = prices

    def limits(self, owner: str) -> OwnerLimits:
        """Give what an owner may have."""
        return limits_of(owner, self._prices.limits)

    def estimate(self, request: Prepared, rate: int = HALF) -> Estimate:
        """Estimate tokens, and money at most, at a batch's price or a multiple of it."""
        price = self._price(request.model)
        can = capabilities_of(request.model, self._policy)
        most = most_cost(request.items, price, can.most_tokens)
        tokens = sum(map(item_tokens, request.items))
        return Estimate(tokens, None if most is None else most * rate)

    def _price(self, model: str) -> Price | None:
        day = datetime.fromtimestamp(self._clock.now() // 1000, UTC).date().isoformat()
        return price_of(model, day, self._prices.own)

    @asynccontextmanager
    async def spending(
        self, owner: str, request: Prepared, *, half: bool
    ) -> AsyncIterator[Spending]:
        """Count a request while it is answered. Errors: LimitedError of one that is too dear."""
        limits = replace(self.limits(owner), enqueued_tokens=None)
        if limits.usd_per_batch is limits.usd_per_day is None:
            yield Spending(self._price(request.model))
            return
        estimate = self.estimate(request, HALF if half else STANDARD)
        now = self._clock.now()
        try:
            await self._store.spend(owner, estimate, limits, now)
        except OverLimitError as over:
            raise LimitedError(over.error.message, code=over.error.code) from over
        spending = Spending(self._price(request.model))
        try:
            yield spending
        finally:
            most = estimate.most or 0
            if spending.cost is not None:
                await asyncio.shield(self._settle(owner, now, spending.cost - most))

    async def _settle(self, owner: str, since: int, change: int) -> None:
        """Count the cost in place of the most. It is answered all the same when that fails."""
        try:
            await self._store.settle(owner, day_of(since), change)
        except (OSError, UnavailableError) as error:
            logger.warning("a request of %s counts with the most: %s", owner, error)
