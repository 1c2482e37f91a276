"""The tables of cases: JSON files of one concept each, every case with its source."""

from pathlib import Path
from typing import Any

import orjson
import pytest

CASES = Path(__file__).parent / "cases"
# A file of cases is about chat unless its name begins with another endpoint's.
_ENDPOINTS = {
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "images": "/v1/images/generations",
    "responses": "/v1/responses",
}


def path_of(concept: str) -> str:
    """The endpoint that a file of cases is about."""
    return _ENDPOINTS.get(concept.split("_", maxsplit=1)[0], "/v1/chat/completions")


def load(direction: str) -> list[Any]:
    """Every case below ``cases/<direction>/`` as a parameter named after file and case."""
    found = []
    for path in sorted((CASES / direction).glob("*.json")):
        for case in orjson.loads(path.read_bytes()):
            found.append(pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}"))
    return found
