"""Answers of generate models: deterministic, naming the prompt, in the shapes on record.

The text of an answer holds the last user text (whole up to 200 characters, else its beginning and
its sha256), so a test can check that every request got its own answer.
"""

import base64
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256

import orjson

from gateway.emulator import checks
from gateway.emulator.errors import TEXTS, ApiError, JsonObject
from gateway.emulator.functioncalls import call_part, choose_calls
from gateway.emulator.jsonfit import fit
from gateway.emulator.markers import Marks, Seen, find_marks
from gateway.emulator.models import RESOLVED, signs, thinks
from gateway.emulator.usage import cut_tokens, prompt_tokens, tokens_of, usage

ECHO_CHARACTERS = 200
"""Longer prompts are named by their beginning and their digest."""

HTTP_OF_CODE = {1: 499, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 13: 500, 14: 503, 16: 401}
"""google.rpc.Code -> HTTP status."""
CODE_OF_HTTP = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 499: 1, 500: 13, 503: 14, 504: 4}

_WITH_CONTENT = frozenset({"STOP", "MAX_TOKENS"})
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
    if "block" in prompt.marks:
        return _blocked(prompt, asked)
    if "empty" in prompt.marks:
        return {"usageMetadata": usage(asked, 0, 0)} | _signed_off(prompt)
    return _answered(prompt, asked)


def _blocked(prompt: Prompt, asked: Counter[str]) -> JsonObject:
    reason = prompt.marks["block"].value or "SAFETY"
    return {
        "promptFeedback": {"blockReason": reason},
        "usageMetadata": usage(asked, 0, 0),
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
    candidates, tokens = [], 0
    for index in range(prompt.config.get("candidateCount", 1)):
        candidate, spent = _candidate(prompt, thoughts, index)
        candidates.append(candidate)
        tokens += spent
    response: JsonObject = {"candidates": candidates}
    if "no-usage" not in prompt.marks:
        limit = prompt.config.get("maxOutputTokens")
        thoughts = thoughts if limit is None else min(thoughts, limit)
        cached = sum(asked.values()) if "cachedContent" in prompt.request else 0
        response["usageMetadata"] = usage(asked, tokens, thoughts, cached=cached)
    return response | _signed_off(prompt)


def thought_tokens(prompt: Prompt) -> int:
    """How many tokens this prompt is thought about: 0 where the model does not think."""
    if "think" in prompt.marks:
        return prompt.marks["think"].number(64)
    config = prompt.config.get("thinkingConfig", {})
    budget = config.get("thinkingBudget")
    if budget == 0 or (
        budget is None and "thinkingLevel" not in config and not thinks(prompt.model)
    ):
        return 0
    wanted = 12 + prompt.digest[0] % 24
    return wanted if budget is None or budget < 0 else min(wanted, budget)


def _candidate(prompt: Prompt, thoughts: int, index: int) -> tuple[JsonObject, int]:
    """One candidate and the tokens of its content."""
    parts, finish, tokens = _content(prompt, thoughts, index)
    candidate: JsonObject = {}
    if "citation-only" in prompt.marks:
        source = {"startIndex": 0, "endIndex": 1, "uri": "https://example.com/"}
        return {"citationMetadata": {"citationSources": [source]}}, 0
    if finish in _WITH_CONTENT:
        candidate["content"] = ({"parts": parts} if parts else {}) | {"role": "model"}
    candidate["finishReason"] = finish
    if any("functionCall" in part for part in parts):
        candidate["finishMessage"] = "Model generated function call(s)."
    if index or ("no-index" not in prompt.marks and prompt.digest[1] % 10):
        candidate["index"] = index
    if prompt.config.get("responseLogprobs"):
        candidate |= _logprobs(parts, prompt.config.get("logprobs", 0))
    return candidate, tokens


def _content(prompt: Prompt, thoughts: int, index: int) -> tuple[list[JsonObject], str, int]:
    """Parts, finish reason and tokens of one candidate."""
    finish = _forced_finish(prompt)
    if finish not in _WITH_CONTENT:
        return [], finish, 0
    limit = prompt.config.get("maxOutputTokens")
    if limit is not None and thoughts >= limit:
        return [], "MAX_TOKENS", 0
    names = choose_calls(prompt.request, prompt.text, prompt.marks)
    if names:
        parts = _call_parts(prompt, names)
        return _with_thoughts(prompt, parts, thoughts), finish, len(orjson.dumps(parts)) // 4
    text, cut = _limited(prompt, _text(prompt, index), thoughts)
    parts = _signed(prompt, _text_parts(prompt, text), thoughts)
    tokens = tokens_of(text) + _image_tokens(parts)
    return _with_thoughts(prompt, parts, thoughts), "MAX_TOKENS" if cut else finish, tokens


def _forced_finish(prompt: Prompt) -> str:
    if "malformed-call" in prompt.marks:
        return "MALFORMED_FUNCTION_CALL"
    mark = prompt.marks.get("finish")
    return mark.value.strip().upper() or "STOP" if mark else "STOP"


def _call_parts(prompt: Prompt, names: list[str]) -> list[JsonObject]:
    parts = [
        call_part(name, prompt.request, prompt.echo, prompt.marks, number)
        for number, name in enumerate(names)
    ]
    if signs(prompt.model) or thinks(prompt.model):
        parts[0]["thoughtSignature"] = signature(prompt.digest)
    return parts


def signature(digest: bytes) -> str:
    """Opaque bytes as a thoughtSignature carries them."""
    return base64.b64encode(b"\x12" + digest * 2).decode()


def _text(prompt: Prompt, index: int) -> str:
    if "text" in prompt.marks:
        return prompt.marks["text"].value
    mime = prompt.config.get("responseMimeType", "text/plain")
    schema = prompt.config.get("responseSchema") or prompt.config.get("responseJsonSchema")
    if mime == "text/x.enum":
        return str(fit(schema, prompt.echo))
    if mime == "application/json":
        value = fit(schema, prompt.echo) if schema else {"answer": prompt.echo}
        text = orjson.dumps(value).decode()
        return text[: len(text) // 2] if "cut-json" in prompt.marks else text
    text = f"Echo: {prompt.echo}" if not index else f"Echo {index}: {prompt.echo}"
    if "tokens" in prompt.marks:
        wanted = prompt.marks["tokens"].number(16) * 4
        text = (text + " lorem ipsum" * wanted)[:wanted]
    return text


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
    parts: list[JsonObject] = [
        {"text": text[at : at + step]} for at in range(0, len(text), step)
    ] or [{"text": ""}]
    if "IMAGE" in prompt.config.get("responseModalities", []):
        parts.append({"inlineData": {"mimeType": "image/png", "data": _PNG}})
    return parts


def _image_tokens(parts: list[JsonObject]) -> int:
    return 1290 * sum("inlineData" in part for part in parts)


def _signed(prompt: Prompt, parts: list[JsonObject], thoughts: int) -> list[JsonObject]:
    """Signatures of Gemini 3: on the last text, or on a part of their own."""
    if "signature-only" in prompt.marks:
        return [*parts, {"thoughtSignature": signature(prompt.digest)}]
    if not (thoughts and signs(prompt.model)):
        return parts
    if prompt.digest[2] % 4 == 0:
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
