"""The tables of cases: JSON files of one concept each, every case with its source."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.translate import ENDPOINTS

CASES = Path(__file__).parent / "cases"
# The room of each endpoint -> its path.
ROOMS = {endpoint.to_gemini.__module__.split(".")[2]: path for path, endpoint in ENDPOINTS.items()}


def path_of(concept: str) -> str:
    """The endpoint that a file of cases is about: the room that its name begins with, or chat."""
    return ROOMS.get(concept.split("_", maxsplit=1)[0], ROOMS["chat"])


def load(direction: str) -> list[Any]:
    """Every case below ``cases/<direction>/`` as a parameter named after file and case."""
    found = []
    for path in sorted((CASES / direction).glob("*.json")):
        for case in orjson.loads(path.read_bytes()):
            found.append(pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}"))
    return found
