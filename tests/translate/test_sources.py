"""Every case says where it comes from, in a form that can be followed.

A source is parts joined by ``; ``: a name of ``tests/reference/sources.json`` and what is meant
there; a section of a reference in ``tests/reference/``; a recorded exchange of ``tests/data/``; a
type of OpenAI's SDK; an RFC; an issue on GitHub; or a decision of this project, which has no other
evidence than itself.
"""

import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from tests.every import every
from tests.translate.cases import files, load, written
from tests.translate.samples import samples

REFERENCE = Path(__file__).parents[1] / "reference"
ROOT = Path(__file__).parents[2]
NAMES = orjson.loads((REFERENCE / "sources.json").read_bytes())
SOURCES = sorted(
    {
        part
        for direction in ("requests", "answers")
        for case in load(direction)
        for part in case.values[1]["source"].split("; ")
    }
)
# Words that a reason takes at least.
_REASON = 8
RECORDED = {sample["id"] for sample in samples()}
_SECTION = re.compile(r"((?:openai|gemini)-wire\.md) (\d+(?:\.\d+)?)(?:: .+)?")
_ISSUE = re.compile(r"github: [\w.-]+/[\w.-]+#\d+(: .+)?")


def _sections(name: str) -> set[str]:
    text = (REFERENCE / name).read_text(encoding="utf-8")
    return set(re.findall(r"^##+ (\d+(?:\.\d+)?)\b", text, re.MULTILINE))


def _is_type(name: str) -> bool:
    """Whether ``openai.types.responses.FunctionToolParam`` is there, at the top or in a module."""
    module, _, last = name.rpartition(".")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    inner = [one for one in vars(found).values() if isinstance(one, ModuleType)]
    return any(hasattr(one, last) for one in (found, *inner))


def followed(source: str) -> bool:
    """Whether one part of a source leads somewhere."""
    section = _SECTION.fullmatch(source)
    if section:
        return section[2] in _sections(section[1])
    if source.startswith("recorded: "):
        return source.removeprefix("recorded: ") in RECORDED
    if source.startswith("openai.types."):
        return _is_type(source.split(":", maxsplit=1)[0])
    named = [name for name in NAMES if re.match(re.escape(name) + r"($|[:,. ])", source)]
    other = re.fullmatch(r"decision: .+|RFC \d+( .+)?", source) or _ISSUE.fullmatch(source)
    return bool(named or other)


@every("source", [pytest.param(source, id=source) for source in SOURCES])
def test_a_source_can_be_followed(source: str) -> None:
    """See the module; what only we said is a decision and says so."""
    assert followed(source)


def test_a_decision_says_what_would_go_wrong_else() -> None:
    """Who found it, or when, is no reason that a reader can judge."""
    empty = re.compile(r"\b(found by|a review|reviewed|discussed|noticed|agreed)\b", re.IGNORECASE)
    assert [source for source in SOURCES if empty.search(source)] == []


def test_a_decision_is_a_sentence() -> None:
    """A word or two, like "conflict" or "policy", says what a case is about and not why."""
    decisions = [source for source in SOURCES if source.startswith("decision: ")]

    assert len(decisions) > 80
    assert [source for source in decisions if len(source.split()) <= _REASON] == []


def test_files_named_as_sources_are_there() -> None:
    """Those of ours; the others are addresses."""
    for place in NAMES.values():
        assert place.startswith("https://") or (ROOT / place).is_file()


def test_a_made_up_source_leads_nowhere() -> None:
    """So the test above can fail."""
    for source in ("openai-wire.md 99", "recorded: g9", "openai.types.Nothing", "some page"):
        assert not followed(source)


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["requests", "answers"])
def test_files_are_written_as_the_writer_does(direction: str) -> None:
    """``python -m tests.translate.cases``: a diff shows what changed and nothing else."""
    for path in files(direction):
        text = path.read_text(encoding="utf-8")
        table = json.loads(text)  # noqa: TID251 - integers beyond 64 bits
        assert table.keys() == {"endpoint", "direction", "cases"}
        assert table["direction"] == path.parent.name
        assert text == written(table)
