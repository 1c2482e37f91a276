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

from gateway.translate import STREAMS, StreamOptions, replayed
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
    content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Hi"}]
    message = {"id": "msg_1", "type": "message", "status": "completed", "content": content}
    response = {"id": "resp_1", "status": status, "output": [reasoning, message]}
    events = list(replayed(response, 3))
    told = [orjson.loads(event.partition(b"data: ")[2]) for _, event in events]
    assert [number for number, _ in events] == list(range(3, 12))
    assert [event["sequence_number"] for event in told] == list(range(3, 12))
    assert [event["type"].removeprefix("response.") for event in told] == [
        "output_item.added",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        last,
    ]
    assert told[1]["item"] == reasoning
    assert told[-2]["item"] == message
    assert told[-1]["response"] == response
