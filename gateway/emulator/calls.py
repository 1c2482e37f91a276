"""One call of the API: its key, its version, its body; and the faults any call can have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.emulator.errors import (
    ApiError,
    JsonObject,
    api_key_invalid,
    api_key_missing,
    json_response,
    of_status,
    too_large,
)
from gateway.emulator.faults import Fault
from gateway.emulator.masks import apply_mask, parse_mask
from gateway.emulator.projects import Project
from gateway.emulator.schema import parse_body
from gateway.emulator.world import World

CLOSE = "gateway.emulator.close"
"""Key of ``scope["extensions"]`` under which the server offers to close the connection."""
_SMALL = 64 * 1024
"""Bodies up to this are parsed on the event loop."""


class NoAnswerError(Exception):
    """The call ends without an answer: the connection was closed, by either side."""


@dataclass(frozen=True)
class Call:
    """A request together with the world it is about."""

    request: Request
    world: World
    operation: str

    @property
    def version(self) -> str:
        """``v1``, ``v1beta`` or ``v1alpha``."""
        return self.path("version")

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters."""
        return self.request.query_params

    @property
    def base_url(self) -> str:
        """Scheme and host as the client used them."""
        return f"{self.request.url.scheme}://{self.request.headers.get('host', '')}"

    @property
    def key(self) -> str:
        """The API key, by header, query or Bearer; empty if there is none."""
        headers = self.request.headers
        bearer = headers.get("authorization", "")
        token = bearer[7:] if bearer[:7].lower() == "bearer " else ""
        return (
            headers.get("x-goog-api-key")
            or self.query.get("key")
            or token
            or self.query.get("access_token")
            or ""
        )

    @property
    def project(self) -> Project:
        """The project of the key."""
        return self.world.project(self.key)

    def path(self, name: str) -> str:
        """A parameter of the path."""
        return str(self.request.path_params[name])

    def check_key(self) -> None:
        """Raise ApiError unless a key is there and, where some are set, one of them."""
        if not self.key:
            raise api_key_missing()
        accepted = self.world.options.keys
        if accepted and self.key not in accepted:
            raise api_key_invalid()

    async def body(self, limit: int) -> bytes:
        """The whole body; raises ApiError 400 when it has more than ``limit`` bytes."""
        announced = self.request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise too_large(limit)
        pieces, size = [], 0
        async for piece in self.stream():
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)

    async def message(self, name: str, limit: int) -> JsonObject:
        """The body as a message of the grammar; raises ApiError 400."""
        body = await self.body(limit)
        if len(body) <= _SMALL:
            return parse_body(name, body)
        return await asyncio.to_thread(parse_body, name, body)

    def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises ClientDisconnect."""
        return self.request.stream()

    def answer(self, body: JsonObject, status: int = 200) -> Response:
        """A JSON answer, cut to the ``fields`` asked for."""
        shown: object = body
        if fields := self.query.get("fields"):
            shown = apply_mask(parse_mask(fields), orjson.loads(orjson.dumps(body)))
        return json_response(shown, status, pretty=self.query.get("prettyPrint") == "true")

    async def close(self) -> NoAnswerError:
        """Close the connection after what was sent so far; to be raised."""
        extensions = self.request.scope.get("extensions") or {}
        if CLOSE not in extensions:
            raise RuntimeError("this server cannot close connections: run it with serve.py")
        cast("Callable[[], None]", extensions[CLOSE])()
        return await self.hang()

    async def hang(self) -> NoAnswerError:
        """Wait until the client gives up; to be raised."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass
        return NoAnswerError("never answered")


Function = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Endpoint:
    """An ASGI app around one function of the API: key, faults, errors."""

    world: World
    operation: str | Callable[[Request], str]
    function: Function
    keyless: Callable[[Request], bool] = lambda _request: False
    """Whether a request needs no key (an upload URL carries its own authority)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        named = self.operation if isinstance(self.operation, str) else self.operation(request)
        try:
            response = await self._respond(Call(request, self.world, named))
            await response(scope, receive, send)
        except (NoAnswerError, ClientDisconnect):
            return

    async def _respond(self, call: Call) -> Response:
        try:
            if not self.keyless(call.request):
                call.check_key()
            await before(call, armed(call))
            response = await self.function(call)
            return await after(call, response, armed(call))
        except ApiError as refusal:
            return refusal.response()


Take = Callable[[str], Fault | None]
"""The fault of a name that happens now, if any."""


def armed(call: Call) -> Take:
    """Faults of the book."""
    return lambda name: call.world.faults.take(name, call.operation)


def marked(call: Call, faults: list[Fault]) -> Take:
    """Faults that stand in the prompts of this very call."""
    return lambda name: next(
        (fault for fault in faults if fault.name == name and fault.hits(call.operation)),
        None,
    )


async def before(call: Call, take: Take) -> None:
    """Faults of a call that then does nothing."""
    if fault := take("slow"):
        await call.world.clock.sleep(fault.seconds)
    if fault := take("error"):
        _note(call, "error")
        raise of_status(fault.status, call.operation)
    if take("hang"):
        _note(call, "hang")
        raise await call.hang()
    if take("drop"):
        _note(call, "drop")
        raise await call.close()


async def after(call: Call, response: Response, take: Take) -> Response:
    """Faults of a call that has been done."""
    if fault := take("error-after"):
        _note(call, "error-after")
        raise of_status(fault.status, call.operation)
    if take("hang-after"):
        _note(call, "hang-after")
        raise await call.hang()
    if take("drop-after"):
        _note(call, "drop-after")
        raise await call.close()
    if take("garbage-after"):
        _note(call, "garbage-after")
        return Response(b"<html>", 200, {"content-type": "text/html"})
    return response


def _note(call: Call, name: str) -> None:
    call.world.journal.note("fault", name=name, on=call.operation)
