"""The schema, brought up to date by ordered files; the table ``migrations`` says which ran."""

import functools
import sqlite3
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from importlib.resources import files

from gateway.errors import SettingsError
from gateway.store.sqlite_session import SQLiteSession


@functools.cache
def read_migrations() -> Sequence[tuple[str, str]]:
    """Return names and texts of the migrations, in order; read once in a process."""
    folder = files("gateway.store").joinpath("migrations")
    return tuple(
        sorted(
            (entry.name, entry.read_text(encoding="utf-8"))
            for entry in folder.iterdir()
            if entry.name.endswith(".sql")
        )
    )


def split_statements(text: str) -> Iterator[str]:
    """Yield the statements of a file, each ending where a line completes it."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise ValueError("the last statement of a migration does not end")


def pending(
    migrations: Sequence[tuple[str, str]], applied: AbstractSet[str]
) -> Sequence[tuple[str, str]]:
    """Return those that have not been applied. Errors: SettingsError for a newer schema."""
    if ahead := applied - {name for name, _ in migrations}:
        raise SettingsError(
            f"the database was written by a newer version of the gateway ({max(ahead)} is unknown "
            "here): start that version, or restore a copy from before the upgrade"
        )
    return [(name, text) for name, text in migrations if name not in applied]


def migrate(session: SQLiteSession, migrations: Sequence[tuple[str, str]], now: int) -> None:
    """Apply what has not been applied, each in a transaction of its own."""
    connection = session.connection
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(name TEXT PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT"
    )
    applied = {name for (name,) in connection.execute("SELECT name FROM migrations")}
    for name, text in pending(migrations, applied):
        with session.transaction():
            for statement in split_statements(text):
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, now))
