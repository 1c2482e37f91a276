"""Single requests: translate, ask Google, render; what a line of a batch is, without the batch."""

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.clock import Clock
from gateway.errors import UpstreamError
from gateway.ids import new_answer_id
from gateway.live import flex
from gateway.live.calls import Calls
from gateway.live.failures import of_upstream, refused
from gateway.live.options import LiveOptions
from gateway.live.places import Places
from gateway.live.prepare import FLEX, Prepared, prepare
from gateway.live.stream import LiveStream
from gateway.ports.single import Answered, Events, Reply, SingleRequest, SingleUpstream
from gateway.translate import ENDPOINTS, STREAMS, Context, Note, Policy, Rendered

logger = logging.getLogger(__name__)

NOTES_HEADER: Final = "x-gateway-notes"
# Heads of answers beyond 8 KB are refused by common proxies.
NOTES_BYTES: Final = 4096
# Bodies up to this are translated where they are read; larger ones would stop the event loop.
QUICK_BYTES: Final = 64 * 1024


class SingleRequestService:
    """Implements :class:`gateway.ports.single.SingleRequests`.

    ``credentials`` are the names of the keys for Google, of which the one with the fewest calls is
    taken; ``policy`` is what batches that are created now get.
    """

    def __init__(
        self,
        upstream: SingleUpstream,
        clock: Clock,
        policy: Policy,
        credentials: Mapping[str, str],
        options: LiveOptions,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._policy = policy
        self._credentials = credentials
        self._options = options
        self._calls = Calls(upstream, options)
        self._places = Places(options)
        self._used: dict[str, int] = {}

    async def respond(self, asked: SingleRequest) -> Answered | Events:
        """Answer a request. Errors: GatewayError."""
        request = await self._prepared(asked)
        context = self._context(request)
        if request.stream is not None:
            return await self._streamed(request, context, asked.owner)
        began = self._clock.monotonic()
        async with self._places.one(asked.owner):
            with self._credential(asked.owner) as credential:
                tier, answers = await self._answers(request, credential)
        failure = _first_refusal(answers)
        rendered = ENDPOINTS[asked.path].from_gemini(request.hints, answers, context)
        self._log(request, rendered, began)
        if failure is not None and rendered[0] >= 400:
            return Answered(rendered[0], rendered[1], failure.headers)
        return _shown(request, rendered, tier)

    async def _prepared(self, asked: SingleRequest) -> Prepared:
        if len(asked.body) <= QUICK_BYTES:
            return prepare(asked, self._policy)
        return await asyncio.to_thread(prepare, asked, self._policy)

    def _context(self, request: Prepared) -> Context:
        now = self._clock.now() // 1000
        return Context(new_answer_id(), 1, now, self._policy, request.model)

    @contextmanager
    def _credential(self, owner: str) -> Iterator[str]:
        """Take the owner's own credential, or the one of all with the fewest calls."""
        if self._options.pass_through:
            yield owner
            return
        name = min(self._credentials, key=lambda each: self._used.get(each, 0))
        self._used[name] = self._used.get(name, 0) + 1
        try:
            yield name
        finally:
            self._used[name] -= 1

    # --- whole answers ----------------------------------------------------------------------

    async def _answers(
        self, request: Prepared, credential: str
    ) -> tuple[str | None, Sequence[dict[str, Any]]]:
        """Return the tier that served, and the answers. Errors: GatewayError of no answer."""
        try:
            if request.flex:
                return await self._flex_answers(request, credential)
            return None, [*map(dict, await self._calls.answers(request, credential))]
        except UpstreamError as error:
            raise of_upstream(error) from error

    async def _flex_answers(
        self, request: Prepared, credential: str
    ) -> tuple[str | None, Sequence[dict[str, Any]]]:
        """Try the flex tier while there is time, then the standard tier if that is allowed."""
        options = self._options
        end = self._clock.monotonic() + options.flex_seconds
        for pause in flex.pauses():
            answers = await self._calls.answers(request, credential, FLEX)
            tries_again = flex.is_full(answers) and self._clock.monotonic() + pause < end
            if not tries_again:
                break
            await self._clock.sleep(pause)
        falls_back = flex.is_full(answers) or flex.is_unsupported(answers)
        if falls_back and options.flex_fallback:
            return None, [*map(dict, await self._calls.answers(request, credential))]
        tier = FLEX if flex.served(answers) else None
        return tier, [*map(dict, answers)]

    # --- streams ----------------------------------------------------------------------------

    async def _streamed(self, request: Prepared, context: Context, owner: str) -> Answered | Events:
        """Return the stream once it has begun; what failed before is an answer."""
        assert request.stream is not None  # noqa: S101 - the caller looked
        stack = AsyncExitStack()
        try:
            await stack.enter_async_context(self._places.one(owner))
            credential = stack.enter_context(self._credential(owner))
            stream = await self._begun(request, context, credential, stack)
        except BaseException:
            await stack.aclose()
            raise
        if isinstance(stream, Answered):
            await stack.aclose()
            return stream
        return self._events(stream, request, stack)

    async def _begun(
        self, request: Prepared, context: Context, credential: str, stack: AsyncExitStack
    ) -> Answered | LiveStream:
        """Begin a stream; in the flex tier it is begun again while that is full."""
        end = self._clock.monotonic() + self._options.flex_seconds
        tier = FLEX if request.flex else None
        for pause in flex.pauses():
            stream = self._new_stream(request, context, credential, tier)
            stack.callback(stream.close)
            failure = await stream.begin()
            if failure is None:
                return stream
            stream.close()
            if tier is None or failure.status not in flex.FULL:
                return failure
            if self._clock.monotonic() + pause < end:
                await self._clock.sleep(pause)
            elif self._options.flex_fallback:
                tier = None
            else:
                return failure
        raise AssertionError("the pauses do not end")

    def _new_stream(
        self, request: Prepared, context: Context, credential: str, tier: str | None
    ) -> LiveStream:
        assert request.stream is not None  # noqa: S101 - the caller looked
        options = replace(request.stream, tier=tier or "default")
        answer = STREAMS[request.path](request.hints, context, len(request.items), options)
        calls = self._calls.streams(request, credential, tier)
        return LiveStream(self._upstream, calls, answer, self._options)

    async def _events(self, stream: LiveStream, request: Prepared, stack: AsyncExitStack) -> Events:
        began = self._clock.monotonic()
        async with stack:
            async with aclosing(stream.events()) as events:
                async for event in events:
                    yield event
            if stream.rendered is not None:
                self._log(request, stream.rendered, began)

    def _log(self, request: Prepared, rendered: Rendered, began: float) -> None:
        """Log what a request came to: never what was said."""
        status, _, usage, _ = rendered
        logger.info(
            "single request to %s: %s, status %d, %d tokens in, %d out, %.0f ms",
            request.path,
            request.model,
            status,
            usage[0],
            usage[2],
            (self._clock.monotonic() - began) * 1000,
        )


def _first_refusal(answers: Sequence[Reply]) -> Answered | None:
    return next(filter(None, map(refused, answers)), None)


def _shown(request: Prepared, rendered: Rendered, tier: str | None) -> Answered:
    """Add what a batch tells in its warnings file, and the tier that served."""
    status, body, _, notes = rendered
    told = [_told(note) for note in (*request.notes, *notes)]
    if not told and tier is None:
        return Answered(status, body)
    headers = {NOTES_HEADER: _header(told)} if told else {}
    if status >= 400:
        return Answered(status, body, headers)
    answer = orjson.loads(body)
    if told:
        answer.setdefault("extra_content", {})["gateway"] = {"notes": told}
    if tier is not None:
        answer["service_tier"] = tier
    return Answered(status, orjson.dumps(answer), headers)


def _told(note: Note) -> dict[str, str]:
    told = {"code": note.code, "field": note.field}
    return {**told, "message": note.message} if note.message else told


def _header(told: list[dict[str, str]]) -> str:
    """Write notes as a header, in ASCII; what does not fit is only in the body."""
    shown = told
    while len(text := _ascii(shown)) > NOTES_BYTES:
        shown = shown[: len(shown) // 2]
    return text


def _ascii(told: list[dict[str, str]]) -> str:
    return json.dumps(told, separators=(",", ":"))  # noqa: TID251 - orjson cannot escape to ASCII
