"""Liveness and readiness probes: unauthenticated, no details."""

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.errors import UnavailableError


async def live(_call: Call) -> Response:
    """Answer ``/healthz``: the process is alive."""
    return answer({"status": "ok"})


async def ready(call: Call) -> Response:
    """Answer ``/readyz``: started, and not stopping.

    ``google`` says what came of the gateway's key. A refused one is no 503: that would hold the
    pod of a sidecar for ever, and take away the batches and files that can be read all the same.
    """
    if not call.services.ready():
        raise UnavailableError("Not ready.")
    return answer({"status": "ready", "google": call.services.google()})
