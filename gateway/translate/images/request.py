"""``/v1/images/generations`` -> GenerateContentRequests of Gemini's image models.

One image per request, so ``n`` is as many items. Gemini knows aspect ratios and three sizes, not
pixels: the nearest is asked for and noted, and the answer says what came back.
"""

import re
from math import log
from typing import Final

from gateway.translate.contract import (
    Json,
    LineError,
    Policy,
    Translation,
)
from gateway.translate.google import read_extra_body, read_google, refuse_google
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.compiled_options import compile_options
from gateway.translate.request.options import integer, read_stream
from gateway.translate.request.thinking import refuse_thoughts, resolve_thinking
from gateway.translate.tools.config import resolve_tools

# OpenAI's limits.
MAX_IMAGES: Final = 10
MAX_PROMPT_CHARACTERS: Final = 32_000

# What every image model of Gemini takes (page "Image generation").
ASPECT_RATIOS: Final = (
    "1:1",
    "2:3",
    "3:2",
    "3:4",
    "4:3",
    "4:5",
    "5:4",
    "9:16",
    "16:9",
    "21:9",
)
# Pixels from which the next size is nearer: 1K is about 1 megapixel, 2K about 4, 4K about 16.
_SIZES: Final = ((2_100_000, ""), (8_400_000, "2K"), (1 << 62, "4K"))
# What a square of each size has; other ratios come near what was asked for.
_SQUARES: Final = {"": (1024, 1024), "2K": (2048, 2048), "4K": (4096, 4096)}
# Gemini 2.5 makes 1K images only; imageSize came with 3.
_ONE_SIZE: Final = re.compile(r"gemini-2\.")
_PIXELS: Final = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")

_BACKGROUNDS: Final = ("transparent", "opaque", "auto")
_QUALITIES: Final = ("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd")
_FORMATS: Final = ("png", "webp", "jpeg", "gif", "svg")
_MODERATIONS: Final = ("low", "auto")
_STYLES: Final = ("vivid", "natural")


def _read_n(value: object, draft: RequestBuilder) -> None:
    draft.choices = integer(value, 1, MAX_IMAGES, "n")


def _read_size(value: object, draft: RequestBuilder) -> None:
    """``"1536x1024"`` -> ``{"aspectRatio": "3:2"}``; larger ones ask for 2K or 4K too."""
    if value == "auto":
        return
    if type(value) is not str:
        invalid_type(value, "a string", "size")
    match = _PIXELS.fullmatch(value)
    if match is None:
        invalid_value("expected 'auto' or a size as in '1024x1024'.", "size")
    width, height = int(match[1]), int(match[2])
    ratio, exact = _nearest_ratio(width / height)
    size = next(word for limit, word in _SIZES if width * height <= limit)
    if size and _ONE_SIZE.match(draft.model):
        size, exact = "", False
    draft.image_config = {"aspectRatio": ratio, **({"imageSize": size} if size else {})}
    if not exact or (width, height) != _SQUARES[size]:
        draft.note("approximated", "size", f"{ratio} at {size or '1K'}")


def _nearest_ratio(asked: float) -> tuple[str, bool]:
    distances = []
    for ratio in ASPECT_RATIOS:
        width, height = map(int, ratio.split(":"))
        distances.append((abs(log(asked * height / width)), ratio))
    distance, ratio = min(distances)
    return ratio, distance < 1e-9


def _read_response_format(value: object, draft: RequestBuilder) -> None:  # noqa: ARG001 - a Reader
    if value == "url":
        unsupported_value("the gateway hosts no images; use 'b64_json'.", "response_format")
    if value != "b64_json":
        invalid_choice(value, ("b64_json",), "response_format")


def _read_output_format(value: object, draft: RequestBuilder) -> None:
    """Gemini chooses: PNG mostly, JPEG at times; the answer's ``output_format`` says which."""
    if value not in _FORMATS:
        invalid_choice(value, _FORMATS, "output_format")
    if value in ("gif", "svg"):
        unsupported_value("Gemini makes no such images.", "output_format")
    if value != "png":
        draft.note("dropped", "output_format")


def _read_background(value: object, draft: RequestBuilder) -> None:  # noqa: ARG001 - a Reader
    if value not in _BACKGROUNDS:
        invalid_choice(value, _BACKGROUNDS, "background")
    if value == "transparent":
        unsupported_value("Gemini makes no transparent images.", "background")


def _read_quality(value: object, draft: RequestBuilder) -> None:
    if value not in _QUALITIES:
        invalid_choice(value, _QUALITIES, "quality")
    if value not in ("auto", "standard"):
        draft.note("dropped", "quality")


def _read_moderation(value: object, draft: RequestBuilder) -> None:
    if value not in _MODERATIONS:
        invalid_choice(value, _MODERATIONS, "moderation")
    if value != "auto":
        draft.note("dropped", "moderation")


def _read_style(value: object, draft: RequestBuilder) -> None:
    if value not in _STYLES:
        invalid_choice(value, _STYLES, "style")
    draft.note("dropped", "style")


def _read_compression(value: object, draft: RequestBuilder) -> None:
    if integer(value, 0, 100, "output_compression") != 100:
        draft.note("dropped", "output_compression")


IMAGES: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("prompt", "`contents`: one user turn"),
    mapped("n", "one item per image", _read_n),
    mapped("size", "`imageConfig.aspectRatio`, `imageSize`: the nearest, noted", _read_size),
    mapped("response_format", "`b64_json` only", _read_response_format),
    mapped("output_format", "png; jpeg and webp are noted: Gemini chooses", _read_output_format),
    mapped("background", "opaque or auto; transparent is refused", _read_background),
    mapped("google", "Google's documented extensions", read_google),
    mapped("extra_body", "the same one level further down", read_extra_body),
    mapped("stream", "false only", read_stream),
    dropped("quality", "Gemini has no such setting; noted", _read_quality),
    dropped("style", "Gemini has no such setting; noted", _read_style),
    dropped("moderation", "Gemini's filters are set by `google.safety_settings`", _read_moderation),
    dropped("output_compression", "Gemini chooses; noted", _read_compression),
    dropped("user", "names the caller's user to OpenAI"),
    dropped("safety_identifier", "names the caller's user to OpenAI"),
    refused("partial_images", "Without streaming there are no partial images."),
    refused("complexity", "Gemini makes no vector images."),
    refused("svg", "Gemini makes no vector images."),
    refused("frame_count", "Gemini makes no animations here."),
    refused("frame_duration_ms", "Gemini makes no animations here."),
)


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
    """Translate one line.

    ``{"model": "gemini-2.5-flash-image", "prompt": "A cat", "size": "1024x1024"}`` ->
    ``{"contents": […], "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": …}}``
    """
    rest = body.copy()
    prompt = rest.pop("prompt", None)
    try:
        frame = compile_options(_read_rest, rest, model, policy)
        item = frame.text(_prompt(prompt))
    except Refused as refusal:
        return refused_line(refusal, to_gemini, body, policy, model)
    return frame.spread(item), frame.echo, frame.notes, ()


def _prompt(value: object) -> str:
    if value is None:
        missing("prompt")
    if type(value) is not str:
        invalid_type(value, "a string", "prompt")
    if not value:
        invalid_value("a prompt cannot be an empty string.", "prompt")
    if len(value) > MAX_PROMPT_CHARACTERS:
        invalid_value(f"at most {MAX_PROMPT_CHARACTERS} characters are possible.", "prompt")
    return value


def _read_rest(rest: Json, model: str, policy: Policy) -> RequestBuilder:
    draft = RequestBuilder(model, policy)
    draft.echo["model"] = rest.get("model", model)
    IMAGES.read(rest, draft)
    refuse_google(draft, ("speech_config",))
    resolve_tools(draft)
    refuse_thoughts(draft)
    resolve_thinking(draft)
    if "IMAGE" not in draft.config.setdefault("responseModalities", ["IMAGE"]):
        where = f"{draft.google_path}.response_modalities"
        unsupported_value("an answer without images is none here.", where)
    if draft.image_config is not None:
        if "imageConfig" in draft.config:
            invalid_value("it cannot be combined with google.image_config.", "size")
        draft.config["imageConfig"] = draft.image_config
    return draft
