"""Safety settings: thresholds of a line and of the gateway -> ``safetySettings``."""

from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.google_object import VERTEX_ONLY
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
)
from gateway.translate.reading.table import FieldTable, mapped, refused
from gateway.translate.request.builder import RequestBuilder

_CATEGORIES: Final = frozenset(
    (
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
    )
)


_THRESHOLDS: Final = (
    "BLOCK_LOW_AND_ABOVE",
    "BLOCK_MEDIUM_AND_ABOVE",
    "BLOCK_ONLY_HIGH",
    "BLOCK_NONE",
    "OFF",
)


SAFETY_SETTING: Final = FieldTable(
    mapped("category", "`category`"),
    mapped("threshold", "`threshold`"),
    refused("method", VERTEX_ONLY),
)


def read_safety_settings(value: object, builder: RequestBuilder) -> None:
    """``[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]``, one per category."""
    if type(value) is not list:
        invalid_type(value, "an array of objects", "safety_settings")
    settings: dict[str, Json] = {}
    for index, setting in enumerate(value):
        try:
            kept = _safety_setting(setting)
            if kept["category"] in settings:
                invalid_value("this category is given twice.", "category")
        except Refused as refusal:
            refusal.prefixed(f"safety_settings[{index}]")
            raise
        settings[kept["category"]] = kept
    if settings:
        builder.members["safetySettings"] = list(settings.values())


def resolve_safety(builder: RequestBuilder) -> None:
    """The gateway's own thresholds, for the categories that the line does not name."""
    defaults = builder.policy.safety_settings
    if not defaults:
        return
    given = builder.members.get("safetySettings", ())
    named = {setting["category"] for setting in given}
    builder.members["safetySettings"] = [
        *given,
        *(
            {"category": category, "threshold": threshold}
            for category, threshold in defaults.items()
            if category not in named
        ),
    ]


def check_safety_settings(settings: Mapping[str, object]) -> None:
    """Whether ``{"HARM_CATEGORY_HARASSMENT": "OFF"}`` names categories and thresholds.

    Errors: ValueError that names what does not exist.
    """
    for category, threshold in settings.items():
        if category not in _CATEGORIES:
            raise ValueError(f"{category!r} is none of {', '.join(sorted(_CATEGORIES))}")
        if threshold not in _THRESHOLDS:
            raise ValueError(f"{category!r}: {threshold!r} is none of {', '.join(_THRESHOLDS)}")


def _safety_setting(setting: object) -> Json:
    if type(setting) is not dict:
        invalid_type(setting, "an object")
    SAFETY_SETTING.check(setting)
    for name, words in (("category", sorted(_CATEGORIES)), ("threshold", _THRESHOLDS)):
        if setting.get(name) is None:
            missing(name)
        if setting[name] not in words:
            invalid_choice(setting[name], words, name)
    return {"category": setting["category"], "threshold": setting["threshold"]}
