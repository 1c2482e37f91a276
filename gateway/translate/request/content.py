"""Content parts of chat messages -> Gemini parts, in order."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import duration, json_object, member, number, one_of, text_of
from gateway.translate.reading.google_object import UNPUBLISHED, GoogleObject
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.media import checked_base64, file_data, inline_file, inline_image
from gateway.translate.request.uploads import uploaded_file

PartReader = Callable[[Json, Conversation], Json]

_TYPE: Final = mapped("type", "selects the kind of part")
VIDEO_METADATA: Final = mapped("video_metadata", "`videoMetadata` (extension)")
BREAKPOINT: Final = dropped("prompt_cache_breakpoint", "OpenAI's cache; Gemini caches by itself")

TEXT_PART: Final = FieldTable("content[] text", _TYPE, mapped("text", "`text`"), BREAKPOINT)
REFUSAL_PART: Final = FieldTable(
    "content[] refusal", _TYPE, mapped("refusal", "`text` of the model's turn")
)
IMAGE_PART: Final = FieldTable(
    "content[] image_url", _TYPE, mapped("image_url", "`inlineData` or `fileData`"), BREAKPOINT
)
IMAGE_URL: Final = FieldTable(
    "content[].image_url",
    mapped("url", "data URI -> `inlineData`; https URL -> `fileData`, fetched by Google"),
    mapped("detail", "`mediaResolution`: low, high; original is the highest a model has"),
    VIDEO_METADATA,
)
AUDIO_PART: Final = FieldTable(
    "content[] input_audio", _TYPE, mapped("input_audio", "`inlineData`"), BREAKPOINT
)
INPUT_AUDIO: Final = FieldTable(
    "content[].input_audio",
    mapped("data", "`inlineData.data`"),
    mapped("format", "`inlineData.mimeType`"),
)
FILE_PART: Final = FieldTable(
    "content[] file",
    _TYPE,
    mapped("file", "`inlineData`, or `fileData` of an uploaded file"),
    BREAKPOINT,
)
FILE: Final = FieldTable(
    "content[].file",
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
    "content[].file.video_metadata",
    {"start_offset": duration, "end_offset": duration, "fps": number(0, _MOST_FRAMES)},
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
_detail: Final = one_of(*_RESOLUTIONS)


def read_content(
    value: object, readers: Mapping[str, PartReader], conversation: Conversation
) -> list[Json]:
    """``"Hi"`` -> ``[{"text": "Hi"}]``; a list of parts -> the same parts in Gemini's words.

    An empty text among other parts is left out; alone it stays, because a turn must not vanish
    (accepted by 2.5, recorded).
    """
    if type(value) is str:
        return [{"text": value}]
    if type(value) is not list:
        refusal.invalid_type(value, "one of a string or array of objects", "content")
    if not value:
        refusal.invalid_type(value, "at least one part", "content")
    parts = refusal.at("content", refusal.each, value, _read_part, readers, conversation)
    return [part for part in parts if part.get("text") != ""] or parts[:1]


def _read_part(part: object, readers: Mapping[str, PartReader], conversation: Conversation) -> Json:
    owner = json_object(part)
    kind = owner.get("type")
    reader = readers.get(kind) if type(kind) is str else None
    if kind is None:
        refusal.missing("type")
    if reader is None:
        refusal.invalid_choice(kind, readers, "type")
    return reader(owner, conversation)


def text_reader(table: FieldTable[Any], member: str = "text", *, usual: bool = False) -> PartReader:
    """Make the reader of a part that is a text, in ``member``.

    ``usual``: most parts are of this kind; one of a type and a text needs no look at the table.
    """

    def read(part: Json, _: Conversation) -> Json:
        if not usual or len(part) != 2:
            table.check(part)
        return {"text": text_of(part, member)}

    return read


text_part: Final = text_reader(TEXT_PART, usual=True)
# As a text, so that the history stays coherent.
refusal_part: Final = text_reader(REFUSAL_PART, "refusal")


def image_part(part: Json, conversation: Conversation) -> Json:
    """``{"type": "image_url", "image_url": {"url": "data:…"}}`` -> ``{"inlineData": …}``."""
    IMAGE_PART.check(part)
    return refusal.at("image_url", _image, member(part, "image_url"), conversation)


def _image(image: Json, conversation: Conversation) -> Json:
    IMAGE_URL.check(image)
    return image_by_url(image, "url", conversation)


def image_by_url(owner: Json, name: str, conversation: Conversation) -> Json:
    """Return the part of an image whose URL is in ``name`` of ``owner``, with its ``detail``."""
    url = text_of(owner, name)
    # 5: the scheme is compared without regard to case, the URL behind it is not copied.
    if url[:5].lower() == "data:":
        return with_details(owner, {"inlineData": inline_image(url, name)}, conversation)
    data = file_data(owner, name, conversation, "image/jpeg")
    return with_details(owner, {"fileData": data}, conversation)


def with_details(owner: Json, part: Json, conversation: Conversation) -> Json:
    """Add to a part what its owner says of it in ``detail`` and ``video_metadata``."""
    detail = owner.get("detail")
    if detail is not None:
        level, whole = _RESOLUTIONS[refusal.at("detail", _detail, detail)]
        if not conversation.can.part_resolution:
            # Before Gemini 3 the whole request has one resolution, see ``whole_resolution``.
            conversation.resolutions.append((owner, whole))
            if detail == "original":
                conversation.note_of(owner, "clamped", "detail")
        elif level:
            part["mediaResolution"] = {"level": level}
    # An extension that LiteLLM has too.
    video = owner.get("video_metadata")
    if video is not None:
        part["videoMetadata"] = refusal.at("video_metadata", VIDEO, video)
    return part


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


def audio_part(part: Json, _: Conversation) -> Json:
    """``{"input_audio": {"data": "AAAA", "format": "wav"}}`` -> ``{"inlineData": …}``."""
    AUDIO_PART.check(part)
    return {"inlineData": refusal.at("input_audio", _audio, member(part, "input_audio"))}


def _audio(audio: Json) -> Json:
    INPUT_AUDIO.check(audio)
    data, kind = text_of(audio, "data"), text_of(audio, "format")
    if kind not in _AUDIO_TYPES:
        refusal.invalid_choice(kind, _AUDIO_TYPES, "format")
    return {"mimeType": _AUDIO_TYPES[kind], "data": checked_base64(data, "data")}


def file_part(part: Json, conversation: Conversation) -> Json:
    """``{"file": {"file_data": "data:application/pdf;base64,…"}}`` -> ``{"inlineData": …}``.

    ``{"file": {"file_id": "file-…"}}`` -> ``{"fileData": …}``, filled in when the file is staged.
    """
    FILE_PART.check(part)
    return refusal.at("file", _file, member(part, "file"), conversation)


def _file(file: Json, conversation: Conversation) -> Json:
    FILE.check(file)
    for name, other in (("file_id", "file_data"), ("file_data", "file_id")):
        # Where other gateways take the URL of a file (LiteLLM's documentation of file_id).
        if type(file.get(name)) is str and _URL.match(file[name]):
            if file.get(other) is not None:
                refusal.invalid_value(f"it cannot be combined with '{other}'.", name)
            return file_by_url(file, name, conversation)
    if file.get("file_id") is not None and file.get("file_data") is not None:
        refusal.invalid_value("it cannot be combined with 'file_id'.", "file_data")
    return named_file(file, conversation)


def file_by_url(owner: Json, name: str, conversation: Conversation) -> Json:
    """Return the part of a file that Google fetches from the URL in ``name`` of ``owner``."""
    data = file_data(owner, name, conversation, "application/pdf")
    return with_details(owner, {"fileData": data}, conversation)


def named_file(owner: Json, conversation: Conversation) -> Json:
    """Return the part of an uploaded file (``file_id``), or of the bytes in ``file_data``."""
    if owner.get("file_id") is not None:
        part = uploaded_file(owner["file_id"], conversation)
    else:
        part = {"inlineData": inline_file(text_of(owner, "file_data"), owner.get("filename"))}
    return with_details(owner, part, conversation)


TEXT_PARTS: Final[Mapping[str, PartReader]] = {"text": text_part}
ASSISTANT_PARTS: Final[Mapping[str, PartReader]] = {"text": text_part, "refusal": refusal_part}
USER_PARTS: Final[Mapping[str, PartReader]] = {
    "text": text_part,
    "image_url": image_part,
    "input_audio": audio_part,
    "file": file_part,
}
