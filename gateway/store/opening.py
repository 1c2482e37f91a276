"""The records' place: the data directory, or a database that replicas share."""

from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.errors import SettingsError
from gateway.extras import import_extra
from gateway.store.records import Records
from gateway.store.sqlite import SQLiteStore, check

DATABASE: Final = "gateway.sqlite3"
ASKER: Final = "GATEWAY_STORE names a PostgreSQL database"


def choose_store(url: str | None, data_dir: Path, clock: Clock, *, bucket: bool) -> Records:
    """Return the store, not yet open. ``bucket``: all replicas reach the bytes of files.

    Errors: SettingsError.
    """
    if url is None:
        return SQLiteStore(data_dir / DATABASE, clock)
    _refuse_together(data_dir, bucket=bucket)
    postgres = import_extra("gateway.store.postgres", "psycopg", "postgres", ASKER)
    store: Records = postgres.PostgresStore(url, clock, data_dir)
    return store


async def check_database(url: str, data_dir: Path, *, bucket: bool) -> str:
    """Connect to a database as a start with these settings would, change nothing, and describe it.

    Errors: SettingsError, which says what is wrong and what to do.
    """
    _refuse_together(data_dir, bucket=bucket)
    inspecting = import_extra("gateway.store.inspecting", "psycopg", "postgres", ASKER)
    told: str = await inspecting.inspected(url)
    return told


def _refuse_together(data_dir: Path, *, bucket: bool) -> None:
    """Refuse settings that do not go with a database that replicas share."""
    if not bucket:
        raise SettingsError(
            "GATEWAY_STORE is shared by replicas, a data directory is not: set GATEWAY_BLOBS to a"
            " bucket (s3://, gs:// or az://)"
        )
    if (data_dir / DATABASE).exists():
        raise SettingsError(
            f"{data_dir / DATABASE} holds records of an earlier gateway, and GATEWAY_STORE names"
            " another place: unset GATEWAY_STORE, or give this replica a data directory of its own"
        )


def check_records(data_dir: Path) -> None:
    """Refuse a data directory whose records no gateway of this version starts with.

    Nothing is changed, and a gateway may run there. Errors: SettingsError.
    """
    if (data_dir / DATABASE).exists():
        check(data_dir / DATABASE)
