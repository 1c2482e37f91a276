"""The depth of JSON values: orjson reads 1,023 levels but writes only 254."""

from typing import Final

# The deepest body that is taken: the deepest schemas of real programs have a third.
MAX_DEPTH: Final = 128


def brackets(text: bytes | str, most: int) -> int:
    """Count opening brackets, of each kind ``most`` and one: no JSON text is nested deeper.

    By taking them out: that looks for the next one, where counting compares byte by byte and takes
    four times as long (CPython 3.11, lines of 6 KB).
    """
    left = most + 1
    if isinstance(text, bytes):
        rest = len(text.replace(b"{", b"", left)) + len(text.replace(b"[", b"", left))
    else:
        rest = len(text.replace("{", "", left)) + len(text.replace("[", "", left))
    return 2 * len(text) - rest


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
    # Each level is two characters.
    return len(text) > 2 * limit and brackets(text, limit) > limit and depth_of(value) > limit
