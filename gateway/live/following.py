"""A response in the background as a stream: what it is by now, and each change, until its end.

A batch's answer comes whole, so its events do too: after ``created``, ``queued`` and
``in_progress`` nothing but comments, then all of them. They are made of what is stored, and
numbered alike each time, so a stream that broke goes on behind ``starting_after``.
"""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

import orjson

from gateway.batches.response import UNFINISHED
from gateway.clock import Clock
from gateway.errors import GatewayError, NotFoundError, RequestError
from gateway.live.failures import envelope_of
from gateway.live.memory import ResponseMemory
from gateway.live.options import KEEP_ALIVE_SECONDS
from gateway.live.stream import HeldEvents
from gateway.ports.single import Events
from gateway.translate import replayed
from gateway.wire.sse import KEEP_ALIVE, named_event

Json = dict[str, Any]

LOOK_SECONDS: Final = 1.0
# The members of a Response that has no answer yet.
_BARE: Final[Mapping[str, Any]] = {
    "output": [],
    "usage": None,
    "completed_at": None,
    "error": None,
    "incomplete_details": None,
}


class StoppingStreamError(GatewayError):
    """The gateway stops; the response goes on."""

    status = 503
    code = "server_is_overloaded"


class Follower:
    """Streams responses in the background; when it is ``ready`` no more, each stream ends."""

    def __init__(self, memory: ResponseMemory, clock: Clock, ready: Callable[[], bool]) -> None:
        self._memory = memory
        self._clock = clock
        self._ready = ready

    async def events(self, owner: str, response_id: str, after: int = -1) -> Events | None:
        """Stream a response's events behind a number; None when there is none of that id.

        Errors: RequestError of one that was answered at once.
        """
        found = await self._memory.get(owner, response_id)
        if found is None:
            return None
        if found.get("background") is not True:
            raise RequestError(
                "Only responses with background: true are streamed again: leave out 'stream'.",
                param="stream",
            )
        return HeldEvents(self._events(owner, found, after), AsyncExitStack())

    async def _events(self, owner: str, response: Json, after: int) -> AsyncGenerator[bytes, None]:
        yield b"".join(_begun(response, after))
        begun = False
        waited = 0.0
        while response["status"] in UNFINISHED:
            if not begun and response["status"] == "in_progress":
                begun = True
                yield _written(2, "in_progress", response, after)
            await self._clock.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS
            if waited >= KEEP_ALIVE_SECONDS:
                waited = 0.0
                yield KEEP_ALIVE
            now = await self._memory.get(owner, response["id"])
            failure = self._failure(response, now)
            if now is None or failure is not None:
                yield _failed(failure)
                return
            response = now
        if not begun:
            yield _written(2, "in_progress", {**response, **_BARE}, after)
        yield b"".join(event for number, event in replayed(response, 3) if number > after)

    def _failure(self, response: Json, now: Json | None) -> GatewayError | None:
        if now is None:
            return NotFoundError(f"Response with id '{response['id']}' was deleted.")
        if not self._ready():
            return StoppingStreamError(
                "The gateway is stopping. The response goes on: ask for the rest of its events"
                " with responses.retrieve, stream and starting_after."
            )
        return None


def _begun(response: Json, after: int) -> Iterator[bytes]:
    for number, name in enumerate(("created", "queued")):
        yield _written(number, name, {**response, **_BARE, "status": "queued"}, after)


def _written(number: int, name: str, response: Json, after: int) -> bytes:
    """Write an event about the response as a whole, unless the client has it."""
    if number <= after:
        return b""
    if name == "in_progress":
        response = {**response, "status": name}
    event = f"response.{name}"
    told = {"type": event, "sequence_number": number, "response": response}
    return named_event(event, orjson.dumps(told))


def _failed(failure: GatewayError | None) -> bytes:
    """Write ``error`` in both of its shapes, as other streams of Responses do."""
    error = orjson.loads(envelope_of(failure or NotFoundError("")))["error"]
    flat = {name: error[name] for name in ("code", "message", "param")}
    return named_event("error", orjson.dumps({"type": "error", **flat, "error": error}))
