"""Values of a line's own are taken out of its options, where any other goes the same way."""

import re
from typing import Any, Final

import orjson
import pytest

from gateway.translate.contract import Json
from gateway.translate.reading.own_values import (
    Own,
    Texts,
    holes_of,
    own_integer,
    own_number,
    own_text,
    own_texts,
    pattern_of,
    put_back,
    take_own,
)
from tests.every import in_one_item

USER: Final = '"\\u001a900\\u001a"'
OBJECT: Final = '{"\\u001a901\\u001a":""}'
LOOKS_LIKE_ONE: Final = "\x1a900\x1a"


def rows() -> dict[str, Own]:
    """One member of each kind."""
    return {
        "seed": own_integer(-3, 9, 7),
        "temperature": own_number(2, 0.75),
        "user": own_text(900),
        "metadata": own_texts(901),
    }


def taken_of(rest: Json) -> tuple[str, list[str], list[str], Json]:
    """Shape, values, names, and what is left of the options."""
    left = rest.copy()
    shape, values, names = take_own(rows(), left)
    return shape.decode(), [value.decode() for value in values], names, left


@pytest.mark.parametrize(
    ("name", "value", "hole"),
    [
        ("seed", -3, "7"),
        ("seed", 0, "7"),
        ("seed", 9, "7"),
        ("temperature", 0, "0.75"),
        ("temperature", 2, "0.75"),
        ("temperature", 1.25, "0.75"),
        ("user", "x", USER),
        ("metadata", {"ticket": "7", "of": ""}, '{"\\u001a901\\u001a":""}'),
        ("metadata", {}, '{"\\u001a901\\u001a":""}'),
    ],
)
def test_a_value_of_the_range_is_taken(name: str, value: object, hole: str) -> None:
    """In its place is what stands for all of them."""
    written = orjson.dumps(value).decode()
    shape, values, names, left = taken_of({name: value, "stop": "a"})
    assert shape == f'{{"{name}":{hole},"stop":"a"}}'
    assert (values, names) == ([written], [name])
    assert orjson.dumps(left).decode() == shape
    assert holes_of(rows(), shape.encode(), names, 1) == [hole.encode()]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -4),
        ("seed", 10),
        ("seed", 8.0),
        ("seed", True),
        ("seed", "8"),
        ("seed", None),
        ("temperature", -0.01),
        ("temperature", 2.01),
        ("temperature", True),
        ("temperature", None),
        ("user", ""),
        ("user", 7),
        ("user", None),
        ("metadata", "x"),
        ("metadata", ["x"]),
        ("metadata", {"a": "b", "c": 7}),
        ("metadata", {"a": None}),
        ("stop", "a"),
    ],
)
def test_any_other_value_stays(name: str, value: object) -> None:
    """It is read in the ordinary way, so it is part of the shape."""
    body = {name: value, "user": "u"} if name != "user" else {name: value}
    shape, values, names, left = taken_of(body)
    user = ["user"] if name != "user" else []
    assert (values, names) == (['"u"'] * len(user), user)
    assert shape == orjson.dumps(left).decode()
    assert left[name] is value


def test_several_members_are_taken_in_their_order() -> None:
    """And put back in it."""
    body = {"user": "u", "stop": "a", "metadata": {"a": "b"}, "seed": 1, "temperature": 1}
    shape, values, names, left = taken_of(body)
    assert shape == (
        '{"user":"\\u001a900\\u001a","stop":"a","metadata":{"\\u001a901\\u001a":""}'
        ',"seed":7,"temperature":0.75}'
    )
    assert names == ["user", "metadata", "seed", "temperature"]
    assert values == ['"u"', '{"a":"b"}', "1", "1"]
    put_back(left, [value.encode() for value in [*values, '"of a text"']], names)
    assert left == body


@pytest.mark.parametrize(
    "body",
    [
        {"user": "u", "stop": LOOKS_LIKE_ONE},
        {"stop": ["\x1a"], "metadata": {"a": "b"}},
        {"stop": "u001a", "seed": 1},
        {"seed": 1, LOOKS_LIKE_ONE: True},
    ],
)
def test_nothing_is_taken_where_a_text_looks_like_a_stand_in(body: Json) -> None:
    """Another value would be written in its place."""
    shape, values, names, left = taken_of(body)
    assert shape == orjson.dumps(body).decode()
    assert (values, names) == ([], [])
    assert left == body


def hole(number: int) -> str:
    """What stands for a text below the members."""
    return f'"\\u001a{number}\\u001a"'


@pytest.mark.parametrize(
    ("body", "shape", "values"),
    [
        ({"tools": [{"description": "a"}]}, f'{{"tools":[{{"description":{hole(1000)}}}]}}', ["a"]),
        (
            {"tools": {"description": 'a "b\\" c'}, "stop": "x"},
            f'{{"tools":{{"description":{hole(1000)}}},"stop":"x"}}',
            ['a "b\\" c'],
        ),
        (
            {"description": "a", "stop": "x"},
            f'{{"description":{hole(1000)},"stop":"x"}}',
            ["a"],
        ),
        ({"tools": [{"description": ""}]}, '{"tools":[{"description":""}]}', []),
        ({"tools": [{"description": 7}]}, '{"tools":[{"description":7}]}', []),
        ({"tools": [{"x": "description"}]}, '{"tools":[{"x":"description"}]}', []),
        (
            {"tools": [{"x": 'the "description":"of" it'}]},
            '{"tools":[{"x":"the \\"description\\":\\"of\\" it"}]}',
            [],
        ),
        (
            {"tools": [{"description": "a"}, {"description": "b"}, {"description": "a"}]},
            (
                f'{{"tools":[{{"description":{hole(1000)}}},{{"description":{hole(1001)}}}'
                f',{{"description":{hole(1000)}}}]}}'
            ),
            ["a", "b"],
        ),
    ],
)
def test_descriptions_are_taken_at_any_depth(body: Json, shape: str, values: list[str]) -> None:
    """Those that are equal are one value."""
    found, taken, names, _ = taken_of(body)
    assert found == shape
    assert [orjson.loads(text) for text in taken] == values
    assert names == []
    holes = [hole(1000 + number).encode() for number in range(len(values))]
    assert holes_of(rows(), shape.encode(), names, len(values)) == holes


@pytest.mark.parametrize(
    ("schema", "shape", "values"),
    [
        ('{"enum":["a"]}', '{"enum":[H0]}', ['"a"']),
        ('{"enum":["a","b,c"]}', '{"enum":[H0]}', ['"a","b,c"']),
        ('{"enum":["a","a"]}', '{"enum":["a","a"]}', []),
        ('{"enum":["a",""]}', '{"enum":["a",""]}', []),
        ('{"enum":["a",7]}', '{"enum":["a",7]}', []),
        ('{"enum":[]}', '{"enum":[]}', []),
        ('{"required":["a","b"]}', '{"required":["a","b"]}', []),
        (
            '{"a":{"enum":["a","a"],"description":"x"},"b":{"enum":["c"]}}',
            '{"a":{"enum":["a","a"],"description":H0},"b":{"enum":[H1]}}',
            ['"x"', '"c"'],
        ),
        (
            '{"a":{"enum":["x"],"description":"x"},"b":{"enum":["x"]}}',
            '{"a":{"enum":[H0],"description":H0},"b":{"enum":[H0]}}',
            ['"x"'],
        ),
        ('{"anyOf":[],"enum":["a"]}', '{"anyOf":[],"enum":["a"]}', []),
        ('{"$ref":"#","enum":["a"]}', '{"$ref":"#","enum":["a"]}', []),
        (
            '{"const":7,"enum":["a"],"description":"x"}',
            '{"const":7,"enum":["a"],"description":H0}',
            ['"x"'],
        ),
    ],
)
def test_texts_of_an_enum_are_one_value(schema: str, shape: str, values: list[str]) -> None:
    """Where none is there twice, and no keyword compares one by one."""
    body = {"seed": 1, "schema": orjson.loads(schema)}
    found, taken, names, _ = taken_of(body)
    for number in range(len(values)):
        shape = shape.replace(f"H{number}", hole(1000 + number))
    assert found == f'{{"seed":7,"schema":{shape}}}'
    assert (taken, names) == (["1", *values], ["seed"])
    holes = [b"7", *(hole(1000 + number).encode() for number in range(len(values)))]
    assert holes_of(rows(), found.encode(), names, len(taken)) == (
        holes if found.count("7") == 1 else None
    )


def test_texts_are_found_again_where_they_were() -> None:
    """Descriptions and texts of enums in any order, one at a time and all together."""
    schema = {
        "a": {"description": "one", "enum": ["x", "y"]},
        "b": {"enum": ["z"], "description": "two"},
        "c": {"description": "one"},
    }
    written = orjson.dumps({"schema": schema})
    shape, values, _ = take_own(rows(), {"schema": schema})
    texts = Texts(shape, values)
    assert texts.of(written) == values == (b'"one"', b'"x","y"', b'"z"', b'"two"')
    for old, new in ((b'"one"', b'"1"'), (b'"x","y"', b'"x"'), (b'"z"', b'"z","q"'), (b"two", b"")):
        other = written.replace(old, new)
        found = texts.of(other)
        assert found == (None if new == b"" else tuple(new if v == old else v for v in values))
        assert texts.of(other + b" ") is None
        assert texts.of(other[:-1]) is None
    assert texts.of(written.replace(b'"one"', b'"two"')) is None  # equal in other places


@pytest.mark.parametrize(
    ("shape", "names", "count", "found"),
    [
        ('{"seed":7,"n":7}', ["seed"], 1, None),
        ('{"seed":7,"stop":"70"}', ["seed"], 1, None),
        ('{"stop":"a"}', ["seed"], 1, None),
        (f'{{"user":{USER},"stop":{USER}}}', ["user"], 1, [USER]),
        (f'{{"user":{USER},"stop":"\\u001a"}}', ["user"], 1, None),
        (f'{{"metadata":{OBJECT},"x":{OBJECT}}}', ["metadata"], 1, [OBJECT]),
        (f'{{"user":{USER}}}', [], 0, None),
        (f'{{"a":{hole(1000)},"b":{hole(1001)}}}', [], 2, [hole(1000), hole(1001)]),
        (f'{{"a":{hole(1000)},"b":{hole(1001)}}}', [], 1, None),
        ("{}", [], 0, []),
    ],
)
def test_a_hole_is_where_its_value_was(
    shape: str, names: list[str], count: int, found: list[str] | None
) -> None:
    """A number is found once; a text may be in several places, and nothing else looks like one."""
    holes: Any = holes_of(rows(), shape.encode(), names, count)
    assert holes == (None if found is None else [text.encode() for text in found])


EDGES: Final = sorted(
    {
        sign * (base + step)
        for base in (0, 1, 9, 10, 69, 99, 100, 999, 1_000, 8_000, 8_192, 70_000, 2**31)
        for step in (-1, 0, 1)
        for sign in (-1, 1)
    }
)


@pytest.mark.parametrize(
    ("low", "high"),
    [(1, 8_192), (1, 70), (1, 7), (0, 7), (-3, 9), (1, 99), (-(2**31), 2**31 - 1)],
)
def test_the_pattern_of_a_range_has_its_integers_and_no_others(low: int, high: int) -> None:
    """Whatever their number of digits."""
    pattern = own_integer(low, high, 7).pattern
    for value in [*range(-120, 120), *EDGES]:
        assert bool(re.fullmatch(pattern, b"%d" % value)) == (low <= value <= high), value
    assert not re.fullmatch(pattern, b"8.0")
    assert not re.fullmatch(pattern, b"true")


VALUES: Final[tuple[Any, ...]] = (
    *(0, -0.0, 1, 2, 3, -1, 0.5, 1.0, 1.25, 2.0, 2.01, 10, 1e-7, 1e20, True, None, 0.1 + 0.2),
    *("", "a", 'a"b\\', "\\", "a\nb", "é\x1a", LOOKS_LIKE_ONE, "}", '","a":7,"'),
    *({}, {"a": "b"}, {"a": 'b"', "": "\\"}, {"a": 7}, {"a": "b", "c": None}, {"a": {"b": "c"}}),
    *([], ["a"]),
)
FOUND: Final[dict[str, list[Any]]] = {
    "seed": [0, 1, 2, 3, -1],
    "temperature": [0, 1, 2, 0.5, 1.0, 1.25, 2.0, 0.1 + 0.2],
    "user": [value for value in VALUES if isinstance(value, str) and value],
    "metadata": [{}, {"a": "b"}, {"a": 'b"', "": "\\"}],
}


@in_one_item
@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_pattern_finds_values_that_would_be_taken(name: str, value: object) -> None:
    """Each as it is written, and none that is read in the ordinary way."""
    body = {"stop": "a", name: value, "n": 1, "user_": "u"}
    shape, _, names = take_own(rows(), {**body, name: FOUND[name][1]})
    pattern = pattern_of(rows(), shape, names)
    assert pattern is not None
    found = pattern.fullmatch(orjson.dumps(body))
    alone = take_own(rows(), dict(body))
    if any(value == one and type(value) is type(one) for one in FOUND[name]) or found:
        assert found
        assert (shape, found.groups(), names) == alone
    assert not pattern.fullmatch(orjson.dumps({**body, "n": 2}))
    assert not pattern.fullmatch(orjson.dumps({**body, "m": 2}))


def test_a_pattern_has_all_values_of_a_shape_in_their_order() -> None:
    """Whatever is between them."""
    body: Json = {"user": "u", "a.b": "[(%b", "metadata": {"a": "b"}, "seed": 1, "temperature": 1.5}
    shape, _, names = take_own(rows(), dict(body))
    pattern = pattern_of(rows(), shape, names)
    assert pattern is not None
    for one in (body, {**body, "metadata": {"c": "%b"}, "user": '"'}):
        found = pattern.fullmatch(orjson.dumps(one))
        assert found is not None
        assert found.groups() == take_own(rows(), dict(one))[1]
    assert not pattern.fullmatch(orjson.dumps({**body, "a.b": "[(%c"}))
    assert not pattern.fullmatch(orjson.dumps({**body, "a.b": "[(%b "}))


@pytest.mark.parametrize(("size", "has_one"), [(512, True), (513, False)])
def test_a_long_shape_has_no_pattern(size: int, *, has_one: bool) -> None:
    """It is compared faster as it is."""
    stop = "x" * (size - len('{"seed":7,"stop":""}'))
    shape, _, names = take_own(rows(), {"seed": 1, "stop": stop})
    assert len(shape) == size
    assert (pattern_of(rows(), shape, names) is not None) == has_one
