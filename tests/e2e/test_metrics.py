"""Metrics of the real program: scraped during a run of faults, every documented series moves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from gateway.metrics.table import TABLE, Kind
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    finished,
    serving,
    submit,
    until,
)
from tests.e2e.test_webhooks import Receiver, receiving

MODEL = "gemini-3.5-flash"
# Of all series together, whatever happens; a run without bounds has one for each batch.
MOST_SAMPLES = 1500


def scraped(url: str, **headers: str) -> str:
    """The text of a scrape."""
    answer = httpx.get(url, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.text


class Scraper(threading.Thread):
    """Scrapes all the time, and keeps which series were ever above 0."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.moved: dict[str, float] = {}
        self.samples = 0
        self._over = threading.Event()

    def run(self) -> None:
        """Until :meth:`stop`."""
        while not self._over.wait(0.05):
            self.look()

    def look(self) -> None:
        """Scrape once."""
        self.samples = 0
        for family in text_string_to_metric_families(scraped(self.url)):
            for sample in family.samples:
                self.samples += 1
                name = sample.name.removesuffix("_count")
                self.moved[name] = max(self.moved.get(name, 0), sample.value)

    def stop(self) -> None:
        """Look once more."""
        self._over.set()
        self.join(60)
        self.look()


@contextmanager
def scraping(gateway: GatewayProcess) -> Iterator[Scraper]:
    """A scraper at the metrics' own port, which the log tells."""
    line = until(
        lambda: next((line for line in gateway.log().splitlines() if "metrics on" in line), ""),
        "the metrics' port is told",
    )
    scraper = Scraper(line[line.index("http://") :].split('"')[0])
    scraper.start()
    try:
        yield scraper
    finally:
        scraper.stop()


SETTINGS = {
    "GATEWAY_METRICS_PORT": "0",
    "GATEWAY_WEBHOOK_ALLOW_PRIVATE": "true",
    "GATEWAY_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "GATEWAY_WEBHOOK_RETRY_MIN_SECONDS": "0.05",
    "GATEWAY_WEBHOOK_RETRY_MAX_SECONDS": "0.2",
    "GATEWAY_INLINE_MAX_ITEMS": "0",
    "GATEWAY_MAX_LIVE_JOBS": "1",
    "GATEWAY_LOG_FORMAT": "text",
    "GATEWAY_ACCESS_LOG": "on",
}


def lines(name: str, number: int = 3) -> list[bytes]:
    """A small batch."""
    return [chat_line(f"{name}-{each}", f"say {name} {each}", MODEL) for each in range(number)]


def ages_are_seen(gemini: Emulator, client: openai.OpenAI, scraper: Scraper) -> None:
    """One job waits at Google, one here, one has ended and cannot be fetched."""
    gemini.fault("job-slow", seconds=3600, times=1)
    slow, waiting = submit(client, lines("slow")), submit(client, lines("waiting"))
    client.responses.create(model=MODEL, input="later", background=True)
    aged = (
        "gateway_upstream_age_seconds",
        "gateway_queue_age_seconds",
        "gateway_background_responses",
    )
    until(lambda: all(scraper.moved.get(name) for name in aged), "jobs wait")
    gemini.fault("download-denied", status=503, seconds=3600)
    gemini.finish()
    until(lambda: scraper.moved.get("gateway_unsecured_age_seconds"), "results are not secured")
    gemini.clear_faults()
    for batch in (slow, waiting):
        assert finished(client, batch).status == "completed"


def faults_are_met(gemini: Emulator, client: openai.OpenAI) -> None:
    """Each of these is one of the counters."""
    for name, parameters in FAULTS:
        gemini.fault(name, **parameters)
        finished(client, submit(client, lines(name)))
        gemini.clear_faults()


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("create-drop-after", {"times": 1}),
    ("quota", {"on": "create", "times": 1}),
    ("quota", {"on": "get", "times": 1}),
    ("create-denied", {"times": 1}),
    ("results-fail", {"code": 14, "share": 0.5, "times": 1}),
]


def webhooks_are_refused_first(client: openai.OpenAI, receiver: Receiver, scraper: Scraper) -> None:
    """A delivery that is pending, then accepted."""
    receiver.status = 500
    finished(client, submit(client, lines("told")))
    until(lambda: scraper.moved.get("gateway_webhook_deliveries_pending"), "it is pending")
    receiver.status = 204
    until(lambda: receiver.accepted, "it is delivered")


def test_every_documented_series_moves(tmp_path: Path) -> None:
    """And none grows with the number of batches."""
    with (
        running(EmulatorOptions(job_seconds=0.05)) as gemini,
        receiving() as receiver,
        serving(tmp_path, gemini.base_url, GATEWAY_WEBHOOK_URL=receiver.url, **SETTINGS) as gateway,
        scraping(gateway) as scraper,
    ):
        client = gateway.client()
        ages_are_seen(gemini, client, scraper)
        faults_are_met(gemini, client)
        webhooks_are_refused_first(client, receiver, scraper)
        done = finished(client, submit(client, lines("fetched")))
        assert done.output_file_id is not None
        assert client.files.content(done.output_file_id).text
        ask: Any = {"model": MODEL, "messages": [{"role": "user", "content": "a secret prompt"}]}
        client.chat.completions.create(**ask)
        gemini.fault("quota", on="generate", times=1)
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(**ask)
        scraper.look()
        before = scraper.samples
        for number in range(5):
            finished(client, submit(client, lines(f"again-{number}")))
        scraper.stop()
        log = gateway.log()

    still = {row.name for row in TABLE} - {name for name, value in scraper.moved.items() if value}
    assert not still
    # New steps and models may appear, not a series for each batch.
    assert scraper.samples <= before + 20
    assert scraper.samples < MOST_SAMPLES
    assert "a secret prompt" not in log
    assert any(
        "POST /v1/batches: 200" in line and "request_id=" in line for line in log.split("\n")
    )
    assert any("batch_id=batch_" in line and "owner=local" in line for line in log.split("\n"))
    assert {row.kind for row in TABLE} == set(Kind)


def test_the_main_port_is_open_on_the_loopback_interface(gateway: GatewayProcess) -> None:
    """Without a key, at once."""
    assert "gateway_records_up 1.0" in scraped(f"{gateway.url.removesuffix('/v1')}/metrics")


def test_elsewhere_it_asks_for_a_key(tmp_path: Path, gemini: Emulator) -> None:
    """A client's key, as every route does."""
    keys = {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_API_KEYS": "me=a-secret-of-mine"}
    with serving(tmp_path, gemini.base_url, **keys) as gateway:
        url = gateway.url.removesuffix("/v1").replace("0.0.0.0", "127.0.0.1") + "/metrics"

        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer wrong"}).status_code == 401
        assert "gateway_records_up" in scraped(url, authorization="Bearer a-secret-of-mine")
