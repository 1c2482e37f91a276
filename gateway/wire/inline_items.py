r"""Items of a finished inline job, found in the operation's bytes without parsing the whole of it.

An operation carries all answers, twice, and with log probabilities that is hundreds of megabytes:
parsed as a whole it takes ten times its size in memory (a worker of 900 MB was killed in a
container of 1 GB). Here only the brackets are followed; each item is cut out as it is written.

::

    {"metadata":{"output":{"inlinedResponses":{"inlinedResponses":[{…},{…}]}}},
     "done":true,
     "response":{"inlinedResponses":{"inlinedResponses":[{…},{…}]}}}
"""

import re
from collections.abc import Iterator
from mmap import mmap
from typing import Final

Text = bytes | mmap
Path = tuple[bytes, ...]

# Repeats of groups are bounded: the engine remembers each of them. (Possessive ones, which it
# would not have to, are broken before Python 3.11.5 and for texts of many megabytes.)
# No two of them meet that could share a text: each expression is linear.
_PLAIN: Final = rb'[^"{}\[\]]*'
_STRING: Final = rb'"[^"\\]*"'
_FLAT: Final = rb"\{%b(?:%b%b){0,8}\}" % (_PLAIN, _STRING, _PLAIN)
# On to the next bracket or to a string with escapes; objects without either are passed over.
_RUN: Final = re.compile(rb"%b(?:(?:%b|%b)%b){0,64}" % (_PLAIN, _STRING, _FLAT, _PLAIN))
_ESCAPES: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,256}', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,\[\]{}\"]+")
_GAP: Final = re.compile(rb"[\s,]*")
_COLON: Final = re.compile(rb"\s*:\s*")

_OPENING: Final = frozenset(b"{[")
_CLOSING: Final = frozenset(b"}]")
_QUOTE: Final = ord('"')
_NOTHING: Final = -1
_LONGEST_ESCAPE: Final = 2

# Both places of the output (clients that read one alone lose results, bifrost#3951), the bare
# batch of the discovery document, and google-genai's spelling for embeddings.
_PLACES: Final[tuple[Path, ...]] = ((b"response",), (b"metadata", b"output"), (b"output",))
_SPELLINGS: Final = (b"inlinedResponses", b"inlinedEmbedContentResponses")
_ITEMS: Final = frozenset(
    (*place, spelling, b"inlinedResponses") for place in _PLACES for spelling in _SPELLINGS
)
_ON_THE_WAY: Final = frozenset(path[:end] for path in _ITEMS for end in range(len(path)))

# Members of an operation; those recorded without output have a name, metadata and `done`.
# A name alone may be that of an error: ``{"name":"BadGateway","code":502}``.
_OF_OPERATIONS: Final = frozenset({b"metadata", b"done", b"response"})
_NAME: Final = b'"batches/'


def inline_items(operation: Text) -> Iterator[bytes]:
    """Yield the result items as they are written, those of the first place that has any.

    Errors: ValueError where the text ends or breaks before the items do.
    """
    for start in _lists(operation, _after(_GAP, operation, 0), ()):
        found = False
        for item in _elements(operation, start):
            found = True
            yield item
        if found:
            return


def is_operation(text: Text) -> bool:
    """Whether a text is one JSON object, to its end, with a member that an operation has.

    Errors: ValueError where the text ends or breaks before the object does.
    """
    start = _after(_GAP, text, 0)
    if _at(text, start) != b"{" or _after(_GAP, text, _end(text, start)) != len(text):
        return False
    return any(
        name in _OF_OPERATIONS or (name == b"name" and text[value : value + len(_NAME)] == _NAME)
        for name, value in _members(text, start)
    )


def _lists(text: Text, start: int, path: Path) -> Iterator[int]:
    """Find where the lists of items begin below the value at ``start``."""
    if path in _ITEMS:
        if _at(text, start) == b"[":
            yield start
    elif path in _ON_THE_WAY and _at(text, start) == b"{":
        for name, value in _members(text, start):
            yield from _lists(text, value, (*path, name))


def _members(text: Text, start: int) -> Iterator[tuple[bytes, int]]:
    """Name and place of the value of each member of the object at ``start``."""
    place = _after(_GAP, text, start + 1)
    while _at(text, place) == b'"':
        end = _string_end(text, place)
        value = _after(_COLON, text, end)
        yield text[place + 1 : end - 1], value
        place = _after(_GAP, text, _end(text, value))
    if _at(text, place) != b"}":
        raise ValueError("an object has no end")


def _elements(text: Text, start: int) -> Iterator[bytes]:
    """Yield the elements of the list at ``start``."""
    place = _after(_GAP, text, start + 1)
    while _at(text, place) != b"]":
        end = _end(text, place)
        yield text[place:end]
        place = _after(_GAP, text, end)


def _end(text: Text, start: int) -> int:
    """Return the place behind the value at ``start``."""
    first = _at(text, start)
    if first == b'"':
        return _string_end(text, start)
    if first not in {b"{", b"["}:
        return _after(_SCALAR, text, start, least=1)
    depth, place = 0, start
    while True:
        found = text[place] if place < len(text) else _NOTHING
        if found in _OPENING:
            depth += 1
        elif found in _CLOSING:
            depth -= 1
            if not depth:
                return place + 1
        elif found == _QUOTE:
            place = _string_end(text, place) - 1
        elif found == _NOTHING:
            raise ValueError("a value has no end")
        place = _after(_RUN, text, place + 1)


def _string_end(text: Text, start: int) -> int:
    """Return the place behind the string that begins at ``start``."""
    place = start + 1
    while True:
        place = _after(_ESCAPES, text, place)
        if _at(text, place) == b'"':
            return place + 1
        if len(text) - place < _LONGEST_ESCAPE:
            raise ValueError("a string has no end")


def _after(pattern: re.Pattern[bytes], text: Text, place: int, *, least: int = 0) -> int:
    """Return the place behind what the pattern matches there; ValueError below ``least`` bytes."""
    found = pattern.match(text, place)
    end = place if found is None else found.end()
    if end - place < least:
        raise ValueError("a value is not there")
    return end


def _at(text: Text, place: int) -> bytes:
    return text[place : place + 1]
