"""What a batch cost, next to the ledger of the emulator."""

from pathlib import Path
from typing import Any

import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import chat_line, finished, serving, submit

MODEL = "gemini-2.5-flash"


def test_the_cost_is_that_of_the_ledger(tmp_path: Path) -> None:
    """Of the first attempt too, in which one line of three failed."""
    with (
        running(EmulatorOptions(ledger=True)) as emulator,
        serving(tmp_path, emulator.base_url) as gateway,
    ):
        emulator.fault("results-fail", code=13, keys="2", times=1)
        client = gateway.client()
        lines = [chat_line(n, f"say {n}", model=MODEL, max_tokens=50) for n in "abc"]
        batch = finished(client, submit(client, lines))
        extension: dict[str, Any] = (batch.model_extra or {})["gateway"]
        charges = emulator.ledger()
    assert extension["attempts"] == 2
    assert extension["cost_usd"] == pytest.approx(sum(each["usd"] for each in charges))
    assert extension["cost_at_most_usd"] == extension["cost_usd"]


def test_what_it_may_cost_at_most_is_told_before(tmp_path: Path) -> None:
    """By the line's limit of its answer, else by the model's."""
    with (
        running(EmulatorOptions(speed=1e-6)) as emulator,
        serving(tmp_path, emulator.base_url) as gateway,
    ):
        client = gateway.client()
        limited = submit(client, [chat_line("a", "x", model=MODEL, max_tokens=1000)])
        open_ended = submit(client, [chat_line("a", "x", model=MODEL)])
        told = []
        for batch in (limited, open_ended):
            shown = batch
            while shown.status == "validating":
                shown = client.batches.retrieve(batch.id)
            told.append((shown.model_extra or {})["gateway"])
    assert [each["cost_usd"] for each in told] == [0, 0]
    assert told[0]["cost_at_most_usd"] == pytest.approx(1000 * 1.25e-6, rel=0.2)
    assert told[1]["cost_at_most_usd"] == pytest.approx(65_536 * 1.25e-6, rel=0.2)
