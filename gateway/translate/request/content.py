"""Content parts of a message -> Gemini parts, in order."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.google_object import UNPUBLISHED, GoogleObject, decimal, duration
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
)
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.media import checked_base64, file_data, inline_file, inline_image
from gateway.translate.request.uploads import uploaded_file

PartReader = Callable[[Json, Conversation], Json]

_TYPE: Final = mapped("type", "selects the kind of part")
VIDEO_METADATA: Final = mapped("video_metadata", "`videoMetadata` (extension)")
_BREAKPOINT: Final = dropped("prompt_cache_breakpoint", "OpenAI's cache; Gemini caches by itself")

TEXT_PART: Final = FieldTable(_TYPE, mapped("text", "`text`"), _BREAKPOINT)
REFUSAL_PART: Final = FieldTable(_TYPE, mapped("refusal", "`text` of the model's turn"))
IMAGE_PART: Final = FieldTable(
    _TYPE, mapped("image_url", "`inlineData` or `fileData`"), _BREAKPOINT
)
IMAGE_URL: Final = FieldTable(
    mapped("url", "data URI -> `inlineData`; https URL -> `fileData`, fetched by Google"),
    mapped("detail", "`mediaResolution`: low, high; original is the highest a model has"),
    VIDEO_METADATA,
)
AUDIO_PART: Final = FieldTable(_TYPE, mapped("input_audio", "`inlineData`"), _BREAKPOINT)
INPUT_AUDIO: Final = FieldTable(
    mapped("data", "`inlineData.data`"), mapped("format", "`inlineData.mimeType`")
)
FILE_PART: Final = FieldTable(
    _TYPE, mapped("file", "`inlineData`, or `fileData` of an uploaded file"), _BREAKPOINT
)
FILE: Final = FieldTable(
    mapped("file_data", "`inlineData.data`; a URL is `fileData.fileUri`"),
    mapped("filename", "`inlineData.mimeType` of bare base64"),
    VIDEO_METADATA,
    mapped(
        "file_id",
        "`fileData`: an upload is kept at Gemini while the job needs it, a URL is passed on",
    ),
)

# Of a second at most 24 frames are read (content.proto).
_MOST_FRAMES: Final = 24
VIDEO: Final = GoogleObject(
    "videoMetadata",
    {"start_offset": duration, "end_offset": duration, "fps": decimal(0, _MOST_FRAMES)},
    refused("content_layers", UNPUBLISHED),
)
_URL: Final = re.compile(r"(https?|gs)://", re.IGNORECASE)
_AUDIO_TYPES: Final = {"wav": "audio/wav", "mp3": "audio/mp3"}
# detail -> the level of a part on Gemini 3 and later, and of the whole request before.
_RESOLUTIONS: Final = {
    "low": ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_LOW"),
    "high": ("MEDIA_RESOLUTION_HIGH", "MEDIA_RESOLUTION_HIGH"),
    "original": ("MEDIA_RESOLUTION_ULTRA_HIGH", "MEDIA_RESOLUTION_HIGH"),
    "auto": ("", ""),
}


def read_content(
    value: object, readers: Mapping[str, PartReader], conversation: Conversation
) -> list[Json]:
    """``"Hi"`` -> ``[{"text": "Hi"}]``; a list of parts -> the same parts in Gemini's words.

    An empty text beside other parts says nothing and is left out; alone it stays, because a turn
    must not vanish (accepted by 2.5, recorded).
    """
    if type(value) is str:
        return [{"text": value}]
    if type(value) is not list:
        invalid_type(value, "one of a string or array of objects", "content")
    if not value:
        invalid_type(value, "at least one part", "content")
    parts = []
    for index, part in enumerate(value):
        try:
            parts.append(_read_part(part, readers, conversation))
        except Refused as refusal:
            refusal.prefixed(f"content[{index}]")
            raise
    return [part for part in parts if part.get("text") != ""] or parts[:1]


def _read_part(part: object, readers: Mapping[str, PartReader], conversation: Conversation) -> Json:
    if type(part) is not dict:
        invalid_type(part, "an object")
    kind = part.get("type")
    if kind is None:
        missing("type")
    reader = readers.get(kind) if type(kind) is str else None
    if reader is None:
        invalid_choice(kind, readers, "type")
    return reader(part, conversation)


def text_part(part: Json, conversation: Conversation) -> Json:  # noqa: ARG001 - the shape of a PartReader
    """``{"type": "text", "text": "Hi"}`` -> ``{"text": "Hi"}``."""
    if len(part) != 2:
        TEXT_PART.check(part)
    return {"text": string(part, "text")}


def refusal_part(part: Json, conversation: Conversation) -> Json:  # noqa: ARG001 - the shape of a PartReader
    """``{"type": "refusal", "refusal": "No."}`` -> ``{"text": "No."}``: history stays coherent."""
    REFUSAL_PART.check(part)
    return {"text": string(part, "refusal")}


def image_part(part: Json, conversation: Conversation) -> Json:
    """``{"type": "image_url", "image_url": {"url": "data:…"}}`` -> ``{"inlineData": …}``."""
    IMAGE_PART.check(part)
    image = member(part, "image_url")
    IMAGE_URL.check(image, "image_url")
    param = "image_url.url"
    url = string(image, "url", param)
    # 5: the scheme is compared without regard to case, the URL behind it is not copied.
    if url[:5].lower() == "data:":
        built = {"inlineData": inline_image(url, param)}
    else:
        built = {"fileData": file_data(url, param, image, conversation)}
    set_resolution(image, "image_url.detail", built, conversation)
    set_video(image, "image_url", built)
    return built


def set_resolution(owner: Json, param: str, part: Json, conversation: Conversation) -> None:
    """``detail`` -> ``mediaResolution`` of the part, or one that the whole request may have.

    ``owner`` is the object that has it; ``param`` is its path from the part.
    """
    detail = owner.get("detail")
    if detail is None:
        return
    if type(detail) is not str or detail not in _RESOLUTIONS:
        invalid_choice(detail, _RESOLUTIONS, param)
    level, whole = _RESOLUTIONS[detail]
    if not conversation.can.part_resolution:
        conversation.resolutions.append((owner, whole))
        if detail == "original":
            conversation.note_of(owner, "clamped", "detail")
    elif level:
        part["mediaResolution"] = {"level": level}


def whole_resolution(conversation: Conversation, given: str) -> str:
    """Before Gemini 3 a request has one resolution: used when all images agree, else ``""``.

    ``given`` is what the line itself asks for, in Google's words: it stays.
    """
    asked = {whole for _, whole in conversation.resolutions}
    if len(asked) > 1 or (given and asked - {given}):
        for owner, _ in conversation.resolutions:
            conversation.note_of(owner, "dropped", "detail")
        return ""
    return asked.pop() if asked else ""


def audio_part(part: Json, conversation: Conversation) -> Json:  # noqa: ARG001 - the shape of a PartReader
    """``{"input_audio": {"data": "AAAA", "format": "wav"}}`` -> ``{"inlineData": …}``."""
    AUDIO_PART.check(part)
    audio = member(part, "input_audio")
    INPUT_AUDIO.check(audio, "input_audio")
    data = string(audio, "data", "input_audio.data")
    kind = string(audio, "format", "input_audio.format")
    if kind not in _AUDIO_TYPES:
        invalid_choice(kind, _AUDIO_TYPES, "input_audio.format")
    return {
        "inlineData": {
            "mimeType": _AUDIO_TYPES[kind],
            "data": checked_base64(data, "input_audio.data"),
        }
    }


def file_part(part: Json, conversation: Conversation) -> Json:
    """``{"file": {"file_data": "data:application/pdf;base64,…"}}`` -> ``{"inlineData": …}``.

    ``{"file": {"file_id": "file-…"}}`` -> ``{"fileData": …}``, filled in when the file is staged.
    """
    FILE_PART.check(part)
    file = member(part, "file")
    FILE.check(file, "file")
    param = "file.file_data"
    for name in ("file_id", "file_data"):
        # Where other gateways take the URL of a file (LiteLLM's file_id; translation.md 1.3).
        if type(file.get(name)) is str and _URL.match(file[name]):
            return _file_by_url(file, name, conversation)
    if file.get("file_id") is not None:
        if file.get("file_data") is not None:
            invalid_value("it cannot be combined with 'file_id'.", param)
        built = uploaded_file(file["file_id"], "file.file_id", conversation)
    else:
        data = string(file, "file_data", param)
        built = {"inlineData": inline_file(data, file.get("filename"), param, "file.filename")}
    set_video(file, "file", built)
    return built


def _file_by_url(file: Json, name: str, conversation: Conversation) -> Json:
    other = "file_data" if name == "file_id" else "file_id"
    if file.get(other) is not None:
        invalid_value(f"it cannot be combined with '{other}'.", f"file.{name}")
    kind = "application/pdf"
    built: Json = {"fileData": file_data(file[name], f"file.{name}", file, conversation, kind)}
    set_video(file, "file", built)
    return built


def set_video(owner: Json, param: str, part: Json) -> None:
    """``video_metadata`` (an extension LiteLLM has too) -> ``videoMetadata`` of the part."""
    given = owner.get("video_metadata")
    if given is None:
        return
    try:
        part["videoMetadata"] = VIDEO.build(given)
    except Refused as refusal:
        refusal.prefixed(f"{param}.video_metadata" if param else "video_metadata")
        raise


def string(owner: Json, name: str, param: str = "") -> str:
    """Read a required member that must be a string."""
    value = owner.get(name)
    if type(value) is str:
        return value
    if name not in owner:
        missing(param or name)
    return invalid_type(value, "a string", param or name)


def member(owner: Json, name: str) -> Json:
    """Read a required member that must be an object."""
    value = owner.get(name)
    if type(value) is dict:
        return value
    if name not in owner:
        missing(name)
    return invalid_type(value, "an object", name)


TEXT_PARTS: Final[Mapping[str, PartReader]] = {"text": text_part}
ASSISTANT_PARTS: Final[Mapping[str, PartReader]] = {"text": text_part, "refusal": refusal_part}
USER_PARTS: Final[Mapping[str, PartReader]] = {
    "text": text_part,
    "image_url": image_part,
    "input_audio": audio_part,
    "file": file_part,
}
