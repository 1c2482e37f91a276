"""Giving up by time and evidence."""

from dataclasses import replace

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import Failure, Job, JobState
from gateway.batches.patience import (
    HOUR,
    RECOVERY,
    Patience,
    denied,
    elapsed,
    ended_because,
    given_up,
    is_overdue,
    may_delete,
    undenied,
    with_reason,
)

NOW = 1_000_000_000
PATIENCE = Patience(denial=6 * HOUR)
JOB = Job(
    id="j1",
    batch_id="batch_1",
    number=0,
    model="m",
    method="batchGenerateContent",
    items=1,
    lines=1,
    bytes=1,
    tokens=1,
    spool="s",
    echo="e",
    display_name="g-j1",
    created_at=0,
    state=JobState.RUNNING,
    upstream_name="batches/1",
)


def test_a_thousand_denials_within_the_hour_prove_nothing() -> None:
    """The number never decides."""
    job = JOB
    for second in range(1000):
        job = denied(job, NOW + second)

    assert job.denials == 1000
    assert not is_overdue(job, NOW + HOUR, PATIENCE)
    assert is_overdue(job, NOW + 6 * HOUR, PATIENCE)
    assert not is_overdue(job, NOW + 6 * HOUR, PATIENCE, proven=False)
    assert is_overdue(job, NOW + 24 * HOUR, PATIENCE, proven=False)
    assert not is_overdue(undenied(job), NOW + 99 * HOUR, PATIENCE)


def test_a_clock_that_was_set_back_shortens_no_patience() -> None:
    """A denial that lies ahead began now."""
    job = denied(JOB, NOW)

    assert elapsed(job.denied_at, NOW - HOUR) == 0
    assert denied(job, NOW - HOUR).denied_at == NOW - HOUR


def test_what_was_given_up_is_looked_for_on() -> None:
    """For as long as the upstream may have it."""
    job = given_up(JOB, Failure("lost", "gone", 500), NOW)

    assert (job.state, job.recover_until) == (JobState.LOST, NOW + RECOVERY)


def test_a_reason_outlives_its_wait() -> None:
    """In the message of the lines."""
    assert with_reason(Failure("c", "Ended."), None).message == "Ended."
    assert with_reason(Failure("c", "Ended."), "429").message == "Ended. Last reason: 429."


def test_why_a_batch_ended() -> None:
    """Its end and what its jobs waited for; Google's words, which may quote a request, by code."""
    expired = with_reason(Failure("batch_expired", "Too late."), "the upstream answered 429")
    refused = Failure("invalid_argument", "'the user's secret' is bad", 400)
    jobs = [replace(JOB, failure=failure) for failure in (expired, expired, refused, None)]

    assert ended_because(BatchStatus.COMPLETED, [JOB]) is None
    assert ended_because(BatchStatus.COMPLETED, jobs[2:]) == "invalid_argument (400)"
    assert ended_because(BatchStatus.CANCELLED, [JOB]) == "a cancel was asked for"
    assert ended_because(BatchStatus.EXPIRED, jobs) == (
        "the completion window ended; the upstream answered 429; invalid_argument (400)"
    )
    again = replace(JOB, id="again", follows=JOB.id)
    assert ended_because(BatchStatus.COMPLETED, [jobs[2], again]) is None


LOST = Failure("upstream_job_lost", "gone", 500)


@pytest.mark.parametrize(
    ("changes", "deleted"),
    [
        ({"raw": "r"}, True),
        ({}, False),
        ({"raw": "r", "unmatched": 1}, False),
        ({"raw": "r", "failure": LOST, "unmatched": 1}, False),
        ({"failure": LOST}, False),
        ({"failure": LOST, "upstream_state": "SUCCEEDED"}, False),
        ({"failure": LOST, "upstream_state": "FAILED"}, False),
        ({"failure": LOST, "upstream_state": "FAILED", "output": "files/1"}, False),
        ({"failure": LOST, "upstream_state": "FAILED", "denied_at": 1}, False),
        ({"upstream_name": None, "failure": LOST}, True),
    ],
)
def test_nothing_is_deleted_before_it_is_secured_and_matched(
    changes: dict[str, object], *, deleted: bool
) -> None:
    """While a line is missing, what could tell of it stays where it is."""
    assert may_delete(replace(JOB, **changes)) is deleted  # type: ignore[arg-type]  # any column
