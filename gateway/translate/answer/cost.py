"""Costs of answers, in billionths of a US dollar; None where a price is not known.

What an answer cost is told by its ``usageMetadata``, also of an attempt that came to nothing.
Unknown are sound and pictures (the table's prices are for text), and what Google's own tools cost.
"""

from collections.abc import Iterable
from typing import Final

from gateway.translate.answer.usage import usage_of
from gateway.translate.contract import Answer, Json, Usage
from gateway.translate.models.prices import BILLION, Price

# A cached token costs a tenth of the standard price ("Context caching"), which is twice a batch's.
CACHED_SHARE: Final = 0.2
# Of the details of a prompt and of an answer, the kinds that cost what text does.
_PRICED_IN: Final = frozenset({"TEXT", "IMAGE", "VIDEO", "DOCUMENT"})
_PRICED_OUT: Final = frozenset({"TEXT"})


def answer_cost(answer: Answer, price: Price | None) -> int | None:
    """Price an item's answer: 1,000 tokens of prompt at 0.5 dollars a million -> 500,000."""
    response = answer.get("response")
    if not isinstance(response, dict):
        return 0  # Google bills what it served
    usage = response.get("usageMetadata")
    if not isinstance(usage, dict):
        usage = _usage_of_embedding(response)
    if usage is None or not _is_text(usage) or _has_fees(response):
        return None
    return usages_cost((usage_of(usage),), price)


def usages_cost(usages: Iterable[Usage], price: Price | None) -> int | None:
    """Price the tokens of several answers, all of which cost what text does; each is rounded."""
    if price is None:
        return None
    cost = 0
    for asked, cached, told, _ in usages:
        rates = price.of(asked)
        full = (asked - cached + cached * CACHED_SHARE) * rates[0] + told * rates[1]
        cost += round(full * BILLION)
    return cost


def _usage_of_embedding(response: Json) -> Json | None:
    tokens = response.get("tokenCount")  # it has no more
    text = str(tokens)
    return {"promptTokenCount": int(text)} if text.isascii() and text.isdigit() else None


def _is_text(usage: Json) -> bool:
    asked, told = usage.get("promptTokensDetails"), usage.get("candidatesTokensDetails")
    return _only(asked, _PRICED_IN) and _only(told, _PRICED_OUT)


# Each answer of a batch comes by here: written out, these take a third of what generators do.


def _only(details: object, kinds: frozenset[str]) -> bool:
    if not isinstance(details, list):
        return True
    for each in details:
        modality = each.get("modality") if isinstance(each, dict) else None
        if not isinstance(modality, str) or modality not in kinds:
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
