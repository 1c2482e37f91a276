"""Google, simulated: batch jobs on a clock of its own, with faults, and a ledger of what was paid.

It implements :class:`gateway.ports.upstream.Upstream`. What a job does is settled when it is
accepted (its :class:`Fate`), and its state is a function of the time: no task of its own runs.
What the gateway must never do is written down in :attr:`Google.wrong`, at the moment it happens.
"""

# ruff: noqa: ARG002 - a port is told more than this side of it needs

from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import orjson

from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ports.upstream import (
    Absent,
    FileSeen,
    FileState,
    Found,
    Model,
    Observation,
    Source,
    Staged,
    Unknown,
    Uploaded,
)
from gateway.wire.gemini import INLINE

MODELS: Final = ("gemini-2.5-flash", "gemini-2.5-pro")
# Seconds: how long a call takes, how long a hanging one, how long a cancel that is obeyed.
CALL, HANG, CANCELLING = 0.1, 60.0, 30.0
# A create that lands late, or is listed late, shows within this part of the settling time.
LANDING, LAG = 0.4, 0.5
PROMPT, ANSWER = 24, 5  # tokens of each item
STAGED_LIFE: Final = 47 * 3600
KEYS: Final = {"first": "one", "second": "one", "other": "two"}  # key -> project


class Fault(StrEnum):
    """What one call of a method meets."""

    UNAVAILABLE = "503, nothing done"
    HELD = "403 about the account, nothing done"
    GONE = "404"
    EXHAUSTED = "429"
    LOST = "done, and the answer is lost"
    NEVER = "a reset before anything was done"
    LATE = "no answer, and done later"
    HANG = "no answer for as long as one waits"
    REFUSED = "400"
    STALE = "what was staged is not there"
    GARBAGE = "a page of some proxy's"
    CUT = "cut in the middle of a line"
    BROKEN = "a reset in the middle"


# Which call may meet what.
FAULTS: Final[Mapping[str, Sequence[Fault]]] = {
    "stage": (Fault.UNAVAILABLE, Fault.HELD),
    "create": (
        Fault.UNAVAILABLE,
        Fault.HELD,
        Fault.EXHAUSTED,
        Fault.LOST,
        Fault.NEVER,
        Fault.LATE,
        Fault.HANG,
        Fault.REFUSED,
        Fault.STALE,
    ),
    "find": (Fault.UNAVAILABLE, Fault.STALE),
    "observe": (Fault.UNAVAILABLE, Fault.HELD, Fault.GONE, Fault.HANG),
    "fetch": (
        Fault.UNAVAILABLE,
        Fault.HELD,
        Fault.GONE,
        Fault.STALE,
        Fault.GARBAGE,
        Fault.CUT,
        Fault.BROKEN,
    ),
    "stage_file": (Fault.UNAVAILABLE, Fault.HELD),
    "cancel": (Fault.UNAVAILABLE, Fault.LOST, Fault.HANG),
    "release": (Fault.UNAVAILABLE, Fault.LOST),
    "models": (Fault.UNAVAILABLE,),
}


class Item(StrEnum):
    """How one item comes out."""

    SERVED = "served"
    DOUBLED = "served, and told twice"
    MENDED = "an error and its answer, both"
    PASSING = "an error that passes"
    LASTING = "an error that does not"
    DROPPED = "no result at all"


DELIVERED: Final = frozenset({Item.SERVED, Item.DOUBLED, Item.MENDED})


@dataclass(frozen=True)
class Fate:
    """What becomes of a job. Times in seconds; ``lag`` is a part of the settling time.

    ``items`` come out so, in turn. ``deaf``: no cancel is obeyed. ``listed_late``: no listing
    shows it at first; ``denied``: for so long after its creation a look is answered with 404;
    ``late``: for so long after it ended well no output shows.
    """

    pending: float = 20.0
    running: float = 60.0
    end: str = "SUCCEEDED"
    error_code: str | None = None
    items: Sequence[Item] = (Item.SERVED,)
    deaf: bool = False
    listed_late: bool = False
    denied: float = 0.0
    late: float = 0.0


@dataclass
class GoogleJob:
    """One accepted create."""

    name: str
    display_name: str
    batch_id: str
    project: str
    model: str
    tokens: int
    inline: bool
    keys: Sequence[str]
    texts: Mapping[str, str]
    accepted: float
    fate: Fate
    cancelled: float | None = None
    deleted: bool = False
    fetched: bool = False

    def ended_at(self) -> float:
        """The moment at which it is over."""
        end = self.accepted + self.fate.pending + self.fate.running
        if self.cancelled is None or self.fate.deaf:
            return end
        return min(end, max(self.cancelled + CANCELLING, self.accepted))

    def is_live(self, now: float) -> bool:
        """Whether it holds quota."""
        return now < self.ended_at()

    def state(self, now: float) -> str:
        """Google's word for it."""
        if now < self.ended_at():
            return "PENDING" if now < self.accepted + self.fate.pending else "RUNNING"
        return self._end()

    def _end(self) -> str:
        whole = self.accepted + self.fate.pending + self.fate.running
        return self.fate.end if self.ended_at() >= whole else "CANCELLED"

    def has_output(self) -> bool:
        """Whether it brings results, once it has ended."""
        return self._end() in {"SUCCEEDED", "CANCELLED"}

    def outcome(self, key: str) -> Item:
        """How an item comes out. Of a job that was cancelled the second half was never served."""
        place = self.keys.index(key)
        if self._end() == "CANCELLED" and place >= len(self.keys) // 2:
            return Item.DROPPED
        return self.fate.items[place % len(self.fate.items)]

    def delivers(self, key: str) -> bool:
        """Whether there is, or will be, an answer to be fetched: it is paid for."""
        return self.has_output() and self.outcome(key) in DELIVERED


class Google:
    """One Google, for one story."""

    def __init__(
        self,
        seconds: Callable[[], float],
        wall: Callable[[], int],
        settle: float,
        rooms: tuple[int, int],
    ) -> None:
        self._seconds, self._wall, self._settle = seconds, wall, settle
        self.most_tokens, self.most_jobs = rooms
        self.jobs: list[GoogleJob] = []
        self.staged: set[str] = set()
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.fates: deque[Fate] = deque()
        self.key = "first"
        self.wrong: list[str] = []
        self.calls = 0
        self.met: dict[str, int] = defaultdict(int)
        self.point: Callable[[], None] = lambda: None
        self.sleep: Callable[[float], Any]
        self.is_given_up: Callable[[str], bool] = lambda _: False
        self._landing: list[tuple[float, Job, bytes]] = []

    # What stories do to it

    def heal(self) -> None:
        """From now on all goes well; what was accepted before keeps its fate."""
        self.faults.clear()
        self.fates.clear()
        self.key = "first"

    # The port

    def identity(self, credential: str, salt: str) -> str:
        """Which key is set."""
        return f"{credential}-{salt}-{self.key}"

    async def _begin(self, method: str) -> Fault | None:
        """A call: it takes time, and the process may die before it, and meets a fault."""
        self.calls += 1
        self.point()
        await self.sleep(CALL)
        self._land()
        armed = self.faults[method]
        fault = armed.popleft() if armed else None
        if fault is not None:
            self.met[f"{method}: {fault.name}"] += 1
        if fault is Fault.HANG and method != "create":
            await self.sleep(HANG)
            self._land()
            raise UpstreamUnavailableError("no answer")
        _raise_plain(fault)
        return fault

    async def stage(self, job: Job, spool: Source) -> Staged:
        """Upload a spool."""
        await self._begin("stage")
        size = sum([len(block) async for block in spool.blocks()])
        if size != job.outgoing[1]:
            self.wrong.append(f"{job.display_name}: a spool of another size was staged")
        name = f"files/{self.calls}"
        self.staged.add(name)
        self.point()
        return Staged(name, self._wall() + STAGED_LIFE * 1000)

    async def create(self, job: Job, spool: Source, seconds: float) -> str:
        """Accept a job, or not."""
        fault = await self._begin("create")
        content = b"".join([block async for block in spool.blocks()])
        if fault is Fault.REFUSED:
            raise UpstreamRefusedError("a request is malformed", status=400)
        if fault is Fault.STALE or (job.staged is not None and job.staged not in self.staged):
            self.staged.discard(job.staged or "")
            raise UpstreamStaleError("no such file", status=404)
        if fault is Fault.EXHAUSTED or not self._has_room(job):
            raise UpstreamUnavailableError("quota", status=429, code="RESOURCE_EXHAUSTED")
        if fault is Fault.NEVER:
            raise UpstreamAmbiguousError("reset")
        if fault is Fault.LATE:
            self._landing.append((self._seconds() + LANDING * self._settle, job, content))
            raise UpstreamAmbiguousError("no answer")
        made = self._accept(job, content)
        self.point()
        if fault is Fault.HANG:
            await self.sleep(seconds)
            raise UpstreamAmbiguousError("no answer in time")
        if fault is Fault.LOST:
            raise UpstreamAmbiguousError("reset")
        return made.name

    def _land(self) -> None:
        due = [each for each in self._landing if each[0] <= self._seconds()]
        self._landing = [each for each in self._landing if each[0] > self._seconds()]
        for _, job, content in due:
            self._accept(job, content)

    def _has_room(self, job: Job) -> bool:
        """As Google counts; a gateway that knows the limits never asks for more than they are.

        But jobs that it has given up, and whose end it cannot know, may hold on.
        """
        now = self._seconds()
        live = [each for each in self.jobs if each.is_live(now) and each.project == self._project]
        known = [each for each in live if not self.is_given_up(each.display_name)]
        if self._is_full(job, known):
            self.wrong.append(f"{job.display_name}: sent beyond the limits of tokens or jobs")
        return not self._is_full(job, live)

    def _is_full(self, job: Job, live: Sequence[GoogleJob]) -> bool:
        tokens = sum(each.tokens for each in live if each.model == job.model)
        too_many = bool(tokens) and tokens + job.tokens > self.most_tokens
        return too_many or len(live) >= self.most_jobs

    @property
    def _project(self) -> str:
        return KEYS[self.key]

    def _accept(self, job: Job, content: bytes) -> GoogleJob:
        rows = [orjson.loads(line) for line in content.splitlines()]
        texts = {row["key"]: self._text_of(row["request"]) for row in rows}
        made = GoogleJob(
            name=f"batches/{len(self.jobs)}",
            display_name=job.display_name,
            batch_id=job.batch_id,
            project=self._project,
            model=job.model,
            tokens=job.tokens,
            inline=job.inline,
            keys=list(texts),
            texts=texts,
            accepted=self._seconds(),
            fate=self.fates.popleft() if self.fates else Fate(),
        )
        self._check_paid_once(made)
        self.jobs.append(made)
        return made

    def _text_of(self, request: dict[str, Any]) -> str:
        """The words of a request; a file that it names must be there."""
        words = ""
        for part in request["contents"][0]["parts"]:
            words += part.get("text", "")
            uri = part.get("fileData", {}).get("fileUri")
            if uri is not None and uri.removeprefix("https://google/") not in self.staged:
                self.wrong.append(f"a line names {uri}, which is not at Google")
        return words

    def _check_paid_once(self, made: GoogleJob) -> None:
        now = self._seconds()
        for other in self.of_batch(made.batch_id):
            if other.display_name == made.display_name:
                self.wrong.append(f"{made.display_name}: accepted twice")
            for key in set(other.keys) & set(made.keys):
                if other.is_live(now):
                    self.wrong.append(f"{made.display_name}: {key} still runs in another job")
                elif other.delivers(key):
                    self.wrong.append(f"{made.display_name}: {key} was answered and paid before")

    def of_batch(self, batch_id: str) -> list[GoogleJob]:
        """The jobs accepted for a batch."""
        return [job for job in self.jobs if job.batch_id == batch_id]

    def delivered(self, batch_id: str, key: str) -> bool:
        """Whether an item of a batch has an answer, at a job that has ended."""
        now = self._seconds()
        jobs = [job for job in self.of_batch(batch_id) if key in job.keys]
        return any(job.delivers(key) and not job.is_live(now) for job in jobs)

    async def find(
        self, display_name: str, credential: str, known: str | None
    ) -> Found | Absent | Unknown:
        """List jobs."""
        if await self._begin("find") is Fault.STALE:
            return Unknown()
        listed = [job for job in self.jobs if self._is_listed(job)]
        if known is not None and known not in {job.name for job in listed}:
            return Unknown()
        names = [job.name for job in listed if job.display_name == display_name]
        return Found(names) if names else Absent()

    def _is_listed(self, job: GoogleJob) -> bool:
        lag = LAG * self._settle if job.fate.listed_late else 0.0
        late = self._seconds() < job.accepted + lag
        return job.project == self._project and not job.deleted and not late

    def _job(self, name: str) -> GoogleJob:
        for job in self.jobs:
            denied = self._seconds() < job.accepted + job.fate.denied
            mine = job.project == self._project and not job.deleted
            if job.name == name and mine and not denied:
                return job
        raise UpstreamGoneError("no such job", status=404)

    async def observe(self, name: str, credential: str, *, whole: bool = False) -> Observation:
        """Look at a job."""
        await self._begin("observe")
        job, now = self._job(name), self._seconds()
        if job.is_live(now):
            return Observation(job.state(now), ended=False)
        late = job.fate.late if job.state(now) == "SUCCEEDED" else 0.0
        shown = job.has_output() and now >= job.ended_at() + late
        output = (INLINE if job.inline else f"files/of-{job.name}") if shown else None
        code = job.fate.error_code if job.state(now) == "FAILED" else None
        seen = Observation(job.state(now), True, output, code, code and "it failed")
        if whole and output == INLINE and seen.state == "SUCCEEDED":
            job.fetched = True
            return replace(seen, raw=results_of(job))
        return seen

    async def fetch(self, name: str, output: str, credential: str) -> AsyncGenerator[bytes, None]:
        """Download results."""
        fault = await self._begin("fetch")
        job = self._job(name)
        if fault is Fault.GARBAGE:
            yield b"<html>busy</html>"
            return
        results = results_of(job)
        half = len(results) // 2 + 3
        yield results[:half]
        await self.sleep(CALL)
        if fault is Fault.BROKEN:
            raise UpstreamUnavailableError("reset")
        if fault is Fault.CUT:
            return
        yield results[half:]
        job.fetched = True

    async def cancel(self, name: str, credential: str) -> None:
        """Cancel a job."""
        fault = await self._begin("cancel")
        try:
            job = self._job(name)
        except UpstreamGoneError:
            return
        if job.is_live(self._seconds()) and job.cancelled is None:
            job.cancelled = self._seconds()
        self.point()
        if fault is Fault.LOST:
            raise UpstreamUnavailableError("reset")

    async def release(self, job: Job) -> None:
        """Delete a job and what was staged for it."""
        fault = await self._begin("release")
        self.staged.discard(job.staged or "")
        for made in self.jobs:
            if made.name == job.upstream_name and made.project == self._project:
                self._delete(made)
        self.point()
        if fault is Fault.LOST:
            raise UpstreamUnavailableError("reset")

    def _delete(self, made: GoogleJob) -> None:
        if made.is_live(self._seconds()):
            self.wrong.append(f"{made.display_name}: deleted while it runs")
        if any(made.delivers(key) for key in made.keys) and not made.fetched:
            self.wrong.append(f"{made.display_name}: deleted before its results were fetched")
        made.deleted = True

    async def stage_file(self, staged: StagedFile, display_name: str, content: Source) -> Uploaded:
        """Upload a client's file."""
        await self._begin("stage_file")
        size = sum([len(block) async for block in content.blocks()])
        if size != staged.bytes:
            self.wrong.append(f"{display_name}: a file of another size was staged")
        name = f"files/named-{self.calls}"
        self.staged.add(name)
        self.point()
        until = self._wall() + STAGED_LIFE * 1000
        return Uploaded(name, f"https://google/{name}", until, FileSeen(FileState.READY))

    async def observe_file(self, name: str, credential: str) -> FileSeen:
        """Look at a file."""
        await self._begin("observe_file")
        if name not in self.staged:
            raise UpstreamGoneError("no such file", status=403)
        return FileSeen(FileState.READY)

    async def release_file(self, name: str, credential: str) -> None:
        """Delete a file."""
        self.staged.discard(name)

    async def models(self, credential: str) -> Sequence[Model]:
        """List models."""
        await self._begin("models")
        return [Model(name, frozenset({"batchGenerateContent"})) for name in MODELS]

    async def model(self, name: str, credential: str) -> Model | None:
        """Get a model."""
        await self._begin("model")
        offered = name in MODELS
        return Model(name, frozenset({"batchGenerateContent"})) if offered else None

    async def close(self) -> None:
        """Nothing to close."""


def _raise_plain(fault: Fault | None) -> None:
    if fault is Fault.UNAVAILABLE:
        raise UpstreamUnavailableError("busy", status=503)
    if fault is Fault.HELD:
        raise UpstreamHeldError("a bill is due", status=403, code="PERMISSION_DENIED")
    if fault is Fault.GONE:
        raise UpstreamGoneError("no such job", status=404)


def results_of(job: GoogleJob) -> bytes:
    """The results, the last first: the order is promised and not kept (python-genai#1909)."""
    rows = [row for key in reversed(job.keys) for row in _rows(job, key)]
    if not job.inline:
        return b"".join(orjson.dumps(row) + b"\n" for row in rows)
    items = [{"metadata": {"key": row.pop("key")}, **row} for row in rows]
    return orjson.dumps(
        {"done": True, "response": {"inlinedResponses": {"inlinedResponses": items}}}
    )


def _rows(job: GoogleJob, key: str) -> list[dict[str, Any]]:
    candidate = {
        "content": {"role": "model", "parts": [{"text": f"re {job.texts[key]}"}]},
        "finishReason": "STOP",
    }
    usage = {
        "promptTokenCount": PROMPT,
        "candidatesTokenCount": ANSWER,
        "totalTokenCount": PROMPT + ANSWER,
    }
    served = {"key": key, "response": {"candidates": [candidate], "usageMetadata": usage}}
    passing = {"key": key, "error": {"code": 13, "message": "try again"}}
    lasting = {"key": key, "error": {"code": 3, "message": "malformed"}}
    return {
        Item.SERVED: [served],
        Item.DOUBLED: [served, dict(served)],
        Item.MENDED: [passing, served],
        Item.PASSING: [passing],
        Item.LASTING: [lasting],
        Item.DROPPED: [],
    }[job.outcome(key)]
