"""Where a database may lie: not on a network volume.

SQLite's write-ahead log needs shared memory and locks that work; over NFS and its like they do
not, and the damage shows late.
"""

import re
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError

MOUNTS: Final = Path("/proc/mounts")

_NETWORK_TYPES: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "ncpfs"}
)
_NETWORK_FUSE: Final = frozenset(
    {"sshfs", "s3fs", "gcsfuse", "glusterfs", "rclone", "blobfuse", "blobfuse2", "goofys"}
    | {"mount-s3", "mountpoint-s3", "davfs", "juicefs", "JuiceFS", "ceph-fuse"}
)


def _unescape(field: str) -> str:
    r"""``/with\040space`` is how the kernel writes a space."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def filesystem_of(path: Path, mounts: str) -> str:
    """Return the type of the file system a path lies on, by the text of ``/proc/mounts``."""
    best, kind = "", ""
    for line in mounts.splitlines():
        _, mountpoint, filesystem, *_ = line.split(" ")
        mountpoint = _unescape(mountpoint)
        if path.is_relative_to(mountpoint) and len(mountpoint) >= len(best):
            best, kind = mountpoint, filesystem
    return kind


def is_network(filesystem: str) -> bool:
    """Whether a file system type of ``/proc/mounts`` is served by another machine."""
    family, _, helper = filesystem.partition(".")
    if family == "fuse":
        return helper in _NETWORK_FUSE
    return filesystem in _NETWORK_TYPES


def refuse_network(directory: Path, mounts: Path = MOUNTS) -> None:
    """Stop the start when the directory is on a network volume; where that is unknown, go on."""
    if not mounts.exists():
        return
    filesystem = filesystem_of(directory.resolve(), mounts.read_text(errors="surrogateescape"))
    if is_network(filesystem):
        raise SettingsError(
            f"the data directory {directory} is on a network volume ({filesystem}), where SQLite "
            "loses data: use a local disk or a block volume"
        )
