"""The store on SQLite: one file, one writing thread, reads in the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

from gateway.clock import Clock, SystemClock
from gateway.directories import usable
from gateway.errors import SettingsError
from gateway.store import batches, blobs, jobs, staging, webhooks
from gateway.store.lock import DirectoryLock
from gateway.store.migrate import migrate, pending, read_migrations
from gateway.store.moved import refuse_moved
from gateway.store.queries import load_queries
from gateway.store.records import Records
from gateway.store.session import Session, Work
from gateway.store.sqlite_session import (
    SQLiteSession,
    carried_out,
    open_reader,
    open_writer,
    require_sqlite,
)
from gateway.store.volumes import refuse_network
from gateway.store.writer import Writer

T = TypeVar("T")


class SQLiteEngine:
    """One database file, whose directory is locked while it is open.

    One whose records were moved elsewhere is opened only by who moves them (``moved``).
    """

    def __init__(self, path: Path, clock: Clock, *, moved: bool = False) -> None:
        self.path = path
        self._clock = clock
        self._moved = moved
        self.lock: DirectoryLock
        self.writer: Writer
        self.reader: SQLiteSession

    async def open(self, now: int) -> None:
        """Take the lock, migrate, and forget what a dead process left behind."""
        require_sqlite()
        directory = self.path.parent
        refuse_network(directory)
        try:
            with usable("the data directory", directory):
                if not self._moved:
                    refuse_moved(directory)
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._start(directory, now)
        except sqlite3.Error as error:
            raise _unfit(self.path, error) from error

    def _start(self, directory: Path, now: int) -> None:
        queries = load_queries("sqlite")
        with ExitStack() as undo:
            self.lock = DirectoryLock(directory)
            undo.callback(self.lock.release)
            session = open_writer(self.path, queries, self._clock)
            undo.callback(session.close)
            _refuse_damaged(session, self.path)
            migrate(session, read_migrations(), now)
            with session.transaction():
                carried_out(_recover(session, now))
            self.reader = open_reader(self.path, queries, self._clock)
            self.writer = Writer(session)
            undo.pop_all()

    async def close(self) -> None:
        """Finish pending writes, close both connections, release the lock."""
        await self.writer.close()
        self.reader.close()
        self.lock.release()

    async def listen(self, heard: Callable[[], None]) -> None:  # noqa: ARG002 - there is no other
        """Wait for ever: no other process serves the file."""
        await asyncio.Event().wait()

    async def read(self, work: Work[T]) -> T:
        """Read in the event loop: that takes less time than the way to a thread."""
        return await work(self.reader)

    async def snapshot(self, work: Work[T]) -> T:
        """Read in the event loop, where nothing comes between: the session never waits."""
        with self.reader.snapshot():
            return carried_out(work(self.reader))

    async def erase(self) -> bool:
        """Leave nothing of deleted rows in the write-ahead log."""
        return await self.writer.empty_log()

    async def once(self, work: Work[T]) -> T:
        """Carry out one statement as any other write: they share their commits."""
        return await self.write(work)

    async def write(self, work: Work[T]) -> T:
        """Have the one thread that writes carry it out."""
        return await self.writer.run(lambda session: carried_out(work(session)))


class SQLiteStore(Records):
    """The gateway's records in one database file, in the data directory."""

    def __init__(self, path: Path, clock: Clock = SystemClock()) -> None:
        self.engine = SQLiteEngine(path, clock)
        super().__init__(self.engine, clock)


def _refuse_damaged(session: SQLiteSession, path: Path) -> None:
    """Refuse a damaged database before anything is served: later it would be waits and 500s."""
    (found,) = session.connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise SettingsError(f"{path} is damaged ({found}): restore a copy of the data directory")


async def _recover(session: Session, now: int) -> None:
    await batches.recover(session, now)
    await jobs.recover(session, now)
    await staging.recover(session)
    await blobs.recover(session)
    await webhooks.recover(session)


def check(path: Path) -> None:
    """Refuse a file of records that no gateway of this version starts with; change nothing.

    Errors: SettingsError.
    """
    refuse_network(path.parent)
    try:
        with usable("the data directory", path.parent):
            refuse_moved(path.parent)
            if path.stat().st_size:
                with closing(
                    sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
                ) as file:
                    applied = {name for (name,) in file.execute("SELECT name FROM migrations")}
                    pending(read_migrations(), applied)
    except sqlite3.Error as error:
        raise _unfit(path, error) from error


def _unfit(path: Path, error: sqlite3.Error) -> SettingsError:
    return SettingsError(f"{path} cannot be used as a database: {error}")
