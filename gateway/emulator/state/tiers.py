"""Enqueued tokens of batch jobs by usage tier (ai.google.dev, "Rate limits", up to 2026-08-28).

Copies of that page disagree in detail, and newer models have no row: they get that of their family.
"""

import re
from typing import Final

from gateway.emulator.options import EmulatorOptions

MILLION: Final = 1_000_000
BILLION: Final = 1000 * MILLION

# Pattern of a model's name -> its limits in tier 1, 2, 3; None where the page has none.
_TABLE: tuple[tuple[str, tuple[int, int | None, int | None]], ...] = (
    (r".*(-image|nano-banana)", (2 * MILLION, 270 * MILLION, BILLION)),
    (r".*-tts", (25_000, None, None)),
    (r".*embedding", (500_000, 5 * MILLION, 10 * MILLION)),
    (r".*flash-lite", (10 * MILLION, 500 * MILLION, BILLION)),
    (r"gemini-2\.0-flash", (10 * MILLION, BILLION, 5 * BILLION)),
    (r".*-pro", (5 * MILLION, 500 * MILLION, BILLION)),
    (r".*", (3 * MILLION, 400 * MILLION, BILLION)),
)


def token_limit(options: EmulatorOptions, model: str) -> int | None:
    """Return a model's limit on enqueued tokens: by option, else by tier; None: any number."""
    for name in (model, "*"):
        if name in options.enqueued_tokens:
            return options.enqueued_tokens[name]
    return tier_limit(options.tier, model) if options.tier else None


def tier_limit(tier: int, model: str) -> int | None:
    """Tokens of a model that may wait at once in ``tier`` (1, 2 or 3)."""
    limits = next(limits for pattern, limits in _TABLE if re.match(pattern, model))
    return limits[tier - 1]
