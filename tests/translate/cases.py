"""The tables of cases: JSON files of one concept each, every case with its source.

A file is ``{"endpoint": "/v1/…", "direction": "requests" | "answers", "cases": […]}``. A case with
``dialects`` has one body and an expectation for each dialect of schemas: it is a case for each.
``python -m tests.translate.cases`` writes every file anew at a width of 100.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from gateway.translate import ENDPOINTS

CASES = Path(__file__).parent / "cases"
_WIDTH: Final = 100
# The room of each endpoint -> its path.
ROOMS = {endpoint.to_gemini.__module__.split(".")[2]: path for path, endpoint in ENDPOINTS.items()}


def files(direction: str) -> list[Path]:
    """The files of ``requests`` or ``answers``."""
    return sorted((CASES / direction).glob("*.json"))


def load(direction: str) -> list[Any]:
    """Every case below ``cases/<direction>/`` as a parameter named after file and case."""
    found = []
    for path in files(direction):
        table = orjson.loads(path.read_bytes())
        for one in table["cases"]:
            for case in _dialects(one):
                case["endpoint"] = table["endpoint"]
                found.append(pytest.param(path.stem, case, id=f"{path.stem}: {case['name']}"))
    return found


def concept_of(row: Any) -> str:
    """Name the file of a case that :func:`load` gave."""
    concept: str = row.values[0]
    return concept


def _dialects(case: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "dialects" not in case:
        yield case
        return
    for mode, expected in case["dialects"].items():
        rest = {name: value for name, value in case.items() if name != "dialects"}
        policy = {"schema_mode": mode}
        yield {**rest, "name": f"{case['name']} ({mode})", "policy": policy, "expected": expected}


def written(value: Any) -> str:
    """JSON as the files have it: what fits into one line is one line."""
    return _written(value, 0, 0) + "\n"


def _written(value: Any, depth: int, taken: int) -> str:
    flat = _flat(value)
    if len(flat) + depth + taken <= _WIDTH or not value or not isinstance(value, dict | list):
        return flat
    inner = "\n" + " " * (depth + 1)
    if isinstance(value, dict):
        names = [f"{_flat(name)}: " for name in value]
        members = [
            name + _written(member, depth + 1, len(name) + 1)
            for name, member in zip(names, value.values(), strict=True)
        ]
        return "{" + inner + f",{inner}".join(members) + "\n" + " " * depth + "}"
    items = [_written(item, depth + 1, 1) for item in value]
    return "[" + inner + f",{inner}".join(items) + "\n" + " " * depth + "]"


def _flat(value: Any) -> str:
    """One line, with a space behind each comma and colon."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(k)}: {_flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    # orjson writes an integer beyond 64 bits as a float.
    return json.dumps(value, ensure_ascii=False)  # noqa: TID251


if __name__ == "__main__":
    for direction in ("requests", "answers"):
        for file in files(direction):
            table = json.loads(file.read_bytes())  # noqa: TID251 - integers beyond 64 bits
            file.write_text(written(table), encoding="utf-8")
