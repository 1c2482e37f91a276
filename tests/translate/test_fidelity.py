"""The field tables that README shows say what the code does."""

from collections import Counter
from typing import Any

import pytest

from gateway.translate.chat import request as chat
from gateway.translate.chat.request import CHAT
from gateway.translate.contract import LineError, Policy, ToGemini
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.reading.table import ANSWER_TABLES, TABLES, Field, FieldTable, Placing
from gateway.translate.responses import request as responses
from gateway.translate.responses.request import RESPONSES

BODIES: dict[ToGemini, dict[str, Any]] = {
    chat.to_gemini: {"messages": [{"role": "user", "content": "Hi"}]},
    responses.to_gemini: {"input": "Hi"},
}
ROWS: list[tuple[ToGemini, Field[Any]]] = [
    *((chat.to_gemini, row) for row in CHAT.rows),
    *((responses.to_gemini, row) for row in RESPONSES.rows),
]
REFUSED = [pair for pair in ROWS if pair[1].placing is Placing.REFUSED]
DROPPED = [
    pair
    for pair in ROWS
    if pair[1].placing is Placing.DROPPED and not pair[1].read and not pair[1].check
]
VALUES: tuple[Any, ...] = ({}, [], "x", 1, True)


def test_every_table_has_a_path_of_its_own() -> None:
    """README shows a table by its path: two of one path would be one object."""
    paths = Counter(table.path for table in TABLES)
    assert [path for path, count in paths.items() if count > 1] == []
    assert paths.keys() >= ENDPOINTS.keys()


def test_a_table_is_where_its_row_says() -> None:
    """The path of an object ends with the row that has it: tables nest as the JSON does."""
    rows = [row for table in TABLES for row in table.rows if isinstance(row.check, FieldTable)]
    assert len(rows) > 20
    assert [row for row in rows if not row.check.path.endswith(row.name)] == []  # type: ignore[union-attr]


def test_no_row_breaks_a_cell() -> None:
    """README's tables are made of them."""
    cells = [[row.name, row.about] for table in TABLES for row in table.rows]
    cells += [[name, about] for table in ANSWER_TABLES.values() for name, about in table.items()]
    assert all(text and "|" not in text and "\n" not in text for row in cells for text in row)


@pytest.mark.parametrize(("to_gemini", "row"), REFUSED, ids=[row.name for _, row in REFUSED])
def test_refused_fields_are_refused_by_name(to_gemini: ToGemini, row: Field[Any]) -> None:
    """A refused row is a 400 that names the field, whatever its value, unless it is null."""
    body, name = BODIES[to_gemini], row.name
    for value in VALUES:
        result = to_gemini({**body, name: value}, Policy(), "gemini-3.6-flash")
        assert isinstance(result, LineError)
        assert (result.status, result.param) == (400, name)
        assert f"'{name}'" in result.message
    assert not isinstance(to_gemini({**body, name: None}, Policy(), "m"), LineError)


@pytest.mark.parametrize(("to_gemini", "row"), DROPPED, ids=[row.name for _, row in DROPPED])
def test_dropped_fields_change_nothing(to_gemini: ToGemini, row: Field[Any]) -> None:
    """A dropped row leaves the request as it was, whatever its value."""
    body = BODIES[to_gemini]
    plain = to_gemini(body, Policy(), "gemini-3.6-flash")
    for value in (*VALUES, None):
        assert to_gemini({**body, row.name: value}, Policy(), "gemini-3.6-flash") == plain


def test_there_are_such_rows() -> None:
    """Of both kinds, on both endpoints."""
    for rows in (REFUSED, DROPPED):
        assert {to_gemini for to_gemini, _ in rows} == set(BODIES)
