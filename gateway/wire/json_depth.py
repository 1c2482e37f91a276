"""The depth of JSON values: orjson reads 1,023 levels but writes only 254."""

from typing import Final

# The deepest body that is taken: the deepest schemas of real programs have a third.
MAX_DEPTH: Final = 128


def brackets(text: bytes | str) -> int:
    """Count opening brackets: no JSON text is nested deeper. Runs at C speed."""
    if isinstance(text, bytes):
        return text.count(b"{") + text.count(b"[")
    return text.count("{") + text.count("[")


def depth_of(value: object) -> int:
    """Count the levels of a JSON value, one after another, so that no depth exhausts the stack."""
    depth = 0
    level = [value]
    while level:
        depth += 1
        below: list[object] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
        level = [item for item in below if type(item) in (dict, list)]
    return depth


def depth_exceeds(text: bytes | str, value: object, limit: int) -> bool:
    """Tell whether ``value``, parsed from ``text``, is nested deeper than ``limit`` (at least 1).

    A text with no more brackets than the limit is decided without looking at the value.
    """
    return brackets(text) > limit and depth_of(value) > limit
