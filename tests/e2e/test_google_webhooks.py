"""Google tells that a job has ended: nothing waits for a poll that is an hour away."""

from pathlib import Path

import httpx
import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import chat_line, finished, read_lines, serving, submit, until

# As it looks before Google has made one.
UNUSED = "whsec_bm90IGluIHVzZSB5ZXQ="


@pytest.mark.slow
def test_a_webhook_wakes_the_poller(tmp_path: Path) -> None:
    """Registered over the API of the emulator, whose secret is put into the file meanwhile."""
    secret = tmp_path / "secret"
    secret.write_text(UNUSED)
    settings = {
        "GATEWAY_GOOGLE_WEBHOOK_SECRET_FILE": str(secret),
        "GATEWAY_POLL_MIN_SECONDS": "3600",
        "GATEWAY_POLL_MAX_SECONDS": "3600",
    }
    with (
        running(EmulatorOptions(job_seconds=36_000)) as gemini,
        serving(tmp_path, gemini.base_url, **settings) as gateway,
        httpx.Client(
            base_url=gemini.base_url, headers={"x-goog-api-key": "no-key"}, timeout=60
        ) as google,
    ):
        place = gateway.url.removesuffix("/v1") + "/webhooks/google"
        body = {"uri": place, "subscribed_events": ["batch.succeeded"]}
        made = google.post("/v1beta/webhooks", json=body).json()
        secret.write_text(made["new_signing_secret"])
        until(lambda: "webhooks was read again" in gateway.log(), "the secret is taken")
        client = gateway.client()
        sent = submit(client, [chat_line("a", "say a")])
        # A job whose name is not written down yet is not known, and the next look is in an hour.
        until(lambda: gateway.rows("SELECT 1 FROM jobs WHERE state = 'running'"), "it runs")
        gemini.finish()
        batch = finished(client, sent)
        assert [row["custom_id"] for row in read_lines(client, batch.output_file_id)] == ["a"]
