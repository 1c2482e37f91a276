"""One upstream job of a batch, as stored, frozen: state, results, health.

Times are integer milliseconds since the epoch, UTC, ``None`` when not (yet) set.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any, Final

from gateway.batches.batch import Counts, TokenUsage


class Cause(StrEnum):
    """Why a job exists.

    first   cut by validation.
    retry   its lines met a fault that passes, or got no result.
    recut   a part of a job that was too large for the quota, or was refused for one of its items:
            nothing was created.
    stuck   its predecessor did not move at the upstream and was ended for that.
    rescue  what its predecessor left near the deadline, asked of synchronous calls: no upstream
            job.
    reused  its lines were answered by earlier batches: those answers are its raw results, and
            nothing is sent. It begins as ``secured``.
    """

    FIRST = "first"
    RETRY = "retry"
    RECUT = "recut"
    STUCK = "stuck"
    RESCUE = "rescue"
    REUSED = "reused"


class JobState(StrEnum):
    """The state of one upstream job.

    planned     cut by validation; spool and echo blobs exist. Next: fill (when the spool names
                uploaded files), then stage (file jobs) or create.
    staging     the spool is at the upstream under ``staged``. Next: create.
    submitting  the intent is saved; create is being called, or it is unknown how it ended. After a
                crash only reconcile leaves this state.
    running     the upstream gave ``upstream_name``. Next: poll (or cancel).
    rescuing    its items are asked one by one of synchronous calls. Next: rescue. A crash: calls
                that were under way are given up, the others go on.
    ended       the upstream's state is terminal. Next: secure.
    secured     the raw results are ours (``raw``). Next: collect.
    refused     it will never run: ``failure`` says why. Next: collect, every line an error line.
    lost        it ran, but there is nothing to fetch: ``failure`` says why. Next: collect.
    collected   ``run`` and ``index`` hold a rendered line for every line; or there is none, since
                the job was cut again before it was created and others follow it, or since its
                batch ended with it and the files have its lines. Next: release.
    released    the upstream's copies are gone (or were given up). Nothing follows.
    """

    PLANNED = "planned"
    STAGING = "staging"
    SUBMITTING = "submitting"
    RUNNING = "running"
    RESCUING = "rescuing"
    ENDED = "ended"
    SECURED = "secured"
    REFUSED = "refused"
    LOST = "lost"
    COLLECTED = "collected"
    RELEASED = "released"


DONE_STATES: Final = frozenset({JobState.COLLECTED, JobState.RELEASED})


# The code of lines that name an uploaded file which the upstream cannot use.
FILE_FAILED: Final = "file_failed"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why all lines of a job that brought no results become error lines.

    ``status`` is the HTTP status of those lines; ``None`` when they never ran (cancelled, expired).
    ``item`` is the place of the one request, among those that were sent, that is to blame.
    """

    code: str
    message: str
    status: int | None = None
    item: int | None = None


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
    spool: str  # empty once nothing needs it any more
    echo: str
    display_name: str
    created_at: int
    state: JobState = JobState.PLANNED
    follows: str | None = None
    cause: Cause = Cause.FIRST
    attempt: int = 1  # counts how often its lines were sent, this time included
    # What its lines met before they came here, in words: a reason outlives another attempt.
    fault: str | None = None
    refused: int = 0  # how often Google refused its create, in all its life
    credential: str = "default"
    placed: bool = False  # whether that was chosen by free quota: then it stays for life
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
    digests: str | None = None  # of requests that were answered, for batches that reuse answers
    held: str | None = None  # results that predecessors brought for a part of a line's items
    counts: Counts = Counts()
    usage: TokenUsage = TokenUsage()
    # What its answers cost, and what it may cost at most, in billionths of a dollar; None: unknown.
    cost: int | None = 0
    most: int | None = None
    notes: Mapping[str, int] = field(default_factory=dict)  # of its answers, counted by code
    failure: Failure | None = None
    # Since when it is unknown how a create ended; ``absences`` listings have not shown it since.
    doubt: int | None = None
    absences: int = 0
    # Digest of the key that sent the create: under another key a 404 is no denial.
    made_by: str | None = None
    # Since when the upstream denies what is paid for (the job, its output, what was staged for
    # it), and how often in a row: the time decides, the number only makes the pauses longer.
    denied_at: int | None = None
    denials: int = 0
    # Since when it is being ended (cancel, end of the window); when its state was last seen.
    stop_at: int | None = None
    stuck_at: int | None = None  # since when it is told to end because it did not move
    looked_at: int | None = None
    upstream_since: int | None = None  # since when ``upstream_state`` is what it is
    # Given up, and looked for again until then: what it made is paid for.
    recover_until: int | None = None
    # Lines without a result, and results without a line: while there are any, nothing is deleted.
    unmatched: int = 0
    due_at: int | None = None
    failures: int = 0
    defects: int = 0  # as a batch's
    last_error: str | None = None
    waiting_since: int | None = None  # since when there is a ``last_error``; the store's to write
    fence: int = 0
    lease_until: int | None = None

    def changed(self, changes: Mapping[str, Any]) -> "Job":
        """Return the job with other members, as ``dataclasses.replace`` does in thrice the time."""
        members = list(_read(self))
        for name, value in changes.items():
            members[_PLACES[name]] = value
        return Job(*members)

    @property
    def outgoing(self) -> tuple[str, int]:
        """The blob that is sent, and its size in bytes."""
        if self.filled is not None and self.filled_bytes is not None:
            return self.filled, self.filled_bytes
        return self.spool, self.bytes


_PLACES: Final = {each.name: place for place, each in enumerate(fields(Job))}
_read: Final = attrgetter(*_PLACES)
