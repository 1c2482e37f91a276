"""An SQLite store for the tests of its parts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.store.sqlite import SQLiteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "data" / "gateway.db"


@pytest.fixture
async def sqlite(path: Path) -> AsyncIterator[SQLiteStore]:
    """Open and empty."""
    store = SQLiteStore(path)
    await store.open(0)
    yield store
    await store.close()
