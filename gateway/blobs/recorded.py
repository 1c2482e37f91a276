"""Blobs of which the small ones are kept in the records, by the transaction that points at them.

A file of its own costs a small blob four calls of the system and two waits for the disk, in a
bucket a paid call and its way there; of what a batch of one line takes, four of them were a third.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

from typing_extensions import override

from gateway.blobs.layout import disk_errors, write_new
from gateway.ids import is_recorded
from gateway.ports.blobs import Blobs, BlobWriter
from gateway.ports.store import Store


class RecordedBlobs(Blobs):
    """Blobs in a folder or a bucket, and those whose names say that they are in the records.

    The latter are written by saves of the store, as part of a seal, and go with their rows. They
    have at most ``most`` bytes; 0: there are none, but those that are there are still read.
    """

    def __init__(self, files: Blobs, store: Store, most: int) -> None:
        self._files = files
        self._store = store
        self._most = most

    @override
    def in_records(self, size: int) -> bool:
        return max(size, 1) <= self._most

    @override
    async def open(self) -> None:
        await self._files.open()

    @override
    def create(self, name: str) -> AbstractAsyncContextManager[BlobWriter]:
        """Write a file of its own."""
        return self._files.create(name)

    @override
    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield what is in the records at once, else the file's blocks."""
        if is_recorded(name):
            content = await self._content(name)
            part = content[start:] if length is None else content[start : start + length]
            if part:
                yield part
            return
        async with aclosing(self._files.read(name, start, length)) as blocks:
            async for block in blocks:
                yield block

    @override
    async def size(self, name: str) -> int:
        if is_recorded(name):
            return len(await self._content(name))
        return await self._files.size(name)

    @override
    async def copy_to(self, name: str, path: Path) -> None:
        """Write what is in the records, at once: it takes less time than the way to a thread."""
        if is_recorded(name):
            content = await self._content(name)
            with disk_errors():
                write_new(path, content)
        else:
            await self._files.copy_to(name, path)

    @override
    async def adopt(self, made: Mapping[str, Path]) -> None:
        await self._files.adopt(made)

    @override
    async def delete(self, name: str) -> None:
        """Remove a file; what is in the records goes with its row."""
        if not is_recorded(name):
            await self._files.delete(name)

    @override
    async def free(self) -> int | None:
        return await self._files.free()

    @override
    def names(self, written_before: int) -> AsyncGenerator[Sequence[str], None]:
        """Yield names of files: no row lies about without one that says what it is."""
        return self._files.names(written_before)

    @override
    async def link(self, name: str, seconds: int) -> str | None:
        """No URL leads to a row."""
        return None if is_recorded(name) else await self._files.link(name, seconds)

    async def _content(self, name: str) -> bytes:
        """Return what is in the records. Errors: FileNotFoundError."""
        content = await self._store.blob_content(name)
        if content is None:
            raise FileNotFoundError(f"blob {name} is not in the records")
        return content
