"""Google's own objects inside ``google``: snake_case for clients, camelCase for the wire.

Each is a table of its members and how each is checked, so nothing is copied through: a member or
a value that Google's parser does not know would be a 400, perhaps of a whole job.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    unknown_parameter,
)
from gateway.translate.reading.table import Field, FieldTable, mapped
from gateway.translate.request.options import integer, number

# Checks a member's value and gives what is sent; names fields relative to the member.
Check = Callable[[Any], Any]

VERTEX_ONLY: Final = "Only Vertex AI knows it."
# An unknown name makes Google refuse a request, and perhaps the whole job with it.
UNPUBLISHED: Final = "Google's published schema of the API does not have it."
# RFC 3339, and proto3's form of a duration.
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
_DURATION: Final = re.compile(r"\d{1,9}(\.\d{1,9})?s\Z", re.ASCII)


def camel(name: str) -> str:
    """``"time_range_filter"`` -> ``"timeRangeFilter"``."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


class GoogleObject(FieldTable):
    """The members of one object, by their names on our side."""

    def __init__(
        self,
        owner: str,
        checks: Mapping[str, Check],
        *refused_rows: Field,
        required: Sequence[str] = (),
    ) -> None:
        rows = (mapped(name, f"`{owner}.{camel(name)}`") for name in checks)
        super().__init__(*rows, *refused_rows)
        self._required: Final = required
        self._checks: Final = {name: (camel(name), check) for name, check in checks.items()}

    def build(self, value: object) -> Json:
        """``{"start_time": "…"}`` -> ``{"startTime": "…"}``. Errors: Refused."""
        if type(value) is not dict:
            invalid_type(value, "an object")
        self.check(value)
        for name in self._required:
            if value.get(name) is None:
                missing(name)
        built: Json = {}
        for name, (sent, check) in self._checks.items():
            member = value.get(name)
            if member is not None:
                try:
                    built[sent] = check(member)
                except Refused as refusal:
                    refusal.prefixed(name)
                    raise
        return built


def text(value: object) -> str:
    """Any string but the empty one."""
    if type(value) is not str:
        invalid_type(value, "a string")
    if not value:
        invalid_value("it is empty.")
    return value


def empty(value: object) -> Json:
    """An object that has no members yet."""
    if type(value) is not dict:
        invalid_type(value, "an object")
    for name in value:
        unknown_parameter(name)
    return {}


def flag(value: object) -> bool:
    """A boolean."""
    return value if type(value) is bool else invalid_type(value, "a boolean")


def whole(low: int, high: int) -> Check:
    """An integer of a range."""
    return lambda value: integer(value, low, high, "")


def decimal(low: float, high: float) -> Check:
    """A number of a range."""
    return lambda value: number(value, low, high, "")


def word(*words: str) -> Check:
    """One of an enum's words; case does not matter, as to Google's SDK."""

    def check(value: object) -> str:
        found = value.upper() if type(value) is str else value
        return found if found in words else invalid_choice(value, words)

    return check


def several(check: Check) -> Check:
    """An array with at least one value."""

    def check_all(value: object) -> list[Any]:
        if type(value) is not list or not value:
            invalid_type(value, "an array with at least one value")
        checked = []
        for index, item in enumerate(value):
            try:
                checked.append(check(item))
            except Refused as refusal:
                refusal.prefixed(f"[{index}]")
                raise
        return checked

    return check_all


def timestamp(value: object) -> str:
    """A moment, as in ``2026-01-31T00:00:00Z``."""
    moment = text(value)
    if not _TIMESTAMP.match(moment):
        invalid_value("expected a time as in '2026-01-31T00:00:00Z'.")
    return moment


def duration(value: object) -> str:
    """A length of time, as in ``90s``."""
    length = text(value)
    if not _DURATION.match(length):
        invalid_value("expected seconds as in '90s'.")
    return length
