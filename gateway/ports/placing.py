"""Where the bytes of a new blob go, by their number: into the records, or into a file.

What all rooms share that write blobs. The records take small bytes in the transaction that points
at them; a file is there before that.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from typing_extensions import override

from gateway.ids import new_blob_name, new_recorded_name
from gateway.ports.blobs import Blobs, BlobWriter
from gateway.ports.store import Seal, Store


def sealed_content(content: bytes) -> Seal:
    """Return the seal of a blob that is kept in the records."""
    return Seal(len(content), hashlib.sha256(content).hexdigest(), content)


async def keep_whole(store: Store, blobs: Blobs, content: bytes, now: int) -> tuple[str, Seal]:
    """Make a blob of bytes; the transaction that points at its name is given its seal.

    In it small bytes are written as well; of others the file is there by then. ``now`` in ms.
    Errors: OSError, UnavailableError.
    """
    seal = sealed_content(content)
    if blobs.in_records(seal.bytes):
        return new_recorded_name(), seal
    name = new_blob_name()
    await store.register_blob(name, now)
    async with blobs.create(name) as writer:
        await writer.write(content)
    return name, replace(seal, content=None)


class UnplacedBlob(BlobWriter):
    """Holds bytes for as long as they are few enough for the records; then it is a file.

    ``name`` and ``content`` say, at the end, what is to be saved: ``content`` is None of a file.
    """

    def __init__(
        self, blobs: Blobs, register: Callable[[], Awaitable[str]], opened: AsyncExitStack
    ) -> None:
        self.name = new_recorded_name()
        self._blobs = blobs
        self._register = register
        self._opened = opened
        self._held = bytearray()
        self._file: BlobWriter | None = None

    @property
    def content(self) -> bytes | None:
        """The bytes, if they are to be kept in the records."""
        return bytes(self._held) if self._file is None else None

    @override
    async def write(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; may return before they are on disk."""
        if self._file is None and self._blobs.in_records(len(self._held) + len(block)):
            self._held += block
            return
        await (self._file or await self._begin()).write(block)

    async def finish(self) -> None:
        """Have a file also of no bytes, where nothing is kept in the records."""
        if self._file is None and not self._blobs.in_records(len(self._held)):
            await self._begin()

    async def _begin(self) -> BlobWriter:
        self.name = await self._register()
        self._file = await self._opened.enter_async_context(self._blobs.create(self.name))
        if self._held:
            await self._file.write(self._held)
        self._held = bytearray()
        return self._file


@asynccontextmanager
async def unplaced_blob(
    blobs: Blobs, register: Callable[[], Awaitable[str]]
) -> AsyncIterator[UnplacedBlob]:
    """Write a blob; a file exists, durably, once the block ends without an exception, else not.

    ``register`` gives a name that is on record, before the first byte of a file.
    """
    async with AsyncExitStack() as opened:
        blob = UnplacedBlob(blobs, register, opened)
        yield blob
        await blob.finish()
