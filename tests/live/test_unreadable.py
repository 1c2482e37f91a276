"""A success of Google's by its status that cannot be read: 502, what is known of it, and once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.batches.limits import BILLION, OwnerLimits
from gateway.live.budgets import Prices
from gateway.live.options import LiveOptions
from gateway.translate import price_of
from gateway.upstream import single_calls
from tests.live.google import Script
from tests.live.world import Live, live_world

KEY = {"authorization": "Bearer secret-a"}
MODEL = "gemini-3.5-flash"
CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": "Hi"}],
    "max_tokens": 1000,
}
IMAGE = {"image_url": "data:image/png;base64,iVBORw0KGgo="}
PICTURES = "gemini-3.1-flash-image"
ENDPOINTS: dict[str, dict[str, Any]] = {
    "chat/completions": CHAT,
    "chat/completions ": {**CHAT, "service_tier": "flex"},
    "completions": {"model": MODEL, "prompt": "Hi"},
    "completions ": {"model": MODEL, "prompt": ["Hi", "Ho"]},
    "responses": {"model": MODEL, "input": "Hi"},
    "embeddings": {"model": "gemini-embedding-001", "input": "Hi"},
    "embeddings ": {"model": "gemini-embedding-001", "input": ["Hi", "Ho"]},
    "images/generations": {"model": PICTURES, "prompt": "Hi"},
    "images/edits": {"model": PICTURES, "prompt": "Hi", "images": [IMAGE]},
}
PAGE = b"<!DOCTYPE html><title>A secret page</title>"
# What Google answers, and what is said of it.
NO_ANSWERS: list[tuple[Script, str]] = [
    (
        Script([], media_type=b"application/json"),
        "it is empty (status 200, application/json, 0 bytes)",
    ),
    (Script([b" \r\n"], 201), "it is empty (status 201, text/event-stream, 3 bytes)"),
    (
        Script([PAGE], media_type=b"text/html; charset=UTF-8"),
        f"it is not JSON (status 200, text/html, {len(PAGE)} bytes)",
    ),
    (
        Script([b'{"candidates":[{"content"'], media_type=b"application/json"),
        "it is not JSON (status 200, application/json, 25 bytes)",
    ),
    (
        Script([b'["secret"]'], media_type=b"AIzaSyD-not-a-real-key"),
        "it is no JSON object (status 200, a strange content type, 10 bytes)",
    ),
    (Script([b"7"], media_type=b""), "it is no JSON object (status 200, no content type, 1 bytes)"),
    (
        Script([b'{"a":' * 300 + b"1" + b"}" * 300], media_type=b"text/plain"),
        "it nests deeper than 200 levels (status 200, text/plain, 1801 bytes)",
    ),
    (
        Script([b'{"candidates"'], end="reset", media_type=b"application/json"),
        "it broke off after 13 bytes (status 200, application/json)",
    ),
]


def said(error: openai.APIStatusError) -> str:
    """The message of an answer that is told once and for all."""
    assert error.status_code == 502
    assert error.response.headers["x-should-retry"] == "false"
    assert isinstance(error.body, dict)
    assert (error.body["code"], error.body["type"]) == ("upstream_unreadable", "server_error")
    assert "did not answer" not in error.message
    assert "secret" not in error.message
    assert "AIza" not in error.message
    message: str = error.body["message"]
    return message


@pytest.mark.parametrize(("script", "words"), NO_ANSWERS, ids=[words for _, words in NO_ANSWERS])
async def test_what_the_sdk_raises_at_each_endpoint(
    tmp_path: Path, script: Script, words: str
) -> None:
    """It asks once, though it may try twice more: what Google made may be paid for."""
    async with live_world(tmp_path) as live:
        client = live.client.with_options(max_retries=2)
        live.google.script = script
        for path, body in ENDPOINTS.items():
            live.google.paths.clear()
            with pytest.raises(openai.InternalServerError) as failed:
                await client.post(f"/{path.strip()}", body=body, cast_to=object)
            assert said(failed.value) == (
                f"Google's answer cannot be read: {words}. It may be paid for."
            )
            assert len(live.google.paths) <= len(body.get("prompt", "x"))


async def test_a_declared_length_is_told(tmp_path: Path) -> None:
    """Of one that is cut."""
    async with live_world(tmp_path) as live:
        live.google.script = Script([b'{"a":1'], end="reset", declared=2000)
        with pytest.raises(openai.InternalServerError, match="after 6 of 2000 bytes") as failed:
            await live.client.chat.completions.create(**CHAT)
    assert said(failed.value)


async def test_one_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also an answer."""
    monkeypatch.setattr(single_calls, "JSON_BYTES", 1000)
    async with live_world(tmp_path) as live:
        live.google.play_json({"a": "x" * 2000})
        with pytest.raises(openai.InternalServerError, match="exceeds 1000 bytes") as failed:
            await live.client.chat.completions.create(**CHAT)
    assert said(failed.value)


async def budgeted(tmp_path: Path, script: Script, *, stream: bool) -> httpx.Response:
    """The answer to a second request that has room only if the first one cost nothing."""
    price = price_of(MODEL, "2026-11-29")
    assert price is not None
    most = 2 * 1000 * price.of(10)[1]
    limits = {"alice": OwnerLimits(usd_per_day=int(1.5 * most * BILLION))}
    async with (
        live_world(tmp_path, prices=Prices(limits=limits)) as live,
        httpx.AsyncClient(headers=KEY, timeout=60) as http,
    ):
        live.google.script = script
        url = f"{live.url}/v1/chat/completions"
        assert (await http.post(url, json={**CHAT, "stream": stream})).status_code >= 500
        return await http.post(url, json=CHAT)


@pytest.mark.parametrize("stream", [False, True])
async def test_it_counts_with_the_most_in_a_budget(tmp_path: Path, *, stream: bool) -> None:
    """As a lost answer does; it cost nothing, so that requests without end were paid."""
    answer = await budgeted(tmp_path, Script([PAGE]), stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "budget_exceeded")


GOOD = b'data: {"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]}\n\n'
END = b'data: {"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}\n\n'
NO_CONTENT = [
    b": ping\n\n",
    b"event: ping\n\n",
    b"data: {}\n\n",
    b'data: {"candidates":[{"content":{"parts":[{"text":"","thought":true}]},"index":0}]}\n\n',
    b'data: {"candidates":[],"usageMetadata":{"promptTokenCount":1}}\n\n',
]
BROKEN_STREAMS: list[tuple[Sequence[bytes], str, str]] = [
    ([], "eof", "it has no event (status 200, text/event-stream, 0 bytes)"),
    ([b": ping\n\n", b"data: [DONE]\n\n"], "eof", "it has no event"),
    ([b"event: error\n", b"reason: secret\n\n"], "eof", "it has no event"),
    (
        [PAGE],
        "eof",
        f"it holds an event that is not JSON (status 200, text/event-stream, {len(PAGE)}",
    ),
    ([b"data: {}x\n\n"], "eof", "it holds an event that is not JSON"),
    ([b'data: ["secret"]\n\n'], "eof", "it holds an event that is no JSON object"),
    ([b"data: {"], "reset", "it broke off after 7 bytes"),
]


async def streamed(
    live: Live, blocks: Sequence[bytes], end: str = "eof", pause: float = 0.0
) -> list[Any]:
    """Chunks that the SDK reads; what it raises is the last of them."""
    live.google.script = Script(blocks, end=end, pause=pause)
    chunks: list[Any] = []
    try:
        async for chunk in await live.client.chat.completions.create(**CHAT, stream=True):
            chunks += [choice.delta.content for choice in chunk.choices if choice.delta.content]
    except openai.APIError as error:
        chunks.append(error)
    return chunks


@pytest.mark.parametrize(("blocks", "end", "words"), BROKEN_STREAMS)
async def test_streams(tmp_path: Path, blocks: Sequence[bytes], end: str, words: str) -> None:
    """First it is the status; behind good pieces the SDK raises the same words."""
    async with live_world(tmp_path) as live:
        [first] = await streamed(live, blocks, end)
        assert isinstance(first, openai.InternalServerError)
        assert said(first).startswith(f"Google's answer cannot be read: {words}")
        if words.startswith("it has no event"):
            return
        text, later = await streamed(live, [GOOD, *blocks], end)
    assert text == "Hello"
    assert later.code == "upstream_unreadable"
    assert later.message.startswith(
        f"Google's answer cannot be read: {words.partition(' (')[0][:20]}"
    )


async def test_a_stream_that_stops_says_so(tmp_path: Path) -> None:
    """Google did answer, and then it did not go on: a lost answer."""
    async with live_world(tmp_path, LiveOptions(idle_seconds=0.2)) as live:
        text, later = await streamed(live, [GOOD], end="silence")
    assert text == "Hello"
    assert later.code == "upstream_timeout"
    assert f"stopped after {len(GOOD)} bytes: nothing came for 0.2 s." in later.message


@pytest.mark.parametrize("pause", [0.01, 0.0])
@pytest.mark.parametrize("block", NO_CONTENT)
async def test_a_stream_of_nothing_ends(tmp_path: Path, block: bytes, pause: float) -> None:
    """Comments and empty pieces are signs of life, and no answer; they held a call for ever."""
    options = LiveOptions(answer_seconds=0.5, idle_seconds=60)
    async with live_world(tmp_path, options) as live:
        for blocks, texts in (([block], []), ([GOOD, block], ["Hello"])):
            *told, error = await streamed(live, blocks, end="again", pause=pause)
            assert (told, error.code) == (texts, "upstream_timeout")
            assert "no content came for 0.5 s." in error.message
            await asyncio.wait_for(live.google.left.wait(), 60)
            live.google.left.clear()
        assert await streamed(live, [GOOD, END]) == ["Hello"]


async def test_pieces_with_content_come_for_longer(tmp_path: Path) -> None:
    """Each begins the clock anew, between comments too."""
    options = LiveOptions(answer_seconds=0.5, idle_seconds=60)
    async with live_world(tmp_path, options) as live:
        blocks = [b": ping\n\n", GOOD] * 20
        assert await streamed(live, [*blocks, END], pause=0.05) == ["Hello"] * 20


@pytest.mark.parametrize(
    "blocks",
    [
        [b"\xef\xbb\xbf", GOOD, END, b"data: [DONE]\n\n"],
        [b"\xef\xbb", b"\xbf" + GOOD[:9], GOOD[9:] + END],
        [(b": ping\n\nevent: message\nid: 1\nretry: 5\n" + GOOD + END).replace(b"\n", b"\r")],
        [GOOD.replace(b",", b",\r\ndata:").replace(b"{", b"{\r\ndata: ") + END],
        [GOOD, b": ping\r\n\r\n", END, b"data:[DONE]"],
    ],
    ids=["mark and DONE", "mark in pieces", "CR and fields", "lines of data", "DONE at the end"],
)
async def test_what_the_standard_allows_is_read(tmp_path: Path, blocks: Sequence[bytes]) -> None:
    """A byte order mark and [DONE] broke a stream off."""
    async with live_world(tmp_path) as live:
        assert await streamed(live, blocks) == ["Hello"]


async def test_done_is_the_end(tmp_path: Path) -> None:
    """A relay that holds the connection open is not waited for."""
    async with live_world(tmp_path) as live:
        assert await streamed(live, [GOOD, END, b"data: [DONE]\n\n"], end="silence") == ["Hello"]
        await live.google.left.wait()


@pytest.mark.parametrize("path", ["chat/completions", "completions", "responses", "embeddings"])
async def test_an_answer_of_nothing_is_asked_for_once(tmp_path: Path, path: str) -> None:
    """It may be paid for as well, at least its prompt."""
    async with live_world(tmp_path) as live:
        client = live.client.with_options(max_retries=2)
        live.google.play_json({})
        with pytest.raises(openai.InternalServerError) as failed:
            await client.post(f"/{path}", body=ENDPOINTS[path], cast_to=object)
        assert failed.value.response.headers["x-should-retry"] == "false"
        assert isinstance(failed.value.body, dict)
        assert failed.value.body["code"] in {"empty_response", "invalid_response"}
        assert len(live.google.paths) == 1


async def test_notes_are_told_with_an_answer_of_nothing(tmp_path: Path) -> None:
    """What was changed of a request may be why nothing came."""
    async with live_world(tmp_path) as live:
        live.google.play_json({})
        with pytest.raises(openai.InternalServerError) as failed:
            await live.client.chat.completions.create(
                model=MODEL, messages=CHAT["messages"], max_tokens=10_000_000
            )
        headers = failed.value.response.headers
        assert headers["x-should-retry"] == "false"
        assert "max_tokens" in headers["x-gateway-notes"]
