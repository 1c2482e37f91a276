"""The published tables say what the code does."""

import importlib
import pkgutil
from typing import Any

import pytest

import gateway.translate
from gateway.translate import fidelity
from gateway.translate.chat import request as chat
from gateway.translate.chat.request import CHAT
from gateway.translate.contract import LineError, Policy, ToGemini
from gateway.translate.reading.table import Field, FieldTable, Placing
from gateway.translate.responses import request as responses
from gateway.translate.responses.request import RESPONSES

BODIES: dict[ToGemini, dict[str, Any]] = {
    chat.to_gemini: {"messages": [{"role": "user", "content": "Hi"}]},
    responses.to_gemini: {"input": "Hi"},
}
ROWS: list[tuple[ToGemini, Field]] = [
    *((chat.to_gemini, row) for row in CHAT.rows),
    *((responses.to_gemini, row) for row in RESPONSES.rows),
]
REFUSED = [pair for pair in ROWS if pair[1].placing is Placing.REFUSED]
DROPPED = [pair for pair in ROWS if pair[1].placing is Placing.DROPPED and not pair[1].read]
VALUES: tuple[Any, ...] = ({}, [], "x", 1, True)


def test_every_table_is_published() -> None:
    """A table that exists in any file of the room stands in the fidelity table."""
    tables = set()
    for module in pkgutil.walk_packages(gateway.translate.__path__, "gateway.translate."):
        members = vars(importlib.import_module(module.name)).values()
        tables |= {member for member in members if isinstance(member, FieldTable)}
    unpublished = tables - set(fidelity.REQUESTS.values())
    # extra_body only holds google, which is published.
    assert [list(table.by_name) for table in unpublished] == [["google"]]


def test_no_row_breaks_a_cell() -> None:
    """README's tables are made of them."""
    cells = [[row.name, row.about] for table in fidelity.REQUESTS.values() for row in table.rows]
    cells += [[name, about] for table in fidelity.ANSWERS.values() for name, about in table.items()]
    assert all(text and "|" not in text and "\n" not in text for row in cells for text in row)


@pytest.mark.parametrize(("to_gemini", "row"), REFUSED, ids=[row.name for _, row in REFUSED])
def test_refused_fields_are_refused_by_name(to_gemini: ToGemini, row: Field) -> None:
    """A refused row is a 400 that names the field, whatever its value, unless it is null."""
    body, name = BODIES[to_gemini], row.name
    for value in VALUES:
        result = to_gemini({**body, name: value}, Policy(), "gemini-3.6-flash")
        assert isinstance(result, LineError)
        assert (result.status, result.param) == (400, name)
        assert f"'{name}'" in result.message
    assert not isinstance(to_gemini({**body, name: None}, Policy(), "m"), LineError)


@pytest.mark.parametrize(("to_gemini", "row"), DROPPED, ids=[row.name for _, row in DROPPED])
def test_dropped_fields_change_nothing(to_gemini: ToGemini, row: Field) -> None:
    """A dropped row leaves the request as it was, whatever its value."""
    body = BODIES[to_gemini]
    plain = to_gemini(body, Policy(), "gemini-3.6-flash")
    for value in (*VALUES, None):
        assert to_gemini({**body, row.name: value}, Policy(), "gemini-3.6-flash") == plain


def test_there_are_such_rows() -> None:
    """Of both kinds, on both endpoints."""
    for rows in (REFUSED, DROPPED):
        assert {to_gemini for to_gemini, _ in rows} == set(BODIES)
