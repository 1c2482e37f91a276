"""Taking a batch in: what its prompts mark, whether there is room for it, the job it becomes."""

from dataclasses import dataclass
from typing import Final

from gateway.emulator.answers.embed import text_of
from gateway.emulator.answers.prompt import last_user_text
from gateway.emulator.answers.usage import BYTES_PER_TOKEN, content_tokens, prompt_tokens
from gateway.emulator.faults.book import FaultBook
from gateway.emulator.faults.markers import Seen
from gateway.emulator.faults.prompt_faults import PromptFaults, of_job, sort_prompt_faults
from gateway.emulator.faults.table import FAULTS, Fault, Scope
from gateway.emulator.jobs.job import NEVER, Job
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.clock import SECOND
from gateway.emulator.protocol.errors import JsonObject, invalid, quota
from gateway.emulator.protocol.ids import BATCH_LENGTH, new_id
from gateway.emulator.state.projects import Project
from gateway.emulator.state.tiers import token_limit

JOB_SCOPES: Final = frozenset({Scope.JOB, Scope.ITEMS})
# Faults that are decided when a job is created, so that their times count jobs.
JOB_FAULTS: Final = tuple(
    sorted({kind.base.name for kind in FAULTS.values() if kind.scope in JOB_SCOPES})
)


def generate_text(request: JsonObject) -> str:
    """Return what a generate request says, its markers included."""
    return last_user_text(request.get("contents", []))


def embed_text(request: JsonObject) -> str:
    """Return what an embed request says."""
    return text_of(request.get("content", {}))


# Of a longer first line no more is looked at for marks.
FIRST_LINE_BYTES: Final = 1 << 20
# Kind of job -> what one of its requests says.
TEXTS: Final = {"generate": generate_text, "embed": embed_text}


def prompt_faults(project: Project, kind: str, batch: JsonObject) -> PromptFaults:
    """Faults that the prompts of a batch ask for; raises ApiError 400 for a wrong one."""
    config = batch.get("inputConfig", {})
    if "fileName" in config:
        texts = [_first_line(project, config["fileName"])]
    else:
        texts = [TEXTS[kind](entry["request"]) for entry in config["requests"]["requests"]]
    return sort_prompt_faults(texts, "create", project.seen)


def _first_line(project: Project, file_name: str) -> str:
    """Return the first line of a file as it is: what is wrong with it is found out later."""
    path = project.files.usable(file_name.removeprefix("files/")).path
    if not path.exists():
        return ""  # a registered object
    with path.open("rb") as stream:
        return stream.readline(FIRST_LINE_BYTES).decode(errors="replace")


def job_faults(book: FaultBook, order: "Order", seen: Seen) -> dict[str, Fault]:
    """Return the faults a new job gets: those that are armed, and those its prompts ask for.

    To be asked when nothing can refuse the job any more: each counts as applied.
    """
    taken = {name: book.take(name, model=order.model) for name in JOB_FAULTS}
    asked = of_job(order.marked, seen)
    return {name: fault for name, fault in taken.items() if fault is not None} | asked


@dataclass(frozen=True)
class Order:
    """Job as a create call asks for it."""

    # ``generate`` or ``embed``.
    kind: str
    model: str
    # A GenerateContentBatch or an EmbedContentBatch.
    batch: JsonObject
    marked: PromptFaults


def new_job(
    options: EmulatorOptions, project: Project, order: Order, *, number: int, now_ns: int
) -> Job:
    """Make the job of an order, not started; raises ApiError for an unreadable file, 429."""
    batch = order.batch
    config = batch.get("inputConfig", {})
    file_name = config.get("fileName", "")
    requests = config.get("requests", {}).get("requests", [])
    file = project.files.usable(file_name.removeprefix("files/")) if file_name else None
    if file and file.source == "REGISTERED":
        raise invalid(f"The object {file.gs_uri} has no bytes here: this is an emulator.")
    tokens = file.size // BYTES_PER_TOKEN if file else 0
    if not file and options.counts_tokens:
        tokens = _tokens(order.kind, requests)
    _check_quota(options, project, order.model, tokens, now_ns)
    starts, ends = _times(options, now_ns, {})
    return Job(
        id=new_id(BATCH_LENGTH),
        number=number,
        kind=order.kind,
        model=order.model,
        display_name=batch.get("displayName", ""),
        project=project.name,
        file_name=file_name,
        total=file.lines if file else len(requests),
        tokens=tokens,
        priority=batch.get("priority", ""),
        created_ns=now_ns,
        starts_ns=starts,
        ends_ns=ends,
        expires_ns=now_ns + int(options.expire_seconds * SECOND),
        webhook=batch.get("webhookConfig", {}),
        input_path=project.files.link(file) if file else None,
        requests=requests,
        book=project.new_book(),
    )


def strike(options: EmulatorOptions, job: Job, faults: dict[str, Fault]) -> None:
    """Give a new job its faults."""
    job.faults = faults
    job.starts_ns, job.ends_ns = _times(options, job.created_ns, faults)


def _times(options: EmulatorOptions, now_ns: int, faults: dict[str, Fault]) -> tuple[float, float]:
    """When a job starts and ends, in nanoseconds."""
    if "job-stuck" in faults:
        return (now_ns if faults["job-stuck"].state == "RUNNING" else NEVER), NEVER
    seconds = faults["job-slow"].seconds if "job-slow" in faults else options.job_seconds
    pending = seconds * options.pending_share
    return now_ns + int(pending * SECOND), now_ns + int(seconds * SECOND)


def _tokens(kind: str, requests: list[JsonObject]) -> int:
    if kind == "embed":
        contents = (one["request"].get("content", {}) for one in requests)
        return content_tokens(*contents).total()
    return sum(prompt_tokens(one["request"]).total() for one in requests)


def _check_quota(
    options: EmulatorOptions, project: Project, model: str, tokens: int, now_ns: int
) -> None:
    """Raise the 429 that tells neither tokens from jobs nor when to come back."""
    live = project.jobs.live(now_ns)
    limit = token_limit(options, model)
    waiting = sum(one.tokens for one in live if one.model == model)
    tokens_over = limit is not None and waiting + tokens > limit
    if len(live) >= options.max_live_jobs or tokens_over:
        raise quota()
