"""Limits and budgets, in words with numbers."""

from typing import Any

import pytest

from gateway.batches.limits import (
    BILLION,
    DAY,
    Estimate,
    OwnerLimits,
    Used,
    day_of,
    dollars,
    limits_of,
    over_budget,
    over_limits,
    parse_budget,
    read_limits,
    too_many_live,
)
from tests.conformance.records import a_batch

ESTIMATE = Estimate(tokens=500, most=2 * BILLION)
UNKNOWN = Estimate(500, None, "line 7 names gemini-9, whose price is not published.")


@pytest.mark.parametrize(
    ("text", "billionths"),
    [("0", 0), ("12", 12 * BILLION), ("0.5", BILLION // 2), ("1.000000001", BILLION + 1)],
)
def test_a_budget_is_read_exactly(text: str, billionths: int) -> None:
    """Without a float in between."""
    assert parse_budget(text) == billionths


@pytest.mark.parametrize("text", ["", "-1", "1e3", "1,5", "$1", "nan", ".5", "1.", " 1", "\u0661"])
def test_a_budget_that_is_none(text: str) -> None:
    """A typing error must not become a large sum, or no limit."""
    with pytest.raises(ValueError, match="decimal number"):
        parse_budget(text)


def test_money_is_written_as_exactly_as_it_is() -> None:
    """Two decimals at least."""
    found = [dollars(each) for each in (0, BILLION, 1_500_000_000, 1)]
    assert found == ["$0.00", "$1.00", "$1.50", "$0.000000001"]


def test_limits_are_read() -> None:
    """Money may have decimals."""
    read = read_limits({"alice": {"usd_per_day": 0.5, "live_batches": 3}, "*": {}})
    assert read["alice"] == OwnerLimits(live_batches=3, usd_per_day=BILLION // 2)
    assert limits_of("alice", read).live_batches == 3
    assert limits_of("bob", read) == limits_of("bob", {}) == OwnerLimits()
    everybody = read_limits({"*": {"live_batches": 1}, "alice": {"stored_bytes": 5}})
    assert limits_of("bob", everybody).live_batches == 1
    assert limits_of("alice", everybody) == OwnerLimits(stored_bytes=5)


@pytest.mark.parametrize(
    "members",
    [{"dollars": 1}, {"live_batches": 1.5}, {"live_batches": -1}, {"usd_per_day": "5"},
     {"stored_bytes": True}, {"usd_per_day": float("inf")}],
)  # fmt: skip
def test_limits_that_are_none(members: dict[str, Any]) -> None:
    """The key and the member are named."""
    with pytest.raises(ValueError, match="'alice'"):
        read_limits({"alice": members})


def budget_error(
    budget: str | None, estimate: Estimate = ESTIMATE, **limits: int
) -> tuple[str, str | None] | None:
    """Message and param of what is too dear."""
    metadata = None if budget is None else {"budget_usd": budget}
    error = over_budget(a_batch(metadata=metadata), estimate, OwnerLimits(**limits))
    assert error is None or (error.code, error.line) == ("budget_exceeded", None)
    return None if error is None else (error.message, error.param)


def test_a_batch_within_its_budget() -> None:
    """To the billionth; without a budget nothing is asked."""
    assert budget_error(None) is budget_error("2") is budget_error("nonsense") is None
    assert budget_error(None, usd_per_batch=2 * BILLION, usd_per_day=0) is None
    assert budget_error(None, UNKNOWN) is None


def test_a_batch_beyond_its_budget() -> None:
    """Both sums are named, and what to do."""
    told = budget_error("1.999999999")
    assert told is not None
    message, param = told
    assert param == "metadata.budget_usd"
    for part in ("$2.00", "$1.999999999", "Nothing was sent or paid", "max_completion_tokens"):
        assert part in message
    told = budget_error("5", usd_per_batch=BILLION)
    assert told is not None
    assert ("$2.00" in told[0], "$1.00" in told[0], told[1]) == (True, True, None)


@pytest.mark.parametrize(
    "case",
    [("5", {}), (None, {"usd_per_batch": BILLION}), (None, {"usd_per_day": BILLION})],
)
def test_an_unknown_price_under_a_budget(case: tuple[str | None, dict[str, int]]) -> None:
    """It fails, and the line is named."""
    told = budget_error(case[0], UNKNOWN, **case[1])
    assert told is not None
    assert "line 7 names gemini-9" in told[0]


def test_what_an_owner_has_counts() -> None:
    """Tokens in OpenAI's words, money of the day, batches that have not ended."""
    limits = OwnerLimits(enqueued_tokens=1000, usd_per_day=5 * BILLION, live_batches=2)
    assert over_limits(Used(enqueued_tokens=500, spent=3 * BILLION), ESTIMATE, limits) is None
    tokens = over_limits(Used(enqueued_tokens=501), ESTIMATE, limits)
    assert tokens is not None
    assert tokens.code == "token_limit_exceeded"
    assert tokens.message.startswith("Enqueued token limit reached. Limit: 1,000 enqueued tokens;")
    money = over_limits(Used(spent=3 * BILLION + 1), ESTIMATE, limits)
    assert money is not None
    assert money.code == "budget_exceeded"
    for part in ("$2.00", "$3.000000001", "$5.00", "today (UTC)"):
        assert part in money.message
    assert too_many_live(Used(live_batches=1), limits) is None
    live = too_many_live(Used(live_batches=2), limits)
    assert live is not None
    assert live.code == "batch_limit_exceeded"
    assert over_limits(Used(10**9, 10**9, 10**9, 10**18), ESTIMATE, OwnerLimits()) is None


def test_days_are_those_of_utc() -> None:
    """Whatever the moment."""
    assert day_of(20_000 * DAY) == day_of(20_001 * DAY - 1) == 20_000 * DAY
