"""The context of every step: the ports, and a claim held on a row."""

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from typing_extensions import override

from gateway.batches.admission import Admission
from gateway.batches.batch import Batch
from gateway.batches.file import File, Segment
from gateway.batches.follow_ups import RetryRules
from gateway.batches.job import Job
from gateway.batches.lifecycle import due_while_ending
from gateway.batches.limits import OwnerLimits
from gateway.batches.pacing import Pace
from gateway.batches.patience import Patience
from gateway.batches.planning import JobLimits
from gateway.batches.quota import QuotaRules
from gateway.batches.rescue import Rate, RescueRules
from gateway.batches.staging import StagedFile
from gateway.clock import Clock
from gateway.errors import (
    AuditError,
    DamagedBlobError,
    GatewayError,
    InDoubtError,
    InternalError,
    UpstreamError,
    UpstreamUnreadableError,
    WorkerError,
)
from gateway.ids import is_recorded, new_blob_name, new_recorded_name, new_recorded_names
from gateway.ports.blobs import Blobs
from gateway.ports.metrics import NO_METERS, Meters
from gateway.ports.placing import UnplacedBlob, sealed_content, unplaced_blob
from gateway.ports.single import SingleUpstream
from gateway.ports.store import BatchEnd, BlobChange, Seal, Store
from gateway.ports.tracing import NO_TRACER, Tracer
from gateway.ports.upstream import Upstream
from gateway.runner.blob_names import BlobNames
from gateway.runner.blob_source import SEALED_AT_ONCE, BlobSource
from gateway.runner.cpu.validate import InputLimits
from gateway.runner.spares import Spares, remove, removed
from gateway.runner.workers import Workers
from gateway.units import MIB

logger = logging.getLogger(__name__)

SEAL_BLOCK: Final = MIB
# What one save may bring into the records, in bytes. A batch of 5,000 jobs had 150 MB of requests
# in memory, then in one transaction, for which every other write waited two seconds.
RECORDED_AT_ONCE: Final = 4 * MIB
NO_SEALS: Final[Mapping[str, Seal]] = MappingProxyType({})


async def sealed(path: Path) -> Seal:
    """Return size and digest of a local file."""
    if os.stat(path).st_size <= SEALED_AT_ONCE:  # noqa: PTH116 - microseconds, in the event loop
        return _seal_of(path)
    return await asyncio.to_thread(_seal_of, path)


def _read(path: Path, known: Seal | None) -> Seal:
    """Return the seal of a small file, with its bytes.

    One that is known stays: what the disk has changed since is noticed when the bytes are read.
    """
    content = path.read_bytes()
    return sealed_content(content) if known is None else replace(known, content=content)


def _seal_of(path: Path) -> Seal:
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(SEAL_BLOCK):
            digest.update(block)
            size += len(block)
    return Seal(size, digest.hexdigest())


# How often a step may fail in a way that waiting does not mend, before it ends visibly.
MAX_DEFECTS: Final = 3

# How often processes may die over it. The lines that they die of are found and left out; what kills
# them otherwise comes from outside, most likely, and is waited for: pauses double, so that so many
# deaths take a quarter of an hour.
MAX_DEATHS: Final = 10

# Such failures: a worker died, or a row or a file of the gateway's is missing.
DEFECTS: Final = (WorkerError, LookupError, FileNotFoundError)


def is_hopeless(defects: int, error: Exception) -> bool:
    """Whether a step that has failed so often in such a way, this time too, is to end visibly."""
    return defects >= (MAX_DEATHS if isinstance(error, WorkerError) else MAX_DEFECTS)


@dataclass(frozen=True, slots=True)
class Retention:
    """Time that things outlive the end of their batch, in ms.

    ``raw``: raw results and answer hints, 0: gone at publishing. ``output``: files that batches
    write, unless the client says otherwise; ``records``: rows and tombstones; 0: for ever.
    """

    raw: int = 0
    output: int = 0
    records: int = 0


@dataclass(frozen=True, slots=True)
class RunnerOptions:
    """Pace of the runner. ``settle`` and ``sweep_age`` in ms."""

    poll: Pace
    retry: Pace
    settle: int
    create_seconds: float
    sweep_age: int
    input_limits: InputLimits
    job_limits: JobLimits
    gateway_id: str
    # Those that have a key; a view that changes with the keys. The first has no other meaning.
    credentials: Collection[str] = ("default",)
    # Each owner's work is done under the credential of the same name, and under no other.
    pass_through: bool = False
    # Prices that come before the table's, and what each owner may have.
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limits: Mapping[str, OwnerLimits] = field(default_factory=dict)
    retries: RetryRules = field(default_factory=RetryRules)
    patience: Patience = field(default_factory=Patience)
    retention: Retention = Retention()
    reuse: int = 0  # how old an answer may be that is given again, unless a batch says (ms)
    quota: QuotaRules = field(default_factory=QuotaRules)
    rescue: RescueRules = field(default_factory=RescueRules)
    polls_per_minute: int = 400
    lease: int = 30_000  # ms for which a claim lasts, if it is not renewed
    gather_seconds: float = 0.0  # between a step's end and the next look for work
    look_seconds: float = 0.0  # between two looks for work, unless some waits for a slot

    @property
    def credential(self) -> str:
        """The credential of what is for no job, and of a job until it is placed."""
        return next(iter(self.credentials), "default")

    def credential_for(self, owner: str) -> str:
        """Give the credential of an owner's job until it is placed."""
        return owner if self.pass_through else self.credential

    def credentials_for(self, owner: str) -> Sequence[str]:
        """Give those that may be used for an owner: never another's key."""
        return [owner] if self.pass_through else list(self.credentials)


@dataclass(frozen=True, slots=True)
class StepContext:
    """The ports, the workers, the clock and a directory for files being made."""

    store: Store
    blobs: Blobs
    upstream: Upstream
    workers: Workers
    clock: Clock
    scratch: Path
    options: RunnerOptions
    single: SingleUpstream | None = None  # for what is left near a deadline
    rates: dict[str, Rate] = field(default_factory=dict)  # of such calls, by credential
    meters: Meters = NO_METERS
    tracer: Tracer = NO_TRACER
    names: BlobNames = field(default_factory=BlobNames)
    spares: Spares = field(init=False)

    def __post_init__(self) -> None:
        """Begin without anything spare."""
        object.__setattr__(self, "spares", Spares(self.scratch))

    async def outgoing(self, job: Job) -> BlobSource:
        """Return what is sent of a job."""
        blob, size = job.outgoing
        seal = await self.store.blob_seal(blob)
        return BlobSource(self.blobs, [Segment(blob, size)], seal)

    def while_ending(self, job: Job, due_at: int) -> int:
        """Bound a due time by the moment at which a batch that ends goes on without the job."""
        return due_while_ending(job, due_at, self.clock.now(), self.options.patience.ending)

    def key_of(self, job: Job) -> str:
        """Return what the key that the job's calls take now is known by in the records."""
        return self.upstream.identity(job.credential, self.options.gateway_id)

    def is_foreign(self, job: Job) -> bool:
        """Whether another key made the job: then a 404 is no denial, and a listing lacks it."""
        return job.made_by is not None and job.made_by != self.key_of(job)

    async def new_blob(self) -> str:
        """Return a name that is registered before its first byte."""
        [name] = await self.names.take(self.store, self.clock.now(), 1)
        return name

    def unplaced_blob(self) -> AbstractAsyncContextManager[UnplacedBlob]:
        """Write a blob of unknown size."""
        return unplaced_blob(self.blobs, self.new_blob)

    async def keep(self, paths: Sequence[str]) -> list[str]:
        """Make blobs of files that a worker wrote, sealed; their names in the same order."""
        sealed_paths = await self._sealed(paths)
        names = _recorded_names(sealed_paths)
        files = [path for path in paths if path not in names]
        names.update({path: new_blob_name() for path in files})
        if names:
            seals = {names[path]: seal for path, seal in sealed_paths.items()}
            await self.store.register_blobs(seals, self.clock.now())
        if files:
            await self.blobs.adopt({names[path]: Path(path) for path in files})
        return [names[path] for path in paths]

    async def adopt(
        self, paths: Sequence[str], seals: Mapping[str, Seal] = NO_SEALS
    ) -> Mapping[str, Seal]:
        """Make blobs of files as :meth:`keep` does, in no transaction of their own.

        Their seals come back with the names, in the order of the paths: the save that points at
        them writes these down. ``seals`` are those of files whose digest is known since they were
        written, by path.
        """
        sealed_paths = await self._sealed(paths, seals)
        names = _recorded_names(sealed_paths)
        files = [path for path in paths if path not in names]
        if files:
            taken = await self.names.take(self.store, self.clock.now(), len(files))
            names.update(zip(files, taken, strict=True))
            await self.blobs.adopt({names[path]: Path(path) for path in files})
        return {names[path]: sealed_paths[path] for path in paths}

    async def _sealed(
        self, paths: Sequence[str], known: Mapping[str, Seal] = NO_SEALS
    ) -> Mapping[str, Seal]:
        """Return the seals of files that become blobs, with the bytes of those that are to be kept.

        These are held until they are saved, all in one transaction: beyond some they are files.
        """
        found: dict[str, Seal] = {}
        room = RECORDED_AT_ONCE
        for path in paths:
            size = os.stat(path).st_size  # noqa: PTH116 - microseconds, in the event loop
            if size <= room and self.blobs.in_records(size):
                found[path] = _read(Path(path), known.get(path))
                room -= size
            else:
                found[path] = known.get(path) or await sealed(Path(path))
        return found

    async def copy_to(self, name: str, path: Path) -> Seal | None:
        """Have a blob's bytes at a local path, as they were written; return their seal.

        Errors: DamagedBlobError when they are gone or have changed.
        """
        try:
            await self.blobs.copy_to(name, path)
        except FileNotFoundError as error:
            raise DamagedBlobError(name, "is gone") from error
        seal = await self.store.blob_seal(name)
        if seal is not None and seal != await sealed(path):
            raise DamagedBlobError(name)
        return seal

    async def bring(self, file: File, path: Path) -> None:
        """Have the bytes of a file at a local path, those of its segments one after the other.

        Errors: DamagedBlobError when they are gone, or are not what was uploaded.
        """
        if len(file.segments) == 1:
            found = await self.copy_to(file.segments[0].blob, path) or await sealed(path)
        else:
            await self._join(file, path)
            return
        if found.sha256 != file.sha256:
            raise DamagedBlobError(file.id, "is not the file that was uploaded")

    async def _join(self, file: File, path: Path) -> None:
        source = BlobSource(self.blobs, file.segments, Seal(file.bytes, file.sha256))
        with path.open("xb") as joined:
            async for block in source.blocks():
                await asyncio.to_thread(joined.write, block)

    @asynccontextmanager
    async def workplace(self) -> AsyncIterator[Path]:
        """Open an empty directory for one step; what is in it is removed afterwards."""
        place = self.spares.directory()
        cleared = removed  # after an error nothing says what it was left as
        try:
            yield place
            cleared = self.spares.take_back
        finally:
            if not cleared(place):
                await asyncio.to_thread(remove, place)


def _recorded_names(seals: Mapping[str, Seal]) -> dict[str, str]:
    """Name the blobs of files whose bytes go into the records, by path."""
    small = [path for path, seal in seals.items() if seal.content is not None]
    return dict(zip(small, new_recorded_names(len(small)), strict=True))


class LostClaimError(Exception):
    """Another holder has the row now; whatever we did is garbage that will be swept.

    Or it is not known whether a save was done: then nothing may be written over it. Whoever claims
    the row when its lease has run out reads what became of it.
    """


Row = TypeVar("Row", Batch, Job, StagedFile)


class Claim(Generic[Row]):
    """A claimed row: the record as it was last saved, while the claim is open."""

    def __init__(self, row: Row, write: Callable[..., Awaitable[bool]]) -> None:
        self._write = write
        self._saving: asyncio.Future[None] | None = None
        self.row: Row = row
        self.open = True

    async def save(self, row: Row, *, keep: bool = False, **others: Any) -> None:  # noqa: ANN401
        """Write the record, shielded: what a call upstream came to must not get lost.

        ``others`` as in the ``save_…`` of :class:`gateway.ports.store.Store`.
        Errors: LostClaimError.
        """
        await self._shielded(row, keep, others)

    async def _shielded(self, row: Row, keep: bool, others: Mapping[str, Any]) -> None:
        self._saving = asyncio.ensure_future(self._save(row, keep, others))
        try:
            await asyncio.shield(self._saving)
        except asyncio.CancelledError:
            # What was saved is to be told of, and taken back, as it is: a step that was stopped
            # while its batch ended left that end without a line in the log, a span or a count.
            await asyncio.wait([self._saving])
            raise

    async def _save(self, row: Row, keep: bool, others: Mapping[str, Any]) -> None:
        try:
            saved = await self._write(row, keep=keep, **others)
        except InDoubtError as error:
            self.open = False
            raise LostClaimError(row.id) from error
        if not saved:
            self.open = False
            raise LostClaimError(row.id)
        self.row = row
        self.open = keep

    async def end(self) -> None:
        """Release a claim that is still open, with the record as it was last saved.

        A save that goes on behind a cancelled step comes first: writing an older record over it
        would forget what it says.
        """
        if self._saving is not None:
            await asyncio.wait([self._saving])
        if self.open:
            await self._shielded(self.row, False, {})


class BatchClaim(Claim[Batch]):
    """A claimed batch row."""


def _claimed_no_longer(_: Job) -> bool:
    return False


def _never() -> bool:
    return False


class HeldResults:
    """Raw results in memory; their blob is written, once, when a record is saved that names it.

    Results that are collected at once become a blob with what is made of them, under its own name.
    """

    def __init__(self, blobs: Blobs, name: str, results: bytes) -> None:
        self.name = name
        self.results = results
        self._blobs = blobs
        self._change: BlobChange | None = None

    @classmethod
    async def of(cls, context: StepContext, results: bytes) -> "HeldResults":
        """Give results a name, by which they are kept in the records or in a file."""
        if context.blobs.in_records(len(results)):
            return cls(context.blobs, new_recorded_name(), results)
        return cls(context.blobs, await context.new_blob(), results)

    async def written(self) -> BlobChange:
        """Return the blob as the save that points at it says it."""
        if self._change is None:
            seal = sealed_content(self.results)
            if not is_recorded(self.name):
                async with self._blobs.create(self.name) as writer:
                    await writer.write(self.results)
                seal = replace(seal, content=None)
            self._change = BlobChange(live=[self.name], seals={self.name: seal})
        return self._change


class JobClaim(Claim[Job]):
    """A claimed job.

    ``keeps`` says whether a saved row stays claimed, so that the step which follows at once needs
    no claim of its own; ``stopping`` whether a step is to begin nothing more.
    """

    def __init__(
        self,
        row: Job,
        write: Callable[..., Awaitable[bool]],
        keeps: Callable[[Job], bool] = _claimed_no_longer,
        stopping: Callable[[], bool] = _never,
    ) -> None:
        super().__init__(row, write)
        self._keeps = keeps
        self.stopping = stopping
        self.seen: Admission | None = None  # by which it was admitted, if it is being sent
        self.ended: Batch | None = None  # its batch, if a save has ended it
        self.batch: Batch | None = None  # that batch, once this was told
        self.before: Job | None = None  # what it was before it was claimed with its intent
        self.as_claimed: Batch | None = None  # as it was when the job was claimed, for one step
        self.held: HeldResults | None = None  # of the record that the next save writes
        self._otherwise = row  # the record that is written where they cannot be kept

    def goes_on(self, row: Job) -> bool:
        """Whether the next step follows at once if this is the record, under the same claim."""
        return self._keeps(row)

    async def save(self, row: Job, *, keep: bool = False, **others: Any) -> None:  # noqa: ANN401
        """Write the record, and keep the claim for what follows at once."""
        await super().save(row, keep=keep or self._keeps(row), **others)

    def put_off(self, row: Job, held: HeldResults, otherwise: Job) -> None:
        """Leave it to the next save to write a record of results that are here.

        Whatever the next step comes to, it saves, also where it fails. Until then nothing but this
        process knows the record: after a crash it is made again. ``otherwise`` is the record of a
        job whose results are still to be asked for.
        """
        self.row, self.held, self._otherwise = row, held, otherwise

    @override
    async def _save(self, row: Job, keep: bool, others: Mapping[str, Any]) -> None:
        if self.held is None or row.raw != self.held.name:
            await super()._save(row, keep, others)
            if "ends" in others:
                ends: BatchEnd = others["ends"]
                self.ended = ends.batch
        else:
            await self._save_with(self.held, row, keep, others)
        self.held = None

    async def _save_with(
        self, held: HeldResults, row: Job, keep: bool, others: Mapping[str, Any]
    ) -> None:
        """Save a record with its results; those that cannot be kept here are left at Google.

        It has them until they are collected. A folder that refuses a file ended the gateway: the
        failure that a record was to tell of met the same folder.
        """
        try:
            both = (await held.written()).and_then(others.get("blobs", BlobChange()))
        except OSError as error:
            await self._leave(row, error)
            return
        try:
            await super()._save(row, keep, {**others, "blobs": both})
        except InternalError as error:  # the name was given up
            await self._leave(row, error)

    async def _leave(self, row: Job, error: Exception) -> None:
        told = describe(error)
        logger.error("%s: its results are asked for again: %s", job_label(row), told)
        failures = max(row.failures, 1)
        left = replace(self._otherwise, failures=failures, last_error=told, defects=row.defects)
        await super()._save(left, False, {})


class FileClaim(Claim[StagedFile]):
    """A claimed copy of a file."""


# ErrorInfo's reason for a key that is wrong or no longer there (recorded), and what to read there.
_INVALID_KEY: Final = "API_KEY_INVALID"
_KEY_REFUSED: Final = "Google refuses the gateway's key"


def describe(error: Exception) -> str:
    """Return what may be stored and logged of an error: our own messages, else the type alone.

    A foreign message may quote what was being worked on.
    """
    if isinstance(error, UpstreamError) and error.status:
        # Google quotes the request in some messages: those stand in error lines alone.
        answered = f"the upstream answered {error.status} {error.code or ''}".rstrip()
        if isinstance(error, UpstreamUnreadableError):
            answered = error.message  # of our own words
        meant = dict.fromkeys(getattr(error, "__notes__", ()))
        if meant:  # what our own steps make of it
            return f"{'; '.join(meant)}: {answered}"
        return f"{_KEY_REFUSED}: {answered}" if error.code == _INVALID_KEY else answered
    if isinstance(error, UpstreamError | GatewayError):
        return error.message
    if isinstance(error, WorkerError | AuditError | DamagedBlobError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return type(error).__name__


def job_label(job: Job) -> str:
    """Label a job in logs with its batch, so that its owner need not be looked up."""
    return f"batch {job.batch_id}: job {job.id}"
