"""Results while a batch runs, through the real program, and across its end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai.types import Batch

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    finished,
    read_lines,
    serving,
    submit,
)

COUNT = 30


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    """Jobs of five lines, one after the other."""
    with (
        running(EmulatorOptions(job_seconds=0.2)) as gemini,
        serving(
            tmp_path,
            gemini.base_url,
            GATEWAY_ITEMS_PER_JOB="5",
            GATEWAY_MAX_LIVE_JOBS="1",
            GATEWAY_SWEEP_SECONDS="5",
        ) as process,
    ):
        yield process


def _lines() -> Iterator[bytes]:
    """Every seventh is refused at validation."""
    for number in range(COUNT):
        bad: dict[str, Any] = {} if number % 7 else {"n": 0}
        yield chat_line(f"line-{number}", f"say {number}", **bad)


@pytest.mark.slow
def test_every_line_comes_once_with_the_bytes_of_the_files(gateway: GatewayProcess) -> None:
    """A reader that goes on until there is nothing more, whatever the batch does meanwhile."""
    client = gateway.client()
    batch = submit(client, _lines())
    rows: list[bytes] = []
    after: str | None = ""
    met = set()
    with httpx.Client(headers={"authorization": "Bearer any"}, timeout=60) as reader:
        while after is not None:
            query = {"limit": "4", **({"after": after} if after else {})}
            answer = reader.get(f"{gateway.url}/batches/{batch.id}/results", params=query)
            assert answer.status_code == 200, answer.text
            rows += answer.content.splitlines(keepends=True)
            after = answer.headers.get("x-gateway-next-after")
            if not answer.content:
                now = _waited(client, batch)
                met.add((now.status, bool(rows)))

    done = finished(client, batch)
    read = [orjson.loads(row) for row in rows]
    assert_conserved([f"line-{number}" for number in range(COUNT)], read)
    assert ("in_progress", True) in met  # some came before the end
    content = b"".join(
        client.files.content(file_id).content
        for file_id in (done.output_file_id, done.error_file_id)
        if file_id
    )
    assert sorted(rows) == sorted(content.splitlines(keepends=True))
    assert len(read_lines(client, done.error_file_id)) == 5


def _waited(client: openai.OpenAI, batch: Batch) -> Batch:
    """As a user of the SDK waits, without asking again and again."""
    return client.batches.retrieve(batch.id, extra_query={"wait": 60})
