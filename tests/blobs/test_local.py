"""A local directory as a place for blobs."""

import asyncio
import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobs, written
from gateway.errors import SettingsError, UnavailableError
from gateway.ports.blobs import Blobs
from tests.blobs.limits import file_size_limit
from tests.conformance.blobs import ALWAYS, MIB, BlobsRules, get, names, put, some_bytes


@pytest.fixture
async def local(tmp_path: Path) -> LocalBlobs:
    """Open and empty."""
    blobs = LocalBlobs(tmp_path / "data" / "blobs")
    await blobs.open()
    return blobs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where it is."""
    return tmp_path / "data" / "blobs"


def highest_descriptor() -> int:
    """The highest number of a descriptor that this process has."""
    return max(int(each.name) for each in Path("/proc/self/fd").iterdir())


def files_below(root: Path) -> list[str]:
    """Every file, relative."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


class TestLocalBlobs(BlobsRules):
    """The rules of every place for blobs."""

    @pytest.fixture
    def blobs(self, local: LocalBlobs) -> Blobs:
        """The local directory."""
        return local


class TestLayout:
    """Names, modes and links on disk."""

    async def test_blobs_fan_out_by_their_first_characters(
        self, local: LocalBlobs, root: Path
    ) -> None:
        await put(local, "3f9c0000", b"x")
        await put(local, "3fff0000", b"x")
        await put(local, "tmp00000", b"x")
        assert files_below(root) == ["3f/3f9c0000", "3f/3fff0000", "tm/tmp00000"]

    async def test_only_the_owner_may_look(self, local: LocalBlobs, root: Path) -> None:
        previous = os.umask(0)
        try:
            await put(local, "3f9c0000", b"x")
            made = root.parent / "made"
            made.write_bytes(b"x")
            await local.adopt({"3f9c1111": made})
        finally:
            os.umask(previous)
        for path in (root, root / "tmp", root / "3f"):
            assert path.stat().st_mode & 0o777 == 0o700
        for path in (root / "3f" / "3f9c0000", root / "3f" / "3f9c1111"):
            assert path.stat().st_mode & 0o777 == 0o600

    async def test_a_symbolic_link_is_not_followed(self, local: LocalBlobs, root: Path) -> None:
        await put(local, "3f9c0000", b"x")
        secret = root.parent / "secret"
        secret.write_bytes(b"secret")
        (root / "3f" / "3f9c1111").symlink_to(secret)
        with pytest.raises(OSError, match="symbolic link") as caught:
            await get(local.read("3f9c1111"))
        assert caught.value.errno == errno.ELOOP
        (root.parent / "link").symlink_to(secret)
        with pytest.raises(OSError, match="symbolic link"):
            await local.adopt({"3f9c2222": root.parent / "link"})

    async def test_bring_links_rather_than_copies(self, local: LocalBlobs, root: Path) -> None:
        await put(local, "3f9c0000", b"x")
        await local.copy_to("3f9c0000", root.parent / "here")
        assert (root.parent / "here").stat().st_ino == (root / "3f" / "3f9c0000").stat().st_ino

    async def test_bring_does_not_replace_a_file(self, local: LocalBlobs, root: Path) -> None:
        await put(local, "3f9c0000", b"x")
        (root.parent / "here").write_bytes(b"mine")
        with pytest.raises(FileExistsError):
            await local.copy_to("3f9c0000", root.parent / "here")
        assert (root.parent / "here").read_bytes() == b"mine"

    @pytest.mark.parametrize(
        "stranger",
        [
            b".DS_Store",
            b"3f/.name.Xy12ab",
            b"3f/abc",
            b"3f/\xff\xfe1234",
            b"lost+found/#1",
            b"3f/4444",
        ],
    )
    async def test_what_others_left_is_no_blob(
        self, local: LocalBlobs, root: Path, stranger: bytes
    ) -> None:
        """It ended the process once, and again after each restart."""
        await put(local, "3f9c0000", b"x")
        path = os.fsencode(root) + b"/" + stranger
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - not UTF-8
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        (root / "3f" / "3f3f3f3f").mkdir()
        assert await names(local, 2**53) == ["3f9c0000"]

    async def test_names_go_by_the_time_of_the_bytes(self, local: LocalBlobs, root: Path) -> None:
        for name, seconds in (("aa00", 10), ("bb00", 20)):
            await put(local, name, b"x")
            os.utime(root / name[:2] / name, (seconds, seconds))
        assert await names(local, 10_000) == []
        assert await names(local, 10_001) == ["aa00"]
        assert sorted(await names(local, 20_001)) == ["aa00", "bb00"]


def test_a_blob_deleted_during_the_listing_is_left_out(tmp_path: Path) -> None:
    """Others go on meanwhile."""
    for name in ("gone", "kept"):
        (tmp_path / name).write_bytes(b"x")
    with os.scandir(tmp_path) as entries:
        listed = list(entries)
    (tmp_path / "gone").unlink()
    assert written(listed, ALWAYS * 1_000_000) == ["kept"]


class TestDurability:
    """The one promise that cannot be seen from outside without pulling the plug."""

    @pytest.fixture
    def synced(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What goes to disk, in order; it really goes."""
        names: list[str] = []
        fsync = os.fsync

        def tell(descriptor: int) -> None:
            fsync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            names.append(str(path.relative_to(root.parent)))

        monkeypatch.setattr(os, "fsync", tell)
        return names

    async def test_bytes_go_to_disk_before_their_name(
        self, local: LocalBlobs, synced: list[str]
    ) -> None:
        synced.clear()
        await put(local, "blob", b"x")
        assert synced == ["blobs/tmp/blob", "blobs", "blobs/bl"]
        synced.clear()
        await put(local, "blob2", b"x")
        assert synced == ["blobs/tmp/blob2", "blobs/bl"]

    async def test_those_that_are_taken_go_there_under_their_name(
        self, local: LocalBlobs, root: Path, synced: list[str]
    ) -> None:
        made = {name: root.parent / name for name in ("blob", "blob2", "blob3")}
        for path in made.values():
            path.write_bytes(b"x")
        synced.clear()
        await local.adopt(made)
        files = [f"blobs/bl/{name}" for name in made]
        assert synced == ["blobs", *files, "blobs/bl"]

    async def test_many_that_are_taken_need_few_descriptors(
        self, local: LocalBlobs, root: Path
    ) -> None:
        made = {f"blob{number}": root.parent / f"made{number}" for number in range(200)}
        for path in made.values():
            path.write_bytes(b"x")
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest_descriptor() + 40, before[1]))
        try:
            await local.adopt(made)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert sorted(await names(local)) == sorted(made)

    @pytest.mark.parametrize("failing", ["bl/blob", "bl/blob2", "bl"])
    async def test_what_cannot_be_synced_is_put_back(
        self, local: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch, failing: str
    ) -> None:
        """No name is left whose bytes may be lost with the power."""
        await put(local, "bl00", b"x")
        made = {name: root.parent / name for name in ("blob", "blob2", "blob3")}
        for path in made.values():
            path.write_bytes(b"x")
        fsync = os.fsync

        def fail(descriptor: int) -> None:
            if Path(f"/proc/self/fd/{descriptor}").readlink() == root / failing:
                raise OSError(errno.EIO, "Input/output error")
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(UnavailableError):
            await local.adopt(made)
        assert await names(local) == ["bl00"]
        assert all(path.read_bytes() == b"x" for path in made.values())


class TestOtherDevice:
    """Where neither a link nor a rename reaches. /dev/shm is another device in every container."""

    @pytest.fixture
    def elsewhere(self, root: Path) -> Iterator[Path]:
        """A directory on another device."""
        directory = Path("/dev/shm") / f"blobs-{os.getpid()}-{root.stat().st_ino}"
        directory.mkdir()
        assert directory.stat().st_dev != root.stat().st_dev
        yield directory
        shutil.rmtree(directory)

    @pytest.fixture(autouse=True)
    def _opened(self, local: LocalBlobs) -> None:
        """The root has to be there first."""

    async def test_bring_copies(self, local: LocalBlobs, elsewhere: Path) -> None:
        data = some_bytes(2 * MIB + 1)
        await put(local, "blob", data)
        await local.copy_to("blob", elsewhere / "here")
        assert (elsewhere / "here").read_bytes() == data

    async def test_take_copies_and_removes(self, local: LocalBlobs, elsewhere: Path) -> None:
        data = some_bytes(2 * MIB + 1)
        (elsewhere / "made").write_bytes(data)
        await local.adopt({"blob": elsewhere / "made"})
        assert await get(local.read("blob")) == data
        assert files_below(elsewhere) == []

    async def test_a_take_that_fails_keeps_the_file(
        self, local: LocalBlobs, elsewhere: Path, root: Path
    ) -> None:
        (elsewhere / "made").write_bytes(some_bytes(2 * MIB))
        with file_size_limit(MIB), pytest.raises(UnavailableError):
            await local.adopt({"blob": elsewhere / "made"})
        assert (elsewhere / "made").stat().st_size == 2 * MIB
        assert files_below(root) == []


class TestNoRoom:
    """Out of room is "not now", and leaves nothing."""

    @pytest.mark.parametrize("size", [MIB + 1, 4 * MIB])
    async def test_a_full_disk_is_unavailable(
        self, local: LocalBlobs, root: Path, size: int
    ) -> None:
        with file_size_limit(MIB), pytest.raises(UnavailableError, match="full") as caught:
            await put(local, "blob", some_bytes(size))
        assert isinstance(caught.value.__cause__, OSError)
        assert files_below(root) == []
        await put(local, "blob", some_bytes(size))
        assert await local.size("blob") == size

    async def test_a_cancelled_upload_stays_cancelled_on_a_full_disk(
        self, local: LocalBlobs, root: Path
    ) -> None:
        """The block that fails in the thread must not replace the cancellation."""
        writing = asyncio.Event()

        async def upload() -> None:
            async with local.create("blob") as writer:
                await writer.write(some_bytes(2 * MIB))
                writing.set()
                await asyncio.Event().wait()

        with file_size_limit(MIB):
            task = asyncio.ensure_future(upload())
            await writing.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert files_below(root) == []

    async def test_a_take_that_fails_otherwise_keeps_the_file(
        self, local: LocalBlobs, root: Path
    ) -> None:
        (root / "bl").write_bytes(b"in the way")
        made = root.parent / "made"
        made.write_bytes(b"x")
        with pytest.raises(FileExistsError):
            await local.adopt({"blob": made})
        assert made.read_bytes() == b"x"

    async def test_other_failures_stay_what_they_are(self, local: LocalBlobs, root: Path) -> None:
        shutil.rmtree(root / "tmp")
        with pytest.raises(FileNotFoundError):
            await put(local, "blob", b"x")


class TestOpen:
    """The directory is one process's own."""

    async def test_leftovers_of_a_dead_process_are_removed(
        self, local: LocalBlobs, root: Path
    ) -> None:
        await put(local, "kept", b"x")
        (root / "tmp" / "half").write_bytes(b"half")
        (root / "tmp" / "probe").write_bytes(b"")
        again = LocalBlobs(root)
        await again.open()
        assert files_below(root) == ["ke/kept"]
        assert await names(again) == ["kept"]

    async def test_a_place_that_is_no_directory_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(SettingsError, match="is a file where a directory is needed"):
            await LocalBlobs(tmp_path / "file").open()

    def test_a_killed_writer_leaves_a_leftover_and_no_blob(self, tmp_path: Path) -> None:
        """A real process, killed while it writes."""
        with subprocess.Popen(
            [sys.executable, "-c", _WRITE_FOR_EVER, str(tmp_path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"writing\n"
            process.kill()
        assert files_below(tmp_path) == ["do/done", "tmp/half"]

        async def reopen() -> bytes:
            blobs = LocalBlobs(tmp_path)
            await blobs.open()
            return await get(blobs.read("done"))

        assert asyncio.run(reopen()) == b"whole"
        assert files_below(tmp_path) == ["do/done"]


_WRITE_FOR_EVER = """
import asyncio, pathlib, sys
from gateway.blobs.local import LocalBlobs

async def main():
    blobs = LocalBlobs(pathlib.Path(sys.argv[1]))
    await blobs.open()
    async with blobs.create("done") as writer:
        await writer.write(b"whole")
    async with blobs.create("half") as writer:
        await writer.write(bytes(3 << 20))
        print("writing", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
