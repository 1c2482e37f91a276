"""Enqueued tokens of batch jobs by usage tier (ai.google.dev, "Rate limits", up to 2026-08-28).

Copies of that page disagree in detail, and newer models have no row: they get that of their family.
"""

import re

MILLION = 1_000_000
BILLION = 1000 * MILLION

_TABLE: tuple[tuple[str, tuple[int, int | None, int | None]], ...] = (
    (r".*(-image|nano-banana)", (2 * MILLION, 270 * MILLION, BILLION)),
    (r".*-tts", (25_000, None, None)),
    (r".*embedding", (500_000, 5 * MILLION, 10 * MILLION)),
    (r".*flash-lite", (10 * MILLION, 500 * MILLION, BILLION)),
    (r"gemini-2\.0-flash", (10 * MILLION, BILLION, 5 * BILLION)),
    (r".*-pro", (5 * MILLION, 500 * MILLION, BILLION)),
    (r".*", (3 * MILLION, 400 * MILLION, BILLION)),
)
"""Pattern of a model's name -> its limits in tier 1, 2, 3; None where the page has none."""


def tier_limit(tier: int, model: str) -> int | None:
    """Tokens of a model that may wait at once in ``tier`` (1, 2 or 3)."""
    limits = next(limits for pattern, limits in _TABLE if re.match(pattern, model))
    return limits[tier - 1]
