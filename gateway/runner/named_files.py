"""Uploaded files that the lines of a batch name: which of them can be used, and as what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.batches.file import File
from gateway.runner.context import StepContext
from gateway.translate import Unusable, media_type_of, not_found

# What clients upload for their lines; inputs and outputs of batches are not among it.
PURPOSES: Final = ("assistants", "vision", "user_data")

# Gemini's largest file (discovery document, mediaUpload.maxSize).
MAX_FILE_BYTES: Final = 2_147_483_648

# Rows read at once: reading is done in the event loop.
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """Outcome for some ids. ``bytes`` counts each content once, as Gemini will store it."""

    media_types: Mapping[str, str]
    unusable: Mapping[str, Unusable]
    bytes: int


async def find_files(context: StepContext, owner: str, file_ids: Sequence[str]) -> NamedFiles:
    """Look up the files of an owner; what is not there, or of no use, is told by id."""
    media_types: dict[str, str] = {}
    unusable: dict[str, Unusable] = {}
    sizes: dict[str, int] = {}
    for start in range(0, len(file_ids), AT_ONCE):
        some = file_ids[start : start + AT_ONCE]
        found = await context.store.get_files(owner, some, context.clock.now())
        unusable.update((file_id, not_found(file_id)) for file_id in some)
        for file in found:
            verdict = _judged(file)
            if isinstance(verdict, str):
                del unusable[file.id]
                media_types[file.id] = verdict
                sizes[file.sha256] = file.bytes
            else:
                unusable[file.id] = verdict
        await context.clock.sleep(0)
    return NamedFiles(media_types, unusable, sum(sizes.values()))


def _judged(file: File) -> str | Unusable:
    """Return the media type of a file that can be used, or why it cannot."""
    if file.purpose not in PURPOSES:
        return _invalid(
            f"file '{file.id}' has the purpose '{file.purpose}', but a line may name files of the"
            f" purposes {', '.join(map(repr, PURPOSES))} alone."
        )
    if not file.bytes:
        return _invalid(f"file '{file.id}' is empty.")
    if file.bytes > MAX_FILE_BYTES:
        return _invalid(f"file '{file.id}' has more than {MAX_FILE_BYTES} bytes.")
    kind = media_type_of(file.filename)
    if kind is None:
        return Unusable(
            "unsupported_value",
            f"Unsupported value for '{{param}}': the filename of '{file.id}' has no suffix that"
            " names a media type which Gemini reads.",
        )
    return kind


def _invalid(why: str) -> Unusable:
    return Unusable("invalid_value", f"Invalid value for '{{param}}': {why}")
