"""GenerateContentResponses of Gemini's image models -> ``/v1/images/generations``."""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate.answer.envelope import blocked_of
from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.finish import finish_of
from gateway.translate.answer.usage import count, total_usage, uncounted, usage_of
from gateway.translate.contract import (
    Answer,
    AnswerHints,
    Context,
    Json,
    Note,
    Rendered,
    Usage,
)

# The words of `output_format`; an answer of another type has none.
_FORMATS: Final = ("png", "webp", "jpeg", "gif", "svg")


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:  # noqa: ARG001
    """Render one line: any item without an image fails it, because one would be missing.

    ``{"response": {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png",
    "data": "iVBO…"}}]}}]}}`` -> ``{"created": …, "data": [{"b64_json": "iVBO…"}], …}``
    """
    blobs: list[Json] = []
    dropped: list[Note] = []
    usages: list[Usage] = []
    tokens = _Tokens()
    failure: Failure | None = None
    for number, answer in enumerate(answers, 1):
        wrong = failure_of(answer)
        if wrong is None:
            response = answer["response"]
            usages.append(usage_of(response.get("usageMetadata")))
            tokens.add(response.get("usageMetadata"))
            found = _images_in_answer(response)
            wrong = found if isinstance(found, Failure) else None
            if not isinstance(found, Failure):
                # One was asked for of each item, and as many as asked for are expected.
                blobs.append(found[0])
                dropped += [Note("dropped", "data")] * (len(found) - 1)
        if wrong is not None and failure is None:
            failure = wrong.among("Image", number, len(answers))
    usage = total_usage(usages)
    if failure is not None:
        return failure.rendered(usage)
    body: Json = {
        "created": context.created,
        "data": [{"b64_json": blob["data"]} for blob in blobs],
        "background": "opaque",
        **_format(blobs),
        "usage": tokens.usage(usage),
    }
    notes = uncounted(answer["response"] for answer in answers)
    return 200, orjson.dumps(body), usage, (*dropped, *notes)


def _images_in_answer(response: Json) -> list[Json] | Failure:
    candidates = response.get("candidates")
    candidate = candidates[0] if type(candidates) is list and candidates else None
    if type(candidate) is not dict:
        return _blocked(response)
    content = candidate.get("content")
    parts = content.get("parts") if type(content) is dict else None
    found, words = _images_of(parts if type(parts) is list else [])
    return found or _no_image(candidate, words)


def _images_of(parts: list[object]) -> tuple[list[Json], str]:
    """The images, and the words beside them; drafts are thoughts and left out."""
    images, words = [], ""
    for part in parts:
        if type(part) is not dict or part.get("thought") is True:
            continue
        blob, text = part.get("inlineData"), part.get("text")
        if type(text) is str:
            words += text
        if type(blob) is dict and type(blob.get("data")) is str and blob["data"]:
            kind = blob.get("mimeType")
            if type(kind) is str and kind.startswith("image/"):
                images.append(blob)
    return images, words


# What OpenAI's image models answer when they will not (code and type as its SDK users know them).
_REFUSED: Final = "moderation_blocked"
_REFUSED_TYPE: Final = "image_generation_user_error"


def _blocked(response: Json) -> Failure:
    blocked = blocked_of(response)
    if isinstance(blocked, Failure):
        return blocked
    return Failure(400, _REFUSED, blocked[1], _REFUSED_TYPE)


def _no_image(candidate: Json, words: str) -> Failure:
    reason = candidate.get("finishReason")
    said = f" It said: {words[:500]}" if words else ""
    if finish_of(reason).word == "content_filter":
        message = f"Gemini refused to make this image ({str(reason)[:100]}).{said}"
        return Failure(400, _REFUSED, message, _REFUSED_TYPE)
    message = f"Gemini made no image ({str(reason)[:100]}).{said}"
    return Failure(500, "no_image", message)


def _format(blobs: list[Json]) -> Json:
    """``output_format`` and, of PNG images, the ``size`` that Gemini chose."""
    word = str(blobs[0]["mimeType"]).removeprefix("image/")
    found: Json = {"output_format": word} if word in _FORMATS else {}
    size = _png_size(blobs[0]["data"])
    return {**found, "size": size} if size else found


def _png_size(data: str) -> str:
    """Width and height stand at fixed places of a PNG file (RFC 2083, IHDR)."""
    try:
        head = a2b_base64(data[:32])
    except (Base64Error, ValueError):
        return ""
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return ""
    return f"{int.from_bytes(head[16:20])}x{int.from_bytes(head[20:24])}"


class _Tokens:
    """Tokens by kind of medium, as ``promptTokensDetails`` and its like count them."""

    def __init__(self) -> None:
        self.image_in = self.image_out = 0

    def add(self, metadata: object) -> None:
        if type(metadata) is dict:
            self.image_in = max(self.image_in, _images_in(metadata.get("promptTokensDetails")))
            self.image_out += _images_in(metadata.get("candidatesTokensDetails"))

    def usage(self, usage: Usage) -> Json:
        prompt, _, output, _ = usage
        image_in, image_out = min(self.image_in, prompt), min(self.image_out, output)
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"image_tokens": image_in, "text_tokens": prompt - image_in},
            "output_tokens": output,
            "output_tokens_details": {
                "image_tokens": image_out,
                "text_tokens": output - image_out,
            },
            "total_tokens": prompt + output,
        }


def _images_in(details: object) -> int:
    return sum(
        count(detail.get("tokenCount"))
        for detail in (details if type(details) is list else ())
        if type(detail) is dict and detail.get("modality") == "IMAGE"
    )
