"""The state of an emulator, and the changes that touch more than one part of it."""

import concurrent.futures
import shutil
import tempfile
import weakref
from collections import Counter
from pathlib import Path
from typing import Final

from gateway.clock import Clock
from gateway.emulator.faults.book import FaultBook
from gateway.emulator.faults.table import parse_fault
from gateway.emulator.jobs.job import RESULT_PREFIX, Job, Snapshot, served_share, settle
from gateway.emulator.jobs.lines import inline_items
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.clock import SECOND, EmulatorClock
from gateway.emulator.protocol.errors import file_gone
from gateway.emulator.resources.files import StoredFile
from gateway.emulator.resources.journal import Journal
from gateway.emulator.resources.ledger import Charge
from gateway.emulator.resources.models import Models
from gateway.emulator.state.intake import Order, job_faults, new_job, strike
from gateway.emulator.state.projects import Project
from gateway.emulator.state.uploads import Uploads
from gateway.emulator.state.webhook_delivery import WebhookDelivery
from gateway.emulator.state.workers import WorkerPool

JOURNALED_KEYS: Final = 1000
# How long a moved clock waits for the work of jobs whose time is over.
WORK_SECONDS: Final = 60


class EmulatorState:
    """The state of one emulator; used from one event loop, worked on by its own threads."""

    def __init__(self, options: EmulatorOptions, clock: Clock) -> None:
        self.options = options
        self.clock = EmulatorClock(clock, options.speed, options.clock_offset)
        self.directory = Path(tempfile.mkdtemp(prefix="gemini-emulator-", dir=options.directory))
        # also for apps whose lifespan is not run
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.faults = FaultBook(
            [parse_fault(text) for text in options.faults], options.seed, self.clock.now_ns
        )
        self.journal = Journal(self.clock, options.journal_entries)
        self.models = Models(serve_unknown=options.unknown_models)
        self.uploads = Uploads(self.directory, self.clock)
        self.webhook_delivery = WebhookDelivery(options, self.clock, self.journal)
        self._workers = WorkerPool(options, self.clock, self.directory)
        self._projects: dict[str, Project] = {}
        # How often each operation was called, whatever was answered.
        self.calls = Counter[str]()
        self._jobs_made = 0

    def close(self) -> None:
        """Stop all work and remove what is on disk."""
        for job in self.jobs():
            if job.run is not None:
                job.run.work.stop()
        self.webhook_delivery.close()
        self._workers.close()
        self._remove()

    def armed(self) -> list[dict[str, object]]:
        """Every armed fault, those that prompts armed for their projects too."""
        books = [self.faults, *(project.faults for project in list(self._projects.values()))]
        return [fault for book in books for fault in book.report()]

    def disarm(self) -> None:
        """Disarm everything, everywhere."""
        self.faults.clear()
        for project in list(self._projects.values()):
            project.faults.clear()

    def project(self, key: str) -> Project:
        """Return the project that a key belongs to."""
        name = self.options.project_of(key)
        if name not in self._projects:
            self._projects[name] = Project(name, self.options, self.clock, self.directory)
        return self._projects[name]

    def jobs(self) -> list[Job]:
        """Every job of every project, deleted ones too, oldest first; from any thread."""
        found = [job for project in list(self._projects.values()) for job in project.jobs.every()]
        return sorted(found, key=lambda job: job.number)

    def accept(self, project: Project, order: Order) -> Job:
        """Make a job of an order and start its work; raises ApiError."""
        project.files.sweep()
        now = self.clock.now_ns()
        job = new_job(self.options, project, order, number=self._jobs_made, now_ns=now)
        strike(self.options, job, job_faults(self.faults, order, project.seen))
        self._jobs_made += 1
        project.jobs.add(job)
        for fault in order.marked.later:
            job.book.arm(fault)
        for fault in order.marked.others:
            project.faults.arm(fault)
        job.run = self._workers.begin(job, project)
        self.webhook_delivery.watch(job, project.webhooks)
        self._note(job)
        return job

    def _note(self, job: Job) -> None:
        self.journal.note(
            "create",
            name=job.name,
            displayName=job.display_name,
            model=job.model,
            method=job.kind,
            items=job.total,
            file=job.file_name,
            keys=[item.key for item in inline_items(job.requests[:JOURNALED_KEYS])],
            faults=sorted(job.faults),
        )

    def charges(self) -> list[Charge]:
        """Return what every answer cost: of jobs that ended with results, and synchronous ones."""
        ended = [job for job in self.jobs() if job.run is not None and self.look(job).has_output]
        of_jobs = [one for job in ended if job.run is not None for one in job.run.work.charges]
        projects = list(self._projects.values())
        return of_jobs + [one for project in projects for one in project.charges]

    def look(self, job: Job) -> Snapshot:
        """Return the job's state now."""
        return settle(job, self.clock.now_ns())

    def result(self, project: Project, file_id: str) -> StoredFile:
        """Return a file by its id; raises ApiError 403, also for results of a job not ended."""
        file = project.files.get(file_id)
        job = project.jobs.find(file_id.removeprefix(RESULT_PREFIX))
        if job is None:
            return file
        seen = self.look(job)
        life = int(self.options.file_seconds * SECOND)
        if not seen.has_output or self.clock.now_ns() >= (seen.ended_ns or 0) + life:
            raise file_gone(file_id)
        return file

    def cancel(self, project: Project, job: Job) -> None:
        """Cancel a job that has not ended; nothing happens to one that has."""
        now = self.clock.now_ns()
        seen = settle(job, now)
        self.journal.note("cancel", name=job.name, state=seen.state)
        if seen.done or job.cancelled_ns is not None or "cancel-ignored" in job.faults:
            return
        job.cancelled_ns = now
        if job.run is not None:
            job.run.work.stop()
        if seen.state == "RUNNING":
            serve = int(job.total * served_share(job, now))
            job.run = self._workers.again(job, project, serve)

    def delete(self, job: Job) -> None:
        """Take a job off the list and stop its work."""
        self.journal.note("delete", name=job.name, state=self.look(job).state)
        job.deleted = True
        if "delete-lingers" in job.faults:
            return
        if job.run is not None:
            job.run.work.stop()
        job.forget_input()
        job.forget_results()

    def await_work(self) -> None:
        """Wait for the work of every job whose time is over; blocks, raises TimeoutError.

        Without it a clock that is moved beyond a job's end can be ahead of the thread that answers
        its items, and the job is still RUNNING.
        """
        now = self.clock.now_ns()
        over = [job for job in self.jobs() if now >= job.ends_ns or job.cancelled_ns is not None]
        runs = [job.run.future for job in over if job.run is not None]
        if concurrent.futures.wait(runs, WORK_SECONDS).not_done:
            raise TimeoutError("the jobs' work is not done")

    def finish(self, job: Job) -> None:
        """Let a job's time be over now, whatever its faults (control route)."""
        now = self.clock.now_ns()
        job.starts_ns = min(job.starts_ns, now)
        job.ends_ns = min(job.ends_ns, now)
