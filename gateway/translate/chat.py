"""``/v1/chat/completions`` -> GenerateContentRequest, in raw REST shape."""

from collections.abc import Sequence
from typing import Final

from gateway.translate.draft import Draft
from gateway.translate.fields import FieldTable, dropped, mapped, refused
from gateway.translate.messages import read_messages
from gateway.translate.refusal import Refused, invalid_type, missing, unsupported_value
from gateway.translate.sampling import (
    close_limits,
    read_frequency_penalty,
    read_logit_bias,
    read_logprobs,
    read_max_completion_tokens,
    read_max_tokens,
    read_n,
    read_presence_penalty,
    read_seed,
    read_stop,
    read_temperature,
    read_top_k,
    read_top_logprobs,
    read_top_p,
)
from gateway.translate.shapes import Json, LineError, Policy, Translation


def _read_stream(value: object, draft: Draft) -> None:  # noqa: ARG001 - the shape of a Reader
    if value is not False:
        unsupported_value("streaming is not supported in a batch.", "stream")


def _read_metadata(value: object, draft: Draft) -> None:
    if type(value) is not dict:
        invalid_type(value, "an object", "metadata")
    draft.echo["metadata"] = value


CHAT: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("messages", "`contents`, `systemInstruction`", read_messages),
    mapped("temperature", "`generationConfig.temperature`", read_temperature),
    mapped("top_p", "`generationConfig.topP`", read_top_p),
    mapped("top_k", "`generationConfig.topK` (extension)", read_top_k),
    mapped("max_tokens", "`generationConfig.maxOutputTokens`", read_max_tokens),
    mapped(
        "max_completion_tokens", "`generationConfig.maxOutputTokens`", read_max_completion_tokens
    ),
    mapped("stop", "`generationConfig.stopSequences`", read_stop),
    mapped("seed", "`generationConfig.seed`, folded to 31 bits", read_seed),
    mapped(
        "frequency_penalty",
        "`generationConfig.frequencyPenalty`; models from 2.5 on refuse it: dropped",
        read_frequency_penalty,
    ),
    mapped(
        "presence_penalty",
        "`generationConfig.presencePenalty`; models from 2.5 on refuse it: dropped",
        read_presence_penalty,
    ),
    mapped("n", "`candidateCount`, or one item per choice", read_n),
    mapped("logprobs", "`generationConfig.responseLogprobs`", read_logprobs),
    mapped("top_logprobs", "`generationConfig.logprobs`", read_top_logprobs),
    mapped("logit_bias", "nothing when empty; otherwise refused", read_logit_bias),
    mapped("metadata", "echoed in the answer", _read_metadata),
    mapped("stream", "false only", _read_stream),
    dropped("stream_options", "without streaming it says nothing"),
    dropped("user", "names the caller's user to OpenAI"),
    dropped("safety_identifier", "names the caller's user to OpenAI"),
    dropped("store", "storage at OpenAI"),
    dropped("prompt_cache_key", "OpenAI's cache; Gemini caches by itself"),
    dropped("prompt_cache_options", "OpenAI's cache; Gemini caches by itself"),
    dropped("prompt_cache_retention", "OpenAI's cache; Gemini caches by itself"),
    dropped("service_tier", "batch is a class of its own; a dearer tier is never asked for"),
    dropped("prediction", "a hint for speed"),
    refused("audio", "Audio answers are not translated yet."),
    refused("moderation", "Gemini has no moderation scores beside an answer."),
    refused("web_search_options", "Web search is not translated yet."),
)


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
    """Translate one line.

    ``{"model": "gemini-3.6-flash", "messages": [{"role": "user", "content": "Hi"}]}`` ->
    ``{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}``
    """
    draft = Draft(policy, model)
    try:
        _read(body, draft)
        items = _assemble(draft)
    except Refused as refusal:
        return refusal.line_error()
    name = body.get("model")
    draft.echo["model"] = name if type(name) is str else model
    return Translation(items, draft.echo, draft.notes)


def _read(body: Json, draft: Draft) -> None:
    readers = CHAT.readers
    if body.get("messages") is None:
        missing("messages")
    for name, value in body.items():
        if name not in readers:
            if value is None and name in CHAT.by_name:
                continue
            CHAT.refuse(name)
        read = readers[name]
        if read is not None and value is not None:
            read(value, draft)


def _assemble(draft: Draft) -> Sequence[Json]:
    config = draft.config
    close_limits(draft, config)
    request: Json = {"contents": draft.contents}
    if draft.system:
        request["systemInstruction"] = {"parts": draft.system}
    items = [request]
    if draft.choices > 1:
        if draft.choices <= draft.can.max_candidates:
            config["candidateCount"] = draft.choices
        else:
            items = [request] * draft.choices
    if config:
        request["generationConfig"] = config
    return items
