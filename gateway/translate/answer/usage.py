"""``usageMetadata`` -> token counts, and the ``usage`` of a chat completion.

Over 451 recordings ``totalTokenCount = prompt + candidates + thoughts + toolUsePrompt``, without
exception; ``promptTokenCount`` includes cached tokens, ``candidatesTokenCount`` excludes thoughts,
counts of zero are left out.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from gateway.translate.contract import NO_USAGE, Json, Note, Usage

# Members of usageMetadata that no endpoint shows.
USAGE_LEFT_OUT: Final = {
    "toolUsePromptTokensDetails": "left out: tokens by kind of medium",
    "cacheTokensDetails": "left out: tokens by kind of medium",
    "serviceTier": "left out: batch is a class of its own",
    "trafficType": "left out: Vertex only",
}
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


# OpenAI's usage has no word for unknown: uncounted tokens are 0, and that is noted.
UNCOUNTED: Final = (Note("unknown", "usage"),)


def uncounted(responses: Iterable[Json]) -> tuple[Note, ...]:
    """Note that one of the answers does not report what it used, if so."""
    for response in responses:
        if type(response.get("usageMetadata")) is not dict:
            return UNCOUNTED
    return ()


def usage_of(metadata: object) -> Usage:
    """Sum up one answer; a missing usageMetadata counts as zeros, see :func:`uncounted`."""
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
    """Read counts of which some are absent, as zeros are, or of another type."""
    prompt = count(metadata.get("promptTokenCount")) + count(
        metadata.get("toolUsePromptTokenCount")
    )
    thoughts = count(metadata.get("thoughtsTokenCount"))
    output = count(metadata.get("candidatesTokenCount")) + thoughts
    if "candidatesTokenCount" not in metadata or not output:
        output = max(output, count(metadata.get("totalTokenCount")) - prompt)
    return prompt, count(metadata.get("cachedContentTokenCount")), output, thoughts


def total_usage(usages: Sequence[Usage]) -> Usage:
    """Add up the items of one line: its prompt counts once, however often it was sent."""
    if len(usages) < 2:
        return usages[0] if usages else NO_USAGE
    prompts, cached, outputs, reasoning = zip(*usages, strict=True)
    return max(prompts), max(cached), sum(outputs), sum(reasoning)


# Most lines cached nothing and reasoned nothing: they share these objects, which stay unchanged.
_NOTHING_CACHED: Final = {"cached_tokens": 0, "audio_tokens": 0}
_NOTHING_REASONED: Final = {
    "reasoning_tokens": 0,
    "audio_tokens": 0,
    "accepted_prediction_tokens": 0,
    "rejected_prediction_tokens": 0,
}


class MediaTokens(NamedTuple):
    """Tokens of one line that are no text: sound and images of its prompt and of its answer."""

    audio_in: int = 0
    images_in: int = 0
    audio_out: int = 0
    images_out: int = 0


_NO_MEDIA: Final = MediaTokens()


def media_of(responses: Iterable[Json]) -> MediaTokens:
    """Count the media in the answers of one line; their prompt is one prompt."""
    found = _NO_MEDIA
    for response in responses:
        metadata = response.get("usageMetadata")
        if type(metadata) is not dict:
            continue
        given, made = metadata.get("promptTokensDetails"), metadata.get("candidatesTokensDetails")
        if _has_media(given) or _has_media(made):
            found = MediaTokens(
                max(found.audio_in, _of_medium("AUDIO", given)),
                max(found.images_in, _of_medium("IMAGE", given)),
                found.audio_out + _of_medium("AUDIO", made),
                found.images_out + _of_medium("IMAGE", made),
            )
    return found


def _has_media(details: object) -> bool:
    """Tell whether there is anything to count: most answers have text alone."""
    for detail in details if type(details) is list else ():
        if type(detail) is dict and detail.get("modality") != "TEXT":
            return True
    return False


def _of_medium(medium: str, details: object) -> int:
    return sum(
        count(detail.get("tokenCount"))
        for detail in (details if type(details) is list else ())
        if type(detail) is dict and detail.get("modality") == medium
    )


def openai_usage(usage: Usage, media: MediaTokens) -> Json:
    """Write the ``usage`` member of a chat completion."""
    prompt, cached, output, reasoned = usage
    if any((media.audio_in, media.images_in, media.audio_out)):
        return _with_media(usage, media)
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


def _with_media(usage: Usage, media: MediaTokens) -> Json:
    prompt, _, output, _ = usage
    found = openai_usage(usage, _NO_MEDIA)
    given = {**found["prompt_tokens_details"], "audio_tokens": min(media.audio_in, prompt)}
    if media.images_in:
        given["image_tokens"] = min(media.images_in, prompt)
    made = {**found["completion_tokens_details"], "audio_tokens": min(media.audio_out, output)}
    return {**found, "prompt_tokens_details": given, "completion_tokens_details": made}
