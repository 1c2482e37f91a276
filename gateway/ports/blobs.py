"""The port of file bytes: a name is written once, whole, and never again.

An implementation passes ``tests/conformance/blobs.py``.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol


class BlobWriter(Protocol):
    """A blob that is being written."""

    async def write(self, block: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; may return before they are on disk."""
        ...


class Blobs(Protocol):
    """Where file bytes live."""

    def in_records(self, size: int) -> bool:  # noqa: ARG002 - what most places say of any
        """Whether a blob of so many bytes is kept in the records, by the save that points at it."""
        return False

    async def open(self) -> None:
        """Make ready; refuse a place that cannot be written."""
        ...

    def create(self, name: str) -> AbstractAsyncContextManager[BlobWriter]:
        """Write a blob. It exists, durably, once the block ends without an exception, else not."""
        ...

    def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield bytes from ``start``, in blocks of about 1 MiB; FileNotFoundError at the first.

        Whoever stops before the end closes it.
        """
        ...

    async def size(self, name: str) -> int:
        """Count the bytes of a blob. Errors: FileNotFoundError."""
        ...

    async def copy_to(self, name: str, path: Path) -> None:
        """Have the blob's bytes at a local path: a link locally, a download elsewhere."""
        ...

    async def adopt(self, made: Mapping[str, Path]) -> None:
        """Make local files blobs, durably, each under its name; the paths are gone afterwards.

        A rename locally. An error may leave some of them where they were.
        """
        ...

    async def delete(self, name: str) -> None:
        """Remove the bytes; a name that is not there is fine."""
        ...

    async def free(self) -> int | None:
        """Count the bytes that may still be written; None where that is not known."""
        ...

    def names(self, written_before: int) -> AsyncGenerator[Sequence[str], None]:
        """Yield names whose bytes were last touched before that time (ms), some at a time."""
        ...

    async def link(self, name: str, seconds: int) -> str | None:
        """Return a URL that gives a blob to whoever has it, for so long; None where none does."""
        ...
