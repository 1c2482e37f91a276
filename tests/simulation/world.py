"""One gateway on a simulated clock: its real API, runner, store and blobs, in one thread.

The event loop is asyncio's with another sense of time: where it would wait, the clock moves on to
what it waits for, and while the runner has nothing under way, to what the store has due next. Calls
that would run in threads or worker processes run at once, by the same functions. So a story is the
same whenever it is told again, and a day takes milliseconds.

A crash is the end of everything at one call of a port, before it did anything or right after: no
``finally`` changes what is on the disk (:meth:`Life.point`).
"""

import asyncio
import errno
import random  # noqa: TID251 - seeded: a story must be the same when it is told again
import secrets
import selectors
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import orjson

from gateway import ids
from gateway.api.app import create_api
from gateway.api.services import ApiOptions, Services
from gateway.batches.follow_ups import RetryRules
from gateway.batches.job import DONE_STATES, Job
from gateway.batches.pacing import Pace
from gateway.batches.patience import HOUR, Patience
from gateway.batches.planning import JobLimits
from gateway.batches.quota import QuotaRules
from gateway.blobs.layout import write_all
from gateway.blobs.local import LocalBlobs
from gateway.blobs.recorded import RecordedBlobs
from gateway.errors import AuditError, NoRoomError, UnavailableError
from gateway.ids import digest
from gateway.ports.store import ALL_TIME
from gateway.runner.context import Retention, RunnerOptions, StepContext
from gateway.runner.cpu.validate import InputLimits
from gateway.runner.rerender import Rerenderer
from gateway.runner.retry_input import RetryInput
from gateway.runner.runner import Runner
from gateway.runner.sweeper import Sweeper
from gateway.runner.worker import answer
from gateway.runner.workers import Workers
from gateway.store import batches as batch_rows
from gateway.store import jobs as job_rows
from gateway.store import quotas as quota_rows
from gateway.store.migrate import migrate, read_migrations
from gateway.store.queries import load_queries
from gateway.store.sqlite import SQLiteStore, _recover
from gateway.store.sqlite_session import SQLiteSession, _connect, carried_out
from gateway.store.writer import Writer, _Write
from gateway.translate import ENDPOINTS
from tests.simulation.google import Google

T = TypeVar("T")

EPOCH: Final = 2_000_000_000_000  # ms; after the times of real files, which only a sweep reads
SETTLE: Final = 180.0  # seconds
ENDING: Final = 600.0
MOST_TOKENS: Final = 160
MOST_JOBS: Final = 3
OWNERS: Final = {"sk-ann": "ann", "sk-bob": "bob"}  # key -> owner
# While work is due that may not start yet (quota), the runner looks again this often at least: it
# waits for a job to end, which is due itself, or for the end of a pause of its quota.
BLOCKED_TICK: Final = 600.0
# So many calls without a moment passing are a hot loop.
HOT: Final = 5_000
# So many rounds of the event loop without a moment passing are one too.
IDLE: Final = 20_000
# Calls of the blobs that write.
WRITES: Final = frozenset({"_take_all", write_all.__name__, "_write_and_publish"})
# The most that a blob has in the records: of a story's blobs some are there, the others in files.
RECORDED_BYTES: Final = 1000
MEMORY: Final = Path("/dev/shm")
IN_MEMORY: Final = Path(":memory:")


class DeathError(BaseException):
    """The process is no more. No ``except Exception`` sees it."""


class SimulatedTime:
    """Seconds since the story began, and a wall clock that may be set."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.skew = 0

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return EPOCH + round(self.seconds * 1000) + self.skew

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Suspend the current task."""
        await asyncio.sleep(seconds)


class Life:
    """One life of the process, from a start to its end."""

    def __init__(self) -> None:
        self.dead = False
        self.fuse: int | None = None
        self.calls = 0
        self.robber: int | None = None  # at which save of a job from now another holder takes it
        self.robberies = 0
        self.full = False  # the disk takes no more
        self.wrong: list[str] = []
        self.bell: Callable[[], None] = lambda: None

    def point(self) -> None:
        """A place at which the process may die; one that is dead does nothing any more."""
        if self.dead:
            raise DeathError
        self.calls += 1
        if self.calls > HOT:
            raise AssertionError("a hot loop: no moment passes")
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.die()
                raise DeathError

    def need_room(self, func: Callable[..., Any]) -> None:
        """Errors: OSError of a call that writes to a full disk."""
        if self.full and getattr(func, "__name__", None) in WRITES:
            raise OSError(errno.ENOSPC, "no space left")

    def is_robbed(self) -> bool:
        """Whether the job that is saved now is taken by another holder first."""
        if self.robber is None:
            return False
        self.robber -= 1
        if self.robber > 0:
            return False
        self.robber = None
        self.robberies += 1
        return True

    def die(self) -> None:
        """Power off."""
        self.dead = True
        self.bell()


class _Waiting(selectors.SelectSelector):
    """Where the loop would wait, time passes."""

    def __init__(self, pass_time: Callable[[float | None], None]) -> None:
        super().__init__()
        self._pass_time = pass_time
        self._rounds = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing ever comes from outside.

        Errors: AssertionError when nothing lets time pass, not even a call of a port (one that only
        reads meets no :meth:`Life.point`).
        """
        if timeout is None or timeout > 0:
            self._rounds = 0
            self._pass_time(timeout)
        self._rounds += 1
        if self._rounds > IDLE:
            self._rounds = 0  # what is left must still be unwound
            raise AssertionError("a hot loop: no moment passes, and nothing is done")
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, on a simulated clock and without threads."""

    def __init__(
        self, clock: SimulatedTime, life: Life, pass_time: Callable[[float | None], None]
    ) -> None:
        self._clock, self._life = clock, life
        super().__init__(_Waiting(pass_time))
        self.set_exception_handler(lambda *_: None)

    def time(self) -> float:
        """Simulated seconds."""
        return self._clock.seconds

    def run_in_executor(  # type: ignore[override]
        self, _: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run it here and now."""
        self._life.point()
        made = self.create_future()
        try:
            self._life.need_room(func)
            made.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - a thread hands on whatever it meets
            made.set_exception(error)
            made.exception()
        return made


class InlineWriter(Writer):
    """The store's writer, without its thread: a write is durable at once, its answer comes later.

    Making one starts no thread.
    """

    def __init__(self, session: SQLiteSession, life: Life) -> None:
        self.commits = 0
        self._session = session
        self._life = life

    async def run(self, work: Callable[[SQLiteSession], T]) -> T:
        """Carry out a write. The process may die before it, and after it."""
        self._life.point()
        if self._life.full:
            raise NoRoomError("The gateway cannot record anything now: the storage is full.")
        write = _Write(work, asyncio.get_running_loop().create_future())
        self._commit([write])
        self._life.point()
        await asyncio.sleep(0)
        write.settle()
        result: T = await write.future
        return result


class SimulatedStore(SQLiteStore):
    """SQLite in one thread."""

    def __init__(self, records: SQLiteSession, clock: SimulatedTime, life: Life) -> None:
        super().__init__(IN_MEMORY, clock)
        self._records, self._life = records, life

    async def open(self, now: int) -> None:
        """Forget what a dead process left behind; the records themselves have outlived it."""
        with self._records.transaction():
            await _recover(self._records, now)
        self.engine.reader = self._records
        self.engine.writer = InlineWriter(self._records, self._life)

    async def save_job(self, job: Job, **others: Any) -> bool:
        """Save, unless another holder has taken the job the moment before: its lease had run out.

        Nothing of what a step does without its claim may be written.
        """
        if not self._life.is_robbed():
            return await super().save_job(job, **others)
        await self.renew_claims([job], -1)
        taken = await self.claim_jobs([job.id], 0)
        saved = await super().save_job(job, **others)
        if taken and saved:
            self._life.wrong.append(f"job {job.id} was saved by a holder that had lost it")
        return saved

    def next_due_now(self, after: int = ALL_TIME) -> int | None:
        """As :meth:`next_due`, for a clock that cannot await."""
        return carried_out(batch_rows.next_due(self.engine.reader, after))

    def quota_pauses(self, now: int) -> list[int]:
        """Milliseconds until more may be sent, of each quota that makes jobs wait."""
        quotas = carried_out(quota_rows.every(self.engine.reader))
        ends = [end for each in quotas for end in (each.blocked_until, each.held_until) if end]
        return [end - now for end in ends if end > now]

    def job_named(self, display_name: str) -> Job | None:
        """A job, for a judge that cannot await."""
        return carried_out(job_rows.by_id(self.engine.reader, display_name.rpartition("-")[2]))


@cache
def _empty_records() -> SQLiteSession:
    """Records of a gateway that was never started: migrated once, and copied for each story."""
    session = _connect(IN_MEMORY, load_queries("sqlite"), SimulatedTime())
    migrate(session, read_migrations(), EPOCH)
    return session


def new_records(clock: SimulatedTime) -> SQLiteSession:
    """Records in memory. A commit outlives the process, as it does on a disk."""
    session = _connect(IN_MEMORY, load_queries("sqlite"), clock, "foreign_keys = ON")
    _empty_records().connection.backup(session.connection)
    return session


def _ring(bell: asyncio.Future[None]) -> None:
    if not bell.done():
        bell.set_result(None)


class InProcessWorkers(Workers):
    """The CPU steps by the same functions, called here."""

    def __init__(self, life: Life) -> None:
        super().__init__(2)
        self._life = life

    async def run(self, call: str, task: object, seconds: float) -> dict[str, Any]:  # noqa: ARG002
        """Run a task and give its summary."""
        self._life.point()
        await asyncio.sleep(0)
        reply = orjson.loads(answer(orjson.dumps({"call": call, "task": task})))
        if "refused" in reply:
            raise AuditError(reply["refused"])
        if "unavailable" in reply:
            raise UnavailableError(f"{call}: {reply['unavailable']}")
        summary: dict[str, Any] = reply["summary"]
        return summary


class SeededSecrets:
    """What :mod:`gateway.ids` takes of ``secrets``, the same each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def choice(self, some: Sequence[T]) -> T:
        """One of them."""
        return self._random.choice(some)

    def token_hex(self, count: int) -> str:
        """Hex digits of so many bytes."""
        return self._random.randbytes(count).hex()

    def randbelow(self, below: int) -> int:
        """A number."""
        return self._random.randrange(below)


def options(gateway_id: str) -> RunnerOptions:
    """The product's own pauses; jobs of three lines, so that a batch has several."""
    return RunnerOptions(
        poll=Pace(5_000, 600_000),
        retry=Pace(1_000, 300_000),
        settle=int(SETTLE * 1000),
        create_seconds=120.0,
        sweep_age=HOUR,
        input_limits=InputLimits(1000, 1000, 2**20, 5, 20, 2**20, 100),
        job_limits=JobLimits(3, 2**20, 2**20, 2, 2),
        gateway_id=gateway_id,
        retries=RetryRules(3),
        patience=Patience(denial=6 * HOUR, ending=int(ENDING * 1000)),
        retention=Retention(raw=8 * HOUR),
        quota=QuotaRules(1, {"*": MOST_TOKENS}, MOST_JOBS),
        lease=6 * HOUR,  # no heartbeat: there is one process
    )


@dataclass
class _Process:
    """What dies with the process."""

    life: Life
    loop: SimulatedLoop
    store: SimulatedStore
    runner: Runner
    context: StepContext
    client: httpx.AsyncClient
    running: asyncio.Task[None]


class World:
    """A gateway's data directory, its Google, and the process that runs or does not."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = SimulatedTime()
        self.google = Google(self.clock.monotonic, self.clock.now, SETTLE, (MOST_TOKENS, MOST_JOBS))
        self.google.sleep = self.clock.sleep
        self.google.is_given_up = self._is_given_up
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.crashes = 0
        self.robberies = 0
        self.started_at = 0.0
        self.clock_set_at = 0.0
        self._records = new_records(self.clock)
        self._target: float | None = None
        self._process: _Process | None = None
        vars(ids)["secrets"] = SeededSecrets(seed)
        self.start()

    @property
    def process(self) -> _Process:
        """The process that runs."""
        assert self._process is not None
        return self._process

    # Lives

    @property
    def changes(self) -> int:
        """Rows that were ever written."""
        return self._records.connection.total_changes

    @property
    def places(self) -> tuple[int, int]:
        """How many blobs are in the records, and how many in files."""
        rows = self._records.connection.execute("SELECT count(*) FROM blob_contents")
        [(recorded,)] = rows.fetchall()
        files = (self.directory / "blobs").rglob("*")
        return recorded, sum(path.is_file() for path in files)

    @property
    def is_up(self) -> bool:
        """Whether the process runs."""
        return self._process is not None

    def start(self) -> None:
        """Start the gateway over whatever is in its directory."""
        life = Life()
        life.wrong = self.google.wrong  # what a life did outlives it
        loop = SimulatedLoop(self.clock, life, self._pass_time)
        self.google.point = life.point
        self._process = loop.run_until_complete(self._begin(life, loop))
        self.started_at = self.clock.seconds

    async def _begin(self, life: Life, loop: SimulatedLoop) -> _Process:
        store = SimulatedStore(self._records, self.clock, life)
        await store.open(self.clock.now())
        blobs = RecordedBlobs(LocalBlobs(self.directory / "blobs"), store, RECORDED_BYTES)
        await blobs.open()
        scratch = self.directory / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        context = StepContext(
            store,
            blobs,
            self.google,
            InProcessWorkers(life),
            self.clock,
            scratch,
            options(await store.gateway_id()),
        )
        runner = Runner(context)
        renderer, retries = Rerenderer(context, {}), RetryInput(context)
        services = Services(
            store=store,
            blobs=blobs,
            clock=self.clock,
            wake=runner.wake,
            ready=lambda: True,
            endpoints=tuple(ENDPOINTS),
            models=runner.models.offered,
            rerender=lambda batch, stored: renderer.render(batch, stored_policy=stored),
            retry_input=lambda batch, everything: retries.of(batch, everything=everything),
        )
        keys = {digest(key): owner for key, owner in OWNERS.items()}
        app = create_api(services, ApiOptions(credentials=keys))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://gateway"
        )
        running = loop.create_task(runner.run())
        return _Process(life, loop, store, runner, context, client, running)

    def crash(self) -> None:
        """Power off, now."""
        self.process.life.die()
        self._bury()

    def stop(self) -> None:
        """End as on SIGTERM."""
        self.process.runner.stop()
        self.process.loop.run_until_complete(asyncio.wait([self.process.running]))
        self._bury()

    def _bury(self) -> None:
        """Unwind what the dead process was at; its ports do nothing any more."""
        process, self._process = self.process, None
        process.life.dead = True
        while tasks := asyncio.all_tasks(process.loop):
            for task in tasks:
                task.cancel()
            process.loop.run_until_complete(asyncio.wait(tasks))
        process.loop.run_until_complete(process.loop.shutdown_asyncgens())
        process.loop.close()
        self.crashes += 1
        self.robberies += process.life.robberies

    def close(self) -> None:
        """Leave nothing."""
        if self._process is not None:
            self.crash()
        self._records.close()
        vars(ids)["secrets"] = secrets
        shutil.rmtree(self.directory)

    # Time

    def _pass_time(self, timeout: float | None) -> None:
        if timeout is None:
            raise AssertionError("nothing will ever happen")
        process = self._process
        if process is not None:
            process.life.calls = 0
        ahead = timeout
        if process is not None and self._target is not None and not process.runner._under_way:
            ahead = max(timeout, self._until_due(process.store, self._target))
        self.clock.seconds += ahead

    def _until_due(self, store: SimulatedStore, target: float) -> float:
        now = self.clock.now()
        left = target - self.clock.seconds
        due = store.next_due_now()
        if due is None:
            return left
        if due <= now:
            due = store.next_due_now(now)
            left = min(left, BLOCKED_TICK, *(each / 1000 for each in store.quota_pauses(now)))
        return left if due is None else min(left, (due - now) / 1000)

    # What stories do

    def run(self, call: Coroutine[Any, Any, T]) -> T | None:
        """The outcome of a call while the gateway works; None when it died before the answer.

        It is not started again by itself.
        """
        process = self.process
        task = process.loop.create_task(call)
        died: asyncio.Future[None] = process.loop.create_future()
        process.life.bell = lambda: _ring(died)
        process.life.calls = 0
        ends: set[Awaitable[Any]] = {task, died, process.running}
        process.loop.run_until_complete(
            asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
        )
        if process.life.dead:
            self._bury()
            return None
        if process.running.done():
            process.running.result()
        return task.result()

    def request(self, key: str, method: str, path: str, **content: Any) -> httpx.Response | None:
        """One request of a client's."""
        headers = {"authorization": f"Bearer {key}", **content.pop("headers", {})}
        return self.run(self.process.client.request(method, path, headers=headers, **content))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._target = self.clock.seconds + seconds
        try:
            self.run(self.clock.sleep(seconds))
        finally:
            self._target = None

    def set_clock(self, seconds: float) -> None:
        """Set the wall clock on, or back."""
        self.clock.skew += round(seconds * 1000)
        self.clock_set_at = self.clock.seconds

    def fill_disk(self, seconds: float) -> None:
        """Let time pass while nothing can be written: all promises begin anew after it."""
        self.process.life.full = True
        self.advance(seconds)
        if self.is_up:
            self.process.life.full = False
        self.started_at = self.clock.seconds

    def sweep(self) -> None:
        """A round of the sweeper."""
        self.run(Sweeper(self.process.context).sweep())

    def jobs(self, batch_id: str) -> Sequence[Job]:
        """The job rows of a batch."""
        return carried_out(job_rows.of_batch(self.process.store.engine.reader, batch_id))

    def _is_given_up(self, display_name: str) -> bool:
        job = self.process.store.job_named(display_name)
        return job is None or job.state in DONE_STATES
