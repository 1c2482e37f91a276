"""The very bytes that were checked are sent: the last block is held back until all are right."""

import hashlib
import os
from pathlib import Path

import pytest

from gateway.batches.file import Segment
from gateway.blobs.local import BLOCK, LocalBlobs
from gateway.errors import DamagedBlobError
from gateway.ids import new_blob_name
from gateway.ports.store import Seal
from gateway.runner.blob_source import BlobSource

BYTES = os.urandom(3 * BLOCK + 7)


@pytest.fixture
async def blob(tmp_path: Path) -> tuple[LocalBlobs, str, Path]:
    """A blob of three blocks and a bit, and where it is."""
    blobs = LocalBlobs(tmp_path / "blobs")
    await blobs.open()
    name = new_blob_name()
    async with blobs.create(name) as writer:
        await writer.write(BYTES)
    return blobs, name, tmp_path / "blobs" / name[:2] / name


Blob = tuple[LocalBlobs, str, Path]


def source_of(blob: Blob) -> BlobSource:
    """What is sent of it."""
    seal = Seal(len(BYTES), hashlib.sha256(BYTES).hexdigest())
    return BlobSource(blob[0], [Segment(blob[1], len(BYTES))], seal)


def change(path: Path, place: int) -> None:
    """One byte is another."""
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


async def test_what_is_whole_passes_from_any_offset(blob: Blob) -> None:
    """In any order, again and again."""
    source = source_of(blob)
    assert source.sealed == hashlib.sha256(BYTES).hexdigest()

    for start in (0, BLOCK, 5, 2 * BLOCK + 1, len(BYTES), 0):
        assert b"".join([block async for block in source.unchecked(start)]) == BYTES[start:]
    assert b"".join([block async for block in source.blocks()]) == BYTES
    assert await source.digest() == source.sealed


@pytest.mark.parametrize("place", [0, BLOCK + 3, len(BYTES) - 1])
async def test_bytes_that_change_while_others_are_sent_are_held_back(
    blob: Blob, place: int
) -> None:
    """Whatever was right when the sending began: the last block never leaves."""
    blocks = source_of(blob).blocks()
    passed = len(await anext(blocks))
    change(blob[2], place or BLOCK)
    passed += len(await anext(blocks)) + len(await anext(blocks))
    assert passed == 3 * BLOCK

    with pytest.raises(DamagedBlobError):
        await anext(blocks)


async def test_a_digest_of_other_bytes_than_were_written_is_an_error(blob: Blob) -> None:
    """As they are when it is made; without a seal there is nothing to compare it with."""
    change(blob[2], 9)
    unsealed = BlobSource(blob[0], [Segment(blob[1], len(BYTES))], None)

    with pytest.raises(DamagedBlobError):
        await source_of(blob).digest()
    assert unsealed.sealed is None
    assert await unsealed.digest() == hashlib.sha256(blob[2].read_bytes()).hexdigest()


@pytest.mark.parametrize("cut", [0, BLOCK, len(BYTES) - 1])
async def test_a_blob_that_was_cut_has_no_last_block(blob: Blob, cut: int) -> None:
    """Nor has one that is gone."""
    os.truncate(blob[2], cut)
    blocks = source_of(blob).blocks()
    for _ in range(cut // BLOCK):
        assert len(await anext(blocks)) == BLOCK

    with pytest.raises(DamagedBlobError):
        # The piece that is left is handed over: the size that was promised is not reached by it.
        [block async for block in blocks]
    with pytest.raises(DamagedBlobError):
        [block async for block in source_of(blob).unchecked(BLOCK)]


async def test_a_blob_that_is_gone_is_damaged(blob: Blob) -> None:
    """As one that has changed: it is made again."""
    blob[2].unlink()

    with pytest.raises(DamagedBlobError):
        [block async for block in source_of(blob).blocks()]
