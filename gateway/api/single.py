"""Single requests: ``POST /v1/chat/completions`` and the other endpoints that a batch may name."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Final, TypeVar

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.api.batches import idempotency_key, retry_count, traceparent
from gateway.api.body import read_json_bytes
from gateway.api.paths import DEPLOYMENT
from gateway.api.services import Call
from gateway.errors import InternalError, RequestError
from gateway.ports.others import OtherAnswer
from gateway.ports.single import Answered, Events, SingleRequest

Given = TypeVar("Given")

# A proxy that buffers or packs a stream shows it when it is over.
STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
}


_BACKGROUND: Final = b'"background"'


class GoneClientError(RequestError):
    """The client has closed the connection, and reads no answer."""

    status = 499


async def create(call: Call) -> Response:
    """Answer the request, at once or as server-sent events."""
    single = call.services.single
    if single is None:
        raise InternalError("Single requests are not served here.")
    body = await read_json_bytes(call, call.options.max_single_bytes)
    if call.options.pass_through is not None and _BACKGROUND in body:
        await call.options.pass_through.keep(call.owner)  # wiped when nothing needs it
    asked = SingleRequest(
        path=f"/v1{call.request.scope['path']}",
        body=body,
        owner=call.owner,
        model=call.request.scope.get(DEPLOYMENT),
        traceparent=traceparent(call),
        tries=retry_count(call),
        idempotency_key=idempotency_key(call),
    )
    answered = await while_connected(call.request.receive, single.respond(asked))
    if isinstance(answered, Answered):
        headers = dict(answered.headers)
        return Response(answered.body, answered.status, headers, "application/json")
    return EventsResponse(answered, STREAM_HEADERS)


async def edit_images(call: Call) -> Response:
    """Answer an edit of images, which comes as JSON: the SDKs' ``images.edit`` sends a form."""
    sent = call.request.headers.get("content-type", "")
    if sent.partition(";")[0].strip().lower() == "multipart/form-data":
        raise RequestError(
            "Unsupported content type: this gateway takes an edit of images as 'application/json'"
            " alone, not as a multipart form. Send the same fields as JSON, and the image as"
            ' {"images": [{"image_url": "data:image/png;base64,…"}]}.',
            code="unsupported_content_type",
        )
    return await create(call)


class EventsResponse(StreamingResponse):
    """A stream that is closed however the answer ends, which ends the upstream's work."""

    def __init__(self, events: Events, headers: Mapping[str, str], status: int = 200) -> None:
        super().__init__(events, status, headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


async def while_connected(
    receive: Receive, work: Awaitable[Given], read: asyncio.Event | None = None
) -> Given:
    """Wait for the answer, unless the client goes: what Google is paid for would have no reader.

    ``read`` is set once the request's body is read; None: it is. Starlette watches the connection
    during a streamed answer alone, so the upstream call of a client that had left ran to its end
    (measured).
    """
    answering = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(receive, read))
    try:
        await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await _given_up(answering)
        raise
    finally:
        leaving.cancel()
    if answering.done():
        return answering.result()
    answering.cancel()
    raise GoneClientError("The client closed the connection.")


async def _given_up(answering: asyncio.Future[Given]) -> None:
    """End what no reader is there for: an answer under way, or a stream that has just begun."""
    answering.cancel()
    await asyncio.wait((answering,))
    if answering.cancelled() or answering.exception() is not None:
        return
    answered = answering.result()
    begun = answered.body if isinstance(answered, OtherAnswer) else answered
    if isinstance(begun, Events):
        await begun.aclose()


async def _disconnected(receive: Receive, read: asyncio.Event | None) -> None:
    if read is not None:
        await read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass
