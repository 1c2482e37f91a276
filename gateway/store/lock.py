"""One serving process per data directory: a lock held for life.

The lock is ``flock``'s: it goes away with the process, however that ends. The file keeps the
holder's process id, for the message alone.
"""

import fcntl
import os
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError

_LOCK_FILE: Final = "gateway.lock"


class DirectoryLock:
    """The lock on a directory, taken when made."""

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(directory / _LOCK_FILE, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise SettingsError(
                f"the data directory {directory} is in use by another gateway process"
                f"{f' (pid {holder})' if holder else ''}: give each its own directory"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process have the directory."""
        os.close(self._descriptor)
