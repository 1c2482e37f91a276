"""SQLite as a store: the rules of every store, and what is special."""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.batches.job import JobState
from gateway.errors import DamagedStoreError, SettingsError
from gateway.ports.store import BlobChange, Store
from gateway.store.queries import load_queries
from gateway.store.sqlite import SQLiteStore
from tests.conformance.moments import claim_batch_at, claim_job_at, claim_staged_at
from tests.conformance.records import (
    OWNER,
    a_batch,
    a_file,
    a_job,
    add_file_with_blob,
    claim_job,
    claimed_batch,
    make_live,
)
from tests.conformance.staging import named_by_jobs, staged
from tests.conformance.store import StoreRules
from tests.every import in_one_item
from tests.store.timed import TimedSQLite

Reopen = Callable[[int], Awaitable[SQLiteStore]]


class TestSQLite(StoreRules):
    """The rules of every store."""

    @pytest.fixture
    def store(self, sqlite: SQLiteStore) -> Store:
        """The store under test."""
        return sqlite


@pytest.fixture
def reopen(sqlite: SQLiteStore) -> Reopen:
    """Close the store and open it again, as the next process would."""

    async def close_and_open(now: int) -> SQLiteStore:
        await sqlite.close()
        await sqlite.open(now)
        return sqlite

    return close_and_open


class TestOpen:
    """What the next process finds."""

    async def test_records_are_still_there(self, sqlite: SQLiteStore, reopen: Reopen) -> None:
        gateway_id = await sqlite.gateway_id()
        file = await add_file_with_blob(sqlite)
        batch = await sqlite.add_batch(a_batch())
        again = await reopen(5_000)
        assert await again.get_file(OWNER, "file-one", 5_000) == file
        assert await again.get_batch(OWNER, "batch_one") == batch
        assert await again.gateway_id() == gateway_id

    async def test_leases_of_the_dead_are_cleared(
        self, sqlite: SQLiteStore, reopen: Reopen
    ) -> None:
        batch = await claimed_batch(sqlite)
        await sqlite.save_batch(replace(batch, lease_until=10**9), jobs=[a_job()], keep=True)
        await claim_job_at(sqlite, "one", 1_000, 10**9)
        again = await reopen(2_000)
        claimed = await claim_batch_at(again, "batch_one", 2_000, 3_000)
        job = await claim_job_at(again, "one", 2_000, 3_000)
        assert (claimed and claimed.fence, job and job.fence) == (2, 2)

    async def test_a_dead_process_uploads_nothing_any_more(
        self, sqlite: SQLiteStore, reopen: Reopen
    ) -> None:
        await named_by_jobs(sqlite, "a")
        [copy] = await staged(sqlite, "a")
        await claim_staged_at(sqlite, copy.id, 1_000, 10**9)
        again = await reopen(2_000)
        assert [one.id for one in await again.due_staged(2_000, 10)] == [copy.id]

    async def test_deadlines_ahead_of_sends_are_cut(
        self, sqlite: SQLiteStore, reopen: Reopen
    ) -> None:
        """Nobody is sending any more, so reconciling may begin at once."""
        batch = await claimed_batch(sqlite)
        states = {
            "ahead": (JobState.SUBMITTING, 9_000),
            "past": (JobState.SUBMITTING, 1_500),
            "running": (JobState.RUNNING, 9_000),
        }
        jobs = [a_job(name, number=number) for number, name in enumerate(states)]
        await sqlite.save_batch(batch, jobs=jobs)
        for name, (state, deadline) in states.items():
            job = await claim_job(sqlite, name)
            await sqlite.save_job(replace(job, state=state, send_deadline=deadline, due_at=80_000))
        work = await (await reopen(2_000)).load_work("batch_one")
        assert work is not None
        found = {job.id: (job.send_deadline, job.due_at) for job in work.jobs}
        assert found == {
            "ahead": (2_000, 2_000),
            "past": (1_500, 80_000),
            "running": (9_000, 80_000),
        }

    async def test_blobs_being_written_are_deletable(
        self, sqlite: SQLiteStore, reopen: Reopen
    ) -> None:
        await make_live(sqlite, "used")
        await sqlite.register_blob("half", 1_900)
        assert await (await reopen(2_000)).sweepable_blobs(1, 10) == ["half"]

    async def test_only_the_owner_may_look(self, tmp_path: Path) -> None:
        previous = os.umask(0)
        try:
            store = SQLiteStore(tmp_path / "data" / "gateway.db")
            await store.open(0)
            await store.add_file(a_file())
        finally:
            os.umask(previous)
        modes = {p.name: p.stat().st_mode & 0o777 for p in (tmp_path / "data").iterdir()}
        await store.close()
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        assert modes == dict.fromkeys(
            ["gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.lock"], 0o600
        )

    @pytest.mark.parametrize("content", [b"no database at all, but long enough\n" * 200])
    async def test_what_is_no_database_is_refused(self, tmp_path: Path, content: bytes) -> None:
        """Refused, left as it is, and not left locked."""
        (tmp_path / "gateway.db").write_bytes(content)
        for _ in range(2):
            with pytest.raises(SettingsError, match="cannot be used as a database"):
                await SQLiteStore(tmp_path / "gateway.db").open(0)
        assert (tmp_path / "gateway.db").read_bytes() == content

    async def test_a_directory_that_cannot_be_made_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(SettingsError, match="cannot be used"):
            await SQLiteStore(tmp_path / "file" / "gateway.db").open(0)

    async def test_a_symbolic_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "gateway.db").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SettingsError, match="cannot be used"):
            await SQLiteStore(tmp_path / "gateway.db").open(0)

    async def test_a_closed_store_leaves_one_file_of_data(self, path: Path) -> None:
        """So a copy of that file is a backup."""
        store = SQLiteStore(path)
        await store.open(0)
        await add_file_with_blob(store)
        await store.close()
        assert sorted(p.name for p in path.parent.iterdir()) == ["gateway.db", "gateway.lock"]


async def test_saves_make_blobs_deletable_at_the_stores_own_time(path: Path) -> None:
    """The only time that no caller passes."""
    store = TimedSQLite(path)
    await store.open(0)
    await make_live(store, "used")
    batch = await claimed_batch(store)
    await store.at(7_000)
    await store.save_batch(batch, blobs=BlobChange(deletable=["used"]))
    assert await store.sweepable_blobs(7_000, 10) == []
    assert await store.sweepable_blobs(7_001, 10) == ["used"]
    await store.close()


class TestStatements:
    """The database as it is set up, and how it finds rows."""

    async def test_commits_wait_for_the_disk(self, sqlite: SQLiteStore) -> None:
        def ask(pragma: str) -> Awaitable[object]:
            return sqlite.engine.writer.run(
                lambda session: session.connection.execute(f"PRAGMA {pragma}").fetchone()[0]
            )

        assert await ask("journal_mode") == "wal"
        assert await ask("synchronous") == 2  # FULL
        assert await ask("foreign_keys") == 1

    async def test_the_reading_connection_cannot_write(self, sqlite: SQLiteStore) -> None:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await sqlite.engine.reader.run("recover_blobs")

    @in_one_item
    @pytest.mark.parametrize("name", sorted(load_queries("sqlite")))
    async def test_no_statement_scans_a_table(self, sqlite: SQLiteStore, name: str) -> None:
        """Rows stay as tombstones for ever: what is not found by an index gets slow."""
        statement = load_queries("sqlite")[name]
        values: defaultdict[str, None] = defaultdict(lambda: None)
        plan = sqlite.engine.reader.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
        steps = [row[3] for row in plan]
        names = ("files", "batches", "jobs", "blobs", "job_files", "staged_files")
        tables = tuple(f"SCAN {name}" for name in names)
        scans = [step for step in steps if step.startswith(tables)]
        whole = {"SCAN blobs USING INDEX blobs_pending"}  # it takes all of them
        # What is at the upstream is bounded by GATEWAY_MAX_LIVE_JOBS.
        whole.add("SCAN batches USING INDEX batches_reading")  # those that live, for a scrape
        whole.add("SCAN jobs USING COVERING INDEX jobs_in_flight")
        assert set(scans) <= whole


async def test_a_damaged_database_is_refused_at_the_start(tmp_path: Path) -> None:
    """It was served, with 500s and batches that waited for ever."""
    path = tmp_path / "gateway.sqlite3"
    store = SQLiteStore(path)
    await store.open(0)
    await store.close()
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"damaged|malformed"):
        await SQLiteStore(path).open(0)


async def test_damage_that_shows_while_it_runs_ends_the_process(tmp_path: Path) -> None:
    """Not endless waits, nor 500s beside a readyz of 200."""
    path = tmp_path / "gateway.sqlite3"
    store = SQLiteStore(path)
    await store.open(0)
    await store.register_blob("a", 0)
    writer = store.engine.writer._session.connection
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    writer.execute("PRAGMA shrink_memory").fetchall()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(DamagedStoreError, match="restore a copy"):
        await store.known_blobs(["a"])
    with pytest.raises(DamagedStoreError, match="restore a copy"):
        await store.expire_files(0, 1)
    await store.close()
