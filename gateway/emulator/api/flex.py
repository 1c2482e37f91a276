"""Service tiers of synchronous calls: flex capacity, spend limits, and what an answer cost.

From Google's page "Flex inference" (preview): half of the standard price, one to fifteen minutes,
503 when there is no capacity, 429 beyond a limit, no fallback at the server, 400 for a model
without the tier. ``usageMetadata.serviceTier`` tells the tier that served. Texts of the 503 and of
the 400 are not on record.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.emulator.api.call import Call
from gateway.emulator.protocol.clock import SECOND
from gateway.emulator.protocol.errors import (
    ApiError,
    JsonObject,
    interactive_quota,
    invalid,
    of_status,
)
from gateway.emulator.resources.capabilities import capabilities_of
from gateway.emulator.resources.ledger import SPEND_LIMITS, charge

# How often a waiting call looks at the emulator's clock, which can be moved.
LOOK_SECONDS: Final = 0.02


@contextmanager
def place(call: Call, tier: str) -> Iterator[None]:
    """Hold a place of the tier while the call is served; raises ApiError 400, 429, 503."""
    _check_spending(call)
    if tier != "flex":
        yield
        return
    _check_flex(call)
    call.project.flex_calls += 1
    try:
        yield
    finally:
        call.project.flex_calls -= 1


def _check_flex(call: Call) -> None:
    if call.take("flex-refused") or not capabilities_of(call.model).flex:
        raise invalid(f"Service tier flex is not supported for model models/{call.model}.")
    if fault := call.take("flex-full"):
        raise of_status(fault.status, call.operation, call.model)
    places = call.state.options.flex_places
    if places and call.project.flex_calls >= places:
        raise ApiError(503, "The service is currently unavailable.")


def _check_spending(call: Call) -> None:
    options = call.state.options
    limit = options.spend_limit or SPEND_LIMITS.get(options.tier)
    spent = call.project.spending.recent(call.state.clock.now_ns())
    if limit is not None and spent >= limit:
        raise interactive_quota(call.model)


async def wait(call: Call) -> None:
    """Return when a flex call's time has come, by the emulator's clock."""
    clock = call.state.clock
    due = clock.now_ns() + int(call.state.options.flex_seconds * SECOND)
    while clock.now_ns() < due:
        await clock.sleep(LOOK_SECONDS)


def served(call: Call, tier: str) -> str:
    """Return the tier that serves a call: the one asked for, unless a fault has it otherwise."""
    return "standard" if tier == "flex" and call.take("flex-standard") else tier


def book(call: Call, tier: str, response: JsonObject, text: str) -> None:
    """Count what an answer cost, and keep it when a ledger is kept."""
    cost = charge(call.model, tier, response, text)
    call.project.spending.add(call.state.clock.now_ns(), cost.usd)
    if call.state.options.ledger:
        call.project.charges.append(cost)
