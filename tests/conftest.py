"""Settings that hold for every test."""

import gc
import re
import signal
from pathlib import Path
from types import FunctionType

import pytest
from hypothesis import settings

from tests.authorities import trust_ours

# Whole programs, real SDKs and long trials: what `pytest -m "not slow"` leaves out as a folder.
SLOW_FOLDERS = {"campaigns", "e2e", "sdk"}
SLOW_MODULE = re.compile(r"^pytestmark = (?:\[\s*)?pytest\.mark\.slow\b", re.MULTILINE)

# What is imported and collected lives to the end: to look through it for garbage again and again is
# a seventh of collecting.
gc.disable()

trust_ours()

# Machines that run tests are busy: a slow example says nothing about the code.
settings.register_profile("busy", deadline=None)
# Mutants (tests/mutation/) are compared: each meets the same examples, whatever the one before met.
settings.register_profile("mutants", deadline=None, derandomize=True, database=None)
settings.load_profile("busy")

# A shell starts what it runs in the background with SIGINT ignored, and children inherit that: then
# no test could end a command with Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave unread what `-m "not slow"` leaves out whole: each process would import it."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    slow = _is_in_a_slow_folder(collection_path) or SLOW_MODULE.search(collection_path.read_text())
    return True if slow else None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, obj: object
) -> list[pytest.Item] | None:
    """Make no items of what `-m "not slow"` leaves out: some tables are thousands of cases."""
    if collector.config.option.markexpr != "not slow" or not isinstance(obj, FunctionType | type):
        return None
    marks: list[pytest.Mark] = vars(obj).get("pytestmark", [])
    return [] if any(mark.name == "slow" for mark in marks) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow folders."""
    for item in items:
        if _is_in_a_slow_folder(item.path):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Collect garbage again, of what the tests themselves make."""
    gc.freeze()
    gc.enable()


def _is_in_a_slow_folder(path: Path) -> bool:
    return path.relative_to(Path(__file__).parent).parts[0] in SLOW_FOLDERS
