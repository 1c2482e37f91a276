"""Responses in the background: collected into batches, and ended with what these came to.

They have no steps of their own between: a window's responses become one batch, which the runner
sends as any other. What a job of it has answered becomes their answers when the job is collected,
its files the rest. Each change of the records is one
transaction that is right by its own conditions, so nothing here is claimed: two processes that do
the same do it once, and a death in between leaves bytes that are swept.
"""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.batches.background import (
    ENDPOINT,
    FULL_PRICE,
    HALF_PRICE,
    SHARE,
    Ended,
    answered,
    failed,
    line_of,
    next_queues,
    of_failed_batch,
)
from gateway.batches.batch import BACKGROUND, Batch
from gateway.batches.file import File, Segment
from gateway.batches.job import DONE_STATES, Cause, Job
from gateway.batches.pacing import next_retry
from gateway.batches.response import DueQueue, StoredResponse
from gateway.batches.runs import Entry, Kind, unpack
from gateway.errors import ConflictError, DamagedBlobError, UnavailableError, WorkerError
from gateway.ids import jitter, new_batch_id, new_file_id
from gateway.ports.placing import keep_whole
from gateway.runner.batch_end import FILES
from gateway.runner.context import StepContext, describe, job_label, sealed
from gateway.runner.rerender import Rerenderer
from gateway.units import MIB, counted

logger = logging.getLogger(__name__)

Json = dict[str, Any]

WINDOW_MS: Final = 24 * 3600 * 1000
LOOK_SECONDS: Final = 1.0
DOUBLINGS: Final = 4  # of the pause, at most, while looks fail in a row
AT_ONCE: Final = 100  # queues, and ended batches, that are looked at in a round
MOST_LINES: Final = 10_000
MOST_BYTES: Final = 64 * MIB
# Above this a text is parsed in a thread: it would stop the event loop.
QUICK_BYTES: Final = 64 * 1024
# And what a line is that nothing here can read: it holds up its own batch, visibly, and no other.
FAILURES: Final = (
    *(OSError, UnavailableError, DamagedBlobError, WorkerError, ConflictError),
    *(KeyError, TypeError, ValueError),
)
DAMAGED: Final = {
    "code": "internal_error",
    "message": "The gateway's disk has lost the request. Nothing was sent.",
}
NO_LINE: Final = {"code": "internal_error", "message": "The batch has no line for this response."}


@dataclass(frozen=True, slots=True)
class BackgroundOptions:
    """``window``, and for how long an answer is ``kept``, in ms.

    ``unstored``: the same for one with ``store: false``, which is kept to be collected alone.
    """

    window: int
    kept: int
    unstored: int


class Background:
    """Collects what waits, and writes the answers of what has ended."""

    def __init__(
        self, context: StepContext, options: BackgroundOptions, wake: Callable[[], None]
    ) -> None:
        self._context = context
        self._options = options
        self._wake = wake
        self._rerenderer = Rerenderer(context, {})
        # By batch or queue: how often it failed in a row, and until when it rests.
        self._resting: dict[str, tuple[int, int]] = {}
        # By batch: runs of its jobs whose answers are written. Forgotten by a restart, which reads
        # them again and finds that nothing of them is open.
        self._read: dict[str, set[str]] = {}

    async def run(self) -> None:
        """Look for ever."""
        pause = min(LOOK_SECONDS, max(self._options.window / 1000, 0.01))
        failures = 0
        while True:
            try:
                await self.look()
                failures = 0
            except (OSError, UnavailableError) as error:
                failures += 1
                logger.warning("responses in the background wait for the records: %s", error)
            await self._context.clock.sleep(pause * 2.0 ** min(failures, DOUBLINGS))

    async def look(self) -> None:
        """Do a round; what fails in it is tried again after a pause, and holds up nothing else."""
        store = self._context.store
        most = AT_ONCE + len(self._resting)  # what rests takes no place of what does not
        ended = await store.undelivered_batches(most)
        for batch in ended:
            await self._apart(batch.id, partial(self._deliver, batch))
        collected = await store.partly_collected(most)
        self._read = {batch.id: self._read.get(batch.id, set()) for batch in collected}
        for batch in collected:
            await self._apart(batch.id, partial(self._deliver_collected, batch))
        due = await store.due_queues(self._context.clock.now(), most)
        seen = {*(batch.id for batch in (*ended, *collected)), *(each.queue for each in due)}
        self._resting = {name: rest for name, rest in self._resting.items() if name in seen}
        if due:
            await self._collect_some(due)

    async def _collect_some(self, due: Sequence[DueQueue]) -> None:
        options = self._context.options
        most = max(options.quota.max_live_jobs // SHARE, 2)
        of_all = None if options.pass_through else most
        live = await self._context.store.live_backgrounds()
        for each in next_queues(due, live, most_of_all=of_all, most_of_owner=most // 2):
            await self._apart(each.queue, partial(self._collect, each.queue))

    async def _apart(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        failures, until = self._resting.get(name, (0, 0))
        pace, now = self._context.options.retry, self._context.clock.now()
        if now < until <= now + pace.longest:  # a clock that was set back holds up nothing
            return
        try:
            await work()
            self._resting.pop(name, None)
        except FAILURES as error:
            failures += 1
            pause = next_retry(failures, pace, jitter(), None)
            self._resting[name] = (failures, now + pause)
            told = (name, failures, pause / 1000, describe(error))
            logger.warning("responses of %s failed (%d in a row), again in %.1f s: %s", *told)

    # --- from responses to a batch ----------------------------------------------------------

    async def _collect(self, queue: str) -> None:
        """Make a batch of the oldest of a queue: a file of their lines, and a row."""
        limits = self._context.options.input_limits
        most = min(MOST_LINES, limits.max_lines, limits.max_items)
        rows = await self._context.store.waiting_responses(queue, most)
        async with self._context.workplace() as place:
            path = place / "input"
            taken, policy = await self._write(rows, path)
            if not taken:
                return
            seal = await sealed(path)
            [blob] = await self._context.keep([str(path)])
        now, batch_id = self._context.clock.now(), new_batch_id()
        file = File(
            id=new_file_id(),
            owner=taken[0].owner,
            purpose=BACKGROUND,
            filename=f"{batch_id}_input.jsonl",
            bytes=seal.bytes,
            lines=len(taken),
            sha256=seal.sha256,
            segments=(Segment(blob, seal.bytes),),
            created_at=now,
        )
        batch = Batch(
            id=batch_id,
            owner=file.owner,
            endpoint=ENDPOINT,
            input_file_id=file.id,
            created_at=now,
            expires_at=now + WINDOW_MS,
            policy=policy,
            kind=BACKGROUND,
        )
        if await self._context.store.collect_responses(batch, file, taken):
            told = counted(len(taken), "response")
            logger.info("batch %s: %s in the background", batch.id, told)
            self._wake()

    async def _write(
        self, rows: Sequence[StoredResponse], path: Path
    ) -> tuple[list[StoredResponse], Mapping[str, Any]]:
        """Write the lines of as many as fit; return these, and the policy, which is the same."""
        taken: list[StoredResponse] = []
        policy: Mapping[str, Any] = {}
        size = 0
        with path.open("xb") as file:
            for row in rows:
                kept = await self._kept(row)
                if kept is None:
                    continue
                line = line_of(row.id, kept)
                if taken and size + len(line) > MOST_BYTES:
                    break
                await asyncio.to_thread(file.write, line)
                size += len(line)
                taken.append(row)
                policy = kept["policy"]
        return taken, policy

    async def _kept(self, row: StoredResponse) -> Json | None:
        """Read what is kept of a response; one whose bytes are lost ends, and says so."""
        try:
            written = b"".join([block async for block in self._context.blobs.read(row.blob)])
        except FileNotFoundError:
            written = b""
        seal = await self._context.store.blob_seal(row.blob)
        if seal is None or hashlib.sha256(written).hexdigest() == seal.sha256:
            return await _parsed(written)
        logger.error("response %s: its request is lost (blob %s)", row.id, row.blob)
        lost = {"response": _nothing_of(row), "input": []}
        await self._finish(row, failed(lost, DAMAGED))
        return None

    # --- from a batch to its responses ------------------------------------------------------

    async def _deliver(self, batch: Batch) -> None:
        """Write the answers of a batch that has ended; then its files go."""
        rows = await self._context.store.responses_of(batch.id)
        if rows:
            await self._deliver_to({row.id: row for row in rows}, batch)
        await self._context.store.release_background(batch)
        told = counted(len(rows), "response has", "responses have")
        logger.info("batch %s: %s ended", batch.id, told)

    async def _deliver_collected(self, batch: Batch) -> None:
        """Write the answers of the jobs that are collected: the others may take hours.

        What the disk has lost of them is made again at the end of the batch.
        """
        work = await self._context.store.load_work(batch.id)
        read = self._read[batch.id]
        jobs = [] if work is None else [job for job in work.jobs if job.state in DONE_STATES]
        for job in jobs:
            if job.run is None or job.index is None or job.run in read:
                continue
            try:
                count = await self._deliver_run(batch, job, (job.run, job.index))
            except DamagedBlobError as damage:
                logger.warning("%s: its answers wait for the others: %s", job_label(job), damage)
            else:
                told = counted(count, "response has", "responses have")
                logger.info("batch %s: %s ended", batch.id, told)
            read.add(job.run)

    async def _deliver_run(self, batch: Batch, job: Job, run: tuple[str, str]) -> int:
        """Write the answers in the run of a job; how many."""
        rows = {row.id: row for row in await self._context.store.responses_of(batch.id)}
        count, tier = 0, self._tier(of_calls=job.cause is Cause.RESCUE)
        async with self._context.workplace() as place:
            runs = [(place / "run", *run)]
            if batch.run is not None and batch.index is not None:  # notes about the requests
                runs.append((place / "first", batch.run, batch.index))
            entries = [await self._entries(*each) for each in runs]
            notes = await asyncio.to_thread(_notes_in, [path for path, *_ in runs], entries)
            for entry in entries[0]:
                if not _is_final(entry, job):
                    continue
                line = await _parsed(await asyncio.to_thread(_piece, runs[0][0], entry))
                row = rows.get(line["custom_id"])
                kept = None if row is None else await self._kept(row)
                if row is not None and kept is not None:
                    await self._finish(row, answered(kept, line, notes.get(row.id, []), tier))
                    count += 1
        return count

    async def _entries(self, path: Path, run: str, index: str) -> Sequence[Entry]:
        """Bring a run, and read its index. Errors: DamagedBlobError."""
        await self._context.copy_to(run, path)
        its_index = path.with_suffix(".index")
        await self._context.copy_to(index, its_index)
        return list(unpack(await asyncio.to_thread(its_index.read_bytes)))

    def _tier(self, *, of_calls: bool) -> str:
        standard = of_calls and self._context.options.rescue.tier == "standard"
        return FULL_PRICE if standard else HALF_PRICE

    async def _deliver_to(self, rows: dict[str, StoredResponse], batch: Batch) -> None:
        tier = self._tier(of_calls=bool(batch.rescue_calls))
        async with self._context.workplace() as place:
            lines = await self._lines(batch, place)
            notes = await self._notes(lines.pop("warnings", None))
            for path in lines.values():
                async for line in _lines_of(path):
                    row = rows.pop(line["custom_id"], None)
                    kept = None if row is None else await self._kept(row)
                    if row is not None and kept is not None:
                        noted = notes.get(row.id, [])
                        await self._finish(row, answered(kept, line, noted, tier))
        for row in rows.values():
            kept = await self._kept(row)
            if kept is not None:
                nothing = failed(kept, NO_LINE) if lines else of_failed_batch(kept, batch)
                await self._finish(row, nothing)

    async def _lines(self, batch: Batch, place: Path) -> dict[str, Path]:
        """Bring the files that a batch ended with; what the disk has lost is rendered again."""
        ids: Mapping[str, str | None] = batch.written
        if batch.rerendered:
            ids = {name: batch.rerendered[-1].get(f"{name}_file_id") for name in FILES}
        paths = {}
        try:
            for name, file_id in ids.items():
                if file_id is not None:
                    paths[name] = place / name
                    await self._context.bring(await self._file(file_id), paths[name])
        except DamagedBlobError:
            if batch.rerendered:
                raise
            again = place / "again"
            again.mkdir()
            rendered = await self._rerenderer.render(batch, stored_policy=True)
            return await self._lines(rendered, again)
        return paths

    async def _file(self, file_id: str) -> File:
        file = await self._context.store.file_by_id(file_id)
        if file is None:
            raise DamagedBlobError(file_id, "is gone")
        return file

    async def _notes(self, path: Path | None) -> dict[str, list[Json]]:
        """Sort what is noted about the lines, as far as it is listed."""
        text = b"" if path is None else await asyncio.to_thread(path.read_bytes)
        return _sorted_notes(text.splitlines())

    async def _finish(self, row: StoredResponse, ended: Ended) -> None:
        written = await _written(ended.kept)
        now = self._context.clock.now()
        blob, seal = await keep_whole(self._context.store, self._context.blobs, written, now)
        stored = ended.kept["response"].get("store") is not False
        life = self._options.kept if stored else self._options.unstored
        expires_at = self._context.clock.now() + life
        done = replace(row, status=ended.status, blob=blob, expires_at=expires_at)
        status = await self._context.store.finish_response(done, seal)
        if status is not None:
            ended_as = replace(done, status=status)
            self._context.tracer.response_ended(ended_as, self._context.clock.now())


_NOT_TOLD: Final = ("line", "custom_id")


def _sorted_notes(entries: Sequence[bytes]) -> dict[str, list[Json]]:
    """Sort entries of a warnings file by the response that they are about."""
    notes: dict[str, list[Json]] = defaultdict(list)
    for note in map(orjson.loads, entries):
        told = {name: value for name, value in note.items() if name not in _NOT_TOLD}
        notes[str(note.get("custom_id"))].append(told)
    return notes


def _is_final(entry: Entry, job: Job) -> bool:
    """Whether a line is told as it is before its batch has ended.

    An answer always is. An error may be one that results which come late put right: those of a
    job that was given up, or that has lines without a result.
    """
    if entry.kind == Kind.ERROR:
        return job.failure is None and not job.unmatched
    return entry.kind == Kind.OUTPUT


def _notes_in(paths: Sequence[Path], entries: Sequence[Sequence[Entry]]) -> dict[str, list[Json]]:
    """Sort the notes of some runs by the response that they are about."""
    found = zip(paths, entries, strict=True)
    texts = [_piece(path, one) for path, some in found for one in some if one.kind == Kind.NOTES]
    return _sorted_notes([note for text in texts for note in text.splitlines()])


def _piece(path: Path, entry: Entry) -> bytes:
    with path.open("rb") as file:
        file.seek(entry.offset)
        return file.read(entry.length)


def _nothing_of(row: StoredResponse) -> Json:
    """Return what the row alone tells of a response."""
    return {
        "id": row.id,
        "object": "response",
        "created_at": row.created_at // 1000,
        "background": True,
        "model": "",
        "output": [],
        "usage": None,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }


async def _lines_of(path: Path) -> AsyncIterator[Json]:
    """Parse the lines of a file that the gateway wrote, one after the other."""
    file = await asyncio.to_thread(path.open, "rb")
    with file:
        while line := await asyncio.to_thread(file.readline):
            yield await _parsed(line)


async def _parsed(text: bytes) -> Json:
    if len(text) <= QUICK_BYTES:
        parsed: Json = orjson.loads(text)
        return parsed
    return await asyncio.to_thread(orjson.loads, text)


async def _written(kept: Json) -> bytes:
    return await asyncio.to_thread(orjson.dumps, kept)
