"""The ledger: what each answer cost, by model and service tier, and what was spent of late.

Prices are those of the standard tier for text in US dollars per million tokens, up to 200,000
tokens of prompt (https://ai.google.dev/gemini-api/docs/pricing, transcripts of 2026-10 and
2026-11). Batch and flex cost half of them, a cached token a tenth of the standard price in every
tier ("Batch mode" and "Context caching"; that flex does not halve it is a third party's word).
"""

import re
from collections import deque
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Final

from gateway.emulator.protocol.clock import SECOND
from gateway.emulator.protocol.errors import JsonObject

MILLION: Final = 1_000_000
CACHED_SHARE: Final = 0.1
# Service tier -> its price, in parts of the standard price.
SHARES: Final = {"batch": 0.5, "flex": 0.5, "standard": 1.0, "priority": 1.75}
# Pattern of a model's name -> dollars for a million tokens of prompt and of answer.
_PRICES: tuple[tuple[str, tuple[float, float]], ...] = (
    (r".*embedding", (0.15, 0.0)),
    (r"gemini-2\.5-pro", (1.25, 10.0)),
    (r"gemini-2\.5-flash-lite", (0.1, 0.4)),
    (r"gemini-2\.5-flash", (0.3, 2.5)),
    (r"gemini-3-flash", (0.5, 3.0)),
    (r"gemini-3(\.1)?-pro", (2.0, 12.0)),
    (r"gemini-3\.1-flash-lite", (0.25, 1.5)),
    (r"gemini-3\.5-flash-lite", (0.3, 2.5)),
    (r"gemini-3\.5-flash", (1.5, 9.0)),
    (r"gemini-3\.[678]-flash", (0.75, 3.75)),
    (r".*", (2.0, 10.0)),
)
WINDOW_SECONDS: Final = 600.0
# Usage tier -> dollars in ten minutes (ai.google.dev, "Rate limits": spend-based throttle).
SPEND_LIMITS: Final = {1: 10.0, 2: 50.0, 3: 200.0}


@dataclass(frozen=True)
class Charge:
    """One paid answer; ``prompt`` is :func:`prompt_digest` of the last user text."""

    model: str
    # ``batch``, or the service tier of a synchronous call.
    tier: str
    prompt: str
    prompt_tokens: int
    answer_tokens: int
    usd: float
    # ``batches/...``; empty for a synchronous call.
    job: str = ""
    # The item's key in its job.
    key: str = ""

    def wire(self) -> JsonObject:
        """As the control route tells it."""
        return asdict(self)


def prompt_digest(text: str) -> str:
    """Name a prompt in the ledger, which holds none: 16 hex digits of its SHA-256."""
    return sha256(text.encode()).hexdigest()[:16]


def charge(
    model: str, tier: str, response: JsonObject, text: str, *, job: str = "", key: str = ""
) -> Charge:
    """Return the charge for a response to the prompt ``text``."""
    used = response.get("usageMetadata", {})
    asked = used.get("promptTokenCount", int(response.get("tokenCount", 0)))
    asked += used.get("toolUsePromptTokenCount", 0)
    cached = used.get("cachedContentTokenCount", 0)
    told = used.get("candidatesTokenCount", 0) + used.get("thoughtsTokenCount", 0)
    price, answer_price = next(both for name, both in _PRICES if re.match(name, model))
    full = (asked - cached) * price + told * answer_price
    usd = (full * SHARES[tier] + cached * price * CACHED_SHARE) / MILLION
    return Charge(model, tier, prompt_digest(text), asked, told, round(usd, 12), job, key)


class Spending:
    """Dollars of a project's synchronous calls in the last ten minutes."""

    def __init__(self) -> None:
        self._spent: deque[tuple[int, float]] = deque()

    def add(self, now_ns: int, usd: float) -> None:
        """Count what an answer cost."""
        self._spent.append((now_ns, usd))

    def recent(self, now_ns: int) -> float:
        """Dollars of the last ten minutes."""
        while self._spent and now_ns - self._spent[0][0] >= WINDOW_SECONDS * SECOND:
            self._spent.popleft()
        return sum(usd for _, usd in self._spent)
