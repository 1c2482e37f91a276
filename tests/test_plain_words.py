"""Prose is plain: no idioms of our own, and the first line of a docstring names its subject.

That a function's docstring begins with a verb is ruff's D401.
"""

import ast
import functools
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parent.parent

# Half sentences and personifications that readers had to guess at (the review counted 250).
IDIOMS: Final = re.compile(
    r"\b(nobody|somebody|anybody|everybody|beside|stands|says? nothing|what there is|lets? go|"
    r"on (its|their) way)\b",
    re.IGNORECASE,
)
# A first line names the subject of its module: a noun, not the beginning of a riddle.
_NO_SUBJECT: Final = re.compile(r"(What|How|It)\b")
_SECOND_SENTENCE: Final = re.compile(r"[.!?] [A-Z]")


def files(*patterns: str) -> list[str]:
    """Paths of the repository's files, also of those that are not committed yet."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def idioms() -> dict[str, int]:
    """How often each file of prose has one; a line break may be inside."""
    found = {}
    for name in files("gateway", "deploy", "*README.md", "*.md"):
        if not name.endswith((".json", ".png", ".svg")):
            text = re.sub(r"\s+", " ", (ROOT / name).read_text(encoding="utf-8"))
            found[name] = len(IDIOMS.findall(text))
    return found


@functools.cache
def docstrings() -> Mapping[str, Sequence[str]]:
    """Of each module and of its classes and functions, the module's first; "" where there is none.

    Both rules below read them: to parse every module takes more than a second.
    """
    found = {}
    for name in files("gateway/*.py"):
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        found[name] = [
            ast.get_docstring(node) or ""
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
    return found


def without_subject() -> dict[str, int]:
    """Modules whose first line is no sentence, or more than one, or begins with What, How, It."""
    return {name: int(_is_no_subject(texts[0])) for name, texts in docstrings().items()}


def _is_no_subject(text: str) -> bool:
    line = text.partition("\n")[0]
    return (
        not line.endswith((".", ":"))
        or bool(_NO_SUBJECT.match(line))
        or bool(_SECOND_SENTENCE.search(line))
    )


def riddles() -> dict[str, int]:
    """How many docstrings of classes and functions begin with What, How or It, in each file."""
    return {
        name: sum(bool(_NO_SUBJECT.match(text)) for text in texts[1:])
        for name, texts in docstrings().items()
    }


RULES: Final = {"idioms": idioms, "first lines": without_subject, "riddles": riddles}


@pytest.mark.parametrize("rule", RULES)
def test_prose_is_plain(rule: str) -> None:
    """No file offends; those that do are named with how often."""
    found = RULES[rule]()

    assert len(found) > 200
    assert {name: n for name, n in found.items() if n} == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Nobody reads it.", 1),
        ("what stands\n    beside it", 2),
        ("It understands, notwithstanding.", 0),
        ("It lets go, they say nothing.", 2),
        ("besides", 0),
    ],
)
def test_idioms_are_whole_words(text: str, count: int) -> None:
    """Not parts of other words."""
    assert len(IDIOMS.findall(text)) == count
