"""Where a blob lies below the root, and calls that keep that durable.

::

    root/3f/3f9c...    a blob, in one of as many folders as there are first two characters
    root/tmp/3f9c...   bytes being written; whatever is here when a process starts is garbage

All calls block; :mod:`gateway.blobs.threads` moves them out of the way.
"""

import errno
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gateway.errors import NoRoomError, UnavailableError

_NAME: Final = re.compile(r"[0-9A-Za-z_-]{4,128}")
_FOLDER: Final = re.compile(r"[0-9A-Za-z_-]{2}")
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Of the disk, and of the process's descriptors: neither is the client's fault.
_FAILING: Final = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE})
_TEMPORARY: Final = "tmp"

log = logging.getLogger(__name__)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn ENOSPC and the like into NoRoomError (507), failures of the disk into 503."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise NoRoomError("The gateway's storage is full; try again later.") from error
        if error.errno in _FAILING:
            log.error("the storage fails: %s", error.strerror)  # noqa: TRY400 - without its path
            raise UnavailableError(f"The gateway's storage fails: {error.strerror}.") from error
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_to_read(path: Path) -> int:
    """Return a descriptor of a regular name, never of what a link points at."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def open_new(path: Path) -> int:
    """Return a descriptor of a file that was not there, for its owner alone."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600)


def write_all(descriptor: int, block: bytes | bytearray) -> None:
    """Write every byte: a disk that fills, or a limit, may take a part of them."""
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def write_new(path: Path, content: bytes) -> None:
    """Have a file of that content where none was, for its owner alone; none after an error."""
    descriptor = open_new(path)
    try:
        write_all(descriptor, content)
    except BaseException:
        path.unlink()
        raise
    finally:
        os.close(descriptor)


def is_name(name: str) -> bool:
    """Whether a blob may have this name: it is no path, and safe in every file system and URL."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return a name that a blob may have. Errors: ValueError."""
    if not is_name(name):
        raise ValueError(f"{name!r} is not a blob's name")
    return name


class Layout:
    """Paths below one root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.temporary = root / _TEMPORARY

    def path(self, name: str) -> Path:
        """Where the blob of that name lies."""
        return self.root / check_name(name)[:2] / name

    def partial(self, name: str) -> Path:
        """Where it lies while it is written."""
        return self.temporary / check_name(name)

    def prepare(self) -> None:
        """Make the root, and clear what an earlier process left half-written."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.temporary.mkdir(mode=0o700, exist_ok=True)
        for leftover in self.temporary.iterdir():
            leftover.unlink()
        probe = self.temporary / "probe"
        os.close(open_new(probe))
        probe.unlink()
        sync_directory(self.root)

    def publish(self, source: Path, name: str) -> None:
        """Give finished bytes their name, durably."""
        self.rename(source, name)
        self.sync([name])

    def rename(self, source: Path, name: str) -> None:
        """Give bytes their name, which is durable once it is synced; none is given twice."""
        target = self.path(name)
        refuse_existing(target)
        try:
            source.rename(target)
        except (FileNotFoundError, NotADirectoryError):  # the first of its folder, most likely
            target.parent.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.root)
            source.rename(target)

    def sync(self, names: Iterable[str]) -> None:
        """Make names durable, those of a folder at once."""
        for folder in {self.path(name).parent for name in names}:
            sync_directory(folder)

    def folders(self) -> Iterator[Sequence[os.DirEntry[str]]]:
        """Yield every blob, a folder at a time. Files of other programs are passed over.

        ``.DS_Store``, rsync's ``.name.Xy12ab``, ``lost+found``: once their age ended the process.
        """
        for folder in self.root.iterdir():
            if _FOLDER.fullmatch(folder.name) and folder.is_dir() and folder != self.temporary:
                with os.scandir(folder) as entries:
                    yield [entry for entry in entries if _is_blob(entry, folder.name)]


def _is_blob(entry: os.DirEntry[str], folder: str) -> bool:
    return (
        is_name(entry.name)
        and entry.name.startswith(folder)
        and entry.is_file(follow_symlinks=False)
    )


def refuse_existing(path: Path) -> None:
    """Refuse a name that exists: each is written once."""
    if path.exists():
        raise FileExistsError(errno.EEXIST, "a blob is written once, this one is there", str(path))
