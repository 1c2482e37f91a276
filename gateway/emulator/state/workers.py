"""The threads that do the jobs' work, and where the results go."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

from gateway.emulator.answers.embed import embed
from gateway.emulator.answers.generate import generate
from gateway.emulator.jobs.job import Job, Run
from gateway.emulator.jobs.lines import (
    MESSAGES,
    BadLineError,
    FileSink,
    ListSink,
    Shape,
    Work,
    file_items,
    inline_items,
)
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.clock import EmulatorClock
from gateway.emulator.protocol.errors import JsonObject
from gateway.emulator.protocol.ids import new_id
from gateway.emulator.resources.files import digest_file
from gateway.emulator.resources.ledger import Charge, charge
from gateway.emulator.resources.project_resources import ProjectResources
from gateway.emulator.state.intake import TEXTS
from gateway.emulator.state.projects import Project

# Jobs worked on at a time.
THREADS: Final = 2
# google.rpc.Code of items that were not served.
CANCELLED, TOO_LATE = 1, 4
_ANSWERS: dict[str, Callable[[str, JsonObject, ProjectResources], JsonObject]] = {
    "generate": generate,
    "embed": embed,
}


def _charge(job: Job, key: str, text: str, response: JsonObject) -> Charge:
    return charge(job.model, "batch", response, text, job=job.name, key=key)


class WorkerPool:
    """Starts work, and has it done in threads of its own."""

    def __init__(self, options: EmulatorOptions, clock: EmulatorClock, directory: Path) -> None:
        self._options = options
        self._clock = clock
        self._directory = directory
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="emulator-job")

    def close(self) -> None:
        """Wait for the work under way, start no other."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def begin(self, job: Job, project: Project) -> Run:
        """Return a new job's work: all of it, or the part that is served before it ends badly."""
        kept = job.faults.get("output-kept")
        serve = None if kept is None else int(job.total * kept.share)
        return self._start(job, project, serve, TOO_LATE)

    def again(self, job: Job, project: Project, serve: int) -> Run:
        """Return the work of a cancelled job: the first ``serve`` items."""
        return self._start(job, project, serve, CANCELLED)

    def _start(self, job: Job, project: Project, serve: int | None, unserved: int) -> Run:
        work = Work(
            partial(_ANSWERS[job.kind], job.model),
            project,
            TEXTS[job.kind],
            Shape(job.faults, f"{self._options.seed}:{job.number}"),
            serve=serve,
            unserved=unserved,
            strict=self._options.bad_line == "job",
            charge=partial(_charge, job) if self._options.ledger else None,
        )
        path = self._directory / f"results-{new_id(16)}" if job.input_path else None
        lines: list[bytes] = []
        future = self._threads.submit(self._begin, job, project, work, lines, path)
        return Run(work, future, lines, path)

    def _begin(
        self, job: Job, project: Project, work: Work, lines: list[bytes], path: Path | None
    ) -> None:
        """In a thread: do what is still wanted; of a deleted job nothing is there any more."""
        if not work.stopped:
            self._do(job, project, work, lines, path)

    def _do(
        self, job: Job, project: Project, work: Work, lines: list[bytes], path: Path | None
    ) -> None:
        """In a thread: do a job's work and put its results where they are looked for."""
        if path is None or job.input_path is None:
            sink = ListSink()
            work.run(inline_items(job.requests), sink)
            lines += () if work.stopped else sink.lines
        else:
            items = file_items(
                job.input_path,
                MESSAGES[job.kind],
                metadata=self._options.line_metadata,
                unchecked="lines-unchecked" in job.faults,
            )
            with contextlib.closing(FileSink(path)) as stream:
                try:
                    work.run(items, stream)
                except BadLineError:
                    path.unlink()
                    raise
            self._publish(job, project, work, path)
        work.finished_ns = self._clock.now_ns()

    def _publish(self, job: Job, project: Project, work: Work, path: Path) -> None:
        if work.stopped:
            path.unlink(missing_ok=True)
            return
        project.files.add(
            job.result_id,
            path,
            digest_file(path),
            display_name=job.result_id,
            mime_type="application/jsonl",
            source="GENERATED",
            # that it ends 48 hours after its job is seen to where it is asked for
            born_ns=job.expires_ns,
        )
        job.has_file = True
