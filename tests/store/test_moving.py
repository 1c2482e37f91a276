"""All records of a database in another one: row by row the same, or not there at all."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.file import Segment
from gateway.batches.job import Cause, JobState
from gateway.batches.limits import NO_LIMITS, Estimate
from gateway.batches.response import StoredResponse
from gateway.errors import SettingsError
from gateway.ports.store import BlobChange, RescueCall, Seal, Store
from gateway.store.moved import read_mark, refuse_moved, write_mark
from gateway.store.moving import Rows, Source, SQLiteTarget, Table, Target, carry, held_by
from gateway.store.moving_postgres import PostgresTarget
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SQLiteStore
from tests.conformance.moments import take_job
from tests.conformance.records import OWNER, a_batch, a_file, a_job
from tests.conformance.uploads import an_upload, with_parts
from tests.conformance.webhooks import an_endpoint

NOW: Final = 5_000
# Every table but what a database says of itself (``migrations``).
CARRIED: Final = {
    *("meta", "blobs", "blob_contents", "files", "uploads", "upload_parts", "batches", "jobs"),
    "rescue_calls",
    *("staged_files", "job_files", "quotas", "client_keys", "responses", "single_costs"),
    *("webhook_endpoints", "webhook_deliveries"),
}
SMALL: Final = "rec_small"
EVERY_BYTE: Final = bytes(range(256))
NAME: Final = "größe ☃ \U0001f600.jsonl"


async def fill(store: Store) -> None:
    """Leave a sealed blob, a live batch with a job, and files that are gone."""
    await store.register_blobs({"blob0001": Seal(10, "ab" * 32)}, NOW)
    await store.add_file(a_file("one", filename=NAME, segments=(Segment("blob0001", 10),)))
    for number in range(501):  # more than are carried at a time
        await store.add_file(a_file(f"gone-{number}"))
    await store.delete_file(OWNER, "file-gone-7", NOW)
    file = await store.add_file(a_file("of-one"))
    await store.add_batch(a_batch("one", input_file_id=file.id, metadata={"a": "b"}))
    batch = await store.claim_batch("batch_one", 60_000)
    assert batch is not None
    for name in ("spool-one", "echo-one"):
        await store.register_blob(name, NOW)
    live = BlobChange(live=["spool-one", "echo-one"])
    running = replace(batch, status=BatchStatus.IN_PROGRESS, in_progress_at=NOW)
    assert await store.save_batch(running, jobs=[a_job("one")], blobs=live)


async def fill_other_tables(store: Store) -> None:
    """Leave something that has to do with a client's webhooks, keys, parts, answers and calls."""
    await store.learn("default", "gemini-9", lambda quota: replace(quota, refusals=2))
    await with_parts(store, "part")
    await store.register_blob("blob-response", NOW)
    response = StoredResponse("resp_one", OWNER, "blob-response", NOW, 10**15)
    await store.add_response(response, Seal(5, "cd" * 32))
    small = Seal(256, sha256(EVERY_BYTE).hexdigest(), EVERY_BYTE)
    await store.add_response(StoredResponse("resp_small", OWNER, SMALL, NOW, 10**15), small)
    await store.spend(OWNER, Estimate(0, 60), NO_LIMITS, NOW)
    await store.keep_client_key(OWNER, "sealed", NOW)
    await an_endpoint(store)
    ended = await _claimed(store, "ended")
    await store.save_batch(replace(ended, status=BatchStatus.COMPLETED, completed_at=NOW))
    await store.add_file(a_file("pdf", purpose="user_data"))
    others = await _claimed(store, "others")
    rescued = {"cause": Cause.RESCUE, "state": JobState.RESCUING}
    jobs = [
        a_job("rescued", batch_id=others.id, number=1, **rescued),
        a_job("named", batch_id=others.id, number=2, files=1),
    ]
    named = {"named": {"file-pdf": "application/pdf"}}
    running = replace(others, status=BatchStatus.IN_PROGRESS)
    assert await store.save_batch(running, jobs=jobs, named=named)
    for job in jobs:
        claimed = await take_job(store, job.id, 60_000)
        assert claimed is not None
        if job.files:
            await store.stage_files(claimed, 10**15, 2**50, NOW)
        else:
            await store.begin_rescue_call(claimed, RescueCall("1", 60, 5), 100)


async def _claimed(store: Store, name: str) -> Batch:
    file = await store.add_file(a_file(f"of-{name}"))
    await store.add_batch(a_batch(name, input_file_id=file.id))
    batch = await store.claim_batch(f"batch_{name}", 60_000)
    assert batch is not None
    return batch


async def seen(store: Store) -> tuple[Any, ...]:
    """What the two must have in common."""
    return (
        await store.load_work("batch_one"),
        await store.get_file(OWNER, "file-one", NOW),
        await store.blob_seal("blob0001"),
        (await store.blob_seal(SMALL), await store.blob_content(SMALL)),
        await store.gateway_id(),
        await store.quotas(),
        await store.get_upload(OWNER, "upload_one"),
        await store.parts_of(an_upload()),
        await store.get_response(OWNER, "resp_one", NOW),
        await store.used_by(OWNER, 0),
        await store.client_keys(),
        await store.list_endpoints(OWNER, limit=9),
        await store.list_deliveries(OWNER, "we_one", limit=9),
        await store.rescue_keys("rescued"),
        await store.due_staged(10**15, 9),
    )


class World:
    """A source, and what its store gave."""

    def __init__(self, source: Source, before: Any) -> None:
        self.source = source
        self.before = before


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A data directory, and what its store gave."""
    directory = tmp_path_factory.mktemp("old")

    async def make() -> Any:
        store = SQLiteStore(directory / "gateway.sqlite3")
        await store.open(NOW)
        await fill(store)
        await fill_other_tables(store)
        before = await seen(store)
        await store.close()
        return before

    return directory, asyncio.run(make())


@pytest.fixture
async def world(stopped: tuple[Path, Any], tmp_path: Path) -> AsyncIterator[World]:
    """A stopped gateway's records."""
    shutil.copytree(stopped[0], tmp_path / "old")
    source = Source(tmp_path / "old" / "gateway.sqlite3")
    await source.open(NOW)
    yield World(source, stopped[1])
    await source.close()


class _Losing(SQLiteTarget):
    """Loses the last of some rows."""

    async def put(self, table: Table, rows: Rows) -> None:
        await super().put(table, rows[:-1] if table.name == "jobs" else rows)


class _Changing(SQLiteTarget):
    """Changes a letter."""

    async def put(self, table: Table, rows: Rows) -> None:
        if table.name == "jobs":
            rows = [tuple("X" if value == "gemini-9" else value for value in row) for row in rows]
        await super().put(table, rows)


class _Flipping(SQLiteTarget):
    """Changes a bit of a small blob."""

    async def put(self, table: Table, rows: Rows) -> None:
        if table.name == "blob_contents":
            rows = [(name, bytes([content[0] ^ 1]) + content[1:]) for name, content in rows]
        await super().put(table, rows)


async def test_bytes_of_few_blobs_are_in_memory_at_a_time(tmp_path: Path) -> None:
    """Each may have a MiB, and 500 rows were read at once."""
    store = SQLiteStore(tmp_path / "gateway.sqlite3")
    await store.open(NOW)
    await store.register_blobs({f"rec_{n}": Seal(1, "ab" * 32, b"a") for n in range(50)}, NOW)
    await store.close()
    source = Source(tmp_path / "gateway.sqlite3")
    await source.open(NOW)
    [contents] = [table for table in source.tables() if table.name == "blob_contents"]
    portions = [len(rows) for rows in source.rows(contents)]
    await source.close()
    assert (sum(portions), max(portions)) == (50, 16)


class MovingRules:
    """Whatever the target is."""

    async def test_everything_arrives(self, world: World, target: Target, there: Store) -> None:
        await target.open(NOW)
        assert await held_by(target) is None
        counts = await carry(world.source, target)
        assert await held_by(target) == world.source.gateway_id()
        await target.close()
        assert (counts["files"], counts["batches"], counts["jobs"]) == (506, 3, 3)
        # A new table is carried like all others: leave a row in it here, and see that it arrives.
        assert [table for table, rows in counts.items() if not rows] == []
        assert counts.keys() == CARRIED
        await there.open(NOW)
        assert await seen(there) == world.before
        added = await there.add_file(a_file("new"))
        assert added.seq > 506
        fresh = await there.add_batch(a_batch("new", input_file_id="file-new"))
        assert isinstance(fresh, Batch)
        await there.close()

    async def test_records_of_another_gateway_are_not_written_over(
        self, world: World, target: Target, there: Store
    ) -> None:
        await there.open(NOW)
        other = await there.gateway_id()
        await there.close()
        await target.open(NOW)
        assert await held_by(target) == other
        await target.close()
        assert other != world.source.gateway_id()


class TestToSQLite(MovingRules):
    """Another directory."""

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        """Not open yet."""
        return SQLiteTarget(tmp_path / "new" / "gateway.sqlite3")

    @pytest.fixture
    def there(self, tmp_path: Path) -> Store:
        """What a gateway opens there."""
        return SQLiteStore(tmp_path / "new" / "gateway.sqlite3")

    @pytest.mark.parametrize(
        ("kind", "table"),
        [(_Losing, "jobs"), (_Changing, "jobs"), (_Flipping, "blob_contents")],
    )
    async def test_what_arrives_otherwise_is_not_committed(
        self, world: World, tmp_path: Path, kind: type[SQLiteTarget], table: str
    ) -> None:
        target = kind(tmp_path / "new" / "gateway.sqlite3")
        await target.open(NOW)
        with pytest.raises(SettingsError, match=f"{table} did not arrive"):
            await carry(world.source, target)
        assert await held_by(target) is None
        await target.close()


class TestToPostgres(MovingRules):
    """A database of a server."""

    @pytest.fixture
    def target(self, database: str) -> Target:
        """Not open yet."""
        return PostgresTarget(database)

    @pytest.fixture
    def there(self, database: str) -> Store:
        """What a gateway opens there."""
        return PostgresStore(database)

    async def test_a_server_that_is_not_there_is_a_sentence(self) -> None:
        with pytest.raises(SettingsError, match="cannot be used"):
            await PostgresTarget("postgresql://127.0.0.1:1/none").open(NOW)


class TestMark:
    """A directory whose records are elsewhere."""

    @pytest.mark.parametrize(
        ("done", "told"), [(True, "twice"), (False, "migrate-store` once more")]
    )
    async def test_it_is_not_opened(self, tmp_path: Path, done: bool, told: str) -> None:
        write_mark(tmp_path, "postgresql://db/gateway", None, done=done)
        for refused in (
            SQLiteStore(tmp_path / "gateway.sqlite3"),
            SQLiteTarget(tmp_path / "gateway.sqlite3"),
        ):
            with pytest.raises(SettingsError, match=told):
                await refused.open(NOW)
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["moved.json"]  # noqa: ASYNC240

    def test_one_without_is(self, tmp_path: Path) -> None:
        refuse_moved(tmp_path)
        assert read_mark(tmp_path) is None


async def test_a_running_gateways_directory_is_locked(tmp_path: Path) -> None:
    """Two gateways with one id would pay twice."""
    path = tmp_path / "gateway.sqlite3"
    store = SQLiteStore(path)
    await store.open(NOW)
    with pytest.raises(SettingsError, match="in use by another gateway"):
        await Source(path).open(NOW)
    await store.close()
