"""Texts of a shape are found again where they were: what is not the same shape has none."""

from typing import Any

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.translate.reading.own_values import Texts, take_own
from tests.every import in_one_item

TEXT = st.text(max_size=4) | st.sampled_from(
    ["", '"', "\\", '\\"', "a]b", '","', "u001a", "\x1a1000\x1a", "$ref", "é", "description"]
)
SCHEMA = st.recursive(
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "description": TEXT,
            "enum": st.lists(TEXT | st.just(7), min_size=1, max_size=3),
            "const": st.just("x"),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {"properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2)},
        optional={"description": TEXT},
    ),
    max_leaves=4,
)


def taken(tools: Any) -> tuple[bytes, tuple[bytes, ...]]:
    """The shape of options with such tools, and its texts."""
    shape, values, _ = take_own({}, {"tools": tools})
    return shape, values


def again(first: Any, second: Any) -> tuple[bytes, ...] | None:
    """The texts of the second options, as they are found with those of the first."""
    return Texts(*taken(first)).of(orjson.dumps({"tools": second}))


@pytest.mark.slow
@given(first=SCHEMA, second=SCHEMA)
def test_texts_are_those_that_a_search_finds(first: Any, second: Any) -> None:
    """Never others: what is found without a search is what belongs to the same shape."""
    shape, texts = taken(first)
    assume(texts)  # nothing is taken out where a text looks like a stand-in
    assert again(first, first) == texts
    found = again(first, second)
    if found is not None:
        assert taken(second) == (shape, found)


def described(*texts: str, **more: Any) -> list[dict[str, Any]]:
    """Schemas with these descriptions."""
    return [{"description": text, **more} for text in texts]


@in_one_item
@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (described("a", "b"), described("c", "d"), [b'"c"', b'"d"']),
        (described("a", "b"), described("a", "d"), [b'"a"', b'"d"']),
        (described("a"), described('a"b'), [b'"a\\"b"']),
        (described("a"), described("b\\"), [b'"b\\\\"']),
        (described("a"), described('"'), [b'"\\""']),
        (described("a"), described("ab"), [b'"ab"']),
        # What was equal is equal, and what was not is not: then it is one value, or it is two.
        (described("a", "a", "b"), described("c", "c", "d"), [b'"c"', b'"d"']),
        (described("b", "a", "a"), described("d", "c", "c"), [b'"d"', b'"c"']),
        (described("a", "a"), described("c", "d"), None),
        (described("a", "b"), described("c", "c"), None),
        (described("a", "b", "a"), described("c", "d", "d"), None),
        # Another shape.
        (described("a"), described(""), None),
        (described("a"), [{"description": 7}], None),
        (described("a"), described("a", "b"), None),
        (described("a", "b"), described("a"), None),
        (described("a"), described("b", type="string"), None),
        (described("a", type="string"), described("b", type="number"), None),
        (described("a"), described("a", type="string"), None),
        # As it is looked for among the texts of other lines, it would be a stand-in.
        (described("a"), described("\x1a1000\x1a"), None),
        (described("a"), described("u001a"), [b'"u001a"']),
        # Texts of an enum are one value.
        ([{"enum": ["a", "b"]}], [{"enum": ["a", "b"]}], [b'"a","b"']),
        ([{"enum": ["a", "b"]}], [{"enum": ["a", "b", "c"]}], [b'"a","b","c"']),
        ([{"enum": ["a", "b"]}], [{"enum": ["a"]}], [b'"a"']),
        ([{"enum": ["a"]}], [{"enum": ["a]b", '"']}], [b'"a]b","\\""']),
        ([{"enum": ["a"]}], [{"enum": ["b", "b"]}], None),
        ([{"enum": ["a"]}], [{"enum": ["b", 7]}], None),
        ([{"enum": ["a"]}], [{"enum": [""]}], None),
        ([{"enum": ["a"]}], [{"enum": []}], None),
        ([{"enum": ["a"]}], [{"enum": ["b", "\x1a1001\x1a"]}], None),
        ([{"enum": ["a"], "type": "x"}], [{"enum": ["b"], "type": "y"}], None),
        # No texts: the same options, or others.
        ([{"type": "x"}], [{"type": "x"}], []),
        ([{"type": "x"}], [{"type": "y"}], None),
    ],
)
def test_texts_found_again(first: Any, second: Any, found: list[bytes] | None) -> None:
    """Each way in which the texts of a line may be others than those before."""
    assert again(first, second) == (None if found is None else tuple(found))


def test_the_beginning_of_the_options_is_compared_too() -> None:
    """In front of the first text there may be as many bytes of another shape."""
    texts = Texts(*taken(described("a")))
    assert texts.of(orjson.dumps({"tools": described("a")})) == (b'"a"',)
    assert texts.of(orjson.dumps({"toolz": described("a")})) is None


def test_the_size_of_texts_is_what_they_hold() -> None:
    """What is remembered is bounded by it: the shape twice, and the texts."""
    shape, texts = taken(described("abc", "d" * 50))
    assert Texts(shape, texts).size == 2 * len(shape) + len(b'"abc"') + 52
