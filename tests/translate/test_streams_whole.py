"""Every answer of the tables, streamed: the chunks add up to the whole answer's rendering."""

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.translate import ENDPOINTS, STREAMS, Context, Policy, Rendered, StreamOptions
from gateway.translate.streams.stream import CUT_OFF
from tests.every import every
from tests.translate.cases import load
from tests.translate.running import CONTEXT, told

STREAM_CUT = CUT_OFF.rendered()


def _is_streamed(case: dict[str, Any]) -> bool:
    """Whether the case is of an endpoint with pieces, and all of its calls were answered."""
    if case["endpoint"] not in ("/v1/chat/completions", "/v1/responses"):
        return False
    return all(
        answer.keys() == {"response"}
        and isinstance(answer["response"], dict)
        and _tells_candidates_apart(answer["response"])
        for answer in case["gemini"]
    )


def _tells_candidates_apart(response: dict[str, Any]) -> bool:
    """Pieces of candidates without an index of their own cannot be told apart."""
    candidates = response.get("candidates")
    found = candidates if isinstance(candidates, list) else ()
    indexes = [one.get("index", 0) for one in found if isinstance(one, dict)]
    return len(set(indexes)) == len(indexes)


# A stream has no parts to count: segments there count the whole text (recorded).
BY_PART = "grounding: partIndex behind words of several bytes"
STREAMED = [
    pytest.param(case.values[1], id=case.id)
    for case in load("answers")
    if _is_streamed(case.values[1]) and case.id != BY_PART
]


def pieces(response: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Cut an answer as Google streams it: a part in each piece, texts in two, the end last."""
    candidates = response.get("candidates")
    if not isinstance(candidates, list) or not all(isinstance(one, dict) for one in candidates):
        yield response
        return
    for candidate in candidates:
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        rest = {name: value for name, value in candidate.items() if name != "content"}
        for part in parts if isinstance(parts, list) else ():
            for cut in _cut(part):
                piece = {"content": {"parts": [cut]}, "index": rest.get("index", 0)}
                yield {**_shell(response), "candidates": [piece]}
        yield {**response, "candidates": [rest]}
    if not candidates:
        yield response


def _shell(response: dict[str, Any]) -> dict[str, Any]:
    return {name: response[name] for name in ("responseId", "modelVersion") if name in response}


def _cut(part: Any) -> list[Any]:
    if isinstance(part, dict) and part.keys() <= {"text", "thought"}:
        text = part.get("text")
        if isinstance(text, str) and len(text) > 1:
            return [{**part, "text": text[:1]}, {**part, "text": text[1:]}]
    return [part]


def accumulated(events: list[bytes]) -> dict[int, dict[str, Any]]:
    """Add chunks up as a client does: texts joined, calls by index, the rest as it is."""
    choices: dict[int, dict[str, Any]] = {}
    for event in events:
        data = event.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            continue
        for choice in orjson.loads(data)["choices"]:
            known = choices.setdefault(choice["index"], {"message": {}})
            for name, value in choice["delta"].items():
                _extend(known["message"], name, value)
            known["finish_reason"] = choice["finish_reason"]
            if choice["logprobs"] is not None:
                known["logprobs"] = choice["logprobs"]
    return choices


def _extend(message: dict[str, Any], name: str, value: Any) -> None:
    if name in ("content", "reasoning_content"):
        message[name] = (message.get(name) or "") + (value or "")
    elif name in ("tool_calls", "images"):
        own = [{key: item[key] for key in item if key != "index"} for item in value]
        message[name] = [*message.get(name, []), *own]
    elif value is not None:
        message[name] = value


def streamed(case: dict[str, Any], hints: Any, context: Context) -> tuple[list[bytes], Rendered]:
    """The events of a case's answer, and what it is rendered to as a whole."""
    items = case["gemini"]
    options = StreamOptions()
    stream = STREAMS[case["endpoint"]](hints, context, len(items), options)
    written: list[bytes] = []
    for number, answer in enumerate(items):
        for piece in pieces(answer["response"]):
            stream.add(number, piece)
            if stream.has_output():
                written += [] if stream.opened else stream.open()
                written += stream.news()
    rendered = stream.whole()
    written += stream.finish(rendered)
    return [block for block in b"".join(written).split(b"\n\n") if block], rendered


@every("case", STREAMED, group=lambda row: row.id.partition(":")[0])
def test_a_stream_adds_up_to_the_whole_answer(case: dict[str, Any]) -> None:
    """Same texts, calls, media, citations, signatures and ends, whatever the answer holds."""
    policy = Policy.from_json(case.get("policy", {}))
    context = CONTEXT._replace(policy=policy)
    hints = told(case["endpoint"], case, policy)
    whole = ENDPOINTS[case["endpoint"]].from_gemini(hints, copy.deepcopy(case["gemini"]), context)
    events, rendered = streamed(case, hints, context)
    if rendered[0] == STREAM_CUT[0] and rendered[1] == STREAM_CUT[1]:
        assert not any(map(_has_end, case["gemini"])), "an answer that has an end is not cut off"
        return
    assert rendered[0] == whole[0], (rendered[1], whole[1])
    if whole[0] >= 400:
        assert orjson.loads(rendered[1]) == orjson.loads(whole[1])
        return
    if case["endpoint"] == "/v1/responses":
        _same_response(events, orjson.loads(whole[1]))
    else:
        _same_choices(events, orjson.loads(whole[1]))


def _has_end(answer: dict[str, Any]) -> bool:
    candidates = answer["response"].get("candidates")
    first = candidates[0] if isinstance(candidates, list) and candidates else None
    return isinstance(first, dict) and bool(first.get("finishReason"))


def _same_choices(events: list[bytes], body: dict[str, Any]) -> None:
    choices = accumulated(events)
    for choice in body["choices"]:
        found = choices[choice["index"]]
        assert found["finish_reason"] == choice["finish_reason"]
        wanted = {name: value for name, value in choice["message"].items() if value is not None}
        message = {name: value for name, value in found["message"].items() if value != ""}
        assert message == {name: value for name, value in wanted.items() if value != ""}
        assert found.get("logprobs") == choice["logprobs"]


def _same_response(events: list[bytes], body: dict[str, Any]) -> None:
    told = [orjson.loads(event.partition(b"data: ")[2]) for event in events]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    last = told[-1]["response"]
    assert last["output"] == body["output"]
    assert last["status"] == body["status"]
    texts: dict[str, str] = {}
    for event in told:
        if event["type"].endswith("output_text.delta"):
            texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
    added = [event["item"]["id"] for event in told if event["type"].endswith("item.added")]
    done = [event["item"]["id"] for event in told if event["type"].endswith("item.done")]
    assert sorted(added) == sorted(done) == sorted(item["id"] for item in last["output"])
    assert len(set(added)) == len(added)
    for item in last["output"]:
        if item["type"] == "message" and item["content"][0]["type"] == "output_text":
            assert texts.get(item["id"], "") == item["content"][0]["text"]
