"""A create is paid once, in every order in which two replicas, a crash and time may meet."""

import pytest

from tests.protocol.model import Explored, Guard, Model, explore

# Leases decide who tries, never who is right.
NEEDED = [guard for guard in Guard if guard is not Guard.LEASE]


@pytest.fixture(scope="module")
def whole() -> Explored:
    """Everything that can happen."""
    return explore(Model())


def test_nothing_is_paid_twice(whole: Explored) -> None:
    """In any of thousands of states."""
    assert whole.broken is None
    assert len(whole.states) > 1_000


def test_the_job_can_always_come_to_run(whole: Explored) -> None:
    """Whoever is gone, another may take over."""
    assert whole.stuck() == []


@pytest.mark.parametrize("guard", NEEDED, ids=[guard.name for guard in NEEDED])
def test_a_protocol_without_a_guard_is_caught(guard: Guard) -> None:
    """So the model can tell."""
    found = explore(Model(frozenset({guard})))
    assert found.broken is not None, guard.value
    assert len(found.story(found.broken)) >= 4


@pytest.mark.slow
def test_leases_only_save_effort() -> None:
    """A process that was paused may go on at any time, lease or no lease."""
    assert explore(Model(frozenset({Guard.LEASE}))).broken is None
