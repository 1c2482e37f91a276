"""JSON by a schema: whatever is asked for in either dialect fits it, and an end comes."""

from typing import Any

import jsonschema  # type: ignore[import-untyped]
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.emulator.answers.fit_schema import MAX_VALUES, fit
from gateway.emulator.checks.schema import check_json_schema, check_openapi_schema
from gateway.emulator.protocol.errors import ApiError
from gateway.emulator.protocol.schema import read

Json = dict[str, Any]
MANY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
NAMES = st.sampled_from(["a", "b", "c", "title", "type", "enum", "$ref", "items", "ünï"])


def ranged(low: st.SearchStrategy[Any], words: tuple[str, str]) -> st.SearchStrategy[Json]:
    """Both limits of something, one of them, or none."""
    both = st.tuples(low, low).map(lambda pair: dict(zip(words, sorted(pair), strict=True)))
    single = st.tuples(st.sampled_from(words), low).map(lambda pair: dict([pair]))
    return st.one_of(st.just({}), both, single)


@st.composite
def objects(draw: st.DrawFn, /, inner: st.SearchStrategy[Json], **words: Any) -> Json:
    """An object with some properties, some of them required."""
    properties = draw(st.dictionaries(NAMES, inner, max_size=4))
    required = (
        draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    )
    schema: Json = {"properties": properties, **words}
    return schema | ({"required": required} if required else {})


@st.composite
def json_schemas(draw: st.DrawFn, names: tuple[str, ...] = (), depth: int = 3) -> Json:
    """A schema of the keywords Google keeps, that some value fits."""
    inner = json_schemas(names, depth - 1)
    simple: list[st.SearchStrategy[Json]] = [
        st.just({"type": "string"}),
        st.just({"type": "boolean"}),
        st.just({"type": "null"}),
        st.just({"type": ["null", "string"]}),
        st.sampled_from(["date-time", "date", "email"]).map(
            lambda form: {"type": "string", "format": form}
        ),
        st.lists(st.none() | st.integers(-5, 5) | st.text(max_size=3), min_size=1).map(
            lambda values: {"enum": values}
        ),
        ranged(st.integers(-9, 9), ("minimum", "maximum")).map(lambda r: {"type": "integer", **r}),
        ranged(st.integers(-9, 9), ("minimum", "maximum")).map(lambda r: {"type": "number", **r}),
    ]
    if depth:
        simple += [
            objects(inner, type="object"),
            objects(inner, type="object", additionalProperties=False),
            st.builds(
                lambda items, limits: {"type": "array", "items": items, **limits},
                inner,
                ranged(st.integers(0, 3), ("minItems", "maxItems")),
            ),
            st.lists(inner, min_size=1, max_size=3).map(
                lambda items: {"type": "array", "prefixItems": items, "items": False}
            ),
            st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices}),
            st.builds(
                lambda one, other: {**one, "anyOf": [{"properties": {"z": other}}]},
                objects(inner, type="object"),
                inner,
            ),
        ]
    if names:
        simple.append(st.sampled_from(names).map(lambda name: {"$ref": f"#/$defs/{name}"}))
    return draw(st.one_of(simple))


@st.composite
def recursive_schemas(draw: st.DrawFn) -> Json:
    """A schema with definitions that may refer to each other and to themselves."""
    names = ("one", "two", "three")
    definitions = {name: draw(json_schemas(names, 2)) for name in names}
    return {"$defs": definitions, **draw(json_schemas(names, 2))}


def draft(schema: Json) -> jsonschema.Draft202012Validator:
    """A judge of values."""
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.slow
@given(schema=json_schemas(), text=st.text(max_size=5))
@MANY
def test_json_schema(schema: Json, text: str) -> None:
    """Judged by a validator."""
    draft(schema).validate(fit(schema, text))


@pytest.mark.slow
@given(schema=recursive_schemas())
@MANY
def test_recursive_json_schema(schema: Json) -> None:
    """Refused when nothing but required properties closes a loop, else fitted."""
    if _is_refused(schema):
        return
    draft(schema).validate(fit(schema, "text"))


def _is_refused(schema: Json) -> bool:
    try:
        check_json_schema(schema)
    except ApiError as refusal:
        return "ref loop" in refusal.message
    return False


@st.composite
def openapi_schemas(draw: st.DrawFn, depth: int = 3) -> Json:
    """A schema of the OpenAPI dialect that some value fits."""
    text = ranged(st.integers(0, 9).map(str), ("minLength", "maxLength"))
    simple: list[st.SearchStrategy[Json]] = [
        text.map(lambda limits: {"type": "STRING", **limits}),
        st.just({"type": "STRING", "format": "date-time"}),
        st.just({"type": "BOOLEAN"}),
        st.just({"type": "STRING", "nullable": True}),
        st.lists(st.text(min_size=1, max_size=3), min_size=1).map(
            lambda values: {"type": "STRING", "enum": values}
        ),
        st.lists(st.integers(-5, 5).map(str), min_size=1).map(
            lambda values: {"type": "INTEGER", "format": "enum", "enum": values}
        ),
        ranged(st.integers(-9, 9), ("minimum", "maximum")).map(lambda r: {"type": "INTEGER", **r}),
        ranged(st.integers(-9, 9), ("minimum", "maximum")).map(lambda r: {"type": "NUMBER", **r}),
    ]
    if depth:
        inner = openapi_schemas(depth - 1)
        simple += [
            objects(inner, type="OBJECT"),
            st.builds(
                lambda items, limits: {"type": "ARRAY", "items": items, **limits},
                inner,
                ranged(st.integers(0, 3).map(str), ("minItems", "maxItems")),
            ),
            st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"anyOf": choices}),
        ]
    return draw(st.one_of(simple))


def as_json_schema(schema: Json) -> Json:
    """The OpenAPI dialect in JSON Schema's words, for the validator."""
    found: Json = {}
    for name, value in schema.items():
        if name == "type":
            kinds = [value.lower(), *(["null"] if schema.get("nullable") else [])]
            found["type"] = kinds
        elif name == "properties":
            found[name] = {key: as_json_schema(inner) for key, inner in value.items()}
        elif name == "items":
            found[name] = as_json_schema(value)
        elif name == "anyOf":
            found[name] = [as_json_schema(inner) for inner in value]
        elif name == "enum" and schema["type"] == "INTEGER":
            found[name] = [int(one) for one in value]
        elif name in {"minLength", "maxLength", "minItems", "maxItems"}:
            found[name] = int(value)
        elif name not in {"nullable", "format"}:
            found[name] = value
    return found


@pytest.mark.slow
@given(schema=openapi_schemas(), text=st.text(max_size=5))
@MANY
def test_openapi_schema(schema: Json, text: str) -> None:
    """In the grammar, not refused, and judged by a validator."""
    root = {"type": "OBJECT", "properties": {"x": schema}, "required": ["x"]}
    parsed, violations = read("Schema", root)
    assert violations == []
    check_openapi_schema(parsed, "schema")
    draft(as_json_schema(root)).validate(fit(parsed, text))


EXAMPLES: list[Json] = [
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "properties": {"k": {"enum": ["x", 3, None]}}},
    {"anyOf": [{"type": "null"}, {"type": "number", "minimum": -3, "maximum": -1}]},
    {"oneOf": [{"type": "boolean"}, {"type": "string"}]},
    {"type": "integer", "maximum": -200},
    {"type": "object", "required": ["not", "named"], "additionalProperties": {"type": "integer"}},
    {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
    {
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
        "$ref": "#/$defs/node",
    },
    {"$defs": {"a/b~c": {"type": "integer"}}, "$ref": "#/$defs/a~1b~0c"},
    {"$defs": {"x": {"$anchor": "here", "type": "integer"}}, "items": {"$ref": "#here"}},
    {"properties": {"when": {"type": "string", "format": "date-time"}}},
]


@pytest.mark.parametrize("schema", EXAMPLES)
def test_examples(schema: Json) -> None:
    """Whatever the prompt is."""
    for text in ("hello", "other", ""):
        draft(schema).validate(fit(schema, text))


def test_free_strings_name_the_prompt() -> None:
    """So that a test can tell whose answer it is; numbers differ by prompt, too."""
    schema = {"properties": {"name": {"type": "string"}, "size": {"type": "integer"}}}
    answers = [fit(schema, f"prompt {at}") for at in range(9)]
    assert [one["name"] for one in answers if isinstance(one, dict)] == [
        f"prompt {at}" for at in range(9)
    ]
    assert len({one["size"] for one in answers if isinstance(one, dict)}) > 3
    assert answers[0] == fit(schema, "prompt 0")


def test_openapi_order_lengths_and_limits() -> None:
    """Ordering kept, limits as text, no more properties than allowed."""
    schema = {
        "type": "OBJECT",
        "properties": {
            "b": {"type": "STRING", "maxLength": "3"},
            "a": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "2"},
            "c": {"type": "STRING"},
        },
        "required": ["b"],
        "propertyOrdering": ["a", "b"],
        "maxProperties": "2",
    }
    value = fit(schema, "hello")
    assert isinstance(value, dict)
    assert list(value) == ["a", "b"] or list(value) == ["b", "a"]
    assert list(fit({**schema, "maxProperties": "3"}, "hello")) == ["a", "b", "c"]  # type: ignore[call-overload]
    assert value["b"] == "hel"
    assert len(value["a"]) == 2


def test_ignored_keywords() -> None:
    """What Google ignores in JSON Schema is not kept here either."""
    schema = {"type": "string", "const": "c", "minLength": 50, "pattern": "^z", "not": {}}
    assert fit(schema, "hello") == "hello"


def test_recursion_ends() -> None:
    """Many ways down are not all gone: an answer stays small."""
    tree = {"$defs": {"n": {"properties": {f"p{at}": {"$ref": "#/$defs/n"} for at in range(9)}}}}
    value = fit({**tree, "$ref": "#/$defs/n"}, "x")
    assert isinstance(value, dict)
    assert len(value) == 9
    assert len(orjson.dumps(value)) < 50_000


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "minItems": MAX_VALUES + 1, "items": {"type": "string"}},
        {
            "type": "array",
            "minItems": 1000,
            "items": {"type": "array", "minItems": 1000, "items": {"type": "string"}},
        },
        {
            "$defs": {
                f"d{at}": {
                    "properties": {
                        "a": {"$ref": f"#/$defs/d{at + 1}"},
                        "b": {"$ref": f"#/$defs/d{at + 1}"},
                    },
                    "required": ["a", "b"],
                }
                for at in range(40)
            }
            | {"d40": {"type": "string"}},
            "$ref": "#/$defs/d0",
        },
    ],
    ids=["long", "nested", "doubling"],
)
def test_too_much_is_refused(schema: Json) -> None:
    """400 in Google's words, at once."""
    with pytest.raises(ApiError, match="too many states for serving") as caught:
        fit(schema, "x")
    assert caught.value.code == 400
