"""Pacing: bounds are kept whatever comes in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.pacing import Pace, PollBudget, next_poll, next_retry

PACE = Pace(5_000, 60_000)
UNIT = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("age", "items", "pause"),
    [
        (0, 1, 5_000),
        (0, 100, 5_000),
        (0, 101, 30_000),
        (100_000, 1, 10_000),
        (100_000, 5_000, 30_000),
        (400_000, 5_000, 40_000),
        (36_000_000, 1, 60_000),
    ],
)
def test_polls_are_quick_for_tiny_jobs_then_slow(age: int, items: int, pause: int) -> None:
    """A tenth of the age, between the bounds; larger jobs begin at half a minute."""
    assert next_poll(age, items, PACE, 0) == pause


@given(st.integers(0, 10**12), st.integers(0, 10**6), UNIT)
def test_a_poll_stays_in_its_bounds(age: int, items: int, jitter: float) -> None:
    """Less a fifth at most, for jitter: jobs that began together are not looked at together."""
    pause, longest = next_poll(age, items, PACE, jitter), next_poll(age, items, PACE, 0)
    assert 4_000 <= pause <= 60_000
    assert abs(pause - longest * (1 - jitter / 5)) <= 1


def test_retries_double_up_to_the_longest() -> None:
    """And half of the pause is random."""
    pace = Pace(1_000, 300_000)

    assert [next_retry(n, pace, 0) for n in (1, 2, 3, 9, 10, 1000)] == [
        1_000,
        2_000,
        4_000,
        256_000,
        300_000,
        300_000,
    ]
    assert next_retry(3, pace, 0.5) == 3_000


def test_the_upstreams_hint_is_obeyed() -> None:
    """Never earlier than it asks."""
    assert next_retry(1, Pace(1_000, 300_000), 0, hint=48.9) == 48_900


def test_polls_keep_to_a_budget() -> None:
    """A burst, then so many a minute, and no saving up beyond the burst."""
    budget = PollBudget(60, burst=5)
    begun = 0
    for tenth in range(601):
        for _ in range(budget.left(1000 + tenth / 10)):
            budget.take()
            begun += 1
    assert begun == 64
    assert budget.left(10_000) == 4
    assert budget.left(9_000) == 4  # a clock that goes back takes nothing away


def test_a_part_of_the_polls_is_kept_for_young_jobs() -> None:
    """Old ones that are overdue leave it alone, and never get less than the rest."""
    budget = PollBudget(60, burst=8)
    begun = {True: 0, False: 0}
    for tenth in range(601):
        left = {False: budget.left(1000 + tenth / 10), True: budget.left_for_young()}
        for young, count in left.items():
            for _ in range(count):
                budget.take(young=young)
                begun[young] += 1
    assert begun == {False: 6 + 45, True: 2 + 15}
    budget.left(10_000)
    assert budget.left_for_young() == 2
    assert PollBudget(1).left(100) == 1  # however few there are, not all are kept
