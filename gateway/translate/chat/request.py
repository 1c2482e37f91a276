"""``/v1/chat/completions`` -> GenerateContentRequest, in raw REST shape."""

from typing import Final

from gateway.translate.chat.messages import read_messages
from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.frames import translates
from gateway.translate.google import GOOGLE_ROWS
from gateway.translate.reading.checks import anything, boolean, list_of
from gateway.translate.reading.refusal import at, invalid_value, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped, varying
from gateway.translate.request import fields
from gateway.translate.request.builder import RequestBuilder, keep, read_options
from gateway.translate.request.compiled_options import CompiledOptions, Hints, Values
from gateway.translate.request.modalities import (
    AUDIO,
    modalities,
    read_audio,
    read_modalities,
    resolve_modalities,
)
from gateway.translate.request.response_format import RESPONSE_FORMAT, read_response_format
from gateway.translate.request.thinking import effort, read_reasoning_effort, resolve_thinking
from gateway.translate.tools.call_turns import CALLS
from gateway.translate.tools.choice import (
    AUTO,
    Choice,
    read_choice,
    read_function_call,
    require_tools,
)
from gateway.translate.tools.config import resolve_tools
from gateway.translate.tools.declarations import read_functions, read_tools
from gateway.translate.tools.google import WEB_SEARCH, read_web_search

PATH: Final = "/v1/chat/completions"


def _read_metadata(value: dict[str, str], builder: RequestBuilder) -> None:
    builder.hints["metadata"] = value


_objects: Final = list_of(anything, of="objects")
CHAT: Final = FieldTable(
    PATH,
    mapped("model", "the model of the job"),
    mapped(
        "messages",
        "`contents`, `systemInstruction`; an empty turn of the user goes in front of the model's",
    ),
    *fields.SAMPLING,
    varying(
        mapped(
            "max_tokens",
            "`generationConfig.maxOutputTokens`, at most the model's",
            fields.token_limit,
            fields.read_max_tokens,
        ),
        fields.OWN_LIMIT,
    ),
    varying(
        mapped(
            "max_completion_tokens",
            "`generationConfig.maxOutputTokens`, at most the model's",
            fields.token_limit,
            fields.read_max_completion_tokens,
        ),
        fields.OWN_LIMIT,
    ),
    mapped("logprobs", "`generationConfig.responseLogprobs`", boolean, keep("logprobs")),
    mapped(
        "top_logprobs", "`generationConfig.logprobs`", fields.top_logprobs, keep("top_logprobs")
    ),
    mapped(
        "response_format",
        "`responseMimeType`, `responseSchema`",
        RESPONSE_FORMAT,
        read_response_format,
    ),
    mapped("tools", "`tools[0].functionDeclarations`", _objects, read_tools),
    mapped("tool_choice", "`toolConfig.functionCallingConfig`", read=keep("tool_choice")),
    mapped("functions", "like `tools`; answered in `function_call`", _objects, read_functions),
    mapped("function_call", "like `tool_choice`", read=keep("function_call")),
    mapped("web_search_options", "the `googleSearch` tool", WEB_SEARCH, read_web_search),
    mapped("reasoning_effort", "`generationConfig.thinkingConfig`", effort, read_reasoning_effort),
    mapped(
        "modalities",
        "`responseModalities`; `image` (an extension) gives `images` of the message",
        modalities,
        read_modalities,
    ),
    mapped("audio", "`speechConfig`, and the format of `audio` of the message", AUDIO, read_audio),
    *GOOGLE_ROWS,
    fields.PARALLEL_TOOL_CALLS,
    fields.VERBOSITY,
    varying(
        mapped("metadata", "echoed in the answer", fields.metadata, _read_metadata),
        fields.OWN_METADATA,
    ),
    fields.STREAM,
    fields.STREAM_OPTIONS,
    fields.USER,
    fields.SAFETY_IDENTIFIER,
    dropped("store", "storage at OpenAI"),
    dropped("prompt_cache_key", "OpenAI's cache; Gemini caches by itself"),
    dropped("prompt_cache_options", "OpenAI's cache; Gemini caches by itself"),
    fields.CACHE_RETENTION,
    fields.SERVICE_TIER,
    dropped("prediction", "a hint for speed"),
    fields.MODERATION,
)


def _build(rest: Json, model: str, policy: Policy) -> CompiledOptions:
    """Read every field but the messages, then what several of them say together."""
    builder = read_options(CHAT, rest, model, policy)
    fields.resolve_logprobs(builder)
    resolve_modalities(builder)
    resolve_tools(builder, _choice(builder))
    resolve_thinking(builder)
    fields.resolve_choices(builder)
    return CompiledOptions(builder)


def _choice(builder: RequestBuilder) -> Choice:
    """``tool_choice`` or, of the older form, ``function_call``."""
    tools, functions = builder.tools, builder.functions
    if tools is not None and functions is not None:
        invalid_value("it cannot be combined with 'tools'.", "functions")
    require_tools("tool_choice", builder.tool_choice, "tools", tools, functions)
    require_tools("function_call", builder.function_call, "functions", functions, tools)
    if functions is not None:
        call = builder.function_call
        return AUTO if call is None else at("function_call", read_function_call, call, functions)
    if builder.tool_choice is None:
        return AUTO
    if tools is None:
        return Choice("none", hosted=()) if builder.tool_choice == "none" else AUTO
    choice = at("tool_choice", read_choice, builder.tool_choice, tools)
    if choice == Choice("required") and builder.google_tools:
        # Gemini's mode of calling binds functions alone, ``tool_choice`` all tools.
        builder.note("approximated", "tool_choice")
    return choice


def _fit(
    options: CompiledOptions, messages: object, values: Values, hints: Hints
) -> Translation | None:
    """Translate a line by its template, if it has one."""
    if not options.shared:
        return None
    plain = options.plain(messages, read_messages, "text", "image_url", values, calls=CALLS)
    if plain is None:
        return None
    item, marks = plain
    items = (item,) if options.items == 1 else options.one_item_per_choice(item)
    most = options.most(values) if values else options.usual_most
    return items, hints or options.hints, options.notes, (), marks, most


@translates("messages", CHAT, _build, fit=_fit)
def to_gemini(
    options: CompiledOptions, messages: object, values: Values = (), hints: Hints = ()
) -> Translation:
    """Translate one line.

    ``{"model": "gemini-3.6-flash", "messages": [{"role": "user", "content": "Hi"}]}`` ->
    ``{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}``
    """
    options.shared = True
    if messages is None:
        missing("messages")
    return options.translation(messages, read_messages, "messages", values, hints)


def fitting(body: Json, policy: Policy, model: str) -> Translation | None:
    """Translate a line that is like others before it; None for any other."""
    return to_gemini(body, policy, model, True)
