"""Under mutation testing every test of the translation begins with nothing remembered.

Mutants are forked from a process that has run these tests already (tests/mutation/), and a test
counts as one that reaches a function only when the function is run, not when its result is
remembered. Otherwise what one line leaves for the next is as it is in service.
"""

import importlib
import pkgutil
import sys
from collections.abc import Callable
from functools import cache

import pytest

import gateway.translate


@cache
def _forget() -> list[Callable[[], None]]:
    modules = pkgutil.walk_packages(gateway.translate.__path__, "gateway.translate.")
    members = [
        member
        for module in modules
        for member in vars(importlib.import_module(module.name)).values()
    ]
    caches = (one for one in members if not isinstance(one, type) and hasattr(one, "cache_clear"))
    return [cache.cache_clear for cache in caches]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """See above."""
    if "mutmut" in sys.modules:
        for forget in _forget():
            forget()
