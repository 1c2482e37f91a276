"""The upstream calls of one request: its items sent, within limits, and put together again."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from gateway.errors import UpstreamError
from gateway.live.options import FAN_OUT, LiveOptions
from gateway.live.prepare import FLEX, Prepared
from gateway.ports.single import Reply, SingleCall, SingleUpstream
from gateway.wire.gemini import (
    EMBED_CONTENT,
    EMBED_SEVERAL_METHOD,
    MOST_EMBEDDINGS,
    SINGLE_METHODS,
    STREAM_METHOD,
    with_tier,
)


class Calls:
    """Makes the calls of a request under one credential."""

    def __init__(self, upstream: SingleUpstream, options: LiveOptions) -> None:
        self._upstream = upstream
        self._options = options

    async def answers(
        self, request: Prepared, credential: str, tier: str | None = None
    ) -> Sequence[Reply]:
        """Return the answer to each item, ``{"response": …}`` or ``{"error": …}``, in order.

        Errors: ``Upstream*`` errors of calls that got no answer.
        """
        if request.method == EMBED_CONTENT and len(request.items) > 1:
            return await self._embeddings(request, credential)
        places = asyncio.Semaphore(FAN_OUT)

        async def one(item: bytes) -> Reply:
            async with places:
                call = self.call(request, SINGLE_METHODS[request.method], item, credential, tier)
                return _answer(await self._upstream.ask(call))

        return await _together([one(item) for item in request.items])

    def call(
        self, request: Prepared, method: str, item: bytes, credential: str, tier: str | None
    ) -> SingleCall:
        """Make a call of an item."""
        options = self._options
        seconds = options.flex_seconds if tier == FLEX else options.answer_seconds
        idle = max(options.idle_seconds, seconds) if tier == FLEX else options.idle_seconds
        body = item if tier is None else with_tier(item, tier)
        return SingleCall(request.model, method, body, credential, seconds, idle)

    def streams(
        self, request: Prepared, credential: str, tier: str | None = None
    ) -> Sequence[SingleCall]:
        """Make the calls that stream each item's answer."""
        return [self.call(request, STREAM_METHOD, item, credential, tier) for item in request.items]

    async def _embeddings(self, request: Prepared, credential: str) -> Sequence[Reply]:
        """Send an array in as few calls as Google takes; each request there names its model."""
        model = b'{"model":%b,' % orjson.dumps(f"models/{request.model}")
        chunks = [
            request.items[start : start + MOST_EMBEDDINGS]
            for start in range(0, len(request.items), MOST_EMBEDDINGS)
        ]
        places = asyncio.Semaphore(FAN_OUT)

        async def several(items: Sequence[bytes]) -> Sequence[Reply]:
            body = b'{"requests":[%b]}' % b",".join([model + item[1:] for item in items])
            async with places:
                call = self.call(request, EMBED_SEVERAL_METHOD, body, credential, None)
                return _embedded(await self._upstream.ask(call), len(items))

        answers = await _together([several(items) for items in chunks])
        return [answer for chunk in answers for answer in chunk]


async def _together(works: Sequence[Any]) -> Sequence[Any]:
    """Run them side by side; the first error ends the others, whose answers have no use."""
    if len(works) == 1:
        return [await works[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except* UpstreamError as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


def _answer(reply: Reply) -> Reply:
    """Give a reply the form of a batch's result."""
    return reply if reply.keys() == {"error"} else {"response": reply}


def _embedded(reply: Reply, asked: int) -> Sequence[Reply]:
    """Split the answer to several embeddings, which counts the tokens of all together."""
    if reply.keys() == {"error"}:
        return [reply] * asked
    found = reply.get("embeddings")
    vectors: list[Any] = found if isinstance(found, list) else []
    usage = {name: reply[name] for name in ("usageMetadata",) if name in reply}
    none_used = {"usageMetadata": {"promptTokenCount": 0}} if usage else {}
    return [
        {
            "response": {
                "embedding": vectors[place] if place < len(vectors) else None,
                **(none_used if place else usage),
            }
        }
        for place in range(asked)
    ]
