"""The bytes of a job's spool or of a client's file, checked as they are sent."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

from gateway.batches.file import Segment
from gateway.errors import DamagedBlobError
from gateway.ports.blobs import Blobs
from gateway.ports.store import Seal

# Below this a digest takes less than the way to a thread.
SEALED_AT_ONCE: Final = 64 * 1024


async def add_to(digest: Any, block: bytes) -> None:  # noqa: ANN401 - hashlib names no type
    """Add a block to a digest, on a thread if it takes longer than the way there."""
    if len(block) > SEALED_AT_ONCE:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, digest.update, block)
    else:
        digest.update(block)


class BlobSource:
    """Blobs as the upstream reads them: one after the other, again from any offset.

    What the disk has changed would be paid for, and between a check and the sending it may change
    still. So the digest is of the very bytes that are handed over, and the last block is held back
    until all of them are known to be those that were written: no upload comes to its end, and no
    request is sent, with others. A source that is read again from an offset goes on with the digest
    of what was handed over before.
    """

    def __init__(self, blobs: Blobs, segments: Sequence[Segment], seal: Seal | None) -> None:
        self._blobs = blobs
        self._segments = segments
        self._seal = seal
        self.size = sum(segment.bytes for segment in segments)
        self._digests = {0: hashlib.sha256()}  # of all that was handed over up to an offset

    async def blocks(self, start: int = 0) -> AsyncIterator[bytes]:
        """Yield the bytes from ``start`` to the end.

        Errors: DamagedBlobError before the last block, unless all is as it was written.
        """
        place = max(known for known in self._digests if known <= start)
        digest = self._digests[place].copy()
        async with aclosing(self._read(place)) as blocks:
            async for block in blocks:
                await add_to(digest, block)
                place += len(block)
                if place >= self.size:
                    self._check(Seal(place, digest.hexdigest()))
                self._digests[place] = digest.copy()
                if place > start:
                    yield block[max(start - place + len(block), 0) :]
        if place < self.size:
            raise DamagedBlobError(self._segments[-1].blob, "is shorter than what was written")

    def sha256(self) -> str:
        """Return the digest, in hex, of all bytes up to the last that was handed over."""
        return self._digests[max(self._digests)].hexdigest()

    def _check(self, found: Seal) -> None:
        if self._seal is not None and self._seal != found:
            raise DamagedBlobError(self._segments[-1].blob)

    async def _read(self, start: int) -> AsyncGenerator[bytes, None]:
        for segment in self._segments:
            if start < segment.bytes:
                try:
                    async with aclosing(self._blobs.read(segment.blob, start)) as blocks:
                        async for block in blocks:
                            yield block
                except FileNotFoundError as error:
                    raise DamagedBlobError(segment.blob, "is gone") from error
            start = max(start - segment.bytes, 0)
