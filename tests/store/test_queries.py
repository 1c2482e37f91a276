"""Statements by name."""

import functools
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gateway.batches.batch import LIVE_STATUSES
from gateway.store.queries import collect_queries, load_queries, parse_queries
from tests.databases import migrated
from tests.every import in_one_item

SOURCES = Path(__file__).parents[2] / "gateway" / "store"


def test_a_file_is_split_at_its_headers() -> None:
    """Comments below a header belong to the statement."""
    text = "-- name: a\nSELECT 1;\n\n-- name: b\n-- why\nSELECT\n  2;\n"
    assert dict(parse_queries(text)) == {"a": "SELECT 1;", "b": "-- why\nSELECT\n  2;"}


def test_a_file_without_headers_has_nothing() -> None:
    """What stands before the first belongs to nobody."""
    assert dict(parse_queries("SELECT 1;")) == {}


def test_a_name_stands_once() -> None:
    """Also across files."""
    with pytest.raises(ValueError, match="query a is defined twice"):
        collect_queries(["-- name: a\nSELECT 1;", "-- name: a\nSELECT 2;"])


def test_both_engines_have_the_same_statements() -> None:
    """What one says in its own way the other does too, and neither repeats what is common."""
    ours, theirs = load_queries("sqlite"), load_queries("postgres")
    assert set(ours) == set(theirs)
    own = {name for name in ours if ours[name] != theirs[name]}
    folder = SOURCES / "sql" / "sqlite"
    assert own == {name for path in folder.iterdir() for name, _ in parse_queries(path.read_text())}


def test_live_statuses_are_written_out() -> None:
    """As literals: with parameters SQLite could not use its partial indexes."""
    (parsed,) = parse_queries("-- name: a\nSELECT 1 WHERE status IN ($live);")
    listed = re.fullmatch(r"SELECT 1 WHERE status IN \((.+)\);", parsed[1])

    assert listed
    assert set(listed[1].split(", ")) == {f"'{status.value}'" for status in LIVE_STATUSES}


def test_live_statuses_are_named_once() -> None:
    """A status that were added to them would be missing wherever they are spelled out."""
    spelled = re.compile(r"(?=.*'validating')(?=.*'in_progress')(?=.*'finalizing')")
    folder = SOURCES / "sql"

    assert [path.name for path in folder.rglob("*.sql") if spelled.search(path.read_text())] == []


@in_one_item
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
@pytest.mark.parametrize("name", sorted(load_queries("sqlite")))
def test_every_statement_is_one_and_is_used(name: str, engine: str) -> None:
    """No dead SQL."""
    assert load_queries(engine)[name].count(";") == 1
    sources = _sources()
    stems = (name, name.removesuffix("_newest_first"), name.removesuffix("_oldest_first"))
    assert any(f'"{stem}"' in sources for stem in stems)


@functools.cache
def _sources() -> str:
    return "".join(path.read_text() for path in SOURCES.glob("*.py"))


class Plans:
    """A database that counts what SQLite asks while it plans a statement."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.asked = 0
        self._connection = connection
        connection.create_function("gateway_now", 0, lambda: 0)
        connection.set_authorizer(self._allow)

    def _allow(self, *_: object) -> int:
        self.asked += 1
        return sqlite3.SQLITE_OK

    def questions(self, statement: str, value: str) -> int:
        """How much is asked when it is carried out with this value of each parameter."""
        values = dict.fromkeys(re.findall(r":([a-z]\w*)", statement), value)
        self._connection.execute("BEGIN")
        self.asked = 0
        with suppress(sqlite3.Error):  # a text is no time: planned it was all the same
            self._connection.execute(statement, values).fetchall()
        asked, _ = self.asked, self._connection.execute("ROLLBACK")
        return asked


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    """Over the newest tables, without a row."""
    path = migrated(tmp_path_factory.mktemp("plans") / "gateway.sqlite3")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield Plans(connection)


def test_a_value_that_decides_a_plan_is_noticed(plans: Plans) -> None:
    """As the looks for due jobs did: nine tenths of such a look that found nothing."""
    looked_at = "SELECT 1 FROM jobs WHERE state = :state AND due_at IS NOT NULL LIMIT 1;"
    assert plans.questions(looked_at, "running")
    assert plans.questions(looked_at, "lost")


@in_one_item
@pytest.mark.parametrize("name", sorted(load_queries("sqlite")))
def test_no_statement_is_planned_for_its_values(plans: Plans, name: str) -> None:
    """Once is enough, whatever is looked for."""
    statement = load_queries("sqlite")[name]
    assert plans.questions(statement, "running")
    # To begin and to undo a transaction is asked for too, once carried out.
    assert plans.questions(statement, "lost") == 0
