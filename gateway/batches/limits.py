"""Limits of an owner, and budgets of a batch: what would go beyond them, in words with numbers.

Money is in billionths of a US dollar. An estimate is what a batch may cost at most.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from gateway.batches.batch import Batch, BatchError
from gateway.units import counted

BILLION: Final = 1_000_000_000
DAY: Final = 24 * 3600 * 1000
# The members of GATEWAY_KEY_LIMITS that are money, and may have decimals.
MONEY: Final = frozenset({"usd_per_batch", "usd_per_day"})
# The name under which limits are given for every key that has none of its own.
EVERY_KEY: Final = "*"

BUDGET: Final = "budget_usd"
BUDGET_PARAM: Final = f"metadata.{BUDGET}"
_DOLLARS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """Limits of an owner; None: as much as there is room for."""

    stored_bytes: int | None = None
    live_batches: int | None = None
    enqueued_tokens: int | None = None
    usd_per_batch: int | None = None
    usd_per_day: int | None = None


NO_LIMITS: Final = OwnerLimits()


@dataclass(frozen=True, slots=True)
class Used:
    """Usage of an owner; ``spent``: cost of batches created today, at most while they run."""

    stored_bytes: int = 0
    live_batches: int = 0
    enqueued_tokens: int = 0
    spent: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimate of a batch: tokens, and money at most.

    ``unpriced`` says which line has no known price, and why; ``most`` is None then.
    """

    tokens: int
    most: int | None
    unpriced: str | None = None


class OverLimitError(Exception):
    """A batch that would go beyond a limit of its owner."""

    def __init__(self, error: BatchError) -> None:
        super().__init__(error.message)
        self.error = error


def read_limits(given: Mapping[str, Mapping[str, Any]]) -> dict[str, OwnerLimits]:
    """Read ``GATEWAY_KEY_LIMITS``. Errors: ValueError, to follow the name of the setting."""
    return {name: _read(name, members) for name, members in given.items()}


def _read(name: str, members: Mapping[str, Any]) -> OwnerLimits:
    known = [field.name for field in fields(OwnerLimits)]
    values: dict[str, int] = {}
    for member, value in members.items():
        if member not in known:
            raise ValueError(f"has {member!r} for {name!r}, known are {', '.join(known)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ValueError(f"has no number of zero or more as {member!r} for {name!r}")
        if member not in MONEY and value != int(value):
            raise ValueError(f"has no whole number as {member!r} for {name!r}")
        values[member] = round(value * BILLION) if member in MONEY else int(value)
    return OwnerLimits(**values)


def limits_of(owner: str, table: Mapping[str, OwnerLimits]) -> OwnerLimits:
    """Find the limits of an owner: its own, or those of every key, never a mixture."""
    return table.get(owner) or table.get(EVERY_KEY) or NO_LIMITS


def parse_budget(text: str) -> int:
    """Read a budget in dollars (``"12.50"``). Errors: ValueError."""
    if not _DOLLARS.fullmatch(text):
        raise ValueError("expected US dollars as a decimal number, such as '12.50'.")
    whole, _, part = text.partition(".")
    return int(whole) * BILLION + int(part.ljust(9, "0") or 0)


def budget_of(batch: Batch) -> int | None:
    """Give a batch's own budget; one that an older version let in and that is none is no limit."""
    try:
        return parse_budget((batch.metadata or {})[BUDGET])
    except (KeyError, ValueError):
        return None


def day_of(now: int) -> int:
    """Give the moment at which the day of a moment began, UTC."""
    return now - now % DAY


def dollars(billionths: int) -> str:
    """Write money: ``$1.25``, and small sums as exactly as they are."""
    text = f"{billionths / BILLION:.9f}".rstrip("0")
    whole, _, part = text.partition(".")
    return f"${whole}.{part.ljust(2, '0')}"


def over_budget(batch: Batch, estimate: Estimate, limits: OwnerLimits) -> BatchError | None:
    """Say why a batch may not begin: it may cost more than it, or a batch of its key, may."""
    own = budget_of(batch)
    if own is limits.usd_per_batch is limits.usd_per_day is None:
        return None
    if estimate.most is None:
        return BatchError(
            "budget_exceeded",
            f"There is a budget, and what this batch may cost is not known: {estimate.unpriced}",
            BUDGET_PARAM if own is not None else None,
        )
    if own is not None and estimate.most > own:
        return BatchError(
            "budget_exceeded",
            f"This batch may cost up to {dollars(estimate.most)}, its budget"
            f" ({BUDGET_PARAM}) is {dollars(own)}. {_ADVICE}",
            BUDGET_PARAM,
        )
    most = limits.usd_per_batch
    if most is not None and estimate.most > most:
        return BatchError(
            "budget_exceeded",
            f"This batch may cost up to {dollars(estimate.most)}, a batch of this key may cost"
            f" {dollars(most)}. {_ADVICE}",
        )
    return None


_SHORTER: Final = (
    "Nothing was sent or paid. Send less, or limit the answer (max_completion_tokens,"
    " max_output_tokens)."
)
_ADVICE: Final = (
    "Nothing was sent or paid. Send fewer lines, or limit their answers"
    " (max_completion_tokens, max_output_tokens)."
)


def over_request(used: Used, estimate: Estimate, limits: OwnerLimits) -> BatchError | None:
    """Say why a request outside of batches may not begin: as a batch of its own, and in all."""
    if limits.usd_per_batch is limits.usd_per_day is limits.enqueued_tokens is None:
        return None
    most = estimate.most
    if most is None and not (limits.usd_per_batch is limits.usd_per_day is None):
        why = estimate.unpriced or "its model, its media or its tools have no known price"
        return BatchError(
            "budget_exceeded",
            f"This key has a budget, and what this request may cost is not known: {why}.",
        )
    if most is not None and limits.usd_per_batch is not None and most > limits.usd_per_batch:
        return BatchError(
            "budget_exceeded",
            f"This request may cost up to {dollars(most)}, and {dollars(limits.usd_per_batch)} at a"
            f" time are allowed to this key (usd_per_batch). {_SHORTER}",
        )
    return _over_tokens(used, estimate, limits, "request") or _over_day(
        used, estimate, limits, "request", _SHORTER
    )


def too_many_live(used: Used, limits: OwnerLimits) -> BatchError | None:
    """Say why no batch may be created."""
    most = limits.live_batches
    if most is None or used.live_batches < most:
        return None
    return BatchError(
        "batch_limit_exceeded",
        f"This key may have {counted(most, 'live batch', 'live batches')}, and has"
        f" {used.live_batches}: wait for one to end, or cancel one.",
    )


def over_limits(used: Used, estimate: Estimate, limits: OwnerLimits) -> BatchError | None:
    """Say why a batch may not begin, for what its owner has already; tokens in OpenAI's words."""
    return _over_tokens(used, estimate, limits, "batch") or _over_day(
        used, estimate, limits, "batch", _ADVICE
    )


def _over_tokens(
    used: Used, estimate: Estimate, limits: OwnerLimits, what: str
) -> BatchError | None:
    tokens = limits.enqueued_tokens
    if tokens is None or used.enqueued_tokens + estimate.tokens <= tokens:
        return None
    return BatchError(
        "token_limit_exceeded",
        f"Enqueued token limit reached. Limit: {tokens:,} enqueued tokens;"
        f" {used.enqueued_tokens:,} are enqueued, this {what} has {estimate.tokens:,}. Please"
        " try again once some in_progress batches have been completed.",
    )


def _over_day(
    used: Used, estimate: Estimate, limits: OwnerLimits, what: str, advice: str
) -> BatchError | None:
    day = limits.usd_per_day
    if day is None or used.spent + (estimate.most or 0) <= day:
        return None
    return BatchError(
        "budget_exceeded",
        f"This {what} may cost up to {dollars(estimate.most or 0)}; what this key asked for today"
        f" (UTC) costs up to {dollars(used.spent)}, and {dollars(day)} a day are allowed"
        f" (usd_per_day). {advice}",
    )
