"""What the composition root refuses to start on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.app import Gateway
from gateway.errors import SettingsError
from gateway.settings.load import load
from gateway.settings.table import Settings

NOBODY = 65534


def settings_of(data_dir: Path) -> Settings:
    """Of a gateway that needs no key."""
    settings, _ = load(
        {
            "GATEWAY_DATA_DIR": str(data_dir),
            "GATEWAY_PORT": "0",
            "GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1:9",
        }
    )
    return settings


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read everything: be another user meanwhile."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@contextmanager
def unreadable() -> Iterator[Path]:
    """A directory that its owner may not read, where every user may look for it."""
    with TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        data = Path(parent) / "data"
        data.mkdir(mode=0o000)
        yield data


async def test_a_data_directory_that_cannot_be_read_is_named() -> None:
    """It was reported as an address that cannot be listened on."""
    with unreadable() as data:
        gateway = Gateway(settings_of(data))
        with without_privileges(), pytest.raises(SettingsError) as caught:
            await gateway.serve(print)

    assert str(caught.value) == (
        f"GATEWAY_DATA_DIR {data} cannot be used: the user of this process (uid {NOBODY}) may not"
        f" use {data / 'gateway.sqlite3'}; make that user its owner, or name another directory"
    )


@pytest.mark.parametrize("name", ["file", "file/below", "with-a-file/blobs", "with-a-file/scratch"])
async def test_a_file_in_the_way_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    """The data directory itself, one above it, or one of its folders."""
    (tmp_path / "file").touch()
    (tmp_path / "with-a-file").mkdir()
    (tmp_path / name.replace("/below", "")).touch()
    directory = tmp_path / name.split("/", maxsplit=1)[0]
    directory = tmp_path / name if directory.is_file() else directory

    with pytest.raises(SettingsError) as caught:
        await Gateway(settings_of(directory)).serve(print)

    file = tmp_path / name.replace("/below", "")
    assert str(caught.value).endswith(
        f" cannot be used: {file} is a file where a directory is needed; name another directory,"
        " or move the file away"
    )


async def test_a_lost_database_beside_files_stops_the_start(tmp_path: Path) -> None:
    """Starting as new would sweep what a backup of the database still points at."""
    settings = settings_of(tmp_path)
    blob = tmp_path / "blobs" / "ab" / "abc"
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"paid for")
    (tmp_path / "gateway.sqlite3").touch()

    with pytest.raises(SettingsError, match="missing or empty"):
        await Gateway(settings).serve(print)
    assert blob.read_bytes() == b"paid for"
