"""Answers of generate models: deterministic, naming the prompt, in the shapes on record.

The text of an answer holds the last user text (whole up to 200 characters, else its beginning and
its sha256), so a test can check that every request got its own answer.
"""

import base64
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from gateway.emulator.answers.fit_schema import fit
from gateway.emulator.answers.function_calls import answers, call_part, choose_calls
from gateway.emulator.answers.logprobs import logprobs
from gateway.emulator.answers.media import picture, sound
from gateway.emulator.answers.prompt import ECHO_CHARACTERS, Prompt, check_error_mark, read_prompt
from gateway.emulator.answers.server_tools import ToolMetadata, shown_search, tool_metadata
from gateway.emulator.answers.usage import (
    BYTES_PER_TOKEN,
    MAX_OUTPUT_TOKENS,
    Spent,
    cut_tokens,
    prompt_tokens,
    tokens_of,
    usage,
)
from gateway.emulator.checks.config import schema_of
from gateway.emulator.checks.request import cache_of, check, check_size
from gateway.emulator.checks.tools import declarations
from gateway.emulator.protocol.errors import JsonObject
from gateway.emulator.resources.capabilities import RESOLVED
from gateway.emulator.resources.project_resources import ProjectResources

_WITH_CONTENT: Final = frozenset({"STOP", "MAX_TOKENS"})
_FILLING: Final = " lorem ipsum"
# Harms in the order of a recorded rating.
_RATED: Final = ("HATE_SPEECH", "DANGEROUS_CONTENT", "HARASSMENT", "SEXUALLY_EXPLICIT")


@dataclass(frozen=True)
class _Asked:
    """Tokens of a prompt by modality; ``cached`` are those of them that came from a cache."""

    tokens: Counter[str]
    cached: Counter[str]


def generate(model: str, request: JsonObject, resources: ProjectResources) -> JsonObject:
    """Return a GenerateContentResponse for a parsed request; raises ApiError."""
    check(model, request, resources)
    cache = cache_of(model, request, resources)
    prompt = read_prompt(model, request | cache.tools if cache else request)
    check_error_mark(prompt.marks, prompt.text, resources.seen)
    tokens, cached = prompt_tokens(request), cache.tokens if cache else Counter[str]()
    tokens += cached
    check_size(sum(tokens.values()))
    asked = _Asked(tokens, tokens if "cached" in prompt.marks else cached)
    if "block" in prompt.marks:
        return _blocked(prompt, asked)
    if "empty" in prompt.marks:
        return {"usageMetadata": _usage(prompt, asked, Spent())} | _signed_off(prompt)
    return _answered(prompt, asked)


def _blocked(prompt: Prompt, asked: _Asked) -> JsonObject:
    reason = prompt.marks["block"].value or "SAFETY"
    feedback: JsonObject = {"blockReason": reason}
    if reason == "SAFETY":
        feedback["safetyRatings"] = _ratings(blocked=True)
    usage = {"usageMetadata": _usage(prompt, asked, Spent())}
    return {"promptFeedback": feedback} | usage | _signed_off(prompt)


def _ratings(*, blocked: bool) -> list[JsonObject]:
    """Safety ratings; where they stop something one harm is likely, and blocks."""
    ratings: list[JsonObject] = [
        {"category": f"HARM_CATEGORY_{harm}", "probability": "NEGLIGIBLE"} for harm in _RATED
    ]
    if blocked:
        ratings[1] |= {"probability": "HIGH", "blocked": True}
    return ratings


def _cited(parts: list[JsonObject]) -> JsonObject:
    """``citationMetadata`` of an answer: its first half is from somewhere."""
    said = "".join(part.get("text", "") for part in parts if "thought" not in part).encode()
    source = {"startIndex": 0, "endIndex": len(said) // 2, "uri": "https://example.com/book"}
    return {"citationMetadata": {"citationSources": [source | {"license": "mit"}]}}


def _usage(prompt: Prompt, asked: _Asked, spent: Spent) -> JsonObject:
    return usage(asked.tokens, spent, cached=asked.cached, detailed=prompt.capabilities.old)


def _signed_off(prompt: Prompt) -> JsonObject:
    version = prompt.marks["model"].value if "model" in prompt.marks else prompt.model
    return {
        "modelVersion": RESOLVED.get(version, version),
        "responseId": response_id(prompt.digest),
    }


def response_id(digest: bytes) -> str:
    """22 URL-safe characters, the same for the same prompt."""
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _answered(prompt: Prompt, asked: _Asked) -> JsonObject:
    thoughts = thought_tokens(prompt)
    spent = Spent()
    candidates = []
    for index in range(prompt.config.get("candidateCount", 1)):
        candidate, one = _candidate(prompt, thoughts, index)
        candidates.append(candidate)
        spent = replace(
            one,
            text=spent.text + one.text,
            images=spent.images + one.images,
            audio=spent.audio + one.audio,
        )
    response: JsonObject = {"candidates": candidates}
    if "no-usage" not in prompt.marks:
        spent = replace(spent, thoughts=min(thoughts, _output_limit(prompt)))
        response["usageMetadata"] = _usage(prompt, asked, spent)
    return response | _signed_off(prompt)


def thought_tokens(prompt: Prompt) -> int:
    """Count the tokens of thought about this prompt: 0 where the model does not think."""
    if "think" in prompt.marks:
        return prompt.marks["think"].number(64)
    config = prompt.config.get("thinkingConfig", {})
    budget = config.get("thinkingBudget")
    silent = budget is None and "thinkingLevel" not in config and not prompt.capabilities.thinks
    if budget == 0 or silent:
        return 0
    if config.get("thinkingLevel") == "MINIMAL":
        # "Matches the 'no thinking' setting for most queries", but signatures are asked for all the
        # same (page "Thinking"), so the least there is.
        return 1 + prompt.digest[0] % 3
    wanted = 12 + prompt.digest[0] % 24
    return wanted if budget is None or budget < 0 else min(wanted, budget)


def _candidate(prompt: Prompt, thoughts: int, index: int) -> tuple[JsonObject, Spent]:
    """One candidate and the tokens of its content."""
    if "citation-only" in prompt.marks:
        source = {"startIndex": 0, "endIndex": 1, "uri": "https://example.com/"}
        return {"citationMetadata": {"citationSources": [source]}}, Spent()
    content = _content(prompt, thoughts, index)
    candidate: JsonObject = {}
    if content.finish in _WITH_CONTENT or content.parts:
        parts = {"parts": content.parts} if content.parts else {}
        candidate["content"] = parts | {"role": "model"}
    elif prompt.digest[5] % 2:
        candidate["content"] = {}  # or none at all: both are on record
    candidate["finishReason"] = content.finish
    if content.finish == "SAFETY" or "ratings" in prompt.marks:
        candidate["safetyRatings"] = _ratings(blocked=content.finish == "SAFETY")
    if "citations" in prompt.marks:
        candidate |= _cited(content.parts)
    if any("functionCall" in part for part in content.parts):
        candidate["finishMessage"] = "Model generated function call(s)."
    if _shows_index(prompt, index):
        candidate["index"] = index
    if prompt.config.get("responseLogprobs"):
        candidate |= logprobs(content.parts, prompt.config.get("logprobs", 0))
    elif prompt.capabilities.old and content.parts:
        candidate["avgLogprobs"] = -0.01 - prompt.digest[3] / 1000
    tools = content.tool_metadata.tokens
    return candidate | content.tool_metadata.candidate, replace(content.spent, tools=tools)


def _shows_index(prompt: Prompt, index: int) -> bool:
    """Tell whether a candidate has its index; the first lacks it in 38 of 410 recordings."""
    if index:
        return True
    return (
        not prompt.capabilities.old and "no-index" not in prompt.marks and prompt.digest[1] % 10 > 0
    )


@dataclass(frozen=True)
class _Content:
    parts: list[JsonObject]
    finish: str
    spent: Spent = field(default_factory=Spent)
    tool_metadata: ToolMetadata = field(default_factory=ToolMetadata)


def _content(prompt: Prompt, thoughts: int, index: int) -> _Content:
    finish = _forced_finish(prompt)
    if finish not in _WITH_CONTENT and "partial" not in prompt.marks:
        return _Content([], finish)
    if thoughts >= _output_limit(prompt):
        return _Content([], "MAX_TOKENS")
    names = choose_calls(prompt.request, prompt.text, prompt.marks)
    if names:
        parts = [*_call_parts(prompt, names), *shown_search(prompt)]
        spent = Spent(text=len(orjson.dumps(parts)) // BYTES_PER_TOKEN)
        return _Content(_with_thoughts(prompt, parts, thoughts), finish, spent)
    return _spoken(prompt, thoughts, index, finish)


def _output_limit(prompt: Prompt) -> int:
    """Tokens of thoughts and answer: as many as are asked for, never more than a model has."""
    asked: int = prompt.config.get("maxOutputTokens", MAX_OUTPUT_TOKENS)
    return min(asked, MAX_OUTPUT_TOKENS)


def _spoken(prompt: Prompt, thoughts: int, index: int, finish: str) -> _Content:
    """Return an answer in text, pictures or sound."""
    if "AUDIO" in prompt.outputs:
        made = sound(prompt.echo, prompt.digest)
        return _Content([made.part], finish, Spent(audio=made.tokens))
    parts: list[JsonObject] = []
    spent, cut, text = Spent(), False, ""
    if "TEXT" in prompt.outputs or "IMAGE" not in prompt.outputs:
        text, cut = _limited(prompt, _text(prompt, index), thoughts)
        parts, spent = _text_parts(prompt, text), Spent(text=tokens_of(text))
    if "IMAGE" in prompt.outputs:
        made = picture(prompt.config.get("imageConfig", {}), prompt.digest)
        parts, spent = [*parts, made.part], replace(spent, images=made.tokens)
    found = tool_metadata(prompt, text)
    parts = [*found.parts, *_signed(prompt, parts, thoughts)]
    parts = _with_thoughts(prompt, parts, thoughts)
    return _Content(parts, "MAX_TOKENS" if cut else finish, spent, found)


def _forced_finish(prompt: Prompt) -> str:
    if "malformed-call" in prompt.marks:
        return "MALFORMED_FUNCTION_CALL"
    mark = prompt.marks.get("finish")
    return mark.value.strip().upper() or "STOP" if mark else "STOP"


def _call_parts(prompt: Prompt, names: list[str]) -> list[JsonObject]:
    with_id = prompt.capabilities.signs and prompt.digest[4] % 2 == 0
    parts = [
        call_part(
            name,
            prompt.request,
            prompt.echo,
            prompt.marks,
            number=number,
            with_id=with_id,
        )
        for number, name in enumerate(names)
    ]
    if prompt.capabilities.thinks:
        parts[0]["thoughtSignature"] = signature(prompt)
    return parts


def signature(prompt: Prompt) -> str:
    """Opaque bytes as a thoughtSignature carries them: a message with one field."""
    start = b"\x12" if prompt.capabilities.signs else b"\x0a"
    return base64.b64encode(start + bytes([64]) + prompt.digest * 2).decode()


def _text(prompt: Prompt, index: int) -> str:
    if "text" in prompt.marks:
        return prompt.marks["text"].value
    mime = prompt.config.get("responseMimeType", "text/plain")
    if mime != "text/plain":
        return _structured(prompt, mime)
    text = f"Echo: {prompt.echo}" if not index else f"Echo {index}: {prompt.echo}"
    for answer in answers(prompt.request):
        shown = orjson.dumps(answer.get("response", {})).decode()
        text += f" | {answer.get('name')} -> {shown[:ECHO_CHARACTERS]}"
    if "tokens" in prompt.marks:
        wanted = min(prompt.marks["tokens"].number(16), MAX_OUTPUT_TOKENS + 1) * BYTES_PER_TOKEN
        text = (text + _FILLING * (wanted // len(_FILLING) + 1))[:wanted]
    return text


def _structured(prompt: Prompt, mime: str) -> str:
    """JSON (or one word) that fits the schema; without one an object that names the prompt."""
    schema = schema_of(prompt.config)
    if mime == "text/x.enum":
        return str(fit(schema, prompt.echo))
    value = fit(schema, prompt.echo) if schema else {"answer": prompt.echo}
    text = orjson.dumps(value).decode()
    return text[: len(text) // 2] if "cut-json" in prompt.marks else text


def _limited(prompt: Prompt, text: str, thoughts: int) -> tuple[str, bool]:
    """``text`` up to its first stop sequence and token limit; whether the limit cut it."""
    for stop in prompt.config.get("stopSequences", []):
        text = text.partition(stop)[0] if stop else text
    limit = _output_limit(prompt) - thoughts
    if tokens_of(text) > limit:
        return cut_tokens(text, limit), True
    cut = prompt.marks.get("finish")
    return text, bool(cut and cut.value == "MAX_TOKENS")


def _text_parts(prompt: Prompt, text: str) -> list[JsonObject]:
    count = prompt.marks["parts"].number(2) if "parts" in prompt.marks else 1
    step = max(-(-len(text) // max(count, 1)), 1)
    return [{"text": text[at : at + step]} for at in range(0, len(text), step)] or [{"text": ""}]


def _signed(prompt: Prompt, parts: list[JsonObject], thoughts: int) -> list[JsonObject]:
    """Thought signatures: on the last part, or on a part of their own.

    Gemini 3 signs whenever it thought (pictures too), 2.5 where functions are declared.
    """
    sign = {"thoughtSignature": signature(prompt)}
    if "signature-only" in prompt.marks:
        return [*parts, sign]
    if not (thoughts and (prompt.capabilities.signs or declarations(prompt.request))):
        return parts
    if "IMAGE" in prompt.outputs:
        return [part | sign for part in parts]
    if prompt.capabilities.signs and prompt.digest[2] % 4 == 0:
        return [*parts, sign]
    return [*parts[:-1], parts[-1] | sign]


def _with_thoughts(prompt: Prompt, parts: list[JsonObject], thoughts: int) -> list[JsonObject]:
    wanted = prompt.config.get("thinkingConfig", {}).get("includeThoughts")
    if not (wanted and thoughts):
        return parts
    return [{"text": f"**Thinking** about: {prompt.echo}", "thought": True}, *parts]
