"""OpenAI bodies -> Gemini requests, by the table in ``cases/requests/``."""

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.translate import frames
from gateway.translate.contract import LineError, Policy
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.reading.table import TABLES, FieldTable, Placing
from gateway.translate.request import compiled_options
from gateway.translate.tools import declarations
from tests.every import every
from tests.translate.cases import concept_of, load
from tests.translate.checks import check_refusal, check_translation, hints_of, items_of
from tests.translate.running import translated
from tests.translate.words import FILE

CASES = load("requests")
TRANSLATED = [case for case in CASES if "items" in case.values[1]["expected"]]
WORDS = orjson.loads(FILE.read_bytes())["requests"]
REQUESTS = {
    "batchGenerateContent": "GenerateContentRequest",
    "asyncBatchEmbedContent": "EmbedContentRequest",
}


@every("concept, case", CASES, group=concept_of)
def test_request(concept: str, case: dict[str, Any]) -> None:
    """A body becomes exactly these items, or is refused for exactly this field."""
    endpoint = ENDPOINTS[case["endpoint"]]
    body = copy.deepcopy(case["openai"])
    policy = Policy.from_json(case.get("policy", {}))
    result = endpoint.to_gemini(body, policy, case["model"])
    assert body == case["openai"]
    expected = case["expected"]
    if "error" in expected:
        assert isinstance(result, LineError)
        assert {"code": result.code, "param": result.param} == expected["error"]
        assert result.message == WORDS[concept][case["name"]], "python -m tests.translate.words"
        check_refusal(result, body)
    else:
        assert not isinstance(result, LineError), result
        assert items_of(result) == expected["items"]
        noted = [[note.code, note.field, note.message] for note in result[2]]
        assert [note if note[2] else note[:2] for note in noted] == expected.get("notes", [])
        assert list(result[3]) == expected.get("files", [])
        if "echo" in expected:
            assert hints_of(result) == expected["echo"]
        check_translation(result, REQUESTS[endpoint.method])


@pytest.fixture
def without_templates(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything is written the ordinary way."""
    frames.forget()
    monkeypatch.setattr(compiled_options, "_template", lambda *_: None)
    yield
    frames.forget()


@every("concept, case", TRANSLATED, group=concept_of)
@pytest.mark.usefixtures("without_templates")
def test_a_template_saves_time_alone(concept: str, case: dict[str, Any]) -> None:
    """What a template writes is what is written without."""
    made = translated(case)
    assert not isinstance(made, LineError)
    assert items_of(made) == case["expected"]["items"], concept


def _seen(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Rows whose value a case has, by their table's path: filled while cases are translated."""
    seen: set[tuple[str, str]] = set()
    check, read, kind = FieldTable.check, FieldTable.read, FieldTable.kind

    def note(table: FieldTable[Any], value: Any) -> None:
        if isinstance(value, dict):
            seen.update((table.path, name) for name in value if value[name] is not None)

    def checking(table: FieldTable[Any], value: object) -> Any:
        note(table, value)
        return check(table, value)

    def reading(table: FieldTable[Any], value: Any, target: Any, where: str = "") -> None:
        note(table, value)
        read(table, value, target, where)

    def choosing(table: FieldTable[Any], value: object, param: str = "type") -> str:
        seen.add((table.path, str(value)))
        return kind(table, value, param)

    monkeypatch.setattr(FieldTable, "check", checking)
    monkeypatch.setattr(FieldTable, "read", reading)
    monkeypatch.setattr(FieldTable, "kind", choosing)
    return seen


def test_every_mapped_row_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that no case has may say anything: it has not been tried."""
    seen = _seen(monkeypatch)
    frames.forget()
    declarations._remembered.cache_clear()
    for case in (parameter.values[1] for parameter in CASES):
        seen.update((case["endpoint"], name) for name in case["openai"])
        translated(case)
    rows = {
        (table.path, row.name)
        for table in TABLES
        for row in table.rows
        if row.placing is Placing.MAPPED
    }
    assert sorted(rows - seen) == []


def test_the_table_is_large_and_named() -> None:
    """Names are unique within a file, and every case says where it comes from."""
    assert len(CASES) >= 450
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.values[1]["source"] for case in CASES)
