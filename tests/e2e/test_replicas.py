"""Two replicas of the real program over one PostgreSQL and one bucket."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import LIFELINE, GatewayProcess, chat_line, finished, submit
from tests.engines.buckets import BucketServer
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

LIVE_JOBS = 3
NEXT_VERSION = (*LIFELINE, "tests.e2e.next_version")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One for this file."""
    started = PostgresServer()
    yield started
    started.close()


@pytest.fixture
def settings(bucket_server: BucketServer, server: PostgresServer) -> Iterator[dict[str, str]]:
    """An empty database and a bucket."""
    server.run("CREATE DATABASE replicas")
    bucket_server.make_bucket("replicas")
    yield {
        **bucket_server.environment(),
        "GATEWAY_STORE": server.url("replicas"),
        "GATEWAY_BLOBS": f"s3://replicas/{secrets.token_hex(4)}",  # of these records alone
        "GATEWAY_MAX_LIVE_JOBS": str(LIVE_JOBS),
    }
    server.run("DROP DATABASE replicas WITH (FORCE)")


def replicas(place: Path, gemini: str, settings: dict[str, str]) -> Iterator[GatewayProcess]:
    """Start two, one after the other."""
    for name in ("one", "two"):
        data = place / name / "data"
        data.mkdir(parents=True)
        process = GatewayProcess(data, gemini, settings)
        process.start()
        yield process


@pytest.mark.timeout(180)
def test_a_version_and_its_next_run_side_by_side(tmp_path: Path, settings: dict[str, str]) -> None:
    """A rolling upgrade: the old replica serves and works on after the new one has migrated."""
    with running(EmulatorOptions(job_seconds=0.1)) as gemini:
        old = GatewayProcess(tmp_path / "old" / "data", gemini.base_url, settings)
        new = GatewayProcess(tmp_path / "new" / "data", gemini.base_url, settings, NEXT_VERSION)
        try:
            for process in (old, new):
                process.data.mkdir(parents=True)
            old.start()
            client = old.client(max_retries=5)
            before = [submit(client, [chat_line("a", f"x{n}")]) for n in range(4)]
            new.start()
            clients = [client, new.client(max_retries=5)]
            after = [submit(clients[n % 2], [chat_line("a", f"y{n}")]) for n in range(8)]
            ended = [finished(clients[n % 2], each) for n, each in enumerate([*before, *after])]
            new.terminate()
            last = finished(client, submit(client, [chat_line("a", "z")]))
        finally:
            old.close()
            new.close()
        assert {batch.status for batch in [*ended, last]} == {"completed"}
        assert len(gemini.journal("create")) == 13


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Look into the records."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.timeout(180)
def test_two_together_send_no_job_more_than_may_be_live(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """Google refuses none of what 24 batches send by either of them."""
    with running(EmulatorOptions(max_live_jobs=LIVE_JOBS, job_seconds=0.1)) as gemini:
        both = list(replicas(tmp_path, gemini.base_url, settings))
        try:
            clients = [process.client() for process in both]
            made = [submit(clients[n % 2], [chat_line("a", f"x{n}")]) for n in range(24)]
            ended = [finished(clients[n % 2], batch, 120) for n, batch in enumerate(made)]
        finally:
            for process in both:
                process.close()
        assert {batch.status for batch in ended} == {"completed"}
        assert rows(settings["GATEWAY_STORE"], "SELECT count(*), sum(refused) FROM jobs") == [
            (24, 0)
        ]
        assert len(gemini.journal("create")) == 24
