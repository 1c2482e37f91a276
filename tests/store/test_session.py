"""A connection and named statements."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.store.session import Session, open_reader, open_writer, require_sqlite

QUERIES = {
    "make": "CREATE TABLE a (x INTEGER)",
    "add": "INSERT INTO a VALUES (:x)",
    "get": "SELECT * FROM a ORDER BY x",
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A database with an empty table."""
    opened = open_writer(tmp_path / "a.db", QUERIES)
    opened.run("make")
    yield opened
    opened.close()


def test_rows_come_by_name(session: Session) -> None:
    """One, the one, all."""
    assert session.one("get") is None
    with pytest.raises(LookupError, match="get"):
        session.the("get")
    assert [session.run("add", {"x": x}) for x in (2, 1)] == [1, 1]
    assert session.the("get")["x"] == 1
    assert [row["x"] for row in session.all("get")] == [1, 2]


def test_a_transaction_is_all_or_nothing(session: Session) -> None:
    """Whatever the reason."""
    with session.transaction():
        session.run("add", {"x": 1})

    def interrupted() -> None:
        with session.transaction():
            session.run("add", {"x": 2})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [row["x"] for row in session.all("get")] == [1]


def test_a_snapshot_sees_one_moment(session: Session, tmp_path: Path) -> None:
    """Also when its block ends badly."""
    reader = open_reader(tmp_path / "a.db", QUERIES)
    with reader.snapshot():
        assert reader.all("get") == []
        session.run("add", {"x": 1})
        assert reader.all("get") == []
    assert len(reader.all("get")) == 1
    with pytest.raises(KeyError, match="no"), reader.snapshot():
        reader.all("no")
    session.run("add", {"x": 2})
    assert len(reader.all("get")) == 2
    reader.close()


def test_a_reader_writes_nothing(session: Session, tmp_path: Path) -> None:
    """Not even by mistake."""
    reader = open_reader(tmp_path / "a.db", QUERIES)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.run("add", {"x": 1})
    reader.close()
    assert session.all("get") == []


def test_an_old_library_is_refused() -> None:
    """With both versions in the message."""
    require_sqlite()
    require_sqlite((3, 37, 0))
    with pytest.raises(SettingsError, match=r"3\.37\.0 or newer is needed, this Python has 3\.34"):
        require_sqlite((3, 34, 1))
