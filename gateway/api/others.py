"""Routes that are not served here, where a second upstream answers them."""

import asyncio
import string
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Scope

from gateway.api.body import check_declared_length, sent, too_large
from gateway.api.paths import DEPLOYMENT
from gateway.api.services import Call
from gateway.api.single import EventsResponse, while_connected
from gateway.api.unserved import refusal
from gateway.ports.others import OtherRequest

# Of a query, all that is printable stays as it was sent; other bytes are escaped.
_AS_SENT: Final = string.punctuation
METHODS: Final = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


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
