"""``GET /v1/batches/{id}/events``: what a batch shows, as server-sent events, an extension."""

from collections.abc import AsyncIterator
from typing import Final

import orjson
from starlette.responses import Response, StreamingResponse

from gateway.api.batches import encoded, note_used, owned_batch
from gateway.api.changes import changed
from gateway.api.services import Call
from gateway.batches.batch import LIVE_STATUSES, Batch

# Proxies close connections on which nothing comes for a minute.
HEARTBEAT_SECONDS: Final = 15.0


async def events(call: Call) -> Response:
    """Send the batch as it is and after each change, until its end."""
    batch = await owned_batch(call)
    await note_used(call, [batch])
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if call.request.method == "HEAD":
        return Response(None, headers=headers, media_type="text/event-stream")
    return StreamingResponse(_told(call, batch), headers=headers, media_type="text/event-stream")


async def _told(call: Call, batch: Batch) -> AsyncIterator[bytes]:
    while True:
        told = orjson.dumps(await encoded(call, batch))
        yield b"event: batch\ndata: %b\n\n" % told
        if batch.status not in LIVE_STATUSES:
            return
        while (now := await changed(call, batch, HEARTBEAT_SECONDS)) is batch:
            if not call.services.ready():
                return  # a client asks again, and meets the successor
            yield b": it is as it was\n\n"
        batch = now
