"""The audit: a line for whoever created, cancelled, deleted or retried something, or used a key.

Lines go to the log under a name of their own, whatever its level is, and are never changed. They
hold owner, object, outcome and request id, and no content.
"""

import logging
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.requestid import REQUEST_ID
from gateway.clock import Clock
from gateway.errors import GatewayError

audit = logging.getLogger("gateway.audit")

# The use of a key is told once in this time: a client polls thousands of times a day.
USE_SECONDS: Final = 3600.0
MOST_OWNERS: Final = 10_000


class Audit:
    """Writes the lines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used: dict[str, float] = {}

    def used(self, owner: str, request: Request) -> None:
        """Tell that a key was used, once an hour."""
        now = self._clock.monotonic()
        if now - self._used.get(owner, -USE_SECONDS) < USE_SECONDS:
            return
        if len(self._used) >= MOST_OWNERS:
            self._used.clear()
        self._used[owner] = now
        audit.info("key.use owner=%s request=%s", owner, request.scope[REQUEST_ID])

    def refused(self, request: Request) -> None:
        """Tell that a key was refused, never which."""
        audit.info("key.refused request=%s", request.scope[REQUEST_ID])

    def done(self, action: str, owner: str, request: Request, response: Response) -> None:
        """Tell what a request came to."""
        self._line(action, owner, request, _object(request, response), response.status_code)

    def failed(self, action: str, owner: str, request: Request, error: GatewayError) -> None:
        """Tell what a request was refused with."""
        self._line(action, owner, request, request.path_params.get("id"), error.status)

    def _line(
        self, action: str, owner: str, request: Request, about: str | None, status: int
    ) -> None:
        # An id in a path is the client's to choose: quoted, it cannot look like another member.
        named = orjson.dumps(about[:64]).decode() if about else "-"
        told = (action, owner, named, status, request.scope[REQUEST_ID])
        audit.info("%s owner=%s object=%s status=%d request=%s", *told)


def _object(request: Request, response: Response) -> str | None:
    """Find the id of what an answer is about; a retry's is the new batch."""
    try:
        made = orjson.loads(response.body).get("id")
    except (orjson.JSONDecodeError, AttributeError):
        made = None
    return str(made) if made else request.path_params.get("id")
