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
    prompt = output = cached = thoughts = 0
    # Counts of zero are left out, so most of these are absent.
    if "promptTokenCount" in metadata:
        prompt = count(metadata["promptTokenCount"])
    if "candidatesTokenCount" in metadata:
        output = count(metadata["candidatesTokenCount"])
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


def openai_usage(usage: Usage) -> Json:
    """The ``usage`` member of a chat completion."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
