"""Carries all records of a SQLite database into another database: whole, compared, or not at all.

The schema is the same everywhere, so rows are carried as they are: every table, every column. What
arrived is compared with what was sent, by number and by digest, before it is committed.
"""

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.store.sqlite import SQLiteEngine

AT_ONCE: Final = 500
CONTENTS_AT_ONCE: Final = 16  # rows of up to 1 MiB
MODULUS: Final = 1 << 256

# What a database says of itself is not carried: each has its own.
_OWN: Final = frozenset({"migrations"})

LIVE_FILES: Final = """
SELECT name, sha256 FROM blobs
WHERE state = 'live' AND name NOT IN (SELECT name FROM blob_contents)
"""

CONTENTS: Final = """
SELECT name, sha256, content FROM blobs JOIN blob_contents USING (name) WHERE state = 'live'
"""

Rows = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name and its columns, in the order in which rows are carried."""

    name: str
    columns: Sequence[str]

    @property
    def at_once(self) -> int:
        """The number of rows that are in memory at a time."""
        return CONTENTS_AT_ONCE if "content" in self.columns else AT_ONCE

    @property
    def select(self) -> str:
        """A query for every row. Names come from the schema, never from outside."""
        return f'SELECT {self._columns} FROM "{self.name}"'  # noqa: S608 - see the docstring

    def insert(self, parameter: str) -> str:
        """Return a statement for one row."""
        places = ", ".join([parameter] * len(self.columns))
        return f'INSERT INTO "{self.name}" ({self._columns}) VALUES ({places})'  # noqa: S608

    @property
    def _columns(self) -> str:
        return ", ".join(f'"{column}"' for column in self.columns)


@dataclass(slots=True)
class Tally:
    """The number of rows and a digest of them all, whatever their order."""

    rows: int = 0
    digest: int = 0

    def take(self, rows: Rows) -> None:
        """Count some rows in."""
        for row in rows:
            digest = hashlib.sha256(orjson.dumps(row, default=bytes.hex)).digest()
            self.digest = (self.digest + int.from_bytes(digest)) % MODULUS
        self.rows += len(rows)


class Target(Protocol):
    """A database that records are carried into."""

    async def open(self, now: int) -> None:
        """Bring the schema up to date. Errors: SettingsError."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Have everything in the block, or nothing."""
        ...

    async def put(self, table: Table, rows: Rows) -> None:
        """Insert rows."""
        ...

    def rows(self, table: Table) -> AsyncIterator[Rows]:
        """Yield every row, some at a time."""
        ...

    async def go_on(self, table: Table) -> None:
        """Have the next row that is inserted numbered after those that were carried."""
        ...


class Source:
    """The records of a data directory whose gateway is stopped; its lock is held meanwhile."""

    def __init__(self, path: Path) -> None:
        self._engine = SQLiteEngine(path, SystemClock(), moved=True)
        self._path = path
        self._connection: sqlite3.Connection

    async def open(self, now: int) -> None:
        """Lock, migrate and end what a dead process left. Errors: SettingsError."""
        if not self._path.is_file():
            raise SettingsError(f"{self._path} is not there: --from names a data directory")
        await self._engine.open(now)
        self._connection = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)

    async def close(self) -> None:
        """Let another process have the directory."""
        self._connection.close()
        await self._engine.close()

    def gateway_id(self) -> str | None:
        """Return the id that every job at the upstream carries."""
        return _gateway_id(self._connection)

    def is_new(self) -> bool:
        """Whether no file was ever recorded."""
        return self._connection.execute("SELECT 1 FROM files LIMIT 1").fetchone() is None

    def live_blobs(self) -> Iterator[tuple[str, str | None]]:
        """Yield the files that records point at, and the digests of those that were sealed.

        Small blobs are records themselves.
        """
        with closing(self._connection.cursor()) as cursor:
            yield from cursor.execute(LIVE_FILES)

    def changed_contents(self) -> Iterator[str]:
        """Yield the small blobs whose bytes are not those that were written."""
        with closing(self._connection.cursor()) as cursor:
            for name, sealed, content in cursor.execute(CONTENTS):
                if hashlib.sha256(content).hexdigest() != sealed:
                    yield name

    def tables(self) -> Sequence[Table]:
        """Return every table, each after those that it refers to."""
        names = self._all("SELECT name FROM sqlite_master WHERE type = 'table'")
        kept = [name for (name,) in names if name not in _OWN and not name.startswith("sqlite_")]
        after = {
            name: {row[2] for row in self._all(f'PRAGMA foreign_key_list("{name}")')} - {name}
            for name in kept
        }
        return [self._table(name) for name in TopologicalSorter(after).static_order()]

    def _table(self, name: str) -> Table:
        return Table(name, [row[1] for row in self._all(f'PRAGMA table_info("{name}")')])

    def _all(self, query: str) -> Rows:
        return self._connection.execute(query).fetchall()

    def rows(self, table: Table) -> Iterator[Rows]:
        """Yield every row, some at a time."""
        with closing(self._connection.execute(table.select)) as cursor:
            while rows := cursor.fetchmany(table.at_once):
                yield rows


async def held_by(target: Target) -> str | None:
    """Return the id of the gateway whose records a database holds; None when it is empty."""
    meta: dict[str, str] = {}
    # To the end: what is left of rows would be closed behind the database that they are read from.
    async for rows in target.rows(Table("meta", ["key", "value"])):
        meta |= {key: str(value) for key, value in rows}
    return meta.get("gateway_id")


async def carry(source: Source, target: Target) -> Mapping[str, int]:
    """Copy every row, and compare before committing; how many by table. Errors: SettingsError."""
    counts = {}
    async with target.transaction():
        for table in source.tables():
            sent, arrived = Tally(), Tally()
            for rows in source.rows(table):
                sent.take(rows)
                await target.put(table, rows)
            async for rows in target.rows(table):
                arrived.take(rows)
            if sent != arrived:
                raise SettingsError(
                    f"the table {table.name} did not arrive as it was sent ({sent.rows} rows,"
                    f" {arrived.rows} arrived): nothing was moved"
                )
            if "seq" in table.columns:
                await target.go_on(table)
            counts[table.name] = sent.rows
    return counts


def _gateway_id(connection: sqlite3.Connection) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = 'gateway_id'").fetchone()
    return None if row is None else str(row[0])


class SQLiteTarget:
    """A database file in another data directory, which is locked meanwhile."""

    def __init__(self, path: Path) -> None:
        self._engine = SQLiteEngine(path, SystemClock())
        self._path = path
        self._connection: sqlite3.Connection

    async def open(self, now: int) -> None:
        """Make the file, with its schema."""
        await self._engine.open(now)
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = FULL")

    async def close(self) -> None:
        """Let a gateway have it."""
        self._connection.close()
        await self._engine.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Have everything in the block, or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    async def put(self, table: Table, rows: Rows) -> None:
        """Insert rows."""
        self._connection.executemany(table.insert("?"), rows)

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        """Yield every row, some at a time."""
        with closing(self._connection.execute(table.select)) as cursor:
            while rows := cursor.fetchmany(table.at_once):
                yield rows

    async def go_on(self, table: Table) -> None:
        """Leave it to SQLite, which counts on from the highest number that was inserted."""
