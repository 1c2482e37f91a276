"""Two adjacent versions over one PostgreSQL: the older goes on while the newer has migrated."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import psycopg
import pytest

from gateway.batches.batch import Batch
from gateway.errors import SettingsError
from gateway.ports.store import Store
from gateway.store import postgres as postgres_module
from gateway.store.migrate import read_migrations, split_statements
from gateway.store.postgres import POOL, PostgresEngine, PostgresStore
from gateway.store.postgres_session import connect, spoken
from gateway.store.session import Session
from tests.conformance.records import OWNER, a_batch, a_file
from tests.conformance.store import StoreRules
from tests.store.previous import recorded
from tests.store.timed import TimedPostgres

# Forms of a statement that a program of the version before does not notice.
EXPANDS: Final = (
    r"CREATE TABLE \w+ \(",
    r"CREATE INDEX \w+ ON ",
    r"DROP INDEX ",
    r"UPDATE \w+ SET ",
    r"INSERT INTO \w+ ",
    r"ALTER TABLE \w+ ADD COLUMN (?!.* NOT NULL(?! DEFAULT))(?!.* UNIQUE)(?!.* PRIMARY KEY)",
)
# Migrations that take something away, each with the version since which nothing used it: that
# version must have been released before.
CONTRACTS: Final[dict[str, str]] = {}

# As the next version may change the schema: by the rules, as far as they let it.
NEXT: Final = """
ALTER TABLE {table} ADD COLUMN later TEXT;
ALTER TABLE {table} ADD COLUMN later_count BIGINT NOT NULL DEFAULT 7;
CREATE INDEX {table}_later ON {table} (later);
"""
TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
OTHERS: Final = {"migrations", "told"}


async def upgrade(database: str) -> None:
    """Migrate as a newer program would."""
    async with await connect(database, 10) as connection:
        rows = await (await connection.execute(TABLES.encode())).fetchall()
        for (table,) in rows:
            if table not in OTHERS:
                await connection.execute(NEXT.format(table=table).encode())
        await connection.execute(b"CREATE TABLE later (id TEXT PRIMARY KEY)")
        await connection.execute(b"INSERT INTO migrations VALUES ('9999_next.sql', 1)")


@pytest.mark.slow
class TestBesideTheNextVersion(StoreRules):
    """Everything that a store must do, over a schema that a newer version has migrated."""

    @pytest.fixture
    async def store(self, postgres: TimedPostgres, database: str) -> Store:
        """This version, running since before the upgrade."""
        await upgrade(database)
        return postgres


@pytest.mark.slow
async def test_a_running_program_goes_on_over_an_upgrade(
    postgres: TimedPostgres, database: str
) -> None:
    """Statements that were prepared for the old columns are prepared anew: nothing is refused."""
    await postgres.add_file(a_file())
    await postgres.add_batch(a_batch())
    for _ in range(20):  # on every connection of the pool, more often than psycopg needs to prepare
        assert all(await asyncio.gather(*(batch_one(postgres) for _ in range(2 * POOL))))
    await upgrade(database)
    for _ in range(20):
        assert await batch_one(postgres)
    assert await postgres.claim_batch("batch_one", 60_000)


async def batch_one(store: Store) -> Batch | None:
    """Read a row with all of its columns."""
    return await store.get_batch(OWNER, "batch_one")


async def due(session: Session) -> int:
    """Ask what is due: the statement takes jobs first, then batches."""
    return len(await session.all("due_kinds", {"now": 10**15}))


async def meets_a_migration(engine: PostgresEngine, kind: str, database: str) -> bool:
    """Meet one in a deadlock. The work is done; whether it was the one that had to give way."""
    waits = b"SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted"
    gave_way = False
    async with (
        asyncio.TaskGroup() as group,
        await connect(database, 10) as other,
        await connect(database, 10) as migration,
        migration.transaction(force_rollback=True),
    ):
        await migration.execute(b"ALTER TABLE batches ADD COLUMN later TEXT")
        asked = group.create_task(getattr(engine, kind)(due))
        while not await (await other.execute(waits)).fetchone():
            pass
        with suppress(psycopg.errors.DeadlockDetected):
            await migration.execute(b"ALTER TABLE jobs ADD COLUMN later TEXT")
            gave_way = True
    assert asked.result()
    return gave_way


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["read", "snapshot", "once", "write"])
async def test_a_deadlock_with_a_migration_is_waited_out(
    postgres: TimedPostgres, database: str, kind: str
) -> None:
    """A migration that has batches waits for jobs; who has jobs waits for batches: one must end.

    The database ends the one that has waited longer, and its error ended the whole process.
    """
    await postgres.add_file(a_file())
    await postgres.add_batch(a_batch())
    async with asyncio.timeout(60):
        while not await meets_a_migration(postgres.engine, kind, database):
            pass  # a machine that stopped for a second made the migration the one to be ended


@pytest.mark.slow
async def test_a_migration_gives_way_to_who_holds_its_tables(
    postgres: TimedPostgres,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While it waits, whatever comes later would wait behind it: it comes again, and is done."""
    await postgres.add_file(a_file())
    await postgres.add_batch(a_batch())
    monkeypatch.setattr(postgres_module, "read_migrations", next_migrations)
    monkeypatch.setattr(postgres_module, "MIGRATION_PAUSE", 0.05)
    newer = PostgresStore(database)
    async with (
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
        await connect(database, 10) as dump,
        dump.transaction(),
    ):
        await dump.execute(b"LOCK TABLE jobs IN ACCESS SHARE MODE")
        group.create_task(newer.open(0))
        while "not brought up to date yet (9999_next.sql)" not in caplog.text:
            assert await batch_one(postgres)
    await newer.close()
    assert await batch_one(postgres)


@pytest.mark.slow
async def test_tables_that_are_held_for_ever_are_named(
    postgres: TimedPostgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is given up with what to do."""
    monkeypatch.setattr(postgres_module, "read_migrations", next_migrations)
    monkeypatch.setattr(postgres_module, "MIGRATION_SECONDS", 0.0)
    async with await connect(database, 10) as dump, dump.transaction():
        await dump.execute(b"LOCK TABLE jobs IN ACCESS SHARE MODE")
        with pytest.raises(SettingsError, match="other sessions hold its tables: end what runs"):
            await PostgresStore(database).open(0)
    assert not await postgres.owners()


def next_migrations() -> Sequence[tuple[str, str]]:
    """Return this version's, and one that is new."""
    text = "".join(NEXT.format(table=table) for table in ("batches", "jobs"))
    return [*read_migrations(), ("9999_next.sql", text)]


@pytest.mark.slow
async def test_statements_of_the_version_before_are_understood(database: str) -> None:
    """By this version's schema: a replica of the version before may run beside this one."""
    _, statements = recorded()
    nothing: defaultdict[str, None] = defaultdict(lambda: None)
    async with await connect(database, 10) as connection:
        for name, statement in statements.items():
            try:
                await connection.execute(b"EXPLAIN " + spoken(statement), nothing)
            except psycopg.Error as error:
                raise AssertionError(f"{name}: {error}") from error


@pytest.mark.slow
async def test_rows_of_the_version_before_may_be_inserted(database: str) -> None:
    """No column that it does not know must be given."""
    needed = (
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema ="
        " 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'"
    )
    async with await connect(database, 10) as connection:
        rows = await (await connection.execute(needed.encode())).fetchall()
    columns = defaultdict(set)
    for table, column in rows:
        columns[table].add(column)
    for name, statement in recorded()[1].items():
        if found := re.match(r"INSERT INTO (\w+) \(([^)]+)\)", _bare(statement)):
            given = {column.strip().strip('"') for column in found[2].split(",")}
            assert columns[found[1]] <= given, name


def test_the_version_before_is_an_earlier_one() -> None:
    """Recorded anew with each release; what it knows is a beginning of what is known now."""
    schema, statements = recorded()
    names = [name for name, _ in read_migrations()]
    assert schema in names
    assert statements


def _bare(statement: str) -> str:
    """Without comments, on one line."""
    return " ".join(re.sub(r"--.*", "", statement).split())


def _refused(name: str, text: str) -> list[str]:
    """What a migration does that a running older program would notice."""
    made = set(re.findall(r"CREATE TABLE (\w+)", text))
    added = set(re.findall(r"ADD COLUMN (\w+) \w+;", text))  # null in each row of an older program
    found = []
    for statement in map(_bare, split_statements(text)):
        unique = re.match(
            r"CREATE UNIQUE INDEX \w+ ON (\w+) \([^)]+\)(?: WHERE (\w+) IS NOT NULL;)?", statement
        )
        if unique and (unique[1] in made or unique[2] in added):
            continue
        if not any(re.match(form, statement) for form in EXPANDS):
            found.append(f"{name}: {statement[:80]}")
    return found


def test_migrations_expand() -> None:
    """Nothing is taken away, renamed or made stricter while the version before may still use it.

    One that must (``CONTRACTS``) comes a version after the last that used what it removes.
    """
    found = [
        line
        for name, text in read_migrations()
        if name not in CONTRACTS
        for line in _refused(name, text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE jobs DROP COLUMN notes;",
        "ALTER TABLE jobs RENAME COLUMN notes TO remarks;",
        "ALTER TABLE jobs RENAME TO work;",
        "ALTER TABLE jobs ADD COLUMN strict INTEGER NOT NULL;",
        "ALTER TABLE jobs ADD COLUMN other TEXT UNIQUE;",
        "CREATE UNIQUE INDEX jobs_once ON jobs (spool);",
        "DROP TABLE responses;",
        "DELETE FROM quotas;",
    ],
)
def test_what_an_older_program_would_notice_is_refused(statement: str) -> None:
    """Each is a mistake that a rolling upgrade would meet."""
    assert _refused("9999_next.sql", statement)
