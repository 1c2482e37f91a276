"""PostgreSQL as a store: the rules of every store, and what is special."""

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus, Counts
from gateway.batches.job import JobState
from gateway.batches.quota import QuotaRules
from gateway.clock import SystemClock
from gateway.errors import InDoubtError, SettingsError, UnavailableError
from gateway.ports.store import Store
from gateway.store import files
from gateway.store.leases import now
from gateway.store.opening import choose_store
from gateway.store.postgres import POOL, PostgresEngine, PostgresStore
from gateway.store.postgres_session import connect, spoken
from gateway.store.queries import load_queries
from gateway.store.session import Session
from tests.conformance.admission import race, waiting_jobs
from tests.conformance.moments import take_job
from tests.conformance.records import OWNER, a_batch, a_file, a_job, claim_job, claimed_batch
from tests.conformance.store import StoreRules
from tests.postgres_server import PostgresServer
from tests.store.timed import TimedPostgres

HELD = b"""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""

pytestmark = pytest.mark.slow  # a server is started, and a database made for each


class TestPostgres(StoreRules):
    """The rules of every store."""

    @pytest.fixture
    def store(self, postgres: PostgresStore) -> Store:
        """The store under test."""
        return postgres


async def test_every_statement_is_understood_whatever_its_values_are(database: str) -> None:
    """Also where all of them are NULL, and tell the server nothing of their types."""
    nothing: defaultdict[str, None] = defaultdict(lambda: None)
    async with await connect(database, 10) as connection:
        for statement in load_queries("postgres").values():
            await connection.execute(b"EXPLAIN " + spoken(statement), nothing)


async def waits_for_a_lock(database: str) -> bool:
    """Whether a transaction waits for another's end."""
    async with await connect(database, 10) as connection:
        waiting = b"SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        return await (await connection.execute(waiting)).fetchone() is not None


async def forwards(store: Store, after: str | None) -> list[str]:
    """Ids of files, oldest first."""
    page = await store.list_files(OWNER, 1, limit=9, after=after, ascending=True)
    assert page is not None
    return [file.id for file in page.data]


class TestTogether:
    """Several processes over one database: several stores, each with connections of its own."""

    async def test_a_newer_schema_is_refused(self, database: str, server: PostgresServer) -> None:
        name = database.rpartition("/")[2]
        server.run("INSERT INTO migrations VALUES ('9999_ahead.sql', 1)", name)
        with pytest.raises(SettingsError, match="9999_ahead"):
            await PostgresStore(database).open(0)

    async def test_any_of_several_may_start_first(self, server: PostgresServer) -> None:
        """They migrate one after the other: the second finds it done."""
        server.run("CREATE DATABASE first_start")
        stores = [PostgresStore(server.url("first_start")) for _ in range(4)]
        await asyncio.gather(*(store.open(0) for store in stores))
        ids = {await store.gateway_id() for store in stores}
        for store in stores:
            await store.close()
        assert len(ids) == 1

    async def test_work_is_claimed_once(self, postgres: TimedPostgres, database: str) -> None:
        other = PostgresStore(database)
        await other.open(0)
        batch = await claimed_batch(postgres)
        jobs = [a_job(f"{number}", number=number) for number in range(12)]
        await postgres.save_batch(batch, jobs=jobs)
        claims = [take_job(store, job.id, 1_000) for job in jobs for store in (postgres, other)]
        won = [job.id for job in await asyncio.gather(*claims) if job is not None]
        assert sorted(won) == sorted(job.id for job in jobs)
        await other.close()

    async def test_replicas_that_race_exceed_no_limit(
        self, postgres: TimedPostgres, database: str
    ) -> None:
        """Four that decide by the same rows: as many jobs are claimed as one would claim."""
        others = [PostgresStore(database) for _ in range(3)]
        for other in others:
            await other.open(0)
        await waiting_jobs(postgres, 12)
        got = await race([postgres, *others], QuotaRules(max_live_jobs=5))
        assert sum(map(len, got)) == 5
        for other in others:
            await other.close()

    async def test_a_list_read_forwards_passes_over_nothing(
        self, postgres: TimedPostgres, database: str
    ) -> None:
        """Of two files that are inserted at once the one with the lower number is seen first."""
        other = PostgresStore(database)
        await other.open(0)
        inserted, gate = asyncio.Event(), asyncio.Event()

        async def insert_slowly(session: Session) -> None:
            await files.add(session, a_file("slow"))
            inserted.set()
            await gate.wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(other.engine.write(insert_slowly))
            await inserted.wait()
            quick = group.create_task(postgres.add_file(a_file("quick")))
            for _ in range(6_000):
                if quick.done() or await waits_for_a_lock(database):
                    break
                await asyncio.sleep(0.01)
            seen = await forwards(postgres, None)
            gate.set()
        seen += await forwards(postgres, seen[-1] if seen else None)
        assert sorted(seen) == ["file-quick", "file-slow"]
        await other.close()

    async def test_what_a_batch_gains_adds_up(self, postgres: TimedPostgres, database: str) -> None:
        """Saves of its jobs meet in its row, from two processes: none is lost or counted twice."""
        other = PostgresStore(database)
        await other.open(0)
        batch = await claimed_batch(postgres)
        jobs = [a_job(f"{number}", number=number) for number in range(10)]
        running = replace(batch, status=BatchStatus.IN_PROGRESS, counts=Counts(total=10))
        await postgres.save_batch(running, jobs=jobs)
        held = [await claim_job(postgres, job.id) for job in jobs]
        saves = (
            (postgres, other)[number % 2].save_job(
                replace(job, state=JobState.COLLECTED), counts=Counts(0, 1, 0)
            )
            for number, job in enumerate(held)
        )
        assert all(await asyncio.gather(*saves))
        stored = await postgres.load_batch(batch.id)
        assert stored is not None
        assert stored.counts == Counts(10, 10, 0)
        await other.close()

    async def test_a_key_that_two_use_at_once_makes_one_batch(
        self, postgres: TimedPostgres, database: str
    ) -> None:
        other = PostgresStore(database)
        await other.open(0)
        await postgres.add_file(a_file())
        made = await asyncio.gather(
            *(
                store.add_batch(a_batch(f"{number}", idempotency_key="same"))
                for number in range(4)
                for store in (postgres, other)
                if number % 2 == (store is other)
            )
        )
        assert len({batch.id for batch in made if batch is not None}) == 1
        await other.close()

    async def test_others_are_rung_for(self, postgres: TimedPostgres, database: str) -> None:
        """A batch that one accepts wakes the runners of all."""
        other = PostgresStore(database)
        await other.open(0)
        heard = asyncio.Event()
        listening = asyncio.ensure_future(other.listen(heard.set))
        async with asyncio.timeout(60):
            await heard.wait()  # that it listens
            heard.clear()
            await postgres.add_file(a_file())
            await postgres.add_batch(a_batch())
            await heard.wait()
        listening.cancel()
        await other.close()

    async def test_a_process_holds_few_connections(self, database: str) -> None:
        """However much it is asked at once: what deploy/README.md sizes PostgreSQL by."""
        store = PostgresStore(database)
        await store.open(0)
        heard = asyncio.Event()
        listening = asyncio.ensure_future(store.listen(heard.set))
        async with asyncio.timeout(60):
            await heard.wait()
        await asyncio.gather(*(store.get_batch(OWNER, "batch_one") for _ in range(100)))
        async with await connect(database, 10) as connection:
            rows = await connection.execute(HELD)
            [(held,)] = await rows.fetchall()
        listening.cancel()
        await store.close()
        assert 1 < held <= POOL + 1


class TestLost:
    """Connections that break, and a database that is restarted."""

    async def test_connections_are_made_again(
        self, postgres: TimedPostgres, server: PostgresServer
    ) -> None:
        """A call fails at most, with words and a time; nothing needs a restart."""
        await postgres.add_file(a_file())
        server.drop_connections()
        told = 5
        async with asyncio.timeout(60):
            while True:
                try:
                    found = await postgres.get_file(OWNER, "file-one", 1_000)
                    break
                except UnavailableError as error:
                    told = error.retry_after
        assert found is not None
        assert told > 0

    async def test_a_commit_that_is_cut_off_is_in_doubt(
        self, postgres: TimedPostgres, server: PostgresServer
    ) -> None:
        """It may have been done: whoever asked must not do it again by itself."""
        batch = await claimed_batch(postgres)

        engine = postgres.engine

        async def write(session: Session) -> None:
            await session.run("ring_done", {"id": batch.id})
            session.lost = InDoubtError  # type: ignore[attr-defined]  # as before a COMMIT
            server.drop_connections()
            await session.run("ring_done", {"id": batch.id})

        with pytest.raises(InDoubtError):
            await engine.write(write)

    @pytest.mark.parametrize("state", ["XX000", "25P03", "25P04", "25006"])
    async def test_what_passes_is_told_as_such(self, postgres: TimedPostgres, state: str) -> None:
        """Of an index that a migration dropped, a time limit of the server's, a replica of it."""
        text = f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$".encode()

        async def fail(session: Session) -> None:
            await session.connection.execute(text)  # type: ignore[attr-defined]

        with pytest.raises(UnavailableError, match="cannot reach its records now"):
            await postgres.engine.read(fail)

    async def test_a_pool_that_is_exhausted_says_so(self, database: str) -> None:
        engine = PostgresEngine(database, pool=1, patience=0.2)
        await engine.open(0)
        gate = asyncio.Event()

        async def hold(_: Session) -> None:
            await gate.wait()

        holding = asyncio.ensure_future(engine.read(hold))
        await asyncio.sleep(0)
        with pytest.raises(UnavailableError, match="No connection"):
            await engine.read(now)
        gate.set()
        with contextlib.suppress(UnavailableError):
            await holding
        await engine.close()


def test_replicas_share_the_bytes_of_files_too(tmp_path: Path) -> None:
    """Else no start: each would look for files in its own directory."""
    clock = SystemClock()
    with pytest.raises(SettingsError, match="set GATEWAY_BLOBS"):
        choose_store("postgresql://x@h/d", tmp_path, clock, bucket=False)
    (tmp_path / "gateway.sqlite3").write_bytes(b"x")
    with pytest.raises(SettingsError, match="holds records of an earlier gateway"):
        choose_store("postgresql://x@h/d", tmp_path, clock, bucket=True)


async def test_a_password_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that libpq reads, named by ``PGPASSFILE``: then the URL holds no secret."""
    server = PostgresServer()
    try:
        server.run("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'open sesame'")
        server.stop()
        rules = server.directory / "data" / "pg_hba.conf"
        rules.write_text(f"host all guarded all scram-sha-256\n{rules.read_text()}")
        server.start()
        url = server.url().replace("gateway@", "guarded@")
        monkeypatch.setattr("gateway.store.postgres.START_SECONDS", 2.0)
        with pytest.raises(SettingsError, match="GATEWAY_STORE"):
            await PostgresStore(url).open(0)
        passwords = tmp_path / "pgpass"
        passwords.write_text("127.0.0.1:*:*:guarded:open sesame\n")
        passwords.chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(passwords))
        store = PostgresStore(url)
        await store.open(0)
        assert await store.gateway_id()
        await store.close()
    finally:
        server.close()


async def test_the_newest_server_understands_it_all(tmp_path: Path) -> None:
    """The suite runs on PostgreSQL 16: this is 18, with a whole life of a batch."""
    newest = PostgresServer(18)
    store = PostgresStore(newest.url(), directory=tmp_path)
    try:
        await store.open(0)
        await store.add_file(a_file())
        added = await store.add_batch(a_batch())
        assert added is not None
        batch = await store.claim_batch(added.id, 60_000)
        assert batch is not None
        await store.save_batch(replace(batch, status=BatchStatus.IN_PROGRESS), jobs=[a_job()])
        job = await take_job(store, "one", 60_000)
        assert job is not None
        assert await store.save_job(replace(job, state=JobState.COLLECTED))
        nothing: defaultdict[str, None] = defaultdict(lambda: None)
        async with await connect(newest.url(), 10) as connection:
            for statement in load_queries("postgres").values():
                await connection.execute(b"EXPLAIN " + spoken(statement), nothing)
        await store.close()
    finally:
        newest.close()
