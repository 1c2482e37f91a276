"""An upload's bytes between the socket and the blob."""

import hashlib

import pytest

from gateway.api.intake import BLOCK_BYTES, Intake
from gateway.errors import TooLargeError


class _Kept:
    """A blob's writer that remembers its blocks."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    async def write(self, block: bytes | bytearray | memoryview) -> None:
        self.blocks.append(bytes(block))


@pytest.mark.parametrize("piece", [1, 7, 65_536, 300_000, 5_000_000])
async def test_blocks(piece: int) -> None:
    """However the bytes come, they are written in blocks and counted right."""
    data = (b"x" * 99 + b"\n") * (30_000 if piece > 10 else 30) + b"tail"
    kept = _Kept()
    intake = Intake(kept, len(data), "too large")
    for at in range(0, len(data), piece):
        await intake.take(memoryview(data)[at : at + piece])
    await intake.finish()

    assert b"".join(kept.blocks) == data
    assert all(len(block) >= BLOCK_BYTES for block in kept.blocks[:-1])
    assert max(map(len, kept.blocks)) <= BLOCK_BYTES + piece
    assert (intake.bytes, intake.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert intake.lines == len(data.splitlines())


@pytest.mark.parametrize(
    ("data", "lines"), [(b"", 0), (b"a", 1), (b"\n", 1), (b"a\n", 1), (b"a\n\nb", 3)]
)
async def test_lines(data: bytes, lines: int) -> None:
    """Newlines, and a last line that has none."""
    intake = Intake(_Kept(), 10, "too large")
    await intake.take(memoryview(data))
    await intake.finish()

    assert intake.lines == lines


async def test_the_limit() -> None:
    """Refused with the first byte too many, before it is written."""
    kept = _Kept()
    intake = Intake(kept, 10, "too large")
    await intake.take(memoryview(b"x" * 10))
    with pytest.raises(TooLargeError, match="too large"):
        await intake.take(memoryview(b"x"))

    assert kept.blocks == []
