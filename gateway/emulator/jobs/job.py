"""Batch jobs and their states, which follow from the clock.

Nothing ticks: a job's state is worked out from when it was created, cancelled or asked to end
whenever it is looked at (:func:`settle`). Rules, with their evidence:

- PENDING, RUNNING, then SUCCEEDED or FAILED; no progress shows while RUNNING (26 polls on record).
- A cancel before work starts ends CANCELLED with error 13; one while RUNNING ends SUCCEEDED, items
  not served yet are ``{"error": {"code": 1}}`` (live 2026-08-15).
- 48 hours after create an unfinished job is EXPIRED, and nothing can be fetched (Google's guide).
- A job never ends before its work is done.
"""

import math
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.emulator.faults.book import FaultBook
from gateway.emulator.faults.table import Fault
from gateway.emulator.jobs.lines import BadLineError, Counts, Work, fault_status
from gateway.emulator.protocol.clock import SECOND
from gateway.emulator.protocol.errors import JsonObject, entity_not_found

NEVER: Final = math.inf
# How the id of a result file begins; the id of its job follows.
RESULT_PREFIX: Final = "batch-"


@dataclass
class Run:
    """One go at a job's work; ``lines`` for inline results, ``path`` for a file's."""

    work: Work
    future: "Future[None]"
    lines: list[bytes] = field(default_factory=list)
    path: Path | None = None


@dataclass
class Job:
    """One batch job as accepted; only cancel, delete, finish and the run change it."""

    id: str
    number: int
    # ``generate`` or ``embed``.
    kind: str
    model: str
    display_name: str
    # Name of the project it belongs to.
    project: str
    # ``files/...`` or empty for an inline job.
    file_name: str
    total: int
    tokens: int
    priority: str
    created_ns: int
    starts_ns: float
    ends_ns: float
    expires_ns: int
    webhook: JsonObject
    faults: dict[str, Fault] = field(default_factory=dict)
    input_path: Path | None = None
    requests: list[JsonObject] = field(default_factory=list)
    # Faults of the calls about it.
    book: FaultBook = field(default_factory=FaultBook)
    run: Run | None = None
    cancelled_ns: int | None = None
    deleted: bool = False
    # Whether its results are a file.
    has_file: bool = False

    @property
    def name(self) -> str:
        """``batches/<36>``."""
        return f"batches/{self.id}"

    @property
    def result_id(self) -> str:
        """``batch-<36>``."""
        return RESULT_PREFIX + self.id

    def forget_input(self) -> None:
        """Forget what an ended job was made of."""
        self.requests = []
        if self.input_path is not None:
            self.input_path.unlink(missing_ok=True)

    def forget_results(self) -> None:
        """Forget the inline results of a deleted job."""
        if self.run is not None:
            self.run.lines.clear()


@dataclass(frozen=True)
class Snapshot:
    """State of a job at one moment; ``ended_ns`` is set when it is over."""

    # Without prefix: PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED.
    state: str
    counts: Counts
    ended_ns: int | None = None
    error: JsonObject | None = None
    has_output: bool = False

    @property
    def done(self) -> bool:
        """Whether the job has ended."""
        return self.ended_ns is not None


CANCELLATION: JsonObject = {"code": 13, "message": "The batch was cancelled."}


def settle(job: Job, now_ns: int) -> Snapshot:
    """Return the job's state at ``now_ns``."""
    unserved = Counts(total=job.total)
    if job.cancelled_ns is not None and job.cancelled_ns < job.starts_ns:
        return Snapshot("CANCELLED", unserved, job.cancelled_ns, CANCELLATION)
    if now_ns < min(job.starts_ns, job.expires_ns):
        return Snapshot("PENDING", unserved)
    return _started(job, now_ns, unserved)


def _started(job: Job, now_ns: int, unserved: Counts) -> Snapshot:
    ends = job.ends_ns if job.cancelled_ns is None else job.cancelled_ns
    if ends > job.expires_ns and now_ns >= job.expires_ns:
        return _expired(job, job.expires_ns)
    run = job.run
    if now_ns < ends or run is None or not run.future.done():
        return Snapshot("RUNNING", unserved)
    ended = max(int(ends), run.work.finished_ns)
    if "job-expires" in job.faults:
        return _expired(job, ended)
    error = _failure(job, run)
    if error is not None:
        return _badly("FAILED", job, ended, error)
    if job.cancelled_ns is not None and "output-kept" in job.faults:
        return _badly("CANCELLED", job, ended, CANCELLATION)
    return Snapshot("SUCCEEDED", run.work.counts, ended, has_output=True)


def _expired(job: Job, ended: int) -> Snapshot:
    error = {"code": 4, "message": "The batch expired before it was processed."}
    return _badly("EXPIRED", job, ended, error)


def _badly(state: str, job: Job, ended: int, error: JsonObject) -> Snapshot:
    """Return the end of a job that did not succeed: nothing to fetch, unless its output is kept."""
    run = job.run
    if "output-kept" in job.faults and run is not None and run.future.done():
        return Snapshot(state, run.work.counts, ended, error, has_output=True)
    return Snapshot(state, Counts(total=job.total), ended, error)


def _failure(job: Job, run: Run) -> JsonObject | None:
    """google.rpc.Status of a failed job, None for one that did not fail."""
    fault = job.faults.get("job-fails")
    if fault is not None:
        return fault_status(fault)
    problem = run.future.exception()
    if isinstance(problem, BadLineError):
        return {"code": 3, "message": problem.refusal.message}
    return None if problem is None else {"code": 13, "message": type(problem).__name__}


def _released(job: Job, now_ns: int) -> bool:
    """Whether a job no longer counts against the limits of live jobs and enqueued tokens."""
    seen = settle(job, now_ns)
    lingers = job.faults.get("quota-lingers")
    if lingers is None:
        return job.deleted or seen.done
    held = int(lingers.seconds * SECOND)
    return seen.ended_ns is not None and now_ns >= seen.ended_ns + held


def served_share(job: Job, now_ns: int) -> float:
    """Return the part of a RUNNING job that is done at ``now_ns``, as a cancel finds it."""
    length = job.ends_ns - job.starts_ns
    if not math.isfinite(length) or length <= 0:
        return 0.5
    return min(max((now_ns - job.starts_ns) / length, 0.0), 1.0)


class Jobs:
    """All jobs of a project, by id, in order of creation."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._live: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        """Accept a job."""
        self._jobs[job.id] = job
        self._live[job.id] = job

    def every(self) -> list[Job]:
        """Every job, deleted ones too, oldest first; from any thread."""
        return list(self._jobs.values())

    def find(self, job_id: str) -> Job | None:
        """Return a job by its id, deleted or not."""
        return self._jobs.get(job_id)

    def get(self, job_id: str) -> Job:
        """Return a job that is not deleted (or lingers); raises ApiError 404."""
        job = self._jobs.get(job_id)
        if job is None or (job.deleted and "delete-lingers" not in job.faults):
            raise entity_not_found()
        return job

    def newest_first(self, before: int | None) -> Iterable[Job]:
        """Jobs to list, newest first, from the one with number below ``before``."""
        for job in reversed(self._jobs.values()):
            visible = not job.deleted or "delete-lingers" in job.faults
            if visible and (before is None or job.number < before):
                yield job

    def live(self, now_ns: int) -> list[Job]:
        """Unfinished jobs."""
        ended = [one.id for one in self._live.values() if _released(one, now_ns)]
        for job_id in ended:
            job = self._live.pop(job_id)
            if job.run is None or job.run.future.done():
                job.forget_input()  # nothing can make it run again
        return list(self._live.values())
