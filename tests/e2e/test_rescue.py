"""The rescue before kill -9: no call is sent twice, and no line is lost."""

from collections import Counter
from pathlib import Path

import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import (
    TERMINAL,
    GatewayProcess,
    assert_conserved,
    chat_line,
    extension,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

pytestmark = pytest.mark.slow

IDS = [f"id-{number}" for number in range(12)]
ANSWER_SECONDS = 3600  # by the clock of the emulator, which the test moves
LINES = [chat_line(name, f"say {name}", max_tokens=20) for name in IDS]
SETTINGS = {
    "GATEWAY_RESCUE": "flex",
    "GATEWAY_RESCUE_BEFORE_SECONDS": "90000",
    "GATEWAY_RESCUE_BUDGET_USD": "1",
}


def test_kills_while_lines_are_asked_one_by_one(tmp_path: Path) -> None:
    """A call that was under way may be paid for: its line is given up, the others go on."""
    options = EmulatorOptions(job_seconds=0.1, ledger=True, flex_seconds=ANSWER_SECONDS)
    with running(options) as gemini:
        gemini.fault("job-stuck", times=1)
        with serving(tmp_path, gemini.base_url, **SETTINGS) as gateway:
            batch = submit(gateway.client(), LINES)
            sent = "SELECT count(*) FROM rescue_calls, batches WHERE batches.id = ?"
            for least in (1, 5):
                _kill_once(gateway, (sent, batch.id), least)
            client = gateway.client()

            def ended() -> bool:
                gemini.advance(ANSWER_SECONDS)
                return client.batches.retrieve(batch.id).status in TERMINAL

            until(ended, "it ends")
            done = finished(client, batch)

            answered, failed = (
                read_lines(client, file) for file in (done.output_file_id, done.error_file_id)
            )
            assert_conserved(IDS, answered, failed)
            told = extension(done)["rescue"]
            assert told["calls"] == len(answered)
            assert told["lost"] == len(failed) > 0
            assert 0 < told["cost_at_most_usd"] <= 1
        # Google goes on with a call whose client is gone, or ends it: nothing is paid twice.
        paid = Counter(charge["prompt"] for charge in gemini.ledger())
        assert set(paid.values()) == {1}
        assert len(answered) <= len(paid) <= len(IDS)


def _kill_once(gateway: GatewayProcess, query: tuple[str, str], least: int) -> None:
    until(lambda: gateway.rows(*query)[0][0] >= least, "calls are sent")
    gateway.kill()
    gateway.start()
