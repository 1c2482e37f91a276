"""GenerateContentResponses of Gemini's image models -> ``/v1/images/generations``."""

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate.answer.envelope import blocked_of, read_items
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.finish import finish_of
from gateway.translate.answer.parts import Media, Text, parts_of
from gateway.translate.answer.usage import MediaTokens, media_of, uncounted
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Note, Rendered, Usage

# The words of `output_format`; an answer of another type has none.
_FORMATS: Final = ("png", "webp", "jpeg", "gif", "svg")


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:  # noqa: ARG001
    """Render one line: any item without an image fails it, because one would be missing.

    ``{"response": {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png",
    "data": "iVBO…"}}]}}]}}`` -> ``{"created": …, "data": [{"b64_json": "iVBO…"}], …}``
    """
    images: list[Media] = []
    dropped: list[Note] = []

    def read(response: Json) -> Failure | None:
        found = _images_in_answer(response)
        if isinstance(found, Failure):
            return found
        # One was asked for of each item, and as many as asked for are expected.
        images.append(found[0])
        dropped.extend([Note("dropped", "data")] * (len(found) - 1))
        return None

    usage, failure = read_items(answers, "Image", read)
    if failure is not None:
        return failure.rendered(usage)
    responses = [answer["response"] for answer in answers]
    body: Json = {
        "created": context.created,
        "data": [{"b64_json": image.data} for image in images],
        "background": "opaque",
        **_format(images[0]),
        "usage": _usage(usage, media_of(responses)),
    }
    return 200, orjson.dumps(body), usage, (*dropped, *uncounted(responses))


def _images_in_answer(response: Json) -> list[Media] | Failure:
    candidates = response.get("candidates")
    candidate = candidates[0] if type(candidates) is list and candidates else None
    if type(candidate) is not dict:
        return _blocked(response)
    content = candidate.get("content")
    found, words = _images_of(content.get("parts") if type(content) is dict else None)
    return found or _no_image(candidate, words)


def _images_of(parts: object) -> tuple[list[Media], str]:
    """Collect the images and the text; drafts are thoughts and left out."""
    images, words = [], ""
    for part in parts_of(parts):
        match part:
            case Text(text):
                words += text
            case Media(mime_type) if mime_type.startswith("image/"):
                images.append(part)
            case _:  # an answer of images shows nothing else
                pass
    return images, words


# Code and type of an error line for a refused image, as OpenAI's image models answer.
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


def _format(image: Media) -> Json:
    """``output_format`` and, of PNG images, the ``size`` that Gemini chose."""
    word = image.mime_type.removeprefix("image/")
    found: Json = {"output_format": word} if word in _FORMATS else {}
    size = _png_size(image.data)
    return {**found, "size": size} if size else found


def _png_size(data: str) -> str:
    """Read width and height of a PNG file at their fixed places (RFC 2083, IHDR)."""
    try:
        head = a2b_base64(data[:32])
    except (Base64Error, ValueError):
        return ""
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return ""
    return f"{int.from_bytes(head[16:20])}x{int.from_bytes(head[20:24])}"


def _usage(usage: Usage, media: MediaTokens) -> Json:
    prompt, _, output, _ = usage
    images_in, images_out = min(media.images_in, prompt), min(media.images_out, output)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"image_tokens": images_in, "text_tokens": prompt - images_in},
        "output_tokens": output,
        "output_tokens_details": {"image_tokens": images_out, "text_tokens": output - images_out},
        "total_tokens": prompt + output,
    }
