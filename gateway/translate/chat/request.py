"""``/v1/chat/completions`` -> GenerateContentRequest, in raw REST shape."""

from typing import Final

from gateway.translate.chat.messages import read_messages
from gateway.translate.contract import Json, LineError, Policy, Translation
from gateway.translate.google import read_extra_body, read_google
from gateway.translate.reading.refusal import Refused, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.draft import Draft
from gateway.translate.request.frame import frame_of
from gateway.translate.request.modalities import close_modalities, read_audio, read_modalities
from gateway.translate.request.options import (
    SAMPLING,
    checked_metadata,
    close_logprobs,
    read_logprobs,
    read_max_completion_tokens,
    read_max_tokens,
    read_parallel_tool_calls,
    read_stream,
    read_top_logprobs,
    read_verbosity,
)
from gateway.translate.request.response_format import read_response_format
from gateway.translate.request.thinking import close_thinking, read_reasoning_effort
from gateway.translate.tools.config import close_tools
from gateway.translate.tools.declarations import read_functions, read_tools
from gateway.translate.tools.google import read_web_search


def _read_metadata(value: object, draft: Draft) -> None:
    draft.echo["metadata"] = checked_metadata(value)


def _read_tools(value: object, draft: Draft) -> None:
    draft.tools = read_tools(value, draft)


def _read_functions(value: object, draft: Draft) -> None:
    draft.functions = read_functions(value, draft)


def _read_tool_choice(value: object, draft: Draft) -> None:
    draft.tool_choice = value


def _read_function_call(value: object, draft: Draft) -> None:
    draft.function_call = value


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
        frame = frame_of(_read_rest, rest, model, policy)
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


def _choose_google_tools(draft: Draft) -> None:
    """Gemini's mode of calling binds functions alone, ``tool_choice`` all tools."""
    choice = draft.tool_choice
    if choice == "none" or type(choice) is dict:
        # A choice on chat lines names functions, so Google's own tools are not among them.
        draft.google_tools = []
    elif choice == "required" and draft.google_tools and draft.tools is not None:
        draft.note("approximated", "tool_choice")


def _read_rest(rest: Json, model: str, policy: Policy) -> Draft:
    """Read every field but the messages, then what several of them say together."""
    draft = Draft(model, policy)
    # The job's model is settled; the answer may need the name that the client wrote.
    draft.echo["model"] = rest.get("model", model)
    CHAT.read(rest, draft)
    close_logprobs(draft)
    close_modalities(draft)
    _choose_google_tools(draft)
    close_tools(draft)
    close_thinking(draft)
    if 1 < draft.choices <= draft.can.max_candidates:
        draft.config["candidateCount"] = draft.choices
        draft.echo["candidates"] = draft.choices
    return draft
