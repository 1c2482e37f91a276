"""Settings that hold for every test."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Whole programs, real SDKs and long trials: what `pytest -m "not slow"` leaves out as a folder.
SLOW_FOLDERS = {"campaigns", "e2e", "sdk"}

# Machines that run tests are busy: a slow example says nothing about the code.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

# A shell starts what it runs in the background with SIGINT ignored, and children inherit that: then
# no test could end a command with Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow folders."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in SLOW_FOLDERS:
            item.add_marker(pytest.mark.slow)
