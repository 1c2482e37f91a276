"""Spans of upstream calls: an upstream in front of the upstream."""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.ports.single import Reply, SingleCall
from gateway.ports.tracing import AnyUpstream
from gateway.ports.upstream import (
    Absent,
    FileSeen,
    Found,
    Model,
    Observation,
    Source,
    Staged,
    Unknown,
    Uploaded,
)
from gateway.tracing.attributes import EMBED, GEMINI, GENERATE, Attribute
from gateway.tracing.failing import ending, failing

# Google's counts of tokens -> the attribute that holds their sum.
_USAGE = {
    "promptTokenCount": Attribute.INPUT_TOKENS,
    "cachedContentTokenCount": Attribute.CACHED_TOKENS,
    "candidatesTokenCount": Attribute.OUTPUT_TOKENS,
    "thoughtsTokenCount": Attribute.REASONING_TOKENS,
}


class TracedUpstream:
    """Implements :class:`gateway.ports.tracing.AnyUpstream`: each call of ``inner`` is a span."""

    def __init__(self, inner: AnyUpstream, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    def _open(self, name: str, credential: str, **told: AttributeValue) -> Span:
        attributes = {Attribute.PROVIDER: GEMINI, Attribute.CREDENTIAL: credential, **told}
        return self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    @contextmanager
    def _call(self, name: str, credential: str, job: Job | None = None) -> Iterator[Span]:
        span = self._open(f"upstream {name}", credential)
        if job is not None:
            span.set_attributes(
                {Attribute.REQUEST_MODEL: job.model, Attribute.CALL_BYTES: job.outgoing[1]}
            )
        with failing(span):
            yield span

    def identity(self, credential: str, salt: str) -> str:
        """Return a digest of the credential's key: no call."""
        return self._inner.identity(credential, salt)

    async def stage(self, job: Job, spool: Source) -> Staged:
        """Upload the spool."""
        with self._call("stage", job.credential, job):
            return await self._inner.stage(job, spool)

    async def create(self, job: Job, spool: Source, seconds: float) -> str:
        """Create the job."""
        with self._call("create", job.credential, job):
            return await self._inner.create(job, spool, seconds)

    async def stage_file(self, staged: StagedFile, display_name: str, content: Source) -> Uploaded:
        """Upload a client's file."""
        with self._call("stage_file", staged.credential) as span:
            span.set_attribute(Attribute.CALL_BYTES, content.size)
            return await self._inner.stage_file(staged, display_name, content)

    async def observe_file(self, name: str, credential: str) -> FileSeen:
        """Look at a client's file."""
        with self._call("observe_file", credential):
            return await self._inner.observe_file(name, credential)

    async def release_file(self, name: str, credential: str) -> None:
        """Delete a client's file."""
        with self._call("release_file", credential):
            await self._inner.release_file(name, credential)

    async def find(
        self, display_name: str, credential: str, known: str | None
    ) -> Found | Absent | Unknown:
        """Look for a job in the listing."""
        with self._call("find", credential):
            return await self._inner.find(display_name, credential, known)

    async def observe(self, name: str, credential: str, *, whole: bool = False) -> Observation:
        """Look at a job."""
        with self._call("observe", credential) as span:
            seen = await self._inner.observe(name, credential, whole=whole)
            span.set_attribute(Attribute.JOB_UPSTREAM_STATE, seen.state)
            return seen

    async def fetch(self, name: str, output: str, credential: str) -> AsyncGenerator[bytes, None]:
        """Download raw results; the span is of the whole download."""
        span, size = self._open("upstream fetch", credential), 0
        # Not the current span: a generator runs in the context of its reader.
        with ending(span):
            async with aclosing(self._inner.fetch(name, output, credential)) as blocks:
                async for block in blocks:
                    size += len(block)
                    span.set_attribute(Attribute.CALL_BYTES, size)
                    yield block

    async def cancel(self, name: str, credential: str) -> None:
        """Ask for a job's end."""
        with self._call("cancel", credential):
            await self._inner.cancel(name, credential)

    async def release(self, job: Job) -> None:
        """Delete the upstream's copies."""
        with self._call("release", job.credential):
            await self._inner.release(job)

    async def models(self, credential: str) -> Sequence[Model]:
        """List the models."""
        with self._call("models", credential):
            return await self._inner.models(credential)

    async def model(self, name: str, credential: str) -> Model | None:
        """Look at one model."""
        with self._call("model", credential):
            return await self._inner.model(name, credential)

    async def close(self) -> None:
        """Close all connections: no call."""
        await self._inner.close()

    # --- single calls: what the GenAI conventions are about -----------------------------------

    def _inference(self, call: SingleCall) -> Span:
        operation = EMBED if "mbed" in call.method else GENERATE
        span = self._open(f"{operation} {call.model}", call.credential)
        span.set_attributes({Attribute.OPERATION: operation, Attribute.REQUEST_MODEL: call.model})
        return span

    async def ask(self, call: SingleCall) -> Reply:
        """Send a single call."""
        span = self._inference(call)
        with failing(span):
            reply = await self._inner.ask(call)
            _note_reply(span, reply)
            return reply

    async def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """Stream a single call's answer; the span is of the whole stream."""
        span, pieces = self._inference(call), 0
        with ending(span):
            async with aclosing(self._inner.stream(call)) as replies:
                async for reply in replies:
                    pieces += 1
                    span.set_attribute(Attribute.CALL_PIECES, pieces)
                    _note_reply(span, reply)
                    yield reply


def _note_reply(span: Span, reply: Reply) -> None:
    """Note numbers and fixed words of an answer: never its text."""
    error = reply.get("error")
    if isinstance(error, Mapping):
        span.set_status(Status(StatusCode.ERROR))
        span.set_attribute(Attribute.ERROR_TYPE, str(error.get("status") or "error"))
        _note_number(span, Attribute.HTTP_STATUS, error.get("code"))
    if isinstance(model := reply.get("modelVersion"), str):
        span.set_attribute(Attribute.RESPONSE_MODEL, model)
    usage = reply.get("usageMetadata")
    if isinstance(usage, Mapping):
        for name, attribute in _USAGE.items():
            _note_number(span, attribute, usage.get(name))
        _note_number(span, Attribute.OUTPUT_TOKENS, _output(usage))
    reasons = [reason for reason in _finish_reasons(reply) if isinstance(reason, str)]
    if reasons:
        span.set_attribute(Attribute.FINISH_REASONS, reasons)


def _note_number(span: Span, attribute: Attribute, value: object) -> None:
    if isinstance(value, int):
        span.set_attribute(attribute, value)


def _output(usage: Mapping[str, Any]) -> int | None:
    """Count thoughts into the output, as the conventions do and Google does not."""
    parts = [usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount")]
    counted = [part for part in parts if isinstance(part, int)]
    return sum(counted) if counted else None


def _finish_reasons(reply: Reply) -> Iterator[object]:
    candidates = reply.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        if isinstance(candidate, Mapping):
            yield candidate.get("finishReason")
