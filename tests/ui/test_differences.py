"""Differences between the panes of a line: what is said of each member, and that it is true."""

from typing import Any

import orjson
import pytest

from gateway.runner.cpu.provenance import provenance
from gateway.translate import ENDPOINTS, Policy
from gateway.ui import differences

CHAT: dict[str, Any] = {
    "model": "gemini-2.5-flash",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ],
    "max_completion_tokens": 64,
    "temperature": 1,
    "n": 1,
    "user": "someone",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
}
DROPPED = [{"code": "dropped", "field": "parallel_tool_calls"}]


def told(rows: list[differences.Row]) -> dict[str, str]:
    """What is said of each line of a pane, by its member's name."""
    return {row.text.split('"')[1]: row.mark.told for row in rows if row.mark}


def became(body: dict[str, Any], path: str = "/v1/chat/completions") -> dict[str, list[str]]:
    """Where each field went."""
    return provenance(ENDPOINTS[path], body, Policy(), body["model"])


def first_item(body: dict[str, Any], path: str = "/v1/chat/completions") -> Any:
    """The first request of a body."""
    made: Any = ENDPOINTS[path].to_gemini(body, Policy(), body["model"])
    return orjson.loads(made[0][0])


def test_what_was_asked_says_what_became_of_it() -> None:
    """Renamed, dropped with and without a note; a name in another style is no other name."""
    shown = told(differences.asked(CHAT, became(CHAT), DROPPED, "gemini-2.5-flash"))
    assert shown == {
        "messages": "→ systemInstruction, contents",
        "max_completion_tokens": "→ generationConfig.maxOutputTokens",
        "n": "changes nothing of what is sent",
        "user": "changes nothing of what is sent",
        "parallel_tool_calls": "dropped, noted",
        "response_format": "→ generationConfig.responseMimeType",
    }


def test_what_was_sent_says_where_it_comes_from() -> None:
    """What no field asked for is the gateway's."""
    item = {**first_item(CHAT), "safetySettings": [{"category": "X"}]}
    assert told(differences.sent(item, became(CHAT))) == {
        "systemInstruction": "← messages",
        "contents": "← messages",
        "maxOutputTokens": "← max_completion_tokens",
        "responseMimeType": "← response_format",
        "safetySettings": "from no field of the line",
    }


@pytest.mark.parametrize(
    ("path", "field", "value", "root"),
    [
        ("/v1/responses", "input", "hello", "contents"),
        ("/v1/embeddings", "input", "hello", "content"),
        ("/v1/completions", "prompt", "hello", "contents"),
        ("/v1/images/generations", "prompt", "a cat", "contents"),
    ],
)
def test_every_endpoint_has_its_text(path: str, field: str, value: str, root: str) -> None:
    """The field that a line cannot be without is found by another in its place."""
    model = "gemini-embedding-001" if "embeddings" in path else "gemini-3.1-flash-image"
    assert became({"model": model, field: value}, path)[field] == [root]


def test_several_requests_come_from_the_field_that_asks_for_them() -> None:
    """Choices of a model that makes one at a time."""
    body = {**CHAT, "n": 3, "model": "gemini-3.8-flash"}
    assert "requests" in became(body)["n"] or any("andidateCount" in p for p in became(body)["n"])


def test_a_renamed_model_is_told() -> None:
    """An alias is what the client wrote."""
    body = {"model": "gpt-4o", "messages": CHAT["messages"]}
    shown = told(differences.asked(body, {"model": []}, [], "gemini-3.8-flash"))
    assert shown == {"model": "→ the model gemini-3.8-flash"}


RAW = {
    "response": {
        "candidates": [
            {"content": {"parts": [{"text": "A plain answer."}], "role": "model"}, "index": 0}
        ],
        "usageMetadata": {
            "promptTokenCount": 11,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 15,
        },
        "safetyRatings": [{"category": "X", "probability": "LOW"}],
    }
}
GOT = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "A plain answer."}}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 19, "flag": True},
}


def test_the_answer_has_its_likes() -> None:
    """Equal texts, numbers under names of one word, sums of two; what has no like is told."""
    left, right = map(told, differences.answers(RAW, GOT))
    assert left == {
        "text": "→ choices[0].message.content",
        "role": "not in the client's answer",
        "promptTokenCount": "→ usage.prompt_tokens",
        "candidatesTokenCount": "→ usage.completion_tokens, as a part",
        "thoughtsTokenCount": "→ usage.completion_tokens, as a part",
        "safetyRatings": "not in the client's answer",
    }
    assert right == {
        "role": "not in Gemini's answer",
        "content": "← response.candidates[0].content.parts[0].text",
        "prompt_tokens": "← response.usageMetadata.promptTokenCount",
        "completion_tokens": (
            "← response.usageMetadata.candidatesTokenCount"
            " + response.usageMetadata.thoughtsTokenCount"
        ),
        "flag": "not in Gemini's answer",
    }


def test_numbers_are_not_paired_by_chance() -> None:
    """An index of 1 is no total of 1, and true is not 1."""
    left, right = differences.answers({"index": 1, "done": True}, {"total": 1, "done": 1})
    assert (left[0].mark, right[0].mark) == (differences.NOT_PASSED_ON, differences.MADE)


@pytest.mark.parametrize("value", [{}, [], None, "a", {"a": []}, [[{"b": None}], 1]])
def test_whatever_is_written_is_json(value: Any) -> None:
    """The lines together are the value."""
    text = "\n".join(row.text for row in differences.rows(value, {}))
    assert orjson.loads(text) == value
