"""Why a client's JSON cannot be read: each fault with its place, none with its content."""

import orjson
import pytest

from gateway.errors import RequestError
from gateway.wire.json_faults import json_fault, without_place
from gateway.wire.openai import parse_json


def told(text: bytes) -> str:
    """What is said of it."""
    with pytest.raises(orjson.JSONDecodeError) as failed:
        orjson.loads(text)
    return json_fault(failed.value, text)


FAULTS = [
    (b'{"a":NaN}', "NaN at character 6 is no JSON: write null, or a string."),
    (b'{"a":Infinity}', "Infinity at character 6 is no JSON: write null, or a string."),
    (b'{"a":-Infinity}', "Infinity at character 7 is no JSON: write null, or a string."),
    (b'{"a":None}', "None at character 6 is Python, not JSON: write null."),
    (b'{"a":True}', "True at character 6 is Python, not JSON: write true."),
    (b'{"a":undefined}', "undefined at character 6 is JavaScript, not JSON: write null."),
    (
        b"{'a':1}",
        "The single quote at character 2 is no JSON: strings and names have double quotes.",
    ),
    (
        b"[-1e999]",
        "The number at character 2 is too large for JSON readers: at most 1.8e308 is allowed.",
    ),
    (
        b'["\\ud83d"]',
        "Half of a surrogate pair (as '\\ud83d' alone) at character 3 is no character.",
    ),
    (
        b'["\\ude00"]',
        "Half of a surrogate pair (as '\\ud83d' alone) at character 3 is no character.",
    ),
    (
        b'["\\ud83d\\ud83d"]',
        "Half of a surrogate pair (as '\\ud83d' alone) at character 3 is no character.",
    ),
    (b"[" * 2000, "The brackets at character 1,026 nest too deep: at most 128 levels are allowed."),
    (
        b'{"a": "secret',
        (
            "The text ends at character 14, before its JSON does: it has been cut, or brackets or"
            " quotes are missing."
        ),
    ),
    (b'["a\tb"]', "The control character at character 4 must be escaped, a line break as \\n."),
    (b"\xef\xbb\xbf{}", "The byte order mark at character 1 is no JSON: remove it."),
    (
        b"{} {}",
        (
            "The JSON has ended before what is at character 4: remove it, or write it on another"
            " line of a file."
        ),
    ),
    (b"", "The text is empty at character 1."),
    (b" \n", "The text is empty at character 1."),
    (
        '["é\U0001f600",\n\n "é", tru]'.encode(),
        "The parser says at line 3, character 7: invalid literal, expected 'true'.",
    ),
    (b'["secret\xff"]', "The text is not valid UTF-8 at byte 9: all of it must be."),
    (b"[1,]", "The parser says at character 3: trailing comma is not allowed."),
]


@pytest.mark.parametrize(("text", "words"), FAULTS)
def test_each_fault_has_its_place(text: bytes, words: str) -> None:
    """The first character is 1, as editors count."""
    assert told(text) == words
    with pytest.raises(RequestError) as failed:
        parse_json(text)
    assert failed.value.message == (
        f"We could not parse the JSON body of your request: it is not valid JSON. {words}"
    )


WITHIN = [(text, words) for text, words in FAULTS if text.startswith((b"[", b'{"'))]


@pytest.mark.parametrize(("text", "words"), WITHIN)
def test_a_fault_without_its_place_is_the_same_anywhere(text: bytes, words: str) -> None:
    """Behind so much that the position is longer; nothing of the text is repeated."""
    later = told(b'["%b", %b' % (b"x" * 9_999_999, text))
    assert without_place(later) == without_place(words)
    assert len(later) < 200
    assert "secret" not in later


def test_brackets_without_ends() -> None:
    """The parser has no room for them, which is no lack of memory."""
    error = orjson.JSONDecodeError("failed to allocate memory", "[" * 1100, 638)
    assert json_fault(error, b"[" * 1100).startswith("The brackets at character 639 are more than")


def test_words_of_a_model_are_no_place() -> None:
    """Nothing else is taken out of a message."""
    assert (
        without_place("The model at hand has 5 characters.")
        == "The model at hand has 5 characters."
    )
