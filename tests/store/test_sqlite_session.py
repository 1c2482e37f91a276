"""A connection and named statements."""

import sqlite3
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from gateway.errors import SettingsError, UnavailableError
from gateway.store.sqlite_session import (
    SQLiteSession,
    carried_out,
    open_reader,
    open_writer,
    require_sqlite,
)

QUERIES = {
    "make": "CREATE TABLE a (x INTEGER)",
    "add": "INSERT INTO a VALUES (:x)",
    "get": "SELECT * FROM a ORDER BY x",
}


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SQLiteSession]:
    """A database with an empty table."""
    opened = open_writer(tmp_path / "a.db", QUERIES)
    carried_out(opened.run("make"))
    yield opened
    opened.close()


def test_rows_come_by_name(session: SQLiteSession) -> None:
    """One, the one, all."""
    assert carried_out(session.one("get")) is None
    with pytest.raises(LookupError, match="get"):
        carried_out(session.the("get"))
    assert [carried_out(session.run("add", {"x": x})) for x in (2, 1)] == [1, 1]
    assert carried_out(session.the("get"))["x"] == 1
    assert [row["x"] for row in carried_out(session.all("get"))] == [1, 2]


def test_a_transaction_is_all_or_nothing(session: SQLiteSession) -> None:
    """Whatever the reason."""
    with session.transaction():
        carried_out(session.run("add", {"x": 1}))

    def interrupted() -> None:
        with session.transaction():
            carried_out(session.run("add", {"x": 2}))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [row["x"] for row in carried_out(session.all("get"))] == [1]


def test_a_snapshot_sees_one_moment(session: SQLiteSession, tmp_path: Path) -> None:
    """Also when its block ends badly."""
    reader = open_reader(tmp_path / "a.db", QUERIES)
    with reader.snapshot():
        assert carried_out(reader.all("get")) == []
        carried_out(session.run("add", {"x": 1}))
        assert carried_out(reader.all("get")) == []
    assert len(carried_out(reader.all("get"))) == 1
    with pytest.raises(KeyError, match="no"), reader.snapshot():
        carried_out(reader.all("no"))
    carried_out(session.run("add", {"x": 2}))
    assert len(carried_out(reader.all("get"))) == 2
    reader.close()


def test_a_reader_writes_nothing(session: SQLiteSession, tmp_path: Path) -> None:
    """Not even by mistake."""
    reader = open_reader(tmp_path / "a.db", QUERIES)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        carried_out(reader.run("add", {"x": 1}))
    reader.close()
    assert carried_out(session.all("get")) == []


def test_an_old_library_is_refused() -> None:
    """With both versions in the message."""
    require_sqlite()
    require_sqlite((3, 37, 0))
    with pytest.raises(SettingsError, match=r"3\.37\.0 or newer is needed, this Python has 3\.34"):
        require_sqlite((3, 34, 1))


class FailingDisk:
    """A connection whose every statement meets an error of the disk."""

    def execute(self, *_: object) -> None:
        """Fail as SQLite does."""
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise error


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("inside", [False, True])
def test_a_read_that_the_disk_refuses_is_not_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, inside: bool
) -> None:
    """A19: one 500, then the end of the process with a traceback."""
    reader = open_reader(tmp_path / "a.db", QUERIES)
    whole, reader.connection = reader.connection, FailingDisk()  # type: ignore[assignment]
    moment = reader.snapshot() if inside else nullcontext()
    with pytest.raises(UnavailableError, match="cannot read"), moment:
        carried_out(reader.all("get"))
    assert "the records cannot be read: disk I/O error" in caplog.text
    reader.connection = whole
    assert carried_out(reader.all("get")) == []
    reader.close()


def test_what_was_deleted_is_not_in_the_file(session: SQLiteSession, tmp_path: Path) -> None:
    """Answers of synchronous calls and sealed keys are rows for a while."""
    execute = session.connection.execute
    execute("CREATE TABLE told (text TEXT)")
    execute(
        "INSERT INTO told VALUES ('a secret answer'), (:long)", {"long": "a secret page " * 999}
    )
    execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert b"secret" in (tmp_path / "a.db").read_bytes()
    execute("DELETE FROM told")
    execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert b"secret" not in (tmp_path / "a.db").read_bytes()
