"""One event loop for all tests of the room, so that they can share a worker process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.units import KIB
from tests.runner import world as runner_world
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


@pytest.fixture
def files_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blob is kept in the records, however small."""
    monkeypatch.setattr(runner_world, "RECORDED_BYTES", 0)


@pytest.fixture(params=["files", "records"])
def both_places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blobs are files once, and once in the records."""
    most = 0 if request.param == "files" else 16 * KIB
    monkeypatch.setattr(runner_world, "RECORDED_BYTES", most)
