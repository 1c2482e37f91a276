"""``GET /metrics``: the numbers of this process, in Prometheus' form."""

from starlette.responses import Response

from gateway.api.auth import owner_of_request
from gateway.api.services import Call
from gateway.errors import AuthenticationError, NotFoundError


async def show(call: Call) -> Response:
    """Answer a scraper: without a key on the loopback interface, with a client's key elsewhere.

    A client's own key for Google is not checked by us, so it opens nothing here.
    """
    if call.services.metrics is None:
        raise NotFoundError("This process keeps no metrics.")
    if not call.options.metrics_open:
        if call.options.pass_through is not None:
            raise AuthenticationError(
                "With GATEWAY_AUTH=pass-through the metrics have a port of their own:"
                " GATEWAY_METRICS_PORT."
            )
        owner_of_request(call.request.headers, call.options.credentials)
    body, media_type = await call.services.metrics(call.request.headers.get("accept", ""))
    return Response(body, headers={"content-type": media_type, "cache-control": "no-store"})
