"""A connection that speaks named statements."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.errors import SettingsError

Row = Mapping[str, Any]

# Another process may hold the database for a moment (a backup, a shell); never one that serves.
_BUSY_SECONDS = 5.0


class Session:
    """One SQLite connection and the named statements."""

    def __init__(self, connection: sqlite3.Connection, queries: Mapping[str, str]) -> None:
        self.connection = connection
        self._queries = queries

    def run(self, query: str, values: Mapping[str, object] | None = None) -> int:
        """Execute for its effect; how many rows it changed."""
        return self.connection.execute(self._queries[query], values or {}).rowcount

    def one(self, query: str, values: Mapping[str, object] | None = None) -> Row | None:
        """The first row."""
        cursor = self.connection.execute(self._queries[query], values or {})
        rows: Sequence[Row] = cursor.fetchmany(1)
        cursor.close()
        return rows[0] if rows else None

    def the(self, query: str, values: Mapping[str, object] | None = None) -> Row:
        """The one row that must be there."""
        row = self.one(query, values)
        if row is None:
            raise LookupError(f"query {query} found no row")
        return row

    def all(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        """Every row."""
        return self.connection.execute(self._queries[query], values or {}).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see the same moment."""
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    return connection


def open_writer(path: Path, queries: Mapping[str, str]) -> Session:
    """The connection that writes; makes the database file, for its owner alone."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    connection = _connect(path)
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        connection.close()
        raise SettingsError(f"{path} cannot be used with a write-ahead log (journal mode {mode})")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return Session(connection, queries)


def open_reader(path: Path, queries: Mapping[str, str]) -> Session:
    """A connection that only reads."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return Session(connection, queries)
