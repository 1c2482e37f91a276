"""Metrics of the real program: scraped during a run of faults, every documented series moves."""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai.types import Batch
from prometheus_client.parser import text_string_to_metric_families

from gateway.emulator.faults.table import FAULTS, Scope
from gateway.emulator.testing import Emulator, EmulatorOptions, running
from gateway.metrics.table import TABLE, Kind
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    embedding_line,
    finished,
    serving,
    submit,
    until,
)
from tests.e2e.test_files import PDF, asking, upload
from tests.e2e.test_webhooks import Receiver, receiving

MODEL = "gemini-3.5-flash"
# Of all series together, whatever happens; a run without bounds has one for each batch.
MOST_SAMPLES = 1500
GROUP = 10  # faults that are armed together
TRIES = 5
LIVE_JOBS = 2 * GROUP
# Faults that the gateway gives no occasion to, and why.
NEVER_MET = {
    "models-empty": "it asks for the models once in ten minutes",
    "list-needs-size": "it names a size in each call",
    "list-short": "it has not more jobs than a page lists",
    "list-cycles": "it has not more jobs than a page lists",
    "upload-no-status": "it sends a file of this size in one piece",
    "redirect-elsewhere": "it asks for the bytes where the redirect would lead",
    "download-direct": "it asks for the bytes where the redirect would lead",
}
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
LISTINGS = 5  # creates whose answer is lost, so that jobs are looked for
QUOTA_EXHAUSTED = 429
MOMENT = 0.2  # seconds that a fault lasts, of those that last


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
        self._looking = threading.Lock()

    def run(self) -> None:
        """Until :meth:`stop`."""
        while not self._over.wait(0.25):
            self.look()

    def look(self) -> None:
        """Scrape once, while no other thread does: no count is read before its end."""
        with self._looking:
            families = list(text_string_to_metric_families(scraped(self.url)))
            self.samples = sum(len(family.samples) for family in families)
        for family in families:
            for sample in family.samples:
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
    "GATEWAY_INLINE_MAX_ITEMS": "2",
    "GATEWAY_MAX_LIVE_JOBS": str(LIVE_JOBS),
    "GATEWAY_CREATE_TIMEOUT_SECONDS": "1",
    "GATEWAY_CANCEL_SECONDS": "1",
    "GATEWAY_GIVE_UP_SECONDS": "2",
    "GATEWAY_FLEX_SECONDS": "1",
    "GATEWAY_STUCK": "resend",
    "GATEWAY_STUCK_MIN_SECONDS": "1",
    "GATEWAY_LOG_FORMAT": "text",
    "GATEWAY_ACCESS_LOG": "on",
}


def lines(name: str, number: int = 3) -> list[bytes]:
    """A small batch."""
    return [chat_line(f"{name}-{each}", f"say {name} {each}", MODEL) for each in range(number)]


def ages_are_seen(gemini: Emulator, client: openai.OpenAI, scraper: Scraper) -> None:
    """Jobs wait at Google and here, one has ended and cannot be fetched; a response waits too."""
    gemini.fault("job-slow", seconds=3600)
    held = [submit(client, lines(f"slow-{number}")) for number in range(LIVE_JOBS + 1)]
    client.responses.create(model=MODEL, input="later", background=True)
    aged = (
        "gateway_upstream_age_seconds",
        "gateway_queue_age_seconds",
        "gateway_background_responses",
    )
    until(lambda: all(scraper.moved.get(name) for name in aged), "jobs wait")
    gemini.clear_faults()
    gemini.fault("download-denied", status=503, seconds=3600)
    gemini.finish()
    until(lambda: scraper.moved.get("gateway_unsecured_age_seconds"), "results are not secured")
    gemini.clear_faults()
    for batch in held:
        assert finished(client, batch).status == "completed"


def briefly(name: str, place: int) -> dict[str, Any]:
    """Parameters by which a fault strikes once, for a moment; ``place`` is its own in a group.

    Faults of calls take the calls as they come, one each. Those of jobs, results and uploads are
    asked once for each job or upload, all of them: so each lets those of the others through.
    """
    kind = FAULTS[name]
    parameters: dict[str, Any] = {"times": 1, "rate": 100_000}
    if kind.base.seconds:
        parameters["seconds"] = MOMENT
    if kind.scope in {Scope.JOB, Scope.ITEMS, Scope.UPLOAD}:
        parameters["skip"] = place
    return parameters


def work_of_all_kinds(client: openai.OpenAI, name: str) -> list[Batch]:
    """Everything for which the gateway asks Google: each fault has an occasion."""
    pdf = upload(client, f"{name}.pdf", PDF + name.encode())
    made = [submit(client, lines(f"{name}-{number}")) for number in range(GROUP)]
    made.append(submit(client, lines(f"{name}-inline", 2)))
    made.append(submit(client, [embedding_line(name, name)], "/v1/embeddings"))
    made.append(submit(client, [asking(name, pdf.id)]))
    video = upload(
        client, f"{name}.mp4", MP4 + name.encode()
    )  # Google prepares it: it is asked for
    made.append(submit(client, [asking(f"{name}-video", video.id)]))
    for tier in ("flex", "flex", "default"):
        with contextlib.suppress(openai.APIStatusError):
            client.responses.create(model=MODEL, input=name, service_tier=tier)
    assert client.models.list().data
    with contextlib.suppress(openai.ConflictError):  # it has ended
        client.batches.cancel(made[0].id)
    return made


def faults_are_met(gemini: Emulator, client: openai.OpenAI) -> set[str]:
    """Arm some faults at a time, each for once, while all kinds of work are done; what struck."""
    # What a refusal for want of quota teaches holds jobs back for minutes: these come last.
    names = sorted(FAULTS, key=lambda name: FAULTS[name].base.status == QUOTA_EXHAUSTED)
    struck: set[str] = set()
    for start in range(0, len(names), GROUP):
        group = names[start : start + GROUP]
        for turn in range(TRIES):  # the calls of one fault may be those that another one took
            left = [name for name in group if name not in struck]
            struck |= met_together(gemini, client, left, f"{group[0]}-{turn}")
            if set(group) - struck <= set(NEVER_MET):
                break
    return struck


def met_together(
    gemini: Emulator, client: openai.OpenAI, group: Sequence[str], work: str
) -> set[str]:
    """Arm these faults, do work of all kinds, and return which of them struck.

    ``work`` is a name of its own: a file that Google has already is not sent again.
    """
    for place, name in enumerate(group):
        gemini.fault(name, **briefly(name, place))
    if any(FAULTS[name].scope is Scope.LIST for name in group):
        gemini.fault("create-drop-after", times=LISTINGS)
    for batch in work_of_all_kinds(client, work):
        finished(client, batch)
    told = zip(group, gemini.faults(), strict=False)  # the one of listings is behind these
    struck = {name for name, armed in told if armed["applied"]}
    gemini.clear_faults()
    return struck


def webhooks_are_refused_first(client: openai.OpenAI, receiver: Receiver, scraper: Scraper) -> None:
    """A delivery that is pending, then accepted."""
    receiver.status = 500
    finished(client, submit(client, lines("told")))
    until(lambda: scraper.moved.get("gateway_webhook_deliveries_pending"), "it is pending")
    receiver.status = 204
    until(lambda: receiver.accepted, "it is delivered")


@pytest.mark.slow
def test_every_documented_series_moves(tmp_path: Path) -> None:
    """And none grows with the number of batches."""
    with (
        running(EmulatorOptions(job_seconds=0.05, video_seconds=0.3)) as gemini,
        receiving() as receiver,
        serving(tmp_path, gemini.base_url, GATEWAY_WEBHOOK_URL=receiver.url, **SETTINGS) as gateway,
        scraping(gateway) as scraper,
    ):
        client = gateway.client()
        ages_are_seen(gemini, client, scraper)
        struck = faults_are_met(gemini, client)
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
    assert set(FAULTS) - struck <= set(NEVER_MET)
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

        assert httpx.get(url, timeout=60).status_code == 401
        assert (
            httpx.get(url, headers={"authorization": "Bearer wrong"}, timeout=60).status_code == 401
        )
        assert "gateway_records_up" in scraped(url, authorization="Bearer a-secret-of-mine")
