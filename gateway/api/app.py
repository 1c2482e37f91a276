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
from gateway.api.paths import ASKED_PATH, CanonicalPaths
from gateway.api.requestid import RequestIds
from gateway.api.routes import ROUTES, ApiRoute
from gateway.api.services import ApiOptions, Call, Services
from gateway.errors import (
    AuthenticationError,
    BadGatewayError,
    DamagedStoreError,
    GatewayError,
    MethodNotAllowedError,
    NotFoundError,
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
    numbers = (options.max_uploads, options.max_downloads, options.requests_per_minute)
    limits = Limits(*numbers, services.clock)
    audit = Audit(services.clock)
    routes = [
        Route(path, Resource(by_method, services, options, limits, audit))
        for path, by_method in _by_path(ROUTES).items()
    ]
    router = Router(routes, redirect_slashes=False, default=_unknown_url)
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


class Resource:
    """One path. Whether a key is needed hangs on the route, never on the text of a URL."""

    def __init__(
        self,
        by_method: Mapping[str, ApiRoute],
        services: Services,
        options: ApiOptions,
        limits: Limits,
        audit: Audit,
    ) -> None:
        self._by_method = by_method
        self._services = services
        self._options = options
        self._limits = limits
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        request = Request(scope, receive, send)
        route = self._by_method.get(request.method)
        if route is None:
            raise MethodNotAllowedError(
                f"Not allowed to {request.method} on {truncate(scope[ASKED_PATH])}."
                " (HINT: Perhaps you meant to make your request to another HTTP method?)",
                allowed=sorted(self._by_method),
            )
        with self._owner(route, request) as owner:
            note_owner(scope, owner)
            if not route.public:
                self._audit.used(owner, request)
                self._limits.rate.count(owner)
            async with self._limits.held(route.takes, owner):
                with self._telling_of_damage():
                    response = await self._audited(route, request, owner)
                    await response(scope, receive, send)

    @contextmanager
    def _telling_of_damage(self) -> Iterator[None]:
        """End the process as a step of the runner does: 500s under a 200 of readyz help no one."""
        try:
            yield
        except DamagedStoreError as error:
            self._services.damaged(error)
            raise UnavailableError("The gateway's records are damaged.") from error

    @contextmanager
    def _owner(self, route: ApiRoute, request: Request) -> Iterator[str]:
        """Whose request it is; a client's own key for Google is at hand until it is answered."""
        passing = self._options.pass_through
        if route.public:
            yield ""
            return
        try:
            if passing is None:
                owner = owner_of_request(request.headers, self._options.credentials)
                lent: AbstractContextManager[None] = nullcontext()
            else:
                secret = key_of_client(request.headers)
                owner = passing.owner_of(secret)
                lent = passing.lent(owner, secret)
        except AuthenticationError:
            self._audit.refused(request)
            raise
        with lent:
            yield owner

    async def _audited(self, route: ApiRoute, request: Request, owner: str) -> Response:
        if not route.audit:
            return await self._answer(route, request, owner)
        try:
            response = await self._answer(route, request, owner)
        except GatewayError as error:
            self._audit.failed(route.audit, owner, request, error)
            raise
        self._audit.done(route.audit, owner, request, response)
        return response

    async def _answer(self, route: ApiRoute, request: Request, owner: str) -> Response:
        if route.starts_work and not self._services.ready():
            raise UnavailableError(
                "The server is starting or stopping. Please try again.",
                retry_after=DRAIN_RETRY_AFTER_SECONDS,
            )
        if route.keeps_key and self._options.pass_through is not None:
            await self._options.pass_through.keep(owner)
        try:
            return await route.endpoint(Call(request, owner, self._services, self._options))
        except (UpstreamHeldError, BadGatewayError) as error:
            if self._options.pass_through is None:
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


# The beginning of a path of OpenAI's API -> why it is not served.
_NOT_SERVED: Final = {
    "/moderations": "Gemini gives no moderation scores.",
    "/audio/": 'Gemini\'s sound is part of a chat completion: modalities ["text", "audio"].',
    "/images/variations": "Gemini varies an image in a chat completion that shows it.",
    "/videos": "This gateway makes no videos.",
    "/assistants": "OpenAI has retired assistants; send a request to /v1/responses.",
    "/threads": "OpenAI has retired threads; send a request to /v1/responses.",
    "/conversations": "This gateway keeps no conversations: send their items in 'input'.",
    "/vector_stores": "This gateway has no vector stores.",
    "/containers": "This gateway has no containers.",
    "/fine_tuning": "Gemini's Developer API offers no fine-tuning.",
    "/evals": "This gateway runs no evals.",
    "/realtime": "This gateway has no realtime sessions.",
}


async def _unknown_url(scope: Scope, _receive: Receive, _send: Send) -> None:
    if scope["type"] == "http":
        for start, why in _NOT_SERVED.items():
            if f"{scope['path']}/".startswith(start):
                raise NotFoundError(
                    f"{truncate(scope[ASKED_PATH])} is not served. {why}", code="unknown_url"
                )
        raise NotFoundError(
            f"Unknown request URL: {scope['method']} {truncate(scope[ASKED_PATH])}."
            " Please check the URL for typos, or see this gateway's README for what it serves.",
            code="unknown_url",
        )
