"""``reasoning_effort`` -> ``thinkingConfig``, by the model's family.

A level on 2.5, and a budget together with a level, are 400s. What a model cannot do is clamped
and noted: in a batch a near answer is kinder than an error line.
"""

from typing import Final

from gateway.translate.contract import Json, NoteCode
from gateway.translate.models.capabilities import BUDGETS, LEVELS, Capabilities, Effort
from gateway.translate.reading.checks import boolean, integer, keyword, one_of
from gateway.translate.reading.refusal import invalid_value, unsupported_value
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.request.builder import RequestBuilder

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# -1 lets the model decide; 32,768 is the most any model has (2.5 Pro).
_LEAST_BUDGET: Final = -1
_MOST_BUDGET: Final = 32_768
# The efforts whose budgets differ, the least first.
_STEPS: Final = ("none", "low", "medium", "high")

THINKING: Final = FieldTable(
    "google.thinking_config",
    mapped(
        "thinking_budget",
        "`thinkingConfig.thinkingBudget`; the nearest `thinkingLevel` on models without budgets",
        integer(_LEAST_BUDGET, _MOST_BUDGET),
    ),
    mapped("thinking_level", "`thinkingConfig.thinkingLevel`", keyword(*LEVELS)),
    mapped("include_thoughts", "`thinkingConfig.includeThoughts`", boolean),
)
effort: Final = one_of(*EFFORTS)


def read_reasoning_effort(value: str, builder: RequestBuilder) -> None:
    """``"low"`` -> ``{"thinkingLevel": "LOW"}`` or, on 2.5, ``{"thinkingBudget": 1024}``."""
    set_effort(value, "reasoning_effort", builder)


def set_effort(value: str, field: str, builder: RequestBuilder) -> None:
    """Write an effort, which is in ``field`` of the body, into ``thinkingConfig``."""
    builder.effort = value
    table = builder.can.effort
    if table is None:
        builder.note("dropped", field)
        return
    chosen = _chosen(table, value)
    if value in builder.can.clamped:
        builder.note("clamped", field, _sent(chosen))
    builder.config["thinkingConfig"] = chosen


def least_thinking(can: Capabilities) -> Json:
    """Return the part of ``generationConfig`` that turns thinking down as far as possible."""
    return {"thinkingConfig": _chosen(can.effort, "none")} if can.effort is not None else {}


def _chosen(table: Effort, effort: str) -> Json:
    chosen = table[effort]
    return {"thinkingLevel" if type(chosen) is str else "thinkingBudget": chosen}


def read_thinking_config(value: Json, builder: RequestBuilder) -> None:
    """``{"thinking_budget": 512, "include_thoughts": true}``: Google's extension."""
    config = _thinking_config(value, builder)
    if config:
        builder.thinking = config


def _thinking_config(value: Json, builder: RequestBuilder) -> Json:
    config: Json = {}
    budget, level = value.get("thinking_budget"), value.get("thinking_level")
    if budget is not None and level is not None:
        invalid_value("a budget and a level exclude each other.", "thinking_level")
    if "include_thoughts" in value:
        config["includeThoughts"] = value["include_thoughts"]
    efforts = builder.can.effort
    if efforts is None:
        if config or budget is not None or level is not None:
            unsupported_value("this model does not think.")
        return config
    if level is not None:
        config["thinkingLevel"] = _possible_level(level, efforts, builder)
    if budget is not None:
        config.update(_possible_budget(budget, efforts, builder))
    return config


def _possible_level(level: str, efforts: Effort, builder: RequestBuilder) -> str:
    """Return the level, or the next one that the model has: those above come before those below."""
    if not builder.can.thinking_levels:
        unsupported_value("this model takes a budget, not a level.", "thinking_level")
    known = [word for word in LEVELS if word in efforts.values()]
    if level in known or not known:
        return level
    at = LEVELS.index(level)
    nearest = next((word for word in known if LEVELS.index(word) > at), known[-1])
    _note_config(builder, "clamped", "thinking_level", {"thinkingLevel": nearest})
    return nearest


def _possible_budget(budget: int, efforts: Effort, builder: RequestBuilder) -> Json:
    """Return the budget, or the nearest that the model has; a level where it has no budgets.

    The level is that of the least effort whose budget, in Google's table of efforts, is as large.
    """
    if type(efforts["none"]) is str:
        fitting = (effort for effort in _STEPS if BUDGETS[effort] >= budget)
        level = {} if budget < 0 else _chosen(efforts, next(fitting, "high"))
        _note_config(builder, "approximated", "thinking_budget", level)
        return level
    if budget < 0 or (budget == 0 and 0 in efforts.values()):
        return {"thinkingBudget": budget}
    possible = min(max(budget, builder.can.least_budget), max(map(int, efforts.values())))
    nearest: Json = {"thinkingBudget": possible}
    if possible != budget:
        _note_config(builder, "clamped", "thinking_budget", nearest)
    return nearest


def _note_config(builder: RequestBuilder, code: NoteCode, name: str, sent: Json) -> None:
    builder.note(code, f"{builder.google_path}.thinking_config.{name}", _sent(sent))


def _sent(config: Json) -> str:
    """``{"thinkingLevel": "LOW"}`` -> ``thinkingLevel LOW``: what is sent instead."""
    return " ".join(f"{name} {value}" for name, value in config.items())


def refuse_thoughts(builder: RequestBuilder) -> None:
    """Thoughts cost tokens, and the answers of some endpoints have no place for them."""
    if builder.thinking is not None and builder.thinking.get("includeThoughts"):
        where = f"{builder.google_path}.thinking_config.include_thoughts"
        unsupported_value("answers of this endpoint have no place for thoughts.", where)


def thinks(builder: RequestBuilder, config: Json) -> bool:
    """Whether the model thinks at all, as it is told."""
    told = "thinkingBudget" in config or "thinkingLevel" in config
    return bool(builder.can.thinks or told) and config.get("thinkingBudget") != 0


def _shown(config: Json, builder: RequestBuilder) -> Json:
    """Thoughts of a model that does not think are a 400, see :func:`show_thoughts`."""
    if config.get("includeThoughts") and not thinks(builder, config):
        builder.note("dropped", f"{builder.google_path}.thinking_config.include_thoughts")
        return {name: value for name, value in config.items() if name != "includeThoughts"}
    return config


def resolve_thinking(builder: RequestBuilder, effort_field: str = "reasoning_effort") -> None:
    """Effort and Google's own configuration cannot be combined (Google's own layer says so).

    Thoughts count among the tokens of the answer: a budget that takes them all is noted, because
    such an answer comes without a word (recorded: content without parts, MAX_TOKENS).
    """
    field = effort_field
    if builder.thinking is not None:
        if builder.effort is not None:
            invalid_value("it cannot be combined with google.thinking_config.", field)
        shown = _shown(builder.thinking, builder)
        if shown:
            builder.config["thinkingConfig"] = shown
        field = f"{builder.google_path}.thinking_config.thinking_budget"
    budget = builder.config.get("thinkingConfig", {}).get("thinkingBudget", 0)
    if budget >= builder.config.get("maxOutputTokens", budget + 1):
        builder.note("risky", field)
