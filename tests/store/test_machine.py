"""SQLite and PostgreSQL against the model."""

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from gateway.ports.store import Store
from tests.conformance.machine import StoreMachine
from tests.postgres_server import PostgresServer
from tests.store.conftest import NUMBERS, TEMPLATE
from tests.store.timed import TimedPostgres, TimedSQLite

pytestmark = pytest.mark.slow

# Thousands of commits and no crash to survive: in memory, where that can be had.
MEMORY = Path("/dev/shm")
PLACE = MEMORY if MEMORY.is_dir() else None


class SQLiteMachine(StoreMachine):
    """A fresh database for every story."""

    async def make(self) -> Store:
        """An open, empty store."""
        self.directory = tempfile.mkdtemp(dir=PLACE)
        store = TimedSQLite(Path(self.directory) / "gateway.db")
        await store.open(0)
        return store

    def teardown(self) -> None:
        """Leave nothing."""
        super().teardown()
        if hasattr(self, "directory"):
            shutil.rmtree(self.directory)


class PostgresMachine(StoreMachine):
    """A fresh database for every story."""

    server: ClassVar[PostgresServer]

    async def make(self) -> Store:
        """An open, empty store."""
        self.name_of_database = f"story_{next(NUMBERS)}"
        template = f"TEMPLATE {TEMPLATE} STRATEGY FILE_COPY"
        self.server.run(f"CREATE DATABASE {self.name_of_database} {template}")
        store = TimedPostgres(self.server.url(self.name_of_database))
        await store.open(0)
        return store

    def teardown(self) -> None:
        """Leave nothing."""
        super().teardown()
        if hasattr(self, "name_of_database"):
            self.server.run(f"DROP DATABASE {self.name_of_database} WITH (FORCE)")


TestSQLiteMachine = SQLiteMachine.TestCase
TestSQLiteMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_postgres(server: PostgresServer) -> None:
    """The same stories; fewer, for each has a database of its own."""
    PostgresMachine.server = server
    told = settings(max_examples=6, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(PostgresMachine, settings=told)
