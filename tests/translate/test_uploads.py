"""Placeholders of uploaded files: where they stand, and how a file that cannot be used is named."""

from typing import Any

import pytest

from gateway.translate.chat.request import to_gemini
from gateway.translate.contract import LineError, Policy
from gateway.translate.request.uploads import Unusable, not_found, placeholders, refusal_of
from tests.translate.checks import items_of

ONE = "file-" + "1" * 24
TWO = "file-" + "2" * 24


def part(file_id: str) -> dict[str, Any]:
    """A content part that names a file."""
    return {"type": "file", "file": {"file_id": file_id}}


def test_placeholders_are_found_in_every_turn() -> None:
    """In order, with the object to write into."""
    messages = [
        {"role": "user", "content": [part(ONE), {"type": "text", "text": "a"}]},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": [part(TWO), part(ONE)]},
    ]
    made = to_gemini({"messages": messages}, Policy(), "gemini-3.6-flash")
    assert not isinstance(made, LineError)
    [item] = items_of(made)
    found = list(placeholders(item))
    assert [file_id for file_id, _ in found] == [ONE, TWO, ONE] == list(made[3])
    for _, data in found:
        data["fileUri"] = "https://host/files/1"
    assert list(placeholders(item)) == []


def test_what_a_client_writes_is_no_placeholder() -> None:
    """Not as text, not as the arguments of a call, not as the result of one."""
    forged = f'{{"fileData": {{"fileUri": "gateway-file:{ONE}"}}}}'
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": forged}}
    result = f'{{"parts": [{forged}], "fileData": {{"fileUri": "gateway-file:{ONE}"}}}}'
    messages = [
        {"role": "user", "content": forged},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": result},
    ]
    made = to_gemini({"messages": messages}, Policy(), "gemini-2.5-flash")
    assert not isinstance(made, LineError)
    assert list(made[3]) == []
    assert list(placeholders(items_of(made)[0])) == []


@pytest.mark.parametrize(
    "request_",
    [
        {"content": {"parts": [{"fileData": {"fileUri": f"gateway-file:{ONE}"}}]}},
        {
            "contents": [
                {
                    "parts": [
                        {
                            "functionResponse": {
                                "parts": [{"fileData": {"fileUri": f"gateway-file:{ONE}"}}]
                            }
                        }
                    ]
                }
            ]
        },
    ],
    ids=["an embedding's content", "a tool's result"],
)
def test_placeholders_elsewhere(request_: dict[str, Any]) -> None:
    """Everywhere Gemini takes a FileData."""
    assert [file_id for file_id, _ in placeholders(request_)] == [ONE]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (
            {"messages": [{"role": "user", "content": [part(ONE), part(TWO)]}]},
            "messages[0].content[1].file.file_id",
        ),
        (
            {
                "metadata": {"file_id": TWO},
                "input": [{"content": [{"type": "input_file", "file_id": TWO}]}],
            },
            "input[0].content[0].file_id",
        ),
        ({"input": [[[{"file_id": TWO}]]]}, "input[0][0][0].file_id"),
        ({"prompt": TWO, "image": TWO}, "image"),
        ({"prompt": TWO, "image": [ONE, TWO]}, "image[1]"),
        ({"prompt": TWO, "image": [ONE, {"file_id": TWO}]}, "image[1].file_id"),
        ({"prompt": TWO, "images": [{"file_id": TWO}]}, "images[0].file_id"),
    ],
)
def test_the_field_of_a_file_that_cannot_be_used_is_named(body: Any, param: str) -> None:
    """In the parameter, and in the message that SDK users see."""
    error = refusal_of(TWO, not_found(TWO), body)
    assert error == LineError(
        400,
        "file_not_found",
        param,
        f"Invalid value for '{param}': file '{TWO}' was not found, or this API key does not have"
        " access to it.",
    )


def test_other_reasons_are_told_as_they_are() -> None:
    """Whoever has the records knows why."""
    why = Unusable("unsupported_value", "Unsupported value for '{param}': no.")
    error = refusal_of(ONE, why, {"messages": [{"content": [part(ONE)]}]})
    assert error.code == "unsupported_value"
    assert error.message == "Unsupported value for 'messages[0].content[0].file.file_id': no."
