"""OpenAI's words: what requests may say, and the exact complaints."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import NotFoundError, RequestError
from gateway.wire.openai import (
    CreateBatch,
    ListQuery,
    NewFile,
    encode_error,
    encode_page,
    parse_create_batch,
    parse_json,
    parse_list_query,
    parse_new_file,
    truncate,
)
from tests.every import in_one_item

ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")
GOOD: dict[str, Any] = {
    "input_file_id": "file-1",
    "endpoint": "/v1/embeddings",
    "completion_window": "24h",
}


def test_a_plain_create() -> None:
    """The three required members are enough."""
    assert parse_create_batch(GOOD, ENDPOINTS) == CreateBatch(
        input_file_id="file-1",
        endpoint="/v1/embeddings",
        endpoint_as_sent="/v1/embeddings",
        metadata=None,
        output_expires_after=None,
    )


def test_azures_spelling_of_an_endpoint() -> None:
    """Its examples leave the version out; what is not offered stays so, in the client's words."""
    wanted = parse_create_batch(GOOD | {"endpoint": "/chat/completions"}, ENDPOINTS)

    assert wanted.endpoint == "/v1/chat/completions"
    assert wanted.endpoint_as_sent == "/chat/completions"
    for other in ("/responses", "/images/generations", "chat/completions", "/chat/completions/"):
        with pytest.raises(RequestError, match=f"Invalid value: '{other}'"):
            parse_create_batch(GOOD | {"endpoint": other}, ENDPOINTS)


def test_a_full_create() -> None:
    """Everything at its upper limit."""
    body = GOOD | {
        "metadata": {"k" * 64: "v" * 512},
        "output_expires_after": {"anchor": "created_at", "seconds": 3600},
    }

    wanted = parse_create_batch(body, ENDPOINTS)

    assert (wanted.metadata, wanted.output_expires_after) == ({"k" * 64: "v" * 512}, 3600)


def test_null_is_not_given() -> None:
    """openai-python sends ``metadata=None`` as null."""
    body = GOOD | {"metadata": None, "output_expires_after": None}

    assert parse_create_batch(body, ENDPOINTS) == parse_create_batch(GOOD, ENDPOINTS)


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def _expiring(**members: Any) -> dict[str, Any]:
    return GOOD | {"output_expires_after": members}


# body, param, code, the message (or its beginning, when it ends with ...)
COMPLAINTS = [
    (
        _without("input_file_id"),
        "input_file_id",
        "missing_required_parameter",
        "Missing required parameter: 'input_file_id'.",
    ),
    (
        _without("endpoint"),
        "endpoint",
        "missing_required_parameter",
        "Missing required parameter: 'endpoint'.",
    ),
    (
        _without("completion_window"),
        "completion_window",
        "missing_required_parameter",
        "Missing required parameter: 'completion_window'.",
    ),
    (
        GOOD | {"input_file_id": 7},
        "input_file_id",
        "invalid_type",
        "Invalid type for 'input_file_id': expected a string, but got an integer instead.",
    ),
    (
        GOOD | {"endpoint": None},
        "endpoint",
        "invalid_type",
        "Invalid type for 'endpoint': expected a string, but got null instead.",
    ),
    (
        GOOD | {"endpoint": "/v1/nothing"},
        "endpoint",
        "invalid_value",
        (
            "Invalid value: '/v1/nothing'. Supported values are: '/v1/chat/completions' and"
            " '/v1/embeddings'. - 'endpoint'"
        ),
    ),
    (
        GOOD | {"endpoint": "/v1/videos"},
        "endpoint",
        "invalid_value",
        (
            "Invalid value: '/v1/videos'. Supported values are: '/v1/chat/completions' and"
            " '/v1/embeddings'. OpenAI's Batch API has '/v1/videos', this gateway does not:"
            " Gemini's Batch API makes no videos, and OpenAI retires this endpoint. - 'endpoint'"
        ),
    ),
    (
        GOOD | {"completion_window": "48h"},
        "completion_window",
        "invalid_value",
        "Invalid value: '48h'. Supported values are: '24h'. - 'completion_window'",
    ),
    (GOOD | {"x": 1}, "x", "unknown_parameter", "Unknown parameter: 'x'."),
    (
        GOOD | {"metadata": []},
        "metadata",
        "invalid_type",
        "Invalid type for 'metadata': expected an object, but got an array instead.",
    ),
    (
        GOOD | {"metadata": {"tags": ["a"]}},
        "metadata.tags",
        "invalid_type",
        "Invalid type for 'metadata.tags': expected a string, but got an array instead.",
    ),
    (
        GOOD | {"metadata": {"a": True}},
        "metadata.a",
        "invalid_type",
        "Invalid type for 'metadata.a': expected a string, but got a boolean instead.",
    ),
    (
        GOOD | {"metadata": {str(i): "" for i in range(17)}},
        "metadata",
        "object_above_max_properties",
        "Invalid 'metadata': too many properties. Expected an object with at most 16 ...",
    ),
    (
        GOOD | {"metadata": {"k": "a\0b"}},
        "metadata",
        None,
        "Invalid 'metadata': it holds a NUL character.",
    ),
    (
        GOOD | {"metadata": {"a\0b": ""}},
        "metadata",
        None,
        "Invalid 'metadata': it holds a NUL character.",
    ),
    (
        GOOD | {"metadata": {"k" * 65: ""}},
        "metadata",
        "property_name_above_max_length",
        (
            "Invalid property name in 'metadata': name too long. Expected a name with maximum"
            " length 64, but got a name with length 65 instead."
        ),
    ),
    (
        GOOD | {"metadata": {"k": "v" * 513}},
        "metadata.k",
        "string_above_max_length",
        (
            "Invalid 'metadata.k': string too long. Expected a string with maximum length 512, but"
            " got a string with length 513 instead."
        ),
    ),
    (
        GOOD | {"output_expires_after": 3600},
        "output_expires_after",
        "invalid_type",
        "Invalid type for 'output_expires_after': expected an object, but got an integer instead.",
    ),
    (
        _expiring(anchor="created_at"),
        "output_expires_after.seconds",
        "missing_required_parameter",
        "Missing required parameter: 'output_expires_after.seconds'.",
    ),
    (
        _expiring(anchor="now", seconds=3600),
        "output_expires_after.anchor",
        "invalid_value",
        "Invalid value: 'now'. Supported values are: 'created_at'. ...",
    ),
    (
        _expiring(anchor="created_at", seconds="3600"),
        "output_expires_after.seconds",
        "invalid_type",
        "Invalid type for 'output_expires_after.seconds': expected an integer, but got a ...",
    ),
    (
        _expiring(anchor="created_at", seconds=3600.5),
        "output_expires_after.seconds",
        "invalid_type",
        "Invalid type for 'output_expires_after.seconds': expected an integer, but got a ...",
    ),
    (
        _expiring(anchor="created_at", seconds=True),
        "output_expires_after.seconds",
        "invalid_type",
        "Invalid type for 'output_expires_after.seconds': expected an integer, but got a ...",
    ),
    (
        _expiring(anchor="created_at", seconds=3599),
        "output_expires_after.seconds",
        "integer_below_min_value",
        (
            "Invalid 'output_expires_after.seconds': integer below minimum value. Expected a value"
            " >= 3600, but got 3599 instead."
        ),
    ),
    (
        _expiring(anchor="created_at", seconds=2592001),
        "output_expires_after.seconds",
        "integer_above_max_value",
        "Invalid 'output_expires_after.seconds': integer above maximum value. ...",
    ),
    (
        _expiring(anchor="created_at", seconds=3600, more=1),
        "output_expires_after.more",
        "unknown_parameter",
        "Unknown parameter: 'output_expires_after.more'.",
    ),
    ([], None, None, "Invalid request body: expected an object, but got an array."),
    (None, None, None, "Invalid request body: expected an object, but got null."),
]


@in_one_item
@pytest.mark.parametrize(
    ("body", "param", "code", "message"), COMPLAINTS, ids=[str(c[3])[:60] for c in COMPLAINTS]
)
def test_create_complaints(body: object, param: str | None, code: str | None, message: str) -> None:
    """Status, param, code and text are OpenAI's."""
    with pytest.raises(RequestError) as caught:
        parse_create_batch(body, ENDPOINTS)

    error = caught.value
    assert (error.status, error.param, error.code) == (400, param, code)
    if message.endswith("..."):
        assert error.message.startswith(message[:-3])
    else:
        assert error.message == message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.slow
@given(
    body=json_values
    | st.fixed_dictionaries(
        {},
        optional={
            name: json_values | st.just(GOOD.get(name))
            for name in [*GOOD, "metadata", "output_expires_after"]
        },
    )
)
def test_any_json_is_a_batch_or_a_client_error(body: object) -> None:
    """Whatever was sent, the answer is ours and can be encoded."""
    answer: object = None
    try:
        parse_create_batch(body, ENDPOINTS)
    except RequestError as error:
        answer = encode_error(error)

    assert orjson.dumps(answer)


def test_three_values_are_listed_as_in_prose() -> None:
    """As OpenAI lists them, in a fixed order."""
    with pytest.raises(RequestError, match="are: '/a', '/b', and '/c'"):
        parse_create_batch(GOOD, ["/c", "/a", "/b"])


def test_long_values_are_not_repeated_in_full() -> None:
    """An answer stays small whatever was sent."""
    with pytest.raises(RequestError) as caught:
        parse_create_batch(GOOD | {"endpoint": "x" * 100_000}, ENDPOINTS)

    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"NaN",
        b'"\\ud800"',
        b"[" * 2000 + b"]" * 2000,
        b"\xff",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json(body: bytes) -> None:
    """Depth, NaN, lone surrogates and a BOM included."""
    with pytest.raises(RequestError, match="could not parse the JSON body"):
        parse_json(body)


FORMS: list[tuple[Mapping[str, str], NewFile]] = [
    ({"purpose": "batch"}, NewFile("batch", None)),
    ({"purpose": "user_data", "extra": "x"}, NewFile("user_data", None)),
    (
        {
            "purpose": "batch",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": "2592000",
        },
        NewFile("batch", 2_592_000),
    ),
]


@pytest.mark.parametrize(("fields", "expected"), FORMS)
def test_upload_fields(fields: Mapping[str, str], expected: NewFile) -> None:
    """What an upload may say beside its file."""
    assert parse_new_file(fields) == expected


EXPIRY = {"purpose": "batch", "expires_after[anchor]": "created_at"}
WRONG_FORMS = [
    ({}, "purpose", "missing_required_parameter"),
    ({"purpose": "vector_store"}, "purpose", None),
    ({"purpose": "batch_output"}, "purpose", None),
    (EXPIRY, "expires_after[seconds]", "missing_required_parameter"),
    (
        {"purpose": "batch", "expires_after[seconds]": "3600"},
        "expires_after[anchor]",
        "missing_required_parameter",
    ),
    (EXPIRY | {"expires_after[seconds]": "soon"}, "expires_after[seconds]", "invalid_type"),
    (EXPIRY | {"expires_after[seconds]": "٣٦٠٠"}, "expires_after[seconds]", "invalid_type"),
    (
        EXPIRY | {"expires_after[seconds]": "3599"},
        "expires_after[seconds]",
        "integer_below_min_value",
    ),
    (
        EXPIRY | {"expires_after[seconds]": "9" * 18},
        "expires_after[seconds]",
        "integer_above_max_value",
    ),
    (EXPIRY | {"expires_after[seconds]": "9" * 9999}, "expires_after[seconds]", "invalid_type"),
    (
        {"purpose": "batch", "expires_after[anchor]": "x", "expires_after[seconds]": "3600"},
        "expires_after[anchor]",
        "invalid_value",
    ),
]


@pytest.mark.parametrize(("fields", "param", "code"), WRONG_FORMS)
def test_upload_complaints(fields: Mapping[str, str], param: str, code: str | None) -> None:
    """Each complaint names its field."""
    with pytest.raises(RequestError) as caught:
        parse_new_file(fields)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert param in caught.value.message


def test_the_purpose_complaint_is_openais() -> None:
    """As observed, word by word."""
    with pytest.raises(RequestError) as caught:
        parse_new_file({"purpose": "vector_store"})

    assert caught.value.message == (
        "'vector_store' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision',"
        " 'evals'] - 'purpose'"
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ListQuery(20, None, ascending=False, purpose=None)),
        ({"limit": "1", "after": "a"}, ListQuery(1, "a", ascending=False, purpose=None)),
        (
            {"limit": "100", "after": "", "x": "y"},
            ListQuery(100, None, ascending=False, purpose=None),
        ),
        ({"order": "asc", "purpose": "p"}, ListQuery(20, None, ascending=True, purpose="p")),
    ],
)
def test_list_queries(query: Mapping[str, str], expected: ListQuery) -> None:
    """Defaults, bounds, empty values, and parameters nobody knows."""
    assert parse_list_query(query, sortable=True) == expected


def test_a_list_without_order_ignores_it() -> None:
    """Batches have neither order nor purpose."""
    query = parse_list_query({"order": "x", "purpose": "p"})

    assert query == ListQuery(20, None, ascending=False, purpose=None)


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ({"limit": "0"}, "limit", "integer_below_min_value"),
        ({"limit": "-5"}, "limit", "integer_below_min_value"),
        ({"limit": "101"}, "limit", "integer_above_max_value"),
        ({"limit": "ten"}, "limit", "invalid_type"),
        ({"limit": ""}, "limit", "invalid_type"),
        ({"limit": "1.5"}, "limit", "invalid_type"),
        ({"order": "up"}, "order", "invalid_value"),
    ],
)
def test_query_complaints(query: Mapping[str, str], param: str, code: str) -> None:
    """Each complaint names its parameter."""
    with pytest.raises(RequestError) as caught:
        parse_list_query(query, sortable=True)

    assert (caught.value.param, caught.value.code) == (param, code)
    assert param in caught.value.message


def test_the_envelope_has_all_four_keys() -> None:
    """Nulls included."""
    assert encode_error(NotFoundError("No.")) == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": None, "code": None}
    }


def test_pages() -> None:
    """All five members, null ids on an empty page."""
    assert encode_page([], has_more=False) == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    assert encode_page([{"id": "a"}, {"id": "b"}], has_more=True) == {
        "object": "list",
        "data": [{"id": "a"}, {"id": "b"}],
        "first_id": "a",
        "last_id": "b",
        "has_more": True,
    }


def test_shown_cuts() -> None:
    """At its limit, with a sign of it."""
    assert truncate("x" * 200) == "x" * 200
    assert truncate("x" * 201) == "x" * 200 + "…"
