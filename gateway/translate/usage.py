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
    cached = thoughts = 0
    # Every answer has these two, as plain numbers but for what no recording shows.
    prompt = metadata.get("promptTokenCount", 0)
    if type(prompt) is not int or not 0 <= prompt < _MOST_TOKENS:
        prompt = count(prompt)
    output = metadata.get("candidatesTokenCount", 0)
    if type(output) is not int or not 0 <= output < _MOST_TOKENS:
        output = count(output)
    # Counts of zero are left out, so most of the others are absent.
    if "thoughtsTokenCount" in metadata:
        thoughts = count(metadata["thoughtsTokenCount"])
        output += thoughts
    if "cachedContentTokenCount" in metadata:
        cached = count(metadata["cachedContentTokenCount"])
    if "toolUsePromptTokenCount" in metadata:
        prompt += count(metadata["toolUsePromptTokenCount"])
    if not output:
        output = max(0, count(metadata.get("totalTokenCount")) - prompt)
    return Usage(prompt, cached, output, thoughts)


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
    prompt, output = usage.input_tokens, usage.output_tokens
    cached, reasoned = usage.cached_tokens, usage.reasoning_tokens
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
