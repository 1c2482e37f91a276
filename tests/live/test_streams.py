"""Streams as users reported them broken elsewhere, read by the SDK's own helpers.

``tests/data/live/streams.jsonl`` names for each the report, what Google sends, and what a client
must have accumulated in the end.
"""

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest

from gateway.live.options import LiveOptions
from gateway.ports.single import Answered, SingleRequest
from tests.api.world import RECORDED_BYTES
from tests.live.google import Script
from tests.live.world import Live, live_world

CASES = [
    orjson.loads(line)
    for line in (Path(__file__).parent.parent / "data" / "live" / "streams.jsonl")
    .read_bytes()
    .splitlines()
]
BY_ID = {case["id"]: case for case in CASES}
CHAT = [case for case in CASES if case["request"]["endpoint"] == "/v1/chat/completions"]
ANSWERED = [case for case in CHAT if "content" in (case.get("accumulated") or {})]
WHOLE = [case for case in ANSWERED if "error_event" not in case["accumulated"]]


def play(live: Live, case: dict[str, Any]) -> None:
    """Let Google answer what the case says."""
    if "pieces" in case:
        live.google.play_pieces(case["pieces"], status=case["status"], end=case["end"])
        return
    wire = case["wire"].encode()
    cuts = [0, *case.get("cuts", ()), len(wire)]
    blocks = [wire[start:end] for start, end in itertools.pairwise(cuts)]
    live.google.script = Script(blocks, case["status"])


async def chunks_of(live: Live, body: dict[str, Any]) -> list[Any]:
    """Every chunk of a streamed chat completion, parsed; ``[DONE]`` is checked and left out."""
    async with httpx.AsyncClient(headers={"authorization": "Bearer secret-a"}, timeout=60) as http:
        answer = await http.post(f"{live.url}/v1/chat/completions", json=body)
    events = [event for event in answer.text.split("\n\n") if event and not event.startswith(":")]
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    data = [event.removeprefix("data: ") for event in events]
    assert all(event.startswith("data: ") for event in events)
    if data[-1] == "[DONE]":
        return list(map(orjson.loads, data[:-1]))
    last = orjson.loads(data[-1])
    assert set(last) == {"error"}, "a stream ends with [DONE] or an error"
    return list(map(orjson.loads, data))


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: f"{case['id']} {case['source']}")
async def test_the_sdk_accumulates(case: dict[str, Any], tmp_path: Path) -> None:
    """What openai-python's stream helper has in the end is what the report's reader wanted."""
    wanted = case["accumulated"]
    body = case["request"]["body"]
    asked = {name: value for name, value in body.items() if name not in ("stream", "google")}
    extra_body = {name: body[name] for name in ("google",) if name in body}
    async with live_world(tmp_path) as live:
        play(live, case)
        async with live.client.chat.completions.stream(**asked, extra_body=extra_body) as stream:
            try:
                async for _ in stream:
                    pass
            except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                pass
            snapshot = stream.current_completion_snapshot
    [choice] = snapshot.choices
    message = choice.message
    if "content_contains" in wanted:
        assert all(text in (message.content or "") for text in wanted["content_contains"])
    else:
        assert (message.content or "") == (wanted["content"] or "")
    calls = [(one.function.name, one.function.arguments) for one in message.tool_calls or ()]
    assert calls == list(map(tuple, wanted["tool_calls"]))
    assert choice.finish_reason == wanted["finish_reason"]
    extra = message.model_dump()
    assert extra.get("reasoning_content") == wanted.get("reasoning_content")
    google = (extra.get("extra_content") or {}).get("google", {})
    if "content_contains" not in wanted:  # that one has a signature as its whole answer has
        assert google.get("thought_signature") == wanted.get("message_signature")
    assert len(extra.get("images") or ()) == wanted.get("images", 0)
    assert wanted.get("refusal_contains", "") in (message.refusal or "")
    if "annotations" in wanted:
        assert len(extra["annotations"]) == len(wanted["annotations"])
    if wanted["usage"] is None:
        assert snapshot.usage is None
        return
    usage = snapshot.usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    told = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens]
    assert [*told, usage.completion_tokens_details.reasoning_tokens] == wanted["usage"]


@pytest.mark.parametrize("case", CHAT, ids=lambda case: f"{case['id']} {case['source']}")
async def test_the_shape_of_chunks(case: dict[str, Any], tmp_path: Path) -> None:
    """One id, one finish of each choice, a choice in each chunk: what all readers need."""
    if case["end"] == "silence" or "http_status" in (case.get("accumulated") or {}):
        pytest.skip("it has no stream that ends")
    async with live_world(tmp_path) as live:
        play(live, case)
        chunks = await chunks_of(live, case["request"]["body"])
    failed = "error" in chunks[-1]
    shown = [chunk for chunk in chunks if "error" not in chunk]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in shown}) == 1
    with_usage = (case["request"]["body"].get("stream_options") or {}).get("include_usage")
    assert all(("usage" in chunk) == bool(with_usage) for chunk in shown)
    counted = [chunk for chunk in shown if not chunk["choices"]]
    assert counted == ([shown[-1]] if with_usage and not failed else [])
    choices = [chunk["choices"][0] for chunk in shown if chunk["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert not any("role" in choice["delta"] for choice in choices[1:])
    assert not any(choice["delta"].get("content") == "" for choice in choices[1:])
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert len(ends) == (0 if failed else 1)
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert [call["index"] for call in calls] == list(range(len(calls)))
    assert len({call["id"] for call in calls}) == len(calls)


@pytest.mark.parametrize("name", ["ls15", "ls18"])
async def test_what_fails_before_the_first_byte_has_its_status(name: str, tmp_path: Path) -> None:
    """The same status and envelope as without a stream, as JSON (LiteLLM#22793, #18756)."""
    case = BY_ID[name]
    body = case["request"]["body"]
    async with live_world(tmp_path) as live:
        play(live, case)
        with pytest.raises(openai.APIStatusError) as streamed:
            await live.client.chat.completions.create(**body)
        assert len(live.google.paths) == 1
        unary = {
            key: value for key, value in body.items() if key not in ("stream", "stream_options")
        }
        if "pieces" in case:
            live.google.play_json(case["pieces"][-1])
        with pytest.raises(openai.APIStatusError) as whole:
            await live.client.chat.completions.create(**unary)
    assert streamed.value.status_code == case["accumulated"]["http_status"]
    assert streamed.value.status_code == whole.value.status_code
    assert streamed.value.body == whole.value.body


@pytest.mark.parametrize("name", ["ls16", "ls17"])
async def test_what_breaks_off_ends_with_an_error(name: str, tmp_path: Path) -> None:
    """Never a made-up stop: the text that came, then an error that the SDK raises."""
    case = BY_ID[name]
    async with live_world(tmp_path) as live:
        play(live, case)
        text = ""
        stream = await live.client.chat.completions.create(**case["request"]["body"])
        with pytest.raises(openai.APIError) as failed:  # noqa: PT012 - it is read to its error
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                assert chunk.choices[0].finish_reason is None
    assert text == case["accumulated"]["content"]
    assert isinstance(failed.value.body, dict)
    assert failed.value.body["message"]
    assert failed.value.body["code"]


@pytest.mark.slow
async def test_silence_ends_with_an_error(tmp_path: Path) -> None:
    """Comments keep the line open, then the idle clock ends it, and Google's connection with it."""
    quick = LiveOptions(idle_seconds=1, keep_alive_seconds=0.1)
    async with live_world(tmp_path, quick) as live:
        play(live, BY_ID["ls25"])
        async with httpx.AsyncClient(
            headers={"authorization": "Bearer secret-a"}, timeout=60
        ) as http:
            answer = await http.post(
                f"{live.url}/v1/chat/completions",
                json=BY_ID["ls25"]["request"]["body"],
                timeout=60,
            )
        await asyncio.wait_for(live.google.left.wait(), 60)
    assert ": keep-alive\n\n" in answer.text
    assert '"content":"Wait"' in answer.text
    assert orjson.loads(answer.text.strip().rpartition("data: ")[2])["error"]["code"]
    assert "[DONE]" not in answer.text


async def test_a_client_that_leaves_stops_google(tmp_path: Path) -> None:
    """Its connection closes, and the place is free again (LiteLLM#30245: it ran on, billed)."""
    case = BY_ID["ls24"]
    options = LiveOptions(calls=1, queue_seconds=60)
    async with live_world(tmp_path, options) as live:
        live.google.play_pieces(case["pieces"][:2], end="silence")
        stream = await live.client.chat.completions.create(**case["request"]["body"])
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        await asyncio.wait_for(live.google.left.wait(), 60)
        live.google.play_pieces(BY_ID["ls09"]["pieces"])
        again = await live.client.chat.completions.create(**BY_ID["ls09"]["request"]["body"])
        assert [chunk async for chunk in again]


async def test_a_client_that_leaves_before_the_answer_stops_google(tmp_path: Path) -> None:
    """An answer that is not streamed is watched too: nobody would read it."""
    async with live_world(tmp_path) as live:
        live.google.script = Script(
            [b'{"candidates"'], end="silence", media_type=b"application/json"
        )
        asking = asyncio.ensure_future(
            live.client.chat.completions.create(
                model="gemini-3.5-flash", messages=[{"role": "user", "content": "hi"}]
            )
        )
        async with asyncio.timeout(60):
            await live.google.reached.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.wait_for(live.google.left.wait(), 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ls03", "ls23"])
async def test_the_sdk_accumulates_a_response(name: str, tmp_path: Path) -> None:
    """The events are in OpenAI's order, numbered without a gap, and add up to the last one."""
    case = BY_ID[name]
    wanted = case["accumulated"]
    body = {key: value for key, value in case["request"]["body"].items() if key != "stream"}
    events: list[Any] = []
    async with live_world(tmp_path) as live:
        play(live, case)
        async with live.client.responses.stream(**body) as stream:
            async for event in stream:
                events.append(event)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:2]] == ["response.created", "response.in_progress"]
    last = events[-1].response
    assert last.status == wanted["status"]
    assert [item.type for item in last.output] == wanted["output"]
    assert last.output_text == wanted["output_text"]
    added = {event.item.id: event for event in events if event.type == "response.output_item.added"}
    done = {event.item.id: event for event in events if event.type == "response.output_item.done"}
    assert list(added) == [item.id for item in last.output]
    assert added.keys() == done.keys()
    assert [event.output_index for event in added.values()] == list(range(len(added)))
    calls = [item for item in last.output if item.type == "function_call"]
    assert [[call.name, call.arguments] for call in calls] == wanted.get("calls", [])
    assert len({call.call_id for call in calls}) == len(calls)


async def test_a_response_that_breaks_off_fails(tmp_path: Path) -> None:
    """``error`` in both shapes, then ``response.failed``: clients wait for a last event."""
    body = {"model": "gemini-3.5-flash", "input": "go", "stream": True}
    async with live_world(tmp_path) as live:
        play(live, {**BY_ID["ls17"]})
        async with httpx.AsyncClient(
            headers={"authorization": "Bearer secret-a"}, timeout=60
        ) as http:
            answer = await http.post(f"{live.url}/v1/responses", json=body, timeout=60)
    events = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    assert names[-2:] == ["error", "response.failed"]
    error, last = (orjson.loads(data.removeprefix("data: ")) for _, data in events[-2:])
    assert error["message"] == error["error"]["message"]
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["code"] == "server_error"


@pytest.mark.parametrize("wanted", [{"stream": True}, {"stream_options": {"include_usage": True}}])
async def test_a_stream_of_vectors_is_refused(wanted: dict[str, Any], tmp_path: Path) -> None:
    """By its name, as in a batch; it was a 500."""
    async with live_world(tmp_path) as live:
        with pytest.raises(openai.BadRequestError) as refused:
            await live.client.embeddings.create(
                model="gemini-embedding-001", input="Hi", extra_body=wanted
            )
    assert refused.value.param == next(iter(wanted))
    assert live.google.paths == []


async def test_a_stream_that_is_never_read_ends(tmp_path: Path) -> None:
    """A client may leave in the moment in which its stream begins; its place never came back."""
    case = BY_ID["ls24"]
    async with live_world(tmp_path, LiveOptions(calls=1, queue_seconds=0)) as live:
        live.google.play_pieces(case["pieces"][:2], end="silence")
        body = orjson.dumps(case["request"]["body"])
        asked = SingleRequest("/v1/chat/completions", body, "a")
        begun = await live.service.respond(asked)
        assert not isinstance(begun, Answered)
        await begun.aclose()
        await asyncio.wait_for(live.google.left.wait(), 60)
        live.google.play_pieces(BY_ID["ls09"]["pieces"])
        again = await live.service.respond(asked)
        assert not isinstance(again, Answered)
        assert [block async for block in again]


async def test_a_conversation_has_an_end(tmp_path: Path) -> None:
    """Each turn is below the limit of bodies; all of them together are not."""
    part = {"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}
    async with live_world(tmp_path, most_bytes=4000) as live:
        live.google.play_json({"candidates": [part]})
        ask = live.client.responses.create
        first = await ask(model="gemini-3.5-flash", input="a" * 1000)
        text = "b" * 2000
        second = await ask(model="gemini-3.5-flash", input=text, previous_response_id=first.id)
        with pytest.raises(openai.BadRequestError, match="GATEWAY_SINGLE_MAX_BYTES") as refused:
            await ask(model="gemini-3.5-flash", input="c", previous_response_id=second.id)
        assert (await live.client.responses.retrieve(second.id)).output_text == "ok"
    assert refused.value.code == "context_length_exceeded"
    assert len(live.google.paths) == 2


@pytest.mark.parametrize("model", ["a/../b", "../files", "models/", "..", "x\r\ny", "m" * 9000])
async def test_a_model_that_is_no_name(model: str, tmp_path: Path) -> None:
    """It is a part of a path: Google was asked for another, and its 404 was a key's refusal."""
    messages: Any = [{"role": "user", "content": "hi"}]
    async with live_world(tmp_path) as live:
        with pytest.raises(openai.NotFoundError) as refused:
            await live.client.chat.completions.create(model=model, messages=messages)
    assert refused.value.code == "model_not_found"
    assert len(refused.value.message) < 500
    assert live.google.paths == []


@pytest.mark.parametrize("given", [5, None, ""])
async def test_an_item_whose_id_is_none(given: object, tmp_path: Path) -> None:
    """The list of an answer's input names each item by a text, which its pages go on from."""
    part = {"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}
    item: Any = {"id": given, "role": "user", "content": "x", "type": "message"}
    async with live_world(tmp_path) as live:
        live.google.play_json({"candidates": [part]})
        made = await live.client.responses.create(model="gemini-3.5-flash", input=[item, item])
        page = await live.client.responses.input_items.list(made.id, limit=1)
        ids: list[Any] = [found.id async for found in page]
    assert all(isinstance(name, str) and name for name in ids)
    assert len(set(ids)) == 2


def sweep_answer(root: Path) -> None:
    """Remove the text of the one answer that is stored, a row or a file."""
    with closing(sqlite3.connect(root / "data" / "gateway.db")) as records, records:
        rows = records.execute("DELETE FROM blob_contents").rowcount
    files = [path for path in (root / "blobs").rglob("*") if path.is_file()]
    for path in files:
        path.unlink()
    assert rows + len(files) == 1


@pytest.mark.parametrize("most", [0, RECORDED_BYTES])
async def test_an_answer_whose_text_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """It is swept as it is asked for: not there, as a moment later, and no 500."""
    monkeypatch.setattr("tests.api.world.RECORDED_BYTES", most)
    part = {"content": {"parts": [{"text": "ok"}]}, "finishReason": "STOP"}
    async with live_world(tmp_path) as live:
        live.google.play_json({"candidates": [part]})
        made = await live.client.responses.create(model="gemini-3.5-flash", input="a secret word")
        sweep_answer(tmp_path)
        with pytest.raises(openai.NotFoundError):
            await live.client.responses.retrieve(made.id)
        with pytest.raises(openai.BadRequestError) as refused:
            await live.client.responses.create(
                model="gemini-3.5-flash", input="b", previous_response_id=made.id
            )
    assert refused.value.code == "previous_response_not_found"
