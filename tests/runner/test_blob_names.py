"""Names of blobs are registered many at once, and none of them is used twice or too late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.ids import is_recorded
from gateway.ports.store import Seal
from gateway.runner.blob_names import AT_ONCE, FRESH_FOR, BlobNames
from gateway.runner.context import RECORDED_AT_ONCE
from gateway.runner.sweeper import LONGEST_WRITE
from gateway.store.sqlite import SQLiteStore
from tests.runner.world import HOUR, OWNER, RECORDED_BYTES, chat, sweep, world

NOW = 1_000_000
SPOOL_ECHO_RAW_AND_OUTPUT = 4
RUNS_INDEXES_AND_ERRORS = 5


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SQLiteStore]:
    """A store of its own."""
    store = SQLiteStore(path / "gateway.sqlite3")
    await store.open(NOW)
    try:
        yield store
    finally:
        await store.close()


async def test_many_names_cost_one_transaction(tmp_path: Path) -> None:
    """They are on record before they are given out, and lie in one folder."""
    async with opened(tmp_path) as store:
        names, before = BlobNames(), store.engine.writer.commits
        taken = [name for _ in range(AT_ONCE // 4) for name in await names.take(store, NOW, 4)]
        assert store.engine.writer.commits == before + 1
        assert len(set(taken)) == AT_ONCE
        assert len({name[:2] for name in taken}) == 1
        assert await store.known_blobs(taken) == set(taken)


async def test_steps_at_the_same_time_get_names_of_their_own(tmp_path: Path) -> None:
    """However many each of them needs."""
    async with opened(tmp_path) as store:
        names = BlobNames()
        some = await asyncio.gather(*(names.take(store, NOW, 5) for _ in range(20)))
        taken = [name for each in some for name in each]
        assert len(set(taken)) == len(taken) == 100
        assert len(names.left) < AT_ONCE  # they have waited for one another's
        assert await store.known_blobs(taken) == set(taken)
        assert len(await names.take(store, NOW, 3 * AT_ONCE)) == 3 * AT_ONCE


@pytest.mark.parametrize("later", [FRESH_FOR, -FRESH_FOR], ids=["later", "a clock set back"])
async def test_a_name_that_may_be_given_up_is_not_used(tmp_path: Path, later: int) -> None:
    """The sweeper gives up what is pending for too long by its clock."""
    async with opened(tmp_path) as store:
        names = BlobNames()
        await names.take(store, NOW, 1)
        old = {name for name, _ in names.left}
        [in_time] = await names.take(store, NOW + FRESH_FOR - 1, 1)
        assert in_time in old
        [fresh] = await names.take(store, NOW + later, 1)
        assert fresh not in old
        assert await store.known_blobs([*old]) == {in_time}


async def test_a_clock_that_was_a_day_ahead_leaves_no_name_that_was_swept(tmp_path: Path) -> None:
    """It is right again when the next name is needed, and those in stock look fresh."""
    async with world(tmp_path) as w:
        await w.context.new_blob()
        w.clock.ahead = LONGEST_WRITE + HOUR
        await sweep(w.context)
        w.clock.ahead = 0
        name = await w.context.new_blob()
        assert await w.store.known_blobs([name]) == {name}


@pytest.mark.usefixtures("files_only")
async def test_a_name_that_was_given_up_costs_one_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """By a replica whose clock is a day ahead: no other name of that stock is tried after it."""
    async with world(tmp_path) as w:
        await w.context.new_blob()
        while await w.store.sweepable_blobs(0, AT_ONCE, pending_before=w.clock.now() + HOUR):
            await w.store.forget_blobs([name for name, _ in w.context.names.left])
        batch = await w.ended(await w.submit(chat("a")))
        assert batch.status is BatchStatus.COMPLETED
    assert len([text for text in caplog.messages if "failed (" in text]) == 1


@pytest.mark.parametrize("step", ["keep", "adopt"])
async def test_what_one_save_brings_into_the_records_is_bounded(tmp_path: Path, step: str) -> None:
    """It is in memory until then: thousands of small jobs had all their requests there."""
    async with world(tmp_path) as w:
        paths = [tmp_path / f"{number}" for number in range(RECORDED_AT_ONCE // RECORDED_BYTES + 9)]
        for path in paths:
            path.write_bytes(path.name.encode().ljust(RECORDED_BYTES))
        made = await getattr(w.context, step)([str(path) for path in paths])
        assert len(set(made)) == len(paths)
        assert [is_recorded(name) for name in made] == [True] * (len(paths) - 9) + [False] * 9
        for name, path in list(zip(made, paths, strict=True))[-9:]:
            found = b"".join([block async for block in w.context.blobs.read(name)])
            assert found.strip() == path.name.encode()


@pytest.mark.usefixtures("both_places")
@pytest.mark.parametrize("refused", [0, 1], ids=["with its job", "by a step of its own"])
async def test_every_blob_of_a_batch_is_sealed(tmp_path: Path, refused: int) -> None:
    """Those of its requests and of its files: what a disk changes is noticed before it is used.

    A batch ends with its only job, unless a line of it was refused.
    """
    lines = [chat("a"), chat("b"), *[chat("c", messages=[])] * refused]
    async with world(tmp_path) as w:
        done = await w.ended(await w.submit(b"".join(lines)))
        file = await w.store.get_file(OWNER, done.output_file_id or "", w.clock.now())
        assert file is not None
        seal = await w.store.blob_seal(file.segments[0].blob)
        assert seal == Seal(file.bytes, file.sha256)
        rows = w.store.engine.reader.connection.execute(
            "SELECT sha256 IS NOT NULL, count(*) FROM blobs WHERE state <> 'pending' AND name NOT"
            " IN (SELECT json_extract(segments, '$[0][0]') FROM files WHERE purpose = 'batch')"
            " GROUP BY 1"
        ).fetchall()
    assert rows == [(1, SPOOL_ECHO_RAW_AND_OUTPUT + refused * RUNS_INDEXES_AND_ERRORS)]
