"""Every event of the tables of streams: in its order, with its members, at its time.

The tables hold what the stream of each endpoint is for pieces as Gemini sends them; that this is
what OpenAI's readers take is judged by the types of OpenAI's SDK.
"""

from typing import Any, Final

import orjson
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletionChunk
from openai.types.image_edit_completed_event import ImageEditCompletedEvent
from openai.types.image_gen_completed_event import ImageGenCompletedEvent
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.translate import STREAMS, Policy, StreamOptions, replayed
from gateway.translate.streams.pieces import MergedAnswer, joined
from gateway.translate.streams.stream import CUT_OFF, envelope_of
from tests.every import every
from tests.translate.cases import concept_of, load
from tests.translate.running import CONTEXT
from tests.translate.stream_cases import events_of, played, used_of

CASES: Final = load("streams")
_TYPES: Final[dict[str, Any]] = {
    "/v1/chat/completions": TypeAdapter(ChatCompletionChunk),
    "/v1/completions": TypeAdapter(Completion),
    "/v1/images/generations": TypeAdapter(ImageGenCompletedEvent),
    "/v1/images/edits": TypeAdapter(ImageEditCompletedEvent),
}
# Members of a Response that all lines repeat from their requests: here they are left out.
_EVENT: Final[TypeAdapter[Any]] = TypeAdapter(ResponseStreamEvent)
_REPEATED: Final = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


@every("concept, case", CASES, group=concept_of)
def test_the_events_of_a_stream(concept: str, case: dict[str, Any]) -> None:
    """Exactly these, and the tokens that are counted."""
    assert concept
    assert events_of(case["endpoint"], case) == case["events"]
    assert list(used_of(case["endpoint"], case)) == case["used"]


@every("concept, case", CASES, group=concept_of)
def test_events_are_of_the_types_of_the_sdk(concept: str, case: dict[str, Any]) -> None:
    """Each by itself; an error is none of them."""
    assert concept
    for block in played(case["endpoint"], case)[1].split(b"\n\n")[:-1]:
        data = block.rpartition(b"data: ")[2]
        if data == b"[DONE]" or data.startswith(b'{"error"'):
            continue
        if b'"type":"custom","custom"' in data:  # the type of a chunk has functions only
            continue
        event = orjson.loads(data)
        if case["endpoint"] == "/v1/completions":
            for choice in event["choices"]:  # the type has whole completions only
                choice["finish_reason"] = choice["finish_reason"] or "stop"
        if case["endpoint"] != "/v1/responses":
            _TYPES[case["endpoint"]].validate_python(event)
        elif event["type"] != "error":
            if "response" in event:
                event["response"] |= _REPEATED
            _EVENT.validate_python(event)


def test_a_stream_is_opened_when_it_may_go_well() -> None:
    """A piece that ends its answer without output may be a failure, which has its own status."""
    stream = STREAMS["/v1/chat/completions"]({"model": "m"}, CONTEXT, 1, StreamOptions())
    assert stream.add(0, {"candidates": [{"content": {"parts": []}}]}) is True
    assert stream.add(0, {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}) is False
    assert stream.add(0, {"candidates": [{"content": {"parts": [{"text": "Hi"}]}}]}) is True
    assert not stream.opened
    assert stream.whole()[0] == 200


@pytest.mark.parametrize("path", sorted(STREAMS))
def test_a_stream_that_was_never_opened_is_sent_whole(path: str) -> None:
    """What was never announced comes with the end."""
    hints: Any = {"model": "m", "repeats": '"store":true}'}
    parts = [{"text": "Hi"}]
    if "images" in path:
        parts = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]  # type: ignore[dict-item]
    piece = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}
    one, other = (STREAMS[path](hints, CONTEXT, 1, StreamOptions()) for _ in range(2))
    assert one.add(0, piece) is ("images" not in path)
    other.add(0, piece)
    opened = [*other.open(), *other.news(), *other.finish(other.whole())]
    assert other.opened
    assert list(one.finish(one.whole())) == opened
    assert one.opened


@pytest.mark.parametrize(
    ("tiers", "told"),
    [
        (["flex", "flex"], "flex"),
        (["flex", "standard"], "default"),
        (["flex", None], "auto"),
        ([None, None], "auto"),
    ],
)
def test_the_tier_that_served_is_told_where_all_items_say_it(
    tiers: list[str | None], told: str
) -> None:
    """In place of the one that was asked for."""
    options = StreamOptions(tier="auto")
    stream = STREAMS["/v1/chat/completions"]({"model": "m"}, CONTEXT, 2, options)
    for item, tier in enumerate(tiers):
        usage = {} if tier is None else {"usageMetadata": {"serviceTier": tier}}
        candidate = {"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}
        stream.add(item, {"candidates": [candidate], **usage})
    stream.whole()
    assert stream.options == StreamOptions(tier=told)


def text_of(text: str, **members: Any) -> dict[str, Any]:
    """A candidate of one text."""
    return {"content": {"parts": [{"text": text}]}, **members}


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        ([{}], {}),
        ([{"candidates": []}, {"promptFeedback": {"a": 1}}], {"promptFeedback": {"a": 1}}),
        (
            [
                {"responseId": "a", "usageMetadata": {"a": 1}},
                {"responseId": "b", "modelVersion": "m"},
            ],
            {"responseId": "a", "modelVersion": "m", "usageMetadata": {"a": 1}},
        ),
        (
            [{"candidates": [text_of("b", index=1)]}, {"candidates": [text_of("a")]}],
            {
                "candidates": [
                    {"index": 0, "content": {"role": "model", "parts": [{"text": "a"}]}},
                    {"index": 1, "content": {"role": "model", "parts": [{"text": "b"}]}},
                ]
            },
        ),
    ],
)
def test_pieces_are_put_together(pieces: list[dict[str, Any]], whole: dict[str, Any]) -> None:
    """As the answer that is not streamed has them: the first id, the last counts."""
    merged = MergedAnswer()
    for piece in pieces:
        list(merged.add(piece))
    assert merged.response() == whole
    assert merged.finished() is False


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], []),
        ([{"text": "a"}], [{"text": "a"}]),
        ([{"text": "a"}, {"text": "b"}], [{"text": "ab"}]),
        (
            [{"text": "a", "thought": True}, {"text": "b", "thought": True}, {"text": "c"}],
            [{"text": "ab", "thought": True}, {"text": "c"}],
        ),
        (
            [{"text": "a", "thought": False}, {"text": "b", "thought": False}, {"text": "c"}],
            [{"text": "ab", "thought": False}, {"text": "c"}],
        ),
        (
            [{"text": "a"}, {"text": "b", "thoughtSignature": "U2ln"}, {"text": "c"}],
            [{"text": "a"}, {"text": "b", "thoughtSignature": "U2ln"}, {"text": "c"}],
        ),
        (
            [{"text": "a", "thoughtSignature": "x"}, {"text": "b", "thoughtSignature": "x"}],
            [{"text": "a", "thoughtSignature": "x"}, {"text": "b", "thoughtSignature": "x"}],
        ),
        (
            [7, {"functionCall": {}}, {"text": 7}, {"text": "a"}, {"text": "b"}, "c"],
            [7, {"functionCall": {}}, {"text": 7}, {"text": "ab"}, "c"],
        ),
    ],
)
def test_neighbouring_texts_of_one_kind_are_one(parts: list[Any], whole: list[Any]) -> None:
    """A signature belongs to its own part."""
    assert joined(parts) == whole
    merged = MergedAnswer()
    for part in parts:
        assert list(merged.add({"candidates": [{"content": {"parts": [part]}}]})) == [(0, [part])]
    list(merged.add({"candidates": [{"finishReason": "STOP"}]}))
    [candidate] = merged.response()["candidates"]
    assert candidate["content"]["parts"] == whole
    assert merged.finished() is True


def test_all_items_of_a_stream_are_answers_under_one_id() -> None:
    """That of the first piece, or one of the line."""
    stream = STREAMS["/v1/chat/completions"]({"model": "m"}, CONTEXT, 2, StreamOptions())
    stream.add(1, {"responseId": "r-1", "usageMetadata": {"promptTokenCount": 1}})
    stream.add(0, {"responseId": "r-2"})
    assert stream.answers() == [
        {"response": {"responseId": "r-1"}},
        {"response": {"responseId": "r-1", "usageMetadata": {"promptTokenCount": 1}}},
    ]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_a_stream_may_be_opened_before_the_first_piece(path: str) -> None:
    """A slow answer: its id is the line's, its model the one that was asked for."""
    hints: Any = {"model": "m", "repeats": '"store":true}'}
    stream = STREAMS[path](hints, CONTEXT, 1, StreamOptions())
    first = orjson.loads(next(iter(stream.open())).rpartition(b"data: ")[2])
    told = first.get("response", first)
    stream.add(0, {"responseId": "r-1", "modelVersion": "x", "candidates": [text_of("Hi")]})
    assert told["model"] == stream.model == "m"
    assert told["id"].partition("_" if "response" in first else "-")[2] == stream.identity
    assert len(stream.identity) == 32


def test_a_failure_of_any_status_is_an_error() -> None:
    """400 is one, too."""
    context = CONTEXT._replace(policy=Policy(blocked_prompt="error"))
    stream = STREAMS["/v1/chat/completions"]({"model": "m"}, context, 1, StreamOptions())
    stream.add(0, {"promptFeedback": {"blockReason": "SAFETY"}})
    rendered = stream.whole()
    assert rendered[0] == 400
    assert list(stream.finish(rendered)) == [b"data: %b\n\n" % rendered[1]]


def test_a_stream_that_was_cut_off_is_a_failure_of_upstream() -> None:
    """With its envelope."""
    stream = STREAMS["/v1/chat/completions"]({"model": "m"}, CONTEXT, 1, StreamOptions())
    assert stream.whole() == CUT_OFF.rendered()
    assert stream.whole()[1] == envelope_of(CUT_OFF)
    error = orjson.loads(envelope_of(CUT_OFF))["error"]
    assert error["code"] == "stream_interrupted"
    assert error["message"] == "Gemini's stream ended before the answer did; send it again."
    assert CUT_OFF.status == 502


@pytest.mark.parametrize(
    ("status", "last"),
    [
        ("completed", "completed"),
        ("incomplete", "incomplete"),
        ("failed", "failed"),
        ("cancelled", "failed"),
    ],
)
def test_a_response_that_has_ended_is_replayed(status: str, last: str) -> None:
    """Each item whole, then the Response as it is; the SDKs know no event of a cancelled one."""
    reasoning = {"id": "rs_1", "type": "reasoning", "summary": []}
    cited = {"type": "url_citation", "url": "https://a.example/"}
    content = [{"type": "output_text", "annotations": [cited], "logprobs": [{}], "text": "Hi"}]
    message = {"id": "msg_1", "type": "message", "status": "completed", "content": content}
    unknown = {"id": "x_1", "type": "unheard_of", "status": "completed"}
    response = {"id": "resp_1", "status": status, "output": [reasoning, message, unknown]}
    events = list(replayed(response, 3))
    told = [orjson.loads(event.partition(b"data: ")[2]) for _, event in events]
    assert [number for number, _ in events] == list(range(3, 15))
    assert [event["sequence_number"] for event in told] == list(range(3, 15))
    assert [event["type"].removeprefix("response.") for event in told] == [
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        last,
    ]
    assert [event["item"] for event in told if event["type"].endswith("item.done")] == [
        reasoning,
        message,
        unknown,
    ]
    assert told[3]["part"] == {**content[0], "annotations": [], "logprobs": [], "text": ""}
    assert told[-3]["item"] == {**unknown, "status": "in_progress"}
    assert told[-1]["response"] == response


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_each_piece_is_shown_when_it_has_come(path: str) -> None:
    """Not with the next one, nor at the end."""
    hints: Any = {"model": "m", "repeats": '"store":true}', "one_call": True}
    stream = STREAMS[path](hints, CONTEXT, 1, StreamOptions())
    call = {"functionCall": {"name": "f"}}
    shown = []
    for parts in ([{"text": "a"}], [{"text": "b"}], [call, call, {"text": "c"}], [{"text": "d"}]):
        stream.add(0, {"candidates": [{"content": {"parts": parts}}]})
        if not stream.opened:
            list(stream.open())
        written = b"".join(stream.news()).decode()
        shown.append([text for text in "abcd" if f'"{text}"' in written])
    assert shown == [["a"], ["b"], ["c"], ["d"]]


def test_a_response_that_failed_has_no_tier() -> None:
    """Its body is an error's."""
    context = CONTEXT._replace(policy=Policy(blocked_prompt="error"))
    hints: Any = {"model": "m", "repeats": '"store":true}'}
    stream = STREAMS["/v1/responses"](hints, context, 1, StreamOptions(tier="flex"))
    stream.add(0, {"promptFeedback": {"blockReason": "SAFETY"}})
    assert list(orjson.loads(stream.whole()[1])) == ["error"]
