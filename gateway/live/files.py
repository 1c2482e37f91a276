"""Uploaded files that a single request names: sent along in the request itself.

A batch has a file's bytes copied to Google, where they live for 48 hours; a single request carries
them, base64, since copying takes longer than most answers. Gemini takes 20 MB in a request with its
media inside (guide, "Files"), so larger files are for batches.
"""

import base64
import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.batches.file import File
from gateway.clock import Clock
from gateway.errors import TooLargeError, UnavailableError
from gateway.live.failures import RefusedError
from gateway.ports.blobs import Blobs
from gateway.ports.store import Store
from gateway.translate import PLACEHOLDER, Unusable, judged, not_found, parts_with_files, refusal_of
from gateway.units import MIB

# Of all files that a request names, each counted once: 14 MiB are 19.6 million bytes of base64.
MOST_INLINE_BYTES: Final = 14 * MIB
# A line of a batch has no such bound, its batch has (GATEWAY_MAX_NAMED_FILES).
MOST_NAMED: Final = 100


@dataclass(frozen=True, slots=True)
class Named:
    """A file that can be sent along, and as what."""

    file: File
    media_type: str


class UploadedFiles:
    """Looks up and reads the files of an owner."""

    def __init__(self, store: Store, blobs: Blobs, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock

    async def find(
        self, owner: str, file_ids: Sequence[str], body: Mapping[str, Any]
    ) -> Sequence[Named]:
        """Look up what a body names; each file once.

        Errors: RefusedError, as the line of a batch, of a file that is not the owner's or of no
        use; TooLargeError of files that are too large together.
        """
        wanted = list(dict.fromkeys(file_ids))
        if len(wanted) > MOST_NAMED:
            raise TooLargeError(
                f"The request names {len(wanted)} uploaded files; at most {MOST_NAMED} can be sent"
                " along with a single request. Name them in a batch."
            )
        found = await self._store.get_files(owner, wanted, self._clock.now())
        by_id = {file.id: file for file in found}
        named = [_named(file_id, by_id.get(file_id), body) for file_id in wanted]
        size = sum(one.file.bytes for one in named)
        if size > MOST_INLINE_BYTES:
            raise TooLargeError(
                f"The uploaded files that the request names have {size} bytes; at most"
                f" {MOST_INLINE_BYTES} can be sent along with a single request. Name them in a"
                " batch, which copies them to Google."
            )
        return named

    async def written(self, named: Sequence[Named]) -> Mapping[str, Mapping[str, str]]:
        """Read the files; the ``inlineData`` of each, by id. Errors: UnavailableError."""
        return {
            one.file.id: {"mimeType": one.media_type, "data": await self._encoded(one.file)}
            for one in named
        }

    async def _encoded(self, file: File) -> str:
        content = bytearray()
        try:
            for segment in file.segments:
                async for block in self._blobs.read(segment.blob, 0, segment.bytes):
                    content += block
        except FileNotFoundError as error:  # deleted, and swept, since it was looked up
            raise UnavailableError(f"The file '{file.id}' is being deleted.") from error
        if len(content) != file.bytes:
            raise OSError(errno.EIO, "a file has not the bytes that were written")
        return base64.b64encode(content).decode()


def inlined(items: Sequence[bytes], data: Mapping[str, Mapping[str, str]]) -> Sequence[bytes]:
    """Write the bytes of files into items, in the place of their placeholders."""
    return [_inlined(item, data) if PLACEHOLDER.encode() in item else item for item in items]


def _inlined(item: bytes, data: Mapping[str, Mapping[str, str]]) -> bytes:
    request = orjson.loads(item)
    for file_id, part in parts_with_files(request):
        del part["fileData"]
        part["inlineData"] = data[file_id]
    return orjson.dumps(request)


def _named(file_id: str, file: File | None, body: Mapping[str, Any]) -> Named:
    if file is None:
        raise RefusedError(refusal_of(file_id, not_found(file_id), dict(body)))
    verdict = judged(file.id, file.purpose, file.bytes, file.filename)
    if isinstance(verdict, Unusable):
        raise RefusedError(refusal_of(file_id, verdict, dict(body)))
    return Named(file, verdict)
