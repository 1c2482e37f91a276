"""Single calls: a request that Google answers at once, whole or as a stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, Final

import httpx
import orjson

from gateway.errors import UpstreamAmbiguousError, UpstreamHeldError
from gateway.ports.single import Reply, SingleCall
from gateway.upstream.errors import Call, as_upstream_errors, error_of
from gateway.upstream.options import ERROR_BYTES, JSON_BYTES
from gateway.upstream.pooled import BLOCK_BYTES, in_blocks
from gateway.upstream.transport import HEADERS, Transport, read_capped, read_whole
from gateway.upstream.unreadable import Received, unreadable
from gateway.wire.gemini_results import loads_tolerantly
from gateway.wire.json_depth import depth_exceeds
from gateway.wire.sse import DONE_DATA, EventReader

# How many calls there may be at a time is the caller's to bound; a connection is kept for a minute,
# since opening one to Google takes three round trips.
IDLE_SECONDS: Final = 60.0
# Not a stream of events, but a JSON array that grows, without it (LiteLLM#4339, #4408).
AS_EVENTS: Final = "?alt=sse"
# What a stream may have in all: its answer is held, for its last events. Each piece costs a little
# that its text does not show, or a stream of empty ones would grow for ever.
STREAM_BYTES: Final = JSON_BYTES
PIECE_BYTES: Final = 256
# Below what orjson writes (254), with what an answer of ours puts around it.
ANSWER_DEPTH: Final = 200
TOO_DEEP: Final = f"nests deeper than {ANSWER_DEPTH} levels"
# URLs that are kept, parsed: parsing one costs as much as the rest of a request.
MOST_URLS: Final = 256


class SingleCalls:
    """Single calls on connections of their own, so that they and batches do not wait for another.

    A call is never sent twice: what a lost answer has cost is not known.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._client = transport.new_pooled_client(IDLE_SECONDS)
        self._url = lru_cache(MOST_URLS)(self._parsed_url)
        self._timeout = httpx.Timeout(None, connect=transport.options.connect_seconds).as_dict()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def ask(self, call: SingleCall) -> Reply:
        """Send the call; its answer, or the error that Google answered with."""
        with as_upstream_errors(Call.ASK, self._transport.scrub):
            async with asyncio.timeout(call.seconds), self._sent(call) as response:
                if not response.is_success:
                    return await self._refusal(response)
                body = await read_whole(response, JSON_BYTES)
                try:
                    return _parsed(body)
                except _UnreadableError as error:
                    raise unreadable(f"{error}", response, len(body)) from error

    async def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """Yield the pieces of the answer; what breaks it off is the last of them, or an error.

        The wait for the head and the wait between bytes have clocks of their own: a model that
        thinks without showing it is silent for long before the first byte. Comments and empty
        pieces are bytes, but no answer: with nothing else a stream ends after ``call.seconds``.
        """
        with as_upstream_errors(Call.ASK, self._transport.scrub):
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(call.seconds):
                    response = await stack.enter_async_context(self._sent(call, AS_EVENTS))
                    if not response.is_success:
                        refusal = await self._refusal(response)
                if not response.is_success:
                    yield refusal
                    return
                async for piece in self._pieces(Received(response), _Patience(call)):
                    yield piece

    async def _pieces(
        self, received: Received, patience: "_Patience"
    ) -> AsyncGenerator[Reply, None]:
        """Yield the pieces of a stream. One that has none is no answer either."""
        size = 0
        async for event in _events(received, patience):
            size += len(event) + PIECE_BYTES
            if size > STREAM_BYTES:
                raise received.unreadable("is too long")
            try:
                piece = self._piece(event)
            except _UnreadableError as error:
                raise received.unreadable(f"holds an event that {error}") from error
            with patience.of_another(content=_has_content(piece)):
                yield piece
        if not size:
            raise received.unreadable("has no event")

    @asynccontextmanager
    async def _sent(self, call: SingleCall, query: str = "") -> AsyncIterator[httpx.Response]:
        """Send a call; the answer's body is still to be read."""
        large = len(call.body) > BLOCK_BYTES
        headers = {
            **HEADERS,
            **self._transport.key(call.credential),
            "content-type": "application/json",
            "content-length": str(len(call.body)),
        }
        # Built without the client, which would parse the URL again and look for cookies.
        request = httpx.Request(
            "POST",
            self._url(call.model, f":{call.method}{query}"),
            headers=headers,
            content=in_blocks(call.body) if large else call.body,
            extensions={"timeout": self._timeout},
        )
        response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def _parsed_url(self, model: str, suffix: str) -> httpx.URL:
        return httpx.URL(self._transport.url("models", model, suffix=suffix))

    async def _refusal(self, response: httpx.Response) -> Reply:
        """Read an error. Errors: UpstreamHeldError where it is about the account."""
        body = await read_capped(response, ERROR_BYTES, cut=True)
        error = error_of(Call.ASK, response.status_code, body, self._transport.scrub)
        if isinstance(error, UpstreamHeldError):
            raise error
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            told = None
        found = told.get("error") if isinstance(told, dict) else None
        details = found if isinstance(found, dict) else {}
        return _error({**details, "code": response.status_code, "message": error.message})

    def _piece(self, event: bytes) -> Reply:
        """Parse an event. One that is no JSON object breaks the stream off, as a cut body does."""
        piece = _parsed(event)
        found = piece.get("error")
        if isinstance(found, dict):
            return _error(
                {**found, "message": self._transport.scrub(str(found.get("message", "")))}
            )
        return piece


class _Patience:
    """Clocks of a stream: for how long no byte may come, and for how long no content."""

    def __init__(self, call: SingleCall) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle = call.idle_seconds
        self._seconds = call.seconds
        self._end = self._loop.time() + call.seconds

    def clock(self) -> asyncio.Timeout:
        """Return the clock of a wait for bytes."""
        return asyncio.timeout_at(min(self._loop.time() + self._idle, self._end))

    @property
    def over(self) -> bool:
        """Whether no content has come for too long; bytes that are there need no wait."""
        return self._loop.time() >= self._end

    @contextmanager
    def of_another(self, *, content: bool) -> Iterator[None]:
        """Stop the clock while the reader has a piece; one with ``content`` begins it anew."""
        began = self._loop.time()
        yield
        now = self._loop.time()
        self._end = now + self._seconds if content else self._end + now - began

    def lost(self, received: Received) -> UpstreamAmbiguousError:
        """Return the error of a stream that did not go on."""
        what, seconds = ("no content", self._seconds) if self.over else ("nothing", self._idle)
        return UpstreamAmbiguousError(
            f"Google's answer stopped after {received.size} bytes: {what} came for {seconds:g} s.",
            status=received.response.status_code,
        )


async def _events(received: Received, patience: _Patience) -> AsyncGenerator[bytes, None]:
    """Yield the data of each event, to the end of the body or to what other vendors end it with.

    Errors: UpstreamAmbiguousError when nothing comes for too long, BrokenOffError.
    """
    reader = EventReader()
    blocks = received.response.aiter_raw()
    while True:
        try:
            with received.to_the_end():
                async with patience.clock():
                    block = await anext(blocks)
        except StopAsyncIteration:
            break
        except TimeoutError as error:
            raise patience.lost(received) from error
        if patience.over:
            raise patience.lost(received)
        received.size += len(block)
        for event in reader.feed(block):
            if event == DONE_DATA:
                return
            yield event
    if (event := reader.end()) and event != DONE_DATA:
        yield event


def _has_content(piece: Reply) -> bool:
    """Whether a piece is a part of an answer, and not its head, or a count of tokens, alone."""
    if "promptFeedback" in piece or "error" in piece:
        return True
    candidates = piece.get("candidates")
    return isinstance(candidates, list) and any(map(_has_parts, candidates))


def _has_parts(candidate: object) -> bool:
    if not isinstance(candidate, dict):
        return False
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return "finishReason" in candidate or any(
        isinstance(part, dict) and any(part[name] for name in part if name != "thought")
        for part in (parts if isinstance(parts, list) else ())
    )


def _error(status: dict[str, Any]) -> Reply:
    return {"error": status}


class _UnreadableError(ValueError):
    """Text that is no JSON object, or one that cannot be written again."""


def _parsed(text: bytes) -> dict[str, Any]:
    """Parse an answer, or a piece of one, as a batch's results are: half an emoji is no end.

    Errors: _UnreadableError.
    """
    try:
        value = loads_tolerantly(text)
    except RecursionError as error:
        raise _UnreadableError(TOO_DEEP) from error
    except ValueError as error:
        raise _UnreadableError("is not JSON" if text.strip() else "is empty") from error
    if not isinstance(value, dict):
        raise _UnreadableError("is no JSON object")
    if depth_exceeds(text, value, ANSWER_DEPTH):
        raise _UnreadableError(TOO_DEEP)
    return value
