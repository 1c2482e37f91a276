"""The notifier: takes due deliveries, attempts each, and writes down what became of it.

Each attempt is a task of its own, and an endpoint has a number of them at most: one that fails or
hangs holds up no other. An attempt whose process dies before its outcome is written is made again
with the same ``webhook-id``: at least once.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.batches.pacing import Pace
from gateway.batches.webhooks import (
    EVERY_OWNER,
    Attempt,
    Delivery,
    DeliveryState,
    WebhookEndpoint,
    attempted,
)
from gateway.clock import Clock
from gateway.errors import UnavailableError
from gateway.ids import event_id, jitter, new_batch_id, new_request_id
from gateway.log_fields import bind
from gateway.notify.events import body_of, signed
from gateway.notify.sender import ATTEMPT_SECONDS, Sender
from gateway.ports.metrics import NO_METERS, Meters, Series
from gateway.ports.store import Store

logger = logging.getLogger(__name__)

# How often due deliveries are looked for: other replicas end batches too, so no bell is rung.
LOOK_SECONDS: Final = 1.0
# Attempts at one endpoint at a time.
AT_ONCE: Final = 16
# Longer than an attempt takes, so that no other process makes it meanwhile.
LEASE_MS: Final = int(ATTEMPT_SECONDS * 1000) + 60_000


@dataclass(frozen=True, slots=True)
class NotifierOptions:
    """``secret`` gives that of the settings' endpoint, which may be turned while we run."""

    pace: Pace
    secret: Callable[[], str | None] = lambda: None
    look_seconds: float = LOOK_SECONDS


@dataclass(frozen=True)
class Notifier:
    """Delivers what the store has written down."""

    store: Store
    sender: Sender
    clock: Clock
    options: NotifierOptions
    meters: Meters = NO_METERS
    _under_way: dict[tuple[str, str], str] = field(init=False, default_factory=dict)

    async def run(self) -> None:
        """Deliver for ever; what is under way when this is cancelled is attempted again later."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    for delivery in await self._due():
                        self._begin(group, delivery)
                except (OSError, UnavailableError) as error:
                    logger.warning("no webhook deliveries can be looked for: %s", error)
                await self.clock.sleep(self.options.look_seconds)

    async def _due(self) -> list[Delivery]:
        now = self.clock.now()
        latest = now + self.options.pace.longest
        busy = list(self._under_way.values())
        # Those under way are leased, and not given again.
        due = await self.store.due_deliveries(now, latest, AT_ONCE)
        chosen: list[Delivery] = []
        for delivery in due:
            taken = busy.count(delivery.endpoint_id)
            taken += sum(other.endpoint_id == delivery.endpoint_id for other in chosen)
            if taken < AT_ONCE and _key(delivery) not in self._under_way:
                chosen.append(delivery)
        return chosen

    def _begin(self, group: asyncio.TaskGroup, delivery: Delivery) -> None:
        self._under_way[_key(delivery)] = delivery.endpoint_id
        group.create_task(self._deliver(delivery), name=f"deliver {delivery.event_id}")

    async def _deliver(self, delivery: Delivery) -> None:
        bind(batch_id=delivery.batch_id, owner=delivery.owner)
        try:
            now = self.clock.now()
            claimed = await self.store.claim_delivery(delivery, now, now + LEASE_MS)
            if claimed is not None:
                await self._attempt(*claimed)
        except (OSError, UnavailableError) as error:
            logger.warning("a webhook delivery waits for the store: %s", error)
        finally:
            del self._under_way[_key(delivery)]

    async def _attempt(self, delivery: Delivery, endpoint: WebhookEndpoint) -> None:
        attempt = await self._send(delivery, endpoint)
        pace = self.options.pace
        after = attempted(delivery, attempt, pace, self.clock.now(), jitter())
        await self.store.save_delivery(after)
        self.meters.count(Series.WEBHOOKS, outcome=_outcome(after, attempt))
        self._tell(after, attempt)

    async def _send(self, delivery: Delivery, endpoint: WebhookEndpoint) -> Attempt:
        now = self.clock.now()
        secrets = [secret for secret in self._secrets(endpoint, now) if secret]
        if not secrets:
            return Attempt(now, 0, error="GATEWAY_WEBHOOK_SECRET is not set")
        body = body_of(delivery)
        headers = signed(delivery.event_id, body, secrets, now // 1000)
        return await self.sender.send(endpoint.url, headers, body)

    def _secrets(self, endpoint: WebhookEndpoint, now: int) -> list[str]:
        if endpoint.owner == EVERY_OWNER:
            return [self.options.secret() or ""]
        return list(endpoint.secrets(now))

    def refusal(self, url: str) -> str | None:
        """Say why an endpoint cannot have this URL; its name is looked up at each attempt."""
        return self.sender.refusal(url)

    async def test(self, endpoint: WebhookEndpoint, kind: str) -> Attempt:
        """Send a sample of an event, once; it is not written down."""
        batch_id = new_batch_id()
        sample = Delivery(
            event_id=event_id(batch_id, new_request_id()),
            endpoint_id=endpoint.id,
            owner=endpoint.owner,
            type=kind,
            batch_id=batch_id,
            created_at=self.clock.now(),
        )
        return await self._send(sample, endpoint)

    def _tell(self, delivery: Delivery, attempt: Attempt) -> None:
        """Log what a person must know: the first failure, and the end of the patience."""
        if attempt.accepted or (delivery.tried > 1 and delivery.state is DeliveryState.PENDING):
            return
        logger.warning(
            "webhook %s to %s (%s of %s): %s; %s",
            delivery.event_id,
            delivery.endpoint_id,
            delivery.type,
            delivery.batch_id,
            attempt.error or f"status {attempt.status_code}",
            "given up" if delivery.state is DeliveryState.FAILED else "tried again later",
        )


def _outcome(delivery: Delivery, attempt: Attempt) -> str:
    if attempt.accepted:
        return "accepted"
    return "given_up" if delivery.state is DeliveryState.FAILED else "failed"


def _key(delivery: Delivery) -> tuple[str, str]:
    return delivery.endpoint_id, delivery.event_id
