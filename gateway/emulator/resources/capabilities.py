"""Model capabilities by name: one table, the first row that matches decides.

Every column names its evidence; an unknown or newer name gets the newest behaviour.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

# Aliases -> the model that answers, and what ``modelVersion`` says.
RESOLVED: Final = {
    "gemini-flash-latest": "gemini-3.5-flash",
    "gemini-flash-lite-latest": "gemini-3.5-flash-lite",
    "gemini-pro-latest": "gemini-3.1-pro-preview",
    "nano-banana-pro-preview": "gemini-3-pro-image-preview",
}

ALL_LEVELS: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH")


@dataclass(frozen=True)
class ModelCapabilities:
    """The differences between models that show in answers or refusals; the defaults are 3.8's."""

    # Unless told otherwise (recordings: ``thoughtsTokenCount`` on 2.5 Pro, Flash and all of 3).
    thinks: bool = True
    # Whether thinkingConfig is allowed at all ([D]: an error on models that cannot).
    may_think: bool = True
    # thinkingLevel; none: 400 (RooCode#10700). MINIMAL of 3.7: 400 (kiss-translator#1048).
    levels: tuple[str, ...] = ("LOW", "MEDIUM", "HIGH")
    # thinkingBudget, besides -1 and 0 (ai.google.dev, "Thinking"); RooCode#4399.
    budget: tuple[int, int] = (0, 32768)
    # Whether a budget of 0 is allowed: never on a Pro.
    may_rest: bool = True
    # Insists on thought signatures: 3 and later (ai.google.dev, "Thought signatures").
    signs: bool = True
    # candidateCount: 8 up to 2.5, 1 from 3 on (js-genai#1609) and for pictures.
    candidates: int = 1
    # Non-zero penalties are a 400 from 2.5 on (cookbook#1290).
    penalties: bool = False
    # Refused by 2.5 Pro and Flash-Lite (generative-ai#135, python-genai#1921).
    logprobs: bool = True
    # A last turn of the model: 400 on 3.5 Flash-Lite and from 3.6 on (LibreChat agents#323).
    prefill: bool = False
    # Google's tools with functions: from 3 on; before, neither with JSON (go-genai#323).
    mixes: bool = True
    # Public URLs as fileUri: not 2.0 (baml#1548).
    urls: bool = True
    # Models before 2.5 tell avgLogprobs and details of the answer, and no index (recorded).
    old: bool = False
    # Served in the flex tier (ai.google.dev, "Flex inference": 2.5 and 3 text models).
    flex: bool = True
    # responseModalities that are accepted; the first is meant when nothing is asked.
    outputs: tuple[tuple[str, ...], ...] = (("TEXT",),)


_NEWEST: Final = ModelCapabilities()
_PICTURES: Final = (("TEXT", "IMAGE"), ("IMAGE",), ("TEXT",))
_THREE: Final = ModelCapabilities(levels=ALL_LEVELS, prefill=True)
_TWO_FIVE: Final = replace(
    _THREE, levels=(), budget=(0, 24576), signs=False, candidates=8, mixes=False
)
_OLD: Final = replace(
    _TWO_FIVE,
    thinks=False,
    may_think=False,
    penalties=True,
    urls=False,
    old=True,
    flex=False,
)
_MEDIA: Final = replace(
    _TWO_FIVE, thinks=False, may_think=False, candidates=1, logprobs=False, flex=False
)

# Pattern of a name -> capabilities; what matches nothing is as new as can be.
_TABLE: Final = (
    (r"gemini-1|gemini-2\.0|gemma-3|learnlm|aqa", _OLD),
    (r"gemma-4", replace(_TWO_FIVE, levels=("MINIMAL", "HIGH"), candidates=1, flex=False)),
    (r".*-tts", replace(_MEDIA, outputs=(("AUDIO",),))),
    (r"gemini-2\.5-flash-image", replace(_MEDIA, outputs=_PICTURES)),
    (
        r".*(-image|nano-banana)",
        replace(
            _THREE,
            levels=ALL_LEVELS,
            logprobs=False,
            may_rest=False,
            flex=False,
            outputs=_PICTURES,
        ),
    ),
    (r"gemini-2\.5-pro", replace(_TWO_FIVE, budget=(128, 32768), may_rest=False, logprobs=False)),
    (
        r"gemini-2\.5-flash-lite",
        replace(_TWO_FIVE, thinks=False, budget=(512, 24576), logprobs=False),
    ),
    (r"gemini-2\.5|gemini-robotics-er-1\.5", _TWO_FIVE),
    (r"gemini-3-pro", replace(_THREE, levels=("LOW", "HIGH"), may_rest=False)),
    (r"gemini-3\.1-pro", replace(_THREE, levels=("LOW", "MEDIUM", "HIGH"), may_rest=False)),
    (r"gemini-3\.5-flash-lite|gemini-3\.6", replace(_THREE, prefill=False)),
    (r"gemini-3(\.[1-5])?-|gemini-robotics|gemini-omni", _THREE),
    (r".*-pro", replace(_NEWEST, may_rest=False)),
    (r"gemini-([4-9]|\d\d)", replace(_NEWEST, levels=("LOW", "MEDIUM", "HIGH", "XHIGH"))),
)
_COMPILED: Final = tuple((re.compile(pattern), capabilities) for pattern, capabilities in _TABLE)


@lru_cache(maxsize=256)
def capabilities_of(model: str) -> ModelCapabilities:
    """Return the capabilities of a model by its bare name; an alias has those of its model."""
    name = RESOLVED.get(model, model)
    return next((found for pattern, found in _COMPILED if pattern.match(name)), _NEWEST)
