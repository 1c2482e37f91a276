"""One process per data directory."""

import asyncio
import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.store.lock import DirectoryLock
from gateway.store.sqlite import SQLiteStore

_HOLD = """
import asyncio, pathlib, sys
from gateway.errors import SettingsError
from gateway.store.sqlite import SQLiteStore

async def main():
    store = SQLiteStore(pathlib.Path(sys.argv[1]))
    try:
        await store.open(0)
    except SettingsError as error:
        print("refused:", error, flush=True)
    else:
        print("open", flush=True)
        sys.stdin.read()
        await store.close()

asyncio.run(main())
"""


def other_process(path: Path) -> subprocess.Popen[bytes]:
    """Another gateway on the same directory."""
    command = [sys.executable, "-W", "error", "-c", _HOLD, str(path)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """What it says when it has tried."""
    assert process.stdout is not None
    return process.stdout.readline().decode()


def open_and_close(path: Path) -> None:
    """In this process."""

    async def story() -> None:
        store = SQLiteStore(path)
        await store.open(0)
        await store.close()

    asyncio.run(story())


@pytest.mark.slow
async def test_a_second_process_is_refused(sqlite: SQLiteStore, path: Path) -> None:
    """It hears the directory and who holds it."""
    with other_process(path) as process:
        said = await asyncio.to_thread(first_line, process)
        process.communicate()
    assert said.startswith("refused: ")
    assert str(path.parent) in said
    assert f"pid {os.getpid()}" in said
    await sqlite.register_blob("still-works", 1)


async def test_a_second_store_in_this_process_is_refused(sqlite: SQLiteStore, path: Path) -> None:
    """Also over another database in the same directory."""
    assert await sqlite.gateway_id()
    for name in (path.name, "other.db"):
        with pytest.raises(SettingsError, match="is in use"):
            await SQLiteStore(path.with_name(name)).open(0)


@pytest.mark.slow
def test_the_lock_ends_with_a_killed_process(path: Path) -> None:
    """However it ends."""
    with other_process(path) as process:
        assert first_line(process) == "open\n"
        with pytest.raises(SettingsError, match=f"pid {process.pid}"):
            open_and_close(path)
        process.kill()
        process.communicate()
    open_and_close(path)


def test_the_lock_ends_with_close(path: Path) -> None:
    """While the process lives on."""
    open_and_close(path)
    open_and_close(path)


def test_a_child_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A worker that outlives its parent must not block the next start."""
    lock = DirectoryLock(tmp_path)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        lock.release()
        DirectoryLock(tmp_path).release()
        child.communicate()


class Outlasted(logging.Handler):
    """Ends a child when it is waited for."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        super().__init__()
        self.child = child
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """End it."""
        self.said.append(record.getMessage())
        self.child.kill()
        self.child.wait(60)


def test_what_a_killed_gateway_had_just_forked_is_outlasted(tmp_path: Path) -> None:
    """Until its exec a child shares the lock: a start in that moment was refused."""
    descriptor = os.open(tmp_path / "gateway.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with subprocess.Popen(["true"]) as killed:
        killed.wait(60)
    os.pwrite(descriptor, f"{killed.pid}\n".encode(), 0)
    logger = logging.getLogger("gateway.store.lock")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[descriptor]) as child:
        os.close(descriptor)
        waiting = Outlasted(child)
        logger.addHandler(waiting)
        try:
            DirectoryLock(tmp_path).release()
        finally:
            logger.removeHandler(waiting)
            child.kill()
    assert waiting.said == [
        f"{tmp_path} is still held by a child of the killed gateway {killed.pid}"
    ]


def test_a_holder_without_a_pid_is_reported_without(tmp_path: Path) -> None:
    """It died, or was slow, between locking and writing its number."""
    lock = DirectoryLock(tmp_path)
    (tmp_path / "gateway.lock").write_bytes(b"")
    with pytest.raises(SettingsError, match="another gateway process: give"):
        DirectoryLock(tmp_path)
    lock.release()
