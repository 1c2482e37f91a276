"""Stores for the tests of their parts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SQLiteStore
from tests.databases import migrated
from tests.postgres_server import PostgresServer
from tests.store.timed import TOLD_TIME, TimedPostgres, TimedSQLite

TEMPLATE: Final = "gateway_template"
NUMBERS = count()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "data" / "gateway.db"


@pytest.fixture
async def sqlite(path: Path) -> AsyncIterator[SQLiteStore]:
    """Open and empty."""
    store = TimedSQLite(migrated(path))
    await store.open(0)
    yield store
    await store.close()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One for all tests of a session, with an empty database as a template."""
    started = PostgresServer()
    started.run(f"CREATE DATABASE {TEMPLATE}")
    asyncio.run(_fill(PostgresStore(started.url(TEMPLATE))))
    started.run(TOLD_TIME, TEMPLATE)
    yield started
    started.close()


async def _fill(store: PostgresStore) -> None:
    await store.open(0)
    await store.close()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"test_{next(NUMBERS)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def postgres(database: str) -> AsyncIterator[PostgresStore]:
    """Open and empty."""
    store = TimedPostgres(database)
    await store.open(0)
    yield store
    await store.close()
