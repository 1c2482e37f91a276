"""SQLite against the model."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from gateway.ports.store import Store
from tests.conformance.machine import StoreMachine
from tests.store.timed import TimedSQLite

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


TestSQLiteMachine = SQLiteMachine.TestCase
TestSQLiteMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
