"""What single requests cost: counted and logged, whole, streamed, and left by their clients."""

import asyncio
import logging
from collections import defaultdict
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from gateway.ports.metrics import Series
from gateway.ports.single import Answered, SingleRequest
from gateway.translate import price_of
from tests.live.world import live_world

MODEL = "gemini-3.5-flash"
USAGE = {"promptTokenCount": 1000, "candidatesTokenCount": 400, "thoughtsTokenCount": 100}
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


def piece(text: str, **more: Any) -> dict[str, Any]:
    """A piece of an answer, with what was used so far."""
    candidate = {"content": {"parts": [{"text": text}]}, "index": 0, **more}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": MODEL}


class Counted:
    """Meters that keep sums by series and, of counters, by one label's value."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = defaultdict(float)

    def count(self, series: Series, amount: float = 1, **labels: str) -> None:
        """Add."""
        kind = labels.get("status") or labels.get("kind") or ""
        self.sums[f"{series.name} {kind}".strip()] += amount

    def observe(self, series: Series, value: float, **labels: str) -> None:
        """Forget it."""


def standard() -> float:
    """Dollars of the usage above in the standard tier: twice those of a batch."""
    price = price_of(MODEL, "2026-11-29")
    assert price is not None
    rates = price.of(1000)
    return 2 * (1000 * rates[0] + 500 * rates[1])


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines about single requests."""
    return [text for text in caplog.messages if text.startswith("single request")]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_costs_the_standard_price(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """Twice a batch's, streamed or whole."""
    meters = Counted()
    with caplog.at_level(logging.INFO):
        async with live_world(tmp_path, meters=meters) as live:
            whole = piece("An answer.", finishReason="STOP")
            (live.google.play_pieces([whole]) if stream else live.google.play_json(whole))
            answered: Any = await live.client.chat.completions.create(**CHAT, stream=stream)
            if stream:
                assert [chunk async for chunk in answered]
    assert meters.sums["SINGLE_COST"] == pytest.approx(standard())
    assert meters.sums["SINGLE_REQUESTS 200"] == 1
    [line] = logged(caplog)
    assert f"1000 tokens in, 500 out, ${standard():.6f}" in line


async def test_the_flex_tier_costs_half(tmp_path: Path) -> None:
    """What Google says that it served decides."""
    meters = Counted()
    async with live_world(tmp_path, meters=meters) as live:
        whole = piece("An answer.", finishReason="STOP")
        live.google.play_json({**whole, "usageMetadata": {**USAGE, "serviceTier": "flex"}})
        await live.client.chat.completions.create(**CHAT, service_tier="flex")
    assert meters.sums["SINGLE_COST"] == pytest.approx(standard() / 2)


@pytest.mark.parametrize("read", [False, True])
async def test_a_stream_that_its_client_leaves_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, read: bool
) -> None:
    """With status 499 and what Google had told; it was in no log and no metric."""
    meters = Counted()
    with caplog.at_level(logging.INFO):
        async with live_world(tmp_path, meters=meters) as live:
            live.google.play_pieces([piece("An answer")], end="silence")
            body = orjson.dumps({**CHAT, "stream": True})
            begun = await live.service.respond(SingleRequest("/v1/chat/completions", body, "a"))
            assert not isinstance(begun, Answered)
            if read:
                await anext(aiter(begun))
            await begun.aclose()
            await begun.aclose()
            await asyncio.wait_for(live.google.left.wait(), 60)
    assert meters.sums["SINGLE_REQUESTS 499"] == 1
    assert meters.sums["SINGLE_TOKENS output"] == 500
    assert meters.sums["SINGLE_COST"] == pytest.approx(standard())
    [line] = logged(caplog)
    assert "status 499, 1000 tokens in, 500 out, $" in line


async def test_a_stream_that_breaks_off_has_the_status_of_its_error(tmp_path: Path) -> None:
    """As its last event says."""
    meters = Counted()
    async with live_world(tmp_path, meters=meters) as live:
        live.google.play_pieces([piece("An answer")], end="reset")
        stream = await live.client.chat.completions.create(**CHAT, stream=True)
        with pytest.raises(openai.APIError):
            assert [chunk async for chunk in stream]
    assert [name for name in meters.sums if name.startswith("SINGLE_REQUESTS 5")]
    assert meters.sums["SINGLE_COST"] == pytest.approx(standard())


async def test_a_cost_that_is_not_known_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Never a guess."""
    meters = Counted()
    with caplog.at_level(logging.INFO):
        async with live_world(tmp_path, meters=meters) as live:
            live.google.play_json(piece("An answer.", finishReason="STOP"))
            await live.client.chat.completions.create(**{**CHAT, "model": "gemini-9-nova"})
    assert "SINGLE_COST" not in meters.sums
    assert "cost unknown" in logged(caplog)[0]
