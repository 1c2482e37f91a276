"""The whole program before an emulator, shared by the tests of a file that only use it."""

from collections.abc import Iterator

import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import GatewayProcess, serving
from tests.engines.fixtures import bucket_server

__all__ = ["bucket_server", "gateway", "gemini"]


@pytest.fixture(scope="module")
def gemini() -> Iterator[Emulator]:
    """An emulator whose jobs end at once."""
    with running(EmulatorOptions(job_seconds=0.05)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A gateway before it."""
    with serving(tmp_path_factory.mktemp("gateway"), gemini.base_url) as process:
        yield process
