"""Pages: the name of each one's template, and the values that it shows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from gateway.ui import differences, words
from gateway.ui.api_client import ApiClient, ApiError, Json
from gateway.ui.commands import commands_of

PER_PAGE: Final = 50
STATUSES: Final = (
    "validating",
    "in_progress",
    "finalizing",
    "cancelling",
    "completed",
    "failed",
    "expired",
    "cancelled",
)
PREVIEW_LINES: Final = 50

Shown = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page, and the API as its visitor sees it. ``now`` in seconds."""

    request: Request
    api: ApiClient
    now: int

    def query(self, name: str) -> str:
        """Read a member of the query, ``""`` where it is absent."""
        return self.request.query_params.get(name, "")

    def path(self, name: str) -> str:
        """Read a member of the path."""
        return str(self.request.path_params[name])


async def batches(visit: Visit) -> Shown:
    """List batches, newest first, with filters and totals."""
    wanted = {name: visit.query(name) for name in ("status", "model", "text")}
    page = await visit.api.batches(wanted, visit.query("after") or None, PER_PAGE)
    older = None
    if page["next"]:
        older = "/ui/batches?" + urlencode({**wanted, "after": page["next"]})
    found = page["data"]
    plain = not any(wanted.values()) and not visit.query("after")
    background = (await visit.api.get("/background", limit=PER_PAGE))["data"] if plain else []
    return "batches.html", {
        "background": [_background_row(each, visit.now) for each in background],
        "batches": [_row(batch, visit.now) for batch in found],
        "totals": _totals(found),
        "wanted": wanted,
        "statuses": STATUSES,
        "older": older,
        "watch": "/ui/events",
    }


def _row(batch: Json, now: int) -> Json:
    more = batch["gateway"]
    live = batch["status"] in words.LIVE
    return {
        **batch,
        "bar": words.bar(batch["request_counts"]),
        "lasted": words.lasted(batch, now),
        "live": live,
        "left": words.duration(more["eta_seconds"]) if live else "",
        "window": words.duration(batch["expires_at"] - now) if live else "",
    }


def _background_row(row: Json, now: int) -> Json:
    return {
        **row,
        "request_counts": row["responses"],
        "bar": words.bar(row["responses"]),
        "lasted": words.duration((row["ended_at"] or now) - row["created_at"]),
        "left": "" if row["ended_at"] else words.duration(row["eta_seconds"]),
    }


def _totals(batches: Sequence[Json]) -> Json:
    costs = [batch["gateway"]["cost_usd"] for batch in batches]
    return {
        "batches": len(batches),
        "live": sum(batch["status"] in words.LIVE for batch in batches),
        "lines": sum(batch["request_counts"]["total"] for batch in batches),
        "failed": sum(batch["request_counts"]["failed"] for batch in batches),
        "tokens": sum(batch["usage"]["total_tokens"] for batch in batches),
        "cost": sum(cost or 0 for cost in costs),
        "unknown": sum(cost is None for cost in costs),
    }


async def batch(visit: Visit) -> Shown:
    """Show one batch: its life, its jobs, what went wrong, what it costs, what can be done."""
    found = await visit.api.batch(visit.path("id"))
    jobs = await visit.api.get(f"/batches/{quote(found['id'], safe='')}/jobs")
    return "batch.html", {
        "batch": _row(found, visit.now),
        "more": found["gateway"],
        "moments": words.moments(found),
        "jobs": jobs["data"],
        "errors": await _grouped(visit, found["error_file_id"], words.groups),
        "warnings": await _grouped(visit, found["gateway"]["warnings_file_id"], words.warnings),
        "watch": f"/ui/events?batch={quote(found['id'], safe='')}",
        "commands": commands_of(found, _base_url(visit.request)),
    }


def _base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/v1"


async def _grouped(
    visit: Visit, file_id: str | None, group: Callable[[Sequence[Json]], Sequence[words.Group]]
) -> Sequence[words.Group]:
    if file_id is None:
        return ()
    try:
        async with visit.api.lines(file_id) as lines:
            return group(lines)
    except ApiError:  # the file is gone, and the batch still tells its counts
        return ()


async def line(visit: Visit) -> Shown:
    """Show one line: asked, sent, answered, got, next to each other."""
    batch_id, custom_id = visit.path("id"), visit.query("custom_id")
    path = f"/batches/{quote(batch_id, safe='')}/line"
    story = await visit.api.get(path, custom_id=custom_id)
    return "line.html", {"story": story, "batch_id": batch_id, "panes": _panes(story)}


# A part of a story that is not there has no lines, one that is too large its size.
Pane = Sequence[Sequence[differences.Row]] | int


def _panes(story: Json) -> Mapping[str, Pane]:
    """Write the four parts of a story with the differences between them marked."""
    asked, got, raw = story["asked"], story["got"], story["answered"]
    panes: dict[str, Pane] = {"asked": (), "got": ()}
    for name, part in (("asked", asked), ("got", got)):
        if part and "too_large_to_show" in part:
            panes[name] = part["too_large_to_show"]
            asked, got = (None, got) if part is asked else (asked, None)
    became = story.get("became") or {}
    panes["sent"] = [differences.sent(item, became) for item in story["sent"]]
    if asked:
        told = differences.asked(asked["body"], became, story["notes"], story["model"])
        panes["asked"] = [told]
    shown = got and ((got.get("response") or {}).get("body") or got.get("error"))
    if len(raw) == 1 and shown:
        left, right = differences.answers(raw[0], shown)
        return {**panes, "answered": [left], "got": [right]}
    if shown:
        panes["got"] = [differences.rows(shown, {})]
    return {**panes, "answered": [differences.rows(each, {}) for each in raw]}


async def verification(visit: Visit) -> Shown:
    """Show whether every line of a batch came back once."""
    batch_id = visit.path("id")
    found = await visit.api.get(f"/batches/{quote(batch_id, safe='')}/verify")
    return "verify.html", {"found": found, "batch_id": batch_id}


async def quota(visit: Visit) -> Shown:
    """Show what is at Google, and what refusals taught."""
    return "quota.html", {"rows": (await visit.api.get("/quota"))["data"]}


async def files(visit: Visit) -> Shown:
    """List files, newest first."""
    after = visit.query("after") or None
    page = await visit.api.get("/files", limit=PER_PAGE, after=after, order="desc")
    older = f"/ui/files?after={quote(page['last_id'], safe='')}" if page["has_more"] else None
    return "files.html", {"files": page["data"], "older": older}


async def file(visit: Visit) -> Shown:
    """Show one file: its first lines, and the batches that use it."""
    file_id = visit.path("id")
    found = await visit.api.get(f"/files/{quote(file_id, safe='')}")
    async with visit.api.lines(file_id) as lines:
        shown = lines[:PREVIEW_LINES]
    uses = await visit.api.batches({"text": file_id}, None, PER_PAGE)
    return "file.html", {"file": found, "lines": shown, "uses": uses["data"]}


async def new(visit: Visit) -> Shown:  # noqa: ARG001 - as the other pages
    """Take a file, to try it."""
    return "new.html", {}


async def tried(visit: Visit) -> Shown:
    """Show what a batch of a file would be and cost, and create it."""
    path = f"/files/{quote(visit.path('id'), safe='')}"
    found = await visit.api.get(path)
    told = await visit.api.get(f"{path}/dry_run", endpoint=visit.query("endpoint") or None)
    create = {
        "input_file_id": found["id"],
        "endpoint": told["endpoint"],
        "completion_window": "24h",
    }
    return "try.html", {
        "file": found,
        "tried": told,
        "total": told["total"],
        "fails": bool(told["fail_the_batch"]) or not told["lines"],
        "create": create,
    }


PAGES: Final[Mapping[str, Callable[[Visit], Awaitable[Shown]]]] = {
    "/batches": batches,
    "/batches/{id}": batch,
    "/batches/{id}/line": line,
    "/batches/{id}/verify": verification,
    "/quota": quota,
    "/files": files,
    "/files/{id}": file,
    "/files/{id}/try": tried,
    "/new": new,
}
