"""Bodies that real programs built are taken, and what is sent for them Google takes.

The bodies are kept in ``tests/data/builders`` with program and version; ``record.py`` makes them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from gateway.emulator.checks.request import check
from gateway.emulator.protocol.schema import parse
from gateway.emulator.resources.project_resources import ProjectResources
from gateway.translate.contract import DEFAULT_POLICY, LineError
from gateway.translate.endpoints import ENDPOINTS
from tests.builders.bodies import PROGRAMS
from tests.translate.checks import check_translation, items_of

DATA: Final = Path(__file__).parents[1] / "data" / "builders"
FILES: Final = sorted(DATA.glob("*.jsonl"))
MODELS: Final = ("gemini-2.5-flash", "gemini-3.6-flash")
# The one thing that is refused by name, because Google answers 400: on 2.5, JSON together with
# functions that the model may call or not.
_JSON: Final = ("response_format", "text.format")


def _bodies(file: Path) -> Iterator[dict[str, Any]]:
    yield from map(orjson.loads, file.read_bytes().splitlines())


def _json_or_calls(case: dict[str, Any], model: str) -> bool:
    return model.startswith("gemini-2.5") and case["program"] == "openai-agents"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_refused_that_google_takes(file: Path, model: str) -> None:
    """What is refused is the one thing above."""
    for case in _bodies(file):
        body = {**case["body"], "model": model}
        made = ENDPOINTS[case["endpoint"]].to_gemini(body, DEFAULT_POLICY, model)
        if isinstance(made, LineError):
            assert _json_or_calls(case, model), (case["name"], made)
            assert made.param in _JSON


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_sent_that_google_refuses(file: Path, model: str) -> None:
    """Each item passes Google's grammar and the checks of the emulator."""
    for case in _bodies(file):
        body = {**case["body"], "model": model}
        made = ENDPOINTS[case["endpoint"]].to_gemini(body, DEFAULT_POLICY, model)
        if isinstance(made, LineError):
            continue
        check_translation(made, "GenerateContentRequest")
        for item in items_of(made):
            check(model, parse("GenerateContentRequest", item), ProjectResources())


def test_every_program_is_there_with_its_version() -> None:
    """A few hundred bodies, each with the program that built it."""
    assert {file.stem for file in FILES} == {*PROGRAMS, "openai-node"}
    cases = [case for file in FILES for case in _bodies(file)]
    assert len(cases) >= 500
    assert all(case["program"] and case["version"][0].isalnum() for case in cases)
    assert len({(case["program"], case["name"]) for case in cases}) == len(cases)
