"""Deliveries from the records to receivers, judged by openai-python's ``unwrap``."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import openai
import orjson
import pytest
from openai.types import webhooks

from gateway.batches.batch import BatchStatus
from gateway.batches.pacing import Pace
from gateway.batches.webhooks import GIVE_UP_AFTER, SETTINGS_ENDPOINT, Delivery, DeliveryState
from gateway.clock import SystemClock
from gateway.ids import new_webhook_secret
from gateway.notify.notifier import AT_ONCE, Notifier, NotifierOptions
from gateway.notify.sender import Sender, SenderOptions
from gateway.store.sqlite import SQLiteStore
from tests.conformance.records import OWNER
from tests.conformance.webhooks import an_endpoint, ended
from tests.notify.receiver import OK, Received, receiving
from tests.store.timed import TimedSQLite

SECRET = new_webhook_secret()
OLD = new_webhook_secret()
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class ShiftedClock(SystemClock):
    """The machine's clock, some hours on."""

    shift = 0

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return super().now() + self.shift


@pytest.fixture
def clock() -> ShiftedClock:
    """A clock that may be put forward."""
    return ShiftedClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """Open and empty."""
    opened = TimedSQLite(tmp_path / "data" / "gateway.db")
    await opened.open(0)
    yield opened
    await opened.close()


@asynccontextmanager
async def notifying(
    store: SQLiteStore, clock: ShiftedClock, secret: str | None = None
) -> AsyncGenerator[Notifier, None]:
    """A notifier at work, quick to try again."""
    sender = Sender(SenderOptions(allow_private=True), clock)
    options = NotifierOptions(Pace(20, 100), lambda: secret, look_seconds=0.01)
    notifier = Notifier(store, sender, clock, options)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(notifier.run())
        yield notifier
        running.cancel()


async def deliveries(store: SQLiteStore, endpoint: str = "we_one") -> list[Delivery]:
    """Those of an endpoint, newest first."""
    page = await store.list_deliveries(OWNER, endpoint, limit=100)
    assert page is not None
    return list(page.data)


async def settled(store: SQLiteStore, count: int, endpoint: str = "we_one") -> list[Delivery]:
    """Until so many deliveries are over; all of them."""
    async with asyncio.timeout(60):
        while True:
            found = await deliveries(store, endpoint)
            if sum(one.state is not DeliveryState.PENDING for one in found) >= count:
                return found
            await asyncio.sleep(0.005)


def unwrapped(request: Received, secret: str) -> webhooks.UnwrapWebhookEvent:
    """What an SDK's user gets."""
    with openai.OpenAI(api_key="any", webhook_secret=secret) as client:
        return client.webhooks.unwrap(request.body, request.headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (BatchStatus.COMPLETED, webhooks.BatchCompletedWebhookEvent),
        (BatchStatus.FAILED, webhooks.BatchFailedWebhookEvent),
        (BatchStatus.EXPIRED, webhooks.BatchExpiredWebhookEvent),
        (BatchStatus.CANCELLED, webhooks.BatchCancelledWebhookEvent),
    ],
)
async def test_the_sdk_unwraps_every_event(
    store: SQLiteStore, clock: ShiftedClock, status: BatchStatus, kind: type
) -> None:
    """With the secret of the endpoint, and while it lasts with the one before."""
    async with receiving() as receiver, notifying(store, clock):
        await an_endpoint(
            store,
            url=receiver.url,
            secret=SECRET,
            old_secret=OLD,
            old_secret_until=clock.now() + 100_000,
        )
        batch = await ended(store, status=status, at=clock.now())
        [request] = await receiver.wait_for(1)
        [delivery] = await settled(store, 1)

    for secret in (SECRET, OLD):
        event = unwrapped(request, secret)
        assert isinstance(event, kind)
        assert event.to_dict()["data"] == {"id": batch.id}
        assert event.id == request.headers["webhook-id"] == delivery.event_id
        assert event.created_at == delivery.created_at // 1000
    with pytest.raises(openai.InvalidWebhookSignatureError):
        unwrapped(request, new_webhook_secret())
    assert delivery.state is DeliveryState.DELIVERED
    assert [attempt.status_code for attempt in delivery.attempts] == [204]
    assert orjson.loads(request.body).keys() == {"id", "object", "type", "created_at", "data"}


@pytest.mark.parametrize("secret", [SECRET, "any text at all"], ids=["whsec", "text"])
async def test_the_secret_of_the_settings(
    store: SQLiteStore, clock: ShiftedClock, secret: str
) -> None:
    """As the SDK reads it: without the prefix it is the key itself."""
    async with receiving() as receiver, notifying(store, clock, secret):
        await store.set_settings_endpoint(receiver.url, 1)
        await ended(store, at=clock.now())
        [request] = await receiver.wait_for(1)
        await settled(store, 1, SETTINGS_ENDPOINT)

    assert unwrapped(request, secret).type == "batch.completed"


async def test_what_fails_is_sent_again_with_the_same_id(
    store: SQLiteStore, clock: ShiftedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """And a fresh timestamp and signature; every attempt is written down."""
    answers = [REFUSAL, b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", b"", OK]

    async def reply(_request: Received) -> bytes:
        return answers.pop(0)

    async with receiving(reply) as receiver, notifying(store, clock):
        await an_endpoint(store, url=receiver.url, secret=SECRET)
        await ended(store, at=clock.now())
        requests = await receiver.wait_for(4)
        [delivery] = await settled(store, 1)

    assert len({request.headers["webhook-id"] for request in requests}) == 1
    assert [unwrapped(request, SECRET).type for request in requests] == ["batch.completed"] * 4
    told = [attempt.status_code or attempt.error for attempt in delivery.attempts]
    assert told == [503, 302, "the connection broke (RemoteProtocolError)", 204]
    [said] = [record.getMessage() for record in caplog.records]  # of the first failure alone
    assert said.endswith("status 503; tried again later")


async def test_what_hangs_or_fails_holds_up_no_other(
    store: SQLiteStore, clock: ShiftedClock
) -> None:
    """Of the same endpoint, or of another: more than all of one's attempts hang here."""
    hanging = asyncio.Event()

    async def reply(request: Received) -> bytes:
        if b"batch_of" in request.body or b"hang" in request.body:
            await hanging.wait()
        return OK

    async with receiving(reply) as receiver, notifying(store, clock):
        await an_endpoint(store, "stuck", url=receiver.url, secret=SECRET)
        for number in range(AT_ONCE - 1):
            await ended(store, f"hang-{number}")
        await receiver.wait_for(AT_ONCE - 1)
        await an_endpoint(store, "other", url=receiver.url, secret=SECRET)
        batch = await ended(store, "fine")
        [to_other] = await settled(store, 1, "we_other")
        found = await settled(store, 1, "we_stuck")
        assert to_other.batch_id == batch.id
        assert found[0].batch_id == batch.id
        # Now every attempt that the endpoint may have hangs.
        await ended(store, "hang-last")
        await receiver.wait_for(AT_ONCE + 3)
        await ended(store, "more")
        assert (await settled(store, 2, "we_other"))[0].batch_id == "batch_more"
        await ended(store, "again")
        await settled(store, 3, "we_other")
        assert len(receiver.requests) == AT_ONCE + 5  # none of these two to the one that is stuck
        hanging.set()
        await settled(store, AT_ONCE + 3, "we_stuck")


async def test_after_72_hours_it_is_given_up(
    store: SQLiteStore, clock: ShiftedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """With a last attempt, however long the gateway was down; said in the log."""

    async def reply(_request: Received) -> bytes:
        return REFUSAL

    async with receiving(reply) as receiver, notifying(store, clock):
        await an_endpoint(store, url=receiver.url, secret=SECRET)
        await ended(store, at=clock.now())
        await receiver.wait_for(2)
        clock.shift = GIVE_UP_AFTER
        [delivery] = await settled(store, 1)
        async with asyncio.timeout(60):
            while len(caplog.records) < 2:  # it is said after it is written down
                await SystemClock().sleep(0.01)

    assert (delivery.state, delivery.due_at) == (DeliveryState.FAILED, None)
    assert [record.getMessage().split("; ")[-1] for record in caplog.records] == [
        "tried again later",
        "given up",
    ]
    assert not any(SECRET in record.getMessage() for record in caplog.records)


async def test_a_test_is_a_sample(store: SQLiteStore, clock: ShiftedClock) -> None:
    """Signed as others are, and not written down."""
    async with receiving() as receiver, notifying(store, clock) as notifier:
        endpoint = await an_endpoint(store, url=receiver.url, secret=SECRET)
        attempt = await notifier.test(endpoint, "batch.expired")
        again = await notifier.test(replace(endpoint, secret=OLD), "batch.failed")
        first, second = receiver.requests

    assert (attempt.status_code, again.status_code) == (204, 204)
    assert unwrapped(first, SECRET).type == "batch.expired"
    assert unwrapped(second, OLD).type == "batch.failed"
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert await deliveries(store) == []
