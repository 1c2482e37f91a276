"""Responses in the background whose answers cannot be written hold up no others."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.errors import UnavailableError
from gateway.runner import background
from gateway.runner.background import Background, BackgroundOptions
from tests.conformance.background import collected, queued
from tests.conformance.records import add_file_with_blob
from tests.runner.world import World, world

OPTIONS = BackgroundOptions(window=0, kept=10**9, unstored=10**9)


async def ended(here: World, name: str, *, lost: bool) -> None:
    """A batch of one response that has ended; the bytes of its output may be lost."""
    row = await queued(here.store, name, queue=f"q-{name}")
    assert await collected(here.store, row, name=name)
    batch = await here.store.claim_batch(f"batch_{name}", 60_000)
    assert batch is not None
    done = replace(batch, status=BatchStatus.FAILED, due_at=None)
    if lost:
        output = await add_file_with_blob(here.store, f"out-{name}", purpose="batch_output")
        done = replace(done, status=BatchStatus.COMPLETED, output_file_id=output.id)
    assert await here.store.save_batch(done)


async def undelivered(here: World) -> list[str]:
    """The ids of batches whose answers are not written."""
    return [batch.id for batch in await here.store.undelivered_batches(99)]


async def test_looks_that_fail_are_ever_further_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And as close as before once one of them works."""
    async with world(tmp_path) as here:
        at, looks = list[float](), here.store.undelivered_batches
        enough = asyncio.Event()

        async def failing(most: int) -> Sequence[Batch]:
            at.append(here.clock.monotonic())
            if len(at) > 5:
                enough.set()
                return await looks(most)
            raise UnavailableError("the disk is full")

        monkeypatch.setattr(here.store, "undelivered_batches", failing)
        looking = Background(here.context, replace(OPTIONS, window=20), here.runner.wake)
        task = asyncio.ensure_future(looking.run())
        await asyncio.wait_for(enough.wait(), 60)
        task.cancel()
    least = [0.02 * 2**failures for failures in (1, 2, 3, 4, 4)]
    assert all(
        later - earlier > 0.9 * pause
        for (earlier, later), pause in zip(pairwise(at[:6]), least, strict=True)
    )


async def test_what_cannot_be_written_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same owner too: before, a hundred batches that rested held up all later ones."""
    monkeypatch.setattr(background, "AT_ONCE", 2)
    async with world(tmp_path) as here:
        here.runner.stop()  # else it may have the batches first
        for name in ("one", "two"):
            await ended(here, name, lost=True)
        await ended(here, "three", lost=False)
        writes = Background(here.context, OPTIONS, here.runner.wake)
        await writes.look()
        assert await undelivered(here) == ["batch_one", "batch_two", "batch_three"]
        await writes.look()
        assert await undelivered(here) == ["batch_one", "batch_two"]
