"""Requests of several calls: so many at a time, whether answered whole or streamed."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.live.options import FAN_OUT
from tests.live.world import live_world

WORDS = {
    "candidates": [{"content": {"parts": [{"text": "yes"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
PROMPTS = [f"prompt {number}" for number in range(3 * FAN_OUT)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_the_calls_of_one_request_are_bounded(tmp_path: Path, *, stream: bool) -> None:
    """An array of prompts opened a connection for each while its answer was streamed."""
    async with live_world(tmp_path) as live:
        live.google.together = FAN_OUT
        if stream:
            live.google.play_pieces([WORDS])
        else:
            live.google.play_json(WORDS)
        asked: Any = {"model": "gemini-3.5-flash", "prompt": PROMPTS, "stream": stream}
        answer = await live.client.post("/completions", body=asked, cast_to=object)
    assert live.google.most == FAN_OUT
    assert len(live.google.bodies) == len(PROMPTS)
    texts = [orjson.dumps(body).decode() for body in live.google.bodies]
    assert all(any(f'{prompt}"' in text for text in texts) for prompt in PROMPTS)
    assert answer
