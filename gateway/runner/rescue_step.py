"""The step that asks for the items of a job one by one, near the deadline of its batch.

Each call has a row before it is sent and its answer after, so that none is sent twice: a call whose
answer is lost, with a connection or with this process, may be paid for, and its line is given up.
An HTTP error is no service and costs nothing (Google's billing page), so it may be tried again.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.batches.batch import Batch
from gateway.batches.job import Cause, Failure, Job, JobState
from gateway.batches.lifecycle import is_filled, moved, recalling, stop_reason
from gateway.batches.pacing import LONGEST_PAUSE
from gateway.batches.patience import is_doubtful, with_reason
from gateway.batches.rescue import FIRST_PAUSE, FLEX, Rate
from gateway.errors import (
    UnavailableError,
    UpstreamAmbiguousError,
    UpstreamHeldError,
    UpstreamUnavailableError,
    UpstreamUnreadableError,
)
from gateway.ports.single import Reply, SingleCall
from gateway.ports.store import BlobChange, RescueBegin, RescueCall, Seal
from gateway.runner.context import JobClaim, StepContext, describe, job_label
from gateway.runner.cpu.collect import date_of
from gateway.runner.cpu.recut import spooled
from gateway.runner.fill_step import put_together
from gateway.runner.mending import LOST
from gateway.translate import answer_cost, most_cost, price_of
from gateway.units import counted
from gateway.wire.gemini import SINGLE_METHODS, parse_error, with_tier

logger = logging.getLogger(__name__)

CALL_SECONDS: Final = 600.0  # "at least 10 minutes" (page "Flex inference")
LOOK_SECONDS: Final = 1.0  # how often a cancel is looked for, at least
SERVER_ERROR: Final = 500
SERVER_ERRORS: Final = 3  # how often a call that ends so is sent before its line gets the error
BAD_REQUEST: Final = 400
TOO_MANY: Final = 429
FULL: Final = frozenset({TOO_MANY, 503})
TRIED_AGAIN: Final = 1000  # ms
HELD: Final = 60_000  # ms until a key that was refused is tried again
_KEY: Final = b'{"key":"'
_REQUEST: Final = b'","request":'
ANSWERS_AT_ONCE: Final = 100
STANDARD_FACTOR: Final = 2  # the standard tier costs twice what a batch does, as flex does
# The most that a model of any generation answers with, for a line that sets no limit of its own.
MOST_TOKENS: Final = 65_536
# The budget that seems spent may be reserved for calls of other jobs: it is looked at again (ms).
SETTLED: Final = 60_000

ANSWER_LOST: Final = (
    "The answer of a synchronous call near the end of the window was lost. The call may be paid for"
    " and was not sent again; send the request again if you need it."
)
NO_ROOM: Final = "Google has no room for more synchronous calls now"
NO_TIER: Final = "the model has no flex tier: its lines end with the window"
NO_PRICE: Final = (
    "the price of the model is not known, so that GATEWAY_RESCUE_BUDGET_USD cannot be kept to"
)
BUDGET_SPENT: Final = "the rest would exceed GATEWAY_RESCUE_BUDGET_USD"
UNDER_WAY: Final = "lines that were left near the deadline are asked one by one"


@dataclass(frozen=True, slots=True)
class _Halt:
    """Why no more calls are sent for now; ``pause`` in ms."""

    said: str
    pause: int = LONGEST_PAUSE


async def rescue(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Ask for what was not asked for yet; the results become raw ones when all is done."""
    if claim.row.state is not JobState.RESCUING:  # it was never sent, and never will be
        unsent = moved(claim.row, JobState.RESCUING, cause=Cause.RESCUE)
        await claim.save(unsent, keep=True)
        logger.info("%s: never sent, its lines are asked one by one", job_label(unsent))
    job = claim.row
    lost = await context.store.lose_rescue_calls(job)
    if lost:
        calls = counted(lost, "call")
        logger.error("%s: %s without an answer may be paid for", job_label(job), calls)
    halt: _Halt | None = _Halt(job.last_error or UNDER_WAY)
    if stop_reason(batch, context.clock.now()) is None:
        if job.files and not is_filled(job, context.clock.now()):
            await _put_together(context, batch, claim)
            return
        halt = await _ask_for_all(context, batch, claim)
    if halt is None:
        await _secure(context, claim, None if job.bytes else LOST)
        return
    now = context.clock.now()
    reason = stop_reason(await context.store.load_batch(batch.id) or batch, now)
    if reason is None:
        due = min(now + halt.pause, batch.expires_at)
        await claim.save(replace(claim.row, due_at=due, last_error=halt.said, failures=0))
    else:
        await _secure(context, claim, with_reason(recalling(reason, job), halt.said))


async def _put_together(context: StepContext, batch: Batch, claim: JobClaim) -> None:
    """Write copies of files that its lines name into what is asked, as for a job that is sent."""
    failure = await put_together(context, batch, claim)
    if failure is not None:  # some may have been asked before their copies grew too old
        await _secure(context, claim, failure)


async def _ask_for_all(context: StepContext, batch: Batch, claim: JobClaim) -> _Halt | None:
    """Send what was not sent yet; None when nothing is left to send."""
    job = claim.row
    if job.last_error != UNDER_WAY:
        await claim.save(replace(job, last_error=UNDER_WAY), keep=True)
    async with context.workplace() as place:
        await context.copy_to(job.outgoing[0], place / "spool")
        work = await context.store.load_work(batch.id)
        before = [each for each in (work.jobs if work else ()) if each.id == job.follows]
        calls = _Calls(context, batch, claim, twice=any(map(is_doubtful, before)))
        return await calls.run(place / "spool", await context.store.rescue_keys(job.id))


class _Calls:
    """The calls for one job, as many at a time as their credential's rate allows.

    With ``twice``, its predecessor may serve the lines all the same: each counts once more.
    """

    def __init__(self, context: StepContext, batch: Batch, claim: JobClaim, *, twice: bool) -> None:
        job = claim.row
        if context.single is None:
            raise LookupError("the upstream takes no single calls")
        self._context = context
        self._single = context.single
        self._batch = batch
        self._job = job
        self._stopping = claim.stopping
        self._rules = context.options.rescue
        self._rate = context.rates.setdefault(job.credential, Rate(self._rules.spend))
        self._price = price_of(job.model, date_of(context.clock.now() // 1000))
        self._dear = 1 if self._rules.tier == FLEX else STANDARD_FACTOR
        self._twice = int(twice)
        self._under_way: set[asyncio.Task[None]] = set()
        self._halt: _Halt | None = None
        self._looks_at = 0.0
        self._unpriced = False
        self._open = 0  # calls for which some of the budget is reserved
        self._settled = asyncio.Event()

    async def run(self, spool: Path, sent: frozenset[str]) -> _Halt | None:
        """Send what is not among ``sent``; why not all, if so. No call is cut off by another."""
        async with asyncio.TaskGroup() as group:
            for key, request in _items(spool):
                if key in sent:
                    continue
                if not await self._has_room():
                    break
                task = group.create_task(self._one(key, request))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        return self._halt or (_Halt(NO_PRICE) if self._unpriced else None)

    async def _has_room(self) -> bool:
        """Wait until one more call may be under way; False when none may for now."""
        while self._halt is None:
            pause = self._rate.pause(self._context.clock.monotonic())
            if pause:
                self._halt = _Halt(NO_ROOM, int(pause * 1000) + 1)
            await self._look_for_a_stop()
            if self._halt is None and self._rate.room(len(self._under_way)):
                return True
            if self._under_way:
                await asyncio.wait(
                    self._under_way, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
        return False

    def _is_stopped(self) -> bool:
        """Whether the process ends, and no more calls are sent; what is under way is heard."""
        if self._stopping():
            self._halt = self._halt or _Halt(UNDER_WAY, 0)
        return self._stopping()

    async def _look_for_a_stop(self, *, at_once: bool = False) -> None:
        """Look now and then whether the batch was cancelled, or its window or the process ends."""
        if self._is_stopped():
            return
        now = self._context.clock.monotonic()
        if now < self._looks_at and not at_once:
            return
        self._looks_at = now + LOOK_SECONDS
        try:
            batch = await self._context.store.load_batch(self._batch.id)
        except UnavailableError as error:  # what is under way is not cut off: it is paid for
            self._halt = self._halt or _Halt(error.message, TRIED_AGAIN)
            return
        if batch is None or stop_reason(batch, self._context.clock.now()) is not None:
            self._halt = _Halt(UNDER_WAY, 0)

    async def _one(self, key: str, request: bytes) -> None:
        """Ask for one item, again after errors of the server, which cost nothing."""
        for attempt in range(SERVER_ERRORS):
            if not await self._begins(key, request):
                return
            reply = await self._ask(key, request)
            if reply is None:
                return
            failed = int(reply.get("error", {}).get("code") or 0) >= SERVER_ERROR
            if not failed or attempt + 1 == SERVER_ERRORS:
                await self._keep(key, reply)
                return
            await self._withdraw(key)
            await self._context.clock.sleep(FIRST_PAUSE * 2.0**attempt)
            await self._look_for_a_stop(at_once=True)
            if self._halt is not None:
                return

    async def _begins(self, key: str, request: bytes) -> bool:
        """Whether the row of a call is there, so that it may be sent."""
        if self._is_stopped():
            return False
        reserved = most_cost([request], self._price, MOST_TOKENS, media=True)
        if reserved is None:
            self._unpriced = True
            return False
        most = reserved * (self._dear + self._twice)
        begun = await self._begun(key, most)
        while begun is RescueBegin.BEYOND_BUDGET and self._open:
            # What is reserved for a file is a hundred times what it costs, mostly.
            begun = await self._begun_later(key, most)
        if begun is RescueBegin.BEYOND_BUDGET:
            self._halt = self._halt or _Halt(BUDGET_SPENT, SETTLED)
        self._open += begun is RescueBegin.BEGUN
        return begun is RescueBegin.BEGUN

    async def _begun_later(self, key: str, most: int) -> RescueBegin | None:
        """Insert the row of a call when another has been settled; None if no more may be sent."""
        await self._settled.wait()
        # Each call that has waited looks by itself: the answer to another's look is still awaited.
        await self._look_for_a_stop(at_once=True)
        return None if self._halt is not None else await self._begun(key, most)

    async def _begun(self, key: str, most: int) -> RescueBegin | None:
        """Insert the row of a call; None while the records cannot be written."""
        call = RescueCall(key, most, self._context.clock.now())
        try:
            return await self._context.store.begin_rescue_call(self._job, call, self._rules.budget)
        except UnavailableError as error:
            self._halt = _Halt(error.message, TRIED_AGAIN)
            return None

    def _is_settled(self) -> None:
        """Let those go on that wait for the budget of a call which is not under way any more."""
        self._open -= 1
        self._settled.set()
        self._settled = asyncio.Event()

    async def _ask(self, key: str, request: bytes) -> Reply | None:
        """Send a call; None when its item is not answered, and may or may not be asked again."""
        try:
            reply = await self._single.ask(self._call(request))
        except UpstreamHeldError as error:
            await self._withdraw(key, _Halt(describe(error), HELD))
        except (UpstreamAmbiguousError, UpstreamUnreadableError) as error:
            await self._lose(key, error)
        except UpstreamUnavailableError as error:
            if error.status:
                await self._lose(key, error)
            else:
                await self._withdraw(key, self._full())
        else:
            return await self._taken(key, reply)
        return None

    async def _taken(self, key: str, reply: Reply) -> Reply | None:
        """Return what is an answer, or an error of the item's own."""
        refusal = reply.get("error")
        if not isinstance(refusal, dict):
            return {"response": reply}
        status, message = refusal.get("code"), str(refusal.get("message"))
        if status in FULL:
            await self._withdraw(key, self._full(refusal))
        elif status == BAD_REQUEST and "tier" in message.lower():
            await self._withdraw(key, _Halt(NO_TIER))
        else:
            return reply
        return None

    def _call(self, request: bytes) -> SingleCall:
        method = SINGLE_METHODS[self._job.method]
        body = with_tier(request, self._rules.tier)
        left = (self._batch.expires_at - self._context.clock.now()) / 1000
        seconds = min(CALL_SECONDS, max(left, 0) + self._context.options.patience.ending / 1000)
        return SingleCall(self._job.model, method, body, self._job.credential, seconds, seconds)

    def _full(self, refusal: Mapping[str, Any] | None = None) -> _Halt:
        told = parse_error(refusal)
        now = self._context.clock.monotonic()
        spent = refusal is not None and refusal.get("code") == TOO_MANY
        self._rate.full(now, told.retry_delay if told else None, spent=spent)
        return _Halt(NO_ROOM, int(self._rate.pause(now) * 1000) + 1)

    async def _keep(self, key: str, reply: Reply) -> None:
        """Put an answer on the disk, however long that takes: it is paid for."""
        cost = self._cost(reply)
        text = orjson.dumps({"key": key, **reply}).decode()
        await _insist(lambda: self._context.store.answer_rescue_call(self._job, key, text, cost))
        self._is_settled()

    def _cost(self, reply: Reply) -> int | None:
        """Price an answer: by the tier that served, which is not always the one asked for."""
        cost = answer_cost(dict(reply), self._price)
        usage = reply.get("response", {}).get("usageMetadata")
        tier = usage.get("serviceTier") if isinstance(usage, dict) else None
        dear = 1 if tier == FLEX else STANDARD_FACTOR
        self._rate.answered(self._context.clock.monotonic(), (cost or 0) * dear)
        return None if cost is None else cost * (dear + self._twice)

    async def _withdraw(self, key: str, halt: _Halt | None = None) -> None:
        self._halt = self._halt or halt
        await _insist(lambda: self._context.store.withdraw_rescue_call(self._job, key))
        self._is_settled()

    async def _lose(self, key: str, error: Exception) -> None:
        logger.error("%s: an answer is lost: %s", job_label(self._job), describe(error))
        await _insist(lambda: self._context.store.lose_rescue_calls(self._job, key))
        self._is_settled()


async def _insist(write: Callable[[], Awaitable[object]]) -> None:
    """Write what came of a call, however long the records cannot be written."""
    while True:
        try:
            await asyncio.shield(write())
        except UnavailableError:
            await asyncio.sleep(TRIED_AGAIN / 1000)
        else:
            return


def _items(spool: Path) -> Iterator[tuple[str, bytes]]:
    """Yield key and request of every item of a spool, as they were written."""
    for _, _, text in spooled(spool):
        key = text[len(_KEY) : text.index(b'"', len(_KEY))].decode()
        start = len(_KEY) + len(key) + len(_REQUEST)
        yield key, text.rstrip()[start:-1]


async def _secure(context: StepContext, claim: JobClaim, failure: Failure | None) -> None:
    """Write the answers as raw results; ``failure`` is for lines that have none."""
    size, digest, cost = 0, hashlib.sha256(), 0
    async with context.unplaced_blob() as blob:
        async for line, spent in _results(context, claim.row):
            cost += spent
            size += len(line)
            digest.update(line)
            await blob.write(line)
    now, raw = context.clock.now(), blob.name
    job = moved(claim.row, JobState.SECURED, raw=raw, failure=failure, cost=cost, ended_at=now)
    seal = Seal(size, digest.hexdigest(), blob.content)
    await claim.save(job, blobs=BlobChange(live=[raw], seals={raw: seal}))


async def _results(context: StepContext, job: Job) -> AsyncIterator[tuple[bytes, int]]:
    """Yield the lines of results, and what each cost; of a lost one, that it is lost."""
    after = ""
    while some := await context.store.rescue_answers(job.id, after, ANSWERS_AT_ONCE):
        for each in some:
            lost = orjson.dumps({"key": each.key, "error": {"code": 500, "message": ANSWER_LOST}})
            line = lost if each.answer is None else each.answer.encode()
            yield line + b"\n", each.cost or 0
        after = some[-1].key
