"""``gateway doctor`` before a database and a bucket that replicas share, right and wrong ones."""

import asyncio
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import psycopg
import pytest

from gateway.cli.doctor import GOOD
from gateway.store.postgres import PostgresStore
from tests.cli.other_servers import Quiet, serving
from tests.cli.test_doctor import findings
from tests.engines.buckets import BUCKET, BucketServer
from tests.engines.fixtures import bucket_server, found_buckets
from tests.postgres_server import PostgresServer

__all__ = ["bucket_server", "found_buckets"]

pytestmark = pytest.mark.slow

NOWHERE = "http://127.0.0.1:1"
# What pg_hba.conf says: one user needs a password, one is known, all others are not admitted.
ADMITTED = b"""
host all reader 127.0.0.1/32 scram-sha-256
host all gateway 127.0.0.1/32 trust
"""
# A URL -> what is said of it. "%d" is the port of the server.
WRONG = {
    "postgresql://gateway@127.0.0.1:1/postgres": "Connection refused.*: start the server",
    "postgresql://gateway@name.invalid/postgres": "failed to resolve host.*: correct the host",
    "postgresql://reader:wrong-one@127.0.0.1:%d/postgres": "password authentication failed for"
    ' user "reader": correct user and password',
    "postgresql://reader@127.0.0.1:%d/postgres": "no password supplied: give one",
    "postgresql://unknown@127.0.0.1:%d/postgres": "no pg_hba.conf entry.*: have the server admit",
    "postgresql://gateway@127.0.0.1:%d/missing": 'database "missing" does not exist: create it',
    "postgresql://reader:right-one@127.0.0.1:%d/closed": "permission denied for database.*: grant",
    "postgresql://reader:right-one@127.0.0.1:%d/barred": "may create no tables: grant it that",
    "postgresql://reader:right-one@127.0.0.1:%d/made": "may not read and write its tables",
    "postgresql://gateway@127.0.0.1:%d/postgres?sslmode=require": "does not support SSL.*: correct"
    " sslmode",
    "postgresql://gateway@127.0.0.1:%d/latin": "encoding is LATIN1, not UTF8",
    "postgresql://gateway@127.0.0.1:%d/newer": "written by a newer version of the gateway",
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server with users and databases that something is wrong with."""
    started = PostgresServer()
    try:
        started.run("CREATE ROLE reader LOGIN PASSWORD 'right-one'")
        for name in ("closed", "barred", "made", "newer", "fresh"):
            started.run(f"CREATE DATABASE {name}")
        started.run("CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0")
        started.run("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        for name in ("made", "newer"):
            asyncio.run(make(started.url(name)))
        started.run("GRANT SELECT ON migrations TO reader", "made")
        started.run("INSERT INTO migrations VALUES ('9999_next', 0)", "newer")
        started.put("data/pg_hba.conf", ADMITTED)
        started.run("SELECT pg_reload_conf()")
        yield started
    finally:
        started.close()


async def make(url: str) -> None:
    """Have a gateway's schema made."""
    store = PostgresStore(url)
    await store.open(0)
    await store.close()


def told(directory: Path, what: str, **settings: str) -> tuple[str, str]:
    """How the database or the bucket is, and what is said."""
    return findings(NOWHERE, directory, **settings)[what]


def told_of_database(directory: Path, url: str) -> tuple[str, str]:
    """How a database is, and what is said."""
    return told(directory, "database", GATEWAY_STORE=url, GATEWAY_BLOBS=f"s3://{BUCKET}/doctor")


@pytest.mark.usefixtures("found_buckets")
@pytest.mark.parametrize("url", WRONG)
def test_a_database_that_cannot_be_used(server: PostgresServer, tmp_path: Path, url: str) -> None:
    """It was called good, and then the start was refused, after a minute of trying."""
    state, said = told_of_database(tmp_path, url.replace("%d", str(server.port)))
    assert state == "error"
    assert re.search(WRONG[url], said), said
    assert "-one" not in said


def tables(url: str) -> list[str]:
    """Names of the tables of a database."""
    with psycopg.connect(url) as connection:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        return [name for (name,) in connection.execute(query).fetchall()]


@pytest.mark.usefixtures("found_buckets")
def test_a_database_that_can_be_used(server: PostgresServer, tmp_path: Path) -> None:
    """Its version, and whether migrations are pending; none is applied."""
    fresh, made = server.url("fresh"), server.url("made")
    state, said = told_of_database(tmp_path, fresh)
    assert (state, tables(fresh)) == (GOOD, [])
    assert said == (
        "PostgreSQL 16 answers, and the database is empty: the first start makes the schema"
    )
    assert told_of_database(tmp_path, made) == (
        GOOD,
        "PostgreSQL 16 answers, and the schema is up to date",
    )
    server.run("DELETE FROM migrations WHERE name > '003'", "made")
    state, said = told_of_database(tmp_path, made)
    assert state == GOOD
    assert "pending of the schema: " in said


def test_a_database_needs_a_bucket(server: PostgresServer, tmp_path: Path) -> None:
    """As the start says."""
    state, said = told(tmp_path, "database", GATEWAY_STORE=server.url())
    assert state == "error"
    assert "set GATEWAY_BLOBS to a bucket" in said


class Refusing(Quiet, BaseHTTPRequestHandler):
    """A cloud that knows the bucket and does not admit this key."""

    def do_GET(self) -> None:
        """Answer 403."""
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<Error><Code>AccessDenied</Code></Error>")


def objects(server: BucketServer) -> str:
    """The listing of the bucket."""
    return httpx.get(f"{server.url}/{BUCKET}", timeout=60).text.partition("<Contents>")[2]


def test_a_bucket_that_can_be_used(found_buckets: BucketServer, tmp_path: Path) -> None:
    """Nothing is written to find that out."""
    before = objects(found_buckets)
    state, said = told(tmp_path, "bucket", GATEWAY_BLOBS=f"s3://{BUCKET}/doctor")
    assert state == GOOD
    assert said.startswith(f"s3://{BUCKET}/doctor can be listed and read, no gateway has used it")
    assert objects(found_buckets) == before


def test_buckets_that_cannot_be_used(
    found_buckets: BucketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, refused, and out of reach."""
    monkeypatch.setattr("gateway.blobs.buckets.RETRIES", 1)

    def said(bucket: str, **environment: str) -> str:
        state, said = told(tmp_path, "bucket", GATEWAY_BLOBS=bucket, **environment)
        assert state == "error"
        return said

    assert "there is no such bucket" in said("s3://missing/doctor")
    with serving(Refusing) as address:
        refused = said(f"s3://{BUCKET}/doctor", AWS_ENDPOINT_URL=address)
    assert "the gateway may not use it (403 AccessDenied)" in refused
    away = said(f"s3://{BUCKET}/doctor", AWS_ENDPOINT_URL=NOWHERE)
    assert "does not answer (nothing takes a connection there): look at the network" in away
    secured = found_buckets.url.replace("http:", "https:")
    assert "does not answer" in said(f"s3://{BUCKET}/doctor", AWS_ENDPOINT_URL=secured)
