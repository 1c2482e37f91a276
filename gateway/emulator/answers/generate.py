"""Answers of generate models: deterministic, naming the prompt, in the shapes on record.

The text of an answer holds the last user text (whole up to 200 characters, else its beginning and
its sha256), so a test can check that every request got its own answer.
"""

import base64
from collections import Counter
from dataclasses import dataclass, field, replace
from hashlib import sha256

import orjson

from gateway.emulator.answers import checks
from gateway.emulator.answers.functioncalls import answers, call_part, choose_calls
from gateway.emulator.answers.jsonfit import fit
from gateway.emulator.answers.servertools import Traces, shown_search, traces
from gateway.emulator.answers.usage import (
    BYTES_PER_TOKEN,
    Spent,
    cut_tokens,
    prompt_tokens,
    tokens_of,
    usage,
)
from gateway.emulator.errors import TEXTS, ApiError, JsonObject
from gateway.emulator.markers import Marks, Seen, find_marks
from gateway.emulator.models import RESOLVED, signs, thinks

ECHO_CHARACTERS = 200
"""Longer prompts are named by their beginning and their digest."""

HTTP_OF_CODE = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 13: 500, 14: 503, 16: 401}
"""google.rpc.Code -> HTTP status."""
CODE_OF_HTTP = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 499: 1, 500: 13, 503: 14, 504: 4}

_WITH_CONTENT = frozenset({"STOP", "MAX_TOKENS"})
IMAGE_TOKENS = 1290
"""Tokens of a generated picture (recorded)."""
AUDIO_TOKENS = 32
_SILENCE = base64.b64encode(bytes(480)).decode()
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


@dataclass(frozen=True)
class Prompt:
    """A generate request as the answers need it."""

    model: str
    request: JsonObject
    config: JsonObject
    text: str
    marks: Marks
    digest: bytes

    @property
    def is_old(self) -> bool:
        """Models before 2.5 tell avgLogprobs and details of the answer, and no index (recorded)."""
        return self.model.startswith(("gemini-1", "gemini-2.0"))

    @property
    def echo(self) -> str:
        """What names this prompt in its answer."""
        if len(self.text) <= ECHO_CHARACTERS:
            return self.text
        return f"{self.text[:ECHO_CHARACTERS]}… (sha256 {self.digest.hex()})"


def read_prompt(model: str, request: JsonObject) -> Prompt:
    """The prompt of a parsed and checked GenerateContentRequest."""
    text = last_user_text(request["contents"])
    digest = sha256(orjson.dumps(request["contents"])).digest()
    if len(text) > ECHO_CHARACTERS:
        digest = sha256(text.encode()).digest()
    config = request.get("generationConfig", {})
    return Prompt(model, request, config, text, find_marks(text), digest)


def last_user_text(contents: list[JsonObject]) -> str:
    """The texts of the last content of the user that has any, joined by line ends."""
    for content in reversed(contents):
        if content.get("role") != "model":
            texts = [part["text"] for part in content["parts"] if "text" in part]
            if texts:
                return "\n".join(texts)
    return ""


def check_error_mark(marks: Marks, text: str, seen: Seen) -> None:
    """Raise the ApiError that ``[[error:...]]`` asks for."""
    mark = marks.get("error")
    if mark is None:
        return
    times = mark.options.get("times", "")
    if times.isdigit() and seen.count(text) > int(times):
        return
    code = HTTP_OF_CODE.get(mark.number(13), 500)
    raise ApiError(code, mark.options.get("message", TEXTS.get(code, "The request is invalid.")))


def generate(model: str, request: JsonObject, seen: Seen) -> JsonObject:
    """A GenerateContentResponse for a parsed request; raises ApiError."""
    checks.check(model, request)
    prompt = read_prompt(model, request)
    check_error_mark(prompt.marks, prompt.text, seen)
    asked = prompt_tokens(request)
    checks.check_size(sum(asked.values()))
    if "block" in prompt.marks:
        return _blocked(prompt, asked)
    if "empty" in prompt.marks:
        return {"usageMetadata": usage(asked, Spent())} | _signed_off(prompt)
    return _answered(prompt, asked)


def _blocked(prompt: Prompt, asked: Counter[str]) -> JsonObject:
    reason = prompt.marks["block"].value or "SAFETY"
    return {
        "promptFeedback": {"blockReason": reason},
        "usageMetadata": usage(asked, Spent()),
    } | _signed_off(prompt)


def _signed_off(prompt: Prompt) -> JsonObject:
    version = prompt.marks["model"].value if "model" in prompt.marks else prompt.model
    return {
        "modelVersion": RESOLVED.get(version, version),
        "responseId": response_id(prompt.digest),
    }


def response_id(digest: bytes) -> str:
    """22 URL-safe characters, the same for the same prompt."""
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _answered(prompt: Prompt, asked: Counter[str]) -> JsonObject:
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
        limit = prompt.config.get("maxOutputTokens")
        spent = replace(spent, thoughts=thoughts if limit is None else min(thoughts, limit))
        cached = "cachedContent" in prompt.request or "cached" in prompt.marks
        response["usageMetadata"] = usage(asked, spent, cached=cached, detailed=prompt.is_old)
    return response | _signed_off(prompt)


def thought_tokens(prompt: Prompt) -> int:
    """How many tokens this prompt is thought about: 0 where the model does not think."""
    if "think" in prompt.marks:
        return prompt.marks["think"].number(64)
    config = prompt.config.get("thinkingConfig", {})
    budget = config.get("thinkingBudget")
    silent = budget is None and "thinkingLevel" not in config and not thinks(prompt.model)
    if budget == 0 or silent:
        return 0
    wanted = 12 + prompt.digest[0] % 24
    return wanted if budget is None or budget < 0 else min(wanted, budget)


def _candidate(prompt: Prompt, thoughts: int, index: int) -> tuple[JsonObject, Spent]:
    """One candidate and the tokens of its content."""
    if "citation-only" in prompt.marks:
        source = {"startIndex": 0, "endIndex": 1, "uri": "https://example.com/"}
        return {"citationMetadata": {"citationSources": [source]}}, Spent()
    content = _content(prompt, thoughts, index)
    candidate: JsonObject = {}
    if content.finish in _WITH_CONTENT:
        parts = {"parts": content.parts} if content.parts else {}
        candidate["content"] = parts | {"role": "model"}
    candidate["finishReason"] = content.finish
    if any("functionCall" in part for part in content.parts):
        candidate["finishMessage"] = "Model generated function call(s)."
    if _shows_index(prompt, index):
        candidate["index"] = index
    if prompt.config.get("responseLogprobs"):
        candidate |= _logprobs(content.parts, prompt.config.get("logprobs", 0))
    elif prompt.is_old:
        candidate["avgLogprobs"] = -0.01 - prompt.digest[3] / 1000
    tools = content.traces.tokens
    return candidate | content.traces.candidate, replace(content.spent, tools=tools)


def _shows_index(prompt: Prompt, index: int) -> bool:
    """The first candidate's index is there as a rule, and missing in 38 of 410 recordings."""
    if index:
        return True
    return not prompt.is_old and "no-index" not in prompt.marks and prompt.digest[1] % 10 > 0


@dataclass(frozen=True)
class _Content:
    parts: list[JsonObject]
    finish: str
    spent: Spent = field(default_factory=Spent)
    traces: Traces = field(default_factory=Traces)


def _content(prompt: Prompt, thoughts: int, index: int) -> _Content:
    finish = _forced_finish(prompt)
    if finish not in _WITH_CONTENT:
        return _Content([], finish)
    limit = prompt.config.get("maxOutputTokens")
    if limit is not None and thoughts >= limit:
        return _Content([], "MAX_TOKENS")
    names = choose_calls(prompt.request, prompt.text, prompt.marks)
    if names:
        parts = [*_call_parts(prompt, names), *shown_search(prompt.request, prompt.text)]
        spent = Spent(text=len(orjson.dumps(parts)) // BYTES_PER_TOKEN)
        return _Content(_with_thoughts(prompt, parts, thoughts), finish, spent)
    return _spoken(prompt, thoughts, index, finish)


def _spoken(prompt: Prompt, thoughts: int, index: int, finish: str) -> _Content:
    """An answer in text, pictures or sound."""
    media = _media(prompt)
    if "AUDIO" in media:
        return _Content([media["AUDIO"]], finish, Spent(audio=AUDIO_TOKENS))
    text, cut = _limited(prompt, _text(prompt, index), thoughts)
    found = traces(prompt.request, prompt.text, text)
    parts = _signed(prompt, [*_text_parts(prompt, text), *media.values()], thoughts)
    parts = _with_thoughts(prompt, [*found.parts, *parts], thoughts)
    spent = Spent(text=tokens_of(text), images=IMAGE_TOKENS * len(media))
    return _Content(parts, "MAX_TOKENS" if cut else finish, spent, found)


def _forced_finish(prompt: Prompt) -> str:
    if "malformed-call" in prompt.marks:
        return "MALFORMED_FUNCTION_CALL"
    mark = prompt.marks.get("finish")
    return mark.value.strip().upper() or "STOP" if mark else "STOP"


def _call_parts(prompt: Prompt, names: list[str]) -> list[JsonObject]:
    with_id = signs(prompt.model) and prompt.digest[4] % 2 == 0
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
    if thinks(prompt.model):
        parts[0]["thoughtSignature"] = signature(prompt.digest)
    return parts


def signature(digest: bytes) -> str:
    """Opaque bytes as a thoughtSignature carries them."""
    return base64.b64encode(b"\x12" + digest * 2).decode()


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
        wanted = prompt.marks["tokens"].number(16) * BYTES_PER_TOKEN
        text = (text + " lorem ipsum" * wanted)[:wanted]
    return text


def _structured(prompt: Prompt, mime: str) -> str:
    """JSON (or one word) that fits the schema; without one an object that names the prompt."""
    schema = prompt.config.get("responseSchema") or prompt.config.get("responseJsonSchema")
    if mime == "text/x.enum":
        return str(fit(schema, prompt.echo))
    value = fit(schema, prompt.echo) if schema else {"answer": prompt.echo}
    text = orjson.dumps(value).decode()
    return text[: len(text) // 2] if "cut-json" in prompt.marks else text


def _limited(prompt: Prompt, text: str, thoughts: int) -> tuple[str, bool]:
    """``text`` up to its first stop sequence and token limit; whether the limit cut it."""
    for stop in prompt.config.get("stopSequences", []):
        text = text.partition(stop)[0] if stop else text
    limit = prompt.config.get("maxOutputTokens")
    if limit is not None and tokens_of(text) > limit - thoughts:
        return cut_tokens(text, limit - thoughts), True
    cut = prompt.marks.get("finish")
    return text, bool(cut and cut.value == "MAX_TOKENS")


def _text_parts(prompt: Prompt, text: str) -> list[JsonObject]:
    count = prompt.marks["parts"].number(2) if "parts" in prompt.marks else 1
    step = max(-(-len(text) // max(count, 1)), 1)
    return [{"text": text[at : at + step]} for at in range(0, len(text), step)] or [{"text": ""}]


def _media(prompt: Prompt) -> dict[str, JsonObject]:
    """Pictures of image models (unless only text is asked for), sound of speech models."""
    modalities = prompt.config.get("responseModalities", [])
    draws = any(word in prompt.model for word in ("-image", "nano-banana"))
    if "-tts" in prompt.model:
        mime = "audio/L16;codec=pcm;rate=24000"
        return {"AUDIO": {"inlineData": {"mimeType": mime, "data": _SILENCE}}}
    if draws and (not modalities or "IMAGE" in modalities):
        return {"IMAGE": {"inlineData": {"mimeType": "image/png", "data": _PNG}}}
    return {}


def _signed(prompt: Prompt, parts: list[JsonObject], thoughts: int) -> list[JsonObject]:
    """Thought signatures: on the last part, or on a part of their own.

    Gemini 3 signs whenever it thought, 2.5 where functions are declared.
    """
    if "signature-only" in prompt.marks:
        return [*parts, {"thoughtSignature": signature(prompt.digest)}]
    if not (thoughts and (signs(prompt.model) or checks.declarations(prompt.request))):
        return parts
    if signs(prompt.model) and prompt.digest[2] % 4 == 0:
        return [*parts, {"thoughtSignature": signature(prompt.digest)}]
    return [*parts[:-1], parts[-1] | {"thoughtSignature": signature(prompt.digest)}]


def _with_thoughts(prompt: Prompt, parts: list[JsonObject], thoughts: int) -> list[JsonObject]:
    wanted = prompt.config.get("thinkingConfig", {}).get("includeThoughts")
    if not (wanted and thoughts):
        return parts
    return [{"text": f"**Thinking** about: {prompt.echo}", "thought": True}, *parts]


def _logprobs(parts: list[JsonObject], most: int) -> JsonObject:
    """AvgLogprobs and logprobsResult over the words of the text."""
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    words = [word + " " for word in text.split(" ")]
    chosen = [_chosen(word, 0) for word in words]
    result: JsonObject = {"chosenCandidates": chosen}
    if most:
        result["topCandidates"] = [
            {"candidates": [_chosen(word, rank) for rank in range(most)]} for word in words
        ]
    total = sum(one["logProbability"] for one in chosen)
    result["logProbabilitySum"] = round(total, 6)
    return {"avgLogprobs": round(total / len(chosen), 6), "logprobsResult": result}


def _chosen(word: str, rank: int) -> JsonObject:
    token = word if not rank else f"{word.strip()}{rank}"
    token_id = int.from_bytes(sha256(token.encode()).digest()[:2])
    return {"token": token, "tokenId": token_id, "logProbability": -0.01 - 1.5 * rank}
