"""A session on SQLite: a connection that speaks named statements, and never waits."""

import logging
import os
import sqlite3
from collections.abc import Awaitable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from typing_extensions import override

from gateway.clock import Clock, SystemClock
from gateway.errors import DamagedStoreError, SettingsError, UnavailableError
from gateway.store.session import Row, Session

T = TypeVar("T")

log = logging.getLogger(__name__)

# Another process may hold the database for a moment (a backup, a shell); never one that serves.
_BUSY_SECONDS: Final = 5.0

# A read of this process ends sooner. One that lasts is a back-up, for which no write is to wait.
_READERS_END_MS: Final = 100

# Bytes of the write-ahead log that stay on disk after a burst.
_LOG_KEPT: Final = 64 << 20

_OLDEST: Final = (3, 37, 0)


# Primary result codes (https://www.sqlite.org/rescode.html) after which nothing can be trusted.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the database is damaged, not only busy, full or out of reach."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def damaged(error: sqlite3.Error) -> DamagedStoreError:
    """Name what ends the process."""
    return DamagedStoreError(
        f"the database reads as damaged ({error}), which a failing disk may cause as well: start"
        " again, which checks all of it and says whether to restore a copy of the data directory"
    )


def carried_out(work: Awaitable[T]) -> T:
    """Return what a coroutine over a session returns; on SQLite it has nothing to wait for."""
    steps = cast("Generator[Any, None, T]", work.__await__())
    try:
        next(steps)
    except StopIteration as end:
        value: T = end.value
        return value
    steps.close()
    raise RuntimeError("a transaction waited for something else than its database")


def _rows(cursor: sqlite3.Cursor, rows: Sequence[Sequence[Any]]) -> Sequence[Row]:
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


class SQLiteSession(Session):
    """One SQLite connection and the named statements."""

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self.connection = connection
        self._queries = queries

    @override
    async def run(self, query: str, values: Mapping[str, object] | None = None) -> int:
        return self.connection.execute(self._queries[query], values or {}).rowcount

    @override
    async def one(self, query: str, values: Mapping[str, object] | None = None) -> Row | None:
        cursor = self.connection.execute(self._queries[query], values or {})
        rows = _rows(cursor, cursor.fetchmany(1))
        cursor.close()
        return rows[0] if rows else None

    @override
    async def all(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        cursor = self.connection.execute(self._queries[query], values or {})
        return _rows(cursor, cursor.fetchall())

    @override
    async def number_in_order(self, owner: str) -> None:
        """Do nothing: writes come one after the other."""

    @override
    async def ring(self) -> None:
        """Do nothing: no other process serves the file."""

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make several reads see the same moment."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Carry out several writes, all or none."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def empty_log(self) -> bool:
        """Have all of the write-ahead log in the database, its file empty; not while others read.

        Old frames of the log hold what was deleted since: ``secure_delete`` overwrites the
        database's pages alone.
        """
        execute = self.connection.execute
        execute(f"PRAGMA busy_timeout = {_READERS_END_MS}").fetchall()
        try:
            busy, _, _ = execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            log.warning("the log of the records could not be emptied: %s", error)
            return False
        finally:
            execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}").fetchall()
        return not busy

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Refuse a library without RETURNING (3.35) and STRICT tables (3.37)."""
    if version < _OLDEST:
        raise SettingsError(
            f"SQLite {'.'.join(map(str, _OLDEST))} or newer is needed, "
            f"this Python has {'.'.join(map(str, version))}"
        )


def _connect(path: Path, queries: Mapping[str, str], clock: Clock, *pragmas: str) -> SQLiteSession:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    connection.create_function("gateway_now", 0, clock.now)
    return SQLiteSession(connection, queries)


def open_writer(
    path: Path, queries: Mapping[str, str], clock: Clock = SystemClock()
) -> SQLiteSession:
    """Return the connection that writes; makes the database file, for its owner alone."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    return _connect(
        path,
        queries,
        clock,
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",  # answers of synchronous calls are rows for a while
        f"journal_size_limit = {_LOG_KEPT}",
    )


class Reader(SQLiteSession):
    """A connection that only reads; what it dies of is put in our words."""

    @override
    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make several reads see the same moment."""
        try:
            with super().snapshot():
                yield
        except sqlite3.Error as error:
            _tell(error)
            raise

    @override
    async def one(self, query: str, values: Mapping[str, object] | None = None) -> Row | None:
        """Read the first row."""
        try:
            return await super().one(query, values)
        except sqlite3.Error as error:
            _tell(error)
            raise

    @override
    async def all(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        """Read every row."""
        try:
            return await super().all(query, values)
        except sqlite3.Error as error:
            _tell(error)
            raise


def _tell(error: sqlite3.Error) -> None:
    """Raise what a read dies of in our words, if we have some."""
    if is_damage(error):
        raise damaged(error) from error
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
        log.error("the records cannot be read: %s", error)
        raise UnavailableError("The gateway cannot read its records now.") from error


def open_reader(
    path: Path, queries: Mapping[str, str], clock: Clock = SystemClock()
) -> SQLiteSession:
    """Return a connection that only reads."""
    session = _connect(path, queries, clock, "query_only = ON")
    return Reader(session.connection, queries)
