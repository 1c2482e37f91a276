"""The provider of spans: OpenTelemetry's SDK, set up by its own OTEL_* variables."""

from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from gateway import __version__
from gateway.tracing.identity import ChosenIds
from gateway.tracing.spans import NOTHING_NEW, OtelTracing

SERVICE: Final = "gemini-batch-gateway"
EXPORTERS: Final = {"otlp": OTLPSpanExporter, "console": ConsoleSpanExporter}


def open_provider(exporter: str) -> OtelTracing:
    """Return the traces of this process. Errors: ValueError of an OTEL_* variable."""
    return traces_to(BatchSpanProcessor(EXPORTERS[exporter]()))


def traces_to(processor: SpanProcessor) -> OtelTracing:
    """Return traces whose spans go to a processor, the provider set up by OTEL_* variables."""
    ids = ChosenIds()
    # It is closed with the process's other parts, not by an exit handler.
    provider = TracerProvider(resource=_resource(), shutdown_on_exit=False, id_generator=ids)
    provider.add_span_processor(OnlyNews(processor))
    return OtelTracing(provider, ids)


def _resource() -> Resource:
    """Describe this service; what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins."""
    ours = {SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__}
    return Resource.create().merge(Resource(ours)).merge(OTELResourceDetector().detect())


class OnlyNews(SpanProcessor):
    """Passes spans on, but looks at jobs that found nothing new: thousands in a batch's day.

    Calls are kept back until the span that they were made in has ended, since a look's own call
    ends before it is known what the look came to.
    """

    def __init__(self, inner: SpanProcessor) -> None:
        self._inner = inner
        self._open: dict[int, list[ReadableSpan]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Keep a place for what is called inside of it."""
        self._inner.on_start(span, parent_context)
        self._open[span.get_span_context().span_id] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Pass it on with what was called inside of it, or keep it until its parent ends."""
        calls = self._open.pop(span.context.span_id, [])
        if (span.attributes or {}).get(NOTHING_NEW):
            return
        parent = self._open.get(span.parent.span_id) if span.parent is not None else None
        if parent is not None:
            parent.extend((*calls, span))
            return
        for ended in (*calls, span):
            self._inner.on_end(ended)

    def shutdown(self) -> None:
        """Send what is left."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is left, now."""
        return self._inner.force_flush(timeout_millis)
