"""One serving process per data directory: a lock held for life.

The lock is ``flock``'s: it goes away with the process, however that ends. The file keeps the
holder's process id, for the message and to see whether the holder lives: a child shares the lock
from its fork until its exec, so on a busy machine that of a killed gateway holds it for a moment
longer (seen with SIGKILL while a worker was started).
"""

import fcntl
import logging
import os
import threading
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError

logger = logging.getLogger(__name__)

_LOCK_FILE: Final = "gateway.lock"
# How long what a dead gateway had just forked may hold its lock: so many looks, each after a pause
# of so many seconds.
_LOOKS: Final = 200
_PAUSE: Final = 0.05


class DirectoryLock:
    """The lock on a directory, taken when made."""

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(directory / _LOCK_FILE, flags, 0o600)
        if not (self._try() or self._outlast(directory)):
            holder = self._holder()
            os.close(self._descriptor)
            raise SettingsError(
                f"the data directory {directory} is in use by another gateway process"
                f"{f' (pid {holder})' if holder else ''}: give each its own directory"
            )
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _holder(self) -> str:
        return os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()

    def _outlast(self, directory: Path) -> bool:
        """Wait for a while for what a gateway that is gone has left; one that lives is believed."""
        holder = self._holder()
        if not holder.isdecimal() or _lives(int(holder)):
            return False
        logger.warning("%s is still held by a child of the killed gateway %s", directory, holder)
        for _ in range(_LOOKS):
            threading.Event().wait(_PAUSE)
            if self._try():
                return True
        return False

    def release(self) -> None:
        """Let another process have the directory."""
        os.close(self._descriptor)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # another user's; no process id at all
        return True
    return True
