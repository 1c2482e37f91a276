"""Google's prices for tokens in a batch, half of the standard price, by model and day.

Read on 2026-11-25 from transcripts of https://ai.google.dev/gemini-api/docs/pricing: that of
api-evangelist of 2026-10-07 (standard prices, word for word), LiteLLM 1.110.2's table (batch
prices), models.dev and TokenMeter 0.13.1 (prices that end on a day). A model is listed when two
of them agree. Prices are for text; thoughts are output.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

PRICES_PAGE: Final = "https://ai.google.dev/gemini-api/docs/pricing"
PRICES_READ_ON: Final = "2026-11-25"
# Prompts of more tokens cost more with some models.
LONG_PROMPT: Final = 200_000
MILLION: Final = 1_000_000
BILLION: Final = 1_000_000_000


class Price(NamedTuple):
    """US dollars for a million tokens; ``long_`` for prompts beyond :data:`LONG_PROMPT`."""

    input: float
    output: float
    long_input: float | None = None
    long_output: float | None = None

    def of(self, input_tokens: int) -> tuple[float, float]:
        """Price a token of the prompt and one of the answer, for a prompt of that size."""
        if input_tokens <= LONG_PROMPT or self.long_input is None or self.long_output is None:
            return self.input / MILLION, self.output / MILLION
        return self.long_input / MILLION, self.long_output / MILLION


# Day from which a price holds, as ISO 8601; "" is until the next. None: not published.
_Rows = Sequence[tuple[str, Price | None]]
_FLASH_INTRODUCTION: Final = Price(0.375, 1.875)
_LITE: Final = Price(0.125, 0.75)

PRICES: Final[Mapping[str, _Rows]] = {
    "gemini-2.5-pro": [("", Price(0.625, 5.0, 1.25, 7.5))],
    "gemini-2.5-flash": [("", Price(0.15, 1.25))],
    "gemini-2.5-flash-lite": [("", Price(0.05, 0.2))],
    "gemini-3-flash-preview": [("", Price(0.25, 1.5))],
    "gemini-3.1-pro-preview": [("", Price(1.0, 6.0, 2.0, 9.0))],
    "gemini-3.1-flash-lite": [("", _LITE)],
    "gemini-3.1-flash-lite-preview": [("", _LITE)],
    "gemini-3.5-flash": [("", Price(0.75, 4.5))],
    "gemini-3.5-flash-lite": [("", Price(0.15, 1.25))],
    "gemini-3.6-flash": [("", _FLASH_INTRODUCTION), ("2027-01-01", Price(0.75, 3.75))],
    "gemini-3.7-flash": [("", _FLASH_INTRODUCTION), ("2027-01-01", None)],
    "gemini-3.8-flash": [("", _FLASH_INTRODUCTION), ("2027-01-01", Price(0.75, 3.75))],
    "gemini-4-argon": [("", Price(1.0, 5.0)), ("2026-12-01", Price(2.0, 10.0))],
    "gemini-embedding-001": [("", Price(0.075, 0.0))],
    "gemini-embedding-2": [("", Price(0.1, 0.0))],
}


def check_prices(given: Mapping[str, Mapping[str, Any]]) -> None:
    """Check prices that are one's own. Errors: ValueError, to follow the name of a setting."""
    known = Price._fields
    for model, members in given.items():
        if not {"input", "output"} <= members.keys() <= set(known):
            raise ValueError(f"needs input and output for {model!r}, and knows {', '.join(known)}")
        for name, value in members.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < 0:
                raise ValueError(f"has no number of zero or more as {name!r} for {model!r}")


def price_of(
    model: str, day: str, own: Mapping[str, Mapping[str, Any]] | None = None
) -> Price | None:
    """Look up the price of a model on a day (``2026-11-25``); None when it is not known.

    ``own`` come before the table: dollars for a million tokens, as :class:`Price` names them.
    """
    if own and model in own:
        return Price(**own[model])
    found: Price | None = None
    for since, price in PRICES.get(model, ()):
        if since <= day:
            found = price
    return found
