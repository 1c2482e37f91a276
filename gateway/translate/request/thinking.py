"""``reasoning_effort`` -> ``thinkingConfig``, by the model's family.

A level on 2.5 and a budget beside a level are 400s. What a model cannot do is clamped and noted:
in a batch a near answer is kinder than an error line.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.models.capabilities import BUDGETS, LEVELS, Capabilities, Effort
from gateway.translate.reading.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    one_of,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.request.draft import Draft
from gateway.translate.request.options import boolean, integer

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# -1 lets the model decide; 32,768 is the most any model has (2.5 Pro).
_LEAST_BUDGET: Final = -1
_MOST_BUDGET: Final = 32_768
# The efforts whose budgets differ, the least first.
_STEPS: Final = ("none", "low", "medium", "high")

THINKING: Final = FieldTable(
    mapped(
        "thinking_budget",
        "`thinkingConfig.thinkingBudget`; the nearest `thinkingLevel` on models without budgets",
    ),
    mapped("thinking_level", "`thinkingConfig.thinkingLevel`"),
    mapped("include_thoughts", "`thinkingConfig.includeThoughts`"),
)


def read_reasoning_effort(value: object, draft: Draft) -> None:
    """``"low"`` -> ``{"thinkingLevel": "LOW"}`` or, on 2.5, ``{"thinkingBudget": 1024}``."""
    set_effort(value, "reasoning_effort", draft)


def set_effort(value: object, field: str, draft: Draft) -> None:
    """The same, for an effort that stands in ``field`` of the body."""
    if type(value) is not str or value not in EFFORTS:
        one_of(value, EFFORTS, field)
    draft.effort = value
    table = draft.can.effort
    if table is None:
        draft.note("dropped", field)
        return
    chosen = _chosen(table, value)
    if value in draft.can.clamped:
        draft.note("clamped", field, _sent(chosen))
    draft.config["thinkingConfig"] = chosen


def least_thinking(can: Capabilities) -> Json:
    """The part of ``generationConfig`` that turns thinking down as far as the model lets it."""
    return {"thinkingConfig": _chosen(can.effort, "none")} if can.effort is not None else {}


def _chosen(table: Effort, effort: str) -> Json:
    chosen = table[effort]
    return {"thinkingLevel" if type(chosen) is str else "thinkingBudget": chosen}


def read_thinking_config(value: object, draft: Draft) -> None:
    """``{"thinking_budget": 512, "include_thoughts": true}``: Google's extension, checked."""
    if type(value) is not dict:
        invalid_type(value, "an object", "thinking_config")
    try:
        THINKING.check(value)
        config = _thinking_config(value, draft)
    except Refused as refusal:
        refusal.under("thinking_config")
        raise
    if config:
        draft.thinking = config


def _thinking_config(value: Json, draft: Draft) -> Json:
    config: Json = {}
    budget, level = value.get("thinking_budget"), value.get("thinking_level")
    if budget is not None and level is not None:
        invalid_value("a budget and a level exclude each other.", "thinking_level")
    if budget is not None:
        budget = integer(budget, _LEAST_BUDGET, _MOST_BUDGET, "thinking_budget")
    if value.get("include_thoughts") is not None:
        config["includeThoughts"] = boolean(value["include_thoughts"], "include_thoughts")
    efforts = draft.can.effort
    if efforts is None:
        if config or budget is not None or level is not None:
            unsupported_value("this model does not think.", "")
        return config
    if level is not None:
        config["thinkingLevel"] = _possible_level(level, efforts, draft)
    if budget is not None:
        config.update(_possible_budget(budget, efforts, draft))
    return config


def _possible_level(value: object, efforts: Effort, draft: Draft) -> str:
    """The level, or the next one that the model has: those above come before those below."""
    level = value.upper() if type(value) is str else ""
    if level not in LEVELS:
        one_of(value, LEVELS, "thinking_level")
    if not draft.can.thinking_levels:
        unsupported_value("this model takes a budget, not a level.", "thinking_level")
    known = [word for word in LEVELS if word in efforts.values()]
    if level in known or not known:
        return level
    at = LEVELS.index(level)
    nearest = next((word for word in known if LEVELS.index(word) > at), known[-1])
    _note_config(draft, "clamped", "thinking_level", {"thinkingLevel": nearest})
    return nearest


def _possible_budget(budget: int, efforts: Effort, draft: Draft) -> Json:
    """The budget, or the nearest one that the model has; a level where it has none of its own.

    The level is that of the least effort whose budget, in Google's table of efforts, is as large.
    """
    if type(efforts["none"]) is str:
        fitting = (effort for effort in _STEPS if BUDGETS[effort] >= budget)
        level = {} if budget < 0 else _chosen(efforts, next(fitting, "high"))
        _note_config(draft, "approximated", "thinking_budget", level)
        return level
    if budget < 0 or (budget == 0 and 0 in efforts.values()):
        return {"thinkingBudget": budget}
    possible = min(max(budget, draft.can.least_budget), max(map(int, efforts.values())))
    nearest: Json = {"thinkingBudget": possible}
    if possible != budget:
        _note_config(draft, "clamped", "thinking_budget", nearest)
    return nearest


def _note_config(draft: Draft, code: str, name: str, sent: Json) -> None:
    draft.note(code, f"{draft.google_path}.thinking_config.{name}", _sent(sent))


def _sent(config: Json) -> str:
    """``{"thinkingLevel": "LOW"}`` -> ``thinkingLevel LOW``: what is sent instead."""
    return " ".join(f"{name} {value}" for name, value in config.items())


def refuse_thoughts(draft: Draft) -> None:
    """Thoughts cost tokens, and the answers of some endpoints have no place for them."""
    if draft.thinking is not None and draft.thinking.get("includeThoughts"):
        where = f"{draft.google_path}.thinking_config.include_thoughts"
        unsupported_value("answers of this endpoint have no place for thoughts.", where)


def thinks(draft: Draft, config: Json) -> bool:
    """Whether the model thinks at all, as it is told."""
    told = "thinkingBudget" in config or "thinkingLevel" in config
    return bool(draft.can.thinks or told) and config.get("thinkingBudget") != 0


def _shown(config: Json, draft: Draft) -> Json:
    """Thoughts of a model that does not think are a 400, see responses_reasoning.py."""
    if config.get("includeThoughts") and not thinks(draft, config):
        draft.note("dropped", f"{draft.google_path}.thinking_config.include_thoughts")
        return {name: value for name, value in config.items() if name != "includeThoughts"}
    return config


def close_thinking(draft: Draft, effort_field: str = "reasoning_effort") -> None:
    """Effort and Google's own configuration cannot be combined (Google's own layer says so).

    Thoughts count among the tokens of the answer: a budget that takes them all is noted, because
    such an answer comes without a word (recorded: content without parts, MAX_TOKENS).
    """
    field = effort_field
    if draft.thinking is not None:
        if draft.effort is not None:
            invalid_value("it cannot be combined with google.thinking_config.", field)
        shown = _shown(draft.thinking, draft)
        if shown:
            draft.config["thinkingConfig"] = shown
        field = f"{draft.google_path}.thinking_config.thinking_budget"
    budget = draft.config.get("thinkingConfig", {}).get("thinkingBudget", 0)
    if budget >= draft.config.get("maxOutputTokens", budget + 1):
        draft.note("risky", field)
