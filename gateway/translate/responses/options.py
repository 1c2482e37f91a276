"""Options of a Responses line that are objects: ``text``, ``include`` and ``reasoning``."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_type, invalid_value, missing, one_of
from gateway.translate.reading.table import FieldTable, Placing, dropped, mapped
from gateway.translate.request.content import member, string
from gateway.translate.request.draft import Draft
from gateway.translate.request.options import ask_logprobs, boolean, read_verbosity
from gateway.translate.request.response_format import write_schema
from gateway.translate.request.thinking import close_thinking, set_effort, thinks

TEXT: Final = FieldTable(
    mapped("format", "`responseMimeType`, `responseSchema`"),
    dropped("verbosity", "Gemini has no such setting; noted"),
)
TEXT_FORMAT: Final = FieldTable(
    mapped("type", "`responseMimeType`"),
    mapped("schema", "`responseSchema`; with recursion, maps or tuples `responseJsonSchema`"),
    mapped("description", "`description` of a schema that has none"),
    dropped("name", "Gemini's schemas have no names; echoed in the answer"),
    dropped("strict", "Gemini's schemas are always strict; echoed in the answer"),
)
_TYPES: Final = ("text", "json_object", "json_schema")


def read_text(value: object, draft: Draft) -> None:
    """Write into ``generationConfig``.

    ``{"format": {"type": "json_schema", "name": "x", "schema": {…}}}`` ->
    ``{"responseMimeType": "application/json", "responseSchema": {…}}``
    """
    if type(value) is not dict:
        invalid_type(value, "an object", "text")
    try:
        TEXT.check(value)
        repeated: Json = {"format": {"type": "text"}}
        if value.get("format") is not None:
            repeated = {"format": _read_format(member(value, "format"), draft)}
    except Refused as refusal:
        refusal.under("text")
        raise
    if value.get("verbosity") is not None:
        read_verbosity(value["verbosity"], draft, "text.verbosity")
        repeated["verbosity"] = value["verbosity"]
    draft.repeats["text"] = repeated


def _read_format(value: Json, draft: Draft) -> Json:
    try:
        return _format(value, draft)
    except Refused as refusal:
        refusal.under("format")
        raise


def _format(value: Json, draft: Draft) -> Json:
    TEXT_FORMAT.check(value)
    kind = value.get("type")
    if kind is None:
        missing("type")
    if kind not in _TYPES:
        one_of(kind, _TYPES, "type")
    if kind == "text":
        return {"type": "text"}
    draft.config["responseMimeType"] = "application/json"
    if kind == "json_object":
        return {"type": "json_object"}
    repeated: Json = {
        "type": "json_schema",
        "name": string(value, "name"),
        "schema": member(value, "schema"),
        "description": value.get("description"),
        "strict": value.get("strict"),
    }
    if repeated["strict"] is not None:
        boolean(repeated["strict"], "strict")
    write_schema(value, "text.format", draft)
    return repeated


INCLUDE: Final = FieldTable(
    mapped("message.output_text.logprobs", "`generationConfig.responseLogprobs`"),
    mapped(
        "reasoning.encrypted_content",
        "Gemini's signatures, to be sent back with the reasoning item",
    ),
    mapped("code_interpreter_call.outputs", "what the code printed"),
    mapped("web_search_call.action.sources", "the pages that an answer rests on"),
    dropped("web_search_call.results", "Gemini does not show them; noted"),
    dropped("file_search_call.results", "there is no file search"),
    dropped("computer_call_output.output.image_url", "an answer does not repeat its input"),
    dropped("message.input_image.image_url", "an answer does not repeat its input"),
)
# What FromGemini is told of each.
_ECHOED: Final = {
    "reasoning.encrypted_content": "signatures",
    "code_interpreter_call.outputs": "outputs",
    "web_search_call.action.sources": "sources",
}


def read_include(value: object, draft: Draft) -> None:
    """``["reasoning.encrypted_content"]``."""
    if type(value) is not list:
        invalid_type(value, "an array of strings", "include")
    for index, name in enumerate(value):
        row = INCLUDE.by_name.get(name) if type(name) is str else None
        if row is None:
            one_of(name, INCLUDE.by_name, f"include[{index}]")
        if name in _ECHOED:
            draft.echo[_ECHOED[name]] = True
        elif row.placing is Placing.MAPPED:
            draft.logprobs = True
        elif name == "web_search_call.results":
            draft.note("dropped", f"include[{index}]")


def close_include(draft: Draft) -> None:
    """Log probabilities come when ``include`` asks; how many alternatives, another field says."""
    if draft.logprobs:
        ask_logprobs(draft, "include")
    elif draft.top_logprobs:
        draft.note("dropped", "top_logprobs")


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
