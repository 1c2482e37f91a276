"""Webhooks: who is to be told of a job's end, and the telling.

Google's guide (since 2026-05): a thin payload, Standard Webhooks headers. Registered (static)
hooks are signed with HMAC-SHA256 over ``id.timestamp.body``; hooks named in a job (dynamic,
instead of the registered ones) carry an RS256 JWT whose keys are at ``/.well-known/jwks.json``. At
least once, with exponential backoff for a day. Here plain HTTP is fine too. What the token claims
beyond ``aud`` is not on record: the event and the user's metadata, here.
"""

import asyncio
import base64
import hashlib
import hmac
import http.client
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import orjson

from gateway.emulator.errors import ApiError, JsonObject, entity_not_found, invalid
from gateway.emulator.identity import BATCH_LENGTH, new_id
from gateway.emulator.jobs import Job, Snapshot, settle
from gateway.emulator.journal import Journal
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.rsa import process_key
from gateway.emulator.timing import SECOND, EmulatorClock, stamp

EVENTS = (
    "batch.succeeded",
    "batch.expired",
    "batch.failed",
    "interaction.requires_action",
    "interaction.completed",
    "interaction.failed",
    "video.generated",
)
"""What can be subscribed to (google-genai 3.4.0)."""
STATES = ("enabled", "disabled")
_EVENT_OF = {
    "SUCCEEDED": "batch.succeeded",
    "FAILED": "batch.failed",
    "EXPIRED": "batch.expired",
}
"""State -> event; of a cancelled job nothing is told (the SDK knows no such event)."""
FIRST_RETRY_SECONDS = 1.0
GIVE_UP_SECONDS = 24 * 3600.0
OVERLAP_SECONDS = 24 * 3600.0
"""How long a rotated secret still signs (revoke_previous_secrets_after_h24)."""
TICK_SECONDS = 0.05
_KEEP_FIELDS = frozenset({"name", "uri", "subscribed_events", "state"})


@dataclass(frozen=True)
class Secret:
    """A signing secret; ``expires_ns`` is set once it was rotated."""

    text: str
    expires_ns: int | None = None


@dataclass(frozen=True)
class Webhook:
    """A registered webhook."""

    id: str
    name: str
    uri: str
    events: tuple[str, ...]
    state: str
    secrets: tuple[Secret, ...]
    created_ns: int
    updated_ns: int

    def wire(self) -> JsonObject:
        """The resource, in snake_case; a secret is shown by its beginning only."""
        found: JsonObject = {
            "id": self.id,
            "uri": self.uri,
            "subscribed_events": list(self.events),
            "state": self.state,
            "create_time": stamp(self.created_ns),
            "update_time": stamp(self.updated_ns),
            "signing_secrets": [_shown(secret) for secret in self.secrets],
        }
        return found | ({"name": self.name} if self.name else {})


def _shown(secret: Secret) -> JsonObject:
    found = {"truncated_secret": f"{secret.text[:10]}..."}
    if secret.expires_ns is not None:
        found["expire_time"] = stamp(secret.expires_ns)
    return found


def new_secret() -> str:
    """``whsec_`` and base64 of 32 random bytes (Standard Webhooks)."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class Webhooks:
    """The registered webhooks of one emulator."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._hooks: dict[str, Webhook] = {}

    def every(self) -> list[Webhook]:
        """All of them, oldest first."""
        return list(self._hooks.values())

    def get(self, hook_id: str) -> Webhook:
        """One of them; raises ApiError 404."""
        if hook_id not in self._hooks:
            raise entity_not_found()
        return self._hooks[hook_id]

    def create(self, body: JsonObject) -> JsonObject:
        """Register one; the answer alone shows its secret. Raises ApiError 400."""
        _check(body, required=True)
        now, secret = self._clock.now_ns(), new_secret()
        hook = Webhook(
            id=new_id(BATCH_LENGTH),
            name=body.get("name", ""),
            uri=body["uri"],
            events=tuple(body["subscribed_events"]),
            state="enabled",
            secrets=(Secret(secret),),
            created_ns=now,
            updated_ns=now,
        )
        self._hooks[hook.id] = hook
        return hook.wire() | {"new_signing_secret": secret}

    def update(self, hook_id: str, body: JsonObject, mask: list[str]) -> Webhook:
        """Change name, uri, events or state; raises ApiError."""
        _check(body, required=False)
        changes = {name: body[name] for name in mask or body if name in body}
        if "subscribed_events" in changes:
            changes["events"] = tuple(changes.pop("subscribed_events"))
        hook = replace(self.get(hook_id), **changes, updated_ns=self._clock.now_ns())
        self._hooks[hook_id] = hook
        return hook

    def delete(self, hook_id: str) -> None:
        """Forget one; raises ApiError 404."""
        self.get(hook_id)
        del self._hooks[hook_id]

    def rotate(self, hook_id: str, *, at_once: bool) -> str:
        """A new secret; the old ones sign on for a day unless ``at_once``."""
        hook, fresh, now = self.get(hook_id), new_secret(), self._clock.now_ns()
        ends = now + int(OVERLAP_SECONDS * SECOND)
        old = [secret for secret in hook.secrets if secret.expires_ns is None]
        kept = [] if at_once else [replace(secret, expires_ns=ends) for secret in old]
        self._hooks[hook_id] = replace(hook, secrets=(Secret(fresh), *kept))
        return fresh

    def fail(self, hook_id: str) -> None:
        """Switch off a hook that could not be reached for a day."""
        if hook_id in self._hooks:
            state = "disabled_due_to_failed_deliveries"
            self._hooks[hook_id] = replace(self._hooks[hook_id], state=state)


def _check(body: JsonObject, *, required: bool) -> None:
    """Raise ApiError 400 for a body that is no webhook."""
    for name in body:
        if name not in _KEEP_FIELDS:
            raise invalid(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            )
    if required and not (body.get("uri") and body.get("subscribed_events")):
        raise invalid("uri and subscribed_events are required.")
    for event in body.get("subscribed_events", []):
        if event not in EVENTS:
            raise invalid(f"Invalid value at 'subscribed_events': {event}")
    if body.get("state", "enabled") not in STATES:
        raise invalid(f"Invalid value at 'state': {body['state']}")


@dataclass
class Delivery:
    """One event on its way to one place."""

    id: str
    uri: str
    event: JsonObject
    hook_id: str
    """The registered webhook, empty for one named in a job."""
    metadata: JsonObject
    born_ns: int
    due_ns: int
    wait_seconds: float = FIRST_RETRY_SECONDS
    attempts: int = 0


def event_of(job: Job, seen: Snapshot, now_ns: int) -> JsonObject | None:
    """The payload for a job's end; None when its end is nobody's business."""
    kind = _EVENT_OF.get(seen.state)
    if kind is None:
        return None
    data: JsonObject = {"id": job.name}
    if job.result_file and kind == "batch.succeeded":
        data["output_file_uri"] = f"files/{job.result_file}"
    if kind == "batch.failed" and seen.error is not None:
        data["error_code"] = str(seen.error["code"])
        data["error_message"] = seen.error.get("message", "")
    return {"type": kind, "version": "v1", "timestamp": stamp(now_ns, 0), "data": data}


def hmac_signature(text: str, message_id: str, timestamp: str, body: bytes) -> str:
    """``v1,<base64>`` (Standard Webhooks)."""
    key = base64.b64decode(text.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


@dataclass
class Courier:
    """Notices jobs that end, and delivers; one task of the app."""

    options: EmulatorOptions
    clock: EmulatorClock
    journal: Journal
    hooks: Webhooks
    watched: list[Job] = field(default_factory=list)
    waiting: list[Delivery] = field(default_factory=list)

    async def run(self) -> None:
        """Look at jobs and deliveries until cancelled."""
        while True:
            await self.clock.sleep(TICK_SECONDS)
            self.notice()
            for delivery in self.due():
                await self._attempt(delivery)

    def notice(self) -> None:
        """Turn ended jobs into deliveries."""
        now, ended = self.clock.now_ns(), []
        for job in self.watched:
            seen = settle(job, now)
            if seen.done or job.deleted:
                ended.append(job.id)
                self._announce(job, seen, now)
        self.watched = [job for job in self.watched if job.id not in ended]

    def _announce(self, job: Job, seen: Snapshot, now: int) -> None:
        event = event_of(job, seen, now)
        if event is None or job.deleted:
            return
        metadata = job.webhook.get("userMetadata", {})
        targets = [(uri, "") for uri in job.webhook.get("uris", [])] or [
            (hook.uri, hook.id)
            for hook in self.hooks.every()
            if hook.state == "enabled" and event["type"] in hook.events
        ]
        for uri, hook_id in targets:
            self.enqueue(uri, event, hook_id, metadata)

    def enqueue(self, uri: str, event: JsonObject, hook_id: str, metadata: JsonObject) -> None:
        """Have ``event`` delivered to ``uri``."""
        now = self.clock.now_ns()
        name = f"msg_{new_id(24)}"
        self.waiting.append(Delivery(name, uri, event, hook_id, metadata, now, now))

    def due(self) -> list[Delivery]:
        """Deliveries whose time has come."""
        now = self.clock.now_ns()
        return [delivery for delivery in self.waiting if delivery.due_ns <= now]

    async def _attempt(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        status = await asyncio.to_thread(self._send, delivery)
        self.journal.note(
            "webhook",
            id=delivery.id,
            uri=delivery.uri,
            type=delivery.event["type"],
            status=status,
            attempt=delivery.attempts,
        )
        if 200 <= status < 300:
            self.waiting.remove(delivery)
            return
        now = self.clock.now_ns()
        delivery.due_ns = now + int(delivery.wait_seconds * SECOND)
        delivery.wait_seconds *= 2
        if now - delivery.born_ns > GIVE_UP_SECONDS * SECOND:
            self.waiting.remove(delivery)
            self.hooks.fail(delivery.hook_id)

    def _send(self, delivery: Delivery) -> int:
        """POST it; the HTTP status, 0 when there was none."""
        target = urlsplit(delivery.uri)
        connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if target.scheme == "https":
            connect = http.client.HTTPSConnection
        body = orjson.dumps(delivery.event)
        connection = connect(target.netloc, timeout=self.options.webhook_timeout)
        try:
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            connection.request("POST", path, body, self.headers(delivery, body))
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def headers(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """The headers of one attempt, freshly signed."""
        now = self.clock.now_ns() // SECOND
        return {
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(now),
            "webhook-signature": self._signature(delivery, now, body),
        }

    def _signature(self, delivery: Delivery, now: int, body: bytes) -> str:
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
            signing = self.hooks.get(delivery.hook_id).secrets
        except ApiError:
            return ""
        return " ".join(
            hmac_signature(secret.text, delivery.id, str(now), body)
            for secret in signing
            if secret.expires_ns is None or secret.expires_ns > now * SECOND
        )
