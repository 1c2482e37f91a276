"""``/v1/images/edits`` in its JSON form -> GenerateContentRequests of Gemini's image models.

The images come first and the prompt behind them, in one user turn: Google advises so for a prompt
about images (page "Image understanding"). ``images`` is the member of OpenAI's JSON body
(EditImageBodyJsonParam); ``image`` is what the form of the SDKs calls it, and what people write.
"""

from collections.abc import Mapping
from typing import Any, Final

from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.frames import translates
from gateway.translate.images.request import SHARED, compile_images, read_prompt
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import one_of
from gateway.translate.reading.table import FieldTable, mapped, noted, refused
from gateway.translate.request.compiled_options import CompiledOptions, Hints, Values
from gateway.translate.request.content import image_by_url
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.uploads import uploaded_file

PATH: Final = "/v1/images/edits"
# OpenAI's limit on images of one edit.
MAX_SOURCES: Final = 16
_IMAGES: Final = ("images", "image")
# What the id of an uploaded file begins with.
_FILE: Final = "file-"

EDITS: Final = FieldTable(
    PATH,
    mapped("images", "`inlineData` or `fileData`: 1 to 16 objects of `image_url` or `file_id`"),
    mapped("image", "the same; one or a list, each also as a bare data URI, https URL or file id"),
    *SHARED,
    noted("input_fidelity", "Gemini has no such setting; noted", one_of("high", "low")),
    refused("mask", "Gemini has no masks: say in the prompt what is to change, and what to keep."),
    refused("markup", "Gemini has no overlays: send it as one of the images, and say what it is."),
)
SOURCE: Final = FieldTable(
    "images[]",
    mapped("image_url", "data URI -> `inlineData`; https URL -> `fileData`, fetched by Google"),
    mapped("file_id", "`fileData`: an upload is kept at Gemini while the job needs it"),
)


def _build(rest: Json, model: str, policy: Policy) -> CompiledOptions:
    return compile_images(EDITS, rest, model, policy)


@translates("prompt", EDITS, _build, _IMAGES)
def to_gemini(
    options: CompiledOptions, given: tuple[object, ...], values: Values = (), hints: Hints = ()
) -> Translation:
    """Translate one line.

    ``{"prompt": "Add a hat", "images": [{"image_url": "data:image/png;base64,iVBO…"}]}`` ->
    ``{"contents": [{"parts": [{"inlineData": …}, {"text": "Add a hat"}]}], …}``
    """
    prompt, *images = given
    text = read_prompt(prompt)
    field, value = _field_of(dict(zip(_IMAGES, images, strict=True)))

    def read(value: Any, conversation: Conversation) -> None:  # noqa: ANN401 - parsed JSON
        parts = refusal.at(field, _sources, value, conversation)
        conversation.say("user", [*parts, {"text": text}])

    return options.translation(value, read, field, values, hints)


def _field_of(images: Mapping[str, object]) -> tuple[str, object]:
    """Return the member that has the images, and its value."""
    given = [(name, value) for name, value in images.items() if value is not None]
    if not given:
        refusal.missing("images")
    if len(given) > 1:
        refusal.invalid_value("it cannot be combined with 'images'.", "image")
    return given[0]


def _sources(value: object, conversation: Conversation) -> list[Json]:
    if type(value) is not list:
        if conversation.field == "images":
            refusal.invalid_type(value, "an array of objects")
        conversation.source = owner = _object_of(value)
        return [_source(owner, conversation)]
    if not value:
        refusal.invalid_type(value, "at least one image")
    if len(value) > MAX_SOURCES:
        refusal.invalid_value(f"at most {MAX_SOURCES} images are possible.")
    # Notes name the place of an object in the source.
    conversation.source = owners = [_object_of(image) for image in value]
    return refusal.each(owners, _source, conversation)


def _object_of(image: object) -> object:
    """Make an object of a bare string; the path of its nameless member is that of the string."""
    return {"": image} if type(image) is str else image


def _source(owner: object, conversation: Conversation) -> Json:
    """``{"image_url": "https://…/cat.png"}`` -> ``{"fileData": …}``."""
    if type(owner) is not dict:
        refusal.invalid_type(owner, "a string or an object")
    bare = owner.get("")
    if type(bare) is str and len(owner) == 1:
        if bare.startswith(_FILE):
            return uploaded_file(bare, conversation, "")
        return image_by_url(owner, "", conversation)
    source = SOURCE.check(owner)
    if source.get("file_id") is None:
        return image_by_url(source, "image_url", conversation)
    if source.get("image_url") is not None:
        refusal.invalid_value("it cannot be combined with 'image_url'.", "file_id")
    return uploaded_file(source["file_id"], conversation)
