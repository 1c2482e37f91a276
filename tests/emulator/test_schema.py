"""How Google's proto-JSON is read: single rules; test_fuzz.py has the grammar as a whole."""

from typing import Any

import httpx
import pytest

from gateway.emulator.protocol.errors import ApiError
from gateway.emulator.protocol.schema import parse_body, read

Json = dict[str, Any]


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
