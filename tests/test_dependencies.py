"""Dependencies: what the code imports is declared in pyproject.toml, not met by luck."""

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
FOREIGN = ROOT / "tests/campaigns/programs"  # each runs in an environment of its own
MUTATION = "tests/mutation"  # its tools are a dependency group: no test needs them
IMPORT = re.compile(r"^[ \t]*(?:from\s+([\w.]+)\s+import\b|import\s+(.+))", re.MULTILINE)
OWN = {"gateway", "tests"}
NEWER = {"compression"}  # of the standard library from Python 3.14 on


def normal(name: str) -> str:
    """Return a distribution's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """Return the names of the base dependencies and of those of the extras."""
    rows = PROJECT["dependencies"] + [
        row for extra in extras for row in PROJECT["optional-dependencies"][extra]
    ]
    return names_in(rows)


def names_in(rows: list[str]) -> set[str]:
    """Return the names of requirements."""
    return {normal(re.match(r"[\w.-]+", row)[0]) for row in rows}  # type: ignore[index]


def seemingly_imported(text: str) -> set[str]:
    """Return what lines that look like an import name: all that is imported, and some prose.

    To parse every file takes seconds; ruff sees to it that an import begins its line (E701, E702).
    """
    names: set[str] = set()
    for module, modules in IMPORT.findall(text):
        names |= {module} if module else set(re.split(r"[\s,]+", modules))
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - OWN - NEWER


@functools.cache
def imported(path: Path) -> set[str]:
    """Return the top-level names of the packages that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "statement",
    [
        "import stranger",
        "import os, stranger.part as part",
        "import stranger  # noqa",
        "    from stranger.part import (",
        "from  stranger\timport *",
    ],
)
def test_every_import_looks_like_one(statement: str) -> None:
    """However it is written."""
    assert "stranger" in seemingly_imported(f'"""Text."""\n{statement}\n')


@pytest.mark.parametrize(
    ("folder", "known"),
    [
        # gateway/emulator/testing.py is a plug-in of pytest, which whoever loads it has.
        ("gateway", {"pytest"} | declared("cloud", "demo", "otel", "postgres")),
        ("tests", declared(*PROJECT["optional-dependencies"])),
        (MUTATION, declared("test") | names_in(PYPROJECT["dependency-groups"]["mutation"])),
    ],
)
def test_every_import_is_of_a_declared_dependency(folder: str, known: set[str]) -> None:
    """An import that only an installed stranger serves fails in a fresh environment, as in CI."""
    offers = packages_distributions()
    undeclared = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / folder).rglob("*.py")
        if not path.is_relative_to(FOREIGN)
        if folder == MUTATION or not path.is_relative_to(ROOT / MUTATION)
        for name in seemingly_imported(path.read_text())
        if not known & {normal(owner) for owner in offers.get(name, [name])}
        if name in imported(path)
    }
    assert not undeclared
