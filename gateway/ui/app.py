"""The page's ASGI application: its routes, its headers, and the way to the API for its script."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.clock import Clock
from gateway.ui import pages, session
from gateway.ui.api_client import ApiClient, ApiError
from gateway.ui.words import FILTERS
from gateway.wire.sse import KEEP_ALIVE

# Nothing from elsewhere, no inline script: what a completion says cannot run here.
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# How often the page is looked up again for a visitor who watches it.
LOOK_SECONDS: Final = 2.0
# Open pages that are told of changes: of one visitor, and of all. A browser's tabs are few.
MOST_OF_A_VISITOR: Final = 32
MOST_OPEN: Final = 200
RETRY_SECONDS: Final = 10
CHANGED: Final = b"event: changed\ndata: 1\n\n"
STATIC: Final = {"page.css": "text/css", "page.js": "text/javascript"}

_NO_PAGE: Final = ApiError(404, "There is no such page. An address may be cut, or mistyped.")

Page = Callable[[pages.Visit], Awaitable[tuple[str, dict[str, Any]]]]


def with_page(
    api: ASGIApp, clock: Clock, *, open_to_all: bool, ready: Callable[[], bool]
) -> ASGIApp:
    """Put the page in front of the API: what begins with ``/ui`` is the page's."""
    page = Ui(api, clock, open_to_all=open_to_all, ready=ready).app()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        own = scope["type"] == "http" and (path == "/ui" or path.startswith("/ui/"))
        await (page if own else api)(scope, receive, send)

    return app


class Ui:
    """The page over the API of the same process.

    ``open_to_all``: the gateway has no keys. ``ready``: it does not stop.
    """

    def __init__(
        self, api: ASGIApp, clock: Clock, *, open_to_all: bool, ready: Callable[[], bool]
    ) -> None:
        self._api = api
        self._clock = clock
        self._open = open_to_all
        self._ready = ready
        self._watching: Counter[str] = Counter()  # open pages, by the key of their visitor
        self._templates = Environment(
            loader=PackageLoader("gateway.ui"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= FILTERS
        self._templates.policies["json.dumps_kwargs"] = {"sort_keys": False}

    def app(self) -> ASGIApp:
        """Make the application; its paths begin with ``/ui``."""
        routes = [
            Route("/", self._home),
            Route("/login", self._login, methods=["GET", "POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/static/{name}", self._static),
            Route("/events", self._events),
            *(Route(path, self._page(page)) for path, page in pages.PAGES.items()),
            Mount("/api", app=self._forward),
            Route("/{path:path}", self._unknown),
        ]
        return Starlette(routes=[Mount("/ui", app=_Guarded(Starlette(routes=routes), self._open))])

    # --- pages ------------------------------------------------------------------------------

    async def _home(self, _request: Request) -> Response:
        return RedirectResponse("/ui/batches", 303, _headers())

    def _page(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            key = self._key(request)
            if key is None:
                return RedirectResponse("/ui/login", 303, _headers())
            client = ApiClient(self._api, key)
            try:
                name, values = await page(pages.Visit(request, client, self._now()))
            except ApiError as error:
                if error.status == 401:
                    return RedirectResponse("/ui/login", 303, _headers())
                return self._rendered("error.html", {"error": error}, request, error.status)
            finally:
                await client.close()
            return self._rendered(name, values, request)

        return respond

    def _rendered(
        self, name: str, values: dict[str, Any], request: Request, status: int = 200
    ) -> Response:
        text = self._templates.get_template(name).render(
            values, now=self._now(), path=request.url.path, closed=not self._open
        )
        return Response(text, status, _headers(), "text/html")

    async def _unknown(self, request: Request) -> Response:
        """Answer for a path that is no page, to whoever may see the others."""
        if self._key(request) is None:
            return RedirectResponse("/ui/login", 303, _headers())
        return self._rendered("error.html", {"error": _NO_PAGE}, request, _NO_PAGE.status)

    async def _login(self, request: Request) -> Response:
        if self._open:
            return RedirectResponse("/ui/batches", 303, _headers())
        if request.method == "GET":
            return self._rendered("login.html", {"wrong": False}, request)
        async with request.form(max_files=0, max_fields=2) as form:
            key = str(form.get("key", "")).strip()
        if not session.comes_from_the_page(request) or not await self._is_good(key):
            return self._rendered("login.html", {"wrong": True}, request, 401)
        response = RedirectResponse("/ui/batches", 303, _headers())
        session.log_in(response, key, secure=request.url.scheme == "https")
        return response

    async def _is_good(self, key: str) -> bool:
        if not (key.isascii() and key.isprintable() and key):
            return False
        client = ApiClient(self._api, key)
        try:
            await client.get("/batches", limit=1)
        except ApiError:
            return False
        finally:
            await client.close()
        return True

    async def _logout(self, request: Request) -> Response:
        response = RedirectResponse("/ui/login", 303, _headers())
        if session.comes_from_the_page(request):
            session.log_out(response)
        return response

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            return Response("", 404, _headers())
        text = files("gateway.ui").joinpath("static", name).read_bytes()
        return Response(text, 200, _headers(), STATIC[name])

    def _key(self, request: Request) -> str | None:
        return session.ANY_KEY if self._open else session.key_of(request)

    def _now(self) -> int:
        return self._clock.now() // 1000

    # --- for the page's script --------------------------------------------------------------

    async def _events(self, request: Request) -> Response:
        key = self._key(request)
        if key is None:
            return Response("", 401, _headers())
        batch_id = request.query_params.get("batch")
        return _Watched(self._changes(key, batch_id), self._watching, key)

    async def _changes(self, key: str, batch_id: str | None) -> AsyncGenerator[bytes, None]:
        """Say ``changed`` whenever what the page shows has changed.

        Until the gateway stops: a page that is open somewhere would hold that up.
        """
        client, before = ApiClient(self._api, key), list[bytes]()
        paths = ["/batches?limit=100", "/background?limit=100"]
        if batch_id:
            paths = [f"/batches/{quote(batch_id, safe='')}"]
        try:
            while self._ready():
                try:
                    shown = [await client.bytes_of(path) for path in paths]
                except ApiError:
                    return
                yield CHANGED if before and before != shown else KEEP_ALIVE
                before = shown
                await self._clock.sleep(LOOK_SECONDS)
        finally:
            await asyncio.shield(client.close())

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a script's request to the API under the visitor's key: uploads, buttons, files."""
        request = Request(scope)
        key = self._key(request)
        safe = request.method in {"GET", "HEAD"}
        if key is None or not (safe or session.comes_from_the_page(request)):
            await Response("", 401 if key is None else 403, _headers())(scope, receive, send)
            return
        kept = [(name, value) for name, value in scope["headers"] if name not in _NOT_FORWARDED]
        path = scope["path"].partition("/ui/api")[2]
        headers = [*kept, (b"authorization", f"Bearer {key}".encode())]
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self._api({**inner, "headers": headers}, receive, send)


class _Watched(StreamingResponse):
    """A stream for an open page, of which each visitor has so many, and all together."""

    def __init__(
        self, told: AsyncGenerator[bytes, None], watching: Counter[str], visitor: str
    ) -> None:
        headers = {**_headers(), "x-accel-buffering": "no"}
        super().__init__(told, 200, headers, "text/event-stream")
        self._watching = watching
        self._visitor = visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watching, visitor = self._watching, self._visitor
        if watching[visitor] >= MOST_OF_A_VISITOR or watching.total() >= MOST_OPEN:
            headers = {**_headers(), "retry-after": str(RETRY_SECONDS)}
            await Response("", 429, headers)(scope, receive, send)
            return
        watching[visitor] += 1
        try:
            await super().__call__(scope, receive, send)
        finally:
            watching[visitor] -= 1
            if not watching[visitor]:
                del watching[visitor]


_NOT_FORWARDED: Final = frozenset({b"authorization", b"api-key", b"cookie"})


class _Guarded:
    """Refuses a name of this machine that is none: a page elsewhere could have made it up.

    A gateway without keys serves its page to this machine alone; DNS rebinding would let any
    page in its browser in.
    """

    def __init__(self, app: ASGIApp, open_to_all: bool) -> None:
        self._app = app
        self._open = open_to_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open and _host_of(Request(scope)) not in LOOPBACK:
            told = (
                "This gateway has no keys: its page is for this machine alone (GATEWAY_API_KEYS)."
            )
            await Response(told, 403, _headers(), "text/plain")(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _host_of(request: Request) -> str | None:
    """Name the host that a request was sent to; None of what is no host."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:
        return None


def _headers() -> dict[str, str]:
    return dict(HEADERS)
