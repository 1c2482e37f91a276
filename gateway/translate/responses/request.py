"""``/v1/responses`` -> GenerateContentRequest, in raw REST shape."""

from dataclasses import replace
from typing import Final

from orjson import dumps

from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.frames import translates
from gateway.translate.google import GOOGLE_ROWS, refuse_google
from gateway.translate.reading.checks import (
    Check,
    anything,
    integer,
    json_object,
    list_of,
    one_of,
    only,
    string,
)
from gateway.translate.reading.own_values import own_text
from gateway.translate.reading.refusal import missing, unsupported_value
from gateway.translate.reading.table import (
    Field,
    FieldTable,
    dropped,
    mapped,
    noted,
    refused,
    varying,
)
from gateway.translate.request import fields
from gateway.translate.request.builder import RequestBuilder, keep, read_options
from gateway.translate.request.compiled_options import CompiledOptions, Hints, Values
from gateway.translate.responses.items import read_input
from gateway.translate.responses.options import (
    REASONING,
    TEXT,
    include,
    read_include,
    read_reasoning,
    read_text,
    resolve_include,
    resolve_reasoning,
)
from gateway.translate.responses.tools import read_responses_tools, resolve_responses_tools

PATH: Final = "/v1/responses"
# The members of an answer that repeat the request, as they are where the request is silent. What
# the model chooses by itself is null; nothing is stored here.
REPEATED: Final[Json] = {
    "background": False,
    "error": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_MAX_TOOL_CALLS: Final = 2**31 - 1


def _not_prewarmed(value: object) -> object:
    if type(value) is dict and value.get("prewarm") is True:
        unsupported_value("prewarming asks for no answer; leave it out.", "prewarm")
    return value


def _read_instructions(value: str, builder: RequestBuilder) -> None:
    """In front of whatever system and developer items say."""
    if value:
        builder.system.append({"text": value})


def _read_max_output_tokens(value: int, builder: RequestBuilder) -> None:
    builder.config["maxOutputTokens"] = fields.possible_tokens(value, builder, "max_output_tokens")


def _repeated(row: Field[RequestBuilder]) -> Field[RequestBuilder]:
    """Return the same row, whose checked value the answer repeats."""
    read = row.read

    def reader(value: object, builder: RequestBuilder) -> None:
        if read is not None:
            read(value, builder)
        builder.repeats[row.name] = value

    return replace(row, read=reader)


def _echoed(name: str, check: Check, about: str = "echoed in the answer") -> Field[RequestBuilder]:
    """Return a value that means nothing to Gemini and comes back in the answer."""
    return _repeated(mapped(name, about, check))


RESPONSES: Final = FieldTable(
    PATH,
    mapped("model", "the model of the job"),
    mapped(
        "input",
        "`contents`, `systemInstruction`; an empty turn of the user goes in front of the model's",
    ),
    varying(
        _repeated(
            mapped("instructions", "`systemInstruction`, in front", string, _read_instructions)
        ),
        own_text(901),
    ),
    varying(
        _repeated(
            mapped(
                "max_output_tokens",
                "`generationConfig.maxOutputTokens`, at most the model's",
                fields.token_limit,
                _read_max_output_tokens,
            )
        ),
        fields.OWN_LIMIT,
    ),
    _repeated(fields.TEMPERATURE),
    _repeated(fields.TOP_P),
    fields.TOP_K,
    mapped("text", "`responseMimeType`, `responseSchema`", TEXT, read_text),
    mapped("reasoning", "`generationConfig.thinkingConfig`", REASONING, read_reasoning),
    mapped("tools", "`tools`", list_of(json_object, of="objects"), read_responses_tools),
    mapped("tool_choice", "`toolConfig.functionCallingConfig`", read=keep("tool_choice")),
    mapped("include", "see `include[]`", include, read_include),
    _repeated(
        mapped(
            "top_logprobs",
            "`generationConfig.logprobs`, when `include` asks for them",
            fields.top_logprobs,
            keep("top_logprobs"),
        )
    ),
    *GOOGLE_ROWS,
    varying(_echoed("metadata", fields.metadata), fields.OWN_METADATA),
    varying(_echoed("user", string), own_text(902)),
    varying(_echoed("safety_identifier", string), own_text(903)),
    varying(
        _echoed("prompt_cache_key", string, "echoed in the answer; Gemini caches by itself"),
        own_text(904),
    ),
    fields.STREAM,
    mapped("background", "false only", only(False, "a batch already runs in the background.")),
    _repeated(fields.PARALLEL_TOOL_CALLS),
    _repeated(
        noted("max_tool_calls", "Gemini has no equivalent; noted", integer(1, _MAX_TOOL_CALLS))
    ),
    _repeated(
        noted(
            "truncation",
            "Gemini does not shorten a prompt; auto is noted",
            one_of("auto", "disabled"),
            "disabled",
        )
    ),
    noted(
        "context_management",
        "Gemini does not compact a conversation; noted",
        list_of(anything, of="objects"),
        [],
    ),
    dropped("store", "nothing is stored for later; the answer says false"),
    fields.STREAM_OPTIONS,
    dropped("background_options", "it asks for nothing without background"),
    fields.SERVICE_TIER,
    dropped(
        "prompt_cache_options",
        "OpenAI's cache; Gemini caches by itself; prewarm is refused: it asks for no answer",
        _not_prewarmed,
    ),
    fields.CACHE_RETENTION,
    dropped("access_programs", "programs of access at OpenAI"),
    dropped("image", "OpenAI's compression of images in its context"),
    refused("previous_response_id", "No answer is stored here: send its items in 'input'."),
    refused("conversation", "No conversation is stored here: send its items in 'input'."),
    refused("prompt", "It names a template stored at OpenAI: send its text."),
    fields.MODERATION,
)


def _build(rest: Json, model: str, policy: Policy) -> CompiledOptions:
    """Read every field but the input, then what several of them say together."""
    builder = read_options(RESPONSES, rest, model, policy)
    _refuse_speech(builder)
    resolve_include(builder)
    resolve_responses_tools(builder)
    resolve_reasoning(builder)
    # Written once, and without the brace in front: it is put behind what the answer says itself.
    builder.hints["repeats"] = dumps({**REPEATED, **builder.repeats})[1:].decode()
    return CompiledOptions(builder)


def _refuse_speech(builder: RequestBuilder) -> None:
    """Refuse what would answer in sound: a Response has no item for it."""
    refuse_google(builder, ("speech_config",))
    if builder.can.speaks:
        unsupported_value("it answers in speech, and a Response has no item for sound.", "model")
    if "AUDIO" in builder.config.get("responseModalities", ()):
        unsupported_value(
            "a Response has no item for sound.", f"{builder.google_path}.response_modalities"
        )


@translates("input", RESPONSES, _build)
def to_gemini(
    options: CompiledOptions, given: object, values: Values = (), hints: Hints = ()
) -> Translation:
    """Translate one line.

    ``{"model": "gemini-3.6-flash", "instructions": "Rhyme.", "input": "Hi"}`` ->
    ``{"systemInstruction": {"parts": [{"text": "Rhyme."}]},
    "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}``
    """
    if type(given) is str and given and options.alone is not None:
        # As one_text does, in one step: a call takes two percent of a usual line.
        form, marks = options.alone
        text = (dumps(given),)
        item = b"".join(form.arrange(form.pieces + text + values)) if values else form.format % text
        most = options.most(values)
        return (item,), hints or options.hints, options.notes, (), marks, most
    if options.shared:
        if type(given) is str:
            plain = options.one_text(given, read_input, values)
        else:
            plain = options.plain(given, read_input, "input_text", values=values)
        if plain is not None:
            item, marks = plain
            most = options.most(values)
            return (item,), hints or options.hints, options.notes, (), marks, most
    options.shared = True
    if given is None:
        missing("input")
    items = [{"role": "user", "content": given}] if type(given) is str else given
    return options.translation(items, read_input, "input", values, hints)
