"""SQLite as a store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ports.store import Store
from gateway.store.sqlite import SQLiteStore
from tests.conformance.store import StoreRules


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    opened = SQLiteStore(tmp_path / "gateway.db")
    await opened.open(0)
    yield opened
    await opened.close()


class TestSQLite(StoreRules):
    """The rules of every store."""
