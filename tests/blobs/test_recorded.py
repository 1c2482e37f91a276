"""Small blobs in the records, the others in files: which is which, and how each is read."""

import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from gateway.blobs.local import LocalBlobs
from gateway.blobs.recorded import RecordedBlobs
from gateway.errors import NoRoomError
from gateway.ids import is_recorded, new_recorded_name, new_recorded_names
from gateway.ports.blobs import Blobs, BlobWriter
from gateway.ports.placing import UnplacedBlob, keep_whole, sealed_content, unplaced_blob
from gateway.store.sqlite import SQLiteStore
from tests.blobs.limits import file_size_limit
from tests.conformance.blobs import BlobsRules, get, names, put, some_bytes
from tests.databases import migrated

NOW: Final = 1_800_000_000_000
MOST: Final = 1000  # bytes
DATA: Final = bytes(range(256)) * 2


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """Records, open and empty."""
    made = SQLiteStore(migrated(tmp_path / "data" / "gateway.sqlite3"))
    await made.open(NOW)
    yield made
    await made.close()


@pytest.fixture
async def files(tmp_path: Path) -> LocalBlobs:
    """Where the files are."""
    made = LocalBlobs(tmp_path / "data" / "blobs")
    await made.open()
    return made


@pytest.fixture
def recorded(files: LocalBlobs, store: SQLiteStore) -> RecordedBlobs:
    """Both places as one."""
    return RecordedBlobs(files, store, MOST)


async def put_row(store: SQLiteStore, content: bytes) -> str:
    """Keep bytes in the records; their name."""
    name = new_recorded_name()
    await store.register_blobs({name: sealed_content(content)}, NOW)
    return name


class TestFiles(BlobsRules):
    """Of what is not in the records, the rules of every place for blobs."""

    @pytest.fixture
    def blobs(self, recorded: RecordedBlobs) -> Blobs:
        """Both places; none of the rules' names is of a row."""
        return recorded


class TestRows:
    """What the records hold is read as a file would be."""

    @pytest.mark.parametrize(
        ("start", "length"),
        [
            *((0, None), (0, 0), (0, 1), (5, 0), (1, None), (511, 1), (500, 100)),
            *((512, None), (512, 1), (600, None), (600, 7), (0, 512), (0, 10_000)),
        ],
    )
    async def test_a_stretch(
        self, recorded: RecordedBlobs, store: SQLiteStore, start: int, length: int | None
    ) -> None:
        name = await put_row(store, DATA)
        end = None if length is None else start + length
        blocks = [block async for block in recorded.read(name, start, length)]
        assert b"".join(blocks) == DATA[start:end]
        assert all(blocks), "a block of no bytes says nothing"

    @pytest.mark.parametrize("size", [0, 1, MOST, 1 << 20])
    async def test_size_and_bytes(
        self, recorded: RecordedBlobs, store: SQLiteStore, size: int
    ) -> None:
        """Also of more than are kept now: the setting was another once."""
        name = await put_row(store, some_bytes(size))
        assert await recorded.size(name) == size
        assert await get(recorded.read(name)) == some_bytes(size)

    async def test_what_was_kept_is_read_though_nothing_more_is(
        self, files: LocalBlobs, store: SQLiteStore
    ) -> None:
        name = await put_row(store, DATA)
        none_more = RecordedBlobs(files, store, 0)
        assert not none_more.in_records(0)
        assert await get(none_more.read(name)) == DATA

    async def test_a_missing_one_is_told_at_the_first_block(
        self, recorded: RecordedBlobs, tmp_path: Path
    ) -> None:
        missing = new_recorded_name()
        blocks = recorded.read(missing, 5, 0)
        with pytest.raises(FileNotFoundError):
            await anext(blocks)
        with pytest.raises(FileNotFoundError):
            await recorded.size(missing)
        with pytest.raises(FileNotFoundError):
            await recorded.copy_to(missing, tmp_path / "here")
        assert not (tmp_path / "here").exists()

    async def test_a_name_without_bytes_is_missing(
        self, recorded: RecordedBlobs, store: SQLiteStore
    ) -> None:
        """Its row in the table of blobs alone does not make it one of no bytes."""
        name = new_recorded_name()
        await store.register_blob(name, NOW)
        with pytest.raises(FileNotFoundError):
            await get(recorded.read(name))

    @pytest.mark.parametrize("content", [b"", DATA])
    async def test_a_copy_is_its_owners(
        self, recorded: RecordedBlobs, store: SQLiteStore, tmp_path: Path, content: bytes
    ) -> None:
        name, here = await put_row(store, content), tmp_path / "here"
        await recorded.copy_to(name, here)
        assert here.read_bytes() == content
        assert stat.S_IMODE(here.stat().st_mode) == 0o600
        here.unlink()
        assert await get(recorded.read(name)) == content

    async def test_a_copy_replaces_nothing(
        self, recorded: RecordedBlobs, store: SQLiteStore, tmp_path: Path
    ) -> None:
        (tmp_path / "here").write_bytes(b"first")
        with pytest.raises(FileExistsError):
            await recorded.copy_to(await put_row(store, DATA), tmp_path / "here")
        assert (tmp_path / "here").read_bytes() == b"first"

    @pytest.mark.parametrize("room", [0, 100])
    async def test_a_copy_without_room_is_none(
        self, recorded: RecordedBlobs, store: SQLiteStore, tmp_path: Path, room: int
    ) -> None:
        """Half of one was taken for bytes that had been lost."""
        name = await put_row(store, DATA)
        with file_size_limit(room), pytest.raises(NoRoomError, match="full"):
            await recorded.copy_to(name, tmp_path / "here")
        assert not (tmp_path / "here").exists()

    async def test_a_deletion_leaves_it_to_the_records(
        self, recorded: RecordedBlobs, store: SQLiteStore
    ) -> None:
        name = await put_row(store, DATA)
        await recorded.delete(name)
        assert await get(recorded.read(name)) == DATA
        await store.forget_blobs([name])
        await recorded.delete(name)
        with pytest.raises(FileNotFoundError):
            await recorded.size(name)

    async def test_it_is_no_file(
        self, recorded: RecordedBlobs, files: LocalBlobs, store: SQLiteStore
    ) -> None:
        """No sweep lists it, and no client is sent to it."""
        name = await put_row(store, DATA)
        assert await names(recorded) == await names(files) == []
        assert await recorded.link(name, 60) is None
        with pytest.raises(FileNotFoundError):
            await files.size(name)


class _Linked(LocalBlobs):
    @override
    async def link(self, name: str, seconds: int) -> str | None:
        return f"https://bucket/{name}?{seconds}"


class _Asked(LocalBlobs):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.deleted: list[str] = []

    @override
    async def delete(self, name: str) -> None:
        self.deleted.append(name)


async def test_no_bucket_is_asked_to_delete_a_row(tmp_path: Path, store: SQLiteStore) -> None:
    """It would be a paid call for nothing."""
    files = _Asked(tmp_path / "blobs")
    recorded = RecordedBlobs(files, store, MOST)
    await recorded.delete(await put_row(store, DATA))
    await recorded.delete("blob")
    assert files.deleted == ["blob"]


async def test_only_files_have_a_url(tmp_path: Path, store: SQLiteStore) -> None:
    """As the place of files says."""
    recorded = RecordedBlobs(_Linked(tmp_path / "blobs"), store, MOST)
    assert await recorded.link("blob", 60) == "https://bucket/blob?60"
    assert await recorded.link(await put_row(store, DATA), 60) is None


class Named:
    """Gives names of files, on record, and says what was there when it was asked."""

    def __init__(self, store: SQLiteStore, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs
        self.given: list[str] = []

    async def __call__(self) -> str:
        """Register the next."""
        assert await names(self._blobs) == []
        name = f"file{len(self.given)}"
        await self._store.register_blob(name, NOW)
        self.given.append(name)
        return name


@pytest.fixture
def named(store: SQLiteStore, recorded: RecordedBlobs) -> Named:
    """What registers files."""
    return Named(store, recorded)


def blocks_of(data: bytes, step: int) -> list[bytes]:
    """The bytes in blocks; of none, no block."""
    return [data[start : start + step] for start in range(0, len(data), step)]


async def written(blobs: Blobs, named: Named, data: bytes, step: int) -> UnplacedBlob:
    """Write a blob in blocks."""
    async with unplaced_blob(blobs, named) as blob:
        for block in blocks_of(data, step):
            await blob.write(block)
    return blob


class TestUnplaced:
    """Few bytes are for the records; with one more it is a file, from its first byte on."""

    @pytest.mark.parametrize("step", [1, 7, MOST, 2 * MOST])
    @pytest.mark.parametrize("size", [0, 1, MOST - 1, MOST])
    async def test_few_bytes_are_for_the_records(
        self, recorded: RecordedBlobs, named: Named, size: int, step: int
    ) -> None:
        blob = await written(recorded, named, some_bytes(size), step)
        assert is_recorded(blob.name)
        assert blob.content == some_bytes(size)
        assert named.given == await names(recorded) == []

    @pytest.mark.parametrize("step", [1, 7, MOST, MOST + 1, 2 * MOST, 10 * MOST])
    @pytest.mark.parametrize("size", [MOST + 1, 2 * MOST, 5 * MOST + 3])
    async def test_more_are_a_file(
        self, recorded: RecordedBlobs, files: LocalBlobs, named: Named, size: int, step: int
    ) -> None:
        blob = await written(recorded, named, some_bytes(size), step)
        assert (blob.name, blob.content, named.given) == ("file0", None, ["file0"])
        assert await get(files.read("file0")) == some_bytes(size)

    @pytest.mark.parametrize("size", [0, 1, 50])
    async def test_where_nothing_is_kept_in_records_all_are_files(
        self, files: LocalBlobs, store: SQLiteStore, named: Named, size: int
    ) -> None:
        for blobs in (RecordedBlobs(files, store, 0), files):
            blob = await written(blobs, named, some_bytes(size), 9)
            assert (blob.name, blob.content) == (named.given[-1], None)
            assert await get(blobs.read(blob.name)) == some_bytes(size)
            await blobs.delete(blob.name)
        assert len(named.given) == 2

    async def test_a_name_is_on_record_before_the_first_byte(
        self, files: LocalBlobs, store: SQLiteStore, named: Named
    ) -> None:
        created: list[str] = []

        class Watched(RecordedBlobs):
            @override
            def create(self, name: str) -> AbstractAsyncContextManager[BlobWriter]:
                assert named.given == [name]
                created.append(name)
                return super().create(name)

        async with unplaced_blob(Watched(files, store, MOST), named) as blob:
            await blob.write(some_bytes(MOST))
            assert named.given == created == []
            await blob.write(b"x")
            assert created == ["file0"]
            assert await store.known_blobs(["file0"]) == {"file0"}

    @pytest.mark.parametrize("size", [0, MOST, MOST + 1, 3 * MOST])
    async def test_an_exception_leaves_nothing(
        self, recorded: RecordedBlobs, store: SQLiteStore, named: Named, size: int
    ) -> None:
        made: list[UnplacedBlob] = []

        async def upload() -> None:
            async with unplaced_blob(recorded, named) as blob:
                made.append(blob)
                await blob.write(some_bytes(size))
                raise KeyError("broken upload")

        with pytest.raises(KeyError, match="broken upload"):
            await upload()
        assert await names(recorded) == []
        [blob] = made
        assert await store.blob_content(blob.name) is None
        with pytest.raises(FileNotFoundError):
            await recorded.size(blob.name)

    async def test_a_block_may_be_reused_once_taken(
        self, recorded: RecordedBlobs, named: Named
    ) -> None:
        block = bytearray(b"first")
        async with unplaced_blob(recorded, named) as blob:
            await blob.write(memoryview(block))
            block[:] = b"later"
            await blob.write(block)
            block[:] = b"never"
        assert blob.content == b"firstlater"


class TestWhole:
    """Of bytes that are in memory it is known at once."""

    @pytest.mark.parametrize("size", [0, 1, MOST])
    async def test_few_come_with_their_seal(
        self, recorded: RecordedBlobs, store: SQLiteStore, size: int
    ) -> None:
        name, seal = await keep_whole(store, recorded, some_bytes(size), NOW)
        assert is_recorded(name)
        assert seal == sealed_content(some_bytes(size))
        assert seal.content == some_bytes(size)
        assert await store.known_blobs([name]) == set()

    @pytest.mark.parametrize(("most", "size"), [(MOST, MOST + 1), (0, 0), (0, 1)])
    async def test_others_are_files_and_on_record(
        self, files: LocalBlobs, store: SQLiteStore, most: int, size: int
    ) -> None:
        recorded = RecordedBlobs(files, store, most)
        name, seal = await keep_whole(store, recorded, some_bytes(size), NOW)
        assert not is_recorded(name)
        assert seal == sealed_content(some_bytes(size))
        assert seal.content is None
        assert await store.known_blobs([name]) == {name}
        assert await get(files.read(name)) == some_bytes(size)


def test_names_of_one_save_lie_together_and_those_of_others_apart() -> None:
    """Saves whose names shared a page of PostgreSQL's index could not go on side by side."""
    saves = [new_recorded_names(4) for _ in range(100)]
    assert all(is_recorded(name) for save in saves for name in save)
    assert len({name for save in saves for name in save}) == 400
    assert {len({name[:12] for name in save}) for save in saves} == {1}
    assert len({save[0][:6] for save in saves}) > 50


async def test_what_is_written_by_name_is_a_file(
    recorded: RecordedBlobs, files: LocalBlobs
) -> None:
    """However small."""
    await put(recorded, "blob", b"x")
    assert await get(files.read("blob")) == b"x"


class TestErased:
    """Bytes that were deleted are on the disk no more, as those of a file that was removed."""

    async def test_nothing_is_left_of_what_was_forgotten(
        self, store: SQLiteStore, tmp_path: Path
    ) -> None:
        """The write-ahead log kept it until later writes happened to lie over it."""
        secret = b"a prompt that was deleted"
        name = await put_row(store, secret * 100)
        assert await store.sweepable_blobs(NOW + 1, 9)
        await store.forget_blobs([name])
        assert _count(tmp_path, secret)  # in the log; else this test shows nothing
        assert await store.erase_forgotten()
        assert not _count(tmp_path, secret)

    async def test_a_reader_that_stays_is_waited_for_another_time(
        self, store: SQLiteStore, tmp_path: Path
    ) -> None:
        """A back-up reads for minutes: writes go on meanwhile."""
        name = await put_row(store, DATA)
        with closing(sqlite3.connect(store.engine.path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM blobs").fetchone()
            assert await store.sweepable_blobs(NOW + 1, 9)
            await store.forget_blobs([name])
            assert not await store.erase_forgotten()
        assert await store.erase_forgotten()
        assert not _count(tmp_path, DATA)


def _count(directory: Path, text: bytes) -> int:
    """How often bytes occur in all files."""
    return sum(path.read_bytes().count(text) for path in directory.rglob("*") if path.is_file())
