"""No response in the background is lost or paid twice when replicas die while they collect them.

Two of the real program share one PostgreSQL and one bucket; either dies by SIGKILL at each point
where responses in the background change the records, and the other takes its work over. What was
paid for is told by the emulator, which outlives them.
"""

import itertools
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e import dying
from tests.e2e.harness import LIFELINE, GatewayProcess, until
from tests.e2e.test_background import LONG, MODEL, ended
from tests.engines.buckets import BucketServer
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow
TEXTS = [f"prompt number {number}" for number in range(6)]
POINTS = [
    f"{when}:{name}"
    for name in ("queue_response", "collect_responses", "finish_response", "release_background")
    for when in ("before", "after")
]
LEASE_SECONDS = "3"
RUNNING = "SELECT 1 FROM jobs WHERE state = 'running'"
CLOSE_WINDOWS = "UPDATE responses SET due_at = 1 WHERE due_at > 1 AND batch_id IS NULL"


class Replicas:
    """Two that die at each point once, whichever comes there first, and are started again."""

    def __init__(self, place: Path, gemini: Emulator, settings: dict[str, str]) -> None:
        self.processes = []
        self._marks = place / "deaths"
        self._marks.mkdir()
        self._records = settings["GATEWAY_STORE"]
        command = (*LIFELINE, dying.__name__, str(self._marks), *POINTS)
        for name in ("one", "two"):
            data = place / name / "data"
            data.mkdir(parents=True)
            self.processes.append(GatewayProcess(data, gemini.base_url, settings, command))
        self._turns = itertools.cycle(self.processes)

    def start(self) -> None:
        """Start both."""
        for process in self.processes:
            process.start()

    def close(self) -> None:
        """End both."""
        for process in self.processes:
            process.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the records."""
        with psycopg.connect(self._records) as connection:
            return connection.execute(query.encode()).fetchall()

    def close_windows(self) -> None:
        """Let what waits be collected now."""
        with psycopg.connect(self._records) as connection:
            connection.execute(CLOSE_WINDOWS.encode())

    def deaths(self) -> set[str]:
        """The points at which one has died so far; both run, or run again."""
        for process in self.processes:
            if process.process is not None and process.process.poll() is not None:
                process.close()
                process.start()
        return {path.name for path in self._marks.iterdir()}

    def ask(self, text: str) -> str:
        """Begin one as an SDK does: a request whose answer is lost is sent again, to either."""
        body = {"model": MODEL, "input": text, "background": True}
        for tries in range(len(POINTS) + 1):
            headers = {"x-stainless-retry-count": str(tries), "authorization": "Bearer any"}
            asked = next(self._turns)
            url = f"{asked.url}/responses"
            try:
                answer = httpx.post(url, json=body, headers=headers, timeout=60)
            except httpx.TransportError:
                assert asked.process is not None
                asked.process.wait(60)
                self.deaths()
                continue
            assert answer.status_code == 200, answer.text
            return str(answer.json()["id"])
        raise AssertionError("they die again and again")

    def is_over(self) -> bool:
        """Whether every answer is written, after every death, and both live."""
        return (
            self.deaths() == set(POINTS)
            and not self.rows("SELECT 1 FROM responses WHERE due_at IS NOT NULL")
            and not self.rows("SELECT 1 FROM batches WHERE delivered_at IS NULL")
            and all(map(answers, self.processes))
        )


def answers(process: GatewayProcess) -> bool:
    """Whether it lives; one may be dying just now."""
    try:
        return httpx.get(f"{process.url}/healthz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """One that keeps what each line cost, and whose jobs end when they are told to."""
    with running(EmulatorOptions(job_seconds=3600, ledger=True)) as emulator:
        yield emulator


@pytest.fixture
def replicas(tmp_path: Path, gemini: Emulator, bucket_server: BucketServer) -> Iterator[Replicas]:
    """Two over one database and one bucket."""
    bucket_server.make_bucket("background")
    server = PostgresServer()
    settings = {
        **LONG,
        **bucket_server.environment(),
        "GATEWAY_STORE": server.url(),
        "GATEWAY_BLOBS": f"s3://background/{secrets.token_hex(4)}",
        "GATEWAY_LEASE_SECONDS": LEASE_SECONDS,
    }
    both = Replicas(tmp_path, gemini, settings)
    try:
        both.start()
        yield both
    finally:
        both.close()
        server.close()


@pytest.mark.timeout(400)
def test_deaths_of_replicas_lose_nothing_and_pay_nothing_twice(
    replicas: Replicas, gemini: Emulator
) -> None:
    """Six are asked for: all is as without the eight deaths."""
    ids = [replicas.ask(text) for text in TEXTS]
    assert len(set(ids)) == len(TEXTS)
    replicas.close_windows()
    until(lambda: replicas.deaths() and replicas.rows(RUNNING), "the job runs", 120)
    gemini.finish()
    until(replicas.is_over, "all have ended, after every death", 240)

    for process in replicas.processes:
        assert_answered(process, ids)
    assert_paid_once(replicas, gemini)


def assert_answered(process: GatewayProcess, ids: Sequence[str]) -> None:
    """Each has its own answer, whichever replica is asked."""
    client = process.client(max_retries=3)
    for response_id, text in zip(ids, TEXTS, strict=True):
        done = ended(client, response_id)
        assert done.status == "completed"
        assert text in done.output_text


def assert_paid_once(replicas: Replicas, gemini: Emulator) -> None:
    """No response more than was asked for, one accepted create, each line served once."""
    assert replicas.rows("SELECT count(*) FROM responses") == [(len(TEXTS),)]
    accepted = [str(entry["displayName"]) for entry in gemini.journal("create")]
    assert [(name,) for name in accepted] == replicas.rows("SELECT display_name FROM jobs")
    assert len(accepted) == 1
    assert len(gemini.ledger()) == len(TEXTS)
