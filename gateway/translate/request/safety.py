"""Safety settings: thresholds of a line and of the gateway -> ``safetySettings``."""

from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.checks import list_of, one_of, words
from gateway.translate.reading.google_object import VERTEX_ONLY
from gateway.translate.reading.refusal import invalid_value
from gateway.translate.reading.table import FieldTable, mapped, refused
from gateway.translate.request.builder import RequestBuilder

_CATEGORIES: Final = (
    "HARM_CATEGORY_CIVIC_INTEGRITY",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
)
_THRESHOLDS: Final = words(
    "BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE OFF"
)
SAFETY_SETTING: Final = FieldTable(
    "google.safety_settings[]",
    mapped("category", "`category`", one_of(*_CATEGORIES), required=True),
    mapped("threshold", "`threshold`", one_of(*_THRESHOLDS), required=True),
    refused("method", VERTEX_ONLY),
)
safety_settings: Final = list_of(SAFETY_SETTING, of="objects")


def read_safety_settings(value: list[Json], builder: RequestBuilder) -> None:
    """``[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]``, one per category."""
    named: set[str] = set()
    for index, setting in enumerate(value):
        if setting["category"] in named:
            invalid_value("this category is given twice.", f"[{index}].category")
        named.add(setting["category"])
    if value:
        builder.members["safetySettings"] = value


def resolve_safety(builder: RequestBuilder) -> None:
    """Add the gateway's own thresholds, for the categories that the line does not name."""
    given: list[Json] = builder.members.get("safetySettings", [])
    named = {setting["category"] for setting in given}
    defaults = [
        {"category": category, "threshold": threshold}
        for category, threshold in builder.policy.safety_settings.items()
        if category not in named
    ]
    if defaults:
        builder.members["safetySettings"] = given + defaults


def check_safety_settings(settings: Mapping[str, object]) -> None:
    """Whether ``{"HARM_CATEGORY_HARASSMENT": "OFF"}`` names categories and thresholds.

    Errors: ValueError that names what does not exist.
    """
    for category, threshold in settings.items():
        if category not in _CATEGORIES:
            raise ValueError(f"{category!r} is none of {', '.join(_CATEGORIES)}")
        if threshold not in _THRESHOLDS:
            raise ValueError(f"{category!r}: {threshold!r} is none of {', '.join(_THRESHOLDS)}")
