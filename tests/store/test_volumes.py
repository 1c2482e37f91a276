"""Network volumes are refused."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.store.sqlite import SQLiteStore
from gateway.store.volumes import filesystem_of, is_network, refuse_network

MOUNTS = """\
overlay / overlay rw,relatime,lowerdir=/a 0 0
proc /proc proc rw 0 0
server:/export /data nfs4 rw,vers=4.2 0 0
/dev/sda1 /data/local ext4 rw 0 0
//nas/share /mnt/with\\040space cifs rw 0 0
me@host:/ /mnt/ssh fuse.sshfs rw 0 0
host /mnt/plan9 9p rw 0 0
/dev/old /twice ext4 rw 0 0
server:/new /twice nfs rw 0 0
server:/inner /outer/inner nfs4 rw 0 0
/dev/sdb1 /outer ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "filesystem"),
    [
        ("/", "overlay"),
        ("/home/me", "overlay"),
        ("/data", "nfs4"),
        ("/data/deep/down", "nfs4"),
        ("/database", "overlay"),
        ("/data/local/x", "ext4"),
        ("/data/locality", "nfs4"),
        ("/mnt/with space/x", "cifs"),
        ("/mnt/ssh", "fuse.sshfs"),
        ("/mnt/plan9/x", "9p"),
        ("/twice", "nfs"),
        ("/outer/inner/x", "nfs4"),  # whichever is listed first
    ],
)
def test_a_path_is_on_the_innermost_and_latest_mount(path: str, filesystem: str) -> None:
    """By whole names, not by letters."""
    assert filesystem_of(Path(path), MOUNTS) == filesystem


@pytest.mark.parametrize(
    ("filesystem", "network"),
    [
        ("nfs", True),
        ("nfs4", True),
        ("cifs", True),
        ("smb3", True),
        ("fuse.sshfs", True),
        ("fuse.gcsfuse", True),
        ("ext4", False),
        ("xfs", False),
        ("overlay", False),
        ("tmpfs", False),
        ("9p", False),
        ("fuse.fuse-overlayfs", False),
        ("fuse", False),
        ("", False),
    ],
)
def test_what_is_served_by_another_machine(filesystem: str, network: bool) -> None:
    """9p and overlay are how containers see local disks."""
    assert is_network(filesystem) is network


def test_the_message_names_directory_and_type(tmp_path: Path) -> None:
    """So that the reader knows what to move."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(SettingsError, match="nfs4") as caught:
        refuse_network(tmp_path / "data", mounts)
    assert str(tmp_path / "data") in str(caught.value)


def test_a_link_is_followed_before_judging(tmp_path: Path) -> None:
    """The bytes lie where it points."""
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    mounts = tmp_path / "mounts"
    mounts.write_text(f"x / ext4 rw 0 0\nserver:/x {tmp_path}/far nfs rw 0 0\n")
    with pytest.raises(SettingsError, match="nfs"):
        refuse_network(tmp_path / "near", mounts)


def test_where_nobody_can_tell_it_goes_on(tmp_path: Path) -> None:
    """Not every system has the table."""
    refuse_network(tmp_path, tmp_path / "missing")


async def test_this_machines_own_disk_is_fine(sqlite: SQLiteStore) -> None:
    """Whatever it is, it opened."""
    assert await sqlite.gateway_id()
