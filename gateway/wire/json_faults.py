"""Faults of JSON texts that clients send: why one cannot be read, and where; never its content.

in   the error of orjson about {"a":NaN}
out  NaN at character 6 is no JSON: write null, or a string.

Only the words and the position of the parser are used, and a few characters at that position, so
that a text of any size and any malice costs no more than parsing it did. Where it is not UTF-8, of
which the parser says no more, it is decoded once.
"""

import re
from functools import lru_cache
from typing import Final

import orjson

from gateway.wire.json_depth import MAX_DEPTH

# The parser's words are fixed, and shorter than this.
MOST_WORDS: Final = 100

_PLACE: Final = re.compile(r" at (?:line [0-9,]+, )?(?:character|byte) [0-9,]+")

# What begins at the position -> what is to be said of it.
_FOUND: Final = {
    "NaN": "NaN{place} is no JSON: write null, or a string.",
    "Infinity": "Infinity{place} is no JSON: write null, or a string.",
    "None": "None{place} is Python, not JSON: write null.",
    "True": "True{place} is Python, not JSON: write true.",
    "False": "False{place} is Python, not JSON: write false.",
    "undefined": "undefined{place} is JavaScript, not JSON: write null.",
    "'": "The single quote{place} is no JSON: strings and names have double quotes.",
}
_FINDS: Final = re.compile("|".join(map(re.escape, _FOUND)))
# Part of the parser's words -> the same.
_WORDS: Final = {
    "is infinity": "The number{place} is too large for JSON readers: at most 1.8e308 is allowed.",
    "surrogate": "Half of a surrogate pair (as '\\ud83d' alone){place} is no character.",
    "depth": f"The brackets{{place}} nest too deep: at most {MAX_DEPTH} levels are allowed.",
    # orjson reserves by the length of a text: all of valid JSON has room, half of its brackets not.
    "allocate": "The brackets{place} are more than JSON of this length can have: it has been cut,"
    " or nests too deep.",
    "end of data": "The text ends{place}, before its JSON does: it has been cut, or brackets or"
    " quotes are missing.",
    "control character": "The control character{place} must be escaped, a line break as \\n.",
    "byte order mark": "The byte order mark{place} is no JSON: remove it.",
    "after document": "The JSON has ended before what is{place}: remove it, or write it on another"
    " line of a file.",
    "empty": "The text is empty{place}.",
}
_NO_UTF8: Final = "valid UTF-8"


def is_no_utf8(error: orjson.JSONDecodeError) -> bool:
    """Tell whether a text was not even decoded."""
    return _NO_UTF8 in error.msg


def json_fault(error: orjson.JSONDecodeError, text: bytes) -> str:
    """Say in a sentence what is wrong with a text, and at which character of it."""
    if is_no_utf8(error):
        return f"The text is not valid UTF-8{_bad_byte(text)}: all of it must be."
    line = f"line {error.lineno:,}, " if error.lineno > 1 else ""
    place = f" at {line}character {error.colno:,}"
    found = _FINDS.match(error.doc, error.pos)
    told = _of_words(error.msg) if found is None else _FOUND[found[0]]
    return told.replace("{place}", place)


@lru_cache(maxsize=128)  # the same fault is on every line of a file
def _of_words(words: str) -> str:
    for part, told in _WORDS.items():
        if part in words:
            return told
    return f"The parser says{{place}}: {words[:MOST_WORDS]}."


def _bad_byte(text: bytes) -> str:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return f" at byte {error.start + 1:,}"
    return ""


def without_place(message: str) -> str:
    """Return a message without the position in it: two texts have one fault at two places."""
    return _PLACE.sub("", message)
