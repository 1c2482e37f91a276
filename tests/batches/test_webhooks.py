"""How often, and for how long, an event is sent again."""

from dataclasses import replace

import pytest

from gateway.batches.pacing import Pace
from gateway.batches.webhooks import (
    GIVE_UP_AFTER,
    MOST_ATTEMPTS,
    Attempt,
    Delivery,
    DeliveryState,
    WebhookEndpoint,
    attempted,
)

PACE = Pace(5_000, 3_600_000)
DELIVERY = Delivery("evt_1", "we_1", "local", "batch.completed", "batch_1", 0, due_at=0)
FAILED = Attempt(0, 1, 503)


@pytest.mark.parametrize(
    ("status", "accepted"), [(200, True), (204, True), (299, True), (300, False), (None, False)]
)
def test_only_2xx_is_an_answer(status: int | None, *, accepted: bool) -> None:
    """A redirect is none, and it is not followed."""
    after = attempted(DELIVERY, Attempt(0, 1, status), PACE, 0, 0)

    assert after.state is (DeliveryState.DELIVERED if accepted else DeliveryState.PENDING)
    assert (after.due_at is None) is accepted


def test_pauses_double_until_they_are_an_hour() -> None:
    """And for 72 hours: then it is given up."""
    delivery, now, pauses = DELIVERY, 0, []
    while delivery.state is DeliveryState.PENDING:
        delivery = attempted(delivery, FAILED, PACE, now, 0)
        if delivery.due_at is not None:
            pauses.append(delivery.due_at - now)
            now = delivery.due_at

    assert pauses[:4] == [5_000, 10_000, 20_000, 40_000]
    assert pauses[-1] == 3_600_000
    assert delivery.state is DeliveryState.FAILED
    assert GIVE_UP_AFTER <= now < GIVE_UP_AFTER + 3_600_000
    assert delivery.tried == len(pauses) + 1


def test_what_is_remembered_is_bounded() -> None:
    """The last attempts, and how many there were."""
    delivery = DELIVERY
    for number in range(MOST_ATTEMPTS + 5):
        delivery = attempted(delivery, replace(FAILED, at=number), PACE, 0, 0)

    assert (len(delivery.attempts), delivery.attempts[-1].at) == (MOST_ATTEMPTS, MOST_ATTEMPTS + 4)
    assert delivery.tried == MOST_ATTEMPTS + 5


def test_an_old_secret_signs_for_its_time() -> None:
    """And never without one."""
    endpoint = WebhookEndpoint("we_1", "local", "n", "u", (), 0, 0, "new", "old", 100)

    assert endpoint.secrets(99) == ("new", "old")
    assert endpoint.secrets(100) == ("new",)
    assert replace(endpoint, old_secret=None).secrets(0) == ("new",)
