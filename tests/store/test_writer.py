"""The writing thread: groups, isolation, cancellation, refusals."""

import asyncio
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import UnavailableError
from gateway.store.columns import batch_values
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_session import SQLiteSession, carried_out, open_writer
from gateway.store.writer import Writer
from tests.conformance.records import OWNER, a_batch, a_file

# Columns of a blob that is not there yet.
UNSEALED = {"bytes": None, "sha256": None}


class Gate:
    """A write that holds the thread until it is let go."""

    def __init__(self, store: SQLiteStore) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()
        self._task = asyncio.ensure_future(store.engine.writer.run(self._hold))

    def _hold(self, _: SQLiteSession) -> None:
        self.entered.set()
        self._open.wait()

    async def let_go(self) -> None:
        """The thread goes on."""
        self._open.set()
        await self._task


@pytest.fixture
async def gate(sqlite: SQLiteStore) -> Gate:
    """The thread is busy; what is asked for now waits in the queue."""
    held = Gate(sqlite)
    await asyncio.to_thread(held.entered.wait)
    return held


async def queued(*calls: object) -> list[asyncio.Future[object]]:
    """Begin calls, until each waits for the thread."""
    tasks = [asyncio.ensure_future(call) for call in calls]  # type: ignore[call-overload]
    await asyncio.sleep(0)
    return tasks


class TestGroups:
    """Commits are shared."""

    async def test_writes_that_wait_share_one_commit(self, sqlite: SQLiteStore, gate: Gate) -> None:
        before = sqlite.engine.writer.commits
        tasks = await queued(*(sqlite.register_blob(f"b{n}", 1) for n in range(200)))
        await gate.let_go()
        await asyncio.gather(*tasks)
        assert sqlite.engine.writer.commits - before == 2  # the gate's own, and one for all
        assert len(await sqlite.known_blobs([f"b{n}" for n in range(200)])) == 200

    async def test_a_group_has_a_limit(self, sqlite: SQLiteStore, gate: Gate) -> None:
        before = sqlite.engine.writer.commits
        tasks = await queued(*(sqlite.register_blob(f"b{n}", 1) for n in range(600)))
        await gate.let_go()
        await asyncio.gather(*tasks)
        assert sqlite.engine.writer.commits - before == 4

    async def test_many_at_once_need_few_commits(self, sqlite: SQLiteStore) -> None:
        before = sqlite.engine.writer.commits
        await asyncio.gather(*(sqlite.register_blob(f"b{n}", 1) for n in range(1_000)))
        assert sqlite.engine.writer.commits - before < 100

    async def test_writes_go_in_the_order_they_were_asked_for(
        self, sqlite: SQLiteStore, gate: Gate
    ) -> None:
        tasks = await queued(*(sqlite.add_file(a_file(f"{n}")) for n in range(50)))
        await gate.let_go()
        files = await asyncio.gather(*tasks)
        assert [file.seq for file in files] == sorted(file.seq for file in files)  # type: ignore[attr-defined]
        page = await sqlite.list_files(OWNER, 1_000, limit=50, ascending=True)
        assert page is not None
        assert [file.id for file in page.data] == [f"file-{n}" for n in range(50)]

    async def test_an_answer_comes_after_the_commit(self, sqlite: SQLiteStore, gate: Gate) -> None:
        """What another connection cannot see yet has not been answered either."""
        (task,) = await queued(sqlite.register_blob("one", 1))
        assert not task.done()
        assert await sqlite.known_blobs(["one"]) == set()
        await gate.let_go()
        await task
        assert await sqlite.known_blobs(["one"]) == {"one"}


class TestIsolation:
    """One failing write does not spoil the others."""

    async def test_failures_are_their_own(self, sqlite: SQLiteStore, gate: Gate) -> None:
        def half(session: SQLiteSession) -> None:
            carried_out(session.run("register_blob", {**UNSEALED, "name": "half", "now": 1}))
            raise LookupError("after half of its work")

        before = sqlite.engine.writer.commits
        tasks = await queued(
            sqlite.register_blob("first", 1),
            sqlite.register_blob("first", 1),
            sqlite.engine.writer.run(half),
            sqlite.add_file(a_file(filename="\ud800")),
            sqlite.register_blob("last", 1),
        )
        await gate.let_go()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            type(None),
            sqlite3.IntegrityError,
            LookupError,
            UnicodeEncodeError,
            type(None),
        ]
        assert await sqlite.known_blobs(["first", "half", "last"]) == {"first", "last"}
        assert sqlite.engine.writer.commits - before == 2

    async def test_a_transaction_lost_in_the_middle_fails_the_whole_group(
        self, sqlite: SQLiteStore, gate: Gate
    ) -> None:
        """SQLite may give up the transaction itself; then none of it is done, and all say so."""

        def lose(session: SQLiteSession) -> None:
            session.connection.execute("ROLLBACK")
            session.connection.execute("no statement")

        tasks = await queued(
            sqlite.register_blob("before", 1),
            sqlite.engine.writer.run(lose),
            sqlite.register_blob("after", 1),
        )
        await gate.let_go()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [sqlite3.OperationalError] * 3
        assert await sqlite.known_blobs(["before", "after"]) == set()
        await sqlite.register_blob("before", 1)

    async def test_a_commit_that_fails_fails_the_whole_group(
        self, sqlite: SQLiteStore, gate: Gate
    ) -> None:
        """Here by a broken reference that is only looked at in the end."""

        def defer(session: SQLiteSession) -> None:
            session.connection.execute("PRAGMA defer_foreign_keys = ON")

        orphan = a_batch(input_file_id="file-never")
        tasks = await queued(
            sqlite.engine.writer.run(defer),
            sqlite.engine.writer.run(
                lambda session: carried_out(session.run("insert_batch", batch_values(orphan)))
            ),
            sqlite.register_blob("beside", 1),
        )
        await gate.let_go()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 3
        assert await sqlite.known_blobs(["beside"]) == set()
        await sqlite.register_blob("beside", 1)


class TestCancellation:
    """Who no longer waits changes nothing."""

    async def test_a_cancelled_write_is_carried_out(self, sqlite: SQLiteStore, gate: Gate) -> None:
        cancelled, failing, kept = await queued(
            sqlite.register_blob("cancelled", 1),
            sqlite.register_blob("cancelled", 1),
            sqlite.register_blob("kept", 1),
        )
        cancelled.cancel()
        failing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        await gate.let_go()
        await kept
        assert await sqlite.known_blobs(["kept", "cancelled"]) == {"kept", "cancelled"}
        with pytest.raises(asyncio.CancelledError):
            await failing


class TestEventLoop:
    """The loop never waits for a write."""

    async def test_reads_answer_while_a_write_is_running(
        self, sqlite: SQLiteStore, gate: Gate
    ) -> None:
        assert await sqlite.get_file(OWNER, "file-one", 1) is None
        assert await sqlite.due_batches(1, 10) == []
        await gate.let_go()

    def test_a_loop_that_ends_first_does_not_hurt_the_thread(self, path: Path) -> None:
        entered, may_end = threading.Event(), threading.Event()

        def hold(session: SQLiteSession) -> None:
            entered.set()
            may_end.wait()
            carried_out(session.run("register_blob", {**UNSEALED, "name": "late", "now": 1}))

        async def leave() -> SQLiteStore:
            store = SQLiteStore(path)
            await store.open(0)
            await queued(store.engine.writer.run(hold))
            await asyncio.to_thread(entered.wait)
            return store

        store = asyncio.run(leave())
        may_end.set()
        asyncio.run(store.close())

        async def look() -> set[str]:
            again = SQLiteStore(path)
            await again.open(0)
            known = await again.known_blobs(["late"])
            await again.close()
            return known

        assert asyncio.run(look()) == {"late"}


class TestClose:
    """An end in order."""

    async def test_what_was_asked_for_is_finished(self, path: Path) -> None:
        store = SQLiteStore(path)
        await store.open(0)
        gate = Gate(store)
        tasks = await queued(*(store.register_blob(f"b{n}", 1) for n in range(600)))
        (closing,) = await queued(store.close())
        await gate.let_go()
        await asyncio.gather(closing, *tasks)
        await store.open(1)
        assert len(await store.known_blobs([f"b{n}" for n in range(600)])) == 600
        await store.close()

    async def test_a_closed_store_takes_no_writes(self, path: Path) -> None:
        store = SQLiteStore(path)
        await store.open(0)
        await store.close()
        with pytest.raises(UnavailableError, match="closed"):
            await store.register_blob("late", 1)


class TestNotNow:
    """What passes is "not now"; the store goes on afterwards."""

    async def test_a_full_database(self, sqlite: SQLiteStore) -> None:
        def limit(session: SQLiteSession) -> None:
            session.connection.execute("PRAGMA max_page_count = 1")

        def unlimit(session: SQLiteSession) -> None:
            session.connection.execute("PRAGMA max_page_count = 1000000")

        await sqlite.engine.writer.run(limit)
        with pytest.raises(UnavailableError, match="full") as caught:
            await sqlite.add_file(a_file(filename="x" * 100_000))
        assert isinstance(caught.value.__cause__, sqlite3.OperationalError)
        await sqlite.engine.writer.run(unlimit)
        await sqlite.add_file(a_file(filename="x" * 100_000))

    async def test_a_disk_that_takes_no_more(self, sqlite: SQLiteStore) -> None:
        """The kernel's limit on the size of a file stands for a full disk."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        try:
            with pytest.raises(UnavailableError, match="cannot record"):
                await sqlite.add_file(a_file(filename="x" * 1_000_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert await sqlite.get_file(OWNER, "file-one", 1) is None
        await sqlite.add_file(a_file(filename="x" * 1_000_000))

    async def test_a_disk_that_fails(
        self, sqlite: SQLiteStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A21: clients saw 500 beside 503; now it is 503 each time, and the log says why."""

        def fail(_: SQLiteSession) -> None:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error

        with pytest.raises(UnavailableError, match="refuses to write"):
            await sqlite.engine.writer.run(fail)
        assert "the records cannot be written: the storage refuses to write" in caplog.text
        await sqlite.register_blob("one", 1)

    async def test_a_database_that_somebody_holds(self, sqlite: SQLiteStore, path: Path) -> None:
        def hurry(session: SQLiteSession) -> None:
            session.connection.execute("PRAGMA busy_timeout = 1")

        await sqlite.engine.writer.run(hurry)
        shell = sqlite3.connect(path, isolation_level=None)
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="another process"):
            await sqlite.register_blob("one", 1)
        shell.execute("ROLLBACK")
        shell.close()
        await sqlite.register_blob("one", 1)


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Writer]:
    """A writer over an empty database."""
    writer = Writer(open_writer(tmp_path / "bare.db", {}))
    yield writer
    await writer.close()


async def test_the_value_of_a_write_comes_back(bare: Writer) -> None:
    """Whatever it is."""
    assert await bare.run(lambda _: {"a": 1}) == {"a": 1}
    assert await bare.run(lambda session: session.connection.in_transaction) is True
