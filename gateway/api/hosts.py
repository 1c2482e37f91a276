"""Hosts and origins: where a request says that it goes, and which page it comes from.

Without keys the gateway serves whoever reaches the loopback interface, and that is every page in a
browser on this machine: by a name of its own that it has made to point here (DNS rebinding), or
from a script that may set headers. So without keys a request names a host that is known to be
here, and one that a page sends comes from a page of that host.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override

from gateway.api.middleware import HttpMiddleware
from gateway.errors import RequestError
from gateway.wire.openai import truncate

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?")
SIGNED_PATH: Final = "/webhooks/google"
_LOCAL: Final = ("localhost", ".localhost")


class ForbiddenHostError(RequestError):
    """The request was sent to another name, or by another page."""

    status = 403


class KnownHosts(HttpMiddleware):
    """Middleware that refuses requests whose head is not that of a client of this gateway.

    ``allowed`` are names as well as those of the loopback interface; None: any name will do.
    ``origins`` are pages that may ask too.
    """

    def __init__(
        self, app: ASGIApp, allowed: Collection[str] | None, origins: Collection[str]
    ) -> None:
        super().__init__(app)
        self._allowed = allowed
        self._origins = origins

    @override
    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        check_framing(headers, scope.get("http_version", "1.1"))
        # What Google sends is signed, and comes by whatever name Google was given.
        if self._allowed is not None and not scope["path"].endswith(SIGNED_PATH):
            self._check(headers, self._allowed)
        await self._app(scope, receive, send)

    def _check(self, headers: Headers, allowed: Collection[str]) -> None:
        host = headers.get("host", "")
        name = host_name(host)
        if not (is_local(name) or name in allowed):
            raise ForbiddenHostError(
                f"This gateway is not asked for as '{truncate(host)}': without API keys it answers"
                " to localhost, 127.0.0.1 and [::1], and to the names in GATEWAY_ALLOWED_HOSTS.",
                code="host_not_allowed",
            )
        origin = headers.get("origin")
        if origin is None or {origin, "*"} & set(self._origins):
            return
        if origin.lower() not in {f"http://{host}".lower(), f"https://{host}".lower()}:
            raise ForbiddenHostError(
                f"Pages of '{truncate(origin)}' may not use this gateway: the setting"
                " GATEWAY_CORS_ORIGINS names those that may.",
                code="origin_not_allowed",
            )


def check_framing(headers: Headers, version: str) -> None:
    """Refuse heads that two servers in a row may read differently (RFC 9112, 3.2 and 6.1)."""
    if version == "1.1" and len(headers.getlist("host")) != 1:
        raise RequestError("Invalid request: it must have one Host header.")
    codings = headers.getlist("transfer-encoding")
    if codings and [coding.strip().lower() for coding in codings] != ["chunked"]:
        raise RequestError("Invalid Transfer-Encoding: only 'chunked', once, is accepted.")


def host_name(host: str) -> str:
    """Give the name in a Host header without its port, in small letters; "" of an odd one."""
    found = _HOST.fullmatch(host)
    return "" if found is None else found["name"].strip("[]").lower().rstrip(".")


def is_local(name: str) -> bool:
    """Whether a name can only be this machine."""
    if name == _LOCAL[0] or name.endswith(_LOCAL[1]):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
