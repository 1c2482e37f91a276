"""``/v1/responses`` -> GenerateContentRequest, in raw REST shape."""

from typing import Any, Final

import orjson

from gateway.translate.contract import Json, LineError, Policy, Translation
from gateway.translate.google import read_extra_body, read_google, refuse_google
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    missing,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, Reader, dropped, mapped, refused
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.compiled_options import compile_options
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.options import (
    MAX_TOP_LOGPROBS,
    boolean,
    checked_metadata,
    integer,
    read_max_output_tokens,
    read_parallel_tool_calls,
    read_stream,
    read_temperature,
    read_top_k,
    read_top_p,
)
from gateway.translate.responses.items import read_input
from gateway.translate.responses.options import (
    read_include,
    read_reasoning,
    read_text,
    resolve_include,
    resolve_reasoning,
)
from gateway.translate.responses.tools import read_responses_tools, resolve_responses_tools

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
_TRUNCATIONS: Final = ("auto", "disabled")
_MAX_TOOL_CALLS: Final = 2**31 - 1


def _read_instructions(value: object, builder: RequestBuilder) -> None:
    """In front of whatever system and developer items say."""
    if type(value) is not str:
        invalid_type(value, "a string", "instructions")
    builder.repeats["instructions"] = value
    if value:
        builder.system.append({"text": value})


def _read_metadata(value: object, builder: RequestBuilder) -> None:
    builder.repeats["metadata"] = checked_metadata(value)


def _read_background(value: object, builder: RequestBuilder) -> None:  # noqa: ARG001 - the shape of a Reader
    if boolean(value, "background"):
        unsupported_value("a batch already runs in the background.", "background")


def _read_truncation(value: object, builder: RequestBuilder) -> None:
    if value not in _TRUNCATIONS:
        invalid_choice(value, _TRUNCATIONS, "truncation")
    builder.repeats["truncation"] = value
    if value == "auto":
        builder.note("dropped", "truncation")


def _read_max_tool_calls(value: object, builder: RequestBuilder) -> None:
    builder.repeats["max_tool_calls"] = integer(value, 1, _MAX_TOOL_CALLS, "max_tool_calls")
    builder.note("dropped", "max_tool_calls")


def _read_parallel(value: object, builder: RequestBuilder) -> None:
    builder.repeats["parallel_tool_calls"] = boolean(value, "parallel_tool_calls")
    read_parallel_tool_calls(value, builder)


def _read_context_management(value: object, builder: RequestBuilder) -> None:
    if type(value) is not list:
        invalid_type(value, "an array of objects", "context_management")
    if value:
        builder.note("dropped", "context_management")


def _read_cache_options(value: object, builder: RequestBuilder) -> None:  # noqa: ARG001 - a Reader
    if type(value) is dict and value.get("prewarm") is True:
        unsupported_value("a batch is for answers.", "prompt_cache_options.prewarm")


def _read_top_logprobs(value: object, builder: RequestBuilder) -> None:
    builder.top_logprobs = integer(value, 0, MAX_TOP_LOGPROBS, "top_logprobs")
    builder.repeats["top_logprobs"] = builder.top_logprobs


def _read_tool_choice(value: object, builder: RequestBuilder) -> None:
    builder.tool_choice = value


def _read_max_output_tokens(value: object, builder: RequestBuilder) -> None:
    read_max_output_tokens(value, builder)
    builder.repeats["max_output_tokens"] = builder.config["maxOutputTokens"]


def _repeated(name: str, read: Reader) -> Reader:
    """Read a field, and say in the answer what was asked."""

    def reader(value: Any, builder: RequestBuilder) -> None:  # noqa: ANN401 - the shape of a Reader
        read(value, builder)
        builder.repeats[name] = value

    return reader


def _text_repeated(name: str) -> Reader:
    """A text that means nothing to Gemini and comes back in the answer."""

    def reader(value: Any, builder: RequestBuilder) -> None:  # noqa: ANN401 - the shape of a Reader
        if type(value) is not str:
            invalid_type(value, "a string", name)
        builder.repeats[name] = value

    return reader


RESPONSES: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("input", "`contents`, `systemInstruction`"),
    mapped("instructions", "`systemInstruction`, in front", _read_instructions),
    mapped("max_output_tokens", "`generationConfig.maxOutputTokens`", _read_max_output_tokens),
    mapped(
        "temperature",
        "`generationConfig.temperature`",
        _repeated("temperature", read_temperature),
    ),
    mapped("top_p", "`generationConfig.topP`", _repeated("top_p", read_top_p)),
    mapped("top_k", "`generationConfig.topK` (extension)", read_top_k),
    mapped("text", "`responseMimeType`, `responseSchema`", read_text),
    mapped("reasoning", "`generationConfig.thinkingConfig`", read_reasoning),
    mapped("tools", "`tools`", read_responses_tools),
    mapped("tool_choice", "`toolConfig.functionCallingConfig`", _read_tool_choice),
    mapped("include", "see `include[]`", read_include),
    mapped(
        "top_logprobs",
        "`generationConfig.logprobs`, when `include` asks for them",
        _read_top_logprobs,
    ),
    mapped("google", "Google's documented extensions", read_google),
    mapped("extra_body", "the same one level further down", read_extra_body),
    mapped("metadata", "echoed in the answer", _read_metadata),
    mapped("user", "echoed in the answer", _text_repeated("user")),
    mapped("safety_identifier", "echoed in the answer", _text_repeated("safety_identifier")),
    mapped(
        "prompt_cache_key",
        "echoed in the answer; Gemini caches by itself",
        _text_repeated("prompt_cache_key"),
    ),
    mapped("stream", "false only", read_stream),
    mapped("background", "false only", _read_background),
    dropped(
        "parallel_tool_calls",
        "Gemini cannot be told; false is noted, or by setting keeps the first call",
        _read_parallel,
    ),
    dropped("max_tool_calls", "Gemini cannot be told; noted", _read_max_tool_calls),
    dropped("truncation", "Gemini does not shorten a prompt; auto is noted", _read_truncation),
    dropped(
        "context_management",
        "Gemini does not compact a conversation; noted",
        _read_context_management,
    ),
    dropped("store", "nothing is stored for later; the answer says false"),
    dropped("stream_options", "without streaming it says nothing"),
    dropped("background_options", "without background it says nothing"),
    dropped("service_tier", "batch is a class of its own; a dearer tier is never asked for"),
    dropped(
        "prompt_cache_options",
        "OpenAI's cache; Gemini caches by itself; prewarm is refused: it asks for no answer",
        _read_cache_options,
    ),
    dropped("prompt_cache_retention", "OpenAI's cache; Gemini caches by itself"),
    dropped("access_programs", "programs of access at OpenAI"),
    dropped("image", "OpenAI's compression of images in its context"),
    refused("previous_response_id", "No answer is stored here: send its items in 'input'."),
    refused("conversation", "No conversation is stored here: send its items in 'input'."),
    refused("prompt", "It names a template stored at OpenAI: send its text."),
    refused("moderation", "Gemini has no moderation scores beside an answer."),
)


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
    """Translate one line.

    ``{"model": "gemini-3.6-flash", "instructions": "Rhyme.", "input": "Hi"}`` ->
    ``{"systemInstruction": {"parts": [{"text": "Rhyme."}]},
    "contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}``
    """
    rest = body.copy()
    given = rest.pop("input", None)
    try:
        frame = compile_options(_read_rest, rest, model, policy)
        if frame.shared:
            if type(given) is str:
                item = frame.one_text(given, read_input)
            else:
                item = frame.plain(given, read_input, "input_text")
            if item is not None:
                return (item,), frame.echo, frame.notes, ()
        frame.shared = True
        if given is None:
            missing("input")
        items = [{"role": "user", "content": given}] if type(given) is str else given
        conversation = Conversation(model, policy, "input")
        read_input(items, conversation)
        item = frame.write(conversation)
        notes = (*frame.notes, *conversation.notes)
        return (item,), frame.echo, notes, tuple(conversation.files)
    except Refused as refusal:
        return refused_line(refusal, to_gemini, body, policy, model)


def _read_rest(rest: Json, model: str, policy: Policy) -> RequestBuilder:
    """Read every field but the input, then what several of them say together."""
    builder = RequestBuilder(model, policy)
    # The job's model is settled; the answer may need the name that the client wrote.
    builder.echo["model"] = rest.get("model", model)
    RESPONSES.read(rest, builder)
    _refuse_speech(builder)
    resolve_include(builder)
    resolve_responses_tools(builder)
    resolve_reasoning(builder)
    # Written once, and without the brace in front: it is put behind what the answer says itself.
    builder.echo["repeats"] = orjson.dumps({**REPEATED, **builder.repeats})[1:].decode()
    return builder


def _refuse_speech(builder: RequestBuilder) -> None:
    """A Response has no item of sound."""
    refuse_google(builder, ("speech_config",))
    if builder.can.speaks:
        unsupported_value("it answers in speech, which a Response has no place for.", "model")
    if "AUDIO" in builder.config.get("responseModalities", ()):
        unsupported_value(
            "a Response has no place for sound.", f"{builder.google_path}.response_modalities"
        )
