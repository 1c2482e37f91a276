"""Routes of batch jobs."""

import itertools
from typing import Final

from starlette.responses import Response

from gateway.emulator.api.call import Call
from gateway.emulator.checks.request import check_model
from gateway.emulator.faults.book import take_from
from gateway.emulator.faults.table import Fault
from gateway.emulator.jobs.job import Job
from gateway.emulator.jobs.lines import inline_items
from gateway.emulator.jobs.operation import metadata, operation
from gateway.emulator.protocol.clock import SECOND
from gateway.emulator.protocol.errors import JsonObject, invalid
from gateway.emulator.protocol.numbers import whole_number
from gateway.emulator.protocol.schema import camel, parse_body
from gateway.emulator.resources.models import page_bounds
from gateway.emulator.resources.webhooks import check_uri
from gateway.emulator.state.intake import TEXTS, Order, prompt_faults

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000
MUTABLE: Final = frozenset({"displayName", "priority"})
_SMALL_BODY: Final = 64 * 1024
_TOKEN_PREFIX: Final = "Cg"  # noqa: S105 - the beginning of a page token

_CREATES: Final = {
    "generate": ("batchGenerateContent", "BatchGenerateContentRequest"),
    "embed": ("asyncBatchEmbedContent", "AsyncBatchEmbedContentRequest"),
}


async def create_generate(call: Call) -> Response:
    """POST models/{m}:batchGenerateContent."""
    return await _create(call, "generate")


async def create_embed(call: Call) -> Response:
    """POST models/{m}:asyncBatchEmbedContent."""
    return await _create(call, "embed")


async def _create(call: Call, kind: str) -> Response:
    method, message = _CREATES[kind]
    model = call.path("model")
    call.state.models.require(call.version, model, method)
    body = await call.message(message, call.state.options.max_create_bytes)
    batch = body.get("batch", {})
    check_model(model, batch, f"{message}.batch")
    _check_input(batch, message)
    marked = prompt_faults(call.project, kind, batch)
    await call.meet(marked.call)
    _refuse_item(call, kind, batch, message)
    job = call.state.accept(call.project, Order(kind, model, batch, marked))
    return call.answer(shown(call, job, "create"))


def _refuse_item(call: Call, kind: str, batch: JsonObject, message: str) -> None:
    """Refuse an inline create for one of its items, as a fault has it (python-genai#1103)."""
    entries = batch["inputConfig"].get("requests", {}).get("requests", [])
    fault = call.take("create-names-item") if entries else None
    at = None if fault is None else _index(fault, kind, entries)
    if fault is None or at is None:
        return
    if fault.reason == "unnamed":
        raise invalid("Request contains an invalid argument.")
    text = "thinking budget is out of range." if fault.message == "default" else fault.message
    place = f"{message}.batch.input_config.requests.requests[{at}].request.generation_config"
    raise invalid(f"* {place}.thinking_config.thinking_budget: {text}\n")


def _index(fault: Fault, kind: str, entries: list[JsonObject]) -> int | None:
    """Where the item is that a fault speaks of: by its key, by its prompt, by its number."""
    if fault.keys:
        keys = [item.key for item in inline_items(entries)]
        return next((at for at, key in enumerate(keys) if key in fault.keys.split("|")), None)
    mark = f"[[fault:{fault.name}"
    marked = [at for at, entry in enumerate(entries) if mark in TEXTS[kind](entry["request"])]
    at = next(iter(marked), fault.index)
    return at if at < len(entries) else None


def shown(call: Call, job: Job, as_in: str) -> JsonObject:
    """Return a job as ``create``, ``get`` or ``list`` shows it, under its own faults too."""
    take = take_from(job.book, call.state.faults)
    return operation(job, call.state.look(job), take, call=as_in)


def _check_input(batch: JsonObject, message: str) -> None:
    for uri in batch.get("webhookConfig", {}).get("uris", []):
        check_uri(uri)
    config = batch.get("inputConfig", {})
    if "fileName" not in config and not config.get("requests", {}).get("requests"):
        raise invalid(f"* {message}.batch.input_config: input_config is not specified\n")
    for at, entry in enumerate(config.get("requests", {}).get("requests", [])):
        if "request" not in entry:
            place = f"{message}.batch.input_config.requests.requests[{at}].request"
            raise invalid(f"* {place}: request is not specified\n")


async def get(call: Call) -> Response:
    """GET batches/{id}."""
    job = call.project.jobs.get(call.path("id"))
    return call.answer(shown(call, job, "get"))


async def list_jobs(call: Call) -> Response:
    """GET batches: newest first, without output, counts as at create."""
    if call.take("list-empty"):
        return call.answer({})
    if "pageSize" not in call.query and call.take("list-needs-size"):
        return call.answer({})
    token = call.query.get("pageToken", "")
    if call.take("list-empty-page"):
        return call.answer({"nextPageToken": token or _token(1 << 40)})
    size, before = _page(call)
    every = (job for job in call.project.jobs.newest_first(before) if not _hidden(call, job))
    visible = list(itertools.islice(every, size + 1))
    answer: JsonObject = {}
    if page := visible[:size]:
        answer["operations"] = [shown(call, job, "list") for job in page]
    if len(visible) > size:
        if not call.take("list-short"):
            answer["nextPageToken"] = _token(page[-1].number)
        if token and call.take("list-cycles"):
            answer["nextPageToken"] = token
    if call.take("list-unreachable"):
        answer["unreachable"] = ["locations/elsewhere"]
    return call.answer(answer)


def _page(call: Call) -> tuple[int, int | None]:
    """(page size, number below which to go on)."""
    size, _ = page_bounds({"pageSize": call.query.get("pageSize", "")}, DEFAULT_PAGE, MAX_PAGE)
    token = call.query.get("pageToken", "")
    if not token:
        return size, None
    number = whole_number(token.removeprefix(_TOKEN_PREFIX).rstrip("="))
    if number is None or not token.startswith(_TOKEN_PREFIX):
        raise invalid("Page token is invalid.")
    return size, number


def _token(number: int) -> str:
    return f"{_TOKEN_PREFIX}{number:012d}=="


def _hidden(call: Call, job: Job) -> bool:
    fault = job.faults.get("list-hides")
    age = call.state.clock.now_ns() - job.created_ns
    return fault is not None and age < fault.seconds * SECOND


async def cancel(call: Call) -> Response:
    """POST batches/{id}:cancel -> {}."""
    job = call.project.jobs.get(call.path("id"))
    parse_body("Empty", await call.body(_SMALL_BODY))
    if call.state.look(job).done and call.state.options.cancel_finished_status != 200:
        raise invalid("The batch has already ended and cannot be cancelled.")
    if call.take("cancel-lost"):
        call.state.journal.note("fault", name="cancel-lost", on="cancel")
        return call.answer({})
    call.state.cancel(call.project, job)
    return call.answer({})


async def delete(call: Call) -> Response:
    """DELETE batches/{id} -> {}."""
    call.state.delete(call.project.jobs.get(call.path("id")))
    return call.answer({})


async def update(call: Call) -> Response:
    """PATCH batches/{id}:update...Batch: displayName and priority; answers the bare batch.

    What ``updateMask`` names is set, or emptied where the body has none; without a mask what the
    body has.
    """
    job = call.project.jobs.get(call.path("id"))
    message = "GenerateContentBatch" if job.kind == "generate" else "EmbedContentBatch"
    batch = await call.message(message, call.state.options.max_create_bytes)
    mask = [camel(name) for name in call.query.get("updateMask", "").split(",") if name]
    names = set(mask) or MUTABLE & batch.keys()
    if fixed := names - MUTABLE:
        raise invalid(f"* Update{message}Request.update_mask: {min(fixed)} is immutable.\n")
    if "displayName" in names:
        job.display_name = batch.get("displayName", "")
    if "priority" in names:
        job.priority = batch.get("priority", "")
    call.state.journal.note("update", name=job.name, fields=sorted(names))
    found = metadata(job, call.state.look(job))
    del found["@type"]
    return call.answer(found)
