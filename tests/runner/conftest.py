"""One event loop a module, so that its tests can share a worker process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.runner.world import end_kept_workers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the asynchronous tests of a module in one loop; ``items`` are those of all folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def kept_workers() -> AsyncIterator[None]:
    """End what the module's tests shared."""
    yield
    await end_kept_workers()
