"""Probes: no key needed, nothing told."""

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.errors import UnavailableError


async def live(_call: Call) -> Response:
    """``/healthz``: the process answers."""
    return answer({"status": "ok"})


async def ready(call: Call) -> Response:
    """``/readyz``: started, and not on the way down."""
    if not call.services.ready():
        raise UnavailableError("Not ready.")
    return answer({"status": "ready"})
