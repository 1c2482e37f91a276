"""The ASGI application: routes, and around them ids, errors and canonical paths.

::

    RequestIds            every answer has an id, and says how long it took
      Observed              counted, and in the access log if there is one
        CORSMiddleware        pages that may ask, if there are any
          ExceptionMiddleware   every exception is an envelope
            KnownHosts            without keys, names of this machine alone
              CanonicalPaths        every form of a URL is one path
                Router                one Resource per path
                  Resource              method, key, rate, readiness, slot; then the endpoint
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.answers import on_error
from gateway.api.audit import Audit
from gateway.api.auth import key_of_client, owner_of_request
from gateway.api.hosts import KnownHosts
from gateway.api.limits import Limits
from gateway.api.observed import Observed, note_owner
from gateway.api.others import METHODS, may_pass, pass_on
from gateway.api.paths import ASKED_PATH, CanonicalPaths, is_single_request
from gateway.api.requestid import RequestIds
from gateway.api.routes import ROUTES, ApiRoute
from gateway.api.services import ApiOptions, Call, Services
from gateway.api.unserved import is_unserved, refusal
from gateway.errors import (
    AuthenticationError,
    BadGatewayError,
    DamagedStoreError,
    GatewayError,
    MethodNotAllowedError,
    UnavailableError,
    UpstreamHeldError,
)
from gateway.wire.openai import truncate

# Beyond what every page may read of an answer.
EXPOSED_HEADERS: Final = (
    "x-request-id",
    "retry-after",
    "x-should-retry",
    "x-gateway-next-after",
    "x-gateway-notes",
    "openai-processing-ms",
    "openai-version",
    "content-range",
    "content-disposition",
    "etag",
)

# While the process drains, its successor is a few seconds away.
DRAIN_RETRY_AFTER_SECONDS: Final = 5


def create_api(services: Services, options: ApiOptions) -> ASGIApp:
    """Make the API over the services that it acts through."""
    numbers = (options.max_uploads, options.max_downloads, options.max_watchers)
    limits = Limits(*numbers, options.requests_per_minute, services.clock)
    audit = Audit(services.clock)
    unserved: ASGIApp = _unknown_url
    if services.others is not None:
        passing = {method: ApiRoute(method, "", pass_on, starts_work=True) for method in METHODS}
        unserved = _NotServed(Resource(passing, unserved, services, options, limits, audit))
    routes = [
        Route(path, Resource(by_method, unserved, services, options, limits, audit))
        for path, by_method in _by_path(ROUTES).items()
    ]
    router = Router(routes, redirect_slashes=False, default=unserved)
    known = KnownHosts(CanonicalPaths(router), options.allowed_hosts, options.cors_origins)
    app: ASGIApp = ExceptionMiddleware(known, {Exception: on_error})
    if options.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=list(options.cors_origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED_HEADERS),
        )
    observed = Observed(app, services.clock, services.meters, log=options.access_log)
    return RequestIds(observed, services.clock)


async def _unknown_url(scope: Scope, _receive: Receive, _send: Send) -> None:
    if scope["type"] == "http":
        raise refusal(scope)


@dataclass(frozen=True)
class Resource:
    """One path. Whether a key is needed hangs on the route, never on the text of a URL.

    ``unserved`` answers methods that OpenAI's API has of this path, and the gateway has not.
    """

    by_method: Mapping[str, ApiRoute]
    unserved: ASGIApp
    services: Services
    options: ApiOptions
    limits: Limits
    audit: Audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive, send)
        route = self.by_method.get(request.method)
        if route is None and is_unserved(scope):
            await self.unserved(scope, receive, send)
            return
        if route is None:
            raise MethodNotAllowedError(
                f"Not allowed to {request.method} on {truncate(scope[ASKED_PATH])}."
                " (HINT: Perhaps you meant to make your request to another HTTP method?)",
                allowed=sorted(self.by_method),
            )
        with self._owner(route, request) as owner:
            note_owner(scope, owner)
            if not route.public:
                self.audit.used(owner, request)
                self.limits.rate.count(owner)
            async with self.limits.held(route.taken_by(request), owner):
                with self._telling_of_damage():
                    response = await self._audited(route, request, owner)
                    await response(scope, receive, send)

    @contextmanager
    def _telling_of_damage(self) -> Iterator[None]:
        """End the process as a step of the runner does: 500s under a 200 of readyz help no one."""
        try:
            yield
        except DamagedStoreError as error:
            self.services.damaged(error)
            raise UnavailableError("The gateway's records are damaged.") from error

    @contextmanager
    def _owner(self, route: ApiRoute, request: Request) -> Iterator[str]:
        """Name whose request it is; a client's own key for Google is there while it is answered."""
        passing = self.options.pass_through
        if route.public:
            yield ""
            return
        try:
            if passing is None:
                owner = owner_of_request(request.headers, self.options.credentials)
                lent: AbstractContextManager[None] = nullcontext()
            else:
                secret = key_of_client(request.headers)
                owner = passing.owner_of(secret)
                lent = passing.lent(owner, secret)
        except AuthenticationError:
            self.audit.refused(request)
            raise
        with lent:
            yield owner

    async def _audited(self, route: ApiRoute, request: Request, owner: str) -> Response:
        if not route.audit:
            return await self._answer(route, request, owner)
        try:
            response = await self._answer(route, request, owner)
        except GatewayError as error:
            self.audit.failed(route.audit, owner, request, error)
            raise
        self.audit.done(route.audit, owner, request, response)
        return response

    async def _answer(self, route: ApiRoute, request: Request, owner: str) -> Response:
        if route.starts_work and not self.services.ready():
            raise UnavailableError(
                "The server is starting or stopping. Please try again.",
                retry_after=DRAIN_RETRY_AFTER_SECONDS,
            )
        if route.keeps_key and self.options.pass_through is not None:
            await self.options.pass_through.keep(owner)
        try:
            call = Call(request, owner, self.services, self.options, self.limits)
            return await route.endpoint(call)
        except (UpstreamHeldError, BadGatewayError) as error:
            if self.options.pass_through is None:
                raise
            # The key that Google refused is the client's: it can mend it, and nothing else can.
            told = error.message.removeprefix("Google refused the gateway's key: ")
            raise AuthenticationError(f"Google refused this key: {told}") from error


def _by_path(routes: Iterable[ApiRoute]) -> dict[str, dict[str, ApiRoute]]:
    grouped: dict[str, dict[str, ApiRoute]] = {}
    for route in routes:
        by_method = grouped.setdefault(route.path, {})
        by_method[route.method] = route
        if route.method == "GET":
            by_method["HEAD"] = route
    return grouped


class _NotServed:
    """Paths without a route: passed on to the second upstream where that may be."""

    def __init__(self, passed: ASGIApp) -> None:
        self._passed = passed
        kept = {route.path.split("/")[1] for route in ROUTES if not is_single_request(route.path)}
        self._own = frozenset(kept)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        if not may_pass(scope, self._own):
            raise refusal(scope)
        await self._passed(scope, receive, send)
