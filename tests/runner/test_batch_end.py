"""A batch of few lines ends where the results of its only job are read, in one transaction."""

import asyncio
import errno
import hashlib
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus
from gateway.batches.job import DONE_STATES, Job, JobState
from gateway.errors import WorkerError
from gateway.ids import is_recorded
from gateway.ports.metrics import Series
from gateway.ports.store import Seal, Work
from gateway.ports.upstream import Observation
from gateway.runner.context import Retention
from gateway.runner.cpu.archive import is_packed
from gateway.runner.rerender import Rerenderer
from tests.runner.world import HOUR, OWNER, World, chat, kept, place_of, world

LINES = chat("a", "say a") + chat("b", "say b")


def answer_with_the_look(w: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look that finds a job's end brings its results, as for a small inline job."""
    observe = w.upstream.observe

    async def whole(name: str, credential: str, **_: bool) -> Observation:
        seen = await observe(name, credential)
        if not seen.ended:
            return seen
        fetched = w.upstream.fetch(name, seen.output or "", credential)
        return replace(seen, raw=b"".join([block async for block in fetched]))

    monkeypatch.setattr(w.upstream, "observe", whole)


def noted_states(w: World, monkeypatch: pytest.MonkeyPatch) -> list[JobState]:
    """The states of jobs as they are saved."""
    saves, states = w.store.save_job, []

    async def noted(job: Job, **others: Any) -> bool:
        states.append(job.state)
        return await saves(job, **others)

    monkeypatch.setattr(w.store, "save_job", noted)
    return states


def counted_series(w: World, monkeypatch: pytest.MonkeyPatch) -> Counter[Series]:
    """How much was counted of each series."""
    sums = Counter[Series]()

    def count(_: object, series: Series, amount: float = 1, **__: str) -> None:
        sums[series] += int(amount)

    monkeypatch.setattr(type(w.context.meters), "count", count)
    return sums


async def outcome(w: World, batch: Batch) -> tuple[Batch, list[str], int]:
    """The ended batch, the names of its answered lines, and how often its files were written."""
    ended = await w.ended(batch)
    lines = await w.lines(ended.output_file_id)
    work = await w.work(ended)
    return ended, [line["custom_id"] for line in lines], sum(bool(job.run) for job in work.jobs)


@pytest.mark.slow
async def test_a_batch_ends_with_its_only_job(tmp_path: Path) -> None:
    """No run is kept to be published by another step; counts and usage are those of the job."""
    async with world(tmp_path) as w:
        ended, names, runs = await outcome(w, await w.submit(LINES))
        job = (await w.work(ended)).jobs[0]
    assert (ended.status, names, runs) == (BatchStatus.COMPLETED, ["a", "b"], 0)
    assert (ended.counts.total, ended.counts.completed) == (2, 2)
    assert ended.usage == job.usage
    assert ended.finalizing_at is not None


async def test_notes_of_validation_are_published_with_the_job(tmp_path: Path) -> None:
    """They have a run of their own, which is read with the job's; its index is kept with it."""
    lines = LINES + chat("c", "say c", verbosity="low")
    async with world(tmp_path) as w:
        ended, names, runs = await outcome(w, await w.submit(lines))
        notes = await w.lines(ended.notes_file_id)
        job = (await w.work(ended)).jobs[0]
    assert (ended.status, names, runs) == (BatchStatus.COMPLETED, ["a", "b", "c"], 0)
    assert ("c", "dropped") in [(note["custom_id"], note["code"]) for note in notes]
    assert len(notes) == sum(ended.notes.values())
    assert job.index is not None


async def test_a_batch_whose_lines_are_not_all_of_one_job_is_published(tmp_path: Path) -> None:
    """One line was refused, and has a run of its own."""
    lines = LINES + chat("c", messages=[])
    async with world(tmp_path) as w:
        ended, names, runs = await outcome(w, await w.submit(lines))
    assert (ended.status, names, runs) == (BatchStatus.COMPLETED, ["a", "b"], 1)
    assert (ended.counts.total, ended.counts.completed, ended.counts.failed) == (3, 2, 1)


async def test_lines_without_a_result_are_left_to_publishing(tmp_path: Path) -> None:
    """They may be sent again, or what could tell of them is kept for longer."""
    async with world(tmp_path) as w:
        w.upstream.spoilt = [{"1.0": None, "1": None}]
        ended, names, runs = await outcome(w, await w.submit(LINES))
    assert ended.counts.total == 2
    assert "b" in names
    assert runs


@pytest.mark.slow
@pytest.mark.usefixtures("both_places")
@pytest.mark.parametrize("raw", [0, HOUR], ids=["dropped", "archived"])
async def test_a_cancel_at_that_moment_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, raw: int
) -> None:
    """Nothing is written then of the end that was prepared, and no answer is lost.

    Results of so many lines are worth an archive, which is in its place by then.
    """
    ids, copy = [str(number) for number in range(700)], tmp_path / "raw"
    async with world(tmp_path, retention=Retention(raw=raw)) as w:
        saves = w.store.save_job
        prepared = []

        async def cancelled_first(job: Job, **others: Any) -> bool:
            if others.get("ends") is not None:
                prepared.append(others["ends"].batch.status)
                await w.store.request_cancel(OWNER, job.batch_id, w.clock.now())
            return await saves(job, **others)

        monkeypatch.setattr(w.store, "save_job", cancelled_first)
        ended, names, runs = await outcome(w, await w.submit(b"".join(map(chat, ids))))
        [job] = (await w.work(ended)).jobs
        if job.raw is not None:
            copy.write_bytes(place_of(tmp_path, job.raw).read_bytes())
    assert prepared == [BatchStatus.COMPLETED]
    assert (ended.status, names, runs) == (BatchStatus.CANCELLED, ids, 1)
    assert (copy.exists() and is_packed(copy)) is bool(raw)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_its_files_are_written_again(tmp_path: Path) -> None:
    """No run of such a job is kept, but its results are."""
    async with world(tmp_path, retention=Retention(raw=HOUR)) as w:
        batch = await w.ended(await w.submit(LINES))
        again = await Rerenderer(w.context, batch.policy).render(batch, stored_policy=True)
        [entry] = again.rerendered
        lines = await w.lines(batch.output_file_id)
        assert await w.lines(entry["output_file_id"]) == lines


async def test_its_end_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The release of the job follows under the same claim."""
    async with world(tmp_path) as w:
        told = []
        monkeypatch.setattr(type(w.context.tracer), "batch_ended", lambda _, row: told.append(row))
        batch = await w.ended(await w.submit(LINES))
        await w.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)
    assert [row.id for row in told] == [batch.id]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (LINES, "completed: 2 lines"),
        (LINES + chat("c", messages=[]), "completed: 3 lines"),
        (b"{}", "failed with 1 error, nothing ran"),
    ],
    ids=["with its job", "published", "failed"],
)
async def test_an_end_whose_step_is_stopped_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    lines: bytes,
    said: str,
) -> None:
    """It is on record by then, and no other process tells of it."""
    async with world(tmp_path) as w:
        told = []
        monkeypatch.setattr(type(w.context.tracer), "batch_ended", lambda _, row: told.append(row))
        meters = counted_series(w, monkeypatch)
        save_job, save_batch = w.store.save_job, w.store.save_batch

        async def stop_if(saved: bool, row: Batch) -> bool:
            if row.status not in LIVE_STATUSES:
                w.runner.stop()
                await asyncio.sleep(0)  # where its step meets the stop
            return saved

        async def job_saved(job: Job, **others: Any) -> bool:
            saved = await save_job(job, **others)
            ends = others.get("ends")
            return saved if ends is None else await stop_if(saved, ends.batch)

        async def batch_saved(batch: Batch, **others: Any) -> bool:
            return await stop_if(await save_batch(batch, **others), batch)

        monkeypatch.setattr(w.store, "save_job", job_saved)
        monkeypatch.setattr(w.store, "save_batch", batch_saved)
        caplog.set_level(logging.INFO, "gateway.runner")
        batch = await w.ended(await w.submit(lines))
    assert [row.id for row in told] == [batch.id]
    assert meters[Series.BATCHES] == 1
    assert [text for text in caplog.messages if text.startswith(f"batch {batch.id} {said}")]


async def test_all_of_it_or_nothing_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look finds the job collected and the batch live, or the other way round."""
    seen: list[Work] = []
    async with world(tmp_path) as w:
        saves = w.store.save_job

        async def looked_at(job: Job, **others: Any) -> bool:
            saved = await saves(job, **others)
            work = await w.store.load_job(job.id)
            assert work is not None
            seen.append(work)
            return saved

        monkeypatch.setattr(w.store, "save_job", looked_at)
        await outcome(w, await w.submit(LINES))
    ended = [work for work in seen if work.batch.status is BatchStatus.COMPLETED]
    assert ended
    assert all(work.jobs[0].state in DONE_STATES for work in ended)
    assert not [w for w in seen if w not in ended and w.jobs[0].state in DONE_STATES]


async def test_results_are_saved_with_what_is_made_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They came with the look, and a process is free: no transaction for them alone."""
    async with world(tmp_path) as w:
        answer_with_the_look(w, monkeypatch)
        states = noted_states(w, monkeypatch)
        ended, names, _ = await outcome(w, await w.submit(LINES))
        await w.until(lambda work: work.jobs[0].state is JobState.RELEASED, ended)
    assert names == ["a", "b"]
    assert JobState.SECURED not in states
    assert JobState.COLLECTED in states


@pytest.mark.slow
@pytest.mark.usefixtures("both_places")
@pytest.mark.parametrize("happens", ["nothing", "a cancel", "a death"])
async def test_the_results_are_a_blob_as_they_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, happens: str
) -> None:
    """They were in memory until then: written once, sealed, and nothing else is left of them."""
    async with world(tmp_path, alone=True, retention=Retention(raw=HOUR)) as w:
        answer_with_the_look(w, monkeypatch)
        saves, run = w.store.save_job, w.context.workers.run
        left = [happens]

        async def saved(job: Job, **others: Any) -> bool:
            if others.get("ends") is not None and "a cancel" in left:
                left.clear()
                await w.store.request_cancel(OWNER, job.batch_id, w.clock.now())
            return await saves(job, **others)

        async def worked(call: str, task: object, seconds: float) -> dict[str, Any]:
            if call == "collect" and "a death" in left:
                left.clear()
                raise WorkerError(happens)
            return await run(call, task, seconds)

        monkeypatch.setattr(w.store, "save_job", saved)
        monkeypatch.setattr(w.context.workers, "run", worked)
        ended, names, _ = await outcome(w, await w.submit(LINES))
        work = await w.until(lambda work: work.jobs[0].state is JobState.RELEASED, ended)
        raw = work.jobs[0].raw or ""
        seal = await w.store.blob_seal(raw)
        blob = place_of(tmp_path, raw).read_bytes()
        states = w.store.engine.reader.connection.execute("SELECT name, state FROM blobs")
        blobs = dict(states.fetchall())
    assert names == ["a", "b"]
    assert seal == Seal(len(blob), hashlib.sha256(blob).hexdigest())
    assert [line for line in blob.splitlines() if b"say" in line]
    assert blobs[raw] == "live"
    there = kept(tmp_path)
    pending = [name for name in there if blobs.get(name) == "pending"]
    assert happens == "a cancel" or not pending
    assert not any(map(is_recorded, pending)), "what is of no use is not written"
    assert w.upstream.calls.count("fetch") == 1


@pytest.mark.slow
async def test_results_are_kept_when_they_cannot_be_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is saved with them, and nothing is asked for again."""
    async with world(tmp_path, alone=True) as w:
        answer_with_the_look(w, monkeypatch)
        states = noted_states(w, monkeypatch)
        run = w.context.workers.run
        deaths = ["once"]

        async def dying(call: str, task: object, seconds: float) -> dict[str, Any]:
            if call == "collect" and deaths:
                raise WorkerError(deaths.pop())
            return await run(call, task, seconds)

        monkeypatch.setattr(w.context.workers, "run", dying)
        _, names, _ = await outcome(w, await w.submit(LINES))
    assert names == ["a", "b"]
    assert states.count(JobState.SECURED) == 1
    assert w.upstream.calls.count("fetch") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("files_only")
@pytest.mark.parametrize("refused", ["its place", "its name"])
async def test_results_that_cannot_be_kept_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """A folder refuses their file, or names were given up: the gateway ended by it."""
    async with world(tmp_path, alone=True) as w:
        answer_with_the_look(w, monkeypatch)
        states = noted_states(w, monkeypatch)
        run, create = w.context.workers.run, w.context.blobs.create
        left = {refused}

        async def dying(call: str, task: object, seconds: float) -> dict[str, Any]:
            if call != "collect" or not left:
                return await run(call, task, seconds)
            if "its name" in left:
                await w.store.sweepable_blobs(0, 1, pending_before=w.clock.now() + HOUR)
                left.clear()
            raise WorkerError("once")

        def created(name: str) -> Any:
            if "its place" in left and "fetch" in w.upstream.calls:
                left.clear()
                raise PermissionError(errno.EACCES, "Permission denied", name)
            return create(name)

        monkeypatch.setattr(w.context.workers, "run", dying)
        monkeypatch.setattr(w.context.blobs, "create", created)
        _, names, _ = await outcome(w, await w.submit(LINES))
    assert names == ["a", "b"]
    assert states.count(JobState.RUNNING) >= 2
    assert 2 <= w.upstream.calls.count("fetch") <= 3
    assert w.upstream.calls.count("create") == 1
