"""Costs of answers and of requests, in billionths of a US dollar; None where a price is not known.

What an answer cost is told by its ``usageMetadata``, also of an attempt that came to nothing.
Unknown are sound and pictures (the table's prices are for text), and what Google's own tools cost.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate.contract import Answer, Json, Marks
from gateway.translate.models.estimates import (
    BYTES_PER_TOKEN,
    MEDIA,
    UNPRICED,
    marks_of,
    media_kinds,
)
from gateway.translate.models.prices import Price

BILLION: Final = 1_000_000_000
# A cached token costs a tenth of the standard price ("Context caching"), which is twice a batch's.
CACHED_SHARE: Final = 0.2
# Of the details of a prompt and of an answer, the kinds that cost what text does.
_PRICED_IN: Final = frozenset({"TEXT", "IMAGE", "VIDEO", "DOCUMENT"})
_PRICED_OUT: Final = frozenset({"TEXT"})

_MOST: Final = b'"maxOutputTokens":'
_ALTERNATIVES: Final = b'"candidateCount":'
_CONFIG: Final = b'"generationConfig":'
# First halves of the types of media that cost what text does; sound costs more.
_PRICED_MEDIA: Final = frozenset({"image", "text", "application"})
_BEYOND_TEXT: Final = MEDIA | UNPRICED
# What no prompt exceeds, however long its media are: the largest window of any model ("Models").
WINDOW_TOKENS: Final = 1_048_576


def answer_cost(answer: Answer, price: Price | None) -> int | None:
    """Price an item's answer: 1,000 tokens of prompt at 0.5 dollars a million -> 500,000."""
    response = answer.get("response")
    if not isinstance(response, dict):
        return 0  # Google bills what it served
    usage = response.get("usageMetadata")
    if not isinstance(usage, dict):
        usage = _usage_of_embedding(response)
    if price is None or usage is None or not _is_text(usage) or _has_fees(response):
        return None
    prompt, tools, told, thoughts, cached = _counts(usage)
    asked, told = prompt + tools, told + thoughts
    rates = price.of(asked)
    full = (asked - cached + cached * CACHED_SHARE) * rates[0] + told * rates[1]
    return round(full * BILLION)


def _usage_of_embedding(response: Json) -> Json | None:
    tokens = response.get("tokenCount")  # it has no more
    text = str(tokens)
    return {"promptTokenCount": int(text)} if text.isascii() and text.isdigit() else None


# Each answer of a batch comes by here: written out, these take a third of what generators do.


def _counts(usage: Json) -> tuple[int, int, int, int, int]:
    prompt = usage.get("promptTokenCount", 0)
    tools = usage.get("toolUsePromptTokenCount", 0)
    told = usage.get("candidatesTokenCount", 0)
    thoughts = usage.get("thoughtsTokenCount", 0)
    cached = usage.get("cachedContentTokenCount", 0)
    if type(prompt) is type(tools) is type(told) is type(thoughts) is type(cached) is int:
        return prompt, tools, told, thoughts, cached
    return _count(prompt), _count(tools), _count(told), _count(thoughts), _count(cached)


def _count(count: object) -> int:
    return count if type(count) is int else 0


def _is_text(usage: Json) -> bool:
    asked, told = usage.get("promptTokensDetails"), usage.get("candidatesTokensDetails")
    return (asked is None or _only(asked, _PRICED_IN)) and (
        told is None or _only(told, _PRICED_OUT)
    )


def _only(details: object, kinds: frozenset[str]) -> bool:
    if not isinstance(details, list):
        return True
    for each in details:
        if not isinstance(each, dict) or each.get("modality") not in kinds:
            return False
    return True


def _has_fees(response: Json) -> bool:
    candidates = response.get("candidates")
    if not isinstance(candidates, list):
        return False
    for each in candidates:  # noqa: SIM110
        if isinstance(each, dict) and "groundingMetadata" in each:
            return True
    return False


def most_cost(
    items: Sequence[bytes],
    price: Price | None,
    most_tokens: int | None = None,
    *,
    media: bool = False,
) -> int | None:
    """Price written requests at the most that they may cost.

    ``most_tokens`` is the model's limit of an answer, for requests that have none of their own;
    without either it is None. What media take is not known: with ``media`` those that are priced
    as text are taken to fill the model's window, else it is None.
    """
    if price is None:
        return None
    total = 0.0
    for item in items:
        found = marks_of(item)
        limit = _most_output(item, most_tokens)
        if limit is None:
            return None
        tokens = -(-len(item) // BYTES_PER_TOKEN)
        if not _BEYOND_TEXT.isdisjoint(found):
            if not (media and UNPRICED.isdisjoint(found) and media_kinds(item) <= _PRICED_MEDIA):
                return None
            tokens = WINDOW_TOKENS
        rates = price.of(tokens)
        total += tokens * rates[0] + limit * rates[1]
    return round(total * BILLION)


def line_cost(
    items: Sequence[bytes], price: Price | None, marks: Marks, most_tokens: int
) -> int | None:
    """Price the items of one translation as :func:`most_cost` does: it has told marks and limit."""
    if price is None or (marks and not _BEYOND_TEXT.isdisjoint(marks)):
        return None
    total = 0.0
    for item in items:
        tokens = -(-len(item) // BYTES_PER_TOKEN)
        asked, told = price.of(tokens)
        total += tokens * asked + most_tokens * told
    return round(total * BILLION)


def _most_output(item: bytes, most_tokens: int | None) -> int | None:
    if item.startswith(b'{"content":'):  # embeddings answer with numbers that cost nothing
        return 0
    config = _config_of(item)
    limit: int | None = config.get("maxOutputTokens", most_tokens)
    return None if limit is None else limit * int(config.get("candidateCount", 1))


def _config_of(item: bytes) -> Json:
    """Read the ``generationConfig`` of a written request, as far as it limits the answer.

    It is the last member. What has its name inside of it, or in the arguments of a function, where
    a client may write what it likes, has more than one bracket behind it, which no value has.
    """
    place = item.rfind(_CONFIG)
    if place < 0:
        return {}
    start = place + len(_CONFIG)
    if item.find(_MOST, start) < 0 and item.find(_ALTERNATIVES, start) < 0:
        return {}
    try:
        config: Json = orjson.loads(item[start:-1])
    except orjson.JSONDecodeError:
        config = orjson.loads(item).get("generationConfig", {})
    return config
