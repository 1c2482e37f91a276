"""Checks of JSON values: each takes a value and gives what is used of it, or refuses it.

A check names fields relative to its value, so that a row of a table says what a member may be:
``mapped("n", "…", integer(1, 128))``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import (
    each,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    unknown_parameter,
    unsupported_value,
)

Check = Callable[[Any], Any]

# RFC 3339, and proto3's form of a duration.
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
_DURATION: Final = re.compile(r"\d{1,9}(\.\d{1,9})?s\Z", re.ASCII)
_NOTHING: Final[Mapping[str, str]] = {}


def words(text: str) -> tuple[str, ...]:
    """Split a list of names, which would fill pages with one on a line."""
    return tuple(text.split())


def anything(value: object) -> object:
    """Accept any value: the reader of the object looks at it."""
    return value


def json_object(value: object) -> Json:
    """Accept any JSON object."""
    return value if type(value) is dict else invalid_type(value, "an object")


def string(value: object) -> str:
    """Accept a string, the empty one too."""
    return value if type(value) is str else invalid_type(value, "a string")


def nonempty(value: object) -> str:
    """Accept a string with at least one character."""
    return string(value) or invalid_value("it is empty.")


def boolean(value: object) -> bool:
    """Accept a boolean."""
    return value if type(value) is bool else invalid_type(value, "a boolean")


def whole(value: object) -> int:
    """Accept an integer; ``8.0`` counts as one, because JSON does not tell it from ``8``."""
    if type(value) is float and value.is_integer():
        return int(value)
    return value if type(value) is int else invalid_type(value, "an integer")


def integer(low: int, high: int) -> Callable[[object], int]:
    """Accept an integer of a range."""

    def check(value: object) -> int:
        read = whole(value)
        if not low <= read <= high:
            invalid_value(f"expected a value between {low} and {high}.")
        return read

    return check


def number(low: float, high: float) -> Callable[[object], float]:
    """Accept a number of a range; JSON's integers count as numbers, its booleans do not."""

    def check(value: object) -> float:
        if type(value) is not float and type(value) is not int:
            invalid_type(value, "a decimal")
        if not low <= value <= high:
            invalid_value(f"expected a value between {low:g} and {high:g}.")
        return value

    return check


def one_of(*words: str, refused: Mapping[str, str] = _NOTHING) -> Callable[[object], str]:
    """One of these words; ``refused`` are those that Gemini has no equivalent for, and why."""

    def check(value: object) -> str:
        if type(value) is not str or value not in words:
            if type(value) is str and value in refused:
                unsupported_value(refused[value])
            invalid_choice(value, words)
        return value

    return check


def keyword(*words: str) -> Callable[[object], str]:
    """One of the words of an enum of Google's; case does not matter, as to Google's SDK."""

    def check(value: object) -> str:
        found = value.upper() if type(value) is str else ""
        return found if found in words else invalid_choice(value, words)

    return check


def list_of(
    check: Check, *, of: str = "strings", empty: bool = True
) -> Callable[[object], list[Any]]:
    """Accept an array whose values pass a check; ``of`` says what they are, in a complaint."""

    def check_all(value: object) -> list[Any]:
        if type(value) is not list or not (value or empty):
            invalid_type(value, f"an array of {of}" if empty else _NOT_EMPTY)
        return each(value, check)

    return check_all


_NOT_EMPTY: Final = "an array with at least one value"


def only(allowed: object, why: str) -> Check:
    """Accept a boolean of which Gemini has one value."""

    def check(value: object) -> bool:
        return value if boolean(value) is allowed else unsupported_value(why)  # type: ignore[return-value]

    return check


def empty_list(why: str) -> Check:
    """Accept an array of strings that asks for nothing, because it is empty."""

    def check(value: object) -> object:
        if type(value) is not list:
            invalid_type(value, "an array of strings")
        return unsupported_value(why) if value else value

    return check


def empty_object(value: object) -> Json:
    """Accept ``{}`` only."""
    for name in json_object(value):
        unknown_parameter(name)
    return {}


def timestamp(value: object) -> str:
    """Accept a moment, as in ``2026-01-31T00:00:00Z``."""
    moment = nonempty(value)
    if not _TIMESTAMP.match(moment):
        invalid_value("expected a time as in '2026-01-31T00:00:00Z'.")
    return moment


def duration(value: object) -> str:
    """Accept a length of time, as in ``90s``."""
    length = nonempty(value)
    if not _DURATION.match(length):
        invalid_value("expected seconds as in '90s'.")
    return length


def text_of(owner: Json, name: str) -> str:
    """Return a required member that must be a string."""
    value = owner.get(name)
    if type(value) is str:
        return value
    return missing(name) if name not in owner else invalid_type(value, "a string", name)


def member(owner: Json, name: str) -> Json:
    """Return a required member that must be an object."""
    value = owner.get(name)
    if type(value) is dict:
        return value
    return missing(name) if name not in owner else invalid_type(value, "an object", name)
