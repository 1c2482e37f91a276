"""The bytes of a job's spool or of a client's file, checked as they are sent."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
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
    """Blobs as the upstream reads them: one after the other.

    What the disk has changed would be paid for, and between a check and the sending it may change
    still. So the digest of what a call carries is of the very bytes that are handed over, and the
    last block is held back until all of them are known to be those that were written. Of what is
    uploaded before any call names it, the upstream tells the digest of what it got, which is
    compared with ``sealed``: no job is created with others, and none of it is digested here again,
    which took as much of the CPU as the sending (measured).
    """

    def __init__(self, blobs: Blobs, segments: Sequence[Segment], seal: Seal | None) -> None:
        self._blobs = blobs
        self._segments = segments
        self._seal = seal
        self.size = sum(segment.bytes for segment in segments)
        # The digest, in hex, of what was written; None where there is no seal.
        self.sealed = None if seal is None else seal.sha256

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield all bytes.

        Errors: DamagedBlobError before the last block, unless all is as it was written.
        """
        digest, place = hashlib.sha256(), 0
        async with aclosing(self.unchecked()) as blocks:
            async for block in blocks:
                await add_to(digest, block)
                place += len(block)
                if place >= self.size:
                    self._check(Seal(place, digest.hexdigest()))
                yield block

    async def unchecked(self, start: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``start`` to the end, as they are now.

        Errors: DamagedBlobError when there are fewer than were written.
        """
        place = start
        async with aclosing(self._read(start)) as blocks:
            async for block in blocks:
                place += len(block)
                yield block
        if place < self.size:
            raise DamagedBlobError(self._segments[-1].blob, "is shorter than what was written")

    async def digest(self) -> str:
        """Read all bytes; their digest, in hex. Errors: as :meth:`blocks`."""
        digest = hashlib.sha256()
        async with aclosing(self.blocks()) as blocks:
            async for block in blocks:
                await add_to(digest, block)
        return digest.hexdigest()

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
