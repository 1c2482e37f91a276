"""One call of the API: its key, its version, its body; and the faults any call can have."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.emulator.faults.book import FaultBook, Take, take_from
from gateway.emulator.faults.prompt_faults import JOB_OPERATIONS
from gateway.emulator.faults.refusals import Refused, refusal
from gateway.emulator.faults.table import Fault
from gateway.emulator.jobs.job import RESULT_PREFIX, Job
from gateway.emulator.protocol.errors import (
    JSON_HEADERS,
    ApiError,
    JsonObject,
    api_key_invalid,
    api_key_missing,
    invalid,
    json_response,
    too_large,
)
from gateway.emulator.protocol.masks import apply_mask, parse_mask
from gateway.emulator.protocol.numbers import whole_number
from gateway.emulator.protocol.schema import Violation, camel, parse_body, refuse
from gateway.emulator.protocol.streams import cut, drip
from gateway.emulator.state.projects import Project
from gateway.emulator.state.state import EmulatorState

# Key of ``scope["extensions"]`` under which the server offers to close the connection.
CLOSE: Final = "gateway.emulator.close"
# Query parameters of every method (Google's discovery document), and their system spelling.
STANDARD_QUERY: Final = frozenset(
    {
        "$.xgafv",
        "accessToken",
        "alt",
        "callback",
        "fields",
        "key",
        "oauthToken",
        "prettyPrint",
        "quotaUser",
        "uploadType",
        "uploadProtocol",
        *(f"$.{name}" for name in ("alt", "fields", "key", "prettyPrint")),
        *(f"${name}" for name in ("alt", "fields", "key", "prettyPrint")),
    }
)
# On answers of generateContent, refusals too, and never on streams (recorded).
TIER_HEADER: Final = "x-gemini-service-tier"
# Bodies up to this are parsed on the event loop.
_SMALL: Final = 64 * 1024


class NoAnswerError(Exception):
    """The call ends without an answer: the connection was closed, by either side."""


class InsteadError(Exception):
    """A fault answers the call; raised before anything is done."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered by a fault")
        self.response = response


@dataclass(frozen=True)
class Call:
    """A request, and the emulator that it is for."""

    request: Request
    state: EmulatorState
    operation: str
    # Whose faults may strike: the emulator's, those of the project, of the job, of the prompts.
    books: list[FaultBook] = field(default_factory=list)

    @property
    def version(self) -> str:
        """``v1``, ``v1beta`` or ``v1alpha``."""
        return self.path("version")

    @property
    def query(self) -> Mapping[str, str]:
        """The query parameters, all in camelCase."""
        return {camel(name): value for name, value in self.request.query_params.items()}

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
            or self.query.get("accessToken")
            or self.query.get("oauthToken")
            or ""
        )

    @property
    def project(self) -> Project:
        """The project of the key."""
        return self.state.project(self.key)

    def take(self, name: str) -> Fault | None:
        """Return the fault of a name that happens on this call, if any."""
        return take_from(*self.books, model=self.model)(name, self.operation)

    async def meet(self, faults: list[Fault]) -> None:
        """Have faults that came with the call strike, too: now, and when it is done."""
        book = FaultBook(faults)
        self.books.append(book)
        await before(self, take_from(book, model=self.model))

    def refused(self, fault: Fault) -> ApiError:
        """Return the answer by which a fault refuses the call."""
        name = str(self.request.path_params.get("id", ""))
        version = str(self.request.path_params.get("version", ""))
        about = Refused(self.operation, self.model, name, version)
        return refusal(about, fault.status, fault.reason, fault.message)

    def find_job(self) -> Job | None:
        """Return the job this call is about, or about whose result file it is."""
        if self.operation not in JOB_OPERATIONS:
            return None
        name = str(self.request.path_params.get("id", ""))
        return self.project.jobs.find(name.removeprefix(RESULT_PREFIX))

    @property
    def model(self) -> str:
        """The model of the path, empty if it names none."""
        return str(self.request.path_params.get("model", ""))

    def path(self, name: str) -> str:
        """Return a parameter of the path."""
        return str(self.request.path_params[name])

    def check_query(self, known: frozenset[str]) -> None:
        """Raise ApiError 400 for a parameter that no such call takes."""
        unknown = self.query.keys() - known - STANDARD_QUERY
        if unknown:
            raise refuse(
                [
                    Violation(
                        "",
                        f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query '
                        f"parameter. Field '{name}' could not be found in request message.",
                    )
                    for name in sorted(unknown)
                ],
            )

    def check_key(self) -> None:
        """Raise ApiError unless a key is there and, where some are set, one of them."""
        if not self.key:
            raise api_key_missing()
        accepted = self.state.options.keys
        if accepted and self.key not in accepted:
            raise api_key_invalid()

    async def body(self, limit: int) -> bytes:
        """Return the whole body; raises ApiError 400 when it has more than ``limit`` bytes."""
        announced = whole_number(self.request.headers.get("content-length", ""))
        if announced is not None and announced > limit:
            raise too_large(limit)
        pieces, size = [], 0
        async for piece in self.stream():
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            pieces.append(piece)
        return b"".join(pieces)

    async def message(self, name: str, limit: int) -> JsonObject:
        """Return the body as a message of the grammar; raises ApiError 400."""
        body = await self.body(limit)
        if len(body) <= _SMALL:
            return parse_body(name, body)
        return await asyncio.to_thread(parse_body, name, body)

    def stream(self) -> AsyncIterator[bytes]:
        """Return the body as it comes; raises ClientDisconnect."""
        return self.request.stream()

    def answer(self, body: JsonObject, status: int = 200) -> Response:
        """Return a JSON answer, cut to the ``fields`` asked for."""
        return json_response(self.masked(body), status, pretty=self.is_pretty)

    @property
    def is_pretty(self) -> bool:
        """Whether JSON is asked for as people read it, which it is unless told otherwise."""
        return self.query.get("prettyPrint", "true").lower() != "false"

    def masked(self, body: JsonObject) -> object:
        """Return what of ``body`` the ``fields`` ask for."""
        fields = self.query.get("fields")
        if not fields:
            if fault := self.take("fields-needed"):
                raise self.refused(fault)
            return body
        if self.take("fields-refused"):
            raise invalid(f"Request contains an invalid argument: fields={fields}")
        return apply_mask(parse_mask(fields), orjson.loads(orjson.dumps(body)))

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

    state: EmulatorState
    operation: str | Callable[[Request], str]
    function: Function
    # Query parameters besides those that every call takes.
    query: frozenset[str] = frozenset()
    # Whether a request needs no key (an upload URL carries its own authority).
    keyless: Callable[[Request], bool] = lambda _request: False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        named = self.operation if isinstance(self.operation, str) else self.operation(request)
        self.state.calls[named] += 1
        started = self.state.clock.monotonic()
        try:
            response = await self._respond(Call(request, self.state, named))
            took = int((self.state.clock.monotonic() - started) * 1000)
            response.headers["server-timing"] = f"gfet4t7; dur={took}"
            if named == "generate":
                response.headers.setdefault(TIER_HEADER, "standard")
            await response(scope, receive, send)
        except (NoAnswerError, ClientDisconnect):
            return

    async def _respond(self, call: Call) -> Response:
        try:
            call.books.append(self.state.faults)
            call.check_query(self.query)
            if not self.keyless(call.request):
                call.check_key()
                call.books.append(call.project.faults)
                if job := call.find_job():
                    call.books.append(job.book)
            await before(call, take_from(*call.books, model=call.model))
            return await after(call, await self.function(call))
        except InsteadError as fault:
            return fault.response
        except ApiError as refusal:
            return refusal.response(pretty=call.is_pretty)


async def before(call: Call, take: Take) -> None:
    """Faults of a call that then does nothing."""
    if fault := take("slow", call.operation):
        await call.state.clock.sleep(fault.seconds)
    if fault := take("error", call.operation):
        _note(call, "error")
        raise call.refused(fault)
    if fault := take("garbage", call.operation):
        _note(call, "garbage")
        raise InsteadError(_garbage(fault))
    if take("hang", call.operation):
        _note(call, "hang")
        raise await call.hang()
    if take("drop", call.operation):
        _note(call, "drop")
        raise await call.close()


async def after(call: Call, response: Response) -> Response:
    """Faults of a call that has been done."""
    if fault := call.take("error-after"):
        _note(call, "error-after")
        raise call.refused(fault)
    if call.take("hang-after"):
        _note(call, "hang-after")
        raise await call.hang()
    if call.take("drop-after"):
        _note(call, "drop-after")
        raise await call.close()
    if fault := call.take("garbage-after"):
        _note(call, "garbage-after")
        return _garbage(fault)
    if fault := call.take("drip-after"):
        _note(call, "drip-after")
        return drip(response, fault.rate, call.state.clock.sleep)
    if fault := call.take("cut-after"):
        _note(call, "cut-after")
        return cut(response, fault.bytes, call.close)
    return response


def _garbage(fault: Fault) -> Response:
    """200 with what is no answer: a proxy's page, nothing, or the characters of the fault."""
    if fault.body == "html":
        return Response(b"<html>", 200, {"content-type": "text/html"})
    body = b"" if fault.body == "empty" else fault.body.encode()
    return Response(body, 200, JSON_HEADERS)


def _note(call: Call, name: str) -> None:
    call.state.journal.note("fault", name=name, on=call.operation)
