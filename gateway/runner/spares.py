"""Directories and files that steps are done with, kept for the next steps.

Of what a batch of one line takes, a tenth was the kernel's making of four of them: without a
journal, ext4 looks for a new one through all that were removed in the last minute (measured).
"""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from gateway.ids import new_blob_name
from gateway.runner.blob_source import SEALED_AT_ONCE

KEPT: Final = 16  # of each, about as many as there are steps at once


@dataclass(slots=True)
class Spares:
    """Spare directories and files in one scratch directory, which is emptied at each start.

    All calls take microseconds, less than the way to a thread does, but :func:`removed`.
    """

    scratch: Path
    _directories: list[Path] = field(default_factory=list)
    _files: list[Path] = field(default_factory=list)
    _begun: str = field(default_factory=new_blob_name)  # what all their names begin with
    _numbers: Iterator[int] = field(default_factory=count)

    def directory(self) -> Path:
        """Make an empty directory, for this user alone."""
        while self._directories:
            spare = self._directories.pop()
            if spare.is_dir():  # it may have been removed
                return spare
        place = self._new_path()
        place.mkdir(mode=0o700, parents=True)
        return place

    def take_back(self, place: Path) -> bool:
        """Empty a directory and keep it; False where that would take long, or fails.

        Its path is a new one from now on: what is still to be written below the old one fails, and
        is never found by the step that has it next.
        """
        spare = self._new_path()
        if not _moved(place, spare):
            return False
        if not _emptied(spare):
            _moved(spare, place)  # the caller removes it there
            return False
        if len(self._directories) < KEPT:
            self._directories.append(spare)
            return True
        return _removed_empty(spare)

    def file(self, path: Path, content: bytes) -> bool:
        """Have a file there, where none is; False if there is no spare one.

        ``content`` is as long as that of all files that are kept.
        """
        while self._files:
            spare = self._files.pop()
            if _overwritten(spare, content) and _moved(spare, path):
                return True
        return False

    def keep_file(self, path: Path) -> None:
        """Keep a file of few bytes, or remove it."""
        spare = self._new_path()
        if len(self._files) < KEPT and _moved(path, spare):
            self._files.append(spare)
        else:
            path.unlink(missing_ok=True)

    def _new_path(self) -> Path:
        return self.scratch / f"{self._begun}-{next(self._numbers)}"


def removed(place: Path) -> bool:
    """Whether a directory of a few small files could be removed at once."""
    return _emptied(place) and _removed_empty(place)


def remove(place: Path) -> None:
    """Remove a directory, whatever is in it."""
    shutil.rmtree(place, ignore_errors=True)


def _moved(path: Path, target: Path) -> bool:
    """Whether something could be renamed; not from what was removed, nor to another device."""
    try:
        os.rename(path, target)  # noqa: PTH104 - microseconds, in the event loop
    except OSError:
        return False
    return True


def _overwritten(path: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.pwrite(descriptor, content, 0) == len(content)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _emptied(place: Path) -> bool:
    """Remove a few small files."""
    try:
        with os.scandir(place) as entries:
            found = [(each.path, each.stat(follow_symlinks=False)) for each in entries]
        if any(stat.S_ISDIR(seen.st_mode) or seen.st_size > SEALED_AT_ONCE for _, seen in found):
            return False
        for path, _ in found:
            os.unlink(path)  # noqa: PTH108 - microseconds, in the event loop
    except OSError:
        return False
    return True


def _removed_empty(place: Path) -> bool:
    try:
        os.rmdir(place)  # noqa: PTH106 - microseconds, in the event loop
    except OSError:
        return False
    return True
