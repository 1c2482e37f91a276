"""Records carried into PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.rows import tuple_row

from gateway.errors import SettingsError
from gateway.store.moving import Rows, Table
from gateway.store.postgres import CONNECT_SECONDS, migrate
from gateway.store.postgres_session import Connection, check_url


class PostgresTarget:
    """A database that no gateway has used yet."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: Connection

    async def open(self, now: int) -> None:
        """Connect and migrate."""
        try:
            check_url(self._conninfo)
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                connect_timeout=CONNECT_SECONDS,
                autocommit=True,
                row_factory=tuple_row,
            )
            await migrate(self._connection, now)
        except psycopg.Error as error:
            said = str(error).strip().partition("\n")[0]
            raise SettingsError(f"the database cannot be used: {said}") from None

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Have everything in the block, or nothing."""
        async with self._connection.transaction():
            yield

    async def put(self, table: Table, rows: Rows) -> None:
        """Insert rows."""
        async with self._connection.cursor() as cursor:
            await cursor.executemany(_sql(table.insert("%s")), rows)

    async def rows(self, table: Table) -> AsyncIterator[Rows]:
        """Yield every row, some at a time: a cursor of the server's."""
        async with (
            self._connection.transaction(),
            self._connection.cursor("carried", row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(_sql(table.select))
            while rows := await cursor.fetchmany(table.at_once):
                yield rows

    async def go_on(self, table: Table) -> None:
        """Set the sequence behind ``seq`` to the highest number."""
        await self._connection.execute(
            _sql(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', 'seq'),"  # noqa: S608
                f' (SELECT max(seq) FROM "{table.name}"))'
            )
        )


def _sql(text: str) -> bytes:
    """Take a statement whose names are the schema's own for one that is written in the program."""
    return text.encode()
