"""A second upstream of OpenAI's kind, for routes that the gateway does not serve.

What travels is listed here, both ways: a header that is not on a list stays, so neither the
client's key nor its cookies leave, nor anything of a connection. Only URLs below the one base URL
of the settings are asked, and a redirect is an error.
"""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx

from gateway.errors import BadGatewayError, GatewayError, NotFoundError
from gateway.ports.others import OtherAnswer, OtherRequest
from gateway.upstream.errors import NOT_SENT, TRANSPORT

SENT: Final = (
    "accept",
    "accept-encoding",
    "content-encoding",
    "content-length",
    "content-type",
    "idempotency-key",
    "openai-beta",
    "range",
)
SHOWN: Final = (
    "accept-ranges",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
)
SHOWN_PREFIX: Final = "x-ratelimit-"
# Statuses that say that the gateway's own key is refused, which a client cannot mend.
KEY_REFUSED: Final = frozenset({401, 403})
CONNECT_SECONDS: Final = 10.0
LIMITS: Final = httpx.Limits(max_connections=None, keepalive_expiry=30.0)


class NoOtherAnswerError(GatewayError):
    """The second upstream gave no answer in time, or the connection broke."""

    status = 504
    type = "server_error"
    code = "upstream_timeout"


@dataclass(frozen=True, slots=True)
class OtherOptions:
    """``base_url`` is the URL before ``/moderations``; ``key`` gives the key that is in force.

    ``seconds`` is the time until an answer begins, ``idle_seconds`` that between its bytes.
    ``place`` holds a place for an owner's call, or raises.
    """

    base_url: str
    key: Callable[[], str]
    seconds: float
    idle_seconds: float
    place: Callable[[str], AbstractAsyncContextManager[None]]


class OtherUpstream:
    """Implements :class:`gateway.ports.others.OtherRoutes`."""

    def __init__(self, options: OtherOptions) -> None:
        self._options = options
        self._client = httpx.AsyncClient(
            limits=LIMITS,
            follow_redirects=False,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def pass_on(self, asked: OtherRequest) -> OtherAnswer:
        """Send it on; nothing is tried again, since a body is read once."""
        request = httpx.Request(
            asked.method,
            _url_of(self._url(asked)),
            headers=self._headers(asked.headers),
            content=asked.body,
            extensions={"timeout": self._client.timeout.as_dict()},
        )
        stack = AsyncExitStack()
        try:
            await stack.enter_async_context(self._options.place(asked.owner))
            response = await self._begun(request)
            stack.push_async_callback(response.aclose)
            _check(response)
        except BaseException:
            await stack.aclose()
            raise
        body = _Body(response, self._options.idle_seconds, stack)
        return OtherAnswer(response.status_code, _shown(response.headers), body)

    def _url(self, asked: OtherRequest) -> str:
        if {".", ".."} & set(asked.path.split("/")):
            raise NotFoundError("A path with '.' or '..' in it is no URL.", code="unknown_url")
        query = f"?{asked.query}" if asked.query else ""
        return f"{self._options.base_url}{quote(asked.path)}{query}"

    def _headers(self, given: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        # As they came: a client may write more than ASCII into them (RFC 9110, 5.5).
        kept = {name: given[name].encode("latin-1") for name in SENT if name in given}
        own = {
            "authorization": f"Bearer {self._options.key()}".encode(),
            "user-agent": b"gemini-batch-gateway",
        }
        all_of_them = {"accept-encoding": b"identity", **kept, **own}
        return [(name.encode(), value) for name, value in all_of_them.items()]

    async def _begun(self, request: httpx.Request) -> httpx.Response:
        """Wait for the head of the answer."""
        try:
            async with asyncio.timeout(self._options.seconds):
                return await self._client.send(request, stream=True)
        except TRANSPORT as error:
            sent = "" if isinstance(error, NOT_SENT) else "; the request may have arrived there"
            raise NoOtherAnswerError(
                "The upstream of routes that are not served here (GATEWAY_PASS_OTHERS_TO) did not"
                f" answer: {type(error).__name__}{sent}."
            ) from error


class _Body:
    """The rest of an answer, with its connection and its place."""

    def __init__(self, response: httpx.Response, idle: float, held: AsyncExitStack) -> None:
        self._response = response
        self._idle = idle
        self._held = held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what comes. Errors: OSError of a body that breaks off, not to look whole."""
        blocks = self._response.aiter_raw()
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    block = await anext(blocks)
            except StopAsyncIteration:
                return
            except TRANSPORT as error:
                raise OSError(errno.EIO, "the answer of the second upstream broke off") from error
            yield block

    async def aclose(self) -> None:
        """Give everything back; again: nothing."""
        await self._held.aclose()


def _url_of(text: str) -> httpx.URL:
    """Parse a URL. Errors: NotFoundError of one that is too long by the time it is escaped."""
    try:
        return httpx.URL(text)
    except httpx.InvalidURL as error:
        raise NotFoundError(
            f"This URL cannot be passed to the upstream of routes not served here: {error}.",
            code="unknown_url",
        ) from error


def _check(response: httpx.Response) -> None:
    """Refuse what a client could make nothing of. Errors: BadGatewayError."""
    status = response.status_code
    if response.is_redirect or status < 200:
        raise BadGatewayError(
            "The upstream of routes that are not served here redirects, which is not followed:"
            " set GATEWAY_PASS_OTHERS_TO to where it is."
        )
    if status in KEY_REFUSED:
        raise BadGatewayError(
            "The upstream of routes that are not served here refuses the gateway's key"
            f" (GATEWAY_PASS_OTHERS_KEY) with status {status}."
        )


def _shown(headers: httpx.Headers) -> dict[str, str]:
    return {
        name: value
        for name, value in headers.items()
        if name in SHOWN or name.startswith(SHOWN_PREFIX)
    }
