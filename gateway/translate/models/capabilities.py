"""Capabilities of each generation of Gemini models; unknown models count as the newest.

The evidence of each row is the issue or page named with it. A new generation is one more row;
until there is one, the setting ``GATEWAY_CAPABILITIES`` changes a row.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Final

from gateway.translate.contract import Json, Policy

Effort = dict[str, int] | dict[str, str]
Overrides = Mapping[str, Mapping[str, Any]]
LEVELS: Final = ("MINIMAL", "LOW", "MEDIUM", "HIGH")

# Google's own table of reasoning_effort (ai.google.dev "OpenAI compatibility", "Thinking").
# Numbers are thinkingBudget (2.5), words thinkingLevel (3 and later): the two are exclusive, and
# a level on 2.5 is a 400.
BUDGETS: Final[dict[str, int]] = {
    "none": 0,
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
# 2.5 Pro cannot stop thinking (128 is its least) and may think longer.
_PRO_BUDGETS: Final[dict[str, int]] = {**BUDGETS, "none": 128, "xhigh": 32768, "max": 32768}
_LEVELS: Final[dict[str, str]] = {
    "none": "LOW",
    "minimal": "LOW",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}
_MINIMAL_LEVELS: Final[dict[str, str]] = {**_LEVELS, "none": "MINIMAL", "minimal": "MINIMAL"}
# The first 3 Pro knew LOW and HIGH only.
_TWO_LEVELS: Final[dict[str, str]] = {**_LEVELS, "medium": "HIGH"}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The differences between models that change a request. The defaults are the newest."""

    # candidateCount above 1: 400 "Multiple candidates is not enabled for this model" on 3.x
    # (js-genai#1609, python-genai#1723). 0: fan out.
    max_candidates: int = 1
    # Non-zero penalties: 400 "Penalty is not enabled" from 2.5 on (cookbook#1290, litellm#26108).
    penalties: bool = False
    # temperature, topP, topK have no effect or are refused on 3.5-flash-lite and 3.6+
    # (changelog 2026-07-21).
    sampling: bool = False
    # A conversation that ends with the model's turn: 400 on 3.5-flash-lite and 3.6+ (same page).
    prefill: bool = False
    # functionCall parts need a thoughtSignature (thought-signatures page: 3 and later).
    signatures: bool = True
    # mediaResolution on a part: 3 and later; before only for the whole request.
    part_resolution: bool = True
    # Functions together with a response schema or JSON mode: 2.5 answers 400 "Function calling
    # with a response mime type: 'application/json' is unsupported".
    tools_with_json: bool = True
    # Built-in tools together with functions: 3 and later, with includeServerSideToolInvocations.
    mixed_tools: bool = True
    # logprobs: off on 2.5-pro and 2.5-flash-lite (issues); elsewhere Gemini decides.
    logprobs: bool = True
    # Media inside a functionResponse: 3 and later (page "Function calling", multimodal results).
    result_parts: bool = True
    # 2.5 Flash-Lite thinks only when it is told to (page "Thinking").
    thinks: bool = True
    # reasoning_effort -> thinkingLevel or thinkingBudget; None: the model does not think.
    effort: Effort | None = None
    # Answers in speech and in nothing else.
    speaks: bool = False
    # systemInstruction: 400 "Developer instruction is not enabled for this model" on models that
    # speak (adt-studio#476, robot_comic#122).
    instructions: bool = True
    # The least thinkingBudget above 0 (page "Thinking"); the most, and whether 0 is one, say the
    # efforts.
    least_budget: int = 1
    # thinkingLevel is a 400 on 2.5.
    thinking_levels: bool = True
    # The efforts that only come near what was asked for: noted as clamped.
    clamped: frozenset[str] = frozenset()
    # Answers are images or sound, megabytes each.
    media: bool = False
    # outputTokenLimit of ListModels (November 2026): 65,536 of every text model from 2.5 on. Above
    # it some got a 400 (CLIProxyAPI#3469), so the limit itself is sent.
    most_tokens: int = 65_536
    # Embeddings: taskType is ignored, words before the text say it (gemini-embedding-2 and later).
    task_words: bool = True
    # outputDimensionality above it is a 400; an unknown model may have larger vectors.
    most_dimensions: int = 65_536
    # gemini-embedding-001 vectors have unit length at this size only; 0: always.
    full_dimensions: int = 0


_NEWEST: Final = Capabilities(effort=_LEVELS, clamped=frozenset({"none", "minimal"}))
_GEMINI_3: Final = replace(
    _NEWEST, sampling=True, prefill=True, effort=_MINIMAL_LEVELS, clamped=frozenset({"none"})
)
_GEMINI_25: Final = replace(
    _GEMINI_3,
    max_candidates=8,
    signatures=False,
    part_resolution=False,
    tools_with_json=False,
    mixed_tools=False,
    result_parts=False,
    thinking_levels=False,
    effort=BUDGETS,
    clamped=frozenset(),
)

_SPEAKS: Final[dict[str, Any]] = {
    "effort": None,
    "media": True,
    "speaks": True,
    "instructions": False,
    "max_candidates": 1,
    "most_tokens": 16_384,
}
# The first pattern that matches the model's name decides; `-latest` aliases, tuned models and
# everything else fall through to the newest.
_GENERATIONS: Final = tuple(
    (re.compile(pattern), capabilities)
    for pattern, capabilities in (
        (
            r"(gemini-embedding-001|text-embedding-)",
            replace(
                _NEWEST, effort=None, full_dimensions=3072, most_dimensions=3072, task_words=False
            ),
        ),
        (r"gemini-embedding-2(-|$)", replace(_GEMINI_3, effort=None, most_dimensions=3072)),
        (r"gemini-2\.5-.*-tts", replace(_GEMINI_25, **_SPEAKS)),
        (r".*-tts", replace(_GEMINI_3, **_SPEAKS)),
        (
            r"gemini-2\.5-.*image",
            replace(_GEMINI_25, effort=None, media=True, max_candidates=1, most_tokens=32_768),
        ),
        (r".*(-image|imagen|nano-banana)", replace(_GEMINI_3, effort=None, media=True)),
        (r".*(embedding|transcribe)", replace(_GEMINI_3, effort=None)),
        (r"gemini-(1\.|2\.0)", replace(_GEMINI_25, penalties=True, effort=None, most_tokens=8192)),
        (
            r"gemini-2\.5-pro",
            replace(
                _GEMINI_25,
                logprobs=False,
                effort=_PRO_BUDGETS,
                clamped=frozenset({"none"}),
                least_budget=128,
            ),
        ),
        (
            r"gemini-2\.5-flash-lite",
            replace(_GEMINI_25, logprobs=False, thinks=False, least_budget=512),
        ),
        (r"gemini-2\.5", _GEMINI_25),
        (
            r"gemini-3-pro",
            replace(
                _GEMINI_3, effort=_TWO_LEVELS, clamped=frozenset({"none", "minimal", "medium"})
            ),
        ),
        (
            r"gemini-3\.1-pro",
            replace(_GEMINI_3, effort=_LEVELS, clamped=frozenset({"none", "minimal"})),
        ),
        (r"gemini-3\.5-flash-lite", replace(_GEMINI_3, sampling=False, prefill=False)),
        (r"gemini-(3|3\.[1-5])-", _GEMINI_3),
        (r"gemini-3\.6", replace(_GEMINI_3, sampling=False, prefill=False)),
    )
)


@lru_cache(maxsize=1024)
def capabilities_of(model: str, policy: Policy) -> Capabilities:
    """Look up a model; an unknown name gets the newest behaviour."""
    given = _override(model, policy.capabilities)
    can = _by_generation(model)
    return _changed(can, given) if given else can


def _by_generation(model: str) -> Capabilities:
    for pattern, capabilities in _GENERATIONS:
        if pattern.match(model):
            return capabilities
    return _NEWEST


def _override(model: str, overrides: Overrides) -> Mapping[str, Any]:
    """Find the override of this model by name, else by the longest ``gemini-4*`` that fits."""
    if model in overrides:
        return overrides[model]
    fitting = [key for key in overrides if key.endswith("*") and model.startswith(key[:-1])]
    return overrides[max(fitting, key=len)] if fitting else {}


def _changed(can: Capabilities, given: Mapping[str, Any]) -> Capabilities:
    """Apply an override. Errors: ValueError that names the member and what it may be."""
    kinds = {field.name: type(getattr(_NEWEST, field.name)) for field in fields(Capabilities)}
    changes: Json = {}
    for name, value in given.items():
        if name not in kinds:
            raise ValueError(f"{name!r} is none of {', '.join(kinds)}")
        if name == "effort":
            changes[name] = _efforts(can.effort, value)
        elif name == "clamped":
            changes[name] = _clamped(value)
        elif type(value) is not kinds[name] or (type(value) is int and value < 0):
            kind = "true or false" if kinds[name] is bool else "a whole number"
            raise ValueError(f"{name!r} must be {kind}")
        else:
            changes[name] = value
    return replace(can, **changes)


def _efforts(known: Effort | None, value: object) -> Effort | None:
    """Budgets or levels by effort, those that are not given as they were; null: does not think."""
    if value is None:
        return None
    if type(value) is not dict:
        raise ValueError("'effort' must be a JSON object or null")
    efforts: dict[str, Any] = {**(known or {}), **value}
    kinds = set(map(type, efforts.values()))
    if efforts.keys() != _LEVELS.keys() or kinds not in ({int}, {str}):
        every = ", ".join(_LEVELS)
        raise ValueError(f"'effort' must give budgets, or levels, for {every}")
    if kinds == {str} and not set(efforts.values()) <= set(LEVELS):
        raise ValueError(f"'effort' must give levels out of {', '.join(LEVELS)}")
    return efforts


def _clamped(value: object) -> frozenset[str]:
    if type(value) is not list or not all(effort in _LEVELS for effort in value):
        raise ValueError(f"'clamped' must be an array out of {', '.join(_LEVELS)}")
    return frozenset(value)


def check_capabilities(overrides: Overrides) -> None:
    """Check that overrides such as ``{"gemini-4*": {"sampling": true}}`` can be applied.

    Errors: ValueError that names model and member.
    """
    for key, given in overrides.items():
        try:
            _changed(_by_generation(key.removesuffix("*")), given)
        except ValueError as error:
            raise ValueError(f"{key!r}: {error}") from None
