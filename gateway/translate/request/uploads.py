"""Uploaded files that a line names: placeholders in its request, filled in when it is staged.

::

    {"type": "file", "file": {"file_id": "file-…"}}
    ->  {"fileData": {"fileUri": "gateway-file:file-…"}}                         translated
    ->  {"fileData": {"mimeType": "application/pdf", "fileUri": "https://…"}}    staged

Translation knows no files. It leaves a placeholder and names the id among the files of the line;
the validation of the batch says which ids cannot be used, and the URIs are written in once the
bytes are at Gemini. No client can write a placeholder of its own: a ``fileUri`` is made of https
and gs URLs (:func:`gateway.translate.request.media.file_data`), and :func:`placeholders` looks only
where content parts are, never into arguments or results of tools.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.ids import FILE_ID
from gateway.translate.contract import Json, LineError
from gateway.translate.reading.refusal import Refused, invalid_type, quoted
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.media import media_type_of

PLACEHOLDER: Final = "gateway-file:"

# What clients upload for their lines; inputs and outputs of batches are not among it.
PURPOSES: Final = ("assistants", "vision", "user_data")

# Gemini's largest file (discovery document, mediaUpload.maxSize).
MAX_FILE_BYTES: Final = 2_147_483_648


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a file cannot be used; ``message`` holds ``{param}`` where the field is to be named."""

    code: str
    message: str


def not_found(file_id: str) -> Unusable:
    """As for a file that never was: whose it is, or that it was deleted, is not said."""
    return Unusable(
        "file_not_found",
        f"Invalid value for '{{param}}': file {quoted(file_id)} was not found, or this API key does"
        " not have access to it.",
    )


def judged(file_id: str, purpose: str, size: int, filename: str) -> str | Unusable:
    """Return the media type of a file that can be used, or why it cannot."""
    if purpose not in PURPOSES:
        return _invalid(
            f"file '{file_id}' has the purpose '{purpose}', but a line may name files of the"
            f" purposes {', '.join(map(repr, PURPOSES))} alone."
        )
    if not size:
        return _invalid(f"file '{file_id}' is empty.")
    if size > MAX_FILE_BYTES:
        return _invalid(f"file '{file_id}' has more than {MAX_FILE_BYTES} bytes.")
    kind = media_type_of(filename)
    if kind is None:
        return Unusable(
            "unsupported_value",
            f"Unsupported value for '{{param}}': the filename of '{file_id}' has no suffix that"
            " names a media type which Gemini reads.",
        )
    return kind


def _invalid(why: str) -> Unusable:
    return Unusable("invalid_value", f"Invalid value for '{{param}}': {why}")


def uploaded_file(file_id: object, conversation: Conversation, param: str = "file_id") -> Json:
    """Write the placeholder of an uploaded file, for every field (``param``) that names one."""
    if type(file_id) is not str:
        invalid_type(file_id, "a string", param)
    if not FILE_ID.fullmatch(file_id):
        unknown = not_found(file_id)
        raise Refused(unknown.code, param, unknown.message)
    conversation.files.append(file_id)
    return {"fileData": {"fileUri": PLACEHOLDER + file_id}}


def refusal_of(file_id: str, why: Unusable, body: Json) -> LineError:
    """Return the 400 of a line that names a file which cannot be used.

    The path of the field is looked up only now: the happy path never builds one.
    """
    content = {name: value for name, value in body.items() if name != "metadata"}
    param = next(_places(content, file_id), "file_id")
    return LineError(400, why.code, param, why.message.replace("{param}", param))


def _places(value: object, file_id: str, path: str = "") -> Iterator[str]:
    """Where a ``file_id`` says this: ``messages[0].content[1].file.file_id``.

    ``image`` of an edit may name files itself: ``image``, ``image[0]``.
    """
    if value == file_id and path.partition("[")[0] == "image":
        yield path
    if isinstance(value, dict):
        for name, member in value.items():
            where = f"{path}.{name}" if path else name
            if name == "file_id" and member == file_id:
                yield where
            yield from _places(member, file_id, where)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _places(member, file_id, f"{path}[{index}]")


def placeholders(request: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Every placeholder of a Gemini request: the file's id, and the FileData to write into."""
    for file_id, part in parts_with_files(request):
        yield file_id, part["fileData"]


def parts_with_files(request: Mapping[str, Any]) -> Iterator[tuple[str, Json]]:
    """Yield the same with the part that holds the FileData."""
    contents = request.get("contents") or [request.get("content", {})]
    for content in contents:
        for part in content.get("parts", ()):
            yield from _of_part(part)
            for inner in part.get("functionResponse", {}).get("parts", ()):
                yield from _of_part(inner)


def _of_part(part: Json) -> Iterator[tuple[str, Json]]:
    data = part.get("fileData")
    if data is not None and data["fileUri"].startswith(PLACEHOLDER):
        yield data["fileUri"].removeprefix(PLACEHOLDER), part
