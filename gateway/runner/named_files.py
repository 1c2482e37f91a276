"""Uploaded files that the lines of a batch name: which of them can be used, and as what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.runner.context import StepContext
from gateway.translate import Unusable, judged, not_found

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
            verdict = judged(file.id, file.purpose, file.bytes, file.filename)
            if isinstance(verdict, str):
                del unusable[file.id]
                media_types[file.id] = verdict
                sizes[file.sha256] = file.bytes
            else:
                unusable[file.id] = verdict
        await context.clock.sleep(0)
    return NamedFiles(media_types, unusable, sum(sizes.values()))
