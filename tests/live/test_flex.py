"""The flex tier: tried again while it is full, and each answer paid for once."""

from collections.abc import AsyncGenerator
from pathlib import Path

import openai
import orjson
import pytest

from gateway.live.memory import ResponseMemory
from gateway.live.options import LiveOptions
from gateway.live.service import SingleRequestService
from gateway.ports.single import Answered, Reply, SingleCall, SingleRequest
from gateway.translate import Policy
from tests.api.world import TestClock, new_world
from tests.live.world import live_world

FULL: Reply = {"error": {"code": 503, "message": "The model is overloaded.", "status": "X"}}
BODY = {"model": "gemini-3.5-flash", "messages": [{"role": "user", "content": "hi"}]}


class HurriedClock(TestClock):
    """Pauses take no time, and are counted."""

    slept = 0.0

    async def sleep(self, seconds: float) -> None:
        """Count it."""
        self.slept += seconds

    def monotonic(self) -> float:
        """Seconds that were slept."""
        return self.slept


class Upstream:
    """Gives the answers of a script, and remembers which tier was asked."""

    def __init__(self, *script: Reply) -> None:
        self.script = list(script)
        self.tiers: list[str | None] = []

    async def ask(self, call: SingleCall) -> Reply:
        """Give the next answer."""
        self.tiers.append(orjson.loads(call.body).get("serviceTier"))
        return self.script.pop(0)

    def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """None of these is streamed."""
        raise AssertionError(call)


def answer(text: str) -> Reply:
    """One choice."""
    part = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return {"candidates": [part], "usageMetadata": {"serviceTier": "flex"}}


async def asked(root: Path, upstream: Upstream, options: LiveOptions) -> Answered:
    """Two choices of the flex tier."""
    async with new_world(root) as world:
        clock = HurriedClock()
        memory = ResponseMemory(world.store, world.blobs, clock, 0)
        credentials = {"default": "k"}
        service = SingleRequestService(
            upstream, clock, Policy(), credentials, memory, options=options
        )
        body = orjson.dumps({**BODY, "n": 2, "service_tier": "flex"})
        answered = await service.respond(SingleRequest("/v1/chat/completions", body, "a"))
        assert isinstance(answered, Answered)
        return answered


@pytest.mark.parametrize("fallback", [False, True])
async def test_a_choice_that_was_answered_is_not_asked_again(
    fallback: bool, tmp_path: Path
) -> None:
    """One of two found room: it was paid for a second time with the other."""
    upstream = Upstream(answer("one"), FULL, answer("two"))
    options = LiveOptions(flex_seconds=0 if fallback else 60, flex_fallback=fallback)
    answered = await asked(tmp_path, upstream, options)
    choices = orjson.loads(answered.body)["choices"]
    assert [choice["message"]["content"] for choice in choices] == ["one", "two"]
    assert len(upstream.tiers) == 3
    assert (upstream.tiers[2] == upstream.tiers[1]) == (not fallback)


@pytest.mark.parametrize("given", ["one", ["one"], ["one", "two"]])
async def test_vectors_have_no_tier(given: str | list[str], tmp_path: Path) -> None:
    """It is ignored there; a single one was sent with it, which Google refuses with 400."""
    async with live_world(tmp_path) as live:
        vectors = [{"values": [1.0]}, {"values": [1.0]}]
        live.google.play_json({"embedding": vectors[0], "embeddings": vectors})
        made = await live.client.embeddings.create(
            model="gemini-embedding-001", input=given, extra_body={"service_tier": "flex"}
        )
    assert len(made.data) == (2 if len(given) == 2 else 1)
    assert "serviceTier" not in live.google.bodies[0]


REFUSED = "Service tier flex is not supported for model models/gemini-3.5-flash."


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_without_the_tier(stream: bool, tmp_path: Path) -> None:
    """Streamed or whole, the standard tier answers where that is allowed, else the 400 does."""
    refusal = {"error": {"code": 400, "message": REFUSED, "status": "INVALID_ARGUMENT"}}
    body = orjson.dumps({**BODY, "service_tier": "flex", "stream": stream})
    request = SingleRequest("/v1/chat/completions", body, "a")
    for fallback in (False, True):
        async with new_world(tmp_path / str(fallback)) as world:
            upstream = Streaming(refusal, answer("hi"))
            memory = ResponseMemory(world.store, world.blobs, world.clock, 0)
            options = LiveOptions(flex_fallback=fallback)
            service = SingleRequestService(
                upstream, world.clock, Policy(), {"default": "k"}, memory, options=options
            )
            answered = await service.respond(request)
            if isinstance(answered, Answered):
                status, text = answered.status, answered.body
            else:
                status, text = 200, b"".join([event async for event in answered])
        assert (status, b"hi" in text) == ((200, True) if fallback else (400, False))
        assert upstream.tiers == (["flex", None] if fallback else ["flex"])


class Streaming(Upstream):
    """The same, streamed: each answer is one piece."""

    async def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """Yield the next answer."""
        yield await self.ask(call)


@pytest.mark.parametrize(("served", "told"), [("flex", "flex"), ("standard", "default")])
async def test_the_end_of_a_stream_names_the_tier_that_served(
    served: str, told: str, tmp_path: Path
) -> None:
    """Google says so in its last piece alone; the chunks before name what was asked for."""
    text = {"content": {"parts": [{"text": "hi"}]}, "index": 0}
    pieces = [
        {"candidates": [text]},
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"serviceTier": served}},
    ]
    async with live_world(tmp_path) as live:
        live.google.play_pieces(pieces)
        chunks = [
            chunk.service_tier
            async for chunk in await live.client.chat.completions.create(
                model="gemini-3.5-flash",
                messages=[{"role": "user", "content": "hi"}],
                service_tier="flex",
                stream=True,
            )
        ]
        assert chunks[0] == "flex"
        assert chunks[-1] == told
        async with live.client.responses.stream(
            model="gemini-3.5-flash", input="hi", service_tier="flex"
        ) as events:
            assert (await events.get_final_response()).service_tier == told


async def test_a_lost_answer_is_not_asked_for_again(tmp_path: Path) -> None:
    """It may be paid for: the SDK sends it once, though it would try a 504 twice more."""
    async with live_world(tmp_path) as live:
        live.google.play_pieces([], end="nothing")
        client = live.client.with_options(max_retries=2)
        with pytest.raises(openai.InternalServerError) as lost:
            await client.chat.completions.create(
                model="gemini-3.5-flash", messages=[{"role": "user", "content": "hi"}]
            )
    assert lost.value.status_code == 504
    assert lost.value.response.headers["x-should-retry"] == "false"
    assert len(live.google.paths) == 1
