"""``x-request-id`` on every answer: both SDKs show it, and it is what logs are searched by.

With it the date, which uvicorn would write before everything else (a download's length comes
first), and OpenAI's headers of version and time, which its SDKs hand on to ``with_raw_response``.
"""

import re
from email.utils import formatdate
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from gateway.api.middleware import HttpMiddleware
from gateway.clock import Clock
from gateway.ids import new_request_id
from gateway.log_fields import bind

# What a client may choose itself: safe in a header and in a log line.
_SAFE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")

HEADER: Final = "x-request-id"

# The version that OpenAI's answers name.
OPENAI_VERSION: Final = "2020-10-01"

# Where the id is found while the request is served.
REQUEST_ID: Final = "gateway.request_id"


class RequestIds(HttpMiddleware):
    """Middleware that gives each answer the client's id, or one that is made here."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        super().__init__(app)
        self._clock = clock

    @override
    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SAFE.fullmatch(given) else new_request_id()
        bind(request_id=request_id)
        began = self._clock.monotonic()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                headers["date"] = formatdate(usegmt=True)
                took = self._clock.monotonic() - began
                headers["openai-processing-ms"] = str(round(took * 1000))
                headers["openai-version"] = OPENAI_VERSION
            await send(message)

        await self._app({**scope, REQUEST_ID: request_id}, receive, send_with_id)
