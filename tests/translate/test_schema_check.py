"""Structured answers: checked fast, without a network, and never beyond what can be paid for."""

import socket
import time
from typing import Any

import orjson
import pytest

from gateway.translate.answer.schema_check import (
    MAX_STEPS,
    UNCHECKED,
    VIOLATION,
    Checker,
    checker_of,
)
from gateway.translate.schemas.cost import MANY, MAX_DEPTH, Steps, UncheckableError

THREE: dict[str, Any] = {"allOf": [{}, {}]}
NEXT = {"properties": {"x": {"$ref": "#"}}, "required": ["x"], "type": "object"}
# Two ways down at every level.
DOUBLING = {"anyOf": [NEXT, {**NEXT, "minProperties": 1}]}
LIST = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}


def nested(levels: int, leaf: Any) -> Any:
    """``{"x": {"x": leaf}}``."""
    for _ in range(levels):
        leaf = {"x": leaf}
    return leaf


def text_of(value: Any) -> str:
    """As an answer has it."""
    return orjson.dumps(value).decode()


@pytest.mark.parametrize(
    ("schema", "depth", "steps"),
    [
        ({"type": "string"}, 0, 1),
        ({"type": "string"}, 9, 1),
        ({"anyOf": [{"type": "string"}, {"type": "null"}, True]}, 0, 3),
        ({"properties": {"a": {}, "b": {"allOf": [{}, {}]}}}, 1, 3),
        ({"properties": {"a": {}}, "additionalProperties": {}}, 1, 1),
        ({"properties": {"a": {}}, "patternProperties": {"a": {}, "b": {}}}, 1, 3),
        ({"prefixItems": [{}, {}], "items": {}, "contains": {}}, 1, 2),
        ({"items": [{}, {}], "additionalItems": {}}, 1, 1),
        ({"if": {}, "then": {}, "else": {}, "not": {}}, 0, 5),
        ({"dependentSchemas": {"a": {}}, "dependencies": {"b": {}, "c": ["d"]}}, 0, 3),
        ({"additionalProperties": THREE}, 1, 3),
        ({"unevaluatedProperties": THREE}, 1, 3),
        ({"propertyNames": THREE, "properties": {"a": {}}}, 1, 4),
        ({"prefixItems": [{}, THREE]}, 1, 3),
        ({"items": THREE}, 1, 3),
        ({"items": [{}, THREE]}, 1, 3),
        ({"items": [{}], "additionalItems": THREE}, 1, 3),
        ({"unevaluatedItems": THREE}, 1, 3),
        ({"contains": THREE, "items": {}}, 1, 4),
        ({"properties": {"a": THREE}, "items": {}}, 1, 3),
        (LIST, 0, 1),
        (LIST, 60, 4),
        (LIST, 1000, 4),
        ({"unevaluatedProperties": False, "allOf": [{}]}, 0, 5),
        ({"unevaluatedItems": {}, "$ref": "#/$defs/a", "$defs": {"a": {}}}, 0, 5),
        (DOUBLING, 0, 3),
        (DOUBLING, 1, 8),
        (DOUBLING, 5, 128),
        (DOUBLING, 64, MANY),
        (DOUBLING, 1000, MANY),
    ],
)
def test_steps_are_reckoned_up(schema: Any, depth: int, steps: int) -> None:
    """What is held against one value: alternatives add up, names and places exclude each other."""
    assert Steps(schema).at(depth) == steps


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "#"}, "itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}, "itself"),
        ({"$ref": "https://example.org/x"}, "out of the schema"),
        ({"$ref": "#/nowhere"}, "out of the schema"),
        ({"$dynamicRef": "#a"}, "another kind"),
        ({"properties": {"a": {"$id": "b", "$ref": "#/c"}}}, "another kind"),
        (
            {
                "$ref": "#/$defs/0",
                "$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(999)},
            },
            "itself",
        ),
    ],
    ids=[
        "loop",
        "loop of alternatives",
        "remote",
        "nowhere",
        "dynamic",
        "inner id",
        "chain",
    ],
)
def test_what_cannot_be_reckoned_up_is_not_checked(schema: Any, why: str) -> None:
    """Rather than begun and never ended."""
    with pytest.raises(UncheckableError, match=f"^(the schema|a reference) .*{why}$"):
        Steps(schema)


@pytest.mark.slow
def test_a_large_schema_is_not_reckoned_up() -> None:
    """Made here and not with the module: 100 MB that every process of a run would hold."""
    schema: Any = {"properties": {str(n): {"a": {}} for n in range(400_000)}}
    with pytest.raises(UncheckableError, match="too large"):
        Steps(schema)


def test_alternatives_that_multiply_are_not_begun() -> None:
    """2 ** 40 looks would take hours, and nobody can stop them."""
    checker = Checker(DOUBLING)
    start = time.process_time()

    told = [checker.complaint(text_of(nested(levels, "bad"))) for levels in range(2, MAX_DEPTH)]

    assert time.process_time() - start < 5
    codes = [complaint[0] for complaint in told if complaint]
    assert set(codes[:8]) == {VIOLATION}
    assert set(codes[20:]) == {UNCHECKED}


def test_levels_that_double_without_recursion_are_not_begun_either() -> None:
    """Each level is a schema of its own, so no library sees the same one twice."""
    levels = {
        f"d{n}": {
            "anyOf": [
                {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}, "required": ["x"]},
                {
                    "properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}},
                    "required": ["x"],
                    "title": "t",
                },
            ]
        }
        for n in range(30)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**levels, "d30": {"type": "integer"}}}
    start = time.process_time()

    complaint = Checker(schema).complaint(text_of(nested(30, "bad")))

    assert complaint is not None
    assert complaint[0] == UNCHECKED
    assert time.process_time() - start < 5


@pytest.mark.parametrize("several", ["allOf", "anyOf", "oneOf"])
def test_what_is_evaluated_again_at_every_level_is_not_begun(several: str) -> None:
    """The library takes three times as long for each level: 18 took 7 seconds."""
    schema: Any = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    for _ in range(18):
        schema = {several: [schema], "unevaluatedProperties": False}
    start = time.process_time()

    complaint = Checker(schema).complaint('{"a":"x"}')

    assert complaint is not None
    assert complaint[0] == UNCHECKED
    assert time.process_time() - start < 2


def test_what_is_not_evaluated_is_found() -> None:
    """Zod writes an intersection of strict objects so."""
    parts = [{"type": "object", "properties": {name: {"type": "string"}}} for name in "ab"]
    checker = Checker({"allOf": parts, "unevaluatedProperties": False})

    assert checker.complaint('{"a":"x","b":"y"}') is None
    assert checker.complaint('{"a":"x","c":"y"}') == (
        VIOLATION,
        "$ breaks 'unevaluatedProperties'",
    )


@pytest.mark.parametrize("levels", [255, 256, 1000])
def test_a_deep_answer_is_a_violation_like_any_other(levels: int) -> None:
    """The library does not tell where in one of 256 levels; nothing is raised."""
    complaint = Checker({"type": "object"}).complaint("[" * levels + "]" * levels)

    assert complaint is not None
    assert complaint[0] == VIOLATION


def test_a_large_answer_is_checked() -> None:
    """10,000 rows; what is wrong in the last one is found."""
    row = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}
    checker = Checker({"type": "array", "items": row})
    rows: list[dict[str, Any]] = [{"a": n, "b": "x"} for n in range(10_000)]
    start = time.process_time()

    assert checker.complaint(text_of(rows)) is None
    rows[-1]["a"] = "bad"
    assert checker.complaint(text_of(rows)) == (VIOLATION, "$[9999].a breaks 'type'")

    assert time.process_time() - start < 5
    assert len(text_of(rows)) < MAX_STEPS


@pytest.mark.parametrize("reference", ["$ref", "$schema"])
def test_nothing_is_fetched(reference: str) -> None:
    """A reference to a server is no reason to call it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/schema.json"

        checker = checker_of(text_of({reference: url, "type": "integer"}))

        assert isinstance(checker, str)
        with pytest.raises(TimeoutError):
            listener.accept()


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*)*b", "(a{0,99}){0,99}b"]
)
def test_patterns_take_linear_time(pattern: str) -> None:
    """Those that others match for years; or the pattern is not taken at all."""
    checker = checker_of(text_of({"type": "string", "pattern": pattern}))
    start = time.process_time()

    if isinstance(checker, Checker):
        assert checker.complaint(text_of("a" * 100_000 + "!")) is not None

    assert time.process_time() - start < 2


def test_a_schema_is_compiled_once() -> None:
    """However many lines have it."""
    text = text_of({"type": "object", "title": "compiled once"})

    assert checker_of(text) is checker_of(bytearray(text, "utf-8").decode())
