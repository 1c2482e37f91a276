"""Spans of single requests: a service in front of the service."""

from collections.abc import AsyncIterator

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span

from gateway.errors import GatewayError
from gateway.ports.single import Answered, Events, SingleRequest, SingleRequests
from gateway.tracing.attributes import Attribute
from gateway.tracing.context import context_of
from gateway.tracing.failing import note_failure

SERVER_ERROR = 500


class TracedRequests:
    """Implements :class:`gateway.ports.single.SingleRequests`: each request is a span.

    It is a child of the span that the client's ``traceparent`` names.
    """

    def __init__(self, inner: SingleRequests, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    async def respond(self, asked: SingleRequest) -> Answered | Events:
        """Answer a request; a stream's span ends with the stream."""
        span = self._tracer.start_span(
            f"POST {asked.path}",
            context_of(asked.traceparent),
            kind=SpanKind.SERVER,
            attributes={
                Attribute.HTTP_METHOD: "POST",
                Attribute.HTTP_ROUTE: asked.path,
                Attribute.OWNER: asked.owner,
            },
        )
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                answered = await self._inner.respond(asked)
        except BaseException as error:
            note_failure(span, error)
            if isinstance(error, GatewayError):
                span.set_attribute(Attribute.HTTP_STATUS, error.status)
            span.end()
            raise
        if not isinstance(answered, Answered):
            return TracedEvents(answered, span)
        span.set_attribute(Attribute.HTTP_STATUS, answered.status)
        if answered.status >= SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        return answered


class TracedEvents:
    """A stream whose span ends with it."""

    def __init__(self, events: Events, span: Span) -> None:
        self._events = events
        self._span = span

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read them once."""
        return aiter(self._events)

    async def aclose(self) -> None:
        """End the calls, and the span."""
        try:
            await self._events.aclose()
        finally:
            self._span.end()
