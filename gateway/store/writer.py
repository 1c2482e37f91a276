"""The one thread that writes, with group commit.

A write is a function over an :class:`SQLiteSession`. Those that arrive while a commit is running
wait in a queue and share the next transaction and its fsync, each inside a savepoint: one that
fails is undone alone. An awaiter hears of its write after the commit, so what was awaited is
durable. A cancelled awaiter changes nothing: its write is carried out all the same.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from gateway.errors import NoRoomError, UnavailableError
from gateway.store.sqlite_session import SQLiteSession, damaged, is_damage

T = TypeVar("T")

log = logging.getLogger(__name__)

# Enough to share an fsync well; few enough that no writer waits long for the others.
_GROUP: Final = 256

# Primary result codes (https://www.sqlite.org/rescode.html) of faults that may pass.
_PASSING: Final = {
    sqlite3.SQLITE_FULL: "the storage is full",
    sqlite3.SQLITE_IOERR: "the storage refuses to write",
    sqlite3.SQLITE_BUSY: "another process holds the database",
}


@dataclass(slots=True)
class _Write:
    """A write, and in the end its outcome."""

    work: Callable[[SQLiteSession], Any]
    future: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell the awaiter, if it still waits."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.error)


def _nothing(_: SQLiteSession) -> None:
    pass


def _settle(writes: Sequence[_Write]) -> None:
    for write in writes:
        write.settle()


def _translate(error: Exception) -> Exception:
    """Turn SQLite's errors of faults that may pass into ours; all others stay what they are."""
    if isinstance(error, sqlite3.Error):
        if is_damage(error):
            return damaged(error)
        reason = _PASSING.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if reason is not None:
            full = reason is _PASSING[sqlite3.SQLITE_FULL]
            kind = NoRoomError if full else UnavailableError
            unavailable = kind(f"The gateway cannot record anything now: {reason}.")
            if not full:
                log.error("the records cannot be written: %s", reason)
            unavailable.__cause__ = error
            return unavailable
    return error


class Writer:
    """Carries out writes, in the order in which they were asked for."""

    def __init__(self, session: SQLiteSession) -> None:
        self.commits = 0
        self._is_to_empty = False
        self._emptied = False
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[SQLiteSession], T]) -> T:
        """Carry out a write; it is durable when this returns."""
        if self._closed:
            raise UnavailableError("The gateway's store is closed.")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Write(work, future))
        return await future

    async def empty_log(self) -> bool:
        """Have all of the write-ahead log in the database, and its file empty.

        False when another connection reads there, for longer than a moment.
        """
        self._emptied = False
        self._is_to_empty = True
        await self.run(_nothing)  # wakes the thread, which empties the log before it tells
        return self._emptied

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        going = True
        while going:
            writes, going = self._collect()
            if writes:
                self._commit(writes)
                if self._is_to_empty:
                    self._is_to_empty = False
                    self._emptied = self._session.empty_log()
                self._announce(writes)
        self._session.close()

    def _collect(self) -> tuple[list[_Write], bool]:
        """Wait for a write and take the others that are there; False once closed."""
        writes: list[_Write] = []
        item = self._queue.get()
        while item is not None:
            writes.append(item)
            if len(writes) == _GROUP:
                return writes, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return writes, True
        return writes, False

    def _commit(self, writes: Sequence[_Write]) -> None:
        connection = self._session.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            if len(writes) == 1:  # the transaction itself is its savepoint
                self._attempt(writes[0], "ROLLBACK")
            else:
                for write in writes:
                    connection.execute("SAVEPOINT one")
                    self._attempt(write, "ROLLBACK TO one")
                    connection.execute("RELEASE one")
            if connection.in_transaction:
                connection.execute("COMMIT")
                self.commits += 1
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            for write in writes:
                write.error = _translate(error)

    def _attempt(self, write: _Write, undo: str) -> None:
        """Carry out one write; raises only when SQLite gave up the whole transaction."""
        connection = self._session.connection
        try:
            write.value = write.work(self._session)
        except Exception as error:  # raised again where the write is awaited
            if not connection.in_transaction:
                raise
            connection.execute(undo)
            write.error = _translate(error)

    def _announce(self, writes: Sequence[_Write]) -> None:
        # A closed loop refuses. Then all who waited are gone too; the writes are on disk.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_settle, writes)
