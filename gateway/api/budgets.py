"""Limits of an owner that requests meet: bytes that are stored, and batches that have not ended.

Those of tokens and money are looked at when a batch is validated, in one transaction with its jobs.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.api.services import Call
from gateway.batches.batch import Batch
from gateway.batches.limits import (
    BUDGET,
    OverLimitError,
    OwnerLimits,
    limits_of,
    parse_budget,
)
from gateway.batches.reuse import REUSE, parse_reuse
from gateway.errors import LimitedError, RequestError, TooLargeError
from gateway.wire.openai import CreateBatch


def limits(call: Call) -> OwnerLimits:
    """Give the limits of the caller."""
    return limits_of(call.owner, call.options.limits)


async def check_room_for(call: Call, more: int) -> None:
    """Refuse so many bytes more where they are too many for the caller. Errors: TooLargeError."""
    most = limits(call).stored_bytes
    if most is None:
        return
    used = await call.store.used_by(call.owner, call.now())
    if used.stored_bytes + more > most:
        raise TooLargeError(
            f"This key may store {most} bytes, and has {used.stored_bytes}: {more} more are too"
            " many. Delete files, or wait for some to expire.",
            code="storage_limit_exceeded",
        )


async def add_batch(call: Call, asked: Batch, same_since: int | None) -> Batch | None:
    """Create a batch, or find that which it repeats. Errors: LimitedError of too many."""
    try:
        return await call.store.add_batch(asked, same_since=same_since, within=limits(call))
    except OverLimitError as over:
        raise LimitedError(over.error.message, code=over.error.code) from over


# What the gateway itself reads of a batch's metadata.
_READ: Final[Mapping[str, Callable[[str], int]]] = {BUDGET: parse_budget, REUSE: parse_reuse}


def check_wishes(wanted: CreateBatch) -> None:
    """Refuse a ``budget_usd`` or ``reuse`` that means nothing. Errors: RequestError."""
    for name, parse in _READ.items():
        given = (wanted.metadata or {}).get(name)
        if given is None:
            continue
        try:
            parse(given)
        except ValueError as error:
            param = f"metadata.{name}"
            raise RequestError(
                f"Invalid '{param}': {error}", param=param, code="invalid_value"
            ) from error
