"""Follow-ups: when lines that a job left without a lasting answer run once more, in another job.

A line is paid for whenever it runs, so it runs again only when its job has ended at Google for
certain, a limited number of times, and only while its batch still has time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.batches.batch import LIVE_STATUSES, Batch
from gateway.batches.job import FILE_FAILED, Cause, Failure, Job, JobState
from gateway.batches.lifecycle import stop_reason
from gateway.batches.patience import HOUR
from gateway.wire.openai_errors import RPC_ERRORS


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Limits on sending a line again, and whether an answer without content counts as none.

    With ``resend``, a job that is stuck is ended and its lines are sent again; none is stuck
    before it is ``stuck_after`` old (ms).
    """

    attempts: int = 3
    empty: bool = False
    resend: bool = False
    stuck_after: int = 6 * HOUR


# google.rpc.Code names of a whole job's error -> HTTP status and code of its lines. Those that
# pass (4, 8, 13, 14) are the same as for single results; 3 and 7 never pass.
_BY_ERROR: Final = {
    name: RPC_ERRORS[name]
    for name in (
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "UNAVAILABLE",
        "UNAUTHENTICATED",
    )
}
_FAILED: Final = (500, "upstream_job_failed")

# Whoever ends a job at Google by hand wants it ended: its lines do not run again by themselves.
_BY_STATE: Final = {
    "CANCELLED": (500, "upstream_job_cancelled"),
    "EXPIRED": (500, "upstream_job_expired"),
}

# Of these, Google has said that the job ended. A job that Google denies (upstream_job_lost) may
# run on, and is not paid for a second time.
_PASSING: Final = frozenset(
    {
        "deadline_exceeded",
        "overloaded",
        "rate_limit_exceeded",
        "upstream_job_expired",
        "upstream_job_failed",
        "upstream_job_stuck",
        "upstream_results_lost",
    }
)


def job_failure(state: str, error_code: str | None, error: str | None) -> Failure:
    """Return what a job that ended otherwise than well makes of its lines without a result."""
    status, code = _BY_STATE.get(state) or _BY_ERROR.get(error_code or "", _FAILED)
    reason = f": {error}" if error else ""
    return Failure(code, f"The upstream job ended as {state.lower()}{reason}", status)


# A job is stuck when it is older than twice the longest of its model that ended well lately.
STUCK_FACTOR: Final = 2


def is_stuck(job: Job, longest: int, rules: RetryRules, now: int) -> bool:
    """Whether a running job is older than is usual; ``longest`` ran the longest lately (ms)."""
    age = now - (job.submitted_at or now)
    return age >= max(rules.stuck_after, STUCK_FACTOR * longest)


def stuck_failure(job: Job, now: int) -> Failure:
    """Return what to say of the lines of a job that was ended because it did not move."""
    hours = (now - (job.submitted_at or now)) // HOUR
    message = f"The upstream job was not done after {hours} hours, and was told to end."
    return Failure("upstream_job_stuck", message, 503)


MODEL_NOT_FOUND: Final = "model_not_found"


def may_be_divided(job: Job) -> bool:
    """Whether a job was refused for what one of its lines says, and holds other lines too.

    Google checks the requests of an inline job at create, and takes none when one is bad. Those of
    a file are checked one by one when they run.
    """
    failure = job.failure
    return (
        job.state is JobState.REFUSED
        and job.inline
        and job.lines > 1
        and failure is not None
        and failure.status == 400
        and failure.code != FILE_FAILED
    )


def without_cut(jobs: Sequence[Job]) -> Sequence[Job]:
    """Leave out the jobs that were cut before they ran: others took all of their lines."""
    divided = {job.follows for job in jobs if job.cause is Cause.RECUT}
    return [job for job in jobs if job.run is not None or job.id not in divided]


def refused_model(jobs: Sequence[Job]) -> str | None:
    """Return Google's advice if it refused every job of a batch because of the model, else None.

    Then nothing ran: jobs that were cut again have left their lines to others.
    """
    last = without_cut(jobs)
    refusals = [
        job.failure.message
        for job in last
        if job.upstream_name is None and job.failure and job.failure.code == MODEL_NOT_FOUND
    ]
    if not last or len(refusals) < len(last):
        return None
    return " ".join(dict.fromkeys(refusals))


def may_run_again(
    batch: Batch, job: Job, rules: RetryRules, now: int, *, rescued: bool = False
) -> bool:
    """Whether lines that this ended job left without a lasting answer may be sent once more.

    ``rescued``: near the deadline, by synchronous calls, which follow on whatever came before.
    """
    return (
        batch.status in LIVE_STATUSES
        and (job.upstream_name is not None or job.cause is Cause.REUSED)
        and (job.attempt < rules.attempts or rescued)
        and job.bytes > 0  # none is left of requests that the disk has lost
        and job.cancel_sent_at is None
        and stop_reason(batch, now) is None
        and (job.failure is None or job.failure.code in _PASSING)
    )


@dataclass(frozen=True, slots=True)
class Piece:
    """Blobs that a follow-up sends, and their sizes. ``held`` are results it has already.

    ``files`` are the ids of uploaded files that its lines name.
    """

    spool: str
    echo: str
    held: str | None
    items: int
    lines: int
    bytes: int
    tokens: int
    files: Sequence[str]


MAX_FAULTS: Final = 4


def told_faults(faults: Mapping[str, int]) -> str | None:
    """Count what lines met, the most frequent first: ``server_error (3 lines)``."""
    most = sorted(faults, key=lambda code: (-faults[code], code))[:MAX_FAULTS]
    told = (f"{code} ({faults[code]} line{'s' * (faults[code] > 1)})" for code in most)
    return ", ".join(told) or None


def follow_up(job: Job, cause: Cause, piece: Piece, names: Sequence[str], now: int) -> Job:
    """Return the job that runs some lines of another again; ``names``: its id and display name.

    Its number is the store's to give; it stays with the credential of its predecessor.
    """
    job_id, display_name = names
    return Job(
        id=job_id,
        batch_id=job.batch_id,
        number=0,
        model=job.model,
        method=job.method,
        items=piece.items,
        lines=piece.lines,
        bytes=piece.bytes,
        tokens=piece.tokens,
        spool=piece.spool,
        echo=piece.echo,
        held=piece.held,
        display_name=display_name,
        created_at=now,
        follows=job.id,
        cause=cause,
        attempt=job.attempt + (cause is not Cause.RECUT),
        fault=job.fault,
        most=None if job.most is None else job.most * piece.items // max(job.items, 1),
        credential=job.credential,
        placed=job.placed,
        inline=job.inline,
        files=len(piece.files),
        due_at=now,
    )
