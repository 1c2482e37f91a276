"""An emulator for tests: ``running()`` as a context manager, ``gemini`` as a pytest fixture.

    from gateway.emulator.testing import gemini

    def test_my_pipeline(gemini):
        client = genai.Client(api_key="any", http_options={"base_url": gemini.base_url})
        ...
        gemini.finish()                            # the jobs' time is over, the results are there
        assert len(gemini.journal("create")) == 1  # and nothing was paid for twice

Needs pytest; ``gateway.emulator.running`` has the rest of it without.
"""

from collections.abc import Iterator

import pytest

from gateway.emulator.options import EmulatorOptions
from gateway.emulator.running import Emulator, running

__all__ = ["Emulator", "EmulatorOptions", "gemini", "running"]


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """Yield a fresh emulator with its default options for each test."""
    with running() as emulator:
        yield emulator
