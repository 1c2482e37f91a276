"""Streams that no Google should send: an error that says so, or an answer; never a hang."""

import copy
import random  # noqa: TID251 - seeded
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest

from gateway.translate import STREAMS, Policy, StreamOptions
from gateway.upstream import single_calls
from tests.live.google import Script
from tests.live.world import Live, live_world
from tests.translate.cases import load
from tests.translate.running import CONTEXT, told
from tests.translate.test_streams_whole import pieces

ASK: dict[str, Any] = {
    "model": "gemini-3.8-flash",
    "messages": [{"role": "user", "content": "Hi"}],
}
GOOD = b'data: {"candidates":[{"content":{"parts":[{"text":"Hello"}]}}]}\r\n\r\n'
END = b'data: {"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}\r\n\r\n'
DEEP = b'{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":%b}}]}}]}'


def nested(depth: int) -> bytes:
    """Arguments of so many levels."""
    arguments = b'{"a":' * depth + b"1" + b"}" * depth
    return b"data: %b\r\n\r\n" % (DEEP % arguments)


async def streamed(live: Live, blocks: Sequence[bytes], end: str = "eof") -> httpx.Response:
    """The answer to a stream that Google plays so."""
    live.google.script = Script(blocks, end=end)
    async with httpx.AsyncClient(headers={"authorization": "Bearer secret-a"}, timeout=60) as http:
        return await http.post(f"{live.url}/v1/chat/completions", json={**ASK, "stream": True})


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"data: {\r\n\r\n", "not JSON"),
        (b"data: [1]\r\n\r\n", "no JSON object"),
        # Whether brackets that stay open are too deep or too few is the interpreter's to say first.
        (b"data: " + b"[" * 5000 + b"\r\n\r\n", "cannot be read: it"),
        (nested(300), "nests deeper"),
        (nested(1200), "nests deeper"),
        (b'data: {"error":{"code":503,"message":"Busy"}}\r\n\r\n', "Busy"),
    ],
    ids=["cut", "list", "brackets", "deep", "deeper", "error"],
)
async def test_what_breaks_a_stream_off(tmp_path: Path, block: bytes, words: str) -> None:
    """First it has an HTTP status; behind good pieces it is an error event, and the last."""
    async with live_world(tmp_path) as live:
        first = await streamed(live, [block, GOOD, END])
        assert first.status_code >= 500
        assert words in first.json()["error"]["message"]
        later = await streamed(live, [GOOD, block, GOOD, END])
    assert later.status_code == 200
    last = later.text.strip().split("\n\n")[-1]
    assert words in orjson.loads(last.removeprefix("data: "))["error"]["message"]


async def test_a_stream_without_end_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one of pieces that say nothing: its answer would be held for ever."""
    monkeypatch.setattr(single_calls, "STREAM_BYTES", 100_000)
    async with live_world(tmp_path) as live:
        for block in (GOOD, b"data: {}\r\n\r\n"):
            answer = await streamed(live, [GOOD, *[block] * 1000], end="silence")
            assert "too long" in answer.text.strip().split("\n\n")[-1]
            await live.google.left.wait()
            live.google.left.clear()


async def test_half_an_emoji_is_no_end(tmp_path: Path) -> None:
    """At a token limit: in a stream and in a whole answer, as in a batch."""
    half = GOOD.replace(b"Hello", b"Hi \\ud83d")
    async with live_world(tmp_path) as live:
        answer = await streamed(live, [half, END])
        live.google.script = Script([half[6:-4]], media_type=b"application/json")
        whole = await live.client.chat.completions.create(**ASK)
    assert "Hi \ufffd" in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    assert whole.choices[0].message.content == "Hi \ufffd"


async def test_characters_are_cut_anywhere(tmp_path: Path) -> None:
    """Network reads know nothing of characters, nor of events."""
    wire = GOOD.replace(b"Hello", "é\u2028😀".encode()) + END
    async with live_world(tmp_path) as live:
        answer = await streamed(live, [wire[at : at + 1] for at in range(len(wire))])
    chunks = [orjson.loads(event[6:]) for event in answer.text.split("\n\n")[:-2]]
    said = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(said) == "é\u2028😀"


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", nested(300)[6:-4], b'{"candidates":7}'])
async def test_whole_answers_that_are_none(tmp_path: Path, answer: bytes) -> None:
    """An error with a sentence, and no defect of ours."""
    async with live_world(tmp_path) as live:
        live.google.script = Script([answer], media_type=b"application/json")
        with pytest.raises(openai.InternalServerError) as failed:
            await live.client.chat.completions.create(**ASK)
    assert "had an error while" not in failed.value.message


ODD: list[Any] = [None, True, 0, -1, 1.5, "", "x", "STOP", [], {}, [None], [[]], {"a": 1}]
ODD += [{"text": 5}, {"parts": None}, {"functionCall": None}, {"functionCall": {"name": None}}]
NAMES = ("index", "finishReason", "text", "thoughtSignature", "usageMetadata", "serviceTier")
CASES = [
    row.values[1]
    for row in load("answers")
    if row.values[1]["endpoint"] in STREAMS
    and all(isinstance(answer.get("response"), dict) for answer in row.values[1]["gemini"])
]


def spoil(value: Any, chance: random.Random) -> None:
    """Change something, somewhere inside."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(value[key], dict | list) and chance.random() < 0.8:
        spoil(value[key], chance)
    elif isinstance(value, dict) and chance.random() < 0.3:
        value[chance.choice(NAMES)] = copy.deepcopy(chance.choice(ODD))
    else:
        value[key] = copy.deepcopy(chance.choice(ODD))


def write(case: dict[str, Any], chance: random.Random) -> None:
    """Write the events of a spoilt answer."""
    policy = Policy.from_json(case.get("policy", {}))
    hints = told(case["endpoint"], case, policy)
    count = len(case["gemini"])
    context = CONTEXT._replace(policy=policy)
    stream = STREAMS[case["endpoint"]](hints, context, count, StreamOptions(usage=True))
    answers = copy.deepcopy(case["gemini"])
    spoilt = [(at, one) for at, each in enumerate(answers) for one in pieces(each["response"])]
    for _, piece in spoilt:
        if chance.random() < 0.5:
            spoil(piece, chance)
    if chance.random() < 0.3:
        chance.shuffle(spoilt)
    written: list[bytes] = []
    for item, piece in spoilt:
        if stream.add(item, piece) and not stream.opened:
            stream.opened = True
            written += stream.open()
        if stream.opened:
            written += stream.news()
    rendered = stream.whole()
    if stream.opened or rendered[0] < 400:
        written += [] if stream.opened else stream.open()
        written += [*stream.news(), *stream.finish(rendered)]
    assert all(block.decode() for block in written)


def test_spoilt_pieces_never_break_a_stream() -> None:
    """Pieces with odd values, missing, twice, in another order: an end in any case."""
    chance = random.Random(15)
    for _ in range(400):
        write(chance.choice(CASES), chance)
