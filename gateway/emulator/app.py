"""The emulator as an ASGI app: one table of routes, on every version of the API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.clock import Clock, SystemClock
from gateway.emulator.api import batches, caches, files, models, uploads, webhooks
from gateway.emulator.api.control import control_routes
from gateway.emulator.calls import Endpoint, Function
from gateway.emulator.errors import of_status
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.world import World

VERSIONS = ("v1", "v1beta", "v1alpha")

_ROUTES: tuple[tuple[str, str, str, Function], ...] = (
    ("POST", "/models/{model}:batchGenerateContent", "create", batches.create_generate),
    ("POST", "/models/{model}:asyncBatchEmbedContent", "create", batches.create_embed),
    ("GET", "/batches", "list", batches.list_jobs),
    ("POST", "/batches/{id}:cancel", "cancel", batches.cancel),
    ("PATCH", "/batches/{id}:updateGenerateContentBatch", "update", batches.update),
    ("PATCH", "/batches/{id}:updateEmbedContentBatch", "update", batches.update),
    ("GET", "/batches/{id}", "get", batches.get),
    ("DELETE", "/batches/{id}", "delete", batches.delete),
    ("GET", "/files", "file-list", files.list_files),
    ("POST", "/files", "upload", uploads.create_metadata),
    ("POST", "/files:register", "upload", files.register),
    ("GET", "/files/{id}:download", "redirect", files.redirect),
    ("GET", "/files/{id}", "file-get", files.get),
    ("DELETE", "/files/{id}", "file-delete", files.delete),
    ("POST", "/cachedContents", "caches", caches.create),
    ("GET", "/cachedContents", "caches", caches.list_caches),
    ("GET", "/cachedContents/{id}", "caches", caches.get),
    ("PATCH", "/cachedContents/{id}", "caches", caches.update),
    ("DELETE", "/cachedContents/{id}", "caches", caches.delete),
    ("POST", "/webhooks", "webhooks", webhooks.create),
    ("GET", "/webhooks", "webhooks", webhooks.list_webhooks),
    ("POST", "/webhooks/{id}:ping", "webhooks", webhooks.ping),
    ("POST", "/webhooks/{id}:rotateSigningSecret", "webhooks", webhooks.rotate),
    ("GET", "/webhooks/{id}", "webhooks", webhooks.get),
    ("PATCH", "/webhooks/{id}", "webhooks", webhooks.update),
    ("DELETE", "/webhooks/{id}", "webhooks", webhooks.delete),
    ("GET", "/models", "models", models.list_models),
    ("GET", "/models/{model}", "models", models.get),
    ("POST", "/models/{model}:generateContent", "generate", models.generate_content),
    ("POST", "/models/{model}:streamGenerateContent", "stream", models.stream_generate_content),
    ("POST", "/models/{model}:countTokens", "count", models.count_tokens),
    ("POST", "/models/{model}:embedContent", "embed", models.embed_content),
    ("POST", "/models/{model}:batchEmbedContents", "embed", models.batch_embed_contents),
)
"""Method, path under a version, operation (what faults call it), function."""


def routes(world: World) -> list[BaseRoute]:
    """Every route of the API; the version is a path parameter of three known values."""
    keys = Endpoint(world, "webhooks", webhooks.jwks, lambda _request: True)
    found: list[BaseRoute] = [Route("/.well-known/jwks.json", keys, methods=["GET"])]
    for version in VERSIONS:
        for method, path, operation, function in _ROUTES:
            endpoint = _Versioned(version, Endpoint(world, operation, function))
            found.append(Route(f"/{version}{path}", endpoint, methods=[method]))
        found += _byte_routes(world, version)
    return found


def _byte_routes(world: World, version: str) -> list[BaseRoute]:
    upload = Endpoint(world, uploads.upload_operation, uploads.upload, uploads.has_upload_id)
    download = Endpoint(world, "download", files.download)
    return [
        *(
            Route(f"{start}/{version}/files", _Versioned(version, upload), methods=[method])
            for start in ("/upload", "/resumable/upload")
            for method in ("POST", "PUT")
        ),
        Route(
            f"/download/{version}/files/{{id}}:download",
            _Versioned(version, download),
            methods=["GET"],
        ),
    ]


class _Versioned:
    """Tells an endpoint under which version it was called."""

    def __init__(self, version: str, endpoint: Endpoint) -> None:
        self._version = version
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_params"] = {**scope.get("path_params", {}), "version": self._version}
        await self._endpoint(scope, receive, send)


async def _unknown(request: Request, _error: Exception) -> Response:
    """What Google's front end answers outside the API: a page, not JSON."""
    text = f"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>{request.url.path}"
    return Response(text, 404, {"content-type": "text/html; charset=UTF-8"})


async def _internal(_request: Request, _error: Exception) -> Response:
    """A fault of the emulator's own, in Google's envelope; the server's log has the traceback."""
    return of_status(500).response()


def create_app(options: EmulatorOptions, clock: Clock | None = None) -> Starlette:
    """The app; its state (``app.state.world``) lives in memory and in a temporary directory."""
    world = World(options, clock or SystemClock())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            courier = tasks.create_task(world.courier.run(), name="webhooks")
            yield
            courier.cancel()
        world.close()

    control = control_routes(world) if options.control else []
    handlers: dict[object, Callable[..., object]] = {
        404: _unknown,
        405: _unknown,
        Exception: _internal,
    }
    app = Starlette(
        routes=[*routes(world), *control],
        lifespan=lifespan,
        exception_handlers=handlers,  # type: ignore[arg-type]
    )
    app.state.world = world
    return app
