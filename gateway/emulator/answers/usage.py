"""Tokens: how many a request has, and a usageMetadata that adds up.

Counting is a stand-in (four bytes of UTF-8 are a token, an image is 258), the sums are not: over
410 recordings ``totalTokenCount = prompt + candidates + thoughts + toolUsePrompt`` without
exception, and ``candidatesTokenCount`` is absent where there are none.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import orjson

from gateway.emulator.protocol.errors import JsonObject

# What a text model says at most (outputTokenLimit of the recorded models).
MAX_OUTPUT_TOKENS: Final = 65_536
BYTES_PER_TOKEN: Final = 4
IMAGE_TOKENS: Final = 258
_MODALITIES: Final = {
    "image": "IMAGE",
    "audio": "AUDIO",
    "video": "VIDEO",
    "application": "DOCUMENT",
}


def tokens_of(text: str) -> int:
    """Tokens of a text: a quarter of its bytes, rounded up."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def cut_tokens(text: str, tokens: int) -> str:
    """Return the first ``tokens`` tokens of ``text``."""
    return text.encode()[: tokens * BYTES_PER_TOKEN].decode(errors="ignore")


def prompt_tokens(request: JsonObject) -> Counter[str]:
    """Tokens of a GenerateContentRequest by modality; at least one of TEXT."""
    found: Counter[str] = Counter()
    for content in request.get("contents", []):
        _count_content(content, found)
    if "systemInstruction" in request:
        _count_content(request["systemInstruction"], found)
    if "tools" in request:
        found["TEXT"] += len(orjson.dumps(request["tools"])) // BYTES_PER_TOKEN
    found["TEXT"] = max(found["TEXT"], 1)
    return found


def content_tokens(*contents: JsonObject) -> Counter[str]:
    """Tokens of some Contents by modality; at least one."""
    found: Counter[str] = Counter()
    for content in contents:
        _count_content(content, found)
    return found if found.total() else Counter(TEXT=1)


def _count_content(content: JsonObject, found: Counter[str]) -> None:
    for part in content.get("parts", []):
        if "text" in part:
            found["TEXT"] += tokens_of(part["text"])
        elif media := part.get("inlineData") or part.get("fileData"):
            kind = str(media.get("mimeType", "image/png")).partition("/")[0]
            found[_MODALITIES.get(kind, "TEXT")] += IMAGE_TOKENS
        else:
            found["TEXT"] += len(orjson.dumps(part)) // BYTES_PER_TOKEN


def details(found: Counter[str]) -> list[JsonObject]:
    """``[{"modality": "TEXT", "tokenCount": 8}]``."""
    return [{"modality": name, "tokenCount": count} for name, count in found.items() if count]


@dataclass(frozen=True)
class Spent:
    """Tokens of an answer."""

    text: int = 0
    images: int = 0
    audio: int = 0
    thoughts: int = 0
    tools: int = 0

    @property
    def answer(self) -> int:
        """candidatesTokenCount: without thoughts."""
        return self.text + self.images + self.audio


def usage(
    prompt: Counter[str],
    spent: Spent,
    *,
    cached: Counter[str] | None = None,
    detailed: bool = False,
) -> JsonObject:
    """UsageMetadata as recorded: counts that are zero are left out."""
    total = sum(prompt.values())
    answer, thoughts = spent.answer, spent.thoughts
    found: JsonObject = {"promptTokenCount": total}
    if answer:
        found["candidatesTokenCount"] = answer
    found["totalTokenCount"] = total + answer + thoughts + spent.tools
    found["promptTokensDetails"] = details(prompt)
    if thoughts:
        found["thoughtsTokenCount"] = thoughts
    if spent.tools:
        found["toolUsePromptTokenCount"] = spent.tools
        found["toolUsePromptTokensDetails"] = details(Counter(TEXT=spent.tools))
    if cached:
        found["cachedContentTokenCount"] = sum(cached.values())
        found["cacheTokensDetails"] = details(cached)
    if answer and (detailed or spent.images or spent.audio):
        kinds = Counter(IMAGE=spent.images, AUDIO=spent.audio)
        if (
            detailed
        ):  # otherwise the text of an answer with a picture is in the sum only, as recorded
            kinds["TEXT"] = spent.text
        found["candidatesTokensDetails"] = details(kinds)
    return found | {"serviceTier": "standard"}
