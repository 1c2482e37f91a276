"""The client's context: what its ``traceparent`` names."""

from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR: Final = TraceContextTextMapPropagator()


def context_of(traceparent: str | None) -> Context:
    """Read a ``traceparent`` header; one that is none leads to an empty context."""
    if traceparent is None:
        return Context()
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context())
