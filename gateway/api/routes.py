"""The route table: one line per endpoint, under canonical paths (:mod:`gateway.api.paths`)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api import (
    background,
    batches,
    dry_runs,
    events,
    files,
    google,
    health,
    jobs,
    lines,
    metrics,
    models,
    quota,
    rerender,
    responses,
    results,
    retries,
    single,
    uploads,
    verify,
    webhooks,
)
from gateway.api.changes import WAIT
from gateway.api.limits import Takes
from gateway.api.services import Call

Endpoint = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """``public``: no key is asked for. ``starts_work``: refused when not ready, or on the way down.

    ``keeps_key``: a client's own key for Google is kept for the work that this starts.

    ``takes``: what it holds while it is served, of which there is a number.
    ``GET`` includes ``HEAD``. ``audit``: what the audit calls it; "": no line.
    """

    method: str
    path: str
    endpoint: Endpoint
    public: bool = False
    starts_work: bool = False
    keeps_key: bool = False
    takes: Takes = Takes.NOTHING
    audit: str = ""

    def taken_by(self, request: Request) -> Takes:
        """Say what a request takes: one that may wait for a change does so only if it asks to."""
        if self.takes is Takes.WATCH and self.endpoint is batches.retrieve:
            return Takes.WATCH if WAIT in request.query_params else Takes.NOTHING
        return self.takes


ROUTES: Final = (
    ApiRoute(
        "POST", "/files", files.create, starts_work=True, takes=Takes.UPLOAD, audit="file.create"
    ),
    ApiRoute("GET", "/files", files.list_files),
    ApiRoute("GET", "/files/{id}", files.retrieve),
    ApiRoute("DELETE", "/files/{id}", files.delete, audit="file.delete"),
    ApiRoute("GET", "/files/{id}/content", files.content, takes=Takes.DOWNLOAD),
    ApiRoute("GET", "/files/{id}/dry_run", dry_runs.dry_run),
    ApiRoute("POST", "/uploads", uploads.create, starts_work=True, audit="upload.create"),
    ApiRoute(
        "POST",
        "/uploads/{id}/parts",
        uploads.add_part,
        starts_work=True,
        takes=Takes.UPLOAD,
        audit="upload.part",
    ),
    ApiRoute(
        "POST",
        "/uploads/{id}/complete",
        uploads.complete,
        starts_work=True,
        audit="upload.complete",
    ),
    ApiRoute("POST", "/uploads/{id}/cancel", uploads.cancel, audit="upload.cancel"),
    ApiRoute(
        "POST", "/batches", batches.create, starts_work=True, keeps_key=True, audit="batch.create"
    ),
    ApiRoute("GET", "/batches", batches.list_batches),
    ApiRoute("GET", "/batches/{id}", batches.retrieve, takes=Takes.WATCH),
    ApiRoute("POST", "/batches/{id}/cancel", batches.cancel, audit="batch.cancel"),
    ApiRoute(
        "POST",
        "/batches/{id}/retry",
        retries.retry,
        starts_work=True,
        keeps_key=True,
        audit="batch.retry",
    ),
    ApiRoute(
        "POST",
        "/batches/{id}/rerender",
        rerender.rerender,
        starts_work=True,
        audit="batch.rerender",
    ),
    ApiRoute("GET", "/batches/{id}/results", results.results, takes=Takes.DOWNLOAD),
    ApiRoute("GET", "/batches/{id}/events", events.events, takes=Takes.WATCH),
    ApiRoute("GET", "/batches/{id}/jobs", jobs.list_jobs),
    ApiRoute("POST", "/chat/completions", single.create, starts_work=True),
    ApiRoute("POST", "/completions", single.create, starts_work=True),
    ApiRoute("POST", "/responses", single.create, starts_work=True),
    ApiRoute("GET", "/responses/{id}", responses.retrieve),
    ApiRoute("DELETE", "/responses/{id}", responses.delete, audit="response.delete"),
    ApiRoute("POST", "/responses/{id}/cancel", responses.cancel, audit="response.cancel"),
    ApiRoute("GET", "/responses/{id}/input_items", responses.input_items),
    ApiRoute("POST", "/embeddings", single.create, starts_work=True),
    ApiRoute("POST", "/images/generations", single.create, starts_work=True),
    ApiRoute("POST", "/images/edits", single.edit_images, starts_work=True),
    ApiRoute("GET", "/batches/{id}/line", lines.story),
    ApiRoute("GET", "/batches/{id}/verify", verify.verify),
    ApiRoute("GET", "/background", background.list_background),
    ApiRoute("GET", "/quota", quota.show),
    ApiRoute("GET", "/models", models.list_models),
    ApiRoute("GET", "/models/{id:path}", models.retrieve),
    ApiRoute("POST", "/webhook_endpoints", webhooks.create, audit="webhook_endpoint.create"),
    ApiRoute("GET", "/webhook_endpoints", webhooks.list_endpoints),
    ApiRoute("GET", "/webhook_endpoints/{id}", webhooks.retrieve),
    ApiRoute("POST", "/webhook_endpoints/{id}", webhooks.update, audit="webhook_endpoint.update"),
    ApiRoute("DELETE", "/webhook_endpoints/{id}", webhooks.delete, audit="webhook_endpoint.delete"),
    ApiRoute(
        "POST",
        "/webhook_endpoints/{id}/rotate_secret",
        webhooks.rotate_secret,
        audit="webhook_endpoint.rotate_secret",
    ),
    ApiRoute("POST", "/webhook_endpoints/{id}/test", webhooks.test, audit="webhook_endpoint.test"),
    ApiRoute("GET", "/webhook_endpoints/{id}/deliveries", webhooks.list_deliveries),
    ApiRoute("GET", "/webhook_event_types", webhooks.list_event_types),
    ApiRoute("POST", "/webhooks/google", google.receive, public=True, starts_work=True),
    ApiRoute("GET", "/metrics", metrics.show, public=True),  # it asks for a key itself
    ApiRoute("GET", "/healthz", health.live, public=True),
    ApiRoute("GET", "/readyz", health.ready, public=True),
)
