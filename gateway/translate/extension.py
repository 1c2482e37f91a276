"""Google's documented members beside OpenAI's: ``extra_body.google`` and ``google``.

The page writes ``extra_body={"extra_body": {"google": {…}}}``, which SDKs send as a member named
``extra_body``; users who nest it once send ``google``. Both mean the same.
"""

from collections.abc import Mapping
from typing import Final

from gateway.translate.draft import Draft
from gateway.translate.fields import FieldTable, mapped, refused
from gateway.translate.refusal import Refused, invalid_type, invalid_value, missing, one_of
from gateway.translate.sampling import read_top_k
from gateway.translate.shapes import Json
from gateway.translate.thinking import read_thinking_config

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
    refused("method", "Only Vertex AI knows it."),
)


def read_extra_body(value: object, draft: Draft) -> None:
    """``{"google": {…}}``."""
    if type(value) is not dict:
        invalid_type(value, "an object", "extra_body")
    try:
        for name, member in value.items():
            if name != "google":
                EXTRA_BODY.refuse(name)
            if member is not None:
                read_google(member, draft)
    except Refused as refusal:
        refusal.under("extra_body")
        raise


def read_google(value: object, draft: Draft) -> None:
    """Read each member by its row; nothing is copied through."""
    if type(value) is not dict:
        invalid_type(value, "an object", "google")
    if draft.extended:
        invalid_value("it is given twice, here and in extra_body.", "google")
    draft.extended = True
    try:
        GOOGLE.read(value, draft)
    except Refused as refusal:
        refusal.under("google")
        raise


def _read_cached_content(value: object, draft: Draft) -> None:
    if type(value) is not str:
        invalid_type(value, "a string", "cached_content")
    if not value.startswith("cachedContents/"):
        invalid_value("expected a name as in 'cachedContents/abc'.", "cached_content")
    draft.members["cachedContent"] = value


def _read_safety_settings(value: object, draft: Draft) -> None:
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
            refusal.under(f"safety_settings[{index}]")
            raise
        settings[kept["category"]] = kept
    if settings:
        draft.members["safetySettings"] = list(settings.values())


def close_safety(draft: Draft) -> None:
    """The gateway's own thresholds, for the categories that the line does not name."""
    defaults = draft.policy.safety_settings
    if not defaults:
        return
    given = draft.members.get("safetySettings", ())
    named = {setting["category"] for setting in given}
    draft.members["safetySettings"] = [
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
            one_of(setting[name], words, name)
    return {"category": setting["category"], "threshold": setting["threshold"]}


EXTRA_BODY: Final = FieldTable(mapped("google", "see `google`"))
_NOT_YET: Final = "It is not translated yet."
GOOGLE: Final = FieldTable(
    mapped("thinking_config", "`generationConfig.thinkingConfig`", read_thinking_config),
    mapped("cached_content", "`cachedContent`", _read_cached_content),
    mapped("safety_settings", "`safetySettings`", _read_safety_settings),
    mapped("top_k", "`generationConfig.topK`", read_top_k),
    refused("tools", _NOT_YET),
    refused("media_resolution", _NOT_YET),
    refused("response_modalities", _NOT_YET),
    refused("speech_config", _NOT_YET),
    refused("image_config", _NOT_YET),
    refused("labels", _NOT_YET),
)
