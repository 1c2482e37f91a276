"""Rules of webhook endpoints and deliveries, for every store."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.webhooks import (
    EVENT_TYPES,
    EVERY_OWNER,
    SETTINGS_ENDPOINT,
    Attempt,
    Delivery,
    DeliveryState,
    WebhookEndpoint,
)
from gateway.ports.store import Store
from tests.conformance.records import OTHER, OWNER, claimed_batch

EVENTS = tuple(EVENT_TYPES.values())
FAR = 10**9
LAST = 10**15
BEYOND = 10**16
ENDED = {
    BatchStatus.COMPLETED: "completed_at",
    BatchStatus.FAILED: "failed_at",
    BatchStatus.EXPIRED: "expired_at",
    BatchStatus.CANCELLED: "cancelled_at",
}


async def an_endpoint(store: Store, name: str = "one", **fields: Any) -> WebhookEndpoint:
    """An endpoint with every field set."""
    values: dict[str, Any] = {
        "id": f"we_{name}",
        "owner": OWNER,
        "name": name,
        "url": "https://example.com/hook",
        "event_types": EVENTS,
        "created_at": 10,
        "updated_at": 20,
        "secret": "whsec_new",
        "old_secret": "whsec_old",
        "old_secret_until": 30,
    }
    made = await store.add_endpoint(WebhookEndpoint(**{**values, **fields}), 100)
    assert made is not None
    return made


async def ended(
    store: Store,
    name: str = "one",
    status: BatchStatus = BatchStatus.COMPLETED,
    at: int = 5_000,
    **fields: Any,
) -> Batch:
    """A batch that has ended."""
    batch = await claimed_batch(store, name, **fields)
    end: dict[str, Any] = {ENDED[status]: at}
    assert await store.save_batch(replace(batch, status=status, **end))
    return batch


async def only_delivery(store: Store, endpoint: str = "we_one", owner: str = OWNER) -> Delivery:
    """The one there is."""
    page = await store.list_deliveries(owner, endpoint, limit=10)
    assert page is not None
    [delivery] = page.data
    return delivery


async def claim(store: Store, delivery: Delivery, now: int = FAR) -> Delivery:
    """A claim that must succeed."""
    claimed = await store.claim_delivery(delivery, now, now + 1_000)
    assert claimed is not None
    return claimed[0]


class WebhookRules:
    """Whose endpoints they are, what is announced to them, and how it is taken."""

    async def test_an_endpoint_comes_back_as_it_was(self, store: Store) -> None:
        endpoint = await an_endpoint(store)
        assert endpoint.seq > 0
        assert await store.get_endpoint(OWNER, "we_one") == endpoint
        changed = replace(
            endpoint, name="n", url="u", event_types=EVENTS[:1], secret="s", updated_at=99
        )
        changed = replace(changed, old_secret=None, old_secret_until=None)
        assert await store.save_endpoint(changed)
        assert await store.get_endpoint(OWNER, "we_one") == changed

    async def test_an_endpoint_is_its_owners(self, store: Store) -> None:
        """To others it is not there, whatever they do."""
        endpoint = await an_endpoint(store)
        assert await store.get_endpoint(OTHER, "we_one") is None
        assert not await store.save_endpoint(replace(endpoint, owner=OTHER, name="taken"))
        assert not await store.delete_endpoint(OTHER, "we_one")
        page = await store.list_endpoints(OTHER, limit=9)
        assert page is not None
        assert page.data == []
        assert await store.list_endpoints(OTHER, limit=9, after="we_one") is None
        assert await store.get_endpoint(OWNER, "we_one") == endpoint

    async def test_endpoints_are_listed_newest_first(self, store: Store) -> None:
        for name in "abc":
            await an_endpoint(store, name)
        first = await store.list_endpoints(OWNER, limit=2)
        assert first is not None
        assert ([one.id for one in first.data], first.has_more) == (["we_c", "we_b"], True)
        rest = await store.list_endpoints(OWNER, limit=2, after="we_b")
        assert rest is not None
        assert ([one.id for one in rest.data], rest.has_more) == (["we_a"], False)

    async def test_an_owner_has_no_more_than_allowed(self, store: Store) -> None:
        endpoint = await an_endpoint(store)
        assert await store.add_endpoint(replace(endpoint, id="we_two"), 1) is None
        assert await store.add_endpoint(replace(endpoint, id="we_two", owner=OTHER), 1) is not None

    @pytest.mark.parametrize("status", ENDED)
    async def test_the_end_of_a_batch_is_announced(self, store: Store, status: BatchStatus) -> None:
        """Whatever the end, once, due at once; a save that is refused announces nothing."""
        await an_endpoint(store)
        batch = await ended(store, status=status)
        assert not await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        delivery = await only_delivery(store)
        assert (delivery.type, delivery.batch_id) == (EVENT_TYPES[status], batch.id)
        assert (delivery.created_at, delivery.state) == (5_000, DeliveryState.PENDING)
        assert await store.due_deliveries(LAST, LAST, 10) == [delivery]

    async def test_only_endpoints_that_asked_are_told(self, store: Store) -> None:
        """Of the owner, of this type; that of the settings hears of all."""
        await store.set_settings_endpoint("https://example.com/all", 5)
        await an_endpoint(store, "mine")
        await an_endpoint(store, "failures", event_types=("batch.failed",))
        await an_endpoint(store, "his", owner=OTHER)
        await ended(store)
        due = await store.due_deliveries(LAST, LAST, 10)
        assert {one.endpoint_id for one in due} == {"we_mine", SETTINGS_ENDPOINT}
        assert len({one.event_id for one in due}) == 1
        assert (await only_delivery(store, SETTINGS_ENDPOINT)).owner == OWNER
        page = await store.list_deliveries(OTHER, SETTINGS_ENDPOINT, limit=10)
        assert page is not None
        assert page.data == []

    async def test_the_endpoint_of_the_settings(self, store: Store) -> None:
        """Everybody sees it, a new URL is taken over, and without one it goes."""
        await store.set_settings_endpoint("https://example.com/a", 5)
        await store.set_settings_endpoint("https://example.com/a", 6)
        seen = await store.get_endpoint(OTHER, SETTINGS_ENDPOINT)
        assert seen is not None
        assert (seen.owner, seen.created_at, seen.updated_at) == (EVERY_OWNER, 5, 5)
        await store.set_settings_endpoint("https://example.com/b", 7)
        moved = await store.get_endpoint(OWNER, SETTINGS_ENDPOINT)
        assert moved is not None
        assert (moved.url, moved.updated_at) == ("https://example.com/b", 7)
        await ended(store)
        await store.set_settings_endpoint(None, 8)
        assert await store.get_endpoint(OWNER, SETTINGS_ENDPOINT) is None
        assert await store.due_deliveries(LAST, LAST, 10) == []

    async def test_a_deleted_endpoint_is_sent_nothing(self, store: Store) -> None:
        endpoint = await an_endpoint(store)
        await ended(store)
        claimed = await claim(store, await only_delivery(store))
        assert await store.delete_endpoint(OWNER, endpoint.id)
        assert not await store.save_delivery(claimed)
        assert await store.due_deliveries(LAST, LAST, 10) == []

    async def test_a_claimed_delivery_is_nobody_elses(self, store: Store) -> None:
        """Until its lease ends; the save of an earlier claim changes nothing."""
        await an_endpoint(store)
        await ended(store)
        delivery = await only_delivery(store)
        first = await claim(store, delivery)
        assert await store.claim_delivery(delivery, FAR, FAR + 1) is None
        assert await store.due_deliveries(FAR, FAR, 10) == []
        second = await claim(store, delivery, FAR + 2_000)
        assert not await store.save_delivery(replace(first, due_at=7))
        attempts = (Attempt(1, 2, 500, None), Attempt(3, 4, None, "no connection"))
        assert await store.save_delivery(replace(second, due_at=7, attempts=attempts, tried=2))
        after = await only_delivery(store)
        assert (after.due_at, after.attempts, after.tried, after.lease_until) == (
            7,
            attempts,
            2,
            None,
        )

    async def test_what_was_delivered_is_over(self, store: Store) -> None:
        await an_endpoint(store)
        await ended(store)
        claimed = await claim(store, await only_delivery(store))
        over = replace(claimed, state=DeliveryState.DELIVERED, due_at=None)
        assert await store.save_delivery(over)
        assert not await store.save_delivery(over)
        assert await store.claim_delivery(claimed, FAR * 2, FAR * 2) is None
        assert await store.due_deliveries(LAST, LAST, 10) == []

    async def test_each_endpoint_has_its_share_of_what_is_due(self, store: Store) -> None:
        """A long queue of one stands before no other; what waits is not given."""
        await an_endpoint(store, "busy")
        for name in "abcd":
            await ended(store, name)
        await an_endpoint(store, "quiet")
        last = await ended(store, "e")
        due = await store.due_deliveries(LAST, LAST, 2)
        assert [one.endpoint_id for one in due].count("we_busy") == 2
        assert last.id in {one.batch_id for one in due if one.endpoint_id == "we_quiet"}
        waits = await claim(store, await only_delivery(store, "we_quiet"), LAST)
        await store.save_delivery(replace(waits, due_at=BEYOND))
        due = await store.due_deliveries(LAST, BEYOND, 9)
        assert "we_quiet" not in {one.endpoint_id for one in due}
        # It was written while the clock was ahead: further off than any pause.
        due = await store.due_deliveries(LAST, BEYOND - 1, 9)
        assert "we_quiet" in {one.endpoint_id for one in due}

    async def test_deliveries_are_listed_newest_first(self, store: Store) -> None:
        await an_endpoint(store)
        for name in "abc":
            await ended(store, name)
        first = await store.list_deliveries(OWNER, "we_one", limit=2)
        assert first is not None
        assert [one.batch_id for one in first.data] == ["batch_c", "batch_b"]
        rest = await store.list_deliveries(OWNER, "we_one", limit=2, after=first.data[-1].event_id)
        assert rest is not None
        assert ([one.batch_id for one in rest.data], rest.has_more) == (["batch_a"], False)
        assert await store.list_deliveries(OWNER, "we_one", limit=2, after="evt_none") is None

    async def test_records_of_deliveries_are_forgotten(self, store: Store) -> None:
        """Those that are over, with the records of batches; never one that is pending."""
        await an_endpoint(store)
        await ended(store, "a", at=10)
        await ended(store, "b", at=20)
        page = await store.list_deliveries(OWNER, "we_one", limit=10)
        assert page is not None
        for one in page.data[1:]:
            over = replace(await claim(store, one), state=DeliveryState.FAILED, due_at=None)
            await store.save_delivery(over)
        await store.forget_records(10_000, 10)
        assert (await only_delivery(store)).batch_id == "batch_b"
