"""Which place the bytes are in: never another than that of the records."""

import sys
from pathlib import Path

import pytest

from gateway.blobs.local import LocalBlobs
from gateway.blobs.opening import open_blobs
from gateway.errors import SettingsError
from tests.conformance.blobs import put
from tests.engines.buckets import BUCKET

GATEWAY = "gateway-a"


async def test_a_directory_is_made_for_a_new_gateway(tmp_path: Path) -> None:
    """And found again once there are records."""
    await open_blobs(None, tmp_path, GATEWAY, new=True)
    await open_blobs(None, tmp_path, GATEWAY, new=False)
    assert (tmp_path / "blobs").is_dir()


async def test_records_without_their_directory_are_refused(tmp_path: Path) -> None:
    """Somebody unset GATEWAY_BLOBS, or restored half of a back-up."""
    with pytest.raises(SettingsError, match="GATEWAY_BLOBS"):
        await open_blobs(None, tmp_path, GATEWAY, new=False)
    assert not (tmp_path / "blobs").exists()


@pytest.mark.usefixtures("found_buckets")
@pytest.mark.slow
class TestBucket:
    """In place of the directory."""

    async def test_an_empty_directory_is_removed(self, tmp_path: Path) -> None:
        await open_blobs(None, tmp_path, GATEWAY, new=True)
        (tmp_path / "blobs" / "3f").mkdir()
        await open_blobs(f"s3://{BUCKET}/opening", tmp_path, GATEWAY, new=True)
        assert not (tmp_path / "blobs").exists()
        with pytest.raises(SettingsError, match="GATEWAY_BLOBS"):
            await open_blobs(None, tmp_path, GATEWAY, new=False)

    async def test_a_directory_with_files_is_refused(self, tmp_path: Path) -> None:
        blobs = await open_blobs(None, tmp_path, GATEWAY, new=True)
        assert isinstance(blobs, LocalBlobs)
        await put(blobs, "3f9c", b"x")
        with pytest.raises(SettingsError, match="migrate-store"):
            await open_blobs(f"s3://{BUCKET}/opening", tmp_path, GATEWAY, new=False)
        assert (tmp_path / "blobs" / "3f" / "3f9c").read_bytes() == b"x"


async def test_the_extra_is_named_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sidecar installs nothing of the clouds."""
    for name in [name for name in sys.modules if name.split(".")[0] == "obstore"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "gateway.blobs.objects", raising=False)
    monkeypatch.delitem(sys.modules, "gateway.blobs.buckets", raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SettingsError, match=r"'.\[cloud\]'"):
        await open_blobs("s3://bucket/prefix", tmp_path, GATEWAY, new=True)
