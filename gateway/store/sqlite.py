"""The store on SQLite: one file, one writing thread, reads in the event loop."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from gateway.batches.admission import Sent, Waiting
from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.file import File
from gateway.batches.job import Job, JobState
from gateway.batches.outlook import ModelQueue
from gateway.batches.quota import Quota
from gateway.batches.staging import NamedFile, StagedFile
from gateway.clock import Clock, SystemClock
from gateway.errors import SettingsError
from gateway.ids import new_gateway_id
from gateway.ports.store import (
    ALL_TIME,
    NO_FILES,
    NOTHING_NAMED,
    BlobChange,
    Deletion,
    Page,
    Seal,
    Work,
)
from gateway.store import batches, blobs, files, quotas, retention, staging
from gateway.store import jobs as job_rows
from gateway.store.lock import DirectoryLock
from gateway.store.migrate import migrate, read_migrations
from gateway.store.queries import load_queries
from gateway.store.session import Session, open_reader, open_writer, require_sqlite
from gateway.store.volumes import refuse_network
from gateway.store.writer import Writer


class SQLiteStore:
    """The gateway's records in one database file.

    ``path`` names the file; its directory is the data directory, locked while the store is open.
    ``clock`` gives the time at which a save makes blobs deletable, the only time no caller passes.
    """

    def __init__(self, path: Path, clock: Clock = SystemClock()) -> None:
        self._path = path
        self._clock = clock
        self._lock: DirectoryLock
        self._writer: Writer
        self._reader: Session
        self._gateway_id: str

    async def open(self, now: int) -> None:
        """Take the lock, migrate, and forget what a dead process left behind."""
        require_sqlite()
        directory = self._path.parent
        refuse_network(directory)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._start(directory, now)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"{self._path} cannot be used as a database: {error}") from error

    def _start(self, directory: Path, now: int) -> None:
        queries = load_queries()
        with ExitStack() as undo:
            self._lock = DirectoryLock(directory)
            undo.callback(self._lock.release)
            session = open_writer(self._path, queries)
            undo.callback(session.close)
            _refuse_damaged(session, self._path)
            migrate(session, read_migrations(), now)
            with session.transaction():
                self._gateway_id = _recover(session, now)
            self._reader = open_reader(self._path, queries)
            self._writer = Writer(session)
            undo.pop_all()

    async def close(self) -> None:
        """Finish pending writes, close both connections, release the lock."""
        await self._writer.close()
        self._reader.close()
        self._lock.release()

    async def gateway_id(self) -> str:
        """Return the random id made when the store was."""
        return self._gateway_id

    # Blobs

    async def register_blob(self, name: str, now: int, seal: Seal | None = None) -> None:
        """Record a name as pending."""
        await self._writer.run(lambda session: blobs.register(session, name, now, seal))

    async def blob_seal(self, name: str) -> Seal | None:
        """Return what a blob's bytes must be."""
        return blobs.seal_of(self._reader, name)

    async def sweepable_blobs(
        self, before: int, limit: int, *, pending_before: int | None = None
    ) -> Sequence[str]:
        """Names deletable or pending for too long; nothing can point at them any more."""
        pending = before if pending_before is None else pending_before
        return await self._writer.run(
            lambda session: blobs.sweepable(session, before, pending, limit)
        )

    async def forget_blobs(self, names: Sequence[str]) -> None:
        """Remove the rows of blobs whose bytes are gone."""
        await self._writer.run(lambda session: blobs.forget(session, names))

    async def known_blobs(self, names: Sequence[str]) -> set[str]:
        """Those of the names that have a row."""
        return blobs.known(self._reader, names)

    # Files

    async def add_file(self, file: File) -> File:
        """Insert; its segments' blobs go live."""
        return await self._writer.run(lambda session: files.add(session, file))

    async def get_file(self, owner: str, file_id: str, now: int) -> File | None:
        """Return a file that is neither deleted nor expired."""
        return files.current(self._reader, owner, file_id, now)

    async def list_files(
        self,
        owner: str,
        now: int,
        *,
        limit: int,
        after: str | None = None,
        purpose: str | None = None,
        ascending: bool = False,
    ) -> Page[File] | None:
        """Files by ``seq``; None when ``after`` is unknown."""
        return files.page(
            self._reader,
            owner,
            now,
            limit=limit,
            after=after,
            purpose=purpose,
            ascending=ascending,
        )

    async def delete_file(self, owner: str, file_id: str, now: int) -> Deletion:
        """Leave a tombstone, the blobs deletable, unless a live batch reads the file."""
        return await self._writer.run(lambda session: files.delete(session, owner, file_id, now))

    async def expire_files(self, now: int, limit: int) -> int:
        """Delete files past their expiry that no live batch reads; how many."""
        return await self._writer.run(lambda session: files.expire(session, now, limit))

    # What outlives the end of a batch

    async def expire_raw(self, now: int, limit: int) -> int:
        """Release raw results and hints whose time is over; return of how many batches."""
        return await self._writer.run(lambda session: retention.expire_raw(session, now, limit))

    async def forget_records(self, before: int, limit: int) -> int:
        """Remove rows of batches ended and of files deleted before that time; how many."""
        return await self._writer.run(
            lambda session: retention.forget_records(session, before, limit)
        )

    # Batches, as requests see them

    async def add_batch(self, batch: Batch, *, same_since: int | None = None) -> Batch | None:
        """Insert, or the earlier batch that is the same; None without the input file."""
        return await self._writer.run(lambda session: batches.add(session, batch, same_since))

    async def get_batch(self, owner: str, batch_id: str) -> Batch | None:
        """One batch."""
        return batches.owned(self._reader, owner, batch_id)

    async def list_batches(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[Batch] | None:
        """Batches, newest first; None when ``after`` is unknown."""
        return batches.page(self._reader, owner, limit, after)

    async def request_cancel(self, owner: str, batch_id: str, now: int) -> Batch | None:
        """Set ``cancel_requested_at`` on a live batch, once, and make it due."""
        return await self._writer.run(
            lambda session: batches.request_cancel(session, owner, batch_id, now)
        )

    async def note_used(self, owner: str, batch_ids: Sequence[str], now: int) -> None:
        """Note that a client has these ids."""
        await self._writer.run(lambda session: batches.note_used(session, owner, batch_ids, now))

    # The runner's side

    async def due_batches(self, now: int, limit: int) -> Sequence[Work]:
        """Batches whose own row is due, validations aside, each with its jobs at one moment."""
        found = []
        for batch in batches.due(self._reader, now, limit):
            found.append(await self.load_work(batch.id))
            await asyncio.sleep(0)  # in between the loop may do something else
        return [work for work in found if work is not None]

    async def due_validations(self, now: int, limit: int) -> Sequence[tuple[Batch, int]]:
        """Batches that wait for their validation, and the bytes of their input."""
        return batches.validations(self._reader, now, limit)

    async def due_jobs(self, state: JobState, now: int, limit: int) -> Sequence[Work]:
        """Due jobs in a state, each with its batch."""
        with self._reader.snapshot():
            due = job_rows.due(self._reader, state, now, limit)
            found = [(batches.by_id(self._reader, job.batch_id), job) for job in due]
        return [Work(batch, [job]) for batch, job in found if batch is not None]

    async def young_jobs(self, now: int, since: int, items: int, limit: int) -> Sequence[Work]:
        """Return due jobs of few items that began to run after that moment."""
        with self._reader.snapshot():
            due = job_rows.young(self._reader, now, since, items, limit)
            found = [(batches.by_id(self._reader, job.batch_id), job) for job in due]
        return [Work(batch, [job]) for batch, job in found if batch is not None]

    async def waiting_jobs(self, now: int, limit: int) -> Sequence[Waiting]:
        """Jobs that wait to be sent and are due, some of each owner and model."""
        return job_rows.waiting(self._reader, now, limit)

    async def queues_of(self, batch_id: str) -> Sequence[ModelQueue]:
        """Return what a batch's jobs wait for, model by model."""
        with self._reader.snapshot():
            return job_rows.queues(self._reader, batch_id)

    async def due_kinds(self, now: int) -> frozenset[str]:
        """Which kinds of rows are due."""
        return batches.due_kinds(self._reader, now)

    async def next_due(self, after: int = ALL_TIME) -> int | None:
        """When something becomes due."""
        return batches.next_due(self._reader, after)

    async def load_job(self, job_id: str) -> Work | None:
        """One job with its batch."""
        with self._reader.snapshot():
            job = job_rows.by_id(self._reader, job_id)
            batch = None if job is None else batches.by_id(self._reader, job.batch_id)
        return None if job is None or batch is None else Work(batch, [job])

    async def load_batch(self, batch_id: str) -> Batch | None:
        """One batch without its jobs, whatever its owner."""
        return batches.by_id(self._reader, batch_id)

    async def load_work(self, batch_id: str) -> Work | None:
        """One batch with its jobs, whatever its owner."""
        with self._reader.snapshot():
            batch = batches.by_id(self._reader, batch_id)
            return None if batch is None else Work(batch, job_rows.of_batch(self._reader, batch_id))

    async def input_file(self, batch_id: str) -> File | None:
        """Return the input file of a batch, deleted or not."""
        return files.input_of(self._reader, batch_id)

    async def running_job(self, job: Job, submitted_before: int) -> Job | None:
        """Return some other job that must be in the upstream's listing where this one would be."""
        return job_rows.running(self._reader, job, submitted_before)

    async def another_model_runs(self, job: Job, since: int) -> bool:
        """Whether a job of another model was accepted from the same key since then."""
        return job_rows.another_model_runs(self._reader, job, since)

    async def owners(self) -> Mapping[str, tuple[int, int]]:
        """Every owner, with how many files and batches it has."""
        return files.owners(self._reader)

    async def foreign_jobs(self, credential: str, made_by: str) -> int:
        """How many jobs of a credential run upstream, or may, that another key made."""
        return job_rows.foreign(self._reader, credential, made_by)

    async def pull_in(self, now: int, latest: int) -> None:
        """Make due now what is due after ``latest``."""
        await self._writer.run(lambda session: _pull_in(session, now, latest))

    async def rest_batch(self, batch: Batch, due_at: int | None) -> None:
        """Set when the batch row is due next, if its ``due_at`` still is what was read."""
        await self._writer.run(lambda session: batches.rest(session, batch, due_at))

    async def claim_batch(self, batch_id: str, now: int, lease_until: int) -> Batch | None:
        """Take a live batch's row, raising its fence."""
        return await self._writer.run(
            lambda session: batches.claim(session, batch_id, now, lease_until)
        )

    async def claim_job(self, job_id: str, now: int, lease_until: int) -> Job | None:
        """Take a job's row, raising its fence."""
        return await self._writer.run(
            lambda session: job_rows.claim(session, job_id, now, lease_until)
        )

    async def save_batch(
        self,
        batch: Batch,
        *,
        jobs: Sequence[Job] = (),
        named: Mapping[str, Mapping[str, str]] = NOTHING_NAMED,
        files: Sequence[File] = (),
        blobs: BlobChange = BlobChange(),
        keep: bool = False,
    ) -> bool:
        """Write the runner's columns of a claimed batch, guarded by its fence."""
        now = self._clock.now()
        return await self._writer.run(
            lambda session: batches.save(
                session,
                batch,
                jobs=jobs,
                named=named,
                files=files,
                blobs=blobs,
                keep=keep,
                now=now,
            )
        )

    async def longest_job(self, model: str) -> int:
        """How long the longest of the last jobs of a model ran that ended well (ms)."""
        return job_rows.longest(self._reader, model)

    async def add_rerendered(
        self, batch_id: str, entry: Mapping[str, object], files: Sequence[File]
    ) -> Batch | None:
        """List new files of an ended batch on it."""
        return await self._writer.run(
            lambda session: batches.add_rerendered(session, batch_id, entry, files)
        )

    async def save_job(
        self,
        job: Job,
        *,
        counts: Counts = Counts(),
        usage: TokenUsage = TokenUsage(),
        blobs: BlobChange = BlobChange(),
        jobs: Sequence[Job] = (),
        named: Mapping[str, Sequence[str]] = NO_FILES,
        wake: bool = False,
        doubt_files: bool = False,
        keep: bool = False,
    ) -> bool:
        """Write a claimed job, guarded by its fence."""
        now = self._clock.now()
        return await self._writer.run(
            lambda session: job_rows.save(
                session,
                job,
                counts=counts,
                usage=usage,
                blobs=blobs,
                jobs=jobs,
                named=named,
                wake=wake,
                doubt_files=doubt_files,
                keep=keep,
                now=now,
            )
        )

    # Quotas

    async def quotas(self) -> Sequence[Quota]:
        """Return what answers have taught."""
        return quotas.every(self._reader)

    async def learn(self, credential: str, model: str, change: Callable[[Quota], Quota]) -> Quota:
        """Change what is known of one limit."""
        return await self._writer.run(
            lambda session: quotas.learn(session, credential, model, change)
        )

    async def sent_jobs(self, *, but: Sequence[str] = ()) -> Sequence[Sent]:
        """Return what is at the upstream, or may be."""
        return quotas.sent(self._reader, but)

    # Files that lines name

    async def get_files(self, owner: str, file_ids: Sequence[str], now: int) -> Sequence[File]:
        """Those of the files that are neither deleted nor expired."""
        return staging.owned(self._reader, owner, file_ids, now)

    async def failed_files(self, job_id: str) -> Sequence[NamedFile]:
        """Those of the files a job names that the upstream cannot use."""
        return staging.failed(self._reader, job_id)

    async def stage_files(
        self, job: Job, expires_at: int, room: int, now: int
    ) -> Sequence[NamedFile] | None:
        """Give each file that a claimed job names a copy to use."""
        return await self._writer.run(
            lambda session: staging.stage(session, job, expires_at, room, now)
        )

    async def due_staged(
        self, now: int, limit: int, *, uploads: int | None = None
    ) -> Sequence[StagedFile]:
        """Return copies that are due and not claimed."""
        return staging.due(self._reader, now, limit, limit if uploads is None else uploads)

    async def claim_staged(self, staged_id: str, now: int, lease_until: int) -> StagedFile | None:
        """Claim a copy, raising its fence; one that is not needed is to be removed."""
        return await self._writer.run(
            lambda session: staging.claim(session, staged_id, now, lease_until)
        )

    async def content_of_staged(self, staged_id: str) -> File | None:
        """Return a file whose bytes a copy is of."""
        return staging.content(self._reader, staged_id)

    async def save_staged(
        self, staged: StagedFile, *, keep: bool = False, gone: bool = False
    ) -> bool:
        """Write a claimed copy, or remove its row, guarded by its fence."""
        now = self._clock.now()
        return await self._writer.run(
            lambda session: staging.save(session, staged, keep=keep, gone=gone, now=now)
        )


def _pull_in(session: Session, now: int, latest: int) -> None:
    values = {"now": now, "latest": latest}
    for name in ("pull_in_jobs", "pull_in_send_deadlines", "pull_in_batches", "pull_in_staged"):
        session.run(name, values)


def _refuse_damaged(session: Session, path: Path) -> None:
    """Refuse a damaged database before anything is served: later it would be waits and 500s."""
    (found,) = session.connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise SettingsError(f"{path} is damaged ({found}): restore a copy of the data directory")


def _recover(session: Session, now: int) -> str:
    batches.recover(session, now)
    job_rows.recover(session, now)
    staging.recover(session)
    blobs.recover(session)
    session.run("keep_meta", {"key": "gateway_id", "value": new_gateway_id()})
    gateway_id: str = session.the("get_meta", {"key": "gateway_id"})["value"]
    return gateway_id
