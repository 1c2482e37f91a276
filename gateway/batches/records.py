"""What is stored: files, batches, jobs. Frozen; :func:`dataclasses.replace` makes the next version.

Times are integer milliseconds since the epoch, UTC, ``None`` when not (yet) set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class BatchStatus(StrEnum):
    """OpenAI's words, less ``cancelling``, which is derived from ``cancel_requested_at``.

    validating   set by create. Left by the validate step only. A crash: validated again.
    in_progress  jobs exist (or every line was refused). Left by the publish step. A crash: the
                 jobs' own states say what is next.
    finalizing   set when the publish step begins; a crash: published again from the same runs.
    completed, expired, cancelled
                 set in the transaction that makes the files visible. Never change.
    failed       validation refused the file; nothing ran. Never changes.
    """

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


LIVE_STATUSES = frozenset({BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS, BatchStatus.FINALIZING})


class JobState(StrEnum):
    """Where one upstream job stands.

    planned     cut by validation; spool and echo blobs exist. Next: fill (when the spool names
                uploaded files), then stage (file jobs) or create.
    staging     the spool is at the upstream under ``staged``. Next: create.
    submitting  the intent is saved; create is being called, or nobody knows how it ended. After a
                crash only reconcile leaves this state.
    running     the upstream gave ``upstream_name``. Next: poll (or cancel).
    ended       the upstream's state is terminal. Next: secure.
    secured     the raw results are ours (``raw``). Next: collect.
    refused     it will never run: ``failure`` says why. Next: collect, every line an error line.
    lost        it ran, but there is nothing to fetch: ``failure`` says why. Next: collect.
    collected   ``run`` and ``index`` hold a rendered line for every line. Next: release.
    released    the upstream's copies are gone (or were given up). Nothing follows.
    """

    PLANNED = "planned"
    STAGING = "staging"
    SUBMITTING = "submitting"
    RUNNING = "running"
    ENDED = "ended"
    SECURED = "secured"
    REFUSED = "refused"
    LOST = "lost"
    COLLECTED = "collected"
    RELEASED = "released"


DONE_STATES = frozenset({JobState.COLLECTED, JobState.RELEASED})


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a file's bytes: one blob."""

    blob: str
    bytes: int


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded or published file. Deleted rows stay as tombstones, so cursors keep working."""

    id: str
    owner: str
    purpose: str
    filename: str
    bytes: int
    lines: int
    sha256: str
    segments: tuple[Segment, ...]
    created_at: int
    expires_at: int | None = None
    deleted_at: int | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """OpenAI's ``request_counts``. Lines that never ran count in ``total`` alone."""

    total: int = 0
    completed: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.total + other.total, self.completed + other.completed, self.failed + other.failed
        )


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The sums of a batch's ``usage``, in tokens."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class BatchError:
    """One entry of ``errors.data``; ``line`` is 1-based, ``None`` for the whole file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """OpenAI's batch, as the gateway keeps it."""

    id: str
    owner: str
    endpoint: str
    input_file_id: str
    created_at: int
    expires_at: int
    status: BatchStatus = BatchStatus.VALIDATING
    metadata: Mapping[str, str] | None = None
    output_expires_after: int | None = None  # seconds
    policy: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    in_progress_at: int | None = None
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelled_at: int | None = None
    cancel_requested_at: int | None = None
    counts: Counts = Counts()
    usage: TokenUsage = TokenUsage()
    errors: tuple[BatchError, ...] = ()
    # Counts by code: of the lines alone until the batch ends, then of their answers too.
    notes: Mapping[str, int] = field(default_factory=dict)
    output_file_id: str | None = None
    error_file_id: str | None = None
    notes_file_id: str | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    lines: int = 0  # physical lines of the input, once validated
    run: str | None = None  # run 0: the lines refused at validation
    index: str | None = None
    due_at: int | None = None
    failures: int = 0
    # Failures of a kind that no waiting mends: dead workers, local bytes that are not there.
    defects: int = 0
    last_error: str | None = None
    fence: int = 0
    lease_until: int | None = None
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why all lines of a job that brought no results become error lines.

    ``status`` is the HTTP status of those lines; ``None`` when they never ran (cancelled, expired).
    """

    code: str
    message: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One upstream batch job: a stretch of a batch's items of one model."""

    id: str
    batch_id: str
    number: int
    model: str
    method: str
    items: int
    lines: int
    bytes: int
    tokens: int
    spool: str
    echo: str
    display_name: str
    created_at: int
    state: JobState = JobState.PLANNED
    follows: str | None = None
    cause: str = "first"
    credential: str = "default"
    inline: bool = False
    # How many uploaded files the spool names. Then ``filled`` is the spool with their URIs in it,
    # which may be sent before ``filled_until`` (None: until the batch ends).
    files: int = 0
    filled: str | None = None
    filled_bytes: int | None = None
    filled_until: int | None = None
    staged: str | None = None
    staged_until: int | None = None
    send_deadline: int | None = None
    submitted_at: int | None = None
    upstream_name: str | None = None
    upstream_state: str | None = None
    output: str | None = None
    cancel_sent_at: int | None = None
    ended_at: int | None = None
    raw: str | None = None
    run: str | None = None
    index: str | None = None
    held: str | None = None
    counts: Counts = Counts()
    usage: TokenUsage = TokenUsage()
    notes: Mapping[str, int] = field(default_factory=dict)  # of its answers, counted by code
    failure: Failure | None = None
    # Since when nobody knows how a create ended; ``absences`` listings have not shown it since.
    doubt: int | None = None
    absences: int = 0
    # How often in a row the upstream said that what we asked for is not there.
    denials: int = 0
    due_at: int | None = None
    failures: int = 0
    defects: int = 0  # as a batch's
    last_error: str | None = None
    fence: int = 0
    lease_until: int | None = None

    @property
    def outgoing(self) -> tuple[str, int]:
        """The blob that is sent, and its size in bytes."""
        if self.filled is not None and self.filled_bytes is not None:
            return self.filled, self.filled_bytes
        return self.spool, self.bytes
