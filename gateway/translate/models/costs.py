"""Costs of requests at most, in billionths of a US dollar; None where a price is not known.

Unknown is what sound and pictures cost (the table's prices are for text), and Google's own tools.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate.contract import Marks
from gateway.translate.models.estimates import (
    BYTES_PER_TOKEN,
    MEDIA,
    UNPRICED,
    marks_of,
    media_kinds,
    most_output,
)
from gateway.translate.models.prices import BILLION, Price

# First halves of the types of media that cost what text does; sound costs more.
_PRICED_MEDIA: Final = frozenset({"image", "text", "application"})
_BEYOND_TEXT: Final = MEDIA | UNPRICED
# What no prompt exceeds, however long its media are: the largest window of any model ("Models").
WINDOW_TOKENS: Final = 1_048_576


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
        limit = most_output(orjson.loads(item), most_tokens)
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
