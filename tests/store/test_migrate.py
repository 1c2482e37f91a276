"""Ordered files, applied once."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.store.migrate import migrate, read_migrations, split_statements
from gateway.store.queries import load_queries
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_session import SQLiteSession, open_writer

FIRST = ("0001_first.sql", "CREATE TABLE a (x INTEGER);\nINSERT INTO a VALUES (1);\n")
SECOND = ("0002_second.sql", "UPDATE a SET x = x + 1;\n")
BROKEN = ("0002_second.sql", "UPDATE a SET x = x + 1;\nUPDATE missing SET x = 0;\n")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SQLiteSession]:
    """An empty database."""
    opened = open_writer(tmp_path / "gateway.db", load_queries("sqlite"))
    yield opened
    opened.close()


def value(session: SQLiteSession) -> int:
    """What the migrations made."""
    found: int = session.connection.execute("SELECT x FROM a").fetchone()[0]
    return found


def applied(session: SQLiteSession) -> list[tuple[str, int]]:
    """What the table says."""
    rows = session.connection.execute("SELECT * FROM migrations ORDER BY name")
    return [tuple(row) for row in rows]


def test_each_runs_once_in_order(session: SQLiteSession) -> None:
    """Also over several starts."""
    migrate(session, [FIRST], 10)
    migrate(session, [FIRST, SECOND], 20)
    migrate(session, [FIRST, SECOND], 30)
    assert value(session) == 2
    assert applied(session) == [("0001_first.sql", 10), ("0002_second.sql", 20)]


def test_a_migration_that_fails_leaves_nothing(session: SQLiteSession) -> None:
    """It can be tried again, corrected."""
    with pytest.raises(sqlite3.OperationalError, match="missing"):
        migrate(session, [FIRST, BROKEN], 10)
    assert value(session) == 1
    migrate(session, [FIRST, SECOND], 20)
    assert value(session) == 2


def test_a_database_of_a_newer_version_is_refused(session: SQLiteSession) -> None:
    """Before anything is written to it."""
    migrate(session, [FIRST, SECOND], 10)
    with pytest.raises(SettingsError, match=r"newer version.*0002_second"):
        migrate(session, [FIRST], 20)


def test_ours_make_the_same_schema_however_often(session: SQLiteSession) -> None:
    """Idempotent."""
    schema = "SELECT sql FROM sqlite_schema ORDER BY name"
    migrate(session, read_migrations(), 10)
    first = session.connection.execute(schema).fetchall()
    migrate(session, read_migrations(), 20)
    assert session.connection.execute(schema).fetchall() == first
    assert {now for _, now in applied(session)} == {10}


def test_ours_are_numbered() -> None:
    """From 1 on, without a gap or a number twice: the order is in the names."""
    numbers = [int(name.partition("_")[0]) for name, _ in read_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_statement_may_contain_semicolons() -> None:
    """In strings, comments and triggers."""
    text = (
        "-- a; comment\nCREATE TABLE a (x TEXT DEFAULT ';');\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  UPDATE a SET x = 1;\nEND;\n"
    )
    statements = list(split_statements(text))
    assert len(statements) == 2
    assert statements[1].endswith("END;\n")


def test_a_statement_without_an_end_is_a_mistake() -> None:
    """Rather than one that is silently left out."""
    with pytest.raises(ValueError, match="does not end"):
        list(split_statements("CREATE TABLE a (x)"))


async def test_a_refused_store_is_not_left_locked(path: Path) -> None:
    """The right version can start afterwards."""
    store = SQLiteStore(path)
    await store.open(0)
    await store.engine.writer.run(
        lambda session: session.connection.execute("INSERT INTO migrations VALUES ('9999', 1)")
    )
    await store.close()
    with pytest.raises(SettingsError, match="newer version"):
        await store.open(1)
    shell = sqlite3.connect(path)
    shell.execute("DELETE FROM migrations WHERE name = '9999'")
    shell.commit()
    shell.close()
    await store.open(2)
    await store.close()


def test_readme_names_every_table() -> None:
    """A stranger finds what each is for."""
    text = "\n".join(text for _, text in read_migrations())
    tables = set(re.findall(r"^CREATE TABLE (\w+)", text, re.MULTILINE))
    readme = (Path(__file__).parents[2] / "gateway/store/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]+ \|$", readme, re.MULTILINE)

    named = {name.strip("`") for row in rows for name in row.split(", ")}
    assert sorted(tables - named) == [], "say in gateway/store/README.md what they hold"
    assert "migrations" in named
