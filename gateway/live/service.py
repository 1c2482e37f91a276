"""Single requests: translate, ask Google, render; what a line of a batch is, without the batch."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, Final, TypeVar, cast

import orjson

from gateway.clock import Clock
from gateway.errors import GatewayError, InternalError, UpstreamError
from gateway.ids import new_answer_id
from gateway.live import flex
from gateway.live import notes as noted
from gateway.live.background import BackgroundQueue, wants_background
from gateway.live.budgets import Budgets, Spending
from gateway.live.calls import Calls
from gateway.live.failures import StoppingError, of_upstream, refused
from gateway.live.files import Named, UploadedFiles, inlined
from gateway.live.following import Follower
from gateway.live.memory import ResponseMemory, Turn
from gateway.live.options import LiveOptions
from gateway.live.places import Places
from gateway.live.prepare import FLEX, Prepared, parsed, prepare
from gateway.live.stream import HeldEvents, LiveStream
from gateway.ports.metrics import NO_METERS, Meters, Series
from gateway.ports.single import Answered, Events, Reply, SingleRequest, SingleUpstream
from gateway.translate import (
    ENDPOINTS,
    STREAMS,
    Answer,
    AnswerHints,
    Context,
    Policy,
    Rendered,
    StreamOptions,
    Usage,
)

logger = logging.getLogger(__name__)

Given = TypeVar("Given")

# As the contract's ``Usage`` orders them.
TOKEN_KINDS: Final = ("input", "cached", "output", "reasoning")
TOO_MANY_REQUESTS: Final = 429
NO_RETRY: Final[Mapping[str, str]] = MappingProxyType({"x-should-retry": "false"})
# Of a stream whose client went before its end (nginx).
CLIENT_LEFT: Final = 499

# Bodies up to this are translated where they are read; larger ones would stop the event loop.
QUICK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Work:
    """A request that is being answered: whose it is, and the turn that its answer is stored as."""

    request: Prepared
    context: Context
    owner: str
    turn: Turn | None
    size: int  # of its body, in bytes
    files: Sequence[Named] = ()  # that are to be sent along

    def render(self, answers: Sequence[Answer], *, signed: bool = False) -> Rendered:
        """Render; ``signed``: reasoning items carry what Gemini signed them with."""
        hints = self.request.hints
        if signed:
            hints = {**hints, "signatures": True}
        return ENDPOINTS[self.request.path].from_gemini(hints, answers, self.context)


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
        memory: ResponseMemory,
        *,
        files: UploadedFiles | None = None,
        background: BackgroundQueue | None = None,
        follower: Follower | None = None,
        budgets: Budgets | None = None,
        options: LiveOptions,
        meters: Meters = NO_METERS,
    ) -> None:
        self._upstream = upstream
        self._clock = clock
        self._policy = policy
        self._credentials = credentials
        self._options = options
        self._memory = memory
        self._files = files
        self._background = background
        self._follower = follower
        self._budgets = budgets
        self._meters = meters
        self._calls = Calls(upstream, options)
        self._places = Places(options)
        self._used: dict[str, int] = {}
        # What :meth:`end` ends: requests without an answer, and streams that have begun.
        self._waiting: set[asyncio.Task[Any]] = set()
        self._streams: set[LiveStream] = set()
        self._ended = False

    async def respond(self, asked: SingleRequest) -> Answered | Events:
        """Answer a request. Errors: GatewayError."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._waiting.add(task)
        try:
            return await self._respond(asked)
        except GatewayError as error:
            self._count(asked.path, error.status)
            raise
        except asyncio.CancelledError:
            if not self._ended:
                raise
            task.uncancel()
            raise StoppingError from None
        finally:
            self._waiting.discard(task)

    def end(self) -> None:
        """End what is still answered, each with an error in place of a connection that breaks."""
        self._ended = True
        for task in self._waiting:
            task.cancel()
        for stream in self._streams:
            stream.fail(StoppingError())

    async def _respond(self, asked: SingleRequest) -> Answered | Events:
        large = len(asked.body) > QUICK_BYTES
        body = await _call(parsed, asked, aside=large)
        if wants_background(asked, body):
            return await self._queued(asked, body)
        body, turn = await self._memory.begin(asked.path, body, asked.owner)
        request = await _call(prepare, asked.path, body, self._policy, aside=large)
        if turn is not None:
            hints = cast("AnswerHints", turn.repeats(request.hints))
            request = replace(request, hints=hints, identity=turn.identity)
        work = _Work(request, self._context(request), asked.owner, turn, len(asked.body))
        if request.files:
            work = replace(work, files=await self._named_files(asked.owner, request, body))
        return await (self._streamed(work) if request.stream else self._whole(work))

    async def _named_files(
        self, owner: str, request: Prepared, body: dict[str, Any]
    ) -> Sequence[Named]:
        if self._files is None:
            raise InternalError("Uploaded files are not served here.")
        return await self._files.find(owner, request.files, body)

    async def _with_files(self, work: _Work) -> _Work:
        """Write the files into the request, while it holds a place: until then they are not read.

        Errors: GatewayError.
        """
        if not work.files or self._files is None:
            return work
        data = await self._files.written(work.files)
        items = await asyncio.to_thread(inlined, work.request.items, data)
        return replace(work, request=replace(work.request, items=items))

    async def _queued(self, asked: SingleRequest, body: dict[str, Any]) -> Answered | Events:
        if self._background is None or self._follower is None:
            raise InternalError("Responses in the background are not served here.")
        response_id, answered = await self._background.take(asked, body)
        self._count(asked.path, answered.status)
        if not body.get("stream"):
            return answered
        return await self._follower.events(asked.owner, response_id) or answered

    async def _whole(self, work: _Work) -> Answered:
        began = self._clock.monotonic()
        async with self._spending(work) as spending, self._places.one(work.owner, work.size):
            request = (await self._with_files(work)).request
            with self._credential(work.owner) as credential:
                spending.sent()
                tier, answers = await self._answers(request, credential, spending)
            spending.answered(answers, half=tier == FLEX)
        failure = _first_refusal(answers)
        rendered = await self._rendered(work, answers)
        self._log(request, rendered[0], rendered[2], spending.dollars, began)
        if failure is not None:
            self._limited(failure.status)
        if failure is not None and rendered[0] >= 400:
            return Answered(rendered[0], rendered[1], failure.headers)
        return _shown(request, rendered, tier)

    async def _rendered(self, work: _Work, answers: Sequence[Answer]) -> Rendered:
        """Render the answer; one that is to be stored gets an id of ours and is stored first."""
        turn = work.turn
        if turn is not None:
            answers = [_named(answer, turn.identity) for answer in answers]
        rendered = work.render(answers)
        if turn is None or rendered[0] >= 400 or await self._kept(work, turn, answers, rendered):
            return rendered
        return _not_stored(rendered)

    async def _kept(
        self, work: _Work, turn: Turn, answers: Sequence[Answer], rendered: Rendered
    ) -> bool:
        """Store an answer, its items with what Gemini signed them with; whether that worked."""
        output = orjson.loads(work.render(answers, signed=True)[1])["output"]
        return await self._memory.keep(work.owner, turn, rendered[1], output)

    def _spending(self, work: _Work) -> AbstractAsyncContextManager[Spending]:
        """Count what a request may cost while it is answered, if its key has a budget."""
        if self._budgets is None:
            return nullcontext(Spending())
        half = work.request.flex and not self._options.flex_fallback
        return self._budgets.spending(work.owner, work.request, half=half)

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
        self, request: Prepared, credential: str, spending: Spending
    ) -> tuple[str | None, Sequence[dict[str, Any]]]:
        """Return the tier that served, and the answers. Errors: GatewayError of no answer."""
        try:
            if request.flex:
                return await self._flex_answers(request, credential)
            return None, [*map(dict, await self._calls.answers(request, credential))]
        except UpstreamError as error:
            failure = of_upstream(error)
            _forget_cost(request, spending, failure)
            raise failure from error

    async def _flex_answers(
        self, request: Prepared, credential: str
    ) -> tuple[str | None, Sequence[dict[str, Any]]]:
        """Try the flex tier while there is time, then the standard tier if that is allowed."""
        options = self._options
        end = self._clock.monotonic() + options.flex_seconds
        answers = [*map(dict, await self._calls.answers(request, credential, FLEX))]
        for pause in flex.pauses():
            if not flex.is_full(answers) or self._clock.monotonic() + pause >= end:
                break
            await self._clock.sleep(pause)
            answers = await self._again(request, credential, answers, FLEX)
        falls_back = flex.is_full(answers) or flex.is_unsupported(answers)
        if falls_back and options.flex_fallback:
            return None, await self._again(request, credential, answers, None)
        return FLEX if flex.served(answers) else None, answers

    async def _again(
        self,
        request: Prepared,
        credential: str,
        answers: Sequence[dict[str, Any]],
        tier: str | None,
    ) -> list[dict[str, Any]]:
        """Ask again for what failed, and for that alone: the other answers are paid for."""
        pairs = zip(request.items, answers, strict=True)
        failed = replace(request, items=[item for item, answer in pairs if "error" in answer])
        again = iter(await self._calls.answers(failed, credential, tier))
        return [dict(next(again)) if "error" in answer else answer for answer in answers]

    # --- streams ----------------------------------------------------------------------------

    async def _streamed(self, work: _Work) -> Answered | Events:
        """Return the stream once it has begun; what failed before is an answer."""
        stack, began = AsyncExitStack(), self._clock.monotonic()
        try:
            spending = await stack.enter_async_context(self._spending(work))
            await stack.enter_async_context(self._places.one(work.owner, work.size))
            work = await self._with_files(work)
            credential = stack.enter_context(self._credential(work.owner))
            spending.sent()
            try:
                stream = await self._begun(work, credential, stack)
            except GatewayError as error:
                _forget_cost(work.request, spending, error)
                raise
        except BaseException:
            await stack.aclose()
            raise
        if isinstance(stream, Answered):
            spending.cost = 0  # errors cost nothing
            await stack.aclose()
            self._refused(work.request.path, stream.status)
            return stream
        stack.push(partial(self._end_stream, work.request, stream, spending, began))
        self._streams.add(stream)
        stack.callback(self._streams.discard, stream)
        if work.turn is not None:
            stream.before_end = partial(self._keep_stream, stream, work, work.turn)
        return HeldEvents(_events(stream, stack), stack)

    def _end_stream(
        self,
        request: Prepared,
        stream: LiveStream,
        spending: Spending,
        began: float,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Count what a stream has used and cost, by the last that Gemini said of it.

        Also of one whose client left: what was served by then is paid.
        """
        answers = stream.answer.answers()
        spending.answered(answers, half=flex.served(answers))
        if stream.rendered is not None:
            status, _, usage, _ = stream.rendered
        else:
            defect = kind is not None and issubclass(kind, Exception)
            status = stream.failed or (InternalError.status if defect else CLIENT_LEFT)
            usage = stream.answer.used()
        self._log(request, status, usage, spending.dollars, began)

    async def _keep_stream(self, stream: LiveStream, work: _Work, turn: Turn) -> None:
        """Store what was streamed, before the event that says that it is complete."""
        rendered = stream.rendered
        if rendered is not None and rendered[0] < 400:
            await self._kept(work, turn, stream.answer.answers(), rendered)

    async def _begun(
        self, work: _Work, credential: str, stack: AsyncExitStack
    ) -> Answered | LiveStream:
        """Begin a stream; in the flex tier it is begun again while that is full."""
        end = self._clock.monotonic() + self._options.flex_seconds
        tier = FLEX if work.request.flex else None
        for pause in flex.pauses():
            stream = self._new_stream(work, credential, tier)
            stack.callback(stream.close)
            failure = await stream.begin()
            if failure is None:
                return stream
            stream.close()
            if tier is not None and flex.refuses_the_tier(failure) and self._options.flex_fallback:
                tier = None
                continue
            if tier is None or failure.status not in flex.FULL:
                return failure
            if self._clock.monotonic() + pause < end:
                await self._clock.sleep(pause)
            elif self._options.flex_fallback:
                tier = None
            else:
                return failure
        raise AssertionError("the pauses do not end")

    def _new_stream(self, work: _Work, credential: str, tier: str | None) -> LiveStream:
        request = work.request
        options = replace(request.stream or StreamOptions(), tier=tier or "default")
        new_answer = STREAMS[request.path]
        answer = new_answer(request.hints, work.context, len(request.items), options)
        answer.identity = request.identity
        calls = self._calls.streams(request, credential, tier)
        return LiveStream(self._upstream, calls, answer, self._options)

    def _log(
        self, request: Prepared, status: int, usage: Usage, dollars: float | None, began: float
    ) -> None:
        """Log what a request came to: never what was said."""
        took = self._clock.monotonic() - began
        self._count(request.path, status)
        self._meters.observe(Series.SINGLE_SECONDS, took, endpoint=request.path)
        for kind, number in zip(TOKEN_KINDS, usage, strict=True):
            labels = {"endpoint": request.path, "kind": kind, "model": request.model}
            self._meters.count(Series.SINGLE_TOKENS, number, **labels)
        if dollars:
            labels = {"endpoint": request.path, "model": request.model}
            self._meters.count(Series.SINGLE_COST, dollars, **labels)
        logger.info(
            "single request to %s: %s, status %d, %d tokens in, %d out, %s, %.0f ms",
            request.path,
            request.model,
            status,
            usage[0],
            usage[2],
            "cost unknown" if dollars is None else f"${dollars:.6f}",
            took * 1000,
        )

    def _refused(self, endpoint: str, status: int) -> None:
        self._count(endpoint, status)
        self._limited(status)

    def _limited(self, status: int) -> None:
        if status == TOO_MANY_REQUESTS:
            self._meters.count(Series.RATE_LIMITED, call="single")

    def _count(self, endpoint: str, status: int) -> None:
        self._meters.count(Series.SINGLE_REQUESTS, endpoint=endpoint, status=str(status))


async def _call(work: Callable[..., Given], *given: object, aside: bool) -> Given:
    """Call here, or in a thread what would stop the event loop for long."""
    return await asyncio.to_thread(work, *given) if aside else work(*given)


def _forget_cost(request: Prepared, spending: Spending, failure: GatewayError) -> None:
    """Count nothing for a call that was not served; of several, others may have been.

    What may be paid for is what an SDK is told not to send again by itself.
    """
    if len(request.items) == 1 and failure.is_retried:
        spending.cost = 0


async def _events(stream: LiveStream, stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    async with stack, aclosing(stream.events()) as events:
        async for event in events:
            yield event


def _named(answer: dict[str, Any], identity: str) -> dict[str, Any]:
    """Give an answer an id of the gateway's, by which it can be named."""
    response = answer.get("response")
    if not isinstance(response, dict):
        return answer
    return {**answer, "response": {**response, "responseId": identity}}


def _not_stored(rendered: Rendered) -> Rendered:
    status, body, usage, notes = rendered
    told = {**orjson.loads(body), "store": False}
    return status, orjson.dumps(told), usage, notes


def _first_refusal(answers: Sequence[Reply]) -> Answered | None:
    return next(filter(None, map(refused, answers)), None)


def _shown(request: Prepared, rendered: Rendered, tier: str | None) -> Answered:
    """Add what a batch tells in its warnings file, and the tier that served.

    An answer that comes to nothing may be paid for as well, and SDKs send a 5xx again.
    """
    status, body, _, notes = rendered
    told = noted.told((*request.notes, *notes))
    headers = {**noted.headers(told), **(NO_RETRY if status >= 500 else {})}
    if not told and tier is None:
        return Answered(status, body, headers)
    if status >= 400:
        return Answered(status, body, headers)
    answer = orjson.loads(body)
    if told:
        answer.setdefault("extra_content", {})["gateway"] = {"notes": told}
    if tier is not None:
        answer["service_tier"] = tier
    return Answered(status, orjson.dumps(answer), headers)
