"""Routes that are not served here: a second upstream answers them, or a sentence says why not."""

import asyncio
import string
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Scope

from gateway.api.body import check_declared_length, sent, too_large
from gateway.api.paths import ASKED_PATH, DEPLOYMENT
from gateway.api.services import Call
from gateway.api.single import EventsResponse, while_connected
from gateway.errors import NotFoundError
from gateway.ports.others import OtherRequest
from gateway.wire.openai import truncate

# Of a query, all that is printable stays as it was sent; other bytes are escaped.
_AS_SENT: Final = string.punctuation
METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")

# The beginning of a path of OpenAI's API -> why it is not served.
_NOT_SERVED: Final = {
    "/moderations": "Gemini gives no moderation scores.",
    "/audio/": 'Gemini\'s sound is part of a chat completion: modalities ["text", "audio"].',
    "/images/variations": "Gemini varies an image in a chat completion that shows it.",
    "/videos": "This gateway makes no videos.",
    "/assistants": "OpenAI has retired assistants; send a request to /v1/responses.",
    "/threads": "OpenAI has retired threads; send a request to /v1/responses.",
    "/conversations": "This gateway keeps no conversations: send their items in 'input'.",
    "/vector_stores": "This gateway has no vector stores.",
    "/containers": "This gateway has no containers.",
    "/fine_tuning": "Gemini's Developer API offers no fine-tuning.",
    "/evals": "This gateway runs no evals.",
    "/realtime": "This gateway has no realtime sessions.",
}


def refusal(scope: Scope) -> NotFoundError:
    """Say why a URL is not served."""
    for start, why in _NOT_SERVED.items():
        if f"{scope['path']}/".startswith(start):
            return NotFoundError(
                f"{truncate(scope[ASKED_PATH])} is not served. {why}", code="unknown_url"
            )
    return NotFoundError(
        f"Unknown request URL: {scope['method']} {truncate(scope[ASKED_PATH])}."
        " Please check the URL for typos, or see this gateway's README for what it serves.",
        code="unknown_url",
    )


def may_pass(scope: Scope, own: frozenset[str]) -> bool:
    """Tell whether a second upstream may be asked: never about objects that this gateway keeps.

    ``own`` are the first parts of their paths. Paths of Azure's name a model of this gateway.
    """
    first = scope["path"].split("/", 2)[1]
    return bool(first) and first not in own and first != "deployments" and DEPLOYMENT not in scope


async def pass_on(call: Call) -> Response:
    """Have the second upstream answer; both bodies are passed on as they come."""
    others = call.services.others
    if others is None:
        raise refusal(call.request.scope)
    check_declared_length(call, call.options.max_single_bytes)
    headers = call.request.headers
    read = asyncio.Event()
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    if not has_body:
        read.set()
    asked = OtherRequest(
        owner=call.owner,
        method=call.request.method,
        path=call.request.scope["path"],
        query=quote(call.request.scope["query_string"], safe=_AS_SENT),
        headers=headers,
        body=_limited(call, read) if has_body else None,
    )
    answer = await while_connected(call.request.receive, others.pass_on(asked), read)
    return EventsResponse(answer.body, dict(answer.headers), status=answer.status)


async def _limited(call: Call, read: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield the body as it was sent, up to the limit of single requests."""
    size = 0
    async for piece in sent(call):
        size += len(piece)
        if size > call.options.max_single_bytes:
            raise too_large(call.options.max_single_bytes)
        yield piece
    read.set()
