"""Everything one emulator holds, and the changes that touch more than one part of it."""

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from gateway.clock import Clock
from gateway.emulator.answers.embed import embed, text_of
from gateway.emulator.answers.generate import generate
from gateway.emulator.answers.holdings import Holdings
from gateway.emulator.answers.prompt import last_user_text
from gateway.emulator.answers.usage import BYTES_PER_TOKEN, content_tokens, prompt_tokens
from gateway.emulator.courier import Courier
from gateway.emulator.errors import JsonObject, invalid, quota
from gateway.emulator.faults import Fault, FaultBook, parse_fault
from gateway.emulator.files import digest_file
from gateway.emulator.identity import BATCH_LENGTH, new_id
from gateway.emulator.jobs import NEVER, Job, Run, Snapshot, served_share, settle
from gateway.emulator.journal import Journal
from gateway.emulator.markers import find_faults
from gateway.emulator.models import Models
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.projects import Project
from gateway.emulator.timing import SECOND, EmulatorClock
from gateway.emulator.uploads import Uploads
from gateway.emulator.work import FileSink, ListSink, Shape, Work, file_items, inline_items

THREADS = 2
"""Jobs worked on at a time."""
JOURNALED_KEYS = 1000
JOB_FAULTS = (
    "job-stuck",
    "job-slow",
    "job-fails",
    "job-expires",
    "cancel-ignored",
    "delete-lingers",
    "quota-lingers",
    "results-shuffled",
    "results-doubled",
    "results-dropped",
    "results-fail",
    "results-keyless",
    "results-empty",
    "results-citation-only",
    "results-cut",
    "results-refused",
    "results-blank",
    "list-hides",
)
"""Faults that are decided when a job is created."""
MESSAGES = {"generate": "GenerateContentRequest", "embed": "EmbedContentRequest"}
_ANSWERS: dict[str, Callable[[str, JsonObject, Holdings], JsonObject]] = {
    "generate": generate,
    "embed": embed,
}


def generate_text(request: JsonObject) -> str:
    """What a generate request says, its markers included."""
    return last_user_text(request.get("contents", []))


def embed_text(request: JsonObject) -> str:
    """What an embed request says."""
    return text_of(request.get("content", {}))


_TEXTS = {"generate": generate_text, "embed": embed_text}


class World:
    """The state of one emulator; used from one event loop, worked on by its own threads."""

    def __init__(self, options: EmulatorOptions, clock: Clock) -> None:
        self.options = options
        self.clock = EmulatorClock(clock, options.speed)
        self.directory = Path(tempfile.mkdtemp(prefix="gemini-emulator-", dir=options.directory))
        # also for apps whose lifespan nobody runs
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        self.faults = FaultBook(options.faults, options.seed)
        self.journal = Journal(self.clock)
        self.models = Models(serve_unknown=options.unknown_models)
        self.uploads = Uploads(self.directory)
        self.courier = Courier(options, self.clock, self.journal)
        self._projects: dict[str, Project] = {}
        self._jobs_made = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="emulator-job")

    def close(self) -> None:
        """Stop all work and remove what is on disk."""
        for job in self.jobs():
            if job.run is not None:
                job.run.work.stop()
        self.courier.close()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._remove()

    def project(self, key: str) -> Project:
        """The project that a key belongs to."""
        name = self.options.project_of(key)
        if name not in self._projects:
            self._projects[name] = Project(name, self.options, self.clock, self.directory)
        return self._projects[name]

    def jobs(self) -> list[Job]:
        """Every job of every project, deleted ones too, oldest first."""
        found = [job for project in list(self._projects.values()) for job in project.jobs.every()]
        return sorted(found, key=lambda job: job.number)

    def marked_faults(self, project: Project, kind: str, batch: JsonObject) -> list[Fault]:
        """Faults that the prompts of a batch ask for; raises ApiError 400 for a wrong one."""
        texts = [_TEXTS[kind](request) for request in self._sample(project, kind, batch)]
        found = []
        for specification, text in find_faults(texts).items():
            try:
                fault = parse_fault(specification)
            except ValueError as exc:
                raise invalid(str(exc)) from exc
            if project.seen.count(specification + text) <= (fault.times or 1):
                found.append(fault)
        return found

    def _sample(self, project: Project, kind: str, batch: JsonObject) -> list[JsonObject]:
        """The requests of an inline batch; the first one of a file."""
        config = batch.get("inputConfig", {})
        if "fileName" not in config:
            return [entry["request"] for entry in config["requests"]["requests"]]
        path = project.files.get(config["fileName"].removeprefix("files/")).path
        first = next(file_items(path, MESSAGES[kind]), None)
        return [first.request] if first and first.request and not first.refusal else []

    def accept(
        self,
        kind: str,
        model: str,
        batch: JsonObject,
        project: Project,
        marked: Sequence[Fault] = (),
    ) -> Job:
        """Make a job of a parsed batch and start its work; raises ApiError."""
        faults = self._job_faults() | {
            fault.name: fault for fault in marked if fault.name in JOB_FAULTS
        }
        job = self._new_job(kind, model, batch, project, faults)
        self._check_quota(project, job)
        project.jobs.add(job)
        self._jobs_made += 1
        job.run = self._start(job, None)
        self.courier.watch(job, project.webhooks)
        self.journal.note(
            "create",
            name=job.name,
            displayName=job.display_name,
            model=model,
            method=kind,
            items=job.total,
            file=job.file_name,
            keys=[item.key for item in inline_items(job.requests[:JOURNALED_KEYS])],
            faults=sorted(faults),
        )
        return job

    def _job_faults(self) -> dict[str, Fault]:
        taken = {name: self.faults.take(name) for name in JOB_FAULTS}
        return {name: fault for name, fault in taken.items() if fault is not None}

    def _new_job(
        self,
        kind: str,
        model: str,
        batch: JsonObject,
        project: Project,
        faults: dict[str, Fault],
    ) -> Job:
        config = batch.get("inputConfig", {})
        file_name = config.get("fileName", "")
        requests = config.get("requests", {}).get("requests", [])
        file = project.files.usable(file_name.removeprefix("files/")) if file_name else None
        now = self.clock.now_ns()
        starts, ends = self._times(now, faults)
        return Job(
            id=new_id(BATCH_LENGTH),
            number=self._jobs_made,
            kind=kind,
            model=model,
            display_name=batch.get("displayName", ""),
            project=project.name,
            file_name=file_name,
            total=file.lines if file else len(requests),
            tokens=file.size // BYTES_PER_TOKEN if file else self._tokens(kind, requests),
            priority=batch.get("priority", ""),
            created_ns=now,
            starts_ns=starts,
            ends_ns=ends,
            expires_ns=now + int(self.options.expire_seconds * SECOND),
            webhook=batch.get("webhookConfig", {}),
            faults=faults,
            input_path=project.files.link(file) if file else None,
            requests=requests,
        )

    def _times(self, now: int, faults: dict[str, Fault]) -> tuple[float, float]:
        """When the job starts and ends, in nanoseconds."""
        if "job-stuck" in faults:
            return NEVER, NEVER
        seconds = self.options.job_seconds
        if "job-slow" in faults:
            seconds = faults["job-slow"].seconds
        pending = seconds * self.options.pending_share
        return now + int(pending * SECOND), now + int(seconds * SECOND)

    def _tokens(self, kind: str, requests: list[JsonObject]) -> int:
        if not self.options.enqueued_tokens:
            return 0
        if kind == "embed":
            return sum(
                content_tokens(one["request"].get("content", {})).total() for one in requests
            )
        return sum(sum(prompt_tokens(one["request"]).values()) for one in requests)

    def _check_quota(self, project: Project, job: Job) -> None:
        """Raise the 429 that tells neither tokens from jobs nor when to come back."""
        live = project.jobs.live(job.created_ns)
        limits = self.options.enqueued_tokens
        limit = limits.get(job.model, limits.get("*"))
        waiting = sum(one.tokens for one in live if one.model == job.model)
        tokens_over = limit is not None and waiting + job.tokens > limit
        if len(live) >= self.options.max_live_jobs or tokens_over:
            raise quota()

    def _start(self, job: Job, serve: int | None) -> Run:
        shape = Shape(job.faults, f"{self.options.seed}:{job.number}")
        answer = partial(_answer, job.kind, job.model, self._projects[job.project])
        strict = self.options.bad_line == "job"
        work = Work(answer, _TEXTS[job.kind], shape, serve=serve, strict=strict)
        path = self.directory / f"results-{new_id(16)}" if job.input_path else None
        lines: list[bytes] = []
        future = self._threads.submit(self._work, job, work, lines, path)
        return Run(work, future, lines, path)

    def _work(self, job: Job, work: Work, lines: list[bytes], path: Path | None) -> None:
        """In a thread: do a job's work and put its results where they are looked for."""
        if path is None or job.input_path is None:
            sink = ListSink()
            work.run(inline_items(job.requests), sink)
            lines += sink.lines
        else:
            kept = self.options.line_metadata
            items = file_items(job.input_path, MESSAGES[job.kind], metadata=kept)
            with contextlib.closing(FileSink(path)) as stream:
                work.run(items, stream)
            self._publish(job, work, path)
        work.finished_ns = self.clock.now_ns()

    def _publish(self, job: Job, work: Work, path: Path) -> None:
        if work.stopped:
            path.unlink(missing_ok=True)
            return
        name = f"batch-{job.id}"
        self._projects[job.project].files.add(
            name,
            path,
            digest_file(path),
            display_name=name,
            mime_type="application/jsonl",
            source="GENERATED",
        )
        job.result_file = name

    def look(self, job: Job) -> Snapshot:
        """The job's state now."""
        return settle(job, self.clock.now_ns())

    def cancel(self, job: Job) -> None:
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
            job.run = self._start(job, int(job.total * served_share(job, now)))

    def delete(self, job: Job) -> None:
        """Take a job off the list and stop its work."""
        self.journal.note("delete", name=job.name, state=self.look(job).state)
        job.deleted = True
        if job.run is not None and "delete-lingers" not in job.faults:
            job.run.work.stop()

    def finish(self, job: Job) -> None:
        """Let a job's time be over now, whatever its faults (control route)."""
        now = self.clock.now_ns()
        job.starts_ns = min(job.starts_ns, now)
        job.ends_ns = min(job.ends_ns, now)


def _answer(kind: str, model: str, holdings: Holdings, request: JsonObject) -> JsonObject:
    return _ANSWERS[kind](model, request, holdings)
