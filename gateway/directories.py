"""Directories that settings and commands name: made, or what is in their way said in words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import SettingsError


@contextmanager
def usable(what: str, directory: Path) -> Iterator[None]:
    """Turn an error of the file system into one that says what is wrong with a directory.

    ``what`` names the directory as its setting or option does. Errors: SettingsError.
    """
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"{what} {directory} cannot be used: {hindrance(directory, error)}"
        ) from error


def make(what: str, directory: Path) -> None:
    """Make a directory for its owner alone, unless it is there. Errors as of :func:`usable`."""
    with usable(what, directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def hindrance(directory: Path, error: OSError) -> str:
    """Say what keeps a directory from being used, and what to do about it."""
    place = Path(error.filename or directory)
    if isinstance(error, FileExistsError | NotADirectoryError):
        file = next((path for path in (place, *place.parents) if os.path.isfile(path)), place)  # noqa: PTH113 - it is False, and raises nothing, where one may not look
        return (
            f"{file} is a file where a directory is needed; name another directory, or move the"
            " file away"
        )
    if isinstance(error, IsADirectoryError):
        return f"{place} is a directory where a file is needed; move it away"
    if isinstance(error, PermissionError):
        return (
            f"the user of this process (uid {os.geteuid()}) may not use {place}; make that user"
            " its owner, or name another directory"
        )
    if error.errno == errno.EROFS:
        return (
            f"{place} is on a volume that cannot be written; mount it for writing, or name another"
            " directory"
        )
    reason = error.strerror or type(error).__name__
    return reason if place == directory else f"{reason} ({place})"
