"""The port of records: every method is one transaction, and a crash cannot undo it once returned.

An implementation passes ``tests/conformance/store.py``. Reads that take an owner find nothing of
another owner's. Writes named ``save_*`` are guarded: they change nothing and return False when the
row's fence is no longer the one in the record that is passed, or when the row has reached its end:
a terminal batch, a released job. InDoubtError of a write: whether it was done is not known.

A batch row has a wake-up version. Raising it, from outside its claim, makes the row due: its
``due_at`` becomes the negative of the version, a number in the past that never comes twice for that
batch. A save or a rest that has not seen the version cannot overwrite it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from gateway.batches.admission import Sent, Unread, Waiting
from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.figures import Figures
from gateway.batches.file import File
from gateway.batches.job import Job, JobState
from gateway.batches.limits import Estimate, OwnerLimits, Used
from gateway.batches.outlook import ModelQueue
from gateway.batches.quota import Lesson, Quota
from gateway.batches.response import DueQueue, ResponseStatus, StoredResponse, WaitingQueue
from gateway.batches.staging import NamedFile, StagedFile
from gateway.batches.upload import Part, Upload
from gateway.batches.webhooks import Delivery, WebhookEndpoint

Row = TypeVar("Row", File, Batch, WebhookEndpoint, Delivery)
Claimed = Batch | Job | StagedFile

ALL_TIME: Final = -(2**62)  # before any moment, and before any wake-up version
NOTHING_NAMED: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({})
NO_FILES: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})
NO_INTENTS: Final[Mapping[str, "Intent"]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A stretch of a list, newest or oldest first."""

    data: Sequence[Row]
    has_more: bool


class Deletion(Enum):
    """Outcome of ``delete_file``."""

    DELETED = "deleted"
    MISSING = "missing"
    IN_USE = "in use"


class Kind(StrEnum):
    """Kinds of due work besides jobs, which are told apart by their states."""

    BATCH = "batch"
    VALIDATION = "validation"
    COPY = "copy"


@dataclass(frozen=True, slots=True)
class Work:
    """A batch with its jobs, in order of their number; or, where said so, with one of them."""

    batch: Batch
    jobs: Sequence[Job]


Content = bytes  # in a class that counts `bytes`


@dataclass(frozen=True, slots=True)
class Seal:
    """Size and digest of a blob when it was written.

    ``content``: the bytes themselves, of a blob that is kept in the records.
    """

    bytes: int
    sha256: str
    content: Content | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class BlobChange:
    """Blobs that a transaction makes live (it points at them) or deletable (it no longer does).

    Making live a name that is not pending is a bug: the transaction fails with InternalError.
    ``seals`` are those of blobs that were registered without. One that brings its bytes is of a
    blob that was never registered: it is pending once the transaction begins.
    """

    live: Sequence[str] = ()
    deletable: Sequence[str] = ()
    seals: Mapping[str, Seal] = field(default_factory=dict)

    def and_then(self, later: "BlobChange") -> "BlobChange":
        """Return both changes as one. What goes live may become deletable by the same."""
        live, deletable = [*self.live, *later.live], [*self.deletable, *later.deletable]
        return BlobChange(live, deletable, {**self.seals, **later.seals})


@dataclass(frozen=True, slots=True)
class BatchEnd:
    """A batch as it ends, under the fence that it was read with, with its files and old blobs."""

    batch: Batch
    files: Sequence[File]
    deletable: Sequence[str]


@dataclass(frozen=True, slots=True)
class Intent:
    """Columns of a job while its create is under way, or may be.

    ``fence`` is that of the row by which this was decided.
    """

    fence: int
    send_deadline: int
    due_at: int
    made_by: str


class BatchChangedError(Exception):
    """A batch is not as it was read: it was claimed, cancelled or ended meanwhile."""


class RescueBegin(Enum):
    """Outcome of the wish to send a synchronous call."""

    BEGUN = "begun"  # its row is there: send it
    BEYOND_BUDGET = "beyond budget"
    TAKEN = "taken"  # it was sent before, or the job is another's by now


@dataclass(frozen=True, slots=True)
class RescueCall:
    """A synchronous call for an item, and what it may cost at most (billionths of a dollar)."""

    key: str
    reserved: int
    sent_at: int


@dataclass(frozen=True, slots=True)
class RescueAnswer:
    """Outcome of a call: a line of results, None of one that was lost; its cost."""

    key: str
    answer: str | None
    cost: int | None


class Store(Protocol):
    """The gateway's records."""

    async def open(self, now: int) -> None:
        """Migrate, take the lock if there is one, and forget what a dead process left behind.

        Where the lock proves that no other process serves this store: leases are cleared, send
        deadlines ahead are cut to ``now``, pending blobs become deletable.
        """
        ...

    async def close(self) -> None:
        """Finish pending writes and close the database."""
        ...

    async def gateway_id(self) -> str:
        """Return the random id made when the store was; first part of every display name."""
        ...

    # Blobs

    async def register_blob(self, name: str, now: int) -> None:
        """Record a name as pending, before its first byte."""
        ...

    async def register_blobs(self, seals: Mapping[str, Seal | None], now: int) -> None:
        """Record names as pending, each with its seal where its bytes exist by now."""
        ...

    async def blob_seal(self, name: str) -> Seal | None:
        """Return what a blob's bytes must be; None of one that was never sealed."""
        ...

    async def blob_content(self, name: str) -> bytes | None:
        """Return the bytes of a blob that is kept in the records; None of one that is not there."""
        ...

    async def sweepable_blobs(
        self, before: int, limit: int, *, pending_before: int | None = None
    ) -> Sequence[str]:
        """Names deletable since before that time, or pending since before ``pending_before``.

        None of them can be pointed at any more: a writer that is still at it has lost.
        """
        ...

    async def forget_blobs(self, names: Sequence[str]) -> None:
        """Remove the rows of blobs whose bytes are gone; a live blob's row stays."""
        ...

    async def erase_forgotten(self) -> bool:
        """Leave nothing of forgotten rows on the disk; False when that is to be tried again."""
        ...

    async def known_blobs(self, names: Sequence[str]) -> set[str]:
        """Return those of the names that have a row."""
        ...

    # Files

    async def add_file(self, file: File, content: bytes | None = None) -> File:
        """Insert; its segments' blobs, pending until now, go live. The answer carries ``seq``.

        ``content``: the bytes of a file whose one blob is kept in the records.
        """
        ...

    async def get_file(self, owner: str, file_id: str, now: int) -> File | None:
        """Return a file that is neither deleted nor expired."""
        ...

    async def file_by_id(self, file_id: str) -> File | None:
        """Return a file that is not deleted, whatever its owner and purpose."""
        ...

    async def list_files(  # the query of GET /v1/files
        self,
        owner: str,
        now: int,
        *,
        limit: int,
        after: str | None = None,
        purpose: str | None = None,
        ascending: bool = False,
    ) -> Page[File] | None:
        """Files by ``seq``; ``after`` may name a deleted file. None: ``after`` is unknown."""
        ...

    async def delete_file(self, owner: str, file_id: str, now: int) -> Deletion:
        """Leave a tombstone, the blobs deletable, unless a live batch reads or names the file."""
        ...

    async def expire_files(self, now: int, limit: int) -> int:
        """Delete files past their expiry that no live batch reads or names; how many."""
        ...

    # Uploads: files that arrive in parts

    async def add_upload(self, upload: Upload) -> None:
        """Insert."""
        ...

    async def get_upload(self, owner: str, upload_id: str) -> Upload | None:
        """Return an upload, ended or not."""
        ...

    async def add_part(
        self, owner: str, part: Part, now: int, content: bytes | None = None
    ) -> bool:
        """Insert a part, and count it; its blob, pending until now, goes live, sealed.

        ``content``: its bytes, if they are kept in the records.
        False, and nothing is written, when the upload is not pending, or its time is over.
        """
        ...

    async def parts_of(self, upload: Upload) -> Sequence[Part]:
        """Return every part of an upload, in any order; none once it has ended."""
        ...

    async def complete_upload(self, upload: Upload, file: File, now: int) -> File | None:
        """Insert the file of a pending upload, whose segments are blobs of its parts.

        Those of other parts become deletable. None, and nothing is written, when the upload is
        not pending any more. The answer carries ``seq``.
        """
        ...

    async def cancel_upload(self, owner: str, upload_id: str, now: int) -> Upload | None:
        """Cancel a pending upload, its blobs deletable; the upload as it is now."""
        ...

    async def expire_uploads(self, now: int, limit: int) -> int:
        """End pending uploads whose time is over, their blobs deletable; how many."""
        ...

    # Stored answers of /v1/responses

    async def add_response(self, response: StoredResponse, seal: Seal) -> None:
        """Insert; its blob, pending until now, goes live, sealed."""
        ...

    async def get_response(self, owner: str, response_id: str, now: int) -> StoredResponse | None:
        """Return one that has not expired, or whose answer may still come."""
        ...

    async def delete_response(self, owner: str, response_id: str, now: int) -> bool:
        """Remove one, its blob deletable; False when the owner has none of that id.

        A batch that no other response waits for is cancelled.
        """
        ...

    async def expire_responses(self, now: int, limit: int) -> int:
        """Remove those whose time is over, their blobs deletable; how many.

        Never one whose answer may still come.
        """
        ...

    # Responses in the background: queued, collected into a batch, and its answers written to them

    async def queue_response(
        self, response: StoredResponse, seal: Seal, *, same_since: int, within: OwnerLimits
    ) -> StoredResponse:
        """Insert one, its blob live and sealed. Errors: OverLimitError of more than ``within``.

        Returns an earlier one instead that has the same ``idempotency_key`` (if that is not None),
        or, if ``tries`` is not 0, the same fingerprint, was created at or after ``same_since``,
        was tried less often, and whose id was never used.
        """
        ...

    async def note_response_used(self, owner: str, response_id: str, now: int) -> None:
        """Note when a client first used the id: the answer to its create has arrived."""
        ...

    async def cancel_response(
        self, owner: str, response_id: str, now: int
    ) -> StoredResponse | None:
        """Cancel one that has not ended; as it is now. In no batch yet, it will be in none.

        A batch that no other response waits for is cancelled as well.
        """
        ...

    async def due_queues(self, now: int, limit: int) -> Sequence[DueQueue]:
        """Queues with responses to be sent by now: owners in turns, the longest due first."""
        ...

    async def waiting_queues(self, owner: str, limit: int) -> Sequence[WaitingQueue]:
        """Return what waits to be sent of an owner's responses in the background, oldest first."""
        ...

    async def backgrounds(self, owner: str, limit: int) -> Sequence[Batch]:
        """Return the newest batches of an owner's responses, ended or not."""
        ...

    async def live_backgrounds(self) -> Mapping[str, int]:
        """Count the batches of responses that have not ended, by owner."""
        ...

    async def waiting_responses(self, queue: str, limit: int) -> Sequence[StoredResponse]:
        """Return those of a queue that are in no batch, the oldest first."""
        ...

    async def collect_responses(
        self, batch: Batch, file: File, taken: Sequence[StoredResponse]
    ) -> bool:
        """Insert a batch, due at once, and its input, of the oldest responses of a queue.

        False, and nothing is written, when these are others by now: one was cancelled, one that is
        as old has come late, or another process was first.
        """
        ...

    async def undelivered_batches(self, limit: int) -> Sequence[Batch]:
        """Batches of responses that have ended, and that :meth:`release_background` has not."""
        ...

    async def partly_collected(self, limit: int) -> Sequence[Batch]:
        """Live batches of responses some of whose jobs are collected while others are not."""
        ...

    async def responses_of(self, batch_id: str) -> Sequence[StoredResponse]:
        """Return a batch's responses whose answers are not written, cancelled ones too."""
        ...

    async def finish_response(self, response: StoredResponse, seal: Seal) -> ResponseStatus | None:
        """Write status, blob and expiry of one that is open; its blob goes live, the old one goes.

        A cancelled one stays cancelled: its status then is returned. None when it is not there, or
        has its answer already.
        """
        ...

    async def release_background(self, batch: Batch) -> None:
        """Note that every answer of an ended batch is written; its files go, as to be deleted."""
        ...

    # What single requests cost, in billionths of a dollar, by the day of their beginning

    async def spend(self, owner: str, estimate: Estimate, within: OwnerLimits, now: int) -> None:
        """Count what a request may cost at most. Errors: OverLimitError, and nothing is counted."""
        ...

    async def settle(self, owner: str, day: int, change: int) -> None:
        """Add to what counts for a day: what a request cost, less what it might have."""
        ...

    # Batches, as requests see them

    async def expire_raw(self, now: int, limit: int) -> int:
        """Release raw results, answer hints and refused lines whose ``raw_until`` has come.

        Of how many batches. They go earlier when output and error file are both deleted.
        """
        ...

    async def forget_records(self, before: int, limit: int) -> int:
        """Remove rows of batches and uploads that ended before that time, and files' tombstones.

        A batch whose raw results are still kept stays, a tombstone that a batch names too.
        """
        ...

    async def add_batch(
        self,
        batch: Batch,
        *,
        same_since: int | None = None,
        within: OwnerLimits | None = None,
    ) -> Batch | None:
        """Insert, and be due at once; None when the input file is not there for this owner.

        Returns an earlier batch instead, and inserts nothing, when one of the same owner has the
        same ``idempotency_key`` (if the key is not None), or, with ``same_since``, the same
        fingerprint and was created at or after that time (the newest such), is live, and its id
        was never used (:meth:`note_used`, or a cancel). The earlier batch is
        returned even when the input file is gone by now. Errors: OverLimitError when a new one
        would be more than ``within`` allows.
        """
        ...

    async def get_batch(self, owner: str, batch_id: str) -> Batch | None:
        """Return a batch."""
        ...

    async def get_batch_and_queues(
        self, owner: str, batch_id: str
    ) -> tuple[Batch, Sequence[ModelQueue]] | None:
        """Return a batch and, while it is in progress, what its jobs wait for, model by model."""
        ...

    async def list_batches(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[Batch] | None:
        """Batches, newest first. None: ``after`` is unknown."""
        ...

    async def request_cancel(self, owner: str, batch_id: str, now: int) -> Batch | None:
        """Set ``cancel_requested_at`` on a live batch, once, and wake it; the batch."""
        ...

    async def note_used(self, owner: str, batch_ids: Sequence[str], now: int) -> None:
        """Note when a client first used these ids: the answers to their creates have arrived."""
        ...

    # The runner's side

    async def due_batches(self, now: int, limit: int) -> Sequence[Work]:
        """Live batches whose own row is due, with all their jobs; the longest due first.

        Those that wait for their validation are left out (cancelled ones are not, whose validation
        may run: they come after all that are free), and rows under a lease.
        """
        ...

    async def due_validations(self, now: int, limit: int) -> Sequence[Unread]:
        """Batches that wait for their validation.

        The longest due that are free, at most ``limit`` of each owner.
        """
        ...

    async def due_jobs(self, state: JobState, now: int, limit: int) -> Sequence[Work]:
        """At most that many due jobs in a state that are free, each alone with its batch.

        The owners take turns, each with its longest due. The cost is that of what is given, and of
        the number of owners.
        """
        ...

    async def young_jobs(self, now: int, since: int, items: int, limit: int) -> Sequence[Work]:
        """Return running jobs that are due, free and young, each alone with its batch.

        They have at most ``items`` items and were accepted after ``since``; those that were never
        looked at come first.
        """
        ...

    async def ending_jobs(self, now: int, limit: int) -> Sequence[Work]:
        """Return running jobs that are due and free, of batches that were cancelled or are overdue.

        The longest due first; each alone with its batch.
        """
        ...

    async def hurry_job(self, upstream_name: str) -> None:
        """Make the running job of that name at the upstream due before all others."""
        ...

    async def waiting_jobs(self, now: int, limit: int) -> Sequence[Waiting]:
        """Jobs that wait to be sent, are due and free: what the admission asks about.

        Of each owner and model the longest due and the smallest, at most ``limit`` of either. One
        whose create may have made a twin, or that has results already, counts as one line: it is
        not cut again.
        """
        ...

    async def due_kinds(self, now: int) -> frozenset[str]:
        """Of which kinds something may be due: states of jobs, and :class:`Kind`.

        One question whose cost does not grow with the number of rows. A kind that is given may
        turn out to have nothing that is free; one that is left out has nothing that is due.
        """
        ...

    async def next_due(self, after: int = ALL_TIME) -> int | None:
        """Return the earliest moment after that one at which something becomes due.

        A row under a lease counts from the end of its lease.
        """
        ...

    async def load_job(self, job_id: str) -> Work | None:
        """Return a job, alone with its batch."""
        ...

    async def load_batch(self, batch_id: str) -> Batch | None:
        """Return a batch without its jobs, whatever its owner."""
        ...

    async def load_batches(self, batch_ids: Collection[str]) -> Mapping[str, Batch]:
        """Return batches without their jobs, by their ids; those that are gone are left out."""
        ...

    async def load_work(self, batch_id: str) -> Work | None:
        """Return a batch with its jobs, whatever its owner."""
        ...

    async def input_file(self, batch_id: str) -> File | None:
        """Return the input file of a batch, deleted or not."""
        ...

    async def running_job(self, job: Job, submitted_before: int) -> Job | None:
        """Return some other job that must be in the upstream's listing where this one would be.

        Of the same credential and made by the same key, submitted before that, not released, and
        neither denied nor given up.
        """
        ...

    async def another_model_runs(self, job: Job, since: int) -> bool:
        """Whether a job of another model was accepted from the same key since then."""
        ...

    async def owners(self) -> Mapping[str, tuple[int, int]]:
        """Return every owner, with how many files and batches it has."""
        ...

    async def foreign_jobs(self, credential: str, made_by: str) -> int:
        """Count a credential's jobs that run upstream, or may, and that another key made."""
        ...

    async def pull_in(self, now: int, latest: int) -> None:
        """Make due now what is due after ``latest``: the clock was ahead when that was written.

        A batch that waits for the end of its window alone is left.
        """
        ...

    async def rest_batch(self, batch: Batch, due_at: int | None) -> None:
        """Set when the batch row is due next, if its ``due_at`` still is what was read."""
        ...

    async def now(self) -> int:
        """Return the time by the store's own clock: leases are measured by no other."""
        ...

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` whenever another process may have made something due; for ever.

        What is heard is a hint: it may be missed, and may be for nothing.
        """
        ...

    async def claim_batch(self, batch_id: str, lease: int) -> Batch | None:
        """Take a live batch's row for ``lease`` ms, raising its fence; None while another has it.

        A lease that had run out counts as a defect, if the row waited for what takes memory.
        """
        ...

    async def claim_jobs(self, job_ids: Sequence[str], lease: int) -> Sequence[Job]:
        """Take unreleased jobs' rows, as :meth:`claim_batch` does.

        A job that is held is left out.
        """
        ...

    async def admission_turn(self) -> str:
        """Return the turn of the admission: another one when any process has claimed to send.

        Claims on jobs that wait, whose leases have run out, are ended before: they count no more,
        and who held them sends nothing more.
        """
        ...

    async def claim_to_send(
        self,
        placed: Mapping[str, str],
        turn: str,
        lease: int,
        intents: Mapping[str, Intent] = NO_INTENTS,
    ) -> Sequence[Work] | None:
        """Claim jobs that wait, each for good under the credential that is named for it.

        Those with an intent are being submitted from then on; one whose row has changed since it
        was read is left out.

        None when the turn is over: others have claimed since, and who decides must look again. So
        what is read after the turn counts everything that is claimed before this. A job that is
        held, or does not wait any more, is left out.
        """
        ...

    async def renew_claims(self, rows: Sequence[Claimed], lease: int) -> set[str]:
        """Let claims last for ``lease`` ms from now; ids of rows that are claimed no longer so."""
        ...

    async def save_batch(
        self,
        batch: Batch,
        *,
        jobs: Sequence[Job] = (),
        named: Mapping[str, Mapping[str, str]] = NOTHING_NAMED,
        files: Sequence[File] = (),
        blobs: BlobChange = BlobChange(),
        keep: bool = False,
        within: tuple[OwnerLimits, Estimate] | None = None,
        sent_again: tuple[int, Counts] | None = None,
    ) -> bool:
        """Write the runner's columns of a claimed batch, guarded by its fence.

        Inserts new jobs and files (their segments go live) in the same transaction. ``named``
        says which uploaded files the lines of a new job name, by job id: file id -> media type.
        If one of them is gone by now, nothing is written: ConflictError. They are kept from being
        deleted, also by their expiry, until the batch ends. Ends the
        claim, unless ``keep``. ``due_at`` is written
        unless the row was woken after the claim; ``cancel_requested_at`` never. ``counts`` and
        ``usage`` are written when the batch leaves validation and when it ends; in between they
        belong to :meth:`save_job`, which adds to them whoever holds the batch row. A batch that
        ends is announced in the same transaction: a delivery to each webhook endpoint that asked
        for the event. With ``within`` nothing is written if what its owner has, and the estimate,
        go beyond the limits: OverLimitError. ``sent_again``: how many lines run again that may be
        paid for, and what its counts lose by that.
        """
        ...

    async def longest_job(self, model: str) -> int:
        """Return the longest of a model's last 50 jobs that ended well (ms); 0: none."""
        ...

    async def answered_jobs(self, owner: str, since: int, now: int, limit: int) -> Sequence[Job]:
        """Return an owner's jobs whose answers may be given again, the newest first.

        They ended at or after ``since``, have digests and raw results, and what their batch wrote
        is neither deleted nor expired.
        """
        ...

    async def inline_mismatches(self, model: str, since: int) -> bool:
        """Whether the results of an inline job of a model that ended since then did not match."""
        ...

    async def add_rerendered(
        self, batch_id: str, entry: Mapping[str, object], files: Sequence[File]
    ) -> Batch | None:
        """Insert files that an ended batch was rendered into again, and list them on it; the batch.

        None, and nothing is written, when its raw results are gone by now.
        """
        ...

    async def save_job(
        self,
        job: Job,
        *,
        counts: Counts = Counts(),
        usage: TokenUsage = TokenUsage(),
        blobs: BlobChange = BlobChange(),
        jobs: Sequence[Job] = (),
        named: Mapping[str, Sequence[str]] = NO_FILES,
        doubt_files: bool = False,
        paid_again: int | None = None,
        lesson: Lesson | None = None,
        ends: BatchEnd | None = None,
        keep: bool = False,
    ) -> bool:
        """Write a claimed job, guarded by its fence.

        ``ends``: the job is the only one of its batch, which ends with it, in the same transaction.
        Errors: BatchChangedError then, and nothing is written, when the batch is not as it was read
        or has a holder.

        ``jobs`` go on for it (halves of its spool, or what has to run again): inserted in the same
        transaction, with the next numbers of the batch, whatever theirs are. ``named`` says which
        of the files that it names their lines name, by job id: they use its copies.

        Collected or released, it needs the copies of the files it names no more. With
        ``doubt_files`` the upstream did not find one of them: those that were ready are due to be
        looked at, in the same transaction. ``paid_again`` is how many lines turn out to be paid
        for more than once, by results that came after their job was collected without. Then
        what a live batch costs is summed anew. ``lesson`` is learned of the quota of its model, as
        by :meth:`learn`.

        Ends the claim, unless ``keep``. ``counts`` and ``usage`` are added to those of a batch that
        is still live, in the same transaction. The save by which the last of its jobs is done wakes
        the batch row. The ``last_error`` of a batch in progress becomes that of the job which
        failed most often in a row, so that whoever reads the batch sees what it waits for and since
        when; its ``upstream_state`` that of the job whose state has lasted longest.
        ``waiting_since`` and ``upstream_since`` are kept by the store: since when the row has a
        ``last_error``, and has had this ``upstream_state``.
        """
        ...

    # Synchronous calls near a deadline

    async def begin_rescue_call(self, job: Job, call: RescueCall, budget: int) -> RescueBegin:
        """Insert the row of a call before it is sent, guarded by the job's fence.

        What is reserved for it is added to the batch's ``rescue_cost``, which must not exceed the
        budget by it.
        """
        ...

    async def answer_rescue_call(self, job: Job, key: str, text: str, cost: int | None) -> None:
        """Keep an answer, whoever has the job by now; its cost takes the place of the reserved."""
        ...

    async def withdraw_rescue_call(self, job: Job, key: str) -> None:
        """Forget a call that the upstream has said it did not serve."""
        ...

    async def lose_rescue_calls(self, job: Job, key: str = "") -> int:
        """Note that an open call, or all that are open, will have no answer; how many."""
        ...

    async def rescue_keys(self, job_id: str) -> frozenset[str]:
        """Return the keys of all calls of a job that were sent."""
        ...

    async def rescue_answers(self, job_id: str, after: str, limit: int) -> Sequence[RescueAnswer]:
        """Return what came of a job's calls, by key; forgotten once the job is collected."""
        ...

    # Quotas

    async def quotas(self) -> Sequence[Quota]:
        """Return what answers have taught of every credential's limits."""
        ...

    async def learn(self, credential: str, model: str, change: Callable[[Quota], Quota]) -> Quota:
        """Change what is known of one limit, in one transaction; the row as it is now.

        ``change`` is pure: it may be called again when another was at it.
        """
        ...

    async def sent_jobs(self, *, but: Sequence[str] = (), claimed: bool = False) -> Sequence[Sent]:
        """Jobs that are at the upstream, or may be, by credential and model; some left out.

        With ``claimed`` also those that some process holds to send them: the same credential and
        model may come twice then.
        """
        ...

    async def figures(self) -> Figures:
        """Return what is live now, all owners together; the cost is that of the live rows."""
        ...

    # Files that lines name, and their copies at the upstream. A copy is needed while a job that
    # uses it is neither collected nor released.

    async def get_files(self, owner: str, file_ids: Sequence[str], now: int) -> Sequence[File]:
        """Return those of the files that are neither deleted nor expired, in any order."""
        ...

    async def failed_files(self, job_id: str) -> Sequence[NamedFile]:
        """Return a job's named files whose copies have failed; none once it is collected."""
        ...

    async def foreign_copies(self, job_id: str, made_by: str) -> int:
        """Count the ready copies of a job's files that another key than ``made_by`` uploaded."""
        ...

    async def stage_files(
        self, job: Job, expires_at: int, room: int, now: int
    ) -> Sequence[NamedFile] | None:
        """Give each file that a claimed job names a copy to use; None when the claim is lost.

        Kept, if it is usable (:func:`gateway.batches.staging.is_usable`, by the end of the batch's
        window) and of the job's credential; else the youngest usable copy of the same content,
        media type and credential that has not failed; else a new one in ``wanted``, due at once.
        But if that made more than ``room`` bytes of copies for the credential, none is given at
        all, and those it had are released: ``staged`` is None everywhere.
        """
        ...

    async def due_staged(
        self, now: int, limit: int, *, uploads: int | None = None
    ) -> Sequence[StagedFile]:
        """Return copies that are due and not leased, the longest due first.

        At most ``limit``, and after them at most ``uploads`` (if not given, ``limit``) that wait
        for their upload: a backlog of these must not stand before everything else.
        """
        ...

    async def claim_staged(self, staged_id: str, lease: int) -> StagedFile | None:
        """Take a copy, as :meth:`claim_batch` does.

        One that is not needed is ``removing`` from then on, and no job takes it any more.
        """
        ...

    async def content_of_staged(self, staged_id: str) -> File | None:
        """Return a file whose bytes a copy is of; there while a live batch names one."""
        ...

    async def save_staged(
        self, staged: StagedFile, *, keep: bool = False, gone: bool = False
    ) -> bool:
        """Write a claimed copy, guarded by its fence; with ``gone``, forget one being removed.

        Ends the claim, unless ``keep``. What is not needed any more is due at once,
        whatever ``due_at`` says, unless it is being removed already.
        """
        ...

    async def used_by(self, owner: str, since: int) -> Used:
        """Sum up what an owner has; money of batches that were created since that moment."""
        ...

    # Clients' own keys for Google, sealed.

    async def keep_client_key(self, owner: str, sealed: str, now: int) -> None:
        """Write an owner's key down, or anew; it is used now."""
        ...

    async def client_keys(self) -> Mapping[str, str]:
        """Return the sealed keys that are written down, by owner."""
        ...

    async def wipe_client_keys(self, before: int) -> Sequence[str]:
        """Remove keys that were used before that time and that nothing needs; whose they were.

        Needed they are for a live batch of the owner, a job under this credential that has
        something due, and a file that was copied under it.
        """
        ...

    # Webhooks. The endpoint of the settings is every owner's to see; only the settings change it.

    async def set_settings_endpoint(self, url: str | None, now: int) -> None:
        """Keep the endpoint that the settings name; None: forget it and what waits for it."""
        ...

    async def add_endpoint(self, endpoint: WebhookEndpoint, most: int) -> WebhookEndpoint | None:
        """Insert; None when its owner has ``most`` already. The answer carries ``seq``."""
        ...

    async def get_endpoint(self, owner: str, endpoint_id: str) -> WebhookEndpoint | None:
        """Return an endpoint of an owner, or that of the settings."""
        ...

    async def list_endpoints(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> Page[WebhookEndpoint] | None:
        """Endpoints, newest first. None: ``after`` is unknown."""
        ...

    async def save_endpoint(self, endpoint: WebhookEndpoint) -> bool:
        """Write what may change of an endpoint of its owner; False when it is not there."""
        ...

    async def delete_endpoint(self, owner: str, endpoint_id: str) -> bool:
        """Forget an endpoint of an owner, with its deliveries; False when it is not there."""
        ...

    async def list_deliveries(
        self, owner: str, endpoint_id: str, *, limit: int, after: str | None = None
    ) -> Page[Delivery] | None:
        """Deliveries to an endpoint about an owner's batches, newest first; ``after``: an event."""
        ...

    async def due_deliveries(self, now: int, latest: int, limit: int) -> Sequence[Delivery]:
        """Return deliveries that are due and free, at most ``limit`` of each endpoint.

        Of one batch only the first that is pending. Due is also what is due after ``latest``: the
        clock was ahead when that was written.
        """
        ...

    async def claim_delivery(
        self, delivery: Delivery, now: int, lease_until: int
    ) -> tuple[Delivery, WebhookEndpoint] | None:
        """Take a pending delivery, raising its fence, with its endpoint as it is now."""
        ...

    async def save_delivery(self, delivery: Delivery) -> bool:
        """Write a claimed delivery, guarded by its fence, and end the claim."""
        ...
