"""Rules every place for blobs obeys; ``tests/blobs/`` runs them on each implementation.

A test class inherits :class:`BlobsRules` and has a fixture ``blobs``: open and empty.
"""

import asyncio
import contextlib
from array import array
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from gateway.ports.blobs import Blobs

MIB = 1 << 20
ALWAYS = 2**60  # ms, far ahead


def some_bytes(count: int) -> bytes:
    """Bytes in which every position can be told from its neighbours."""
    return array("I", range(count // 4 + 1)).tobytes()[:count]


async def put(blobs: Blobs, name: str, data: bytes) -> None:
    """Write a blob in one go."""
    async with blobs.create(name) as writer:
        await writer.write(data)


async def get(blocks: AsyncIterator[bytes]) -> bytes:
    """All of a stream."""
    return b"".join([block async for block in blocks])


async def names(blobs: Blobs, written_before: int = ALWAYS) -> list[str]:
    """Every name that is listed."""
    return [name async for page in blobs.names(written_before) for name in page]


async def turns_of(work: Awaitable[None], most: int) -> int:
    """Let work go on for so many turns of the loop, or to its end; how many there were."""
    task = asyncio.ensure_future(work)
    turns = 0
    while turns < most and not task.done():
        await asyncio.sleep(0)
        turns += 1
    return turns


class WriteRules:
    """A blob is there, whole, or it is not there."""

    @pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 17])
    async def test_what_is_read_is_what_was_written(self, blobs: Blobs, size: int) -> None:
        data = some_bytes(size)
        await put(blobs, "blob", data)
        assert await get(blobs.read("blob")) == data
        assert await blobs.size("blob") == size

    @pytest.mark.parametrize("step", [1_000, 65_536, 999_983, 2 * MIB])
    async def test_any_block_size_goes_in(self, blobs: Blobs, step: int) -> None:
        data = some_bytes(3 * MIB + 5)
        async with blobs.create("blob") as writer:
            for start in range(0, len(data), step):
                await writer.write(data[start : start + step])
        assert await get(blobs.read("blob")) == data

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    async def test_a_block_may_be_reused_once_taken(
        self, blobs: Blobs, kind: type[bytes | bytearray | memoryview]
    ) -> None:
        block = bytearray(b"first" * MIB)
        async with blobs.create("blob") as writer:
            await writer.write(kind(block))
            block[:5] = b"later"
            await writer.write(kind(block[:5]))
        read = await get(blobs.read("blob"))
        assert (read[:5], read[-5:]) == (b"first", b"later")

    async def test_a_name_is_not_written_twice(self, blobs: Blobs) -> None:
        await put(blobs, "blob", b"first")
        entered = False

        async def again() -> None:
            nonlocal entered
            async with blobs.create("blob"):
                entered = True

        with pytest.raises(FileExistsError):
            await again()
        assert not entered, "nobody should upload a file to be told in the end"
        assert await get(blobs.read("blob")) == b"first"

    async def test_of_two_writers_of_one_name_one_wins(self, blobs: Blobs) -> None:
        writes = (put(blobs, "blob", some_bytes(MIB + number)) for number in range(5))
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert sum(outcome is None for outcome in outcomes) == 1
        assert sum(isinstance(outcome, FileExistsError) for outcome in outcomes) == 4
        size = await blobs.size("blob")
        assert await get(blobs.read("blob")) == some_bytes(size)

    @pytest.mark.parametrize("size", [0, 10, 3 * MIB])
    async def test_an_exception_leaves_nothing(self, blobs: Blobs, size: int) -> None:
        async def upload() -> None:
            async with blobs.create("blob") as writer:
                await writer.write(some_bytes(size))
                raise KeyError("broken upload")

        with pytest.raises(KeyError, match="broken upload"):
            await upload()
        await self._nothing(blobs)

    @pytest.mark.parametrize("size", [0, 10, 3 * MIB])
    async def test_a_cancellation_leaves_nothing(self, blobs: Blobs, size: int) -> None:
        writing = asyncio.Event()

        async def upload() -> None:
            async with blobs.create("blob") as writer:
                await writer.write(some_bytes(size))
                writing.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(upload())
        await writing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await self._nothing(blobs)

    async def test_a_cancellation_at_any_point_leaves_all_or_nothing(self, blobs: Blobs) -> None:
        """At points spread over the whole of a write, the last ones after its end."""
        data = some_bytes(2 * MIB)
        turns = await turns_of(put(blobs, "measured", data), 1 << 30)
        await blobs.delete("measured")
        for twentieth in range(24):
            task = asyncio.ensure_future(put(blobs, "blob", data))
            await turns_of(task, turns * twentieth // 20)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if task.cancelled():
                await self._nothing(blobs)
            assert await get(blobs.read("blob")) in {data, b"the name is free"}
            await blobs.delete("blob")

    async def _nothing(self, blobs: Blobs) -> None:
        assert await names(blobs) == []
        with pytest.raises(FileNotFoundError):
            await get(blobs.read("blob"))
        await put(blobs, "blob", b"the name is free")

    async def test_a_blob_is_not_there_before_its_end(self, blobs: Blobs) -> None:
        async with blobs.create("blob") as writer:
            await writer.write(some_bytes(2 * MIB))
            assert await names(blobs) == []
            with pytest.raises(FileNotFoundError):
                await blobs.size("blob")
        assert await names(blobs) == ["blob"]

    @pytest.mark.parametrize(
        "name", ["", "../../etc/passwd", "a/b", ".", "..", "a\x00b", "x" * 999]
    )
    async def test_a_name_is_no_path(self, blobs: Blobs, name: str) -> None:
        with pytest.raises(ValueError, match="name"):
            await put(blobs, name, b"")


class ReadRules:
    """Streams from anywhere, of any length."""

    @pytest.mark.parametrize(
        ("start", "length"),
        [
            (0, None),
            (0, 0),
            (0, 1),
            (5, 0),
            (1, None),
            (MIB, MIB),
            (MIB - 1, 2),
            (3 * MIB, 10 * MIB),
            (3 * MIB + 3, 1),
            (3 * MIB + 7, None),
            (4 * MIB, 1),
        ],
    )
    async def test_a_stretch(self, blobs: Blobs, start: int, length: int | None) -> None:
        data = some_bytes(3 * MIB + 7)
        await put(blobs, "blob", data)
        end = None if length is None else start + length
        assert await get(blobs.read("blob", start, length)) == data[start:end]

    async def test_blocks_are_bounded(self, blobs: Blobs) -> None:
        await put(blobs, "blob", some_bytes(5 * MIB))
        sizes = [len(block) async for block in blobs.read("blob")]
        assert max(sizes) <= 2 * MIB
        assert len(sizes) <= 20

    async def test_a_missing_blob_is_told_at_the_first_block(self, blobs: Blobs) -> None:
        blocks = blobs.read("missing")
        with pytest.raises(FileNotFoundError):
            await anext(blocks)
        with pytest.raises(FileNotFoundError):
            await blobs.size("missing")

    async def test_a_reader_may_stop_early(self, blobs: Blobs) -> None:
        await put(blobs, "blob", some_bytes(3 * MIB))
        async for block in blobs.read("blob"):
            assert block
            break

    async def test_many_readers_at_once(self, blobs: Blobs) -> None:
        data = some_bytes(2 * MIB + 1)
        await put(blobs, "blob", data)
        answers = await asyncio.gather(*(get(blobs.read("blob", n)) for n in range(20)))
        assert answers == [data[n:] for n in range(20)]


class MoveRules:
    """Between blobs and local files."""

    async def test_bring_gives_the_bytes_at_a_path(self, blobs: Blobs, tmp_path: Path) -> None:
        data = some_bytes(2 * MIB + 1)
        await put(blobs, "blob", data)
        await blobs.copy_to("blob", tmp_path / "here")
        assert (tmp_path / "here").read_bytes() == data
        await blobs.delete("blob")
        assert (tmp_path / "here").read_bytes() == data

    async def test_removing_what_was_brought_leaves_the_blob(
        self, blobs: Blobs, tmp_path: Path
    ) -> None:
        await put(blobs, "blob", b"bytes")
        await blobs.copy_to("blob", tmp_path / "here")
        (tmp_path / "here").unlink()
        assert await get(blobs.read("blob")) == b"bytes"

    async def test_bring_finds_no_blob(self, blobs: Blobs, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            await blobs.copy_to("missing", tmp_path / "here")
        assert not (tmp_path / "here").exists()

    async def test_take_makes_a_file_a_blob(self, blobs: Blobs, tmp_path: Path) -> None:
        data = some_bytes(2 * MIB + 1)
        (tmp_path / "made").write_bytes(data)
        await blobs.adopt({"blob": tmp_path / "made"})
        assert await get(blobs.read("blob")) == data
        assert not (tmp_path / "made").exists()

    async def test_take_does_not_replace_a_blob(self, blobs: Blobs, tmp_path: Path) -> None:
        await put(blobs, "blob", b"first")
        (tmp_path / "made").write_bytes(b"second")
        with pytest.raises(FileExistsError):
            await blobs.adopt({"blob": tmp_path / "made"})
        assert await get(blobs.read("blob")) == b"first"
        assert (tmp_path / "made").read_bytes() == b"second"

    async def test_take_finds_no_file(self, blobs: Blobs, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            await blobs.adopt({"blob": tmp_path / "missing"})
        assert await names(blobs) == []


class SweepRules:
    """What the sweeper asks."""

    async def test_delete_removes_and_may_be_repeated(self, blobs: Blobs) -> None:
        await put(blobs, "blob", b"bytes")
        await put(blobs, "blob2", b"stays")
        await blobs.delete("blob")
        await blobs.delete("blob")
        assert await names(blobs) == ["blob2"]
        with pytest.raises(FileNotFoundError):
            await blobs.size("blob")

    async def test_names_are_all_that_were_written_before(self, blobs: Blobs) -> None:
        written = [f"{number:04x}" * 8 for number in range(0, 65_536, 700)]
        for name in written:
            await put(blobs, name, b"x")
        assert sorted(await names(blobs)) == written
        assert await names(blobs, 0) == []


class BlobsRules(WriteRules, ReadRules, MoveRules, SweepRules):
    """All of it."""

    def test_no_rule_hides_another(self) -> None:
        """Of two with one name only the first would run."""
        names = [name for rules in BlobsRules.__bases__ for name in vars(rules)]
        tests = [name for name in names if name.startswith("test_")]
        assert len(tests) == len(set(tests))
