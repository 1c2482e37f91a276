"""An upload: reads the form's parts, and writes the file's bytes into a blob as they arrive."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from gateway.api.body import check_declared_length, pieces, too_large
from gateway.api.services import Call
from gateway.errors import RequestError, TooLargeError
from gateway.ids import new_blob_name
from gateway.ports.blobs import BlobWriter
from gateway.ports.placing import UnplacedBlob, unplaced_blob
from gateway.units import KIB, MIB
from gateway.wire.encodings import HEAD_BYTES, foreign_encoding
from gateway.wire.jsonl import count_line_ends
from gateway.wire.multipart import (
    MAX_OVERHEAD_BYTES,
    Event,
    FieldValue,
    FileData,
    FileEnd,
    FileStart,
    MultipartReader,
    parse_boundary,
)
from gateway.wire.openai import parse_purpose

# Bytes are digested and written in blocks of this size; a digest of one leaves the event loop.
BLOCK_BYTES: Final = MIB
# Smaller pieces are copied together: each that is held holds all of what arrived with it.
WORTH_HOLDING: Final = 64 * KIB

DEFAULT_FILENAME: Final = "upload"


class Content:
    """Bytes of a file that pass by: how they begin, their digest, their lines."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.head = b""
        self._newlines = 0
        self._last = b""

    @property
    def sha256(self) -> str:
        """Of all bytes, once they have passed."""
        return self.digest.hexdigest()

    @property
    def lines(self) -> int:
        """Newlines, and a last line that has none."""
        return self._newlines + (self._last not in {b"", b"\n"})

    def begin(self, data: bytes | memoryview) -> None:
        """Keep the beginning, which tells an encoding."""
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(data[: HEAD_BYTES - len(self.head)])

    def count(self, block: bytes) -> None:
        """Count the lines of a block."""
        self._newlines += count_line_ends(block)
        self._last = bytes(block[-1:]) or self._last


class Intake(Content):
    """One file's bytes: counted, digested and written. Holds two blocks at most.

    More than ``limit`` bytes are refused with the sentence ``refusal``.
    A block is digested in a thread while the next one arrives.
    """

    def __init__(self, writer: BlobWriter, limit: int, refusal: str) -> None:
        super().__init__()
        self._writer = writer
        self.limit = limit
        self._refusal = refusal
        self._held: list[bytearray | memoryview] = []
        self._held_bytes = 0
        self._digesting: asyncio.Future[None] | None = None
        self.bytes = 0

    async def take(self, data: memoryview) -> None:
        """Take the next bytes."""
        self.bytes += len(data)
        if self.bytes > self.limit:
            raise TooLargeError(self._refusal)
        self.begin(data)
        self._hold(data)
        if self._held_bytes >= BLOCK_BYTES:
            await self._write()

    def _hold(self, data: memoryview) -> None:
        self._held_bytes += len(data)
        last = self._held[-1] if self._held else None
        if len(data) >= WORTH_HOLDING:
            self._held.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._held.append(bytearray(data))

    async def finish(self) -> None:
        """Write what is left: no more bytes will come."""
        await self._write()
        await self._digested()

    async def _write(self) -> None:
        block = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        await self._digested()
        loop = asyncio.get_running_loop()
        self._digesting = loop.run_in_executor(None, self.digest.update, block)
        self.count(block)
        await self._writer.write(block)

    async def _digested(self) -> None:
        if self._digesting is not None:
            await self._digesting
            self._digesting = None


def check_encoding(head: bytes) -> None:
    """Refuse a batch input that does not begin as UTF-8 (Windows PowerShell writes UTF-16)."""
    encoding = foreign_encoding(head)
    if encoding is not None:
        raise RequestError(
            f"Invalid file format for Batch API: the file is {encoding}. It must be .jsonl in"
            " UTF-8, not compressed.",
            param="file",
            code="invalid_file_encoding",
        )


def check_input(purpose: str, head: bytes, size: int) -> None:
    """Refuse an empty batch input at once, as OpenAI does, and one that is not UTF-8.

    Other faults of its lines show at validation.
    """
    if purpose != "batch":
        return
    check_encoding(head)
    if not size:
        raise RequestError(
            "Invalid file format for Batch API: the file is empty. It must be .jsonl with at least"
            " one request."
        )


@asynccontextmanager
async def registered(call: Call) -> AsyncIterator[str]:
    """Give a blob's name, and forget it again unless its bytes are whole."""
    blob = new_blob_name()
    await call.store.register_blob(blob, call.now())
    try:
        yield blob
    except BaseException:
        await asyncio.shield(call.store.forget_blobs([blob]))
        raise


@asynccontextmanager
async def new_blob(call: Call) -> AsyncIterator[UnplacedBlob]:
    """Write a blob of unknown size; after an exception there is none, and no name of one."""
    async with AsyncExitStack() as names:

        async def register() -> str:
            return await names.enter_async_context(registered(call))

        async with unplaced_blob(call.blobs, register) as blob:
            yield blob


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The form's other fields, and what the file's part said of it."""

    fields: Mapping[str, str]
    filename: str


def form_reader(call: Call, part: str) -> MultipartReader:
    """Make the reader of a form whose file is in ``part``. Errors: RequestError of no form."""
    return MultipartReader(parse_boundary(call.request.headers.get("content-type")), (part,))


async def read_form(
    call: Call, reader: MultipartReader, intake: Intake, part: str = "file"
) -> UploadForm:
    """Read the body to its end; the file in ``part`` goes through ``intake``."""
    check_declared_length(call, intake.limit + MAX_OVERHEAD_BYTES)
    sorter = _Sorter(intake, part)
    async for piece in pieces(call):
        for event in reader.feed(piece):
            await sorter.take(event)
    reader.close()
    if sorter.filename is None:
        raise RequestError(
            f"Missing required parameter: '{part}'.",
            param=part,
            code="missing_required_parameter",
        )
    return UploadForm(sorter.fields, sorter.filename)


class _Sorter:
    """Gives each event to where it belongs. Files of other names are read and dropped."""

    def __init__(self, intake: Intake, part: str) -> None:
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._intake = intake
        self._part = part
        self._wanted = False
        self._ignored = 0

    async def take(self, event: Event) -> None:
        """Take the parts in any order."""
        match event:
            case FileData(data):
                await self._take_data(data)
            case FieldValue(name, value):
                self.fields[name] = value
            case FileStart(name, filename):
                self._begin(name, filename)
            case FileEnd():  # the file ends with the upload, other parts may follow
                pass

    def _begin(self, name: str, filename: str | None) -> None:
        self._wanted = name == self._part
        if not self._wanted:
            return
        if "purpose" in self.fields:  # if it is wrong, the bytes need not be taken
            parse_purpose(self.fields["purpose"])
        if self.filename is not None:
            raise RequestError(
                f"Invalid '{self._part}': more than one file was sent.", param=self._part
            )
        if filename is not None and "\0" in filename:
            raise RequestError(
                f"Invalid '{self._part}': its file name holds a NUL character.", param=self._part
            )
        self.filename = filename or DEFAULT_FILENAME

    async def _take_data(self, data: memoryview) -> None:
        if self._wanted:
            await self._intake.take(data)
            if self.fields.get("purpose") == "batch" and self._intake.bytes <= 2 * HEAD_BYTES:
                check_encoding(self._intake.head)
            return
        self._ignored += len(data)
        if self._ignored > self._intake.limit:
            raise too_large(self._intake.limit)
