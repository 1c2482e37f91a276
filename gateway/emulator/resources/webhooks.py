"""Registered webhooks: who is to be told of a job's end, and the secrets that sign the telling."""

import base64
import itertools
import secrets
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from gateway.emulator.protocol.clock import SECOND, EmulatorClock, stamp
from gateway.emulator.protocol.errors import JsonObject, entity_not_found, invalid
from gateway.emulator.protocol.ids import BATCH_LENGTH, new_id

# What can be subscribed to (google-genai 3.4.0).
EVENTS: Final = (
    "batch.succeeded",
    "batch.expired",
    "batch.failed",
    "interaction.requires_action",
    "interaction.completed",
    "interaction.failed",
    "video.generated",
)
STATES: Final = ("enabled", "disabled")
# How long a rotated secret still signs (revoke_previous_secrets_after_h24).
OVERLAP_SECONDS: Final = 24 * 3600.0
_REQUIRED: Final = ("uri", "subscribed_events")
_UNSET: JsonObject = {"name": "", "state": "enabled"}
_KEEP_FIELDS: Final = frozenset({"name", "uri", "subscribed_events", "state"})


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
    # Later hooks have greater ones.
    number: int

    def wire(self) -> JsonObject:
        """Return the resource, in snake_case; a secret is shown by its beginning only."""
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
    """The registered webhooks of one project."""

    def __init__(self, clock: EmulatorClock) -> None:
        self._clock = clock
        self._hooks: dict[str, Webhook] = {}
        self._numbers = itertools.count(1)

    def every(self) -> list[Webhook]:
        """Return all webhooks, oldest first."""
        return list(self._hooks.values())

    @property
    def are_any(self) -> bool:
        """Tell whether any webhook is registered."""
        return bool(self._hooks)

    def get(self, hook_id: str) -> Webhook:
        """Return a webhook by its id; raises ApiError 404."""
        if hook_id not in self._hooks:
            raise entity_not_found()
        return self._hooks[hook_id]

    def create(self, body: JsonObject) -> JsonObject:
        """Register a webhook; only this answer shows its secret. Raises ApiError 400."""
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
            number=next(self._numbers),
        )
        self._hooks[hook.id] = hook
        return hook.wire() | {"new_signing_secret": secret}

    def update(self, hook_id: str, body: JsonObject, mask: list[str]) -> Webhook:
        """Change name, uri, events or state; raises ApiError.

        What ``mask`` names is set, or emptied where the body has none (a name, a state) or refused
        (what is required); without a mask what the body has.
        """
        _check(body, required=False)
        for name in mask:
            if name not in _KEEP_FIELDS:
                raise invalid(f"Invalid field in update_mask: {name}")
        changes: JsonObject = {name: body.get(name, _UNSET.get(name)) for name in mask or body}
        if not all(changes.get(name, True) for name in _REQUIRED):
            raise invalid("uri and subscribed_events are required.")
        if "subscribed_events" in changes:
            changes["events"] = tuple(changes.pop("subscribed_events"))
        hook = replace(self.get(hook_id), **changes, updated_ns=self._clock.now_ns())
        self._hooks[hook_id] = hook
        return hook

    def delete(self, hook_id: str) -> None:
        """Forget a webhook; raises ApiError 404."""
        self.get(hook_id)
        del self._hooks[hook_id]

    def rotate(self, hook_id: str, *, at_once: bool) -> str:
        """Return a new secret; the old ones sign on for a day unless ``at_once``."""
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


def check_uri(uri: object) -> None:
    """Raise ApiError 400 for a place nothing can be sent to (Google wants https, here http too)."""
    if isinstance(uri, str):
        try:
            target = urlsplit(uri)
        except ValueError:
            target = urlsplit("")
        if target.scheme in {"http", "https"} and target.hostname:
            return
    raise invalid(f"Invalid webhook URI: {uri}")


def _check(body: JsonObject, *, required: bool) -> None:
    """Raise ApiError 400 for a body that is no webhook."""
    for name in body:
        if name not in _KEEP_FIELDS:
            raise invalid(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
            )
    if required and not (body.get("uri") and body.get("subscribed_events")):
        raise invalid("uri and subscribed_events are required.")
    if "uri" in body:
        check_uri(body["uri"])
    if not isinstance(body.get("name", ""), str):
        raise invalid("Invalid value at 'name' (TYPE_STRING)")
    events = body.get("subscribed_events", [])
    if not isinstance(events, list) or any(event not in EVENTS for event in events):
        raise invalid(f"Invalid value at 'subscribed_events': {events}")
    if body.get("state", "enabled") not in STATES:
        raise invalid(f"Invalid value at 'state': {body['state']}")
