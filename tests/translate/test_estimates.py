"""Estimates of tokens and cost: what they count, and when they say that they do not know."""

from typing import Any

import orjson
import pytest

from gateway.translate.models.estimates import (
    IMAGE_TOKENS,
    NAMED_MEDIA_TOKENS,
    Estimate,
    estimate,
    item_tokens,
    line_tokens,
    marks_of,
)
from gateway.translate.models.prices import (
    LONG_PROMPT,
    MILLION,
    PRICES,
    PRICES_READ_ON,
    Price,
    price_of,
)

PRICE = Price(1.0, 2.0, 10.0, 20.0)


def of(*requests: dict[str, Any], price: Price | None = PRICE) -> Estimate:
    """The estimate of a line with these items."""
    return estimate([orjson.dumps(request) for request in requests], price)


def user(text: str, **more: Any) -> dict[str, Any]:
    """A request with one turn."""
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (user(""), 0),
        (user("1"), 1),
        (user("12345678"), 2),
        (user("日本語の文"), 4),
        (user("1234", systemInstruction={"parts": [{"text": "1234"}]}), 2),
        (user("", tools=[{"functionDeclarations": [{"name": "f"}]}]), 11),
        (user("", generationConfig={"responseSchema": {"type": "STRING"}}), 5),
        (user("", generationConfig={"responseJsonSchema": {"type": "string"}}), 5),
        ({"contents": [{"parts": [{"functionCall": {"name": "f", "args": {}}}]}]}, 6),
        (
            user(
                "1234",
                tools=[{"functionDeclarations": [{"name": "f"}]}],
                generationConfig={"responseSchema": {"type": "STRING"}},
            ),
            16,
        ),
        ({"content": {"parts": [{"text": "12345678"}]}}, 2),
        ({"contents": []}, 0),
    ],
)
def test_texts_are_counted(request_: dict[str, Any], tokens: int) -> None:
    """Wherever the prompt has them."""
    assert of(request_).text_tokens == tokens


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "A"}}]}]},
            "media",
        ),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "https://x"}}]}]}, "media"),
        (user("", cachedContent="cachedContents/a"), "cached content"),
        (user("", tools=[{"googleSearch": {}}]), "Google's tools"),
        (user("", generationConfig={"responseModalities": ["AUDIO"]}), "media in the answer"),
    ],
)
def test_what_nobody_can_know_has_no_cost(request_: dict[str, Any], why: str) -> None:
    """Neither a sum nor a bound: each would be wrong."""
    found = of(request_)

    assert found.unknown == (why,)
    assert found.input_cost is found.most_cost is None


def test_reasons_stand_once() -> None:
    """However many items have them."""
    request = user("", cachedContent="cachedContents/a")

    assert of(request, request, price=None).unknown == ("price", "cached content")


def test_an_answer_without_a_limit_has_no_bound() -> None:
    """The cost of the prompt is known all the same."""
    found = of(user("1234" * 10))

    assert (found.output_tokens, found.most_cost) == (None, None)
    assert found.input_cost == pytest.approx(10 / MILLION)


def test_the_limit_of_the_model_bounds_an_answer_without_one() -> None:
    """As it does in a batch's own sum; the line still has no limit."""
    found = estimate([orjson.dumps(user("1234"))], PRICE, 1000)

    assert found.output_tokens is None
    assert found.most_cost == pytest.approx((1 + 1000 * 2) / MILLION)


def test_items_and_candidates_add_up() -> None:
    """Each item pays for the prompt again, each candidate for its own answer."""
    request = user("1234", generationConfig={"maxOutputTokens": 100, "candidateCount": 3})

    found = of(request, request)

    assert (found.text_tokens, found.output_tokens) == (2, 600)
    assert found.most_cost == pytest.approx((2 * 1 + 600 * 2) / MILLION)


def test_long_prompts_cost_more() -> None:
    """With models that say so; from the first token on."""
    config = {"maxOutputTokens": 1}
    short = of(user("1234" * LONG_PROMPT, generationConfig=config))
    long = of(user("1234" * LONG_PROMPT + "1", generationConfig=config))
    flat = of(user("1234" * LONG_PROMPT + "1"), price=Price(1.0, 2.0))

    assert short.input_cost == pytest.approx(LONG_PROMPT / MILLION)
    assert long.input_cost == pytest.approx(10 * (LONG_PROMPT + 1) / MILLION)
    assert long.most_cost == pytest.approx((10 * (LONG_PROMPT + 1) + 20) / MILLION)
    assert flat.input_cost == pytest.approx((LONG_PROMPT + 1) / MILLION)


def test_embeddings_answer_for_nothing() -> None:
    """So their bound is the cost of their text."""
    found = of(
        {"content": {"parts": [{"text": "1234"}]}},
        price=price_of("gemini-embedding-001", PRICES_READ_ON),
    )

    assert (found.output_tokens, found.input_cost) == (0, found.most_cost)


@pytest.mark.parametrize(
    ("model", "day", "prices"),
    [
        ("gemini-2.5-flash", "2026-11-25", (0.15, 1.25)),
        ("gemini-4-argon", "2026-11-30", (1.0, 5.0)),
        ("gemini-4-argon", "2026-12-01", (2.0, 10.0)),
        ("gemini-3.8-flash", "2026-12-31", (0.375, 1.875)),
        ("gemini-3.8-flash", "2027-01-01", (0.75, 3.75)),
        ("gemini-3.7-flash", "2027-01-01", None),
        ("gemini-99", "2026-11-25", None),
        ("gemini-2.5-flash-001", "2026-11-25", None),
    ],
)
def test_prices_hold_from_a_day_on(
    model: str, day: str, prices: tuple[float, float] | None
) -> None:
    """A name that is not in the table has none, however much it looks like one that is."""
    price = price_of(model, day)

    assert (None if price is None else (price.input, price.output)) == prices


def test_the_table_is_in_order() -> None:
    """Days ascend, answers cost more than prompts, long prompts more than short ones."""
    for rows in PRICES.values():
        days = [day for day, _ in rows]
        assert days == sorted(days)
        assert days[0] == ""
        for _, price in rows:
            if price is not None:
                assert price.output == 0 or price.output > price.input > 0
                assert (price.long_input or 9) > price.input
                assert (price.long_output or 99) > price.output


def test_functions_of_the_client_leave_the_cost_known() -> None:
    """They are texts of the prompt."""
    functions = {"functionDeclarations": [{"name": "f"}]}
    config = {"maxOutputTokens": 1, "responseModalities": ["TEXT"]}
    found = of(user("", tools=[functions], generationConfig=config))
    assert found.unknown == ()
    assert found.input_cost == pytest.approx(11 / MILLION)


def inline(kind: str, size: int = 4) -> dict[str, Any]:
    """Media of a type, of so much base64."""
    return {"inlineData": {"mimeType": kind, "data": "A" * size}}


NAMED: Any = {"fileUri": "https://example.com/x"}


@pytest.mark.parametrize(
    ("part", "data", "tokens"),
    [
        (inline("image/png", 40_000), 40_000, IMAGE_TOKENS),
        (inline("image"), 4, IMAGE_TOKENS),
        (inline("audio/wav"), 4, 32),
        (inline("audio/wav", 40_008), 40_008, 60),
        (inline("video/mp4"), 4, 300),
        (inline("video/mp4", 1_001_000), 1_001_000, 900),
        (inline("application/pdf", 200_000), 200_000, 1_680),
        (inline("text/plain", 4_000), 4_000, NAMED_MEDIA_TOKENS),
        ({"fileData": NAMED}, 0, NAMED_MEDIA_TOKENS),
        ({"fileData": {"mimeType": "audio/wav", **NAMED}}, 0, NAMED_MEDIA_TOKENS),
        ({"fileData": {"mimeType": "image/png", **NAMED}}, 0, IMAGE_TOKENS),
        (
            {"functionResponse": {"name": "f", "parts": [inline("image/png", 4_000)]}},
            4_000,
            IMAGE_TOKENS,
        ),
    ],
)
def test_media_take_what_google_publishes(part: dict[str, Any], data: int, tokens: int) -> None:
    """Not what their base64 would; all around them is text."""
    item = orjson.dumps({"contents": [{"parts": [part, {"text": "123"}]}]})
    expected = -(-(len(item) - data) // 4) + tokens
    assert item_tokens(item) == expected
    assert type(item_tokens(item)) is int
    assert line_tokens([item, item], marks_of(item)) == 2 * expected
    spooled = b'{"key":"1","request":' + item + b"}"
    assert item_tokens(spooled) == -(-(len(spooled) - data) // 4) + tokens


@pytest.mark.parametrize("more", [{}, {"cachedContent": "cachedContents/a"}])
def test_texts_take_a_token_for_four_bytes(more: dict[str, Any]) -> None:
    """Whatever else the request has, and each item of a line by itself."""
    for text in ("1", "12", "123", "1234"):
        item = orjson.dumps(user(text, **more))
        assert item_tokens(item) == -(-len(item) // 4)
        assert line_tokens([item] * 3, marks_of(item)) == 3 * -(-len(item) // 4)


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({}, 0),
        ({"systemInstruction": {"parts": [inline("image/webp", 0)]}}, IMAGE_TOKENS),
        ({"contents": [{"parts": [inline("audio/wav", 0)]}]}, NAMED_MEDIA_TOKENS),
        ({"contents": [{"parts": [{"fileData": NAMED}]}]}, NAMED_MEDIA_TOKENS),
        ({"contents": [{"parts": [{"functionCall": {"args": inline("image/png")}}]}]}, 0),
        ({"contents": [{"parts": [{"text": orjson.dumps(inline("image/png")).decode()}]}]}, 0),
        ({"tools": [inline("image/png")]}, 0),
        ({"generationConfig": {"responseSchema": inline("image/png")}}, 0),
    ],
)
def test_pictures_are_told_from_what_is_named_alike(more: dict[str, Any], tokens: int) -> None:
    """They are counted without a JSON parser, if nothing else in the request might be media."""
    own = more.get("contents", [])
    pictures = [inline("image/png", 400), {"text": "a"}, inline("image/jpeg", 80)]
    item = orjson.dumps({**more, "contents": [{"parts": pictures}, *own]})
    sizes = 480
    assert item_tokens(item) == -(-(len(item) - sizes) // 4) + 2 * IMAGE_TOKENS + tokens


def test_odd_data_of_a_picture_is_counted_in_characters() -> None:
    """What hides between the samples of base64 may be a quotation mark."""
    parts = [{"inlineData": {"mimeType": "image/png", "data": 'AA"AA\\'}}, {"text": "a"}]
    item = orjson.dumps({"contents": [{"parts": parts}]})
    assert item_tokens(item) == -(-(len(item) - 6) // 4) + IMAGE_TOKENS
