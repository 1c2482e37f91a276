"""A session on PostgreSQL: a connection that speaks the same named statements.

Parameters travel as untyped text, so that each statement is prepared once, whatever its values
are, and the server takes their types from the columns; answers come in binary form.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.rows import DictRow, dict_row
from psycopg.types.string import StrDumperUnknown

from gateway.errors import UnavailableError
from gateway.store.session import Row

Connection = psycopg.AsyncConnection[DictRow]

CHANNEL: Final = "gateway_due"

_PARAMETER: Final = re.compile(r"(?<![:\w]):(\w+)")
_COMMENT: Final = re.compile(r"--.*")


class _Untyped(Dumper):
    def dump(self, obj: object) -> Buffer:
        return str(obj).encode()


class _UntypedBool(Dumper):
    def dump(self, obj: object) -> Buffer:
        return b"t" if obj else b"f"


def adapters() -> AdaptersMap:
    """Return how values travel."""
    untyped = AdaptersMap(psycopg.adapters)
    untyped.register_dumper(int, _Untyped)
    untyped.register_dumper(bool, _UntypedBool)
    untyped.register_dumper(str, StrDumperUnknown)
    return untyped


def spoken(statement: str) -> bytes:
    """Return a statement with its parameters written as psycopg reads them."""
    bare = _COMMENT.sub("", statement).replace("%", "%%")
    return _PARAMETER.sub(r"%(\1)s", bare).encode()


def connection_options() -> dict[str, Any]:
    """Every statement is a transaction of its own until one is begun; rows come by name."""
    return {"autocommit": True, "row_factory": dict_row, "context": adapters()}


async def connect(conninfo: str, seconds: int) -> Connection:
    """Connect, within that time."""
    return await psycopg.AsyncConnection.connect(
        conninfo, connect_timeout=seconds, **connection_options()
    )


class PostgresSession:
    """One connection and the named statements."""

    def __init__(self, connection: Connection, queries: Mapping[str, bytes]) -> None:
        self.connection = connection
        self.rung = False
        self.lost: type[UnavailableError] = UnavailableError  # what a broken connection means now
        self._queries = queries

    async def _execute(
        self, query: str, values: Mapping[str, object] | None
    ) -> psycopg.AsyncCursor[DictRow]:
        return await self.connection.execute(self._queries[query], values or {}, binary=True)

    async def run(self, query: str, values: Mapping[str, object] | None = None) -> int:
        """Execute for its effect; how many rows it changed."""
        return (await self._execute(query, values)).rowcount

    async def one(self, query: str, values: Mapping[str, object] | None = None) -> Row | None:
        """Return the first row."""
        return await (await self._execute(query, values)).fetchone()

    async def the(self, query: str, values: Mapping[str, object] | None = None) -> Row:
        """Return the one row that must be there."""
        row = await self.one(query, values)
        if row is None:
            raise LookupError(f"query {query} found no row")
        return row

    async def all(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        """Every row."""
        return await (await self._execute(query, values)).fetchall()

    async def ring(self) -> None:
        """Wake the other processes when this transaction is committed."""
        self.rung = True
