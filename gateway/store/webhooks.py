"""Transactions over webhook endpoints and deliveries."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Final

import orjson

from gateway.batches.batch import Batch
from gateway.batches.response import ResponseStatus, StoredResponse
from gateway.batches.webhooks import (
    EVERY_OWNER,
    OFFERED_TYPES,
    RESPONSE_EVENT_TYPES,
    SETTINGS_ENDPOINT,
    Attempt,
    Delivery,
    DeliveryState,
    WebhookEndpoint,
    event_of,
)
from gateway.ids import event_id
from gateway.ports.store import Page
from gateway.store import files as file_rows
from gateway.store.session import Row, Session

_ENDPOINT: Final = tuple(field.name for field in fields(WebhookEndpoint))
_DELIVERY: Final = tuple(field.name for field in fields(Delivery))


def _endpoint_of(row: Row) -> WebhookEndpoint:
    values = {name: row[name] for name in _ENDPOINT}
    return WebhookEndpoint(
        **{**values, "event_types": tuple(orjson.loads(values["event_types"]))},
    )


def _endpoint_values(endpoint: WebhookEndpoint) -> dict[str, object]:
    types = orjson.dumps(endpoint.event_types).decode()
    return {**asdict(endpoint), "event_types": types}


def _delivery_of(row: Row) -> Delivery:
    values = {name: row[name] for name in _DELIVERY}
    attempts = tuple(Attempt(**attempt) for attempt in orjson.loads(values["attempts"]))
    return Delivery(
        **{**values, "state": DeliveryState(values["state"]), "attempts": attempts},
    )


async def add(session: Session, endpoint: WebhookEndpoint, most: int) -> WebhookEndpoint | None:
    """Insert, unless the owner has as many as that."""
    if (
        await session.run("insert_webhook_endpoint", {**_endpoint_values(endpoint), "most": most})
        == 0
    ):
        return None
    return await owned(session, endpoint.owner, endpoint.id)


async def set_in_settings(session: Session, url: str | None, now: int) -> None:
    """Keep the endpoint of the settings, or forget it and what waits for it."""
    if url is None:
        await delete(session, EVERY_OWNER, SETTINGS_ENDPOINT)
        return
    name = "GATEWAY_WEBHOOK_URL"
    endpoint = WebhookEndpoint(SETTINGS_ENDPOINT, EVERY_OWNER, name, url, OFFERED_TYPES, now, now)
    await session.run("keep_settings_endpoint", _endpoint_values(endpoint))


async def owned(session: Session, owner: str, endpoint_id: str) -> WebhookEndpoint | None:
    """Return an endpoint that this owner may see."""
    row = await session.one("webhook_endpoint", {"owner": owner, "id": endpoint_id})
    return None if row is None else _endpoint_of(row)


async def page(
    session: Session, owner: str, limit: int, after: str | None
) -> Page[WebhookEndpoint] | None:
    """Return a stretch of the list, newest first, one row more read than shown."""
    start = file_rows.LAST
    if after is not None:
        last = await owned(session, owner, after)
        if last is None:
            return None
        start = last.seq
    values = {"owner": owner, "after": start, "limit": limit + 1}
    rows = await session.all("webhook_endpoints_newest_first", values)
    return Page([_endpoint_of(row) for row in rows[:limit]], has_more=len(rows) > limit)


async def save(session: Session, endpoint: WebhookEndpoint) -> bool:
    """Write an endpoint of its owner."""
    return await session.run("save_webhook_endpoint", _endpoint_values(endpoint)) == 1


async def delete(session: Session, owner: str, endpoint_id: str) -> bool:
    """Forget an endpoint, and what waits for it."""
    values = {"owner": owner, "id": endpoint_id}
    await session.run("delete_webhook_deliveries", values)
    return await session.run("delete_webhook_endpoint", values) == 1


async def announce(session: Session, owner: str, batch: Batch, now: int) -> None:
    """Write down, for each endpoint that wants to know, that a batch has ended."""
    event = event_of(batch)
    if event is None:
        return
    kind, ended_at = event
    await _announce(session, owner, (batch.id, kind), ended_at or now, now)


async def announce_response(
    session: Session, response: StoredResponse, status: ResponseStatus, now: int
) -> None:
    """Write down, for each endpoint that wants to know, that a response has ended."""
    kind = RESPONSE_EVENT_TYPES.get(status)
    if kind is not None:
        await _announce(session, response.owner, (response.id, kind), now, now)


async def _announce(
    session: Session, owner: str, event: tuple[str, str], ended_at: int, now: int
) -> None:
    """Announce an event: the id of what it is about, and its type."""
    about, kind = event
    values = {
        "event_id": event_id(about, kind),
        "owner": owner,
        "type": kind,
        "batch_id": about,
        "created_at": ended_at,
        "now": now,
        "wanted": f'%"{kind}"%',
    }
    await session.run("announce_batch", values)


async def deliveries(
    session: Session, owner: str, endpoint_id: str, limit: int, after: str | None
) -> Page[Delivery] | None:
    """Return a stretch of an endpoint's deliveries about batches of an owner, newest first."""
    values = {"owner": owner, "endpoint_id": endpoint_id}
    start = file_rows.LAST
    if after is not None:
        row = await session.one("webhook_delivery", {**values, "event_id": after})
        if row is None:
            return None
        start = row["seq"]
    rows = await session.all(
        "webhook_deliveries_newest_first", {**values, "after": start, "limit": limit + 1}
    )
    return Page([_delivery_of(row) for row in rows[:limit]], has_more=len(rows) > limit)


async def due(session: Session, now: int, latest: int, limit: int) -> Sequence[Delivery]:
    """Return due deliveries that are free, some of each endpoint."""
    values = {"now": now, "latest": latest, "limit": limit}
    return [_delivery_of(row) for row in await session.all("due_webhook_deliveries", values)]


async def claim(
    session: Session, delivery: Delivery, now: int, lease_until: int
) -> tuple[Delivery, WebhookEndpoint] | None:
    """Claim a free delivery, with the endpoint as it is now."""
    values = {"endpoint_id": delivery.endpoint_id, "event_id": delivery.event_id}
    row = await session.one(
        "claim_webhook_delivery", {**values, "now": now, "lease_until": lease_until}
    )
    if row is None:
        return None
    endpoint = await session.the("endpoint_of_delivery", {"endpoint_id": delivery.endpoint_id})
    return _delivery_of(row), _endpoint_of(endpoint)


async def save_delivery(session: Session, delivery: Delivery) -> bool:
    """Write a delivery that is still its holder's; ends the claim."""
    values = asdict(replace(delivery, lease_until=None))
    values["attempts"] = orjson.dumps([asdict(attempt) for attempt in delivery.attempts]).decode()
    return (
        await session.run("save_webhook_delivery", {**values, "state": delivery.state.value}) == 1
    )


async def recover(session: Session) -> None:
    """End the leases of a dead process."""
    await session.run("recover_webhook_deliveries")
