"""The emulator as an ASGI app: its routes (``routes.py``), its control routes, its life."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from gateway.clock import Clock, SystemClock
from gateway.emulator.api.control import control_routes
from gateway.emulator.api.routes import routes
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.errors import of_status
from gateway.emulator.state.state import EmulatorState


async def _unknown(request: Request, _error: Exception) -> Response:
    """Return what Google's front end answers outside the API: a page, not JSON."""
    text = f"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title><p>{request.url.path}"
    return Response(text, 404, {"content-type": "text/html; charset=UTF-8"})


async def _internal(_request: Request, _error: Exception) -> Response:
    """Answer the emulator's own fault in Google's envelope; the server's log has the traceback."""
    return of_status(500).response()


def create_app(options: EmulatorOptions, clock: Clock | None = None) -> Starlette:
    """Make the app; ``app.state.emulator`` is its state, in memory and in a directory.

    Raises ValueError for a fault of the options that is none.
    """
    state = EmulatorState(options, clock or SystemClock())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            webhook_delivery = tasks.create_task(state.webhook_delivery.run(), name="webhooks")
            yield
            webhook_delivery.cancel()
        state.close()

    control = control_routes(state) if options.control else []
    handlers: dict[object, Callable[..., object]] = {
        404: _unknown,
        405: _unknown,
        Exception: _internal,
    }
    app = Starlette(
        routes=[*routes(state), *control],
        lifespan=lifespan,
        exception_handlers=handlers,  # type: ignore[arg-type]
    )
    app.router.redirect_slashes = False
    app.state.emulator = state
    return app
