"""The lifecycle: a total table, and steps from stored state alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus, Counts
from gateway.batches.job import DONE_STATES, Job, JobState
from gateway.batches.lifecycle import (
    CANCEL_AGAIN,
    CANCELLED,
    ENDING_WAIT,
    EXPIRED,
    TRANSITIONS,
    Act,
    IllegalMoveError,
    Step,
    due_while_ending,
    final_status,
    moved,
    next_steps,
    rest_until,
    stop_reason,
    unserved,
)
from tests.every import in_one_item

NOW = 1_000_000
BATCH = Batch(
    id="batch_1",
    owner="o",
    endpoint="/v1/chat/completions",
    input_file_id="file-1",
    created_at=0,
    expires_at=NOW * 10,
    status=BatchStatus.IN_PROGRESS,
    due_at=NOW,
)
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
    due_at=NOW,
)


def job_act(job: Job, batch: Batch = BATCH) -> Act | None:
    """What the job's own row asks for."""
    steps = [step for step in next_steps(batch, [job], NOW) if step.job_id]
    return steps[0].act if steps else None


def test_the_table_is_total_and_has_no_unreachable_state() -> None:
    """Every state has its row; every state but the first is reached from another."""
    assert set(TRANSITIONS) == set(JobState)
    reached = {state for targets in TRANSITIONS.values() for state in targets}
    assert reached == set(JobState)


@in_one_item
@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("target", JobState)
def test_only_the_table_moves_a_job(state: JobState, target: JobState) -> None:
    """Any other move is a mistake that names both states."""
    job = replace(JOB, state=state, failures=3, last_error="x")
    if target in TRANSITIONS[state]:
        after = moved(job, target)
        assert (after.state, after.failures, after.last_error) == (target, 0, None)
    else:
        with pytest.raises(IllegalMoveError, match=f"{state} cannot become {target}"):
            moved(job, target)


@pytest.mark.parametrize(
    ("changes", "act"),
    [
        ({}, Act.STAGE),
        ({"inline": True}, Act.CREATE),
        ({"files": 1}, Act.FILL),
        ({"files": 1, "inline": True}, Act.FILL),
        ({"files": 1, "filled": "f"}, Act.STAGE),
        ({"files": 1, "filled": "f", "inline": True}, Act.CREATE),
        ({"files": 1, "filled": "f", "filled_until": NOW + 1}, Act.STAGE),
        ({"files": 1, "filled": "f", "filled_until": NOW}, Act.FILL),
        (
            {"files": 1, "filled": "f", "filled_until": NOW, "state": JobState.STAGING},
            Act.FILL,
        ),
        ({"files": 1, "state": JobState.RUNNING}, Act.POLL),
        ({"state": JobState.STAGING, "staged": "f", "staged_until": NOW + 1}, Act.CREATE),
        ({"state": JobState.STAGING, "staged": "f", "staged_until": NOW}, Act.STAGE),
        ({"state": JobState.SUBMITTING}, Act.RECONCILE),
        ({"state": JobState.RUNNING}, Act.POLL),
        ({"state": JobState.ENDED}, Act.SECURE),
        ({"state": JobState.SECURED}, Act.COLLECT),
        ({"state": JobState.REFUSED}, Act.COLLECT),
        ({"state": JobState.LOST}, Act.COLLECT),
        ({"state": JobState.COLLECTED}, Act.RELEASE),
        ({"state": JobState.RELEASED}, None),
        ({"due_at": NOW + 1}, None),
        ({"due_at": None}, None),
    ],
)
def test_each_state_asks_for_its_step(changes: dict[str, object], act: Act | None) -> None:
    """And for nothing before it is due."""
    assert job_act(replace(JOB, **changes)) is act  # type: ignore[arg-type]  # any column


LOOKED = {"state": JobState.RUNNING, "stop_at": NOW - 40_000, "looked_at": NOW - 40_000}
CANCELLING = replace(BATCH, cancel_requested_at=NOW)
OVERDUE = replace(BATCH, expires_at=NOW)


@in_one_item
@pytest.mark.parametrize("batch", [CANCELLING, OVERDUE], ids=["cancel", "expiry"])
@pytest.mark.parametrize(
    ("changes", "act"),
    [
        ({"due_at": NOW + 1}, Act.REFUSE),
        ({"state": JobState.STAGING, "due_at": None}, Act.REFUSE),
        ({"files": 1, "due_at": NOW + 1}, Act.REFUSE),
        # Looked at before it is told to end: it may have ended long ago.
        ({"state": JobState.RUNNING, "due_at": NOW + 1}, Act.POLL),
        ({"state": JobState.RUNNING, "due_at": NOW + 1, "failures": 1}, None),
        ({"state": JobState.RUNNING, "failures": 1}, Act.POLL),
        ({**LOOKED}, Act.CANCEL),
        ({**LOOKED, "due_at": NOW + 1}, None),
        ({**LOOKED, "looked_at": None}, Act.POLL),
        ({**LOOKED, "looked_at": None, "failures": 2}, Act.CANCEL),
        # Told again after a pause, and after ever longer ones.
        ({**LOOKED, "cancel_sent_at": NOW - 1}, Act.POLL),
        ({**LOOKED, "cancel_sent_at": NOW - CANCEL_AGAIN}, Act.CANCEL),
        ({**LOOKED, "stop_at": NOW - 100_000, "cancel_sent_at": NOW - 49_000}, Act.POLL),
        ({**LOOKED, "stop_at": NOW - 100_000, "cancel_sent_at": NOW - 51_000}, Act.CANCEL),
        # A clock that was set back delays no cancel.
        ({**LOOKED, "cancel_sent_at": NOW + 1}, Act.CANCEL),
        # The batch ends without what does not end.
        ({**LOOKED, "stop_at": NOW - ENDING_WAIT}, Act.ABANDON),
        ({"state": JobState.SUBMITTING, "stop_at": NOW - ENDING_WAIT}, Act.ABANDON),
        ({"state": JobState.ENDED, "stop_at": NOW - ENDING_WAIT}, Act.SECURE),
        ({"state": JobState.ENDED, "stop_at": NOW - ENDING_WAIT, "failures": 1}, Act.ABANDON),
        ({"state": JobState.SECURED, "stop_at": NOW - ENDING_WAIT}, Act.COLLECT),
        ({"state": JobState.SECURED, "stop_at": NOW - ENDING_WAIT, "failures": 1}, Act.ABANDON),
        # A create under way is found out about first: the name of a paid job is never lost.
        ({"state": JobState.SUBMITTING}, Act.RECONCILE),
        ({"state": JobState.SUBMITTING, "due_at": NOW + 1}, None),
        ({"state": JobState.ENDED}, Act.SECURE),
    ],
)
def test_a_stop_does_not_wait(batch: Batch, changes: dict[str, object], act: Act | None) -> None:
    """What was not sent never will be; what runs is told to end, at once."""
    assert job_act(replace(JOB, **changes), batch) is act  # type: ignore[arg-type]  # any column


def batch_act(batch: Batch, *jobs: Job) -> Act | None:
    """What the batch's own row asks for."""
    steps = [step.act for step in next_steps(batch, jobs, NOW) if step.job_id is None]
    return steps[0] if steps else None


VALIDATING = replace(BATCH, status=BatchStatus.VALIDATING)
COLLECTED = replace(JOB, state=JobState.COLLECTED)


def test_the_batch_row() -> None:
    """Validated first, published once every job is collected, withdrawn if cancelled before."""
    assert batch_act(VALIDATING) is Act.VALIDATE
    assert batch_act(replace(VALIDATING, cancel_requested_at=1)) is Act.END_UNVALIDATED
    assert batch_act(BATCH, COLLECTED, JOB) is None
    assert batch_act(BATCH, COLLECTED, replace(JOB, state=JobState.RELEASED)) is Act.PUBLISH
    assert batch_act(replace(BATCH, status=BatchStatus.FINALIZING), COLLECTED) is Act.PUBLISH
    assert batch_act(BATCH) is Act.PUBLISH
    assert batch_act(replace(BATCH, due_at=NOW + 1)) is None
    assert batch_act(replace(BATCH, due_at=None)) is None


@pytest.mark.parametrize("status", sorted(set(BatchStatus) - LIVE_STATUSES))
def test_a_terminal_batch_only_lets_go(status: BatchStatus) -> None:
    """Its jobs may still be released, nothing else."""
    batch = replace(BATCH, status=status)

    assert next_steps(batch, [COLLECTED], NOW) == [Step(Act.RELEASE, "batch_1", "j1")]


def test_stop_reasons() -> None:
    """A cancel outranks the expiry, in the error lines as in the status."""
    both = replace(OVERDUE, cancel_requested_at=1)

    assert stop_reason(BATCH, NOW) is None
    assert stop_reason(OVERDUE, NOW) is EXPIRED
    assert stop_reason(both, NOW) is CANCELLED
    assert unserved(both, COLLECTED) is CANCELLED
    assert unserved(OVERDUE, COLLECTED) is EXPIRED
    assert final_status(both, Counts(2, 1, 1)) is BatchStatus.CANCELLED


def test_how_a_batch_ends() -> None:
    """Expired only if a line was not run."""
    assert final_status(OVERDUE, Counts(2, 2, 0)) is BatchStatus.COMPLETED
    assert final_status(OVERDUE, Counts(2, 1, 1)) is BatchStatus.COMPLETED
    assert final_status(OVERDUE, Counts(2, 1, 0)) is BatchStatus.EXPIRED
    assert final_status(BATCH, Counts(2, 1, 0)) is BatchStatus.EXPIRED
    assert final_status(BATCH, Counts(2, 0, 2)) is BatchStatus.COMPLETED


def test_the_end_without_a_job_is_due_in_time() -> None:
    """No pause is longer than what is left of the wait."""
    ending = replace(JOB, stop_at=NOW - 1000)

    assert due_while_ending(JOB, NOW + 5000, NOW, 3000) == NOW + 5000
    assert due_while_ending(ending, NOW + 5000, NOW, 3000) == NOW + 2000
    assert due_while_ending(ending, NOW + 500, NOW, 3000) == NOW + 500
    assert due_while_ending(ending, NOW + 5000, NOW, 900) == NOW + 5000


def test_a_job_that_was_given_up_is_looked_for() -> None:
    """Also once its batch has ended."""
    ended = replace(BATCH, status=BatchStatus.COMPLETED)
    lost = replace(COLLECTED, recover_until=NOW + 1)

    assert job_act(lost, ended) is Act.RECOVER


def test_a_resting_batch_is_due_at_its_expiry() -> None:
    """Once; afterwards its jobs carry on by themselves."""
    assert rest_until(BATCH, NOW) == BATCH.expires_at
    assert rest_until(OVERDUE, NOW) is None
    assert rest_until(VALIDATING, NOW) is None


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Any job a row could hold."""
    return replace(
        JOB,
        id=draw(st.sampled_from(["a", "b", "c", "d"])),
        state=draw(st.sampled_from(JobState)),
        inline=draw(st.booleans()),
        due_at=draw(st.sampled_from([None, 0, NOW, NOW + 1])),
        failures=draw(st.integers(0, 3)),
        cancel_sent_at=draw(st.sampled_from([None, 1])),
        staged_until=draw(st.sampled_from([None, NOW, NOW + 1])),
        files=draw(st.integers(0, 1)),
        filled=draw(st.sampled_from([None, "f"])),
        filled_until=draw(st.sampled_from([None, NOW, NOW + 1])),
    )


@pytest.mark.slow
@given(
    st.sampled_from(BatchStatus),
    st.sampled_from([None, NOW]),
    st.sampled_from([NOW, NOW + 1]),
    st.lists(jobs(), unique_by=lambda job: job.id),
)
def test_steps_follow_from_state_alone(
    status: BatchStatus, cancelled: int | None, expires: int, some: list[Job]
) -> None:
    """Asking again gives the same answer; at most one step a row; a finished batch publishes."""
    batch = replace(BATCH, status=status, cancel_requested_at=cancelled, expires_at=expires)

    steps = next_steps(batch, some, NOW)

    assert steps == next_steps(batch, some, NOW)
    rows = [step.job_id for step in steps]
    assert len(rows) == len(set(rows))
    if any(step.act is Act.PUBLISH for step in steps):
        assert all(job.state in DONE_STATES for job in some)
    if status not in LIVE_STATUSES:
        assert None not in rows
