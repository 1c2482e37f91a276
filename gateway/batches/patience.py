"""Giving up paid work: how long it is asked for again, and on what evidence it counts as gone.

    Paid work is given up by time and evidence, never by count, and never deleted at Google before
    its results are secured and matched.

A GET of a job has answered 404 for minutes before the job finished well
(anthropic-sdk-python#1432), 348 jobs were marked as gone that had succeeded
(sourcelibrary-v2#2446), and results were refused with 403 because a small bill was due
(python-genai#1218). So a denial is believed after hours, and only when a second witness agrees.
What was given up is looked for again all the same, as long as Google may still have it.

Clocks may jump: a time that lies ahead counts as now.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.batches.batch import BatchStatus
from gateway.batches.job import Failure, Job, JobState
from gateway.batches.lifecycle import moved

HOUR: Final = 3_600_000  # ms

# Google lets a job run for 48 hours, and keeps files for 48 hours (Batch API and Files guides).
UPSTREAM_LIFE: Final = 48 * HOUR
# A job that was given up may still run to its end, and its results are kept after that.
RECOVERY: Final = 2 * UPSTREAM_LIFE

# Without another job that a working listing must show, its word is believed so much later.
UNPROVEN_FACTOR: Final = 4

LAST_REASON: Final = " Last reason: "
MAX_REASONS: Final = 4
_ENDS: Final = {
    BatchStatus.CANCELLED: "a cancel was asked for",
    BatchStatus.EXPIRED: "the completion window ended",
}

# Results that come, and are empty, are believed sooner: half an hour of six.
EMPTY_SHARE: Final = 12

GONE: Final = Failure("upstream_job_lost", "The upstream no longer knows this job.", 500)
RESULTS_LOST: Final = "upstream_results_lost"

# Ended like this, a job may well have no output; every other end promises one. That an output
# never comes late is not proven all the same: such jobs are left there and looked at again.
FRUITLESS: Final = frozenset({"FAILED", "CANCELLED", "EXPIRED"})


@dataclass(frozen=True, slots=True)
class Patience:
    """``denial``: how long paid work must be denied before that is believed (ms).

    ``ending``: how long a batch that was cancelled, or whose window ended, waits for its jobs.
    """

    denial: int = 6 * HOUR
    ending: int = 600_000


def elapsed(since: int | None, now: int) -> int:
    """Return the time since then, on a clock that may have been set back."""
    return 0 if since is None else max(now - since, 0)


def denied(job: Job, now: int) -> Job:
    """Return the job after one more denial."""
    since = now if job.denied_at is None else min(job.denied_at, now)
    return replace(job, denied_at=since, denials=job.denials + 1)


def undenied(job: Job) -> Job:
    """Return the job once it was shown again."""
    return job.changed({"denied_at": None, "denials": 0})


def is_overdue(job: Job, now: int, patience: Patience, *, proven: bool = True) -> bool:
    """Whether it has been denied for so long that another witness decides."""
    factor = 1 if proven else UNPROVEN_FACTOR
    return elapsed(job.denied_at, now) >= factor * patience.denial


def is_empty(job: Job, now: int, patience: Patience) -> bool:
    """Whether its results have had no result in them for so long that this is what they are."""
    return elapsed(job.denied_at, now) >= patience.denial // EMPTY_SHARE


def given_up(job: Job, failure: Failure, now: int) -> Job:
    """Return the job whose lines get this failure while it is looked for on."""
    ended_at = job.ended_at or now
    until = now + RECOVERY
    return moved(job, JobState.LOST, failure=failure, ended_at=ended_at, recover_until=until)


def ended_fruitless(job: Job) -> bool:
    """Whether the upstream itself has said that the job ended, and shows nothing that it made."""
    return job.output is None and job.upstream_state in FRUITLESS and job.denied_at is None


def is_doubtful(job: Job) -> bool:
    """Whether a job was given up that the upstream may have served all the same, or serves yet."""
    return job.recover_until is not None and not ended_fruitless(job)


def may_be_paid(job: Job) -> bool:
    """Whether lines that run again may be paid for already, though nothing is here of them.

    What was given up may be served all the same, and a job that we told to end may have served
    some, though it shows none.
    """
    return is_doubtful(job) or (job.stuck_at is not None and job.raw is None)


def with_reason(failure: Failure, reason: str | None) -> Failure:
    """Return the failure with what was last waited for: a reason outlives the wait."""
    if reason is None:
        return failure
    return replace(failure, message=f"{failure.message}{LAST_REASON}{reason}.")


def ended_because(status: BatchStatus, jobs: Sequence[Job]) -> str | None:
    """Say why a batch ended otherwise than with an answer of every job; that is kept on it.

    Google's own words may quote a request: they stand in the lines, here their code. What a job
    failed of whose lines ran again in another one decided nothing.
    """
    followed = {job.follows for job in jobs}
    last = [job.failure for job in jobs if job.failure is not None and job.id not in followed]
    reasons = dict.fromkeys(map(_reason, last))
    told = [_ENDS[status], *reasons] if status in _ENDS else list(reasons)
    return "; ".join(told[:MAX_REASONS]) or None


def _reason(failure: Failure) -> str:
    _, said, reason = failure.message.partition(LAST_REASON)
    status = f" ({failure.status})" if failure.status else ""
    return reason.rstrip(".") if said else f"{failure.code}{status}"


def may_delete(job: Job) -> bool:
    """Whether nothing is lost with the upstream's copies of a job.

    It never ran, or its results are here and each is matched.
    """
    return job.upstream_name is None or (job.raw is not None and job.unmatched == 0)
