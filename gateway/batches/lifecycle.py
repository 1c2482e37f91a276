"""The next steps of batches and jobs, from stored state alone.

Paid work is given up by time and evidence, never by count, and never deleted at Google before its
results are secured and matched (:mod:`gateway.batches.patience`).

:func:`next_steps` returns every step that may run, at most one per job. It reads rows and the
time, nothing else, so asking again after a crash gives the same answer. :data:`TRANSITIONS` is
the whole life of a job; :func:`moved` is the only way from one state to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus, Counts
from gateway.batches.job import DONE_STATES, Failure, Job, JobState


class Act(StrEnum):
    """Everything the runner can do.

    A batch that is cancelled ends unvalidated before its validation; later its jobs are refused
    before they are sent, and cancelled at the upstream after.
    """

    VALIDATE = "validate"  # read the input, cut it into jobs
    END_UNVALIDATED = "end_unvalidated"  # a batch cancelled before its validation: nothing ran
    FILL = "fill"  # have the files that a spool names staged, and write their URIs into it
    STAGE = "stage"  # upload a spool
    RECUT = "recut"  # put two smaller jobs in the place of one that is too large for the quota
    CREATE = "create"  # save the intent, create the upstream job
    RECONCILE = "reconcile"  # find out whether a create landed
    POLL = "poll"  # ask for the upstream's state
    RESCUE = "rescue"  # ask for the items of a job one by one, near the deadline
    CANCEL = "cancel"  # ask the upstream to end a job, again and again
    ABANDON = "abandon"  # the batch ends without a job, which is looked after all the same
    REFUSE = "refuse"  # a job that was never sent will not be
    SECURE = "secure"  # copy raw results
    COLLECT = "collect"  # raw results -> run
    RECOVER = "recover"  # look again for a job that was given up
    RELEASE = "release"  # delete the upstream's copies
    PUBLISH = "publish"  # runs -> output and error file, terminal status
    UPLOAD = "upload"  # make the upstream's copy of a file
    LOOK = "look"  # ask whether a copy can be used
    REMOVE = "remove"  # delete a copy that is not needed


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do; ``job_id`` is None for a step on the batch itself."""

    act: Act
    batch_id: str
    job_id: str | None = None


# What takes quota, or is on the way to it: the admission decides when.
SENDING: Final = frozenset({Act.FILL, Act.STAGE, Act.CREATE})


TRANSITIONS: Mapping[JobState, frozenset[JobState]] = {
    # To collected without a result: other jobs have taken over its lines, it was never created. To
    # rescuing: there was no room for it at the upstream until near the deadline.
    JobState.PLANNED: frozenset(
        {
            JobState.STAGING,
            JobState.SUBMITTING,
            JobState.RESCUING,
            JobState.REFUSED,
            JobState.COLLECTED,
        }
    ),
    JobState.STAGING: frozenset(
        {
            JobState.PLANNED,
            JobState.SUBMITTING,
            JobState.RESCUING,
            JobState.REFUSED,
            JobState.COLLECTED,
        }
    ),
    # Back to planned or staging only on a definite "not created".
    JobState.SUBMITTING: frozenset(
        {JobState.PLANNED, JobState.STAGING, JobState.RUNNING, JobState.REFUSED, JobState.LOST}
    ),
    JobState.RUNNING: frozenset({JobState.ENDED, JobState.LOST}),
    JobState.RESCUING: frozenset({JobState.SECURED}),
    JobState.ENDED: frozenset({JobState.SECURED, JobState.LOST}),
    # Back to ended when what was fetched is no result file; what synchronous calls answered is
    # written anew when the disk has lost it.
    JobState.SECURED: frozenset(
        {JobState.COLLECTED, JobState.ENDED, JobState.RESCUING, JobState.LOST}
    ),
    JobState.REFUSED: frozenset({JobState.COLLECTED}),
    JobState.LOST: frozenset({JobState.COLLECTED}),
    JobState.COLLECTED: frozenset({JobState.RELEASED}),
    JobState.RELEASED: frozenset(),
}


class IllegalMoveError(Exception):
    """A transition that is not in the table: a mistake of ours, never of a client or upstream."""


def moved(job: Job, state: JobState, **changes: Any) -> Job:  # noqa: ANN401 - any column's type
    """Return the job in another state, failures forgotten, due at once unless said otherwise."""
    if state not in TRANSITIONS[job.state]:
        raise IllegalMoveError(f"job {job.id}: {job.state} cannot become {state}")
    fresh: dict[str, Any] = {"failures": 0, "defects": 0, "last_error": None, "due_at": 0}
    return job.changed({"state": state, **fresh, **changes})


CANCELLED: Final = Failure(
    "batch_cancelled", "This request was not executed: the batch was cancelled."
)
# OpenAI's own words, Batch guide "Batch expiration".
EXPIRED: Final = Failure(
    "batch_expired",
    "This request could not be executed before the completion window expired.",
)


def stop_reason(batch: Batch, now: int) -> Failure | None:
    """Say why nothing more of this batch may run, if so. A cancel outranks the expiry."""
    if batch.cancel_requested_at is not None:
        return CANCELLED
    if now >= batch.expires_at:
        return EXPIRED
    return None


# How long a batch that is being ended waits for its jobs: OpenAI's documentation gives a cancel up
# to ten minutes.
ENDING_WAIT: Final = 600_000
# A cancel is sent again after this, and then after ever longer: Google ignores some.
CANCEL_AGAIN: Final = 30_000


def next_steps(
    batch: Batch, jobs: Sequence[Job], now: int, ending_wait: int = ENDING_WAIT
) -> list[Step]:
    """List every step that may run now. Times in ms."""
    steps = []
    act = _batch_act(batch, jobs, now)
    if act is not None:
        steps.append(Step(act, batch.id))
    for job in jobs:
        act = _job_act(batch, job, now, ending_wait)
        if act is not None:
            steps.append(Step(act, batch.id, job.id))
    return steps


def _batch_act(batch: Batch, jobs: Sequence[Job], now: int) -> Act | None:
    if batch.status not in LIVE_STATUSES or batch.due_at is None or batch.due_at > now:
        return None
    if batch.status is BatchStatus.VALIDATING:
        return Act.VALIDATE if batch.cancel_requested_at is None else Act.END_UNVALIDATED
    if all(job.state in DONE_STATES for job in jobs):
        return Act.PUBLISH
    return None


_SIMPLE_ACTS: Mapping[JobState, Act] = {
    JobState.SUBMITTING: Act.RECONCILE,
    JobState.RESCUING: Act.RESCUE,
    JobState.ENDED: Act.SECURE,
    JobState.SECURED: Act.COLLECT,
    JobState.REFUSED: Act.COLLECT,
    JobState.LOST: Act.COLLECT,
}
# Given up when its batch must end; one whose results are here only if they cannot be read.
_ABANDONED: Mapping[JobState, bool] = {
    JobState.SUBMITTING: False,
    JobState.RUNNING: False,
    JobState.ENDED: True,
    JobState.SECURED: True,
}

# What a due job is for, mostly, by its state. Those that wait to be sent are the admission's.
STATE_ACTS: Mapping[JobState, Act] = {
    **_SIMPLE_ACTS,
    JobState.RUNNING: Act.POLL,
    JobState.COLLECTED: Act.RELEASE,
}
WAITING_STATES: Final = frozenset({JobState.PLANNED, JobState.STAGING})


def _job_act(batch: Batch, job: Job, now: int, ending_wait: int) -> Act | None:
    due = job.due_at is not None and job.due_at <= now
    if job.state in {JobState.PLANNED, JobState.STAGING}:
        return _sending_act(batch, job, now, due=due)
    if job.state is JobState.RUNNING and job.stop_at is None and stop_reason(batch, now):
        # The look before the end does not wait for the next poll, but obeys a failure's pause.
        return Act.POLL if due or job.failures == 0 else None
    if job.state is JobState.RESCUING and stop_reason(batch, now):
        return Act.RESCUE if due or job.failures == 0 else None  # no more calls: it ends
    return _due_act(batch, job, now, ending_wait) if due else None


def _due_act(batch: Batch, job: Job, now: int, ending_wait: int) -> Act | None:
    if _must_end_without(batch, job, now, ending_wait):
        return Act.ABANDON
    if job.state is JobState.RUNNING:
        stopping = stop_reason(batch, now) is not None
        return Act.CANCEL if stopping and wants_cancel(job, now) else Act.POLL
    if job.state is JobState.COLLECTED:
        return Act.RELEASE if job.recover_until is None else Act.RECOVER
    return _SIMPLE_ACTS.get(job.state)


def _must_end_without(batch: Batch, job: Job, now: int, ending_wait: int) -> bool:
    if job.state not in _ABANDONED or job.stop_at is None or stop_reason(batch, now) is None:
        return False
    fails = job.failures > 0 or not _ABANDONED[job.state]
    return fails and now - job.stop_at >= ending_wait


def wants_cancel(job: Job, now: int) -> bool:
    """Whether to tell a job to end (again): only after a look, or when looking fails.

    Each pause between two cancels is as long as all before it, and never shorter than the first.
    """
    if job.stop_at is None:
        return False
    if job.cancel_sent_at is None:
        return (job.looked_at or 0) >= job.stop_at or job.failures > 1
    pause = max(job.cancel_sent_at - job.stop_at, CANCEL_AGAIN)
    return not 0 <= now - job.cancel_sent_at < pause


def due_while_ending(job: Job, due_at: int, now: int, ending_wait: int) -> int:
    """Bound a due time by the moment at which the batch ends without the job."""
    end = due_at if job.stop_at is None else job.stop_at + ending_wait
    return min(due_at, end) if end > now else due_at


def _sending_act(batch: Batch, job: Job, now: int, *, due: bool) -> Act | None:
    if stop_reason(batch, now) is not None:
        return Act.REFUSE
    if not due:
        return None
    if job.files and not is_filled(job, now):
        return Act.FILL
    if job.inline:
        return Act.CREATE
    stale = job.staged_until is not None and job.staged_until <= now
    return Act.STAGE if job.state is JobState.PLANNED or stale else Act.CREATE


def is_filled(job: Job, now: int) -> bool:
    """Whether what is sent of a job names copies of its files that are fresh enough."""
    return job.filled is not None and (job.filled_until is None or now < job.filled_until)


def rest_until(batch: Batch, now: int) -> int | None:
    """Tell when the batch row itself is due next, if nothing happens to its jobs before (ms)."""
    if batch.status is BatchStatus.IN_PROGRESS and now < batch.expires_at:
        return batch.expires_at
    return None


def final_status(batch: Batch, counts: Counts) -> BatchStatus:
    """Choose the terminal status of a batch whose lines are all accounted for.

    ``expired`` only if a line was not run: what was finished in time is completed whenever
    it is looked at (programs take ``expired`` for a failure of all that was paid for).
    """
    if batch.cancel_requested_at is not None:
        return BatchStatus.CANCELLED
    if counts.completed + counts.failed < counts.total:
        return BatchStatus.EXPIRED
    return BatchStatus.COMPLETED


def unserved(batch: Batch, job: Job) -> Failure:
    """Return what to say of a line that the upstream never got to, once the job was told to end."""
    return recalling(EXPIRED if batch.cancel_requested_at is None else CANCELLED, job)


def recalling(failure: Failure, job: Job) -> Failure:
    """Add what its lines met in an earlier attempt, which would else be forgotten."""
    if job.fault is None:
        return failure
    return replace(failure, message=f"{failure.message} An earlier attempt met: {job.fault}.")
