"""The batch, as stored, frozen: status, counts, usage, errors.

Times are integer milliseconds since the epoch, UTC, ``None`` when not (yet) set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from operator import add, sub
from typing import Any, Final, Self


class BatchStatus(StrEnum):
    """OpenAI's words, less ``cancelling``, which is derived from ``cancel_requested_at``.

    validating   set by create. Left by the validate step only. A crash: validated again.
    in_progress  jobs exist (or every line was refused). Left by the publish step. A crash: the
                 jobs' own states say what is next.
    finalizing   set when the publish step begins; a crash: published again from the same runs.
                 Back to in_progress when lines are in no run, and are sent again.
    completed, expired, cancelled
                 set in the transaction that makes the files visible. Never change.
    failed       validation refused the file, or the upstream refused every job for its model;
                 nothing ran. Never changes.
    """

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


LIVE_STATUSES: Final = frozenset(
    {BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS, BatchStatus.FINALIZING}
)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Numbers that add up, member by member."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*map(add, self._members(), other._members()))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*map(sub, self._members(), other._members()))

    def _members(self) -> list[int]:
        """In their order; ``astuple`` copies each deeply, which takes ten times as long."""
        names: Sequence[str] = self.__slots__
        return [getattr(self, name) for name in names]


@dataclass(frozen=True, slots=True)
class Counts(_Sums):
    """OpenAI's ``request_counts``. Lines that never ran count in ``total`` alone."""

    total: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class TokenUsage(_Sums):
    """The sums of a batch's ``usage``, in tokens."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class BatchError:
    """One entry of ``errors.data``; ``line`` is 1-based, ``None`` for the whole file."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None


# Where a batch keeps its client's spelling of the endpoint, if that is not its own: with what else
# was decided when it was created.
ENDPOINT_AS_SENT: Final = "endpoint_as_sent"


# The kind of a batch of responses in the background, and the purpose of its files.
BACKGROUND: Final = "background"


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
    # Of its jobs so far, and with what is left of them at most; as theirs. The store's to write.
    cost: int | None = 0
    most: int | None = 0
    errors: tuple[BatchError, ...] = ()
    # Counts by code: of the lines alone until the batch ends, then of their answers too.
    notes: Mapping[str, int] = field(default_factory=dict)
    output_file_id: str | None = None
    error_file_id: str | None = None
    notes_file_id: str | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    lines: int = 0  # physical lines of the input, once validated
    run: str | None = None  # run 0: lines refused at validation, and notes; None without any
    index: str | None = None
    # After the end: until when raw results, hints and run 0 are kept; None when they are not.
    raw_until: int | None = None
    # What it was rendered into again, oldest first: when, and the ids of the files.
    rerendered: tuple[Mapping[str, Any], ...] = ()
    retry_of: str | None = None  # the ended batch whose failed lines these are
    # The span of its client that it was created in, as the client wrote it.
    traceparent: str | None = None
    # BACKGROUND: of responses in the background, and no client's to see; until when its answers
    # were written to them.
    kind: str = "batch"
    delivered_at: int | None = None

    # How often the lines that were sent most often have been sent; the store's to write.
    attempts: int = 0
    # Lines that were sent again although what was given up may have served them. The store's.
    paid_twice_at_most: int = 0
    reused: int = 0  # lines that were given answers of earlier batches
    # Synchronous calls near the deadline: how many were answered, how many may be paid for without
    # an answer, and what all of them may cost (billionths; None: unknown). The store's.
    rescue_calls: int = 0
    rescue_lost: int = 0
    rescue_cost: int | None = 0
    due_at: int | None = None
    failures: int = 0
    # Failures of a kind that no waiting mends: dead workers, local bytes that are not there.
    defects: int = 0
    last_error: str | None = None
    waiting_since: int | None = None  # since when there is one; the store's to write
    ended_because: str | None = None  # why it ended otherwise than with an answer for every line
    # Of the job whose state has lasted longest; kept after the end. The store's to write.
    upstream_state: str | None = None
    upstream_since: int | None = None
    # When a client first used the id: from then on its create was answered.
    used_at: int | None = None
    fence: int = 0
    lease_until: int | None = None
    seq: int = 0

    @property
    def endpoint_as_sent(self) -> str:
        """The endpoint as the client spelt it, which its own checks may compare."""
        return str(self.policy.get(ENDPOINT_AS_SENT, self.endpoint))

    @property
    def written(self) -> Mapping[str, str]:
        """The ids of the files that it ended with, by what they hold."""
        ids = {
            "output": self.output_file_id,
            "error": self.error_file_id,
            "warnings": self.notes_file_id,
        }
        return {name: file_id for name, file_id in ids.items() if file_id is not None}
