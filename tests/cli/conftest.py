"""What several commands meet."""

import asyncio
from pathlib import Path

import pytest

from gateway.store.opening import DATABASE
from gateway.store.sqlite import SQLiteStore


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A data directory whose schema was made, and in which no gateway ran."""

    async def make() -> None:
        store = SQLiteStore(tmp_path / "data" / DATABASE)
        await store.open(0)
        await store.close()

    asyncio.run(make())
    return tmp_path / "data"
