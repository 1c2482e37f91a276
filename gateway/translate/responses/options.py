"""Options of a Responses line that are objects: ``text``, ``include`` and ``reasoning``."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
)
from gateway.translate.reading.table import FieldTable, Placing, dropped, mapped
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import member, string
from gateway.translate.request.options import ask_logprobs, boolean, read_verbosity
from gateway.translate.request.response_format import write_schema
from gateway.translate.request.thinking import resolve_thinking, set_effort, thinks

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


def read_text(value: object, builder: RequestBuilder) -> None:
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
            repeated = {"format": _read_format(member(value, "format"), builder)}
    except Refused as refusal:
        refusal.prefixed("text")
        raise
    if value.get("verbosity") is not None:
        read_verbosity(value["verbosity"], builder, "text.verbosity")
        repeated["verbosity"] = value["verbosity"]
    builder.repeats["text"] = repeated


def _read_format(value: Json, builder: RequestBuilder) -> Json:
    try:
        return _format(value, builder)
    except Refused as refusal:
        refusal.prefixed("format")
        raise


def _format(value: Json, builder: RequestBuilder) -> Json:
    TEXT_FORMAT.check(value)
    kind = value.get("type")
    if kind is None:
        missing("type")
    if kind not in _TYPES:
        invalid_choice(kind, _TYPES, "type")
    if kind == "text":
        return {"type": "text"}
    builder.config["responseMimeType"] = "application/json"
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
    write_schema(value, "text.format", builder)
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


def read_include(value: object, builder: RequestBuilder) -> None:
    """``["reasoning.encrypted_content"]``."""
    if type(value) is not list:
        invalid_type(value, "an array of strings", "include")
    for index, name in enumerate(value):
        row = INCLUDE.by_name.get(name) if type(name) is str else None
        if row is None:
            invalid_choice(name, INCLUDE.by_name, f"include[{index}]")
        if name in _ECHOED:
            builder.echo[_ECHOED[name]] = True
        elif row.placing is Placing.MAPPED:
            builder.logprobs = True
        elif name == "web_search_call.results":
            builder.note("dropped", f"include[{index}]")


def resolve_include(builder: RequestBuilder) -> None:
    """Log probabilities come when ``include`` asks; how many alternatives, another field says."""
    if builder.logprobs:
        ask_logprobs(builder, "include")
    elif builder.top_logprobs:
        builder.note("dropped", "top_logprobs")


REASONING: Final = FieldTable(
    mapped("effort", "`thinkingConfig.thinkingLevel`, or `thinkingBudget` on 2.5"),
    mapped("summary", "`thinkingConfig.includeThoughts`; its length cannot be told"),
    mapped("generate_summary", "like `summary`, its older name"),
    dropped("context", "a conversation is sent as it is given; current_turn is noted"),
    dropped("mode", "Gemini has no such setting; noted"),
)
_SUMMARIES: Final = ("auto", "concise", "detailed")
_CONTEXTS: Final = ("auto", "current_turn", "all_turns")


def read_reasoning(value: object, builder: RequestBuilder) -> None:
    """Write into ``generationConfig``.

    ``{"effort": "low", "summary": "auto"}`` ->
    ``{"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true}}``
    """
    if type(value) is not dict:
        invalid_type(value, "an object", "reasoning")
    REASONING.check(value, "reasoning")
    effort = value.get("effort")
    if effort is not None:
        set_effort(effort, "reasoning.effort", builder)
    summary = _summary(value, builder)
    _read_context(value.get("context"), builder)
    _read_mode(value.get("mode"), builder)
    builder.repeats["reasoning"] = {"effort": effort, "summary": summary}


def _summary(value: Json, builder: RequestBuilder) -> str | None:
    """The newer name wins."""
    for name in ("generate_summary", "summary"):
        word = value.get(name)
        if word is not None:
            if word not in _SUMMARIES:
                invalid_choice(word, _SUMMARIES, f"reasoning.{name}")
            builder.summary_field = f"reasoning.{name}"
    if not builder.summary_field:
        return None
    summary: str = value.get("summary") or value["generate_summary"]
    if summary != "auto":
        builder.note("approximated", builder.summary_field)
    return summary


def _read_context(context: object, builder: RequestBuilder) -> None:
    if context is None:
        return
    if context not in _CONTEXTS:
        invalid_choice(context, _CONTEXTS, "reasoning.context")
    if context == "current_turn":
        builder.note("dropped", "reasoning.context")


def _read_mode(mode: object, builder: RequestBuilder) -> None:
    """OpenAI's type lets any word pass."""
    if mode is None:
        return
    if type(mode) is not str:
        invalid_type(mode, "a string", "reasoning.mode")
    if mode != "standard":
        builder.note("dropped", "reasoning.mode")


def resolve_reasoning(builder: RequestBuilder) -> None:
    """Effort, Google's own configuration and the summary together.

    Thoughts of a model that does not think are a 400 ("include_thoughts is only enabled when
    thinking is enabled"), so there the summary is dropped.
    """
    resolve_thinking(builder, "reasoning.effort")
    if not builder.summary_field:
        return
    config: Json = builder.config.get("thinkingConfig", {})
    if config.get("includeThoughts") is False:
        why = "google.thinking_config says that thoughts are not included."
        invalid_value(why, builder.summary_field)
    if builder.can.effort is None or not thinks(builder, config):
        builder.note("dropped", builder.summary_field)
    else:
        builder.config["thinkingConfig"] = {**config, "includeThoughts": True}
