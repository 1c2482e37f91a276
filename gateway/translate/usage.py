"""usageMetadata -> usage.

Over 451 recordings ``totalTokenCount = prompt + candidates + thoughts + toolUsePrompt``, without
exception; ``promptTokenCount`` includes cached tokens, ``candidatesTokenCount`` excludes thoughts,
counts of zero are left out.
"""

from typing import Final

from gateway.translate.shapes import NO_USAGE, Json, Usage

# No request has more; a larger count is no count (and a 64-bit column could not hold the sum).
_MOST_TOKENS: Final = 2**40
_LONGEST_COUNT: Final = 14


def count(value: object) -> int:
    """``12`` or ``"12"`` (proto3 writes 64-bit integers as strings) -> 12; anything else 0."""
    if type(value) is int:
        return value if 0 <= value < _MOST_TOKENS else 0
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < _LONGEST_COUNT:
        return count(int(value))
    return count(int(value)) if type(value) is float and value.is_integer() else 0


def usage_of(metadata: object) -> Usage:
    """Sum up one answer; a missing usageMetadata counts as zeros."""
    if type(metadata) is not dict:
        return NO_USAGE
    # Nearly every answer has these two, as plain numbers, and no calls of Google's own tools.
    try:
        prompt, output = metadata["promptTokenCount"], metadata["candidatesTokenCount"]
        thoughts = metadata.get("thoughtsTokenCount", 0)
        cached = metadata.get("cachedContentTokenCount", 0)
    except KeyError:
        return _odd(metadata)
    usual = (
        type(prompt) is type(output) is type(thoughts) is type(cached) is int
        and 0 <= prompt < _MOST_TOKENS
        and 0 < output < _MOST_TOKENS
        and 0 <= thoughts < _MOST_TOKENS
        and 0 <= cached < _MOST_TOKENS
        and "toolUsePromptTokenCount" not in metadata
    )
    if not usual:
        return _odd(metadata)
    return prompt, cached, output + thoughts, thoughts


def _odd(metadata: Json) -> Usage:
    """Counts of zero are left out, and nothing is certain."""
    prompt = count(metadata.get("promptTokenCount")) + count(
        metadata.get("toolUsePromptTokenCount")
    )
    thoughts = count(metadata.get("thoughtsTokenCount"))
    output = count(metadata.get("candidatesTokenCount")) + thoughts
    if not output:
        output = max(0, count(metadata.get("totalTokenCount")) - prompt)
    return prompt, count(metadata.get("cachedContentTokenCount")), output, thoughts


# Of most lines nothing was cached and nothing reasoned: they share these, which nobody changes.
_NOTHING_CACHED: Final = {"cached_tokens": 0, "audio_tokens": 0}
_NOTHING_REASONED: Final = {
    "reasoning_tokens": 0,
    "audio_tokens": 0,
    "accepted_prediction_tokens": 0,
    "rejected_prediction_tokens": 0,
}


def openai_usage(usage: Usage) -> Json:
    """The ``usage`` member of a chat completion."""
    prompt, cached, output, reasoned = usage
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": (
            {**_NOTHING_CACHED, "cached_tokens": cached} if cached else _NOTHING_CACHED
        ),
        "completion_tokens_details": (
            {**_NOTHING_REASONED, "reasoning_tokens": reasoned} if reasoned else _NOTHING_REASONED
        ),
    }
