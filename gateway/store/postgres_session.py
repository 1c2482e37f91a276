"""A session on PostgreSQL: a connection that speaks the same named statements.

Parameters travel as untyped text, so that each statement is prepared once, whatever its values
are, and the server takes their types from the columns; answers come in binary form.
"""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow, tuple_row
from psycopg.types.string import StrDumperUnknown
from typing_extensions import override

from gateway.errors import SettingsError, UnavailableError
from gateway.store.session import Row, Session

Connection = psycopg.AsyncConnection[TupleRow]
Cursor = psycopg.AsyncCursor[TupleRow]

CHANNEL: Final = "gateway_due"

UNREADABLE: Final = (
    "GATEWAY_STORE is no URL that PostgreSQL's library can read: percent-encode whatever is no"
    " letter or digit in user, password and name (% as %25, a space as %20), and write parameters"
    " as name=value"
)

# Held until the transaction ends. A number of our own in front of one that is made of the owner.
NUMBERING: Final = b"SELECT pg_advisory_xact_lock(1734833017, CAST(%s - 2147483648 AS INTEGER))"

_PARAMETER: Final = re.compile(r"(?<![:\w]):(\w+)")
_COMMENT: Final = re.compile(r"--.*")


class _Untyped(Dumper):
    @override
    def dump(self, obj: object) -> Buffer:
        return str(obj).encode()


class _UntypedBool(Dumper):
    @override
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
    """Make each statement a transaction of its own until one is begun."""
    return {"autocommit": True, "row_factory": tuple_row, "context": adapters()}


def check_url(url: str) -> None:
    """Refuse a URL that libpq cannot read; its error quotes the password. Errors: SettingsError."""
    try:
        conninfo_to_dict(url)
    except psycopg.Error:
        raise SettingsError(UNREADABLE) from None


async def connect(conninfo: str, seconds: int) -> Connection:
    """Connect, within that time. Errors: as of :func:`check_url`."""
    check_url(conninfo)
    return await psycopg.AsyncConnection.connect(
        conninfo, connect_timeout=seconds, **connection_options()
    )


class Statements:
    """The named statements, and the names of the columns that each answers with.

    The driver would make the list of names anew for every answer: a quarter of a point read.
    """

    def __init__(self, queries: Mapping[str, str]) -> None:
        self.texts = {name: spoken(statement) for name, statement in queries.items()}
        self._columns: dict[str, list[str]] = {}

    def named(self, query: str, cursor: Cursor, rows: Sequence[TupleRow]) -> Sequence[Row]:
        """Return rows by the names of their columns."""
        names = self._columns.get(query, [])
        if rows and len(rows[0]) != len(names):  # the first answer, or a newer gateway's columns
            names = [column.name for column in cursor.description or ()]
            self._columns[query] = names
        return [dict(zip(names, row, strict=True)) for row in rows]


class PostgresSession(Session):
    """One connection and the named statements."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self.connection = connection
        self.rung = False
        self.lost: type[UnavailableError] = UnavailableError  # what a broken connection means now
        self._statements = statements

    async def _execute(self, query: str, values: Mapping[str, object] | None) -> Cursor:
        text = self._statements.texts[query]
        return await self.connection.execute(text, values or {}, binary=True)

    @override
    async def run(self, query: str, values: Mapping[str, object] | None = None) -> int:
        return (await self._execute(query, values)).rowcount

    @override
    async def one(self, query: str, values: Mapping[str, object] | None = None) -> Row | None:
        cursor = await self._execute(query, values)
        row = await cursor.fetchone()
        return None if row is None else self._statements.named(query, cursor, [row])[0]

    @override
    async def all(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        cursor = await self._execute(query, values)
        return self._statements.named(query, cursor, await cursor.fetchall())

    @override
    async def number_in_order(self, owner: str) -> None:
        """Let other transactions that insert for the same owner wait for the end of this one."""
        await self.connection.execute(NUMBERING, [zlib.crc32(owner.encode())])

    @override
    async def ring(self) -> None:
        """Wake the other processes when this transaction is committed."""
        self.rung = True
