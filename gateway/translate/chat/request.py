"""``/v1/chat/completions`` -> GenerateContentRequest, in raw REST shape."""

from typing import Final

from gateway.translate.chat.messages import read_messages
from gateway.translate.contract import Json, LineError, Policy, Translation
from gateway.translate.google import read_extra_body, read_google
from gateway.translate.reading.refusal import Refused, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.compiled_options import compile_options
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.modalities import read_audio, read_modalities, resolve_modalities
from gateway.translate.request.options import (
    SAMPLING,
    checked_metadata,
    read_logprobs,
    read_max_completion_tokens,
    read_max_tokens,
    read_parallel_tool_calls,
    read_stream,
    read_top_logprobs,
    read_verbosity,
    resolve_logprobs,
)
from gateway.translate.request.response_format import read_response_format
from gateway.translate.request.thinking import read_reasoning_effort, resolve_thinking
from gateway.translate.tools.config import resolve_tools
from gateway.translate.tools.declarations import read_functions, read_tools
from gateway.translate.tools.google import read_web_search


def _read_metadata(value: object, builder: RequestBuilder) -> None:
    builder.echo["metadata"] = checked_metadata(value)


def _read_tools(value: object, builder: RequestBuilder) -> None:
    builder.tools = read_tools(value, builder)


def _read_functions(value: object, builder: RequestBuilder) -> None:
    builder.functions = read_functions(value, builder)


def _read_tool_choice(value: object, builder: RequestBuilder) -> None:
    builder.tool_choice = value


def _read_function_call(value: object, builder: RequestBuilder) -> None:
    builder.function_call = value


CHAT: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("messages", "`contents`, `systemInstruction`"),
    *SAMPLING,
    mapped("max_tokens", "`generationConfig.maxOutputTokens`", read_max_tokens),
    mapped(
        "max_completion_tokens", "`generationConfig.maxOutputTokens`", read_max_completion_tokens
    ),
    mapped("logprobs", "`generationConfig.responseLogprobs`", read_logprobs),
    mapped("top_logprobs", "`generationConfig.logprobs`", read_top_logprobs),
    mapped("response_format", "`responseMimeType`, `responseSchema`", read_response_format),
    mapped("tools", "`tools[0].functionDeclarations`", _read_tools),
    mapped("tool_choice", "`toolConfig.functionCallingConfig`", _read_tool_choice),
    mapped("functions", "like `tools`; answered in `function_call`", _read_functions),
    mapped("function_call", "like `tool_choice`", _read_function_call),
    mapped("web_search_options", "the `googleSearch` tool", read_web_search),
    mapped("reasoning_effort", "`generationConfig.thinkingConfig`", read_reasoning_effort),
    mapped(
        "modalities",
        "`responseModalities`; `image` (an extension) gives `images` of the message",
        read_modalities,
    ),
    mapped("audio", "`speechConfig`, and the format of `audio` of the message", read_audio),
    mapped("google", "Google's documented extensions", read_google),
    mapped("extra_body", "the same one level further down", read_extra_body),
    dropped(
        "parallel_tool_calls",
        "Gemini cannot be told; false is noted, or by setting keeps the first call",
        read_parallel_tool_calls,
    ),
    dropped("verbosity", "Gemini has no such setting; noted", read_verbosity),
    mapped("metadata", "echoed in the answer", _read_metadata),
    mapped("stream", "false only", read_stream),
    dropped("stream_options", "without streaming it says nothing"),
    dropped("user", "names the caller's user to OpenAI"),
    dropped("safety_identifier", "names the caller's user to OpenAI"),
    dropped("store", "storage at OpenAI"),
    dropped("prompt_cache_key", "OpenAI's cache; Gemini caches by itself"),
    dropped("prompt_cache_options", "OpenAI's cache; Gemini caches by itself"),
    dropped("prompt_cache_retention", "OpenAI's cache; Gemini caches by itself"),
    dropped("service_tier", "batch is a class of its own; a dearer tier is never asked for"),
    dropped("prediction", "a hint for speed"),
    refused("moderation", "Gemini has no moderation scores beside an answer."),
)


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
    """Translate one line.

    ``{"model": "gemini-3.6-flash", "messages": [{"role": "user", "content": "Hi"}]}`` ->
    ``{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}``
    """
    rest = body.copy()
    messages = rest.pop("messages", None)
    try:
        frame = compile_options(_read_rest, rest, model, policy)
        if frame.shared:
            item = frame.plain(messages, read_messages, "text")
            if item is not None:
                items = (item,) if frame.items == 1 else frame.spread(item)
                return items, frame.echo, frame.notes, ()
        frame.shared = True
        if messages is None:
            missing("messages")
        conversation = Conversation(model, policy)
        read_messages(messages, conversation)
        item = frame.write(conversation)
        notes = (*frame.notes, *conversation.notes)
        return frame.spread(item), frame.echo, notes, tuple(conversation.files)
    except Refused as refusal:
        return refused_line(refusal, to_gemini, body, policy, model)


def _choose_google_tools(builder: RequestBuilder) -> None:
    """Gemini's mode of calling binds functions alone, ``tool_choice`` all tools."""
    choice = builder.tool_choice
    if choice == "none" or type(choice) is dict:
        # A choice on chat lines names functions, so Google's own tools are not among them.
        builder.google_tools = []
    elif choice == "required" and builder.google_tools and builder.tools is not None:
        builder.note("approximated", "tool_choice")


def _read_rest(rest: Json, model: str, policy: Policy) -> RequestBuilder:
    """Read every field but the messages, then what several of them say together."""
    builder = RequestBuilder(model, policy)
    # The job's model is settled; the answer may need the name that the client wrote.
    builder.echo["model"] = rest.get("model", model)
    CHAT.read(rest, builder)
    resolve_logprobs(builder)
    resolve_modalities(builder)
    _choose_google_tools(builder)
    resolve_tools(builder)
    resolve_thinking(builder)
    if 1 < builder.choices <= builder.can.max_candidates:
        builder.config["candidateCount"] = builder.choices
        builder.echo["candidates"] = builder.choices
    return builder
