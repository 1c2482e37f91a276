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
    most_cost,
)

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


def test_an_error_costs_nothing() -> None:
    """Google bills what it served, whatever the price."""
    assert answer_cost({"error": {"code": 13}}, None) == 0


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"usageMetadata": {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]}},
        {"usageMetadata": {"candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 3}]}},
        {"usageMetadata": {}, "candidates": [{"groundingMetadata": {}}]},
    ],
)
def test_what_is_not_known_is_not_guessed(response: dict[str, Any]) -> None:
    """No usage, other media than text, and tools with a fee of their own."""
    assert answer_cost({"response": response}, PRICE) is None


def test_no_price_no_cost() -> None:
    """Neither of an answer nor of a request."""
    assert cost(None, promptTokenCount=1) is None
    assert most_cost([b"{}"], None) is None


def test_the_most_a_request_may_cost() -> None:
    """Its bytes by four and the limit of its answer; null without one."""
    limited = b'{"contents":[],"generationConfig":{"maxOutputTokens":100,"candidateCount":2}}'
    tokens = -(-len(limited) // 4)
    assert most_cost([limited], PRICE) == tokens * 500 + 200 * 2000
    assert most_cost([limited, limited], PRICE) == 2 * (tokens * 500 + 200 * 2000)
    assert most_cost([b'{"contents":[]}'], PRICE) is None
    # The model's limit, for each candidate, where the line has none of its own.
    assert most_cost([b'{"contents":[]}'], PRICE, 300) == 4 * 500 + 300 * 2000
    two = b'{"generationConfig":{"candidateCount":2}}'
    assert most_cost([two], PRICE, 300) == -(-len(two) // 4) * 500 + 600 * 2000
    assert most_cost([limited], PRICE, 300) == most_cost([limited], PRICE)
    assert most_cost([limited.replace(b"[]", b'[{"inlineData":{}}]')], PRICE) is None
    assert most_cost([b'{"content":{}}00'], PRICE) == 4 * 500


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
