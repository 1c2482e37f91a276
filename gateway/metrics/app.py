"""The ASGI application of the metrics' own port: ``/metrics`` and nothing else."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.metrics.scrape import Scrape


def metrics_app(scrape: Scrape) -> ASGIApp:
    """Make it. Whoever reaches the port may read: it shows no key, no owner and no id."""

    async def respond(request: Request) -> Response:
        body, media_type = await scrape.text(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type})

    return Starlette(routes=[Route("/metrics", respond)])
