"""The whole program before faults that last: paid work comes back, once, and is never deleted."""

import contextlib
from pathlib import Path

import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    extension,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

IDS = ("a", "b")
LINES = [chat_line(custom_id, "x") for custom_id in IDS]


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("get-denied", {"seconds": 4}),
        ("download-denied", {"seconds": 4}),
        ("output-late", {"gets": 9}),
        ("garbage", {"on": "download", "body": "<html>busy</html>", "times": 9}),
        ("garbage", {"on": "download", "body": "{}", "times": 9}),
    ],
)
def test_what_google_denies_for_a_while_comes_back(
    tmp_path: Path, gemini: Emulator, fault: str, parameters: dict[str, object]
) -> None:
    """Each of these lost every line of a job that was paid for, within seconds."""
    gemini.fault(fault, **parameters)
    with serving(
        tmp_path, gemini.base_url, GATEWAY_INLINE_MAX_ITEMS="0", GATEWAY_LINE_ATTEMPTS="1"
    ) as gateway:
        client = gateway.client()

        batch = finished(client, submit(client, LINES))

        assert [row["custom_id"] for row in read_lines(client, batch.output_file_id)] == [*IDS]
        assert batch.error_file_id is None
    gemini.clear_faults()


def test_a_cancel_that_google_does_not_hear_ends_in_time(tmp_path: Path) -> None:
    """Within the bound, with what Google said last; it was ``cancelling`` for ever."""
    with running(EmulatorOptions(job_seconds=3600)) as emulator:
        emulator.fault("cancel-lost", times="all")
        with serving(tmp_path, emulator.base_url, GATEWAY_CANCEL_SECONDS="2") as gateway:
            client = gateway.client()
            batch = submit(client, LINES)
            until(lambda: extension(client.batches.retrieve(batch.id))["upstream"], "it runs")
            client.batches.cancel(batch.id)

            done = finished(client, batch)

            rows = read_lines(client, done.error_file_id)
            assert done.status == "cancelled"
            assert [row["error"]["code"] for row in rows] == ["batch_cancelled"] * 2
            assert "after it was told to end" in extension(done)["ended_because"]


def test_a_start_with_a_key_of_another_project_loses_nothing(tmp_path: Path) -> None:
    """Every running job was given up for good within ten seconds."""
    options = EmulatorOptions(job_seconds=3, api_keys=("right=one", "wrong=two"))
    with running(options) as emulator:
        with _keyed(tmp_path, emulator, "right") as gateway:
            batch = submit(gateway.client(), LINES)
            client = gateway.client()
            until(lambda: extension(client.batches.retrieve(batch.id))["upstream"], "it runs")
        with _keyed(tmp_path, emulator, "wrong") as gateway:
            client = gateway.client()
            until(
                lambda: (
                    "another Gemini key"
                    in (extension(client.batches.retrieve(batch.id))["waiting_for"] or "")
                ),
                "it is held",
            )
            said = "1 job paid for with another Gemini key"
            until(lambda: said in gateway.log(), "it is logged")
        with _keyed(tmp_path, emulator, "right") as gateway:
            client = gateway.client()
            done = finished(client, batch)
            assert len(read_lines(client, done.output_file_id)) == 2


def _keyed(
    tmp_path: Path, emulator: Emulator, key: str
) -> contextlib.AbstractContextManager[GatewayProcess]:
    return serving(tmp_path, emulator.base_url, GEMINI_API_KEY=key)
