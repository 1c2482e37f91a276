"""Retry, jobs and the commands, on the real program."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from openai.types import Batch

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    content_of,
    finished,
    read_lines,
    serving,
    submit,
)

SIX = [f"id-{number}" for number in range(6)]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    """An emulator of its own."""
    with running() as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, upstream: Emulator) -> Iterator[Any]:
    """A gateway that sends a line once."""
    place: Path = tmp_path_factory.mktemp("gateway")
    with serving(place, upstream.base_url, GATEWAY_LINE_ATTEMPTS="1") as process:
        yield process


def failing(gateway: GatewayProcess, upstream: Emulator) -> Batch:
    """Six lines: the second was refused by the gateway, the third and fifth failed upstream."""
    upstream.fault("results-fail", code=13, keys="3")
    lines = [chat_line(i, f"say {i}") for i in SIX]
    lines[1] = chat_line("id-1", "x", nonsense=1)
    lines[4] = chat_line("id-4", "[[error:3]]")
    client = gateway.client()
    batch = finished(client, submit(client, [b"\xef\xbb\xbf", *lines]))
    upstream.clear_faults()
    assert batch.request_counts is not None
    assert batch.request_counts.failed == 3
    return batch


def retried(client: openai.OpenAI, batch: Batch, body: dict[str, Any] | None = None) -> Batch:
    """What the route answers."""
    return client.post(f"/batches/{batch.id}/retry", cast_to=Batch, body=body)


@pytest.mark.parametrize(
    ("body", "ids"), [(None, ["id-2"]), ({"include": "all"}, ["id-1", "id-2", "id-4"])]
)
def test_failed_lines_become_a_batch(
    gateway: GatewayProcess, upstream: Emulator, body: dict[str, Any] | None, ids: list[str]
) -> None:
    """Those that may succeed now, or all; each with its own answer."""
    client = gateway.client()
    batch = failing(gateway, upstream)

    again = finished(client, retried(client, batch, body))

    assert again.id != batch.id
    assert again.endpoint == batch.endpoint
    assert (again.model_extra or {})["gateway"]["retry_of"] == batch.id
    output = read_lines(client, again.output_file_id)
    errors = read_lines(client, again.error_file_id)
    assert sorted(row["custom_id"] for row in output + errors) == ids
    for row in output:
        assert content_of(row) == f"Echo: say {row['custom_id']}"


def test_a_retry_that_is_sent_twice_is_one(gateway: GatewayProcess, upstream: Emulator) -> None:
    """By idempotency key; its file is not left behind."""
    client = gateway.client()
    batch = failing(gateway, upstream)
    files = {file.id for file in client.files.list()}
    headers = {"Idempotency-Key": f"retry-{batch.id}"}

    made = [
        client.post(f"/batches/{batch.id}/retry", cast_to=Batch, options={"headers": headers})
        for _ in range(2)
    ]

    assert made[0].id == made[1].id
    finished(client, made[0])
    fresh = {file.id for file in client.files.list(purpose="batch")} - files
    assert fresh == {made[0].input_file_id}


def test_what_cannot_be_retried(gateway: GatewayProcess, upstream: Emulator) -> None:
    """No failed line, no such batch, a wish that is none, an input that is gone."""
    client = gateway.client()
    good = finished(client, submit(client, [chat_line("a", "x")]))
    with pytest.raises(openai.BadRequestError, match="no line of it failed"):
        retried(client, good)
    with pytest.raises(openai.NotFoundError):
        client.post("/batches/batch_0/retry", cast_to=Batch)
    with pytest.raises(openai.BadRequestError, match="'include'"):
        retried(client, good, {"include": "some"})
    refused = finished(client, submit(client, [chat_line("a", "x", nonsense=1)]))
    with pytest.raises(openai.BadRequestError, match="cannot succeed as they are"):
        retried(client, refused)
    batch = failing(gateway, upstream)
    client.files.delete(batch.input_file_id)
    with pytest.raises(openai.ConflictError, match="input file of batch"):
        retried(client, batch)


def test_a_live_batch_is_not_retried(tmp_path: Path) -> None:
    """409; its jobs can be seen meanwhile."""
    with (
        running(EmulatorOptions(job_seconds=3600)) as slow,
        serving(tmp_path, slow.base_url) as gateway,
    ):
        client = gateway.client()
        batch = submit(client, [chat_line("a", "x"), chat_line("b", "y", "gemini-2.5-pro")])
        while not (jobs := jobs_of(client, batch)) or not all(j["upstream_state"] for j in jobs):
            pass

        with pytest.raises(openai.ConflictError, match="has not ended"):
            retried(client, batch)

        assert [(job["number"], job["model"], job["items"], job["state"]) for job in jobs] == [
            (jobs[0]["number"], "gemini-2.5-flash-lite", 1, "running"),
            (jobs[0]["number"] + 1, "gemini-2.5-pro", 1, "running"),
        ]
        assert {job["attempts"] for job in jobs} == {1}
        shown = command(gateway, "status", batch.id)
        assert "in_progress" in shown
        assert jobs[0]["display_name"] in shown
        assert re.search(r"time left: (23 h 59|24 h 0) min", shown)
        assert batch.id in command(gateway, "status")


def jobs_of(client: openai.OpenAI, batch: Batch) -> list[dict[str, Any]]:
    """The jobs as the route shows them."""
    answer = client.get(f"/batches/{batch.id}/jobs", cast_to=object)
    assert isinstance(answer, dict)
    return list(answer["data"])


def command(gateway: GatewayProcess, *words: str, code: int = 0) -> str:
    """The output of ``gateway …`` against it."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *words, "--base-url", gateway.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    return done.stdout or done.stderr


def test_the_commands(gateway: GatewayProcess, upstream: Emulator) -> None:
    """``gateway retry`` prints the new batch, ``gateway status --json`` what the API says."""
    client = gateway.client()
    batch = failing(gateway, upstream)

    again = finished(client, client.batches.retrieve(command(gateway, "retry", batch.id).strip()))

    assert again.request_counts is not None
    assert again.request_counts.total == 1
    told = orjson.loads(command(gateway, "status", batch.id, "--json"))
    assert told["batch"]["id"] == batch.id
    assert told["jobs"][0]["lines"] == 5
    listed = orjson.loads(command(gateway, "status", "--json"))
    assert listed[0]["id"] == again.id
    assert "No batch found" in command(gateway, "status", "batch_0", code=1)


def test_no_gateway_there() -> None:
    """One sentence, no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "status", "--base-url", "http://127.0.0.1:9/v1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No gateway answers at http://127.0.0.1:9/v1")
