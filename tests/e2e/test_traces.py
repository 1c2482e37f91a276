"""Traces: one of a batch whatever restarts, sent as OTEL_* says, and nothing where they are off."""

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from openai.types import Batch
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from gateway.ids import new_batch_id
from gateway.tracing.attributes import MEANINGS
from tests.e2e import traced
from tests.e2e.harness import (
    LIFELINE,
    GatewayProcess,
    chat_line,
    finished,
    serving,
    submit,
    until,
)

pytestmark = pytest.mark.slow

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
PROMPT, ANSWER = "a-secret-question", "in the answer"

Span = dict[str, Any]


@pytest.fixture
def waiting() -> Iterator[Emulator]:
    """An emulator whose jobs end when they are told to."""
    with running(EmulatorOptions(job_seconds=36_000)) as emulator:
        yield emulator


def sent(gateway: GatewayProcess) -> bool:
    """Whether its job is at Google, and was looked at there."""
    return bool(gateway.rows("SELECT 1 FROM jobs WHERE upstream_state IS NOT NULL"))


def spans_in(path: Path) -> list[Span]:
    """All spans of all runs."""
    return [orjson.loads(line) for line in path.read_text().splitlines()]


def trace_of(span: Span) -> str:
    """The id of its trace."""
    return str(span["context"]["trace_id"]).removeprefix("0x")


def children_of(spans: Sequence[Span], parent: Span) -> list[Span]:
    """Those that name it as their parent."""
    return [each for each in spans if each["parent_id"] == parent["context"]["span_id"]]


def over_a_restart(tmp_path: Path, gemini: Emulator, **headers: str) -> tuple[Batch, list[Span]]:
    """A batch that is sent by one process and ended by another; the spans of both."""
    file = tmp_path / "spans"
    command = (*LIFELINE, traced.__name__, str(file))
    with serving(tmp_path, gemini.base_url, command) as gateway:
        client = gateway.client(default_headers=headers)
        batch = submit(client, [chat_line("a", PROMPT), chat_line("b", PROMPT, temperature=9)])
        until(lambda: sent(gateway), "the job is at Google")
        gateway.terminate()
        before = len(spans_in(file))
        assert before > 0
        gemini.finish()
        gateway.start()
        done = finished(gateway.client(), batch)
        ended = f"batch {batch.id} completed"  # which is told after it is written down
        until(lambda: ended in gateway.log(), "its end is told")
        gateway.terminate()
    assert len(spans_in(file)) > before
    return done, spans_in(file)


def test_a_batch_over_a_restart_is_one_trace(tmp_path: Path, waiting: Emulator) -> None:
    """Steps of both processes are children of the batch's span, which is a child of the client's.

    Calls are children of steps. There is no text of a line in it, and no look that found nothing.
    """
    batch, spans = over_a_restart(tmp_path, waiting, traceparent=TRACEPARENT)

    [whole] = [span for span in spans if span["name"] == "batch"]
    mine = [span for span in spans if trace_of(span) == TRACE]
    steps = children_of(mine, whole)
    calls = [call for step in steps for call in children_of(mine, step)]
    assert whole["parent_id"] == f"0x{PARENT}"
    assert len(mine) == 1 + len(steps) + len(calls)
    assert {"step validate", "step create", "step poll", "step collect", "step publish"} <= {
        step["name"] for step in steps
    }
    assert {"upstream create", "upstream observe"} <= {call["name"] for call in calls}
    told = whole["attributes"]
    assert told["gateway.batch.id"] == batch.id
    assert (told["gateway.batch.status"], told["gateway.batch.lines"]) == ("completed", 2)
    assert (told["gateway.batch.lines.completed"], told["gateway.batch.lines.failed"]) == (1, 1)
    assert told["gen_ai.usage.input_tokens"] == batch.to_dict()["usage"]["input_tokens"]  # type: ignore[index]
    assert whole["start_time"] <= min(step["start_time"] for step in steps)
    assert {step["attributes"]["gateway.batch.id"] for step in steps} == {batch.id}
    states = [
        step["attributes"]["gateway.job.upstream_state"]
        for step in steps
        if step["name"] == "step poll"
    ]
    assert len(states) == len(set(states))
    assert set().union(*(span["attributes"] for span in spans)) <= set(MEANINGS)
    text = orjson.dumps(spans).decode()
    assert PROMPT not in text
    assert "temperature" not in text


def test_a_batch_without_a_trace_of_its_client_has_its_own(
    tmp_path: Path, waiting: Emulator
) -> None:
    """Its id is that of the batch, so that a person finds it."""
    batch, spans = over_a_restart(tmp_path, waiting, traceparent="no-trace")

    [whole] = [span for span in spans if span["name"] == "batch"]
    assert trace_of(whole) == batch.id.removeprefix("batch_")
    assert whole["parent_id"] is None
    steps = [span for span in spans if span["name"].startswith("step ")]
    assert {trace_of(step) for step in steps} == {trace_of(whole)}


@dataclass
class Collector:
    """A receiver of OTLP over HTTP."""

    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    received: list[ExportTraceServiceRequest] = field(default_factory=list)

    def names(self) -> set[str]:
        """Names of all spans."""
        return {
            span.name
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on this machine."""
    collector = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            collector.received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collector.url = f"http://127.0.0.1:{server.server_port}"
        yield collector
        server.shutdown()
        thread.join()


def test_the_variables_of_opentelemetry_say_where_spans_go(tmp_path: Path) -> None:
    """Endpoint, headers, the service's name; a single request's call follows GenAI's words."""
    with running() as gemini, collecting() as collector:
        settings = {
            "GATEWAY_TRACES": "otlp",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-token=of-the-collector",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_SERVICE_NAME": "mine",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "GATEWAY_BACKGROUND_WINDOW_SECONDS": "0",
        }
        with serving(tmp_path, gemini.base_url, **settings) as gateway:
            client = gateway.client(default_headers={"traceparent": TRACEPARENT})
            for stream in (False, True):
                answered = client.chat.completions.create(
                    model="gemini-2.5-flash",
                    messages=[{"role": "user", "content": PROMPT}],
                    stream=stream,
                )
                list(answered)
            later = client.responses.create(model="gemini-2.5-flash", input=PROMPT, background=True)
            wanted = {"POST /v1/chat/completions", "generate_content gemini-2.5-flash"}
            wanted |= {"response", "batch"}

            def arrived() -> bool:
                gemini.finish()
                return wanted <= collector.names()

            until(arrived, "the spans arrive while it runs")
            gateway.terminate()

    assert collector.headers[0]["x-token"] == "of-the-collector"
    resource = {
        each.key: each.value.string_value
        for each in collector.received[0].resource_spans[0].resource.attributes
    }
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("mine", "test")
    assert "service.version" in resource
    spans = [
        span
        for request in collector.received
        for scope in request.resource_spans[0].scope_spans
        for span in scope.spans
        if span.trace_id.hex() == TRACE
    ]
    requests = [span for span in spans if span.name.startswith("POST")]
    calls = [span for span in spans if span.name.startswith("generate_content")]
    assert [span.parent_span_id.hex() for span in requests] == [PARENT, PARENT, PARENT]
    [response] = [span for span in spans if span.name == "response"]
    assert response.parent_span_id.hex() == PARENT
    [batch] = [
        span
        for request in collector.received
        for scope in request.resource_spans[0].scope_spans
        for span in scope.spans
        if span.name == "batch"
    ]
    [link] = response.links
    assert (link.trace_id, link.span_id) == (batch.trace_id, batch.span_id)
    of_response = {each.key: each.value.string_value for each in response.attributes}
    assert of_response["gen_ai.response.id"] == later.id
    assert of_response["gateway.response.status"] == "completed"
    assert {call.parent_span_id for call in calls} == {span.span_id for span in requests[:2]}
    for call in calls:
        told = {each.key: each.value for each in call.attributes}
        assert told["gen_ai.provider.name"].string_value == "gcp.gemini"
        assert told["gen_ai.response.model"].string_value == "gemini-2.5-flash"
        assert told["gen_ai.usage.input_tokens"].int_value > 0
        assert told["gen_ai.response.finish_reasons"].array_value.values[0].string_value == "STOP"
    assert PROMPT not in str(collector.received)


def test_nothing_is_imported_where_traces_are_off() -> None:
    """Not even where the packages are installed: the program starts no slower."""
    look = "import sys, gateway.app; print([n for n in sys.modules if 'opentelemetry' in n])"
    shown = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"


def test_a_batchs_id_is_a_traces() -> None:
    """As W3C wants it: 32 hex digits, not all zero."""
    digits = new_batch_id().removeprefix("batch_")
    assert len(digits) == 32
    assert int(digits, 16) > 0
