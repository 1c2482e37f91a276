"""One event loop for all tests of the room, so that they can share a worker process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.runner.world import end_kept_workers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the asynchronous tests of the room in one loop; ``items`` are those of all folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session", autouse=True)
async def kept_workers() -> AsyncIterator[None]:
    """End what the tests shared."""
    yield
    await end_kept_workers()
