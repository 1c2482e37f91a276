"""``/v1/images/generations`` -> GenerateContentRequests of Gemini's image models.

One image per request, so ``n`` is as many items. Gemini knows aspect ratios and three sizes, not
pixels: the nearest is asked for and noted, and the answer says what came back.
"""

import re
from math import log
from typing import Final

from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.frames import translates
from gateway.translate.google import GOOGLE_ROWS, refuse_google
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import integer, one_of, string
from gateway.translate.reading.table import FieldTable, mapped, noted, refused
from gateway.translate.request import fields
from gateway.translate.request.builder import RequestBuilder, keep, read_options
from gateway.translate.request.compiled_options import CompiledOptions, Hints, Values
from gateway.translate.request.fields import STREAM
from gateway.translate.request.thinking import refuse_thoughts, resolve_thinking
from gateway.translate.tools.config import resolve_tools

PATH: Final = "/v1/images/generations"
# OpenAI's limits.
MAX_IMAGES: Final = 10
MAX_PROMPT_CHARACTERS: Final = 32_000

# What every image model of Gemini takes (page "Image generation").
ASPECT_RATIOS: Final = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
# Pixels from which the next size is nearer: 1K is about 1 megapixel, 2K about 4, 4K about 16.
_SIZES: Final = ((2_100_000, ""), (8_400_000, "2K"), (1 << 62, "4K"))
# What a square of each size has; other ratios come near what was asked for.
_SQUARES: Final = {"": (1024, 1024), "2K": (2048, 2048), "4K": (4096, 4096)}
# Gemini 2.5 makes 1K images only; imageSize came with 3.
_ONE_SIZE: Final = re.compile(r"gemini-2\.")
_PIXELS: Final = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")

_FORMATS: Final = ("png", "webp", "jpeg")
_NO_URL: Final = {"url": "the gateway hosts no images; use 'b64_json'."}
_NO_FORMATS: Final = dict.fromkeys(("gif", "svg"), "Gemini makes no such images.")
_NOT_OPAQUE: Final = {"transparent": "Gemini makes no transparent images."}
_quality: Final = one_of("low", "medium", "high", "xhigh", "max", "auto", "standard", "hd")


def _read_size(value: str, builder: RequestBuilder) -> None:
    """``"1536x1024"`` -> ``{"aspectRatio": "3:2"}``; larger ones ask for 2K or 4K too."""
    if value == "auto":
        return
    match = _PIXELS.fullmatch(value)
    if match is None:
        refusal.invalid_value("expected 'auto' or a size as in '1024x1024'.")
    width, height = int(match[1]), int(match[2])
    ratio, exact = _nearest_ratio(width / height)
    size = next(word for limit, word in _SIZES if width * height <= limit)
    if size and _ONE_SIZE.match(builder.model):
        size, exact = "", False
    builder.image_config = {"aspectRatio": ratio, **({"imageSize": size} if size else {})}
    if not exact or (width, height) != _SQUARES[size]:
        builder.note("approximated", "size", f"{ratio} at {size or '1K'}")


def _nearest_ratio(asked: float) -> tuple[str, bool]:
    distances = []
    for ratio in ASPECT_RATIOS:
        width, height = map(int, ratio.split(":"))
        distances.append((abs(log(asked * height / width)), ratio))
    distance, ratio = min(distances)
    return ratio, distance < 1e-9


# What drawing and editing have in common.
SHARED: Final = (
    mapped("model", "the model of the job"),
    mapped("prompt", "`contents`: one user turn"),
    mapped("n", "one item per image", integer(1, MAX_IMAGES), keep("choices")),
    mapped(
        "size", "`imageConfig.aspectRatio`, `imageSize`: the nearest, noted", string, _read_size
    ),
    mapped("response_format", "`b64_json` only", one_of("b64_json", refused=_NO_URL)),
    # Gemini chooses: PNG mostly, JPEG at times; the answer's ``output_format`` says which.
    mapped(
        "output_format",
        "png; jpeg and webp are noted: Gemini chooses",
        one_of(*_FORMATS, refused=_NO_FORMATS),
        usual=("png",),
    ),
    mapped(
        "background",
        "opaque or auto; transparent is refused",
        one_of("opaque", "auto", refused=_NOT_OPAQUE),
    ),
    *GOOGLE_ROWS,
    STREAM,
    noted("quality", "Gemini has no such setting; noted", _quality, "auto", "standard"),
    noted(
        "moderation",
        "Gemini's filters are set by `google.safety_settings`",
        one_of("low", "auto"),
        "auto",
    ),
    noted("output_compression", "Gemini chooses; noted", integer(0, 100), 100),
    fields.USER,
    fields.SAFETY_IDENTIFIER,
    # OpenAI allows fewer of them than were asked for: the image may be whole before.
    noted("partial_images", "Gemini shows no drafts; noted", integer(0, 3), 0),
    refused("complexity", "Gemini makes no vector images."),
    refused("svg", "Gemini makes no vector images."),
    refused("frame_count", "Gemini makes no animations here."),
    refused("frame_duration_ms", "Gemini makes no animations here."),
)
IMAGES: Final = FieldTable(
    PATH,
    *SHARED,
    noted("style", "Gemini has no such setting; noted", one_of("vivid", "natural")),
)


def compile_images(
    table: FieldTable[RequestBuilder], rest: Json, model: str, policy: Policy
) -> CompiledOptions:
    """Compile the options of a line that wants images; ``table`` is the endpoint's."""
    builder = read_options(table, rest, model, policy)
    refuse_google(builder, ("speech_config",))
    resolve_tools(builder)
    refuse_thoughts(builder)
    resolve_thinking(builder)
    if "IMAGE" not in builder.config.setdefault("responseModalities", ["IMAGE"]):
        where = f"{builder.google_path}.response_modalities"
        refusal.unsupported_value(
            "this endpoint answers with images: it needs IMAGE among them.", where
        )
    if builder.image_config is not None:
        if "imageConfig" in builder.config:
            refusal.invalid_value("it cannot be combined with google.image_config.", "size")
        builder.config["imageConfig"] = builder.image_config
    return CompiledOptions(builder)


def _build(rest: Json, model: str, policy: Policy) -> CompiledOptions:
    return compile_images(IMAGES, rest, model, policy)


@translates("prompt", IMAGES, _build)
def to_gemini(
    options: CompiledOptions, prompt: object, values: Values = (), hints: Hints = ()
) -> Translation:
    """Translate one line.

    ``{"model": "gemini-2.5-flash-image", "prompt": "A cat", "size": "1024x1024"}`` ->
    ``{"contents": […], "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": …}}``
    """
    item, marks = options.text(read_prompt(prompt), values)
    items = options.one_item_per_choice(item)
    return items, hints or options.hints, options.notes, (), marks, options.most(values)


def read_prompt(value: object) -> str:
    """Check the prompt of a line that wants images."""
    if value is None:
        refusal.missing("prompt")
    if type(value) is not str:
        refusal.invalid_type(value, "a string", "prompt")
    if not value:
        refusal.invalid_value("a prompt cannot be an empty string.", "prompt")
    if len(value) > MAX_PROMPT_CHARACTERS:
        refusal.invalid_value(f"at most {MAX_PROMPT_CHARACTERS} characters are possible.", "prompt")
    return value
