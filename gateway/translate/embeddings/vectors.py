"""Cutting the numbers of an embedding out of a result line, so that nobody parses them.

A vector of 3,072 numbers is 99 % of its line; parsing and writing it costs five times what
finding and checking its bytes does (measured). The bytes pass through as they are.
Whatever looks unusual is left to the parser.
"""

from typing import Final

import orjson

from gateway.translate.contract import AnswerHints, Json, Loads

_KEY: Final = b'"values"'
_OF_NUMBERS: Final = b"0123456789+-.eE, "
_DIGITS: Final = frozenset(b"0123456789")


def cut_vector(line: bytes) -> tuple[bytes, bytes] | None:
    """Split a result line into the line with ``null`` for its vector, and the vector.

    ``{"response":{"embedding":{"values":[0.5,1]}},"key":"1.0"}`` ->
    ``{"response":{"embedding":{"values":null}},"key":"1.0"}`` and ``[0.5,1]``; None when there is
    no vector, more than one, or anything in it but numbers.
    """
    key = line.find(_KEY)
    opening = line.find(b"[", key)
    closing = line.find(b"]", opening)
    if key < 0 or opening < 0 or closing < 0:
        return None
    after = key + len(_KEY)
    if line[after:opening].strip() != b":" or line.find(_KEY, closing) >= 0:
        return None
    if not _is_numbers(line[opening + 1 : closing]):
        return None
    shell = line[:opening] + b"null" + line[closing + 1 :]
    return shell, line[opening : closing + 1]


def _is_numbers(inside: bytes) -> bool:
    """Whether these are numbers and commas; the service's own writer sees to the rest."""
    inside = inside.strip(b" ")
    if not inside or inside[-1] not in _DIGITS or b",," in inside:
        return False
    if inside[0] not in _DIGITS and inside[:1] != b"-":
        return False
    return not inside.translate(None, _OF_NUMBERS)


def loads_vector(line: bytes) -> Json | None:
    """Parse a result line around its vector, which stays bytes; None: parse it as any other."""
    cut = cut_vector(line)
    if cut is None:
        return None
    shell, vector = cut
    try:
        result = orjson.loads(shell)
        embedding = result["response"]["embedding"]
        if embedding["values"] is not None:
            return None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    embedding["values"] = vector
    return result  # type: ignore[no-any-return]  # a JSON object: it has members by name


def quick_loads(hints: AnswerHints) -> Loads | None:
    """:func:`loads_vector` where numbers pass through; to pack or scale them they are parsed."""
    return None if hints.get("base64") or hints.get("normalise") else loads_vector
