"""Content parts of the responses endpoint -> Gemini parts."""

from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_value, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request import content
from gateway.translate.request.conversation import Conversation

_TYPE: Final = mapped("type", "selects the kind of part")
_DETAIL: Final = "`mediaResolution`: low, high; original is the highest a model has"

INPUT_TEXT: Final = FieldTable(
    "/v1/responses input[].content[] input_text",
    _TYPE,
    mapped("text", "`text`"),
    content.BREAKPOINT,
)
INPUT_IMAGE: Final = FieldTable(
    "/v1/responses input[].content[] input_image",
    _TYPE,
    mapped("image_url", "data URI -> `inlineData`; https URL -> `fileData`, fetched by Google"),
    mapped("file_id", "`fileData`; the gateway keeps the file at Gemini while the job needs it"),
    mapped("detail", _DETAIL),
    content.VIDEO_METADATA,
    content.BREAKPOINT,
)
INPUT_FILE: Final = FieldTable(
    "/v1/responses input[].content[] input_file",
    _TYPE,
    mapped("file_data", "`inlineData`: a data URI, or bare base64 with a `filename`"),
    mapped("file_url", "`fileData`, fetched by Google"),
    mapped("file_id", "`fileData`; the gateway keeps the file at Gemini while the job needs it"),
    mapped("filename", "`inlineData.mimeType` of bare base64"),
    mapped("detail", _DETAIL),
    content.VIDEO_METADATA,
    content.BREAKPOINT,
)
OUTPUT_TEXT: Final = FieldTable(
    "/v1/responses input[].content[] output_text",
    _TYPE,
    mapped("text", "`text` of the model's turn"),
    dropped("parsed", "made by the SDK from the text"),
    dropped("annotations", "part of an earlier answer, not of the conversation"),
    dropped("logprobs", "part of an earlier answer, not of the conversation"),
)


def _input_image(part: Json, conversation: Conversation) -> Json:
    """``{"type": "input_image", "image_url": "data:…"}`` -> ``{"inlineData": …}``."""
    INPUT_IMAGE.check(part)
    if _given(part, "image_url", "file_id") == "file_id":
        return content.named_file(part, conversation)
    return content.image_by_url(part, "image_url", conversation)


def _input_file(part: Json, conversation: Conversation) -> Json:
    """``{"type": "input_file", "file_url": "https://x/y.pdf"}`` -> ``{"fileData": …}``."""
    INPUT_FILE.check(part)
    if _given(part, "file_data", "file_url", "file_id") == "file_url":
        return content.file_by_url(part, "file_url", conversation)
    return content.named_file(part, conversation)


def _given(part: Json, *names: str) -> str:
    """Return the one of these members that has the content of a part."""
    given = [name for name in names if part.get(name) is not None]
    if not given:
        missing(names[0])
    if len(given) > 1:
        invalid_value(f"it cannot be combined with '{given[0]}'.", given[1])
    return given[0]


_input_text: Final = content.text_reader(INPUT_TEXT, usual=True)
INSTRUCTION_PARTS: Final[Mapping[str, content.PartReader]] = {"input_text": _input_text}
INPUT_PARTS: Final[Mapping[str, content.PartReader]] = {
    "input_text": _input_text,
    "input_image": _input_image,
    "input_file": _input_file,
    "input_audio": content.audio_part,
}
ANSWER_PARTS: Final[Mapping[str, content.PartReader]] = {
    "output_text": content.text_reader(OUTPUT_TEXT),
    "refusal": content.refusal_part,
    # How clients write what an assistant said before.
    "input_text": _input_text,
}
# What a function gives back.
RESULT_PARTS: Final[Mapping[str, content.PartReader]] = {
    "input_text": _input_text,
    "input_image": _input_image,
    "input_file": _input_file,
}
