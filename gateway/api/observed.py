"""The observer of requests: their number and bytes for the metrics, and the access log."""

import logging
from collections.abc import MutableMapping
from typing import Any, Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from gateway.api.middleware import HttpMiddleware
from gateway.clock import Clock
from gateway.log_fields import bind
from gateway.ports.metrics import Meters, Series

access = logging.getLogger("gateway.access")

# The first parts of paths: the label of a metric is never what a client chose.
ROUTES: Final = frozenset(
    {
        "files",
        "uploads",
        "batches",
        "chat",
        "completions",
        "responses",
        "embeddings",
        "images",
        "models",
        "quota",
        "webhook_endpoints",
        "webhook_event_types",
        "webhooks",
        "metrics",
        "healthz",
        "readyz",
    }
)
OTHER: Final = "other"
# The key of the scope under which the owner of a request is noted, once it is known.
FACTS: Final = "gateway.facts"
# Of a request whose client went before it was answered (nginx).
NOT_ANSWERED: Final = 499
# What the access log shows of a path.
PATH_CHARACTERS: Final = 200


class Observed(HttpMiddleware):
    """Middleware that counts what passes; it changes nothing."""

    def __init__(self, app: ASGIApp, clock: Clock, meters: Meters, *, log: bool) -> None:
        super().__init__(app)
        self._clock = clock
        self._meters = meters
        self._log = log

    @override
    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = _Seen(receive, send)
        facts: dict[str, str] = {}
        began = self._clock.monotonic()
        try:
            await self._app({**scope, FACTS: facts}, seen.receive, seen.send)
        finally:
            self._count(route_of(scope["path"]), seen)
            if self._log:
                took = (self._clock.monotonic() - began) * 1000
                bind(owner=facts.get("owner"))
                path = quote(scope["path"][:PATH_CHARACTERS])  # on one line, whatever it holds
                told = (scope["method"], path, seen.status, seen.received, seen.sent, took)
                access.info("%s %s: %d, %d bytes in, %d bytes out, %.0f ms", *told)

    def _count(self, route: str, seen: "_Seen") -> None:
        self._meters.count(Series.HTTP_REQUESTS, route=route, status=str(seen.status))
        if seen.received:
            self._meters.count(Series.HTTP_RECEIVED, seen.received, route=route)
        if seen.sent:
            self._meters.count(Series.HTTP_SENT, seen.sent, route=route)


class _Seen:
    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.status = NOT_ANSWERED
        self.received = 0
        self.sent = 0

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.sent += len(message.get("body", b""))
        await self._send(message)


def route_of(path: str) -> str:
    """Return the first part of a path, ``/v1`` aside, if it is one that is served."""
    parts = [part for part in path.split("/", 3) if part]
    first = parts[1] if len(parts) > 1 and parts[0] == "v1" else (parts or [""])[0]
    return first if first in ROUTES else OTHER


def note_owner(scope: Scope, owner: str) -> None:
    """Say whose request it is, for its line in the access log and what is logged meanwhile."""
    bind(owner=owner)
    if owner and FACTS in scope:
        scope[FACTS]["owner"] = owner
