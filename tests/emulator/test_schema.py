"""The grammar: every valid request passes, none with a defect does, and it is said where it is.

Requests are made from ``schema.json`` itself, in both spellings at random.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.emulator.answers.embed import embed
from gateway.emulator.answers.generate import generate
from gateway.emulator.answers.holdings import Holdings
from gateway.emulator.answers.jsonfit import fit
from gateway.emulator.answers.usage import prompt_tokens
from gateway.emulator.errors import ApiError
from gateway.emulator.schema import ONEOFS, fields_of, message_names, parse_body, read, snake

Json = dict[str, Any]
DEPTH = 4
REQUESTS = (
    "BatchGenerateContentRequest",
    "AsyncBatchEmbedContentRequest",
    "GenerateContentRequest",
    "EmbedContentRequest",
    "BatchEmbedContentsRequest",
    "CountTokensRequest",
    "CreateFileRequest",
    "CachedContent",
)

TEXT = st.text(max_size=8)
FREE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
NUMBER = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-1000, 1000)


def _either(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """A number, or the same as text."""
    return numbers | numbers.map(str)


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "any": FREE.filter(lambda value: value is not None),
    "string": TEXT,
    "boolean": st.booleans(),
    "integer:int32": _either(st.integers(-(2**31), 2**31 - 1)),
    "string:int64": _either(st.integers(-(2**63), 2**63 - 1)),
    "number:float": NUMBER,
    "number:double": NUMBER,
    "string:byte": st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode())
    | st.binary(max_size=9).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")),
    "string:google-datetime": st.sampled_from(
        ["2026-08-19T14:34:12.267870162Z", "2026-08-19T14:34:12+02:00"],
    ),
    "string:google-duration": st.sampled_from(["600s", "1.5s", "-3s"]),
}


def of_kind(kind: str, enum: list[str] | None, depth: int) -> st.SearchStrategy[Any]:
    """Values of one type of the grammar."""
    if kind.startswith("["):
        inner = of_kind(kind[1:-1], enum, depth)
        return st.lists(inner, max_size=2)
    if kind.startswith("map<"):
        return st.dictionaries(TEXT, of_kind(kind[4:-1], enum, depth), max_size=2)
    if enum is not None:
        return st.sampled_from(enum) | st.sampled_from(enum).map(str.lower)
    return SCALARS[kind] if kind in SCALARS else message(kind, depth - 1)


@st.composite
def message(draw: st.DrawFn, name: str, depth: int) -> Json:
    """A message with some of its fields; at most one of each oneof."""
    fields = fields_of(name)
    names = [field for field in fields if depth > 0 or fields[field]["type"] in SCALARS]
    chosen = draw(st.lists(st.sampled_from(names), max_size=4, unique=True)) if names else []
    if name in ONEOFS:
        _, members = ONEOFS[name]
        taken = [field for field in chosen if field in members][1:]
        chosen = [field for field in chosen if field not in taken]
    found = {}
    for field in chosen:
        spelled = draw(st.sampled_from([field, snake(field)]))
        found[spelled] = draw(of_kind(fields[field]["type"], fields[field].get("enum"), depth))
    return found


QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=True,
)


@pytest.mark.parametrize("name", REQUESTS)
@QUICK
@given(data=st.data())
def test_valid_requests_pass(name: str, data: st.DataObject) -> None:
    """Whatever the grammar allows is read, and what was read is read again the same."""
    body = data.draw(message(name, DEPTH))
    found, violations = read(name, body)
    assert violations == []
    assert read(name, found) == (found, [])


@dataclass(frozen=True)
class Place:
    """A message inside a request."""

    name: str
    value: Json


def places(name: str, value: Json) -> list[Place]:
    """Every message inside a valid request, itself included; free-form values are none."""
    found = [Place(name, value)]
    known = {spelled: field for field in fields_of(name) for spelled in (field, snake(field))}
    for spelled, inner in value.items():
        kind = fields_of(name)[known[spelled]]["type"]
        found += _inside(kind, inner)
    return found


def _inside(kind: str, value: object) -> list[Place]:
    if kind.startswith("[") and isinstance(value, list):
        return [place for one in value for place in _inside(kind[1:-1], one)]
    if kind.startswith("map<") and isinstance(value, dict):
        return [place for one in value.values() for place in _inside(kind[4:-1], one)]
    if kind in message_names() and isinstance(value, dict):
        return places(kind, value)
    return []


WRONG: dict[str, list[Any]] = {
    "string": [5, True, {}],
    "boolean": ["yes", 2, []],
    "integer:int32": ["x", 1.5, 2**31, {}, True],
    "string:int64": ["x", 1.5, {}, True],
    "number:float": ["x", {}, True],
    "number:double": ["x", [], False],
    "string:byte": ["!!!", 5, "a"],
    "string:google-datetime": ["yesterday", 5],
    "string:google-duration": ["600", 5],
}


@pytest.mark.parametrize("name", REQUESTS)
@QUICK
@given(data=st.data())
def test_one_defect_is_found(name: str, data: st.DataObject) -> None:
    """An unknown name, a wrong type or a wrong enum value, anywhere: refused."""
    body = data.draw(message(name, DEPTH))
    place = data.draw(st.sampled_from(places(name, body)))
    fields = fields_of(place.name)
    wrong = {field: _wrong_values(spec) for field, spec in fields.items()}
    usable = [field for field, values in wrong.items() if values]
    mistyped: bool = data.draw(st.booleans())
    if usable and mistyped:
        field = data.draw(st.sampled_from(usable))
        place.value.pop(snake(field), None)
        place.value[field] = data.draw(st.sampled_from(wrong[field]))
        complaint = f"{snake(field)}"
    else:
        place.value["noSuchField"] = 1
        complaint = 'Unknown name "noSuchField"'
    violations = read(name, body)[1]
    assert any(complaint in violation.description for violation in violations)


def _wrong_values(spec: Json) -> list[Any]:
    kind = spec["type"].strip("[]")
    if "enum" in spec:
        return ["NO_SUCH_VALUE", 10_000]
    if kind in message_names():
        return [5, "text"]
    return WRONG.get(kind, [])


@given(data=st.data())
@QUICK
def test_two_of_a_oneof(data: st.DataObject) -> None:
    """Only one kind of data in a part."""
    _, members = ONEOFS["Part"]
    pair = data.draw(st.lists(st.sampled_from(members), min_size=2, max_size=2, unique=True))
    fields = fields_of("Part")
    part = {name: data.draw(of_kind(fields[name]["type"], None, 2)) for name in pair}
    descriptions = [violation.description for violation in read("Part", part)[1]]
    assert len(descriptions) == 1
    assert "oneof field 'data' is already set" in descriptions[0]


# --- single rules --------------------------------------------------------------------------------


def test_free_form_values_are_left_alone() -> None:
    """Neither checked nor renamed: args, metadata, JSON schemas."""
    free = {"some_key": {"other_key": [1, None, {"generation_config": 1}]}}
    part = {"function_call": {"name": "f", "args": free}}
    assert read("Part", part)[0] == {"functionCall": {"name": "f", "args": free}}
    config = {"response_json_schema": free}
    assert read("GenerationConfig", config)[0] == {"responseJsonSchema": free}


def test_leniencies() -> None:
    """One object for a list, enums in any case or by number, numbers as text, null for unset."""
    found, violations = read(
        "GenerateContentRequest",
        {
            "tools": {"function_declarations": {"name": "f"}},
            "toolConfig": {"functionCallingConfig": {"mode": "any"}},
            "generationConfig": {"maxOutputTokens": "5", "seed": None},
        },
    )
    assert violations == []
    assert found == {
        "tools": [{"functionDeclarations": [{"name": "f"}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {"maxOutputTokens": 5},
    }


def test_output_only_fields_are_dropped() -> None:
    """A batch cannot be told its own state."""
    assert read("GenerateContentBatch", {"state": "BATCH_STATE_SUCCEEDED"}) == ({}, [])


def test_int64_is_text() -> None:
    """On the way out, whatever came in."""
    assert read("GenerateContentBatch", {"priority": 3})[0] == {"priority": "3"}


def test_every_complaint_is_made() -> None:
    """All at once, each with its path in snake case."""
    body = {
        "contents": [{"parts": [{"text": 5}, {"colour": 1}]}],
        "generationConfig": {"topK": "x", "responseModalities": ["SMELL"]},
    }
    found = {
        (one.field, one.description.partition(",")[0])
        for one in read("GenerateContentRequest", body)[1]
    }
    assert found == {
        ("contents[0].parts[0].text", "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING)"),
        (
            "contents[0].parts[1]",
            (
                'Invalid JSON payload received. Unknown name "colour" at '
                "'contents[0].parts[1]': Cannot find field."
            ),
        ),
        ("generation_config.top_k", "Invalid value at 'generation_config.top_k' (TYPE_INT32)"),
        (
            "generation_config.response_modalities[0]",
            (
                "Invalid value at 'generation_config.response_modalities[0]' "
                "(type.googleapis.com/google.ai.generativelanguage.v1main."
                "GenerationConfig.ResponseModalities)"
            ),
        ),
    }


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a":}', b"[1", b"nope"])
def test_broken_json(body: bytes) -> None:
    """400, not 500."""
    with pytest.raises(ApiError) as caught:
        parse_body("GenerateContentRequest", body)
    assert caught.value.code == 400
    assert caught.value.details[0]["fieldViolations"]


def test_too_deep() -> None:
    """A schema nested beyond reason is a complaint, not a crash."""
    body = b'{"items":' * 900 + b"{}" + b"}" * 900
    config = b'{"generationConfig":{"responseSchema":' + body + b"}}"
    with pytest.raises(ApiError, match="too deep"):
        parse_body("GenerateContentRequest", config)


@pytest.mark.parametrize("body", [b"[]", b"5", b'"x"', b"null"])
def test_no_object(api: httpx.Client, body: bytes) -> None:
    """Valid JSON that is no message."""
    answer = api.post("/v1/models/gemini-2.5-flash:generateContent", content=body)
    assert answer.status_code == 400


def test_grammar_is_closed() -> None:
    """Every type that is named exists."""
    for name in message_names():
        for field in fields_of(name).values():
            kind = field["type"].strip("[]").removeprefix("map<").removesuffix(">")
            assert kind in SCALARS or kind in message_names(), (name, kind)
    assert orjson.dumps(message_names())


# --- answers -------------------------------------------------------------------------------------

MODELS = ("gemini-2.0-flash", "gemini-2.5-flash", "gemini-3-pro-preview", "gemini-2.5-flash-image")


@st.composite
def conversations(draw: st.DrawFn) -> Json:
    """A GenerateContentRequest that says something, with anything else the grammar allows."""
    request = draw(message("GenerateContentRequest", DEPTH))
    request.pop("contents", None)
    words = draw(st.sampled_from(["hello", "", "[[calls:2]]", "[[parts:3]]", "the name of it"]))
    contents = [{"role": "user", "parts": [{"text": words}]}]
    contents += draw(st.lists(message("Content", 3), max_size=2))
    return {**request, "contents": contents}


def _answer(ask: Callable[[], Json]) -> Json | None:
    """The answer; None for a refusal, which must be one that the caller is to blame for."""
    try:
        return ask()
    except ApiError as refusal:
        if not 400 <= refusal.code < 500:
            raise
    return None


@pytest.mark.parametrize("model", MODELS)
@QUICK
@given(body=conversations())
def test_every_answer_is_in_the_grammar(model: str, body: Json) -> None:
    """Whatever is asked is refused in words or answered in the grammar, and adds up."""
    request, violations = read("GenerateContentRequest", body)
    assert violations == []
    response = _answer(lambda: generate(model, request, Holdings()))
    if response is None:
        return
    assert read("GenerateContentResponse", orjson.loads(orjson.dumps(response)))[1] == []
    usage = response["usageMetadata"]
    spent = ("candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    total = usage["promptTokenCount"] + sum(usage.get(name, 0) for name in spent)
    assert usage["totalTokenCount"] == total


@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
@QUICK
@given(body=message("EmbedContentRequest", DEPTH))
def test_every_embedding_is_in_the_grammar(model: str, body: Json) -> None:
    """The same for vectors."""
    response = _answer(lambda: embed(model, read("EmbedContentRequest", body)[0], Holdings()))
    if response is None:
        return
    assert read("EmbedContentResponse", response)[1] == []
    assert sum(value * value for value in response["embedding"]["values"]) == pytest.approx(1)


@QUICK
@given(body=message("CountTokensRequest", DEPTH))
def test_every_request_is_counted(body: Json) -> None:
    """Tokens of anything the grammar allows."""
    request = read("CountTokensRequest", body)[0]
    assert sum(prompt_tokens(request.get("generateContentRequest", request)).values()) > 0


KEYWORDS = ("type", "properties", "items", "enum", "anyOf", "required", "minItems", "maxItems")
LOOSE = st.dictionaries(st.sampled_from((*KEYWORDS, "prefixItems", "$ref", "minimum")), FREE)


@QUICK
@given(schema=message("Schema", 5) | LOOSE)
def test_any_schema_is_fitted(schema: Json) -> None:
    """Nonsense among schemas yields some value, not a crash; called functions have arguments."""
    assert orjson.dumps(fit(schema, "text"))
    declared = {"name": "f", "parametersJsonSchema": schema}
    request = {
        "contents": [{"parts": [{"text": "f"}]}],
        "tools": [{"functionDeclarations": [declared]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }
    parts = generate("gemini-2.5-flash", request, Holdings())["candidates"][0]["content"]["parts"]
    assert isinstance(parts[-1]["functionCall"]["args"], dict)
