"""The published tables say what the code does."""

import importlib
import pkgutil
from typing import Any

import pytest

import gateway.translate
from gateway.translate import fidelity
from gateway.translate.chat import CHAT, to_gemini
from gateway.translate.fields import FieldTable, Placing
from gateway.translate.shapes import LineError, Policy

BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
VALUES: tuple[Any, ...] = ({}, [], "x", 1, True)


def test_every_table_is_published() -> None:
    """A table that exists in any file of the room stands in the fidelity table."""
    tables = set()
    for module in pkgutil.iter_modules(gateway.translate.__path__, "gateway.translate."):
        members = vars(importlib.import_module(module.name)).values()
        tables |= {member for member in members if isinstance(member, FieldTable)}
    unpublished = tables - set(fidelity.REQUESTS.values())
    # extra_body only holds google, which is published.
    assert [list(table.by_name) for table in unpublished] == [["google"]]


def test_every_row_is_written() -> None:
    """Both tables have a line for each row, and none with a broken cell."""
    requests = fidelity.request_table().splitlines()
    assert len(requests) == 2 + sum(len(table.rows) for table in fidelity.REQUESTS.values())
    assert {line.count("|") for line in requests} == {5}
    written = fidelity.answer_table().splitlines()
    assert len(written) == 2 + sum(map(len, fidelity.ANSWERS.values()))
    assert {line.count("|") for line in written} == {4}


@pytest.mark.parametrize("name", [row.name for row in CHAT.rows if row.placing is Placing.REFUSED])
def test_refused_fields_are_refused_by_name(name: str) -> None:
    """A refused row is a 400 that names the field, whatever its value, unless it is null."""
    for value in VALUES:
        result = to_gemini({**BODY, name: value}, Policy(), "gemini-3.6-flash")
        assert isinstance(result, LineError)
        assert (result.status, result.param) == (400, name)
        assert f"'{name}'" in result.message
    assert not isinstance(to_gemini({**BODY, name: None}, Policy(), "m"), LineError)


@pytest.mark.parametrize(
    "row", [r for r in CHAT.rows if r.placing is Placing.DROPPED and not r.read]
)
def test_dropped_fields_change_nothing(row: Any) -> None:
    """A dropped row leaves the request as it was, whatever its value."""
    plain = to_gemini(BODY, Policy(), "gemini-3.6-flash")
    for value in (*VALUES, None):
        assert to_gemini({**BODY, row.name: value}, Policy(), "gemini-3.6-flash") == plain
