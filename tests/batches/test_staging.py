"""Copies of files at the upstream: what comes next, and how long one is good for."""

from dataclasses import replace

import pytest

from gateway.batches.lifecycle import Act
from gateway.batches.staging import (
    HOUR,
    MARGIN,
    StagedFile,
    StagedState,
    earliest,
    is_usable,
    next_act,
    usable_until,
)

COPY = StagedFile("s", "ab" * 32, "application/pdf", "default", 10, created_at=0)
# Uploaded an hour after somebody wanted it, for 48 hours.
READY = replace(COPY, state=StagedState.READY, uploaded_at=HOUR, until=49 * HOUR)


@pytest.mark.parametrize(
    ("state", "act"),
    [
        (StagedState.WANTED, Act.UPLOAD),
        (StagedState.UPLOADED, Act.LOOK),
        (StagedState.READY, None),
        (StagedState.FAILED, None),
        (StagedState.REMOVING, Act.REMOVE),
    ],
)
def test_each_state_asks_for_its_act(state: StagedState, act: Act | None) -> None:
    """Looked at alone."""
    assert next_act(replace(COPY, state=state)) is act


@pytest.mark.parametrize(
    ("expires_at", "until"),
    [
        (49 * HOUR - MARGIN, None),  # the batch ends first, whenever its jobs are sent
        (49 * HOUR - MARGIN + 1, 9 * HOUR),  # else 8 hours of 48 may have passed
        (100 * HOUR, 9 * HOUR),
    ],
)
def test_how_long_a_copy_may_be_used(expires_at: int, until: int | None) -> None:
    """Whoever is sent must find it there until the end of the window, and a while after."""
    assert usable_until(READY, expires_at) == until
    assert is_usable(READY, expires_at, 9 * HOUR - 1)
    assert is_usable(READY, expires_at, 9 * HOUR) is (until is None)


def test_a_fresh_copy_is_always_usable() -> None:
    """However short its life: another one would not live longer."""
    short = replace(READY, until=HOUR + 6_000)
    assert is_usable(short, 100 * HOUR, HOUR + 999)
    assert not is_usable(short, 100 * HOUR, HOUR + 1_000)


@pytest.mark.parametrize(
    ("state", "usable"),
    [
        (StagedState.WANTED, True),
        (StagedState.UPLOADED, True),
        (StagedState.FAILED, True),
        (StagedState.REMOVING, False),
    ],
)
def test_which_copies_a_job_keeps(state: StagedState, usable: bool) -> None:
    """One that is on its way, one that failed; none that is on its way out."""
    assert is_usable(replace(COPY, state=state), 24 * HOUR, 0) is usable


def test_a_failed_copy_stays_whatever_its_age() -> None:
    """Its lines are answered with why; it is not tried for ever."""
    assert is_usable(replace(READY, state=StagedState.FAILED), 100 * HOUR, 90 * HOUR)


def test_the_earliest_moment() -> None:
    """None is never."""
    assert earliest([None, 3, 2]) == 2
    assert earliest([None]) is None
    assert earliest([]) is None
