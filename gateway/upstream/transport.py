"""One HTTP call: where it may go, with which key, how long, how much, and whether to repeat it."""

import asyncio
import ipaddress
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, TypeVar
from urllib.parse import quote
from urllib.request import getproxies

import httpx
import orjson

from gateway.addresses import check_proxies
from gateway.clock import Clock
from gateway.errors import (
    UpstreamError,
    UpstreamHeldError,
    UpstreamUnavailableError,
    UpstreamUnreadableError,
)
from gateway.ids import jitter
from gateway.upstream.errors import Call, Scrubber, as_upstream_errors, error_of
from gateway.upstream.options import ERROR_BYTES, JSON_BYTES, MAX_PAGES, GeminiOptions
from gateway.upstream.pooled import SENT_AT_ONCE, PooledTransport
from gateway.upstream.unreadable import BrokenOffError, Received, unreadable
from gateway.wire.gemini import Page, parse_error, parse_page

_GOOGLE_HOST: Final = re.compile(r"[a-z0-9.-]+\.googleapis\.com")
_ERROR_ALONE: Final = re.compile(rb'\s*\{\s*"error"')
HEADERS: Final = {
    "User-Agent": "gemini-batch-gateway",
    "Accept": "application/json",
    # Content-Length then counts the bytes that are read, so a cut answer is noticed.
    "Accept-Encoding": "identity",
}

# httpx's own: enough for what the runner does at a time.
DEFAULT_LIMITS: Final = httpx.Limits(
    max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0
)


# For how long a connection is kept that no call uses.
KEPT_SECONDS: Final = 5.0

T = TypeVar("T")

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]


class TooLargeAnswerError(UpstreamUnreadableError):
    """An answer beyond the limit of what is read at once."""


class Transport:
    """HTTP towards one upstream. Redirects are never followed; TLS is always verified.

    Making one has these errors: SettingsError of a proxy in the environment that cannot be used.
    """

    def __init__(
        self,
        options: GeminiOptions,
        clock: Clock,
        scrub: Scrubber,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.options = options
        self.clock = clock
        self.scrub = scrub
        self._inner = inner
        self._tls = _tls(options.base_url, trust_env=options.trust_env)
        self._proxies = options.trust_env and not _is_loopback(options.base_url)
        if self._proxies:
            check_proxies()
        _silence_http_logs()
        stall = httpx.Timeout(options.stall_seconds, connect=options.connect_seconds)
        self._stall = stall.as_dict()
        self._client = self.new_client(stall)
        self._send, close = self._sender(stall, KEPT_SECONDS)
        # A connection of this client is never kept, so none is used twice.
        single = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._send_alone, close_alone = self._sender(stall, None)
        slow = self.new_client(stall, single)
        self._send_slowly = partial(slow.send, stream=True)
        self._closing = (self._client.aclose, close, close_alone, slow.aclose)

    def _sender(
        self, timeout: httpx.Timeout, idle_seconds: float | None
    ) -> tuple[Send, Callable[[], Awaitable[None]]]:
        """Return how requests are sent of which there are many, and how that is closed.

        Past the client, which would look for cookies, redirects and credentials in each; but where
        there is a proxy, the client finds it.
        """
        inner = self._pooled(idle_seconds)
        if inner is not None:
            return inner.handle_async_request, inner.aclose
        none_kept = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        client = self.new_client(timeout, DEFAULT_LIMITS if idle_seconds else none_kept)
        return partial(client.send, stream=True), client.aclose

    def _pooled(self, idle_seconds: float | None) -> httpx.AsyncBaseTransport | None:
        """Return connections for many calls; None where only httpx knows the proxies."""
        if self._inner is None and not (self._proxies and getproxies()):
            return PooledTransport(self._tls, idle_seconds)
        return self._inner

    def new_client(
        self,
        timeout: httpx.Timeout,
        limits: httpx.Limits = DEFAULT_LIMITS,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> httpx.AsyncClient:
        """Make a client with our rules, and connections of its own."""
        return httpx.AsyncClient(
            limits=limits,
            headers=HEADERS,
            verify=self._tls,
            trust_env=self._proxies,
            follow_redirects=False,
            timeout=timeout,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # nothing of theirs is kept
            transport=inner or self._inner,
        )

    def new_pooled_client(self, idle_seconds: float) -> httpx.AsyncClient:
        """Make one for many calls at a time, which bounds them and their time itself."""
        limits = httpx.Limits(max_connections=None, keepalive_expiry=idle_seconds)
        return self.new_client(httpx.Timeout(None), limits, self._pooled(idle_seconds))

    async def close(self) -> None:
        """Close all connections."""
        for close in self._closing:
            await close()

    # --- URLs -------------------------------------------------------------------------------

    def url(self, *path: str, before: str = "", suffix: str = "") -> str:
        """``"batches", "abc"`` + ``:cancel`` -> ``https://host/v1beta/batches/abc:cancel``."""
        quoted = "/".join(quote(part, safe="") for part in path)
        return f"{self.options.root}{before}/{self.options.api_version}/{quoted}{suffix}"

    def url_of(self, name: str, *, before: str = "", suffix: str = "") -> str:
        """Return the same for a resource name: ``batches/abc``, ``files/xyz``."""
        return self.url(*name.split("/"), before=before, suffix=suffix)

    # --- calls ------------------------------------------------------------------------------

    def key(self, credential: str) -> Mapping[str, str]:
        """Return the header that carries the key. Only for URLs made by :meth:`url`."""
        if credential not in self.options.credentials:
            raise UpstreamHeldError(f"There is no upstream key named {credential!r}.")
        return {"x-goog-api-key": self.options.credentials[credential]}

    async def pages(
        self, url: str, credential: str, *, member: str, size: int
    ) -> AsyncIterator[Page]:
        """Yield the pages of a listing to its end. An endless one is an error, not an end."""
        seen: set[str] = set()
        params: dict[str, str | int] = {"pageSize": size}
        while True:
            page = parse_page(await self.get(url, credential, params), member)
            yield page
            if page.token is None:
                return
            if page.token in seen or len(seen) >= MAX_PAGES:
                raise UpstreamUnavailableError("The upstream's listing does not end.", status=200)
            seen.add(page.token)
            params["pageToken"] = page.token

    async def get(
        self, url: str, credential: str, params: Mapping[str, str | int] | None = None
    ) -> dict[str, Any]:
        """Send a GET, repeated a few times quickly when that may help; return its JSON object."""
        return await self.repeated(partial(self.call, "GET", url, credential, params=params))

    async def get_bytes(self, url: str, credential: str) -> bytes:
        """Send a GET as :meth:`get` does; return the body as it came, which is a JSON object."""
        return (await self.repeated(partial(self._read, "GET", url, credential)))[1]

    async def call(
        self,
        method: str,
        url: str,
        credential: str,
        *,
        params: Mapping[str, str | int] | None = None,
    ) -> dict[str, Any]:
        """Make a small call, return its JSON object; every failure is an ``Upstream*`` error."""
        response, body = await self._read(method, url, credential, params=params)
        return parse_object(body, response)

    async def _read(
        self,
        method: str,
        url: str,
        credential: str,
        *,
        params: Mapping[str, str | int] | None = None,
    ) -> tuple[httpx.Response, bytes]:
        with as_upstream_errors(Call.OTHER, self.scrub):
            async with asyncio.timeout(self.options.call_seconds):
                async with self.stream(method, url, credential, params=params) as response:
                    body = await read_whole(response, JSON_BYTES)
        self._refuse_error(body)
        return response, body

    def _refuse_error(self, body: bytes) -> None:
        """Refuse a refusal in a 200, which proxies have been seen to make: it is no listing."""
        if _ERROR_ALONE.match(body) and (parsed := parse_object(body)).keys() == {"error"}:
            info = parse_error(parsed)
            raise UpstreamUnavailableError(self.scrub(info.message if info else ""), status=200)

    @asynccontextmanager
    async def alone(
        self, url: str, headers: Mapping[str, str], content: bytes, seconds: float
    ) -> AsyncIterator[httpx.Response]:
        """Send a POST on a connection that no other call has used, or will."""
        timeout = httpx.Timeout(seconds, connect=min(seconds, self.options.connect_seconds))
        sent = {**HEADERS, **headers}
        waits = {"timeout": timeout.as_dict()}
        request = httpx.Request(
            "POST", parsed(url), headers=sent, content=content, extensions=waits
        )
        small = len(content) <= SENT_AT_ONCE
        response = await (self._send_alone if small else self._send_slowly)(request)
        try:
            yield response
        finally:
            await response.aclose()

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        credential: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> AsyncIterator[httpx.Response]:
        """Open an answer whose body is still to be read: 2xx, or a status in ``accept``."""
        # What begins with our own root needs no parsing, which costs as much as sending it.
        home = url.startswith(f"{self.options.root}/")
        if not home and _origin(url) != _origin(self.options.base_url):
            raise UpstreamUnavailableError(
                "The upstream redirects to a host that is not its own.", status=302
            )
        sent = {**HEADERS, **self.key(credential), **(headers or {})}
        # Built without the client, which would parse the URL three times and look for cookies.
        request = httpx.Request(
            method, parsed(url), params=params, headers=sent, extensions={"timeout": self._stall}
        )
        response = await self._send(request)
        try:
            if not (response.is_success or response.status_code in accept):
                raise await self.failure(Call.OTHER, response)
            yield response
        finally:
            await response.aclose()

    async def post(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | AsyncIterator[bytes],
        seconds: float,
    ) -> tuple[httpx.Response, bytes]:
        """Send a POST of the upload protocol; return its whole answer, whatever its status."""
        with as_upstream_errors(Call.STAGE, self.scrub):
            async with asyncio.timeout(seconds):
                async with self._client.stream(
                    "POST", url, headers=headers, content=content
                ) as response:
                    return response, await read_capped(response, ERROR_BYTES)

    async def failure(self, call: Call, response: httpx.Response) -> UpstreamError:
        """Return the error that a streamed answer means."""
        body = await read_capped(response, ERROR_BYTES, cut=True)
        return error_of(call, response.status_code, body, self.scrub)

    async def back_off(self, failures: int) -> None:
        """Wait before the next attempt: exponentially, with jitter, up to a few seconds."""
        options = self.options
        longest = min(options.retry_max_seconds, options.retry_min_seconds * 2 ** (failures - 1))
        await self.clock.sleep(longest * (1 + jitter()) / 2)

    async def repeated(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat what may be repeated, a few times and quickly; longer waits are the runner's."""
        for failures in range(1, self.options.call_attempts):
            try:
                return await call()
            except UpstreamUnavailableError as error:
                if not worth_a_quick_retry(error):
                    raise
            await self.back_off(failures)
        return await call()


@lru_cache(maxsize=1024)
def parsed(url: str) -> httpx.URL:
    """Parse a URL: of a job it is asked for again and again, of a model's creates always."""
    return httpx.URL(url)


def parse_object(body: bytes, response: httpx.Response | None = None) -> dict[str, Any]:
    """Return the JSON object of a 2xx answer. Errors: UpstreamUnreadableError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        why = "is not JSON" if body.strip() else "is empty"
        raise unreadable(why, response, len(body)) from error
    if not isinstance(value, dict):
        raise unreadable("is no JSON object", response, len(body))
    return value


async def read_whole(response: httpx.Response, limit: int) -> bytes:
    """Return the body of a success. Errors: UpstreamUnreadableError of one that is cut, or longer.

    Not for a create, which may have been done: one that is cut there is ambiguous.
    """
    body = bytearray()
    received = Received(response)
    with received.to_the_end():
        async for block in response.aiter_bytes():
            body += block
            received.size = len(body)
            if len(body) > limit:
                raise _too_large(response, limit)
    return bytes(body)


async def read_capped(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """Return the body, at most ``limit`` bytes of it; longer ones are cut, or an error."""
    body = bytearray()
    async for block in response.aiter_bytes():
        body += block
        if len(body) > limit:
            if cut:
                break
            raise _too_large(response, limit)
    return bytes(body[:limit])


def _too_large(response: httpx.Response, limit: int) -> TooLargeAnswerError:
    return TooLargeAnswerError(
        f"Google's answer cannot be read: it exceeds {limit} bytes.",
        status=response.status_code,
    )


def worth_a_quick_retry(error: BaseException) -> bool:
    """Tell whether it is a lost connection or a 5xx; the runner backs off longer after a 429."""
    return isinstance(error, BrokenOffError) or (
        isinstance(error, UpstreamUnavailableError) and (error.status == 0 or error.status >= 500)
    )


def is_upload_host(url: str, base_url: str) -> bool:
    """Whether bytes may go there: the base URL's own origin, for Google any of its API hosts."""
    scheme, host, port = _origin(url)
    home = _origin(base_url)
    if not host or (scheme, host, port) == home:
        return bool(host)
    both_google = _GOOGLE_HOST.fullmatch(host) and _GOOGLE_HOST.fullmatch(home[1])
    return bool(both_google) and (scheme, port) == (home[0], home[2]) == ("https", None)


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port, parsed by the library that will connect; else ""."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return "", "", None
    return (parsed.scheme, parsed.host, parsed.port) if not parsed.userinfo else ("", "", None)


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(url: str, *, trust_env: bool) -> ssl.SSLContext:
    """Return one context for all clients: making it takes tens of ms, and each create has one.

    An upstream of http never uses its own, so that one knows no authorities; without it httpx would
    load them for every client.
    """
    if url.startswith("https"):
        return httpx.create_ssl_context(trust_env=trust_env)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _silence_http_logs() -> None:
    """Keep URLs and response headers out of the logs.

    httpx logs every URL at INFO (an upload URL carries its own authority), httpcore every response
    header at DEBUG (a 302 has been recorded that echoed the caller's key).
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
