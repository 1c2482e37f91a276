"""What answers cost by their usage, and what requests may cost at most."""

from typing import Any

import orjson
import pytest

from gateway.translate import (
    ENDPOINTS,
    LineError,
    Policy,
    Price,
    answer_cost,
    line_cost,
    marks_of,
    most_cost,
)
from gateway.translate.models.costs import WINDOW_TOKENS

PRICE = Price(0.5, 2.0, 1.0, 3.0)


def cost(price: Price | None = PRICE, **usage: Any) -> int | None:
    """The cost of an answer of that usage."""
    return answer_cost({"response": {"usageMetadata": usage}}, price)


def test_tokens_cost_what_the_table_says() -> None:
    """Thoughts are output, tools are input, a cached token costs a fifth of a batch's."""
    assert cost(promptTokenCount=1000, candidatesTokenCount=10) == 520_000
    assert cost(promptTokenCount=1000, thoughtsTokenCount=10) == 520_000
    assert cost(promptTokenCount=500, toolUsePromptTokenCount=500) == 500_000
    assert cost(promptTokenCount=1000, cachedContentTokenCount=1000) == 100_000
    assert cost(promptTokenCount=300_000, candidatesTokenCount=1) == 300_003_000
    assert answer_cost({"response": {"tokenCount": "1000"}}, PRICE) == 500_000


@pytest.mark.parametrize(
    "usage",
    [
        {"promptTokenCount": "1000", "candidatesTokenCount": "10"},
        {"promptTokenCount": 1000.0, "thoughtsTokenCount": "4", "candidatesTokenCount": 6},
        {"promptTokenCount": 1000, "totalTokenCount": 1010},
        {"promptTokenCount": 900, "toolUsePromptTokenCount": "100", "candidatesTokenCount": 10},
    ],
)
def test_an_answer_costs_what_its_usage_counts(usage: dict[str, Any]) -> None:
    """Also numbers that are written as texts, and words that only the total has."""
    assert cost(**usage) == 520_000


@pytest.mark.parametrize(
    "usage",
    [
        {"promptTokensDetails": [{"modality": "TEXT"}], "candidatesTokensDetails": []},
        {"candidatesTokensDetails": [{"modality": "TEXT"}, {"modality": "TEXT"}]},
        {
            "promptTokensDetails": [
                {"modality": name} for name in ("IMAGE", "VIDEO", "DOCUMENT", "TEXT")
            ]
        },
        {"promptTokensDetails": None, "candidatesTokensDetails": {"modality": "AUDIO"}},
    ],
)
def test_media_that_cost_what_text_does_are_priced(usage: dict[str, Any]) -> None:
    """Those of a prompt but for sound; what is no list of details says nothing of them."""
    assert cost(promptTokenCount=1000, **usage) == 500_000


@pytest.mark.parametrize("candidates", [None, {"groundingMetadata": {}}, [], [{}, "x", None]])
def test_an_answer_without_searches_has_no_fees(candidates: object) -> None:
    """Whatever is in the place of its candidates."""
    response = {"usageMetadata": {"promptTokenCount": 1000}, "candidates": candidates}
    assert answer_cost({"response": response}, PRICE) == 500_000


def test_an_error_costs_nothing() -> None:
    """Google bills what it served, whatever the price."""
    assert answer_cost({"error": {"code": 13}}, None) == 0


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"usageMetadata": {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]}},
        {"usageMetadata": {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 3}]}},
        {"usageMetadata": {"promptTokensDetails": [{"modality": "TEXT"}, {"tokenCount": 3}]}},
        {"usageMetadata": {"promptTokensDetails": ["TEXT"]}},
        {"usageMetadata": {"promptTokensDetails": [{"modality": []}]}},
        {"usageMetadata": {}, "candidates": [{"groundingMetadata": {}}]},
        {"usageMetadata": {}, "candidates": [{}, {"groundingMetadata": {}}]},
    ],
)
def test_what_is_not_known_is_not_guessed(response: dict[str, Any]) -> None:
    """No usage, other media than text, and tools with a fee of their own."""
    assert answer_cost({"response": response}, PRICE) is None


def test_no_price_no_cost() -> None:
    """Neither of an answer nor of a request."""
    assert cost(None, promptTokenCount=1) is None
    assert most_cost([b"{}"], None) is None
    assert line_cost([b"{}"], None, (), 5) is None


def test_the_most_a_request_may_cost() -> None:
    """Its bytes by four and the limit of its answer; null without one."""
    limited = b'{"contents":[],"generationConfig":{"maxOutputTokens":100,"candidateCount":2}}'
    tokens = -(-len(limited) // 4)
    assert most_cost([limited], PRICE) == tokens * 500 + 200 * 2000
    assert most_cost([limited, limited], PRICE) == 2 * (tokens * 500 + 200 * 2000)
    assert most_cost([b'{"contents":[]}'], PRICE) is None
    # The model's limit, for each candidate, where the line has none of its own.
    assert most_cost([b'{"contents":[]}'], PRICE, 300) == 4 * 500 + 300 * 2000
    two = b'{"contents":[],"generationConfig":{"candidateCount":2}}'
    assert most_cost([two], PRICE, 300) == -(-len(two) // 4) * 500 + 600 * 2000
    assert most_cost([limited], PRICE, 300) == most_cost([limited], PRICE)
    assert most_cost([limited.replace(b"[]", b'[{"inlineData":{}}]')], PRICE) is None
    assert most_cost([b'{"content":{"parts":[]}}'], PRICE) == 6 * 500


def with_media(*types: str, **more: Any) -> bytes:
    """A written request that has media of these types, and at most ten tokens of answer."""
    parts = [{"inlineData": {"mimeType": kind, "data": "QUJD"}} for kind in types]
    config = {"generationConfig": {"maxOutputTokens": 10}}
    return orjson.dumps({"contents": [{"parts": parts}], **more, **config})


PICTURES = ("image/png", "text/plain", "application/pdf")


@pytest.mark.parametrize("types", [PICTURES, PICTURES[:1]])
def test_media_may_fill_the_window_of_a_model(types: tuple[str, ...]) -> None:
    """Where that is asked for: the most that they may cost, at the price of a long prompt."""
    most = WINDOW_TOKENS * 1000 + 10 * 3000
    assert most_cost([with_media(*types)], PRICE, media=True) == most
    assert most_cost([with_media(*types)], PRICE) is None


@pytest.mark.parametrize(
    "item",
    [
        with_media("audio/wav"),
        with_media(*PICTURES, "video/mp4"),
        with_media(*PICTURES, tools=[{"googleSearch": {}}]),
        with_media(cachedContent="cachedContents/x"),
    ],
)
def test_what_may_cost_more_has_no_most(item: bytes) -> None:
    """Sound, and tools of Google's."""
    assert most_cost([item], PRICE, media=True) is None
    assert line_cost([item], PRICE, marks_of(item), 10) is None


@pytest.mark.parametrize(
    ("options", "marks", "priced"),
    [
        ({}, (), True),
        ({"logprobs": True}, (b"responseLogprobs",), True),
        ({"web_search_options": {}}, (b"googleSearch",), False),
    ],
)
def test_options_tell_whether_the_cost_is_known(
    options: dict[str, Any], marks: tuple[bytes, ...], *, priced: bool
) -> None:
    """A search has a fee of its own: no budget would hold it."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50, **options}
    for _ in range(3):
        made = ENDPOINTS["/v1/chat/completions"].to_gemini(body, Policy(), "gemini-2.5-flash")
        assert not isinstance(made, LineError)
        assert made[4] == marks
        [item] = made[0]
        most = -(-len(item) // 4) * 500 + 50 * 2000
        assert line_cost([item], PRICE, *made[4:]) == (most if priced else None)


def called_with(arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation in which a function was called with these, and answered the same."""
    text = orjson.dumps(arguments).decode()
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": text}}
    return [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": text},
    ]


@pytest.mark.parametrize("limit", [{}, {"max_tokens": 50}])
def test_what_a_function_was_called_with_is_no_limit(limit: dict[str, int]) -> None:
    """With arguments of that name a line cost a token at most: no budget held it."""
    said = {"generationConfig": {"maxOutputTokens": 1, "candidateCount": 1}}
    body = {"messages": called_with(said), **limit}
    made = ENDPOINTS["/v1/chat/completions"].to_gemini(body, Policy(), "gemini-2.5-flash")
    assert not isinstance(made, LineError)
    [item] = made[0]
    assert item.count(b'"generationConfig":{') == 2 + bool(limit)
    most = limit.get("max_tokens", 65_536)
    assert most_cost([item], PRICE, 65_536) == -(-len(item) // 4) * 500 + most * 2000


def test_what_a_function_was_called_with_is_no_mark() -> None:
    """Whatever the client names it, and also where a template tells: its cost is known."""
    said = {"googleSearch": {}, "inlineData": {"data": "QUJD"}, "responseLogprobs": True}
    messages = [*called_with(said), {"role": "user", "content": "And?"}]
    body = {"messages": messages, "max_tokens": 50}
    policy = Policy()
    for _ in range(3):
        made = ENDPOINTS["/v1/chat/completions"].to_gemini(body, policy, "gemini-2.5-flash")
        assert not isinstance(made, LineError)
        assert made[4] == ()
        [item] = made[0]
        assert line_cost([item], PRICE, *made[4:]) == -(-len(item) // 4) * 500 + 50 * 2000


@pytest.mark.parametrize(
    ("model", "items"), [("gemini-2.5-flash", 1), ("gemini-2.5-flash-image", 3)]
)
def test_each_of_several_answers_costs_up_to_the_limit(model: str, items: int) -> None:
    """Whether one request has them all or each has its own, and where a frame has the limit."""
    policy = Policy()
    for limit in range(100, 120):
        body = {"messages": [{"role": "user", "content": "x"}], "n": 3, "max_tokens": limit}
        made = ENDPOINTS["/v1/chat/completions"].to_gemini(body, policy, model)
        assert not isinstance(made, LineError)
        assert len(made[0]) == items
        tokens = sum(-(-len(item) // 4) for item in made[0])
        cost = line_cost(made[0], PRICE, *made[4:])
        assert cost == tokens * 500 + 3 * limit * 2000 == most_cost(made[0], PRICE)
