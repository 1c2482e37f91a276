"""A bare relay: what any gateway costs here, with no translation, checks, limits or records.

``python -m tests.benchmarks.relay UPSTREAM`` listens on a free port and sends each body on to
``UPSTREAM`` with the server, the client and the transport that the gateway has, and sends back
what comes. It is what :mod:`tests.benchmarks.single_requests` compares with.
"""

import asyncio
import socket
import sys

import httpx
import uvicorn
import uvloop
from httpx_aiohttp import AiohttpTransport
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class Relay:
    """An ASGI application of one route."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=500)
        transport = AiohttpTransport(limits=limits)
        self._client = httpx.AsyncClient(transport=transport, timeout=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the body on, and its answer back."""
        body = await Request(scope, receive).body()
        headers = {"content-type": "application/json", "x-goog-api-key": "k"}
        answer = await self._client.post(self._upstream, content=body, headers=headers)
        response = Response(answer.content, answer.status_code, media_type="application/json")
        await response(scope, receive, send)


async def serve(upstream: str) -> None:
    """Serve until the process is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Relay(upstream), http="httptools", lifespan="off", access_log=False, log_config=None
    )
    port = listener.getsockname()[1]
    print(f"relay listening on http://127.0.0.1:{port}", flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(sys.argv[1]))
