"""Webhook delivery: notices jobs that end and sends their events to receivers.

Google's guide (since 2026-05): a thin payload, Standard Webhooks headers. Registered (static)
hooks are signed with HMAC-SHA256 over ``id.timestamp.body``; hooks named in a job (dynamic,
instead of the registered ones) carry an RS256 JWT whose keys are at ``/.well-known/jwks.json``. At
least once, with exponential backoff for a day. Here plain HTTP is fine too. What the token claims
beyond ``aud`` is not on record: the event and the user's metadata, here.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import http.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson

from gateway.emulator.jobs.job import Job, Snapshot, settle
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.clock import SECOND, EmulatorClock, stamp
from gateway.emulator.protocol.errors import ApiError, JsonObject
from gateway.emulator.protocol.ids import new_id
from gateway.emulator.protocol.rsa import process_key
from gateway.emulator.resources.journal import Journal
from gateway.emulator.resources.webhooks import Webhooks

# State -> event; of a cancelled job nothing is told (the SDK knows no such event).
_EVENT_OF: Final = {
    "SUCCEEDED": "batch.succeeded",
    "FAILED": "batch.failed",
    "EXPIRED": "batch.expired",
}
FIRST_RETRY_SECONDS: Final = 1.0
GIVE_UP_SECONDS: Final = 24 * 3600.0
TICK_SECONDS: Final = 0.05
# Deliveries under way at a time: one receiver that hangs does not hold up the others.
SENDERS: Final = 4


@dataclass
class Delivery:
    """One event for one receiver."""

    id: str
    uri: str
    event: JsonObject
    hooks: Webhooks
    # The registered webhook, empty for one named in a job.
    hook_id: str
    metadata: JsonObject
    born_ns: int
    due_ns: int
    wait_seconds: float = FIRST_RETRY_SECONDS
    attempts: int = 0
    # Whether an attempt is under way.
    is_sent: bool = False


def event_of(job: Job, seen: Snapshot, now_ns: int) -> JsonObject | None:
    """Return the payload for a job's end; None for an end that has no event."""
    kind = _EVENT_OF.get(seen.state)
    if kind is None:
        return None
    data: JsonObject = {"id": job.name}
    if job.has_file and kind == "batch.succeeded":
        data["output_file_uri"] = f"files/{job.result_id}"
    if kind == "batch.failed" and seen.error is not None:
        data["error_code"] = str(seen.error["code"])
        data["error_message"] = seen.error.get("message", "")
    return {"type": kind, "version": "v1", "timestamp": stamp(now_ns, 0), "data": data}


def hmac_signature(text: str, message_id: str, timestamp: str, body: bytes) -> str:
    """``v1,<base64>`` (Standard Webhooks)."""
    key = base64.b64decode(text.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class WebhookDelivery:
    """Watches jobs and sends deliveries; one task of the app."""

    def __init__(self, options: EmulatorOptions, clock: EmulatorClock, journal: Journal) -> None:
        self._options = options
        self._clock = clock
        self._journal = journal
        self._watched: list[tuple[Job, Webhooks]] = []
        self._waiting: list[Delivery] = []
        self._threads = ThreadPoolExecutor(SENDERS, thread_name_prefix="emulator-webhooks")

    def close(self) -> None:
        """Send nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def watch(self, job: Job, hooks: Webhooks) -> None:
        """Have the end of a job told to its own hooks, else to those of its project."""
        self._watched.append((job, hooks))

    async def run(self) -> None:
        """Look at jobs and deliveries until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._clock.sleep(TICK_SECONDS)
                self._notice()
                for delivery in self._due():
                    delivery.is_sent = True
                    tasks.create_task(self._attempt(delivery), name=delivery.id)

    def _notice(self) -> None:
        """Turn ended jobs into deliveries; jobs without a receiver are skipped."""
        now, ended = self._clock.now_ns(), set()
        for job, hooks in self._watched:
            if job.webhook or hooks.are_any:
                seen = settle(job, now)
                if seen.done or job.deleted:
                    ended.add(job.id)
                    self._announce(job, seen, hooks)
        if ended:
            self._watched = [pair for pair in self._watched if pair[0].id not in ended]

    def _announce(self, job: Job, seen: Snapshot, hooks: Webhooks) -> None:
        event = event_of(job, seen, self._clock.now_ns())
        if event is None or job.deleted or seen.ended_ns is None:
            return
        metadata = job.webhook.get("userMetadata", {})
        targets = [(uri, "") for uri in job.webhook.get("uris", [])] or [
            (hook.uri, hook.id)
            for hook in hooks.every()
            if hook.state == "enabled"
            and event["type"] in hook.events
            and hook.created_ns <= seen.ended_ns
        ]
        for uri, hook_id in targets:
            self.enqueue(uri, event, hooks, hook_id, metadata)

    def enqueue(
        self, uri: str, event: JsonObject, hooks: Webhooks, hook_id: str, metadata: JsonObject
    ) -> None:
        """Have ``event`` delivered to ``uri``."""
        now = self._clock.now_ns()
        name = f"msg_{new_id(24)}"
        self._waiting.append(Delivery(name, uri, event, hooks, hook_id, metadata, now, now))

    def _due(self) -> list[Delivery]:
        """Deliveries whose time has come, as many as there are senders left."""
        now = self._clock.now_ns()
        due = [one for one in self._waiting if one.due_ns <= now and not one.is_sent]
        return due[: SENDERS - sum(one.is_sent for one in self._waiting)]

    async def _attempt(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        loop = asyncio.get_running_loop()
        status = await loop.run_in_executor(self._threads, self._send, delivery)
        delivery.is_sent = False
        self._journal.note(
            "webhook",
            id=delivery.id,
            uri=delivery.uri,
            type=delivery.event["type"],
            status=status,
            attempt=delivery.attempts,
        )
        if 200 <= status < 300:
            self._waiting.remove(delivery)
            return
        now = self._clock.now_ns()
        delivery.due_ns = now + int(delivery.wait_seconds * SECOND)
        delivery.wait_seconds *= 2
        if now - delivery.born_ns > GIVE_UP_SECONDS * SECOND:
            self._waiting.remove(delivery)
            delivery.hooks.fail(delivery.hook_id)

    def _send(self, delivery: Delivery) -> int:
        """POST it; the HTTP status, 0 when there was none."""
        target = urlsplit(delivery.uri)
        connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if target.scheme == "https":
            connect = http.client.HTTPSConnection
        body = orjson.dumps(delivery.event)
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        try:
            connection = connect(target.netloc, timeout=self._options.webhook_timeout)
            with contextlib.closing(connection):
                connection.request("POST", path, body, self._headers(delivery, body))
                return connection.getresponse().status
        except (OSError, ValueError, http.client.HTTPException):
            return 0

    def _headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """Return the headers of one attempt, freshly signed."""
        now = self._clock.now_ns() // SECOND
        return {
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(now),
            "webhook-signature": _signature(delivery, now, body),
        }


def _signature(delivery: Delivery, now: int, body: bytes) -> str:
    if not delivery.hook_id:
        claims = {
            **delivery.event,
            "iss": "https://generativelanguage.googleapis.com",
            "aud": delivery.uri,
            "iat": now,
            "exp": now + 300,
            "user_metadata": delivery.metadata,
        }
        return process_key().jwt(claims)
    try:
        signing = delivery.hooks.get(delivery.hook_id).secrets
    except ApiError:
        return ""
    return " ".join(
        hmac_signature(secret.text, delivery.id, str(now), body)
        for secret in signing
        if secret.expires_ns is None or secret.expires_ns > now * SECOND
    )
