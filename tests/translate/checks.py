"""What must hold of everything the translation gives out."""

import math
from typing import Any

import orjson
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from gateway.translate.contract import AnswerHints, LineError, Rendered, Translation
from tests.translate.gemini_schema import complaints

# The codes an error line may carry for what is wrong in its body.
BODY_CODES = {
    "file_not_found",
    "invalid_type",
    "invalid_value",
    "missing_required_parameter",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
}


def check_translation(translation: Translation, message: str) -> None:
    """Items are what Google's parser takes, and hints and items survive writing."""
    assert translation[0]
    for item in items_of(translation):
        assert complaints(item, message) == []
    assert isinstance(hints_of(translation), dict)


def hints_of(translation: Translation) -> AnswerHints:
    """The hints, as they are read back to render the answer."""
    merged: AnswerHints = {}
    for part in translation[1]:
        merged.update(orjson.loads(part))
    return merged


def items_of(translation: Translation) -> list[dict[str, Any]]:
    """The items, read back."""
    return [orjson.loads(item) for item in translation[0]]


def body_of(rendered: Rendered) -> dict[str, Any]:
    """The body, read back."""
    body: dict[str, Any] = orjson.loads(rendered[1])
    return body


def check_refusal(error: LineError, body: dict[str, Any]) -> None:
    """A refusal names a field, in its parameter and in the message that SDK users see."""
    assert error.status == 400
    assert error.code in BODY_CODES
    assert error.param
    assert error.param in error.message
    assert len(error.message) < 2_000
    first = error.param.split(".")[0].split("[")[0]
    assert first in body or error.code == "missing_required_parameter"


def check_rendered(rendered: Rendered, model: type[BaseModel]) -> None:
    """An answer passes the SDK's own types, an error is OpenAI's envelope; both can be written."""
    body = body_of(rendered)
    assert b"\n" not in rendered[1]
    if rendered[0] == 200:
        model.model_validate_json(rendered[1], strict=True)
        assert body.get("error") is None
        if model is ChatCompletion:
            check_choices(body)
        if model is Response:
            check_response(body)
    else:
        assert 400 <= rendered[0] < 600
        assert body.keys() == {"error"}
        error = body["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        assert isinstance(error["message"], str)
        assert error["message"]
        assert error["type"]
    for count in rendered[2]:
        assert 0 <= count < 2**60


def check_choices(body: dict[str, Any]) -> None:
    """What the SDK's types leave open: order, words, arguments, sums."""
    choices = body["choices"]
    assert [choice["index"] for choice in choices] == list(range(len(choices)))
    for choice in choices:
        message = choice["message"]
        calls = message.get("tool_calls", [])
        for call in calls:
            if call["type"] == "function":
                orjson.loads(call["function"]["arguments"])
        assert len({call["id"] for call in calls}) == len(calls)
        for annotation in message.get("annotations", []):
            citation = annotation["url_citation"]
            length = len(message["content"] or "")
            assert 0 <= citation["start_index"] <= citation["end_index"] <= length
            assert citation["url"]
        # An empty "stop" is an answer only when Gemini itself said STOP.
        for entry in (choice["logprobs"] or {}).get("content") or []:
            assert math.isfinite(entry["logprob"])
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


# Members that OpenAI's specification requires although its SDK lets them be absent.
REQUIRED = (
    "error",
    "incomplete_details",
    "instructions",
    "metadata",
    "temperature",
    "top_p",
)


def check_response(body: dict[str, Any]) -> None:
    """What the SDK's types leave open: members, ids, statuses, arguments, offsets, sums."""
    assert body.keys() >= set(REQUIRED)
    complete = body["status"] == "completed"
    assert complete == (body["incomplete_details"] is None) == (body["completed_at"] is not None)
    items = body["output"]
    assert len({item["id"] for item in items}) == len(items)
    for place, item in enumerate(items):
        if item["type"] == "message":
            check_message(item)
        if item["type"] == "function_call":
            orjson.loads(item["arguments"])
        if complete or place < len(items) - 1:
            assert item.get("status") in (None, "completed", "failed", "incomplete")
            assert item["type"] != "message" or item["status"] == "completed"
    # Nobody gets a success without anything in it.
    assert not complete or any(item["type"] != "reasoning" for item in items)
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens_details"]["cache_write_tokens"] == 0


def check_message(item: dict[str, Any]) -> None:
    """Citations stand inside their text; the specification requires logprobs."""
    for content in item["content"]:
        for annotation in content.get("annotations", ()):
            assert 0 <= annotation["start_index"] <= annotation["end_index"]
            assert annotation["end_index"] <= len(content["text"])
        for entry in content.get("logprobs", ()):
            assert math.isfinite(entry["logprob"])
        assert content["type"] == "refusal" or "logprobs" in content
