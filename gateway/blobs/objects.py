"""Blobs as objects of a bucket: S3, Google Cloud Storage or Azure Blob Storage.

::

    prefix/gateway-id        the id of the gateway whose bytes these are
    prefix/blobs/3f9c...     a blob

Bytes go up in parts while they arrive and come down in blocks, so that memory does not grow with
the blob.

A name is random, registered in the records before its first byte and never used again: that is
what keeps it from being written twice. Several parts cannot be made conditional on a free name.

The bucket's word that a blob is missing is believed only while ``gateway-id`` is there: a bucket
that was emptied, renamed or mistaken would else look like paid results that are lost.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError
from typing_extensions import override

from gateway.blobs.buckets import (
    REFUSED,
    Bucket,
    bucket_errors,
    missing,
    open_bucket,
    reason_of,
    taken,
)
from gateway.blobs.layout import check_name, disk_errors, is_name, open_new, open_to_read, write_all
from gateway.blobs.threads import finish, in_thread
from gateway.errors import SettingsError, UnavailableError
from gateway.ports.blobs import Blobs
from gateway.units import MIB

log = logging.getLogger(__name__)

# S3 takes 10,000 parts: 48 GiB. Each has to be through in the 30 s that obstore gives a request.
PART: Final = 5 * MIB
PARTS_AT_ONCE: Final = 4

# As in a directory: smaller ones cost more than they save.
BLOCK: Final = MIB

LISTED_AT_ONCE: Final = 1000
MARKER: Final = "gateway-id"
PROBE: Final = "probe"


class ObjectWriter:
    """Holds back one part's worth of bytes; whatever is longer goes up while it arrives."""

    def __init__(self, bucket: Bucket, path: str) -> None:
        self._bucket = bucket
        self._path = path
        self._held = bytearray()
        self._blocks: asyncio.Queue[bytearray | BaseException | None] = asyncio.Queue(maxsize=1)
        self._putting: asyncio.Task[object] | None = None

    async def write(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; waits while the parts before go up."""
        self._held += block
        if self._putting is not None and len(self._held) >= MIB:
            await self._hand_on()
        elif len(self._held) > PART:
            self._putting = asyncio.ensure_future(self._put_parts())
            await self._hand_on()

    async def finish(self) -> None:
        """Have all bytes in the bucket."""
        if self._putting is None:
            self._putting = asyncio.ensure_future(self._put_whole())
        else:
            await self._hand_on()
            await self._pass(None)
        await finish(self._putting)

    async def abort(self) -> None:
        """Let obstore abort the parts; a cancelled call would leave them in the bucket."""
        if self._putting is None:
            return
        if not self._putting.done():
            with suppress(asyncio.QueueEmpty):
                self._blocks.get_nowait()
            self._blocks.put_nowait(_GivenUpError())
        with suppress(_GivenUpError, BaseError, OSError):
            await finish(self._putting)

    async def _hand_on(self) -> None:
        block, self._held = self._held, bytearray()
        await self._pass(block)

    async def _pass(self, block: bytearray | None) -> None:
        """Wait for room, or for the end of an upload that has failed."""
        assert self._putting is not None  # noqa: S101 - for the type checker
        passing: asyncio.Task[object] = asyncio.ensure_future(self._blocks.put(block))
        try:
            await asyncio.wait({passing, self._putting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            passing.cancel()
        if self._putting.done():
            await self._putting

    async def _put_whole(self) -> object:
        return await obstore.put_async(self._bucket, self._path, self._held, use_multipart=False)

    async def _put_parts(self) -> object:
        return await obstore.put_async(
            self._bucket,
            self._path,
            self._taken(),
            chunk_size=PART,
            max_concurrency=PARTS_AT_ONCE,
        )

    async def _taken(self) -> AsyncIterator[bytearray]:
        while (block := await self._blocks.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block


class _GivenUpError(Exception):
    """Cancels an upload that is not wanted any more."""


class ObjectBlobs(Blobs):
    """Objects below a bucket's prefix that belong to one gateway, however many replicas it has.

    ``new`` says that the gateway has no records yet: its bytes cannot be elsewhere.
    """

    def __init__(self, url: str, gateway_id: str, *, new: bool) -> None:
        self._url = url
        self._bucket = open_bucket(url)
        self._gateway_id = gateway_id
        self._new = new
        self._being_written: set[str] = set()

    @override
    async def open(self) -> None:
        """Try what will be needed, and refuse a prefix that belongs to another gateway."""
        with self._refusals():
            await self._try()
            await self._own()

    async def look(self) -> str | None:
        """Give the id of the gateway whose bytes these are; nothing is written.

        Errors: SettingsError; UnavailableError, which is not logged.
        """
        try:
            with self._refusals():
                async for _ in obstore.list(self._bucket, prefix=MARKER):
                    pass  # a bucket that is not there has no marker either, but cannot be listed
                return await self._owner()
        except BaseError as error:
            status = reason_of(error)[:3]  # of a listing obstore says it in words alone
            if status == "404":
                raise self._no_bucket() from error
            if status in {"401", "403"}:
                raise self._refused(error) from error
            raise UnavailableError(
                f"the object store does not answer ({reason_of(error)})"
            ) from error

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Tell what is a fault of the settings. Errors: SettingsError."""
        try:
            yield
        except REFUSED as error:
            raise self._refused(error) from error
        except FileNotFoundError as error:
            raise self._no_bucket() from error

    def _refused(self, error: Exception) -> SettingsError:
        return SettingsError(
            f"GATEWAY_BLOBS {self._url}: the gateway may not use it ({reason_of(error)}): it"
            " needs the rights to list, read, write and delete there"
        )

    def _no_bucket(self) -> SettingsError:
        return SettingsError(f"GATEWAY_BLOBS {self._url}: there is no such bucket or container")

    async def _try(self) -> None:
        """Write, list, read and delete. A right to read alone hides what is missing behind 403."""
        with bucket_errors_but_refusals():
            await obstore.put_async(self._bucket, PROBE, b"")
            async for _ in obstore.list(self._bucket, prefix=PROBE):
                pass
            with suppress(FileNotFoundError):  # another replica starts at the same time
                await obstore.delete_async(self._bucket, PROBE)
                await obstore.head_async(self._bucket, PROBE)

    async def _own(self) -> None:
        """Make the prefix this gateway's. Errors: SettingsError when it is another's."""
        with bucket_errors_but_refusals():
            owner = await self._owner()
            if owner is None and self._new:
                await self._mark()
                owner = await self._owner()
        if owner is None:
            raise SettingsError(
                f"GATEWAY_BLOBS {self._url} holds no bytes of this gateway, but there are records"
                " of files: name the place where they are, or move them with"
                " `gateway migrate-store`"
            )
        if owner != self._gateway_id:
            raise SettingsError(
                f"GATEWAY_BLOBS {self._url} belongs to the gateway {owner}, these records to"
                f" {self._gateway_id}: give each a prefix of its own, or restore the records"
            )

    async def _owner(self) -> str | None:
        try:
            found = await obstore.get_async(self._bucket, MARKER)
            return (await found.bytes_async()).to_bytes().decode("ascii", "replace")
        except FileNotFoundError:
            return None

    async def _mark(self) -> None:
        """Write the id, unless another is faster; not every server knows such a condition."""
        marker = self._gateway_id.encode()
        try:
            await obstore.put_async(self._bucket, MARKER, marker, mode="create")
        except AlreadyExistsError:
            return
        except NotSupportedError:
            await obstore.put_async(self._bucket, MARKER, marker)

    @override
    @asynccontextmanager
    async def create(self, name: str) -> AsyncGenerator[ObjectWriter, None]:
        """Write a blob; it exists once the block ends without an exception, else not."""
        path = _path(name)
        async with self._reserved(name):
            writer = ObjectWriter(self._bucket, path)
            with bucket_errors():
                try:
                    yield writer
                    await writer.finish()
                except BaseException:
                    await finish(asyncio.ensure_future(self._undo(path, writer)))
                    raise

    async def _undo(self, path: str, writer: ObjectWriter | None = None) -> None:
        """Leave nothing. What a bucket that does not answer keeps is found by the sweeper."""
        if writer is not None:
            await writer.abort()
        with suppress(BaseError, FileNotFoundError):
            await obstore.delete_async(self._bucket, path)

    @asynccontextmanager
    async def _reserved(self, name: str) -> AsyncGenerator[None, None]:
        """Refuse a name that exists or is being written. Errors: FileExistsError."""
        if name in self._being_written:
            raise taken(name)
        self._being_written.add(name)
        try:
            if await self._exists(name):
                raise taken(name)
            yield
        finally:
            self._being_written.discard(name)

    async def _exists(self, name: str) -> bool:
        try:
            await self._size(name)
        except FileNotFoundError:
            return False
        return True

    @override
    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``start``, in blocks.

        A request ends after obstore's 30 s, however slowly the blocks are taken: what is left is
        asked for anew, as long as each request brings something.
        """
        end = None if length is None else start + length
        with bucket_errors():
            while end is None or start < end or length == 0:
                found = await self._get(name, start, end)
                if found is None:
                    return
                end = found.meta["size"] if end is None else min(end, found.meta["size"])
                begun = start
                try:
                    async for block in found.stream(min_chunk_size=BLOCK):
                        start += len(block)
                        yield block
                except BaseError:
                    if start == begun:
                        raise
                if start == begun:
                    return

    async def _get(self, name: str, start: int, end: int | None) -> "obstore.GetResult | None":
        """Ask for a stretch; None: there is nothing of it, though the blob is there."""
        options: obstore.GetOptions = {}
        if end is not None:
            options = {"range": (start, end)}
        elif start:
            options = {"range": {"offset": start}}
        try:
            if start != end:
                return await obstore.get_async(self._bucket, _path(name), options=options)
        except FileNotFoundError:
            await self._believe_missing(name)
        except BaseError:  # a start beyond the end has no class of its own
            if start < await self.size(name):
                raise
        await self.size(name)
        return None

    @override
    async def size(self, name: str) -> int:
        try:
            return await self._size(name)
        except FileNotFoundError:
            return await self._believe_missing(name)

    async def _size(self, name: str) -> int:
        with bucket_errors():
            return (await obstore.head_async(self._bucket, _path(name)))["size"]

    async def _believe_missing(self, name: str) -> int:
        """Raise FileNotFoundError, if the bucket is the one that it was."""
        with bucket_errors():
            if await self._owner() == self._gateway_id:
                raise missing(name)
        raise UnavailableError(
            "The gateway's object store is not the one that it was: its mark is gone."
        )

    @override
    async def copy_to(self, name: str, path: Path) -> None:
        """Download the blob to a local path that was not there."""
        blocks = self.read(name)
        try:
            first = await anext(blocks, b"")
            with disk_errors():
                await self._store_at(path, first, blocks)
        finally:
            await blocks.aclose()

    async def _store_at(self, path: Path, first: bytes, rest: AsyncIterator[bytes]) -> None:
        descriptor = await in_thread(open_new, path)
        try:
            await in_thread(write_all, descriptor, first)
            async for block in rest:
                await in_thread(write_all, descriptor, block)
        except BaseException:
            await in_thread(path.unlink)
            raise
        finally:
            os.close(descriptor)

    @override
    async def adopt(self, made: Mapping[str, Path]) -> None:
        """Upload local files; the paths are gone afterwards."""
        for name, path in made.items():
            await self._upload(path, name)

    async def _upload(self, path: Path, name: str) -> None:
        size = await in_thread(_size_of, path)
        async with self._reserved(name):
            with bucket_errors():
                try:
                    put = obstore.put_async(
                        self._bucket,
                        _path(name),
                        path,
                        use_multipart=size > PART,
                        chunk_size=PART,
                        max_concurrency=PARTS_AT_ONCE,
                    )
                    await finish(asyncio.ensure_future(put))
                except BaseException:
                    await finish(asyncio.ensure_future(self._undo(_path(name))))
                    raise
        await in_thread(path.unlink)

    @override
    async def delete(self, name: str) -> None:
        """Remove the bytes, if they are there. Azure and Google complain if not, S3 does not."""
        with bucket_errors(), suppress(FileNotFoundError):
            await obstore.delete_async(self._bucket, _path(name))

    @override
    async def free(self) -> int | None:
        """Buckets have no end."""
        return None

    @override
    async def names(self, written_before: int) -> AsyncGenerator[Sequence[str], None]:
        """Yield names whose bytes were written before that time (ms), a page at a time."""
        with bucket_errors():
            listing = obstore.list(self._bucket, prefix="blobs/", chunk_size=LISTED_AT_ONCE)
            async for page in listing:
                yield [
                    name
                    for found in page
                    if is_name(name := found["path"].removeprefix("blobs/"))
                    and found["last_modified"].timestamp() * 1000 < written_before
                ]

    @override
    async def link(self, name: str, seconds: int) -> str | None:
        """Return a URL that gives the blob to whoever has it; None if the key cannot sign one."""
        until = timedelta(seconds=seconds)
        try:
            return await obstore.sign_async(self._bucket, "GET", _path(name), until)
        except BaseError as error:
            log.warning("downloads are not redirected: no URL is signed (%s)", reason_of(error))
            return None


@contextmanager
def bucket_errors_but_refusals() -> Iterator[None]:
    """As :func:`bucket_errors`, at the start: what is refused then is a setting's fault."""
    try:
        with bucket_errors():
            yield
    except UnavailableError as error:
        if isinstance(error.__cause__, REFUSED):
            raise error.__cause__ from None
        raise


def _path(name: str) -> str:
    return f"blobs/{check_name(name)}"


def _size_of(path: Path) -> int:
    descriptor = open_to_read(path)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
