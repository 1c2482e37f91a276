"""Lives of Gemini models: when one was released, and when Google shuts it down.

Read on 2026-11-29 from transcripts of https://ai.google.dev/gemini-api/docs/deprecations, the
latest of 2026-11-10 (dev.to/aideprecations); its dates are the earliest ones. A model without a
row was released in the month that its version names in Google's list (``3.6-flash-07-2026``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# A release month at the end of a version or a name.
_MONTH: Final = re.compile(r"(?:^|-)(0[1-9]|1[0-2])-(20\d\d)$")


@dataclass(frozen=True, slots=True)
class Life:
    """Days as ``2026-12-01``; None: not known, or not announced."""

    released: str | None = None
    shutdown: str | None = None
    instead: str | None = None  # what Google recommends, or serves from that day on


_LIVES: Final[Mapping[str, Life]] = {
    "gemini-2.0-flash": Life("2025-02-05", "2026-06-01", "gemini-3.5-flash"),
    "gemini-2.0-flash-001": Life("2025-02-05", "2026-06-01", "gemini-3.5-flash"),
    "gemini-2.0-flash-lite": Life("2025-02-25", "2026-06-01", "gemini-3.5-flash-lite"),
    "gemini-2.0-flash-lite-001": Life("2025-02-25", "2026-06-01", "gemini-3.5-flash-lite"),
    "gemini-2.5-pro": Life("2025-06-17", "2026-12-01", "gemini-3.8-flash"),
    "gemini-2.5-flash": Life("2025-06-17", "2026-12-01", "gemini-3.5-flash-lite"),
    "gemini-2.5-flash-lite": Life("2025-07-22"),  # "not deprecated … until further notice"
    "gemini-2.5-flash-image": Life("2025-10-02", "2026-10-02", "gemini-3.1-flash-image"),
    "gemini-3-pro-preview": Life("2025-11-18", "2026-03-09", "gemini-3.1-pro-preview"),
    "gemini-3-pro-image-preview": Life("2025-11-20", "2026-06-25", "gemini-3-pro-image"),
    "gemini-3-flash-preview": Life("2025-12-17"),
    "gemini-3.1-pro-preview": Life("2026-02-19"),
    "gemini-3.1-flash-image-preview": Life("2026-02-26", "2026-06-25", "gemini-3.1-flash-image"),
    "gemini-3.1-flash-lite-preview": Life("2026-03-03"),
    "gemini-3.1-flash-lite": Life("2026-05-07", "2027-05-07"),
    "gemini-3.5-flash": Life("2026-05-19"),
    "gemini-3-pro-image": Life("2026-05-28"),
    "gemini-3.1-flash-image": Life("2026-05-28"),
}


def life_of(model: str, version: str = "") -> Life:
    """Return what is known of a model; ``version`` is that of Google's list."""
    known = _LIVES.get(model)
    if known is not None:
        return known
    found = _MONTH.search(version) or _MONTH.search(model)
    return Life() if found is None else Life(f"{found[2]}-{found[1]}-01")
