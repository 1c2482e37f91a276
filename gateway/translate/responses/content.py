"""Content parts of the responses endpoint -> Gemini parts."""

from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_type, invalid_value, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request.content import (
    VIDEO_METADATA,
    PartReader,
    audio_part,
    refusal_part,
    set_resolution,
    set_video,
    string,
)
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.media import file_data, inline_file, inline_image
from gateway.translate.request.uploads import uploaded_file

_TYPE: Final = mapped("type", "selects the kind of part")
_BREAKPOINT: Final = dropped("prompt_cache_breakpoint", "OpenAI's cache; Gemini caches by itself")
_DETAIL: Final = "`mediaResolution`: low, high; original is the highest a model has"

INPUT_TEXT: Final = FieldTable(_TYPE, mapped("text", "`text`"), _BREAKPOINT)
INPUT_IMAGE: Final = FieldTable(
    _TYPE,
    mapped("image_url", "data URI -> `inlineData`; https URL -> `fileData`, fetched by Google"),
    mapped("file_id", "`fileData`; the gateway keeps the file at Gemini while the job needs it"),
    mapped("detail", _DETAIL),
    VIDEO_METADATA,
    _BREAKPOINT,
)
INPUT_FILE: Final = FieldTable(
    _TYPE,
    mapped("file_data", "`inlineData`: a data URI, or bare base64 with a `filename`"),
    mapped("file_url", "`fileData`, fetched by Google"),
    mapped("file_id", "`fileData`; the gateway keeps the file at Gemini while the job needs it"),
    mapped("filename", "`inlineData.mimeType` of bare base64"),
    mapped("detail", _DETAIL),
    VIDEO_METADATA,
    _BREAKPOINT,
)
OUTPUT_TEXT: Final = FieldTable(
    _TYPE,
    mapped("text", "`text` of the model's turn"),
    dropped("parsed", "made by the SDK from the text"),
    dropped("annotations", "part of an earlier answer, not of the conversation"),
    dropped("logprobs", "part of an earlier answer, not of the conversation"),
)


def _input_text(part: Json, conversation: Conversation) -> Json:  # noqa: ARG001 - a PartReader
    if len(part) != 2:
        INPUT_TEXT.check(part)
    return {"text": string(part, "text")}


def _output_text(part: Json, conversation: Conversation) -> Json:  # noqa: ARG001 - a PartReader
    OUTPUT_TEXT.check(part)
    return {"text": string(part, "text")}


def _input_image(part: Json, conversation: Conversation) -> Json:
    """``{"type": "input_image", "image_url": "data:…"}`` -> ``{"inlineData": …}``."""
    INPUT_IMAGE.check(part)
    _one_of(part, ("image_url", "file_id"))
    url = part.get("image_url")
    if url is None:
        built = uploaded_file(part["file_id"], "file_id", conversation)
    elif type(url) is not str:
        invalid_type(url, "a string", "image_url")
    # 5: the scheme is compared without regard to case, the URL behind it is not copied.
    elif url[:5].lower() == "data:":
        built = {"inlineData": inline_image(url, "image_url")}
    else:
        built = {"fileData": file_data(url, "image_url", part, conversation)}
    set_resolution(part, "detail", built, conversation)
    set_video(part, "", built)
    return built


def _input_file(part: Json, conversation: Conversation) -> Json:
    """``{"type": "input_file", "file_url": "https://x/y.pdf"}`` -> ``{"fileData": …}``."""
    INPUT_FILE.check(part)
    _one_of(part, ("file_data", "file_url", "file_id"))
    if part.get("file_id") is not None:
        built = uploaded_file(part["file_id"], "file_id", conversation)
    elif part.get("file_url") is not None:
        url = string(part, "file_url")
        kind = "application/pdf"
        built = {"fileData": file_data(url, "file_url", part, conversation, kind)}
    else:
        data = string(part, "file_data")
        built = {"inlineData": inline_file(data, part.get("filename"), "file_data", "filename")}
    set_resolution(part, "detail", built, conversation)
    set_video(part, "", built)
    return built


def _one_of(part: Json, names: tuple[str, ...]) -> None:
    """Refuse a part that names its content twice, or not at all."""
    given = [name for name in names if part.get(name) is not None]
    if not given:
        missing(names[0])
    if len(given) > 1:
        invalid_value(f"it cannot be combined with '{given[0]}'.", given[1])


INSTRUCTION_PARTS: Final[Mapping[str, PartReader]] = {"input_text": _input_text}
INPUT_PARTS: Final[Mapping[str, PartReader]] = {
    "input_text": _input_text,
    "input_image": _input_image,
    "input_file": _input_file,
    "input_audio": audio_part,
}
ANSWER_PARTS: Final[Mapping[str, PartReader]] = {
    "output_text": _output_text,
    "refusal": refusal_part,
    # How clients write what an assistant said before.
    "input_text": _input_text,
}
# What a function gives back.
RESULT_PARTS: Final[Mapping[str, PartReader]] = {
    "input_text": _input_text,
    "input_image": _input_image,
    "input_file": _input_file,
}
