"""Fixtures of the upstream's tests."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from gateway.emulator.testing import Emulator, running
from tests.upstream.bench import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A place to try clients on."""
    async with AsyncExitStack() as stack:
        yield Bench(stack)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator per test file; a job ends at once."""
    with running() as emulator:
        yield emulator
