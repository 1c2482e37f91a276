"""A runner over a real store, real blobs and real workers, with a scripted upstream."""

import asyncio
import contextlib
import hashlib
import itertools
import sqlite3
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psutil

from gateway.batches.batch import Batch
from gateway.batches.file import File, Segment
from gateway.batches.job import Job, JobState
from gateway.batches.pacing import Pace
from gateway.batches.patience import Patience
from gateway.batches.planning import JobLimits
from gateway.batches.staging import StagedFile
from gateway.blobs.local import LocalBlobs
from gateway.blobs.recorded import RecordedBlobs
from gateway.clock import Clock, SystemClock
from gateway.errors import (
    InDoubtError,
    UnavailableError,
    UpstreamAmbiguousError,
    UpstreamGoneError,
    UpstreamHeldError,
)
from gateway.ids import is_recorded, new_batch_id, new_blob_name, new_file_id
from gateway.ports.store import NO_INTENTS, Intent, Work
from gateway.ports.upstream import (
    Absent,
    FileSeen,
    FileState,
    Found,
    Model,
    Observation,
    Source,
    Staged,
    Unknown,
    Uploaded,
    Upstream,
)
from gateway.runner.context import RunnerOptions, StepContext
from gateway.runner.cpu.validate import InputLimits
from gateway.runner.runner import Runner
from gateway.runner.sweeper import Sweeper
from gateway.runner.workers import Workers
from gateway.store.sqlite import SQLiteStore
from gateway.units import KIB
from gateway.upstream.gemini import GeminiUpstream
from tests.databases import migrated

OWNER = "owner"
DATABASE = "gateway.sqlite3"
HOUR = 3_600_000
SO_LONG = 150  # seconds: a backlog, on a machine with ten times its work
LOOKS = 0.01  # seconds between looks at what tells no event
MODEL = "gemini-2.5-flash-lite"  # one whose end is not announced: it would be noted of each line
MODELS = (MODEL, "gemini-3-flash-preview")
READY = FileSeen(FileState.READY)
RECORDED_BYTES = 16 * KIB  # as the program's default; with ``files_only`` none


class ShiftedClock(SystemClock):
    """The machine's clock, ahead by as much as a test likes."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        """Milliseconds, shifted."""
        return super().now() + self.ahead


class FillingStore(SQLiteStore):
    """Records on a disk that can be full: then nothing is written."""

    full = False
    late = 0  # how often it was in vain asked to make due what a wrong clock has put off
    pulled = 0  # how often that was done
    saves: asyncio.Event | None = None  # what saves of jobs wait for
    waiting = 0  # how many have come to wait
    doubts = 0  # failures that are written down while the connection breaks in the commit

    def _room(self) -> None:
        if self.full:
            raise UnavailableError("storage is full")

    def _doubt(self, row: Batch | Job) -> None:
        if self.doubts and row.failures:
            self.doubts -= 1
            raise InDoubtError("the connection broke in the commit")

    async def pull_in(self, now: int, latest: int) -> None:
        """Make due."""
        self.late += self.full
        self._room()
        await super().pull_in(now, latest)
        self.pulled += 1

    async def claim_batch(self, batch_id: str, lease: int) -> Batch | None:
        """Claim."""
        self._room()
        return await super().claim_batch(batch_id, lease)

    async def claim_jobs(self, job_ids: Sequence[str], lease: int) -> Sequence[Job]:
        """Claim."""
        self._room()
        return await super().claim_jobs(job_ids, lease)

    async def claim_to_send(
        self,
        placed: Mapping[str, str],
        turn: str,
        lease: int,
        intents: Mapping[str, Intent] = NO_INTENTS,
    ) -> Sequence[Work] | None:
        """Claim."""
        self._room()
        return await super().claim_to_send(placed, turn, lease, intents)

    async def save_job(self, job: Job, **others: Any) -> bool:
        """Save."""
        if self.saves is not None:
            self.waiting += 1
            await self.saves.wait()
        self._room()
        saved = await super().save_job(job, **others)
        self._doubt(job)
        return saved

    async def save_batch(self, batch: Batch, **others: Any) -> bool:
        """Save."""
        self._room()
        return await super().save_batch(batch, **others)


class Fine(Exception):  # noqa: N818 - no error at all: a place in a script
    """A call that goes well, before others that do not."""


@dataclass
class UpstreamJob:
    """One job of the scripted upstream."""

    name: str
    display_name: str
    spool: bytes
    state: str = "SUCCEEDED"
    cancelled: bool = False
    project: str = "one"


@dataclass
class ScriptedUpstream:
    """Does what the port says, at once; ``script`` has what to raise first, by method.

    ``state`` is the state in which a job is from its creation on; ``served`` says which keys get
    an answer, ``hidden`` which jobs no listing shows.
    """

    script: dict[str, list[BaseException]] = field(default_factory=lambda: defaultdict(list))
    jobs: list[UpstreamJob] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    state: str = "SUCCEEDED"
    error_code: str | None = None
    error: str | None = None
    output: str | None = "files/out"
    served: Callable[[str], bool] = lambda _: True
    # What results hold instead of an answer, by key, for each job in order; None: no result.
    spoilt: list[dict[str, dict[str, Any] | None]] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)
    # Which key is set, and whose jobs it sees.
    key: str = "first"
    project: str = "one"
    # What downloads answer first; how often a job that has ended shows no output yet.
    garbage: list[bytes] = field(default_factory=list)
    late: int = 0
    unlisted: bool = False  # the list lacks the model that there is
    refused_model: UpstreamHeldError | None = None  # of MODEL, by create
    unheard: int = 0  # so many cancels happen without an answer
    deaf: bool = False  # no cancel is obeyed
    # Clients' files by name, those that are there, the states they are seen in next, their life.
    uploaded: dict[str, bytes] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    projects: dict[str, str] = field(default_factory=dict)  # of clients' files
    file_states: list[FileState] = field(default_factory=list)
    file_life: int = 47 * HOUR
    clock: Callable[[], int] = lambda: 0
    # Methods that hang until the event is set.
    hanging: dict[str, asyncio.Event] = field(default_factory=dict)
    reached: set[str] = field(default_factory=set)  # those that could hang, once they began

    def _call(self, method: str) -> None:
        self.calls.append(method)
        if self.script[method]:
            next_one = self.script[method].pop(0)
            if not isinstance(next_one, Fine):
                raise next_one

    async def _hang(self, method: str) -> None:
        self.reached.add(method)
        if method in self.hanging:
            await self.hanging[method].wait()

    def _job(self, name: str) -> UpstreamJob:
        for job in self.jobs:
            if job.name == name and job.project == self.project:
                return job
        raise UpstreamGoneError("no such job", status=404)

    def identity(self, credential: str, salt: str) -> str:
        """Which key is set."""
        assert (credential, salt) == ("default", "gwtest")
        return self.key

    async def stage(self, job: Job, spool: Source) -> Staged:
        """Upload."""
        self._call("stage")
        await self._hang("stage")
        size = sum([len(block) async for block in spool.blocks()])
        assert size == spool.size == job.outgoing[1]
        return Staged(f"files/{len(self.calls)}", 2**53)

    async def stage_file(self, staged: StagedFile, display_name: str, content: Source) -> Uploaded:
        """Upload a client's file."""
        assert display_name == f"gwtest-{staged.id}"
        self._call("stage_file")
        data = b"".join([block async for block in content.blocks()])
        assert len(data) == content.size == staged.bytes
        name = f"files/c{len(self.uploaded)}"
        self.uploaded[name] = data
        self.there.add(name)
        self.projects[name] = self.project
        seen = FileSeen(self.file_states.pop(0)) if self.file_states else READY
        return Uploaded(name, f"https://upstream/{name}", self.clock() + self.file_life, seen)

    async def observe_file(self, name: str, credential: str) -> FileSeen:
        """Get a client's file."""
        assert credential == "default"
        self._call("observe_file")
        if name not in self.there or self.projects[name] != self.project:
            raise UpstreamGoneError("no such file", status=403)
        return FileSeen(self.file_states.pop(0), "spoilt") if self.file_states else READY

    async def release_file(self, name: str, credential: str) -> None:
        """Delete a client's file."""
        assert credential == "default"
        self._call("release_file")
        self.there.remove(name)

    async def create(self, job: Job, spool: Source, seconds: float) -> str:
        """Create; an ambiguous error is raised after the job was made."""
        assert seconds > 0
        assert job.inline == (job.staged is None)
        if self.refused_model is not None and job.model == MODEL:
            raise self.refused_model
        try:
            await self._hang("create")
            self._call("create")
        except UpstreamAmbiguousError:
            await self._accept(job, spool)
            raise
        return await self._accept(job, spool)

    async def _accept(self, job: Job, spool: Source) -> str:
        content = b"".join([block async for block in spool.blocks()])
        name = f"batches/{len(self.jobs)}"
        made = UpstreamJob(name, job.display_name, content, self.state, project=self.project)
        self.jobs.append(made)
        return name

    async def find(self, display_name: str, credential: str, known: str | None) -> Any:
        """List."""
        assert credential == "default"
        self._call("find")
        seen = [job for job in self.jobs if job.project == self.project]
        if known is not None and known not in {job.name for job in seen}:
            return Unknown()
        listed = [job for job in seen if job.name not in self.hidden]
        names = [job.name for job in listed if job.display_name == display_name]
        return Found(names) if names else Absent()

    async def observe(self, name: str, credential: str, **_: bool) -> Observation:
        """Get."""
        assert credential == "default"
        self._call("observe")
        await self._hang("observe")
        job = self._job(name)
        ended = job.state not in {"PENDING", "RUNNING"}
        if ended and self.late:
            self.late -= 1
            return Observation(job.state, ended=True)
        return Observation(
            job.state, ended, self.output if ended else None, self.error_code, self.error
        )

    async def fetch(self, name: str, output: str, credential: str) -> AsyncGenerator[bytes, None]:
        """Download, in two blocks."""
        assert (output, credential) == ("files/out", "default")
        self._call("fetch")
        if self.garbage:
            yield self.garbage.pop(0)
            return
        job = self._job(name)
        rows = [orjson.loads(line) for line in job.spool.splitlines()]
        place = self.jobs.index(job)
        spoilt = self.spoilt[place] if place < len(self.spoilt) else {}
        lines = [_result(row, spoilt) for row in rows if self.served(row["key"])]
        for block in (b"".join(lines[:1]), b"".join(lines[1:])):
            yield block

    async def cancel(self, name: str, credential: str) -> None:
        """Cancel."""
        assert credential == "default"
        self._call("cancel")
        job = self._job(name)
        job.cancelled = True
        if self.deaf:
            return
        job.state = "CANCELLED" if job.state in {"PENDING", "RUNNING"} else job.state
        if self.unheard:
            self.unheard -= 1
            raise UpstreamAmbiguousError("no answer")

    async def release(self, job: Job) -> None:
        """Delete."""
        assert job.upstream_name or job.staged
        self._call("release")

    async def models(self, credential: str) -> Sequence[Model]:
        """List models."""
        assert credential == "default"
        self._call("models")
        await self._hang("models")
        if self.unlisted:
            return [Model("gemini-other", frozenset({"batchGenerateContent"}))]
        return [Model(name, frozenset({"batchGenerateContent"})) for name in MODELS]

    async def model(self, name: str, credential: str) -> Model | None:
        """Get a model."""
        assert credential == "default"
        self._call("model")
        await self._hang("model")
        return Model(name, frozenset({"batchGenerateContent"})) if name == MODEL else None

    async def close(self) -> None:
        """Nothing to close."""


def _result(row: dict[str, Any], spoilt: dict[str, dict[str, Any] | None]) -> bytes:
    if row["key"] in spoilt:
        instead = spoilt[row["key"]]
        return b"" if instead is None else orjson.dumps({"key": row["key"], **instead}) + b"\n"
    text = row["request"]["contents"][0]["parts"][0]["text"]
    candidate = {"content": {"parts": [{"text": f"re {text}"}]}, "finishReason": "STOP"}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
    answer = {"candidates": [candidate], "usageMetadata": usage}
    return orjson.dumps({"key": row["key"], "response": answer}) + b"\n"


@dataclass
class World:
    """Everything a runner test touches."""

    context: StepContext
    upstream: ScriptedUpstream
    clock: ShiftedClock
    runner: Runner
    store: FillingStore

    async def submit(
        self, content: bytes, *, owner: str = OWNER, cuts: Sequence[int] = (), **columns: Any
    ) -> Batch:
        """Upload a file, its segments cut there, and create a batch, past the API."""
        file = await self.upload(content, "input.jsonl", purpose="batch", owner=owner, cuts=cuts)
        return await self.submit_file(file, **columns)

    async def submit_file(self, file: File, **columns: Any) -> Batch:
        """Create a batch over a file, past the API."""
        store, now = self.context.store, self.clock.now()
        batch = Batch(
            id=new_batch_id(),
            owner=file.owner,
            endpoint=columns.pop("endpoint", "/v1/chat/completions"),
            input_file_id=file.id,
            created_at=now,
            expires_at=columns.pop("expires_at", now + 24 * HOUR),
            due_at=now,
            **columns,
        )
        added = await store.add_batch(batch)
        assert added is not None
        self.runner.wake()
        return added

    async def upload(
        self,
        content: bytes,
        filename: str,
        *,
        purpose: str = "user_data",
        owner: str = OWNER,
        cuts: Sequence[int] | None = None,
    ) -> File:
        """Upload a file, past the API, in two segments unless it is told where to cut."""
        store, now = self.context.store, self.clock.now()
        segments = []
        ends = [*((2,) if cuts is None else cuts), len(content)]
        for start, end in itertools.pairwise([0, *ends]):
            piece = content[start:end]
            blob = new_blob_name()
            await store.register_blob(blob, now)
            async with self.context.blobs.create(blob) as writer:
                await writer.write(piece)
            segments.append(Segment(blob, len(piece)))
        file = File(
            id=new_file_id(),
            owner=owner,
            purpose=purpose,
            filename=filename,
            bytes=len(content),
            lines=1,
            sha256=hashlib.sha256(content).hexdigest(),
            segments=tuple(segments),
            created_at=now,
        )
        return await store.add_file(file)

    async def get(self, batch: Batch) -> Batch:
        """The batch as it is."""
        now = await self.context.store.get_batch(OWNER, batch.id)
        assert now is not None
        return now

    async def work(self, batch: Batch) -> Work:
        """The batch and its jobs as they are."""
        work = await self.context.store.load_work(batch.id)
        assert work is not None
        return work

    async def until(self, condition: Callable[[Work], Any], batch: Batch) -> Work:
        """Wait for the rows to be so."""
        async with asyncio.timeout(SO_LONG):
            while not condition(work := await self.work(batch)):
                await self.clock.sleep(LOOKS)
        return work

    async def sees(self, condition: Callable[[], Any]) -> None:
        """Wait until something else is so, of which there is no event: a double, other rows."""
        async with asyncio.timeout(SO_LONG):
            while not condition():
                await self.clock.sleep(LOOKS)

    async def lose_first(self, batch: Batch, failed: int) -> UpstreamJob:
        """Have the first of two running jobs denied until it is given up: so many lines failed."""
        running = [JobState.RUNNING] * 2
        work = await self.until(lambda work: [job.state for job in work.jobs] == running, batch)
        mine = work.jobs[0].display_name
        [job] = [made for made in self.upstream.jobs if made.display_name == mine]
        self.upstream.jobs.remove(job)
        await self.until(lambda work: work.jobs[0].denials > 1, batch)
        self.clock.ahead = 7 * HOUR
        await self.until(lambda work: work.batch.counts.failed == failed, batch)
        return job

    async def ended(self, batch: Batch) -> Batch:
        """Wait for a terminal status."""
        ends = {"completed", "failed", "expired", "cancelled"}
        return (await self.until(lambda work: work.batch.status in ends, batch)).batch

    async def lines(self, file_id: str | None) -> list[dict[str, Any]]:
        """The lines of a published file."""
        if file_id is None:
            return []
        file = await self.context.store.get_file(OWNER, file_id, self.clock.now())
        assert file is not None
        blocks = [block async for block in self.context.blobs.read(file.segments[0].blob)]
        return [orjson.loads(line) for line in b"".join(blocks).splitlines()]


def options(**changes: Any) -> RunnerOptions:
    """Quick ones."""
    limits = JobLimits(50_000, 2**29, 2**20, changes.pop("inline_items", 100), 20)
    values = {
        "poll": Pace(*changes.pop("polls", (10, 50))),
        "retry": Pace(5, 50),
        "settle": 50,
        "create_seconds": 5.0,
        "sweep_age": 0,
        "input_limits": InputLimits(
            1000_000, 1000_000, 2**25, 5, 20, 1000, changes.pop("max_warnings", 100)
        ),
        "job_limits": limits,
        "gateway_id": "gwtest",
        "polls_per_minute": 60_000,
        "patience": Patience(denial=6 * HOUR, ending=600_000),
    }
    return RunnerOptions(**{**values, **changes})


def worker_processes() -> list[psutil.Process]:
    """Return those of this process, now.

    Servers that tests of other folders share are children of this process too.
    """
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child] if "gateway.runner.worker" in child.cmdline() else []
    return found


# Of the room's loop: a process for each test would be half of what a test costs.
_kept: dict[asyncio.AbstractEventLoop, Workers] = {}


async def end_kept_workers() -> None:
    """End the workers that tests of this loop shared."""
    kept = _kept.pop(asyncio.get_running_loop(), None)
    if kept is not None:
        await kept.close()


@contextlib.asynccontextmanager
async def workers(*, alone: bool, count: int = 1, memory: int = 0) -> AsyncIterator[Workers]:
    """One worker, shared by the tests of a process; ``alone``: new ones, and no other process."""
    if alone:
        await end_kept_workers()
        own = Workers(count, memory)
        try:
            yield own
        finally:
            await own.close()
    else:
        yield _kept.setdefault(asyncio.get_running_loop(), Workers(1))


@contextlib.asynccontextmanager
async def world(
    tmp_path: Path,
    real: Callable[[Clock], Upstream] | None = None,
    *,
    alone: bool = False,
    processes: int = 1,
    memory: int = 0,
    **changes: Any,
) -> AsyncIterator[World]:
    """A running runner, before the scripted upstream or a ``real`` one."""
    own = workers(alone=alone or processes > 1, count=processes, memory=memory)
    async with own as pool, _world(tmp_path, real, pool, **changes) as made:
        yield made


@contextlib.asynccontextmanager
async def _world(
    tmp_path: Path, real: Callable[[Clock], Upstream] | None, pool: Workers, **changes: Any
) -> AsyncIterator[World]:
    clock = ShiftedClock()
    store = FillingStore(migrated(tmp_path / "data" / DATABASE), clock)
    await store.open(clock.now())
    blobs = RecordedBlobs(LocalBlobs(tmp_path / "data" / "blobs"), store, RECORDED_BYTES)
    await blobs.open()
    upstream = ScriptedUpstream(clock=clock.now)
    scratch = tmp_path / "data" / "scratch"
    used = real(clock) if real else upstream
    single = used if isinstance(used, GeminiUpstream) else None
    context = StepContext(store, blobs, used, pool, clock, scratch, options(**changes), single)
    runner = Runner(context)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.run())
            yield World(context, upstream, clock, runner, store)
            runner.stop()
    finally:
        await used.close()
        await store.close()


class Row:
    """The bytes of a blob in the records, as something else finds or changes them."""

    def __init__(self, database: Path, name: str) -> None:
        self._database = database
        self._name = name

    def read_bytes(self) -> bytes:
        """All of them."""
        with closing(sqlite3.connect(self._database)) as records:
            sql = "SELECT content FROM blob_contents WHERE name = ?"
            [(content,)] = records.execute(sql, [self._name])
        return bytes(content)

    def write_bytes(self, content: bytes) -> None:
        """Write others in their place."""
        self._write("UPDATE blob_contents SET content = :content WHERE name = :name", content)

    def unlink(self) -> None:
        """Remove them; the blob's own row stays."""
        self._write("DELETE FROM blob_contents WHERE name = :name")

    def _write(self, sql: str, content: bytes = b"") -> None:
        with closing(sqlite3.connect(self._database)) as records, records:
            changed = records.execute(sql, {"name": self._name, "content": content})
            assert changed.rowcount == 1


Place = Path | Row


def place_of(tmp_path: Path, blob: str | None) -> Place:
    """Where the bytes of a blob are."""
    assert blob is not None
    data = tmp_path / "data"
    return Row(data / DATABASE, blob) if is_recorded(blob) else data / "blobs" / blob[:2] / blob


def kept(tmp_path: Path) -> dict[str, int]:
    """Every blob that has bytes, in a file or in the records, and how many."""
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE)) as records:
        rows = dict(records.execute("SELECT name, length(content) FROM blob_contents").fetchall())
    files = (tmp_path / "data" / "blobs").rglob("*")
    return rows | {path.name: path.stat().st_size for path in files if path.is_file()}


async def sweep(context: StepContext) -> int:
    """One round of the sweeper."""
    return await Sweeper(context).sweep()


def naming(custom_id: str, *file_ids: str, **body: Any) -> bytes:
    """One chat line that names files."""
    parts = [{"type": "file", "file": {"file_id": file_id}} for file_id in file_ids]
    message = {"role": "user", "content": [{"type": "text", "text": custom_id}, *parts]}
    return chat(custom_id, messages=[message], **body)


def chat(custom_id: str, text: str = "x", **body: Any) -> bytes:
    """One chat line."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}], **body}
    value = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps(value) + b"\n"
