"""Failures of spans: by their class alone, since a message may quote what was asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, Status, StatusCode, use_span

from gateway.errors import UpstreamError
from gateway.tracing.attributes import Attribute


@contextmanager
def failing(span: Span) -> Iterator[None]:
    """Have a span current, and end it with the block; what the block raises is noted."""
    quiet = use_span(span, record_exception=False, set_status_on_exception=False)
    with ending(span), quiet:
        yield


@contextmanager
def ending(span: Span) -> Iterator[None]:
    """End a span with the block; what the block raises is noted, but not that a reader left."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, GeneratorExit):
            note_failure(span, error)
        raise
    finally:
        span.end()


def note_failure(span: Span, error: BaseException) -> None:
    """Note what failed: its class, and the HTTP status that the upstream gave."""
    span.set_attribute(Attribute.ERROR_TYPE, type(error).__name__)
    if isinstance(error, UpstreamError) and error.status:
        span.set_attribute(Attribute.HTTP_STATUS, error.status)
    span.set_status(Status(StatusCode.ERROR))
