"""A look at the database of the settings, which changes nothing, for ``gateway doctor``."""

import asyncio
from collections.abc import Set as AbstractSet
from typing import Final

import psycopg

from gateway.errors import SettingsError
from gateway.store.migrate import pending, read_migrations
from gateway.store.postgres import CONNECT_SECONDS, refuse_unfit, said
from gateway.store.postgres_session import Connection, connect
from gateway.units import counted

# Words of libpq and of the server, which have no codes before there is a connection (and may be in
# another language); and what to do. The first that is found.
_REMEDIES: Final = (
    ("Connection refused", "start the server, or correct host and port"),
    ("No such file or directory", "start the server, or correct host and port"),
    ("resolve host", "correct the host, or look at the network"),
    ("authentication failed", "correct user and password: in the URL, PGPASSWORD or PGPASSFILE"),
    ("no password supplied", "give one: in the URL, PGPASSWORD or PGPASSFILE"),
    ("pg_hba.conf", "have the server admit this user from here, or correct sslmode"),
    ("permission denied", "grant this user CONNECT on the database"),
    ("does not exist", "create it, or correct the URL"),
    ("SSL", "correct sslmode and sslrootcert, or the server's TLS"),
    ("certificate", "correct sslmode and sslrootcert, or the server's TLS"),
)
_ELSE: Final = "look at the server, the network, and the URL"

# NULL where a table is not there, which a migration that is pending makes.
_RIGHTS: Final = b"""
SELECT bool_and(has_table_privilege(to_regclass(tables.name), rights.name))
FROM unnest(ARRAY['meta', 'files', 'blobs', 'batches', 'jobs']) AS tables (name),
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS rights (name)
"""
_MAY_CREATE: Final = b"SELECT has_schema_privilege(current_schema(), 'CREATE')"


async def inspected(url: str) -> str:
    """Connect once, and say what is there. Errors: SettingsError, with what to do."""
    try:
        async with asyncio.timeout(2 * CONNECT_SECONDS):
            async with await connect(url, CONNECT_SECONDS) as connection:
                await connection.execute(b"BEGIN READ ONLY")
                return await _told(connection)
    except TimeoutError:
        raise SettingsError(f"GATEWAY_STORE: the database does not answer: {_ELSE}") from None
    except psycopg.Error as error:
        words = said(error).rpartition("failed: ")[2]
        remedy = next((todo for sign, todo in _REMEDIES if sign in words), _ELSE)
        raise SettingsError(f"GATEWAY_STORE: {words}: {remedy}") from None


async def _told(connection: Connection) -> str:
    await refuse_unfit(connection)
    if await _asked(connection, b"SELECT pg_is_in_recovery()"):
        raise SettingsError("GATEWAY_STORE: the server is a standby, read-only: name the primary")
    applied = await _applied(connection)
    left = len(pending(read_migrations(), applied))
    if left and not await _asked(connection, _MAY_CREATE):
        raise SettingsError("GATEWAY_STORE: this user may create no tables: grant it that")
    if applied and await _asked(connection, _RIGHTS) is False:
        raise SettingsError(
            "GATEWAY_STORE: this user may not read and write its tables: they are another user's"
        )
    version = f"PostgreSQL {connection.info.server_version // 10_000} answers"
    if not applied:
        return f"{version}, and the database is empty: the first start makes the schema"
    if left:
        migrations = counted(left, "migration")
        return f"{version}; pending of the schema: {migrations}, which the next start applies"
    return f"{version}, and the schema is up to date"


async def _applied(connection: Connection) -> AbstractSet[str]:
    """Return the names of migrations that ran here."""
    if await _asked(connection, b"SELECT to_regclass('migrations')") is None:
        return set()
    rows = await (await connection.execute(b"SELECT name FROM migrations")).fetchall()
    return {name for (name,) in rows}


async def _asked(connection: Connection, question: bytes) -> object:
    row = await (await connection.execute(question)).fetchone()
    return None if row is None else row[0]
