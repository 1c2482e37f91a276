"""Directories and files that are kept for the next step: empty, new by name, and few."""

import os
import shutil
from pathlib import Path

import pytest

from gateway.runner.blob_source import SEALED_AT_ONCE
from gateway.runner.spares import KEPT, Spares, remove, removed
from tests.runner.world import world


@pytest.fixture
def spares(tmp_path: Path) -> Spares:
    """Nothing is spare yet."""
    return Spares(tmp_path / "scratch")


def test_a_directory_is_used_again_under_another_name(spares: Spares) -> None:
    """What still writes below the old one meets no directory."""
    first = spares.directory()
    number = first.stat().st_ino
    (first / "input").write_bytes(b"x")
    assert spares.take_back(first)
    with pytest.raises(FileNotFoundError):  # nor while nobody has it
        (first / "raw").write_bytes(b"late")
    again = spares.directory()
    assert again.stat().st_ino == number
    assert list(again.iterdir()) == []
    assert again.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileNotFoundError):
        (first / "raw").write_bytes(b"late")


async def test_a_step_that_fails_leaves_no_directory(tmp_path: Path) -> None:
    """What it was left as is not known; those of others are kept."""
    async with world(tmp_path) as w:
        scratch = w.context.scratch

        async def fail() -> None:
            async with w.context.workplace() as place:
                (place / "input").write_bytes(b"x")
                raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert list(scratch.iterdir()) == []
        async with w.context.workplace() as place:
            (place / "input").write_bytes(b"x")
        [spare] = scratch.iterdir()
        assert spare != place
        assert list(spare.iterdir()) == []


def test_two_never_have_one_directory(spares: Spares) -> None:
    """Each is out until it is taken back."""
    spares.take_back(spares.directory())
    assert len({spares.directory().stat().st_ino for _ in range(3)}) == 3


def test_what_takes_long_to_empty_is_not_kept(spares: Spares) -> None:
    """A large file, or what a range of a file was given: that is for a thread."""
    large, ranges = spares.directory(), spares.directory()
    (large / "input").write_bytes(bytes(SEALED_AT_ONCE + 1))
    (ranges / "range-0").mkdir()
    for place in (large, ranges):
        assert not spares.take_back(place)
        assert not removed(place)
        remove(place)
        assert not place.exists()


def test_few_are_kept(spares: Spares, tmp_path: Path) -> None:
    """The others are removed."""
    for place in [spares.directory() for _ in range(KEPT + 3)]:
        assert spares.take_back(place)
    files = [tmp_path / f"{number}" for number in range(KEPT + 3)]
    for path in files:
        path.write_bytes(b"x")
        spares.keep_file(path)
    assert not any(path.exists() for path in files)
    assert len(list(spares.scratch.iterdir())) == 2 * KEPT


def test_spares_that_are_gone_are_made_anew(spares: Spares, tmp_path: Path) -> None:
    """Somebody emptied the folder."""
    spares.take_back(spares.directory())
    path = tmp_path / "place"
    path.write_bytes(b"12345678")
    spares.keep_file(path)
    shutil.rmtree(spares.scratch)
    assert not spares.file(path, b"00000000")
    assert spares.directory().is_dir()


def test_a_file_that_is_kept_says_what_it_is_told(spares: Spares, tmp_path: Path) -> None:
    """Whatever the process before has left in it."""
    spares.scratch.mkdir()
    path, other = tmp_path / "path", tmp_path / "other"
    path.write_bytes(b"12345678")
    number = path.stat().st_ino
    spares.keep_file(path)
    assert not path.exists()
    assert spares.file(other, b"00000000")
    assert other.read_bytes() == b"00000000"
    assert other.stat().st_ino == number
    assert not spares.file(path, b"00000000")


def test_a_file_on_another_device_is_removed(spares: Spares) -> None:
    """The scratch directory may be a volume of its own."""
    spares.scratch.mkdir()
    path = Path("/dev/shm") / f"spare-{os.getpid()}"
    path.write_bytes(b"12345678")
    assert path.stat().st_dev != spares.scratch.stat().st_dev
    spares.keep_file(path)
    assert not path.exists()
    assert list(spares.scratch.iterdir()) == []
