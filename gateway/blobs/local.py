"""Blobs as plain files in a local directory."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from typing_extensions import override

from gateway.blobs.layout import (
    Layout,
    disk_errors,
    open_new,
    open_to_read,
    refuse_existing,
    write_all,
)
from gateway.blobs.threads import finish, in_thread, start, wait_to_the_end
from gateway.directories import usable
from gateway.ports.blobs import Blobs
from gateway.units import MIB

# Measured: 64 KiB blocks in a thread cost four to ten times as much.
BLOCK: Final = MIB
# So much is read in less time than the way to a thread takes.
READ_AT_ONCE: Final = 64 * 1024
# Files that are adopted together, each with a descriptor: a process has a thousand of them.
OPENED_AT_ONCE: Final = 16

# Where a hard link is impossible, a copy does: another device, a file system without links.
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


class LocalWriter:
    """Collects what it is given into blocks; one block at a time is being written to disk."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        self._writing: asyncio.Future[None] | None = None

    async def write(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; waits only while the block before is being written."""
        if isinstance(block, bytes) and len(block) >= BLOCK and not self._buffer:
            await self._flush(block)  # it is whole and never changes: no copy
            return
        self._buffer += block
        if len(self._buffer) >= BLOCK:
            full, self._buffer = self._buffer, bytearray()
            await self._flush(full)

    async def finish(self, publish: Callable[[], None]) -> None:
        """Have all bytes on disk, and then under their name, in one thread."""
        await self._settle()
        block, self._buffer = self._buffer, bytearray()
        await in_thread(_write_and_publish, self._descriptor, block, publish)

    async def close(self) -> None:
        """Close the file, once no thread writes to it."""
        try:
            if self._writing is not None:
                await wait_to_the_end(self._writing)
        finally:
            os.close(self._descriptor)

    async def _flush(self, block: bytes | bytearray) -> None:
        await self._settle()
        self._writing = start(write_all, self._descriptor, block)

    async def _settle(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await finish(writing)


class LocalBlobs(Blobs):
    """Plain files below ``root``, which one process owns."""

    def __init__(self, root: Path) -> None:
        self._layout = Layout(root)

    @override
    async def open(self) -> None:
        """Make the directory; refuse one that cannot be written."""
        with usable("the folder of files", self._layout.root):
            await in_thread(self._layout.prepare)

    @override
    @asynccontextmanager
    async def create(self, name: str) -> AsyncGenerator[LocalWriter, None]:
        """Write a blob; it exists once the block ends without an exception, else not."""
        partial, target = self._layout.partial(name), self._layout.path(name)
        with disk_errors():
            writer = LocalWriter(open_new(partial))
            try:
                try:
                    refuse_existing(target)
                    yield writer
                    await writer.finish(lambda: self._layout.publish(partial, name))
                finally:
                    await writer.close()
            except BaseException:
                await in_thread(_discard, partial, target)
                raise

    @override
    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``start``, a block at a time."""
        descriptor = open_to_read(self._layout.path(name))
        try:
            size = os.fstat(descriptor).st_size  # it never changes
            end = size if length is None else min(start + length, size)
            while start < end:
                wanted = min(BLOCK, end - start)
                if wanted <= READ_AT_ONCE:
                    block = os.pread(descriptor, wanted, start)
                else:
                    block = await in_thread(os.pread, descriptor, wanted, start)
                if not block:
                    return
                yield block
                start += len(block)
        finally:
            os.close(descriptor)

    @override
    async def size(self, name: str) -> int:
        return self._layout.path(name).stat(follow_symlinks=False).st_size

    @override
    async def copy_to(self, name: str, path: Path) -> None:
        """Link the blob to a local path, at once: a way to a thread takes ten times as long."""
        with disk_errors():
            source = self._layout.path(name)
            if not _linked(source, path):
                await in_thread(_copy, source, path)

    @override
    async def adopt(self, made: Mapping[str, Path]) -> None:
        """Rename local files into blobs, in one thread: a hop each costs more than a small file."""
        with disk_errors():
            await in_thread(self._take_all, made)

    def _take_all(self, made: Mapping[str, Path]) -> None:
        files = list(made.items())
        for first in range(0, len(files), OPENED_AT_ONCE):
            self._take(files[first : first + OPENED_AT_ONCE])

    def _take(self, files: Sequence[tuple[str, Path]]) -> None:
        """Rename some files, then sync these and their folders: all of them, or put them back.

        Nothing points at a name before all of this is durable, so the order is free. A file that
        is synced under its old name has ext4 write the folder that it is about to leave.
        """
        with ExitStack() as opened, ExitStack() as undo:
            descriptors = []
            for name, path in files:
                descriptor = open_to_read(path)
                opened.callback(os.close, descriptor)
                os.fchmod(descriptor, 0o600)
                if self._renamed(path, name):
                    undo.callback(self._layout.path(name).rename, path)
                    descriptors.append(descriptor)
            for descriptor in descriptors:
                os.fsync(descriptor)
            self._layout.sync(name for name, _ in files)
            undo.pop_all()

    def _renamed(self, path: Path, name: str) -> bool:
        """Whether a file was renamed; one of another device is copied, durably."""
        try:
            self._layout.rename(path, name)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._carry(path, name)
            return False
        return True

    def _carry(self, path: Path, name: str) -> None:
        """Adopt a file of another device: copy it and remove the source."""
        partial = self._layout.partial(name)
        try:
            _copy(path, partial)
            self._layout.publish(partial, name)
        except BaseException:
            _discard(partial, self._layout.path(name))
            raise
        path.unlink()

    @override
    async def delete(self, name: str) -> None:
        """Remove the bytes, if they are there."""
        await in_thread(_remove, self._layout.path(name))

    @override
    async def free(self) -> int | None:
        """Bytes that this user may still write to the volume: told by its kernel, at once."""
        return shutil.disk_usage(self._layout.root).free

    @override
    async def names(self, written_before: int) -> AsyncGenerator[Sequence[str], None]:
        """Yield names whose bytes were last touched before that time (ms), a folder's at a time."""
        folders = self._layout.folders()
        while (folder := await in_thread(next, folders, None)) is not None:
            yield await in_thread(written, folder, written_before * 1_000_000)

    @override
    async def link(self, name: str, seconds: int) -> str | None:
        """No URL leads to a file of this machine."""
        return None


def written(entries: Iterable[os.DirEntry[str]], before: int) -> Sequence[str]:
    """Names of entries last touched before a time in nanoseconds."""
    found = []
    for entry in entries:
        with suppress(FileNotFoundError):  # deleted meanwhile
            if entry.stat(follow_symlinks=False).st_mtime_ns < before:
                found.append(entry.name)
    return found


def _write_and_publish(descriptor: int, block: bytearray, publish: Callable[[], None]) -> None:
    write_all(descriptor, block)
    os.fsync(descriptor)
    publish()


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _discard(partial: Path, target: Path) -> None:
    """Remove bytes that must not stay: they are at one of the two places."""
    if partial.exists():
        partial.unlink()
    else:
        target.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Copy to a file that was not there, durably."""
    with (
        os.fdopen(open_to_read(source), "rb") as reader,
        os.fdopen(open_new(target), "wb") as writer,
    ):
        shutil.copyfileobj(reader, writer, BLOCK)
        writer.flush()
        os.fsync(writer.fileno())


def _linked(source: Path, target: Path) -> bool:
    """Whether a link could be made; False where only a copy can."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True
