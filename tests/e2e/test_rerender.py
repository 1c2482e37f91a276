"""Rerender on the real program: other settings, the same raw results, nothing paid."""

from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from gateway.emulator.testing import Emulator, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    extension,
    finished,
    read_lines,
    serving,
    submit,
)

IDS = ["plain", "blocked", "later", "refused", "many"]
MANY = "gemini-3-flash-preview"


def made(gateway: GatewayProcess, upstream: Emulator) -> Batch:
    """A blocked line, one that ran twice, one refused, one of which a choice ran twice."""
    upstream.fault("results-fail", code=13, keys="3|5.1", times=2)
    client = gateway.client()
    lines = [
        chat_line("plain", "hello"),
        chat_line("blocked", "[[block]]"),
        chat_line("later", "again"),
        chat_line("refused", "x", nonsense=1),
        chat_line("many", "both", model=MANY, n=2),
    ]
    batch = finished(client, submit(client, lines))
    upstream.clear_faults()
    assert len(upstream.journal("create")) == 4
    return batch


def rerendered(client: openai.OpenAI, batch: Batch, **body: Any) -> dict[str, Any]:
    """The ids of the new files."""
    done = client.post(f"/batches/{batch.id}/rerender", cast_to=Batch, body=body or None)
    assert done.output_file_id == batch.output_file_id
    assert done.error_file_id == batch.error_file_id
    return dict(extension(done)["rerendered"][-1])


@pytest.mark.parametrize("inline", ["100", "0"])
def test_other_settings_and_the_same_results(tmp_path: Path, inline: str) -> None:
    """A blocked prompt becomes an error line; under the stored policy every byte is the same."""
    with (
        running() as upstream,
        serving(tmp_path, upstream.base_url, GATEWAY_INLINE_MAX_ITEMS=inline) as gateway,
    ):
        batch = made(gateway, upstream)
        client = gateway.client()
        assert batch.output_file_id is not None
        before = client.files.content(batch.output_file_id).content
        jobs = len(upstream.journal("create"))
        gateway.terminate()
        gateway.settings = {**gateway.settings, "GATEWAY_BLOCKED_PROMPT": "error"}
        gateway.start()
        client = gateway.client()

        files = rerendered(client, batch)
        again = rerendered(client, batch, policy="stored")

        output = read_lines(client, files["output_file_id"])
        errors = read_lines(client, files["error_file_id"])
        assert_conserved(IDS, output, errors)
        assert [row["custom_id"] for row in errors] == ["blocked", "refused"]
        assert client.files.content(again["output_file_id"]).content == before
        assert len(extension(client.batches.retrieve(batch.id))["rerendered"]) == 2
        assert len(upstream.journal("create")) == jobs


def test_raw_results_that_are_gone(tmp_path: Path) -> None:
    """409 that names the setting; 400 for a policy that is none."""
    with (
        running() as upstream,
        serving(tmp_path, upstream.base_url, GATEWAY_RAW_RESULTS_SECONDS="0") as gateway,
    ):
        client = gateway.client()
        batch = finished(client, submit(client, [chat_line("a", "x")]))

        with pytest.raises(openai.ConflictError, match="GATEWAY_RAW_RESULTS_SECONDS"):
            rerendered(client, batch)
        with pytest.raises(openai.BadRequestError, match="'policy'"):
            rerendered(client, batch, policy="mine")
