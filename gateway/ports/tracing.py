"""The port of traces: the spans that the runner opens, and those of upstream calls.

``tracing/`` makes them with OpenTelemetry; without it nothing is made and nothing is imported.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from gateway.batches.batch import Batch
from gateway.batches.job import Job
from gateway.batches.response import StoredResponse
from gateway.ports.single import SingleRequests, SingleUpstream
from gateway.ports.upstream import Upstream


class StepSpan(Protocol):
    """The span of a step that is being done."""

    def came_to(self, job: Job | None) -> None:
        """Note the job as the step leaves it."""
        ...


class Tracer(Protocol):
    """Where the runner's spans go. No call fails or waits."""

    def step(self, act: str, batch: Batch, job: Job | None) -> AbstractContextManager[StepSpan]:
        """Open the span of a step, in its batch's trace; calls inside are its children."""
        ...

    def batch_ended(self, batch: Batch) -> None:
        """Write the span of a whole batch, which began when it was created."""
        ...

    def response_ended(self, response: StoredResponse, now: int) -> None:
        """Write the span of a response in the background, which began when it was asked for."""
        ...


class AnyUpstream(Upstream, SingleUpstream, Protocol):
    """An upstream for batches and single requests."""


class Tracing(Tracer, Protocol):
    """Everything that is traced of a process."""

    def around_upstream(self, upstream: AnyUpstream) -> AnyUpstream:
        """Give an upstream each of whose calls is a span."""
        ...

    def around_single(self, requests: SingleRequests) -> SingleRequests:
        """Give single requests each of which is a span."""
        ...

    def close(self) -> None:
        """Send what has not been sent yet; it may take seconds."""
        ...


class _NoSpan:
    def came_to(self, job: Job | None) -> None:
        """Forget it."""


_NO_SPAN: Final = nullcontext(_NoSpan())


class NoTracer:
    """Tracer of a gateway that traces nothing."""

    def step(self, act: str, batch: Batch, job: Job | None) -> AbstractContextManager[StepSpan]:  # noqa: ARG002 - the port's
        """Open nothing."""
        return _NO_SPAN

    def batch_ended(self, batch: Batch) -> None:
        """Forget it."""

    def response_ended(self, response: StoredResponse, now: int) -> None:
        """Forget it."""


NO_TRACER: Final = NoTracer()
