"""``reasoning`` -> ``thinkingConfig``: how much the model thinks, and whether it shows it."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_type, invalid_value, one_of
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request.draft import Draft
from gateway.translate.request.thinking import close_thinking, set_effort, thinks

REASONING: Final = FieldTable(
    mapped("effort", "`thinkingConfig.thinkingLevel`, or `thinkingBudget` on 2.5"),
    mapped("summary", "`thinkingConfig.includeThoughts`; its length cannot be told"),
    mapped("generate_summary", "like `summary`, its older name"),
    dropped("context", "a conversation is sent as it is given; current_turn is noted"),
    dropped("mode", "Gemini has no such setting; noted"),
)
_SUMMARIES: Final = ("auto", "concise", "detailed")
_CONTEXTS: Final = ("auto", "current_turn", "all_turns")


def read_reasoning(value: object, draft: Draft) -> None:
    """Write into ``generationConfig``.

    ``{"effort": "low", "summary": "auto"}`` ->
    ``{"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true}}``
    """
    if type(value) is not dict:
        invalid_type(value, "an object", "reasoning")
    REASONING.check(value, "reasoning")
    effort = value.get("effort")
    if effort is not None:
        set_effort(effort, "reasoning.effort", draft)
    summary = _summary(value, draft)
    _read_context(value.get("context"), draft)
    _read_mode(value.get("mode"), draft)
    draft.repeats["reasoning"] = {"effort": effort, "summary": summary}


def _summary(value: Json, draft: Draft) -> str | None:
    """The newer name wins."""
    for name in ("generate_summary", "summary"):
        word = value.get(name)
        if word is not None:
            if word not in _SUMMARIES:
                one_of(word, _SUMMARIES, f"reasoning.{name}")
            draft.summary_field = f"reasoning.{name}"
    if not draft.summary_field:
        return None
    summary: str = value.get("summary") or value["generate_summary"]
    if summary != "auto":
        draft.note("approximated", draft.summary_field)
    return summary


def _read_context(context: object, draft: Draft) -> None:
    if context is None:
        return
    if context not in _CONTEXTS:
        one_of(context, _CONTEXTS, "reasoning.context")
    if context == "current_turn":
        draft.note("dropped", "reasoning.context")


def _read_mode(mode: object, draft: Draft) -> None:
    """OpenAI's type lets any word pass."""
    if mode is None:
        return
    if type(mode) is not str:
        invalid_type(mode, "a string", "reasoning.mode")
    if mode != "standard":
        draft.note("dropped", "reasoning.mode")


def close_reasoning(draft: Draft) -> None:
    """Effort, Google's own configuration and the summary together.

    Thoughts of a model that does not think are a 400 ("include_thoughts is only enabled when
    thinking is enabled"), so there the summary is dropped.
    """
    close_thinking(draft, "reasoning.effort")
    if not draft.summary_field:
        return
    config: Json = draft.config.get("thinkingConfig", {})
    if config.get("includeThoughts") is False:
        why = "google.thinking_config says that thoughts are not included."
        invalid_value(why, draft.summary_field)
    if draft.can.effort is None or not thinks(draft, config):
        draft.note("dropped", draft.summary_field)
    else:
        draft.config["thinkingConfig"] = {**config, "includeThoughts": True}
