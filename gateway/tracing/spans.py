"""Spans of batches and steps: one trace for a batch, whatever restarts between its hours.

What ties the spans together is in the records: a batch's trace is the one that its client's
``traceparent`` names, stored when it was created, else the 32 hex digits of its id; the id of its
own span are the last 16 of these. So a step of any process, days later, is put into the same trace.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from gateway.batches.batch import Batch
from gateway.batches.job import Job
from gateway.batches.lifecycle import Act
from gateway.batches.response import StoredResponse
from gateway.ports.single import SingleRequests
from gateway.ports.tracing import AnyUpstream, StepSpan
from gateway.tracing.attributes import EMBED, GEMINI, GENERATE, Attribute
from gateway.tracing.calls import TracedUpstream
from gateway.tracing.context import context_of
from gateway.tracing.failing import failing
from gateway.tracing.identity import ChosenIds, Ids
from gateway.tracing.single import TracedRequests

SCOPE: Final = "gateway"
# Set on a look at a job that found nothing new: there are thousands of these in a day.
NOTHING_NEW: Final = "gateway.nothing_new"
NANOSECONDS: Final = 1_000_000  # in the records' milliseconds
NANODOLLARS: Final = 1e9
_BATCH_DIGITS: Final = 32

Attributes = Mapping[str, AttributeValue]


class Place(NamedTuple):
    """Where a batch's span is: its own ids, and the context of the client's span, if any."""

    ids: Ids
    parent: Context


def place_of(batch: Batch) -> Place:
    """Tell where the span of a batch is, from its record alone."""
    own = _own_trace(batch.id)
    # From an empty context: the step that writes it is no parent of its batch.
    parent = context_of(batch.traceparent)
    client = get_current_span(parent).get_span_context()
    trace = client.trace_id if client.is_valid else own
    return Place(Ids(trace or 1, own % (1 << 64) or 1), parent)


def _own_trace(batch_id: str) -> int:
    return int(batch_id.rpartition("_")[2][:_BATCH_DIGITS], 16)


class OtelTracing:
    """Implements :class:`gateway.ports.tracing.Tracing` over a provider of the SDK."""

    def __init__(self, provider: TracerProvider, ids: ChosenIds) -> None:
        self._provider = provider
        self._ids = ids
        self._tracer = provider.get_tracer(SCOPE)

    def around_upstream(self, upstream: AnyUpstream) -> AnyUpstream:
        """Give an upstream each of whose calls is a span."""
        return TracedUpstream(upstream, self._tracer)

    def around_single(self, requests: SingleRequests) -> SingleRequests:
        """Give single requests each of which is a span."""
        return TracedRequests(requests, self._tracer)

    def close(self) -> None:
        """Send what has not been sent yet."""
        self._provider.shutdown()

    @contextmanager
    def step(self, act: str, batch: Batch, job: Job | None) -> Iterator[StepSpan]:
        """Open the span of a step, in its batch's trace."""
        span = self._tracer.start_span(
            f"step {act}", self._inside(batch), attributes=_of_step(batch, job)
        )
        with failing(span):
            yield _OpenStep(span, job, act == Act.POLL.value)

    def _inside(self, batch: Batch) -> Context:
        """Give a context whose spans are children of the batch's."""
        ids, parent = place_of(batch)
        verdict = self._provider.sampler.should_sample(parent, ids.trace, "batch")
        sampled = verdict.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT
        context = SpanContext(ids.trace, ids.span, is_remote=True, trace_flags=TraceFlags(flags))
        return set_span_in_context(NonRecordingSpan(context), Context())

    def batch_ended(self, batch: Batch) -> None:
        """Write the span of a whole batch, which began when it was created."""
        ids, parent = place_of(batch)
        ended = batch.completed_at or batch.failed_at or batch.expired_at or batch.cancelled_at
        with self._ids.next_are(ids):
            span = self._tracer.start_span(
                "batch", parent, attributes=_of_batch(batch), start_time=_nanoseconds(batch)
            )
        span.end(None if ended is None else max(ended, batch.created_at) * NANOSECONDS)

    def response_ended(self, response: StoredResponse, now: int) -> None:
        """Write the span of a response in the background, a child of its client's.

        It links to the batch that it was sent with, which has a trace of its own: others of that
        batch are of other clients' traces.
        """
        links = []
        if response.batch_id is not None:
            own = _own_trace(response.batch_id)
            place = SpanContext(own or 1, own % (1 << 64) or 1, is_remote=True)
            links.append(Link(place))
        span = self._tracer.start_span(
            "response",
            context_of(response.traceparent),
            attributes=_of_response(response),
            links=links,
            start_time=response.created_at * NANOSECONDS,
        )
        span.end(max(now, response.created_at) * NANOSECONDS)


def _nanoseconds(batch: Batch) -> int:
    return batch.created_at * NANOSECONDS


class _OpenStep:
    """A step that is being done."""

    def __init__(self, span: Span, before: Job | None, looks: bool) -> None:
        self._span = span
        self._before = before
        self._looks = looks

    def came_to(self, job: Job | None) -> None:
        """Note the job as the step leaves it."""
        before = self._before
        if job is None or before is None:
            return
        self._span.set_attribute(Attribute.JOB_STATE, job.state.value)
        if job.upstream_state is not None:
            self._span.set_attribute(Attribute.JOB_UPSTREAM_STATE, job.upstream_state)
        if self._looks and _seen(job) == _seen(before):
            self._span.set_attribute(NOTHING_NEW, True)


def _seen(job: Job) -> tuple[object, ...]:
    return job.state, job.upstream_state, job.denials, job.stop_at, job.stuck_at


def _of_step(batch: Batch, job: Job | None) -> Attributes:
    told: dict[str, AttributeValue] = {
        Attribute.BATCH_ID: batch.id,
        Attribute.OWNER: batch.owner,
        Attribute.PROVIDER: GEMINI,
    }
    if job is not None:
        told |= {
            Attribute.JOB_ID: job.id,
            Attribute.JOB_NUMBER: job.number,
            Attribute.JOB_CAUSE: job.cause.value,
            Attribute.JOB_ITEMS: job.items,
            Attribute.CREDENTIAL: job.credential,
            Attribute.REQUEST_MODEL: job.model,
        }
    return told


def _of_response(response: StoredResponse) -> Attributes:
    told: dict[str, AttributeValue | None] = {
        Attribute.RESPONSE_ID: response.id,
        Attribute.RESPONSE_STATUS: response.status.value,
        Attribute.BATCH_ID: response.batch_id,
        Attribute.OWNER: response.owner,
        Attribute.PROVIDER: GEMINI,
        Attribute.OPERATION: GENERATE,
        Attribute.REQUEST_MODEL: response.model,
    }
    return {name: value for name, value in told.items() if value is not None}


def _of_batch(batch: Batch) -> Attributes:
    told: dict[str, AttributeValue | None] = {
        Attribute.BATCH_ID: batch.id,
        Attribute.BATCH_ENDPOINT: batch.endpoint,
        Attribute.BATCH_STATUS: batch.status.value,
        Attribute.BATCH_LINES: batch.counts.total,
        Attribute.BATCH_COMPLETED: batch.counts.completed,
        Attribute.BATCH_FAILED: batch.counts.failed,
        Attribute.BATCH_COST: None if batch.cost is None else batch.cost / NANODOLLARS,
        Attribute.BATCH_RETRY_OF: batch.retry_of,
        Attribute.OWNER: batch.owner,
        Attribute.PROVIDER: GEMINI,
        Attribute.OPERATION: EMBED if batch.endpoint.endswith("/embeddings") else GENERATE,
        Attribute.REQUEST_MODEL: batch.model,
        Attribute.INPUT_TOKENS: batch.usage.input_tokens,
        Attribute.CACHED_TOKENS: batch.usage.cached_tokens,
        Attribute.OUTPUT_TOKENS: batch.usage.output_tokens,
        Attribute.REASONING_TOKENS: batch.usage.reasoning_tokens,
    }
    return {name: value for name, value in told.items() if value is not None}
