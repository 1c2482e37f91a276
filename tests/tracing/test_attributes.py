"""Spans: the names of their attributes, which of them are sent, and where to."""

import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, http_attributes

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import JobState
from gateway.errors import SettingsError, UpstreamHeldError
from gateway.ids import new_batch_id
from gateway.tracing.attributes import MEANINGS, Attribute
from gateway.tracing.opening import open_tracing
from gateway.tracing.provider import traces_to
from tests.conformance.records import a_job


def conventional() -> set[str]:
    """Every name of OpenTelemetry's conventions for GenAI, HTTP and errors."""
    modules = (gen_ai_attributes, error_attributes, http_attributes)
    return {value for module in modules for value in vars(module).values() if type(value) is str}


def test_names_are_the_conventions_or_in_one_namespace() -> None:
    """A name that looks like theirs is theirs; each has a meaning."""
    own = {name for name in Attribute if name.startswith("gateway.")}
    assert set(Attribute) - own <= conventional()
    assert set(Attribute) == set(MEANINGS)


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without the extra."""
    for name in [name for name in sys.modules if name.startswith("gateway.tracing.provider")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    yield
    monkeypatch.undo()


@pytest.mark.usefixtures("without_packages")
def test_what_is_missing_is_named() -> None:
    """With what to type."""
    with pytest.raises(SettingsError, match=r"pip install '\.\[otel\]'"):
        open_tracing("otlp")


def batch(**changes: object) -> Batch:
    """A batch of now."""
    return Batch(new_batch_id(), "alice", "/v1/embeddings", "file-1", 1000, 2000, **changes)  # type: ignore[arg-type]


def test_what_is_left_is_sent_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the collector that OTEL_* names."""
    asked: list[str] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        tracing = open_tracing("otlp")
        tracing.batch_ended(batch(completed_at=3000))
        tracing.close()
        server.shutdown()
        thread.join()
    assert asked == ["/v1/traces"]


def test_the_console_needs_no_collector() -> None:
    """It opens, and closes with nothing to write."""
    open_tracing("console").close()


def test_a_look_that_found_nothing_new_is_not_sent() -> None:
    """There are thousands of them in a batch's day; one that found something is."""
    exporter = InMemorySpanExporter()
    tracing = traces_to(SimpleSpanProcessor(exporter))
    job = a_job(state=JobState.RUNNING, upstream_state="PENDING")
    for seen in (job, replace(job, upstream_state="RUNNING")):
        with tracing.step("poll", batch(), job) as step:
            step.came_to(seen)
    [news] = exporter.get_finished_spans()
    assert news.attributes is not None
    assert news.attributes[Attribute.JOB_UPSTREAM_STATE] == "RUNNING"


def test_a_clock_that_was_set_back_makes_no_span_end_before_it_began() -> None:
    """Tools refuse such spans."""
    exporter = InMemorySpanExporter()
    traces_to(SimpleSpanProcessor(exporter)).batch_ended(batch(completed_at=500))
    [whole] = exporter.get_finished_spans()
    assert (whole.start_time, whole.end_time) == (1_000_000_000, 1_000_000_000)


def test_a_failed_step_is_told_by_its_class() -> None:
    """Messages may quote what was asked."""
    exporter = InMemorySpanExporter()
    tracing = traces_to(SimpleSpanProcessor(exporter))
    with pytest.raises(UpstreamHeldError), tracing.step("validate", batch(), None):
        raise UpstreamHeldError("the question", status=403)
    [failed] = exporter.get_finished_spans()
    assert not failed.status.is_ok
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "UpstreamHeldError"
    assert failed.attributes["http.response.status_code"] == 403
    assert "the question" not in failed.to_json()


def test_what_a_client_does_not_sample_is_not_sent() -> None:
    """Its decision is in its header."""
    exporter = InMemorySpanExporter()
    tracing = traces_to(SimpleSpanProcessor(exporter))
    silent = batch(traceparent=f"00-{'1' * 32}-{'2' * 16}-00", status=BatchStatus.COMPLETED)
    with tracing.step("publish", silent, None):
        pass
    tracing.batch_ended(silent)
    assert exporter.get_finished_spans() == ()
    tracing.batch_ended(batch(completed_at=3000))
    [whole] = exporter.get_finished_spans()
    assert (whole.start_time, whole.end_time) == (1_000_000_000, 3_000_000_000)
    assert whole.attributes is not None
    assert whole.attributes["gen_ai.operation.name"] == "embeddings"
