"""Tests of the translation begin with nothing remembered."""

import importlib
import pkgutil

import pytest

import gateway.translate


@pytest.fixture(scope="session", autouse=True)
def nothing_remembered() -> None:
    """Mutants are forked from a process that has run these tests already (tests/mutation.py)."""
    for module in pkgutil.iter_modules(gateway.translate.__path__, "gateway.translate."):
        for member in vars(importlib.import_module(module.name)).values():
            forget = getattr(member, "cache_clear", None)
            if forget is not None:
                forget()
