"""Options of a Responses line that are objects: ``text``, ``include`` and ``reasoning``."""

from typing import Final, Literal

from gateway.translate.contract import Json
from gateway.translate.reading import checks
from gateway.translate.reading.refusal import at, invalid_value
from gateway.translate.reading.table import FieldTable, Placing, dropped, mapped, noted
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.fields import VERBOSITY, ask_logprobs
from gateway.translate.request.response_format import FORMAT_TYPES, ask_json, write_schema
from gateway.translate.request.thinking import effort, resolve_thinking, set_effort, thinks

SUMMARIES: Final = ("auto", "concise", "detailed")
_summary: Final = checks.one_of(*SUMMARIES)
TEXT_FORMAT: Final = FieldTable(
    "/v1/responses text.format",
    mapped("type", "`responseMimeType`", checks.one_of(*FORMAT_TYPES), required=True),
    mapped("schema", "`responseSchema`; with recursion, maps or tuples `responseJsonSchema`"),
    mapped("description", "`description` of a schema that has none"),
    dropped("name", "Gemini's schemas have no names; echoed in the answer"),
    dropped("strict", "Gemini's schemas are always strict; echoed in the answer"),
)


TEXT: Final = FieldTable(
    "/v1/responses text",
    mapped("format", "`responseMimeType`, `responseSchema`", checks.json_object),
    VERBOSITY,
)


def read_text(value: Json, builder: RequestBuilder) -> None:
    """Write into ``generationConfig``.

    ``{"format": {"type": "json_schema", "name": "x", "schema": {…}}}`` ->
    ``{"responseMimeType": "application/json", "responseSchema": {…}}``
    """
    repeated: Json = {"format": {"type": "text"}, **value}
    if "format" in value:
        repeated["format"] = at("format", _read_format, value["format"], builder)
    builder.repeats["text"] = repeated


def _read_format(value: Json, builder: RequestBuilder) -> Json:
    kind = TEXT_FORMAT(value)["type"]
    if kind == "text":
        return {"type": "text"}
    ask_json(builder)
    if kind == "json_object":
        return {"type": "json_object"}
    repeated: Json = {
        "type": "json_schema",
        "name": checks.text_of(value, "name"),
        "schema": checks.member(value, "schema"),
        "description": value.get("description"),
        "strict": value.get("strict"),
    }
    if repeated["strict"] is not None:
        at("strict", checks.boolean, repeated["strict"])
    write_schema(value, "text.format", builder)
    return repeated


INCLUDE: Final = FieldTable(
    "/v1/responses include[]",
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
# What the answer needs to know of each.
_HINTS: Final[dict[str, Literal["signatures", "outputs", "sources"]]] = {
    "reasoning.encrypted_content": "signatures",
    "code_interpreter_call.outputs": "outputs",
    "web_search_call.action.sources": "sources",
}
include: Final = checks.list_of(lambda name: INCLUDE.kind(name, ""))


def read_include(value: list[str], builder: RequestBuilder) -> None:
    """``["reasoning.encrypted_content"]``."""
    for index, name in enumerate(value):
        if name in _HINTS:
            builder.hints[_HINTS[name]] = True
        elif INCLUDE.by_name[name].placing is Placing.MAPPED:
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
    "/v1/responses reasoning",
    mapped("effort", "`thinkingConfig.thinkingLevel`, or `thinkingBudget` on 2.5", effort),
    mapped("summary", "`thinkingConfig.includeThoughts`, whatever its length", _summary),
    mapped("generate_summary", "like `summary`, its older name", _summary),
    noted(
        "context",
        "a conversation is sent as it is given; current_turn is noted",
        checks.one_of("auto", "current_turn", "all_turns"),
        "auto",
        "all_turns",
    ),
    # OpenAI's type lets any word pass.
    noted("mode", "Gemini has no such setting; noted", checks.string, "standard"),
)


def read_reasoning(value: Json, builder: RequestBuilder) -> None:
    """Write into ``generationConfig``.

    ``{"effort": "low", "summary": "auto"}`` ->
    ``{"thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": true}}``
    """
    if "effort" in value:
        set_effort(value["effort"], "reasoning.effort", builder)
    # The newer name wins.
    name = "summary" if "summary" in value else "generate_summary"
    summary = value.get(name)
    if summary is not None:
        builder.summary_field = f"reasoning.{name}"
        if summary != "auto":
            builder.note("approximated", builder.summary_field)
    builder.repeats["reasoning"] = {"effort": value.get("effort"), "summary": summary}


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
