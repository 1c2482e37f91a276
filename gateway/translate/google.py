"""Google's documented members beside OpenAI's: ``extra_body.google`` and ``google``.

The page writes ``extra_body={"extra_body": {"google": {…}}}``, which SDKs send as a member named
``extra_body``; users who nest it once send ``google``. Both mean the same.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.google_config import (
    read_civic_answers,
    read_image_config,
    read_media_resolution,
    read_response_modalities,
    read_retrieval_config,
    read_speech_config,
)
from gateway.translate.reading.google_object import UNPUBLISHED, VERTEX_ONLY
from gateway.translate.reading.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    missing,
    one_of,
    unsupported_parameter,
)
from gateway.translate.reading.table import FieldTable, Reader, mapped, refused
from gateway.translate.request.draft import Draft
from gateway.translate.request.options import read_google_top_k
from gateway.translate.request.thinking import read_thinking_config
from gateway.translate.tools.google import read_google_tools

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


def google_readers(table: FieldTable) -> tuple[Reader, Reader]:
    """The readers of ``google`` and of ``extra_body`` on an endpoint that knows these members."""

    def read_google(value: object, draft: Draft) -> None:
        _read(value, table, draft, "google")

    def read_extra_body(value: object, draft: Draft) -> None:
        if type(value) is not dict:
            invalid_type(value, "an object", "extra_body")
        try:
            for name, member in value.items():
                if name != "google":
                    EXTRA_BODY.refuse(name)
                if member is not None:
                    _read(member, table, draft, "extra_body.google")
        except Refused as refusal:
            refusal.under("extra_body")
            raise

    return read_google, read_extra_body


def _read(value: object, table: FieldTable, draft: Draft, path: str) -> None:
    """Read each member by its row; nothing is copied through."""
    if type(value) is not dict:
        invalid_type(value, "an object", "google")
    if draft.google_path:
        invalid_value("it is given twice, as 'google' and in 'extra_body'.", "google")
    draft.google, draft.google_path = value, path
    try:
        table.read(value, draft)
    except Refused as refusal:
        refusal.under("google")
        raise


def refuse_google(draft: Draft, names: Iterable[str]) -> None:
    """Refuse members that this endpoint's answers have no place for."""
    for name in names:
        if draft.google.get(name) is not None:
            why = "Answers of this endpoint have no place for it."
            unsupported_parameter(why, f"{draft.google_path}.{name}")


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

# What Google's own configuration has beside these, and OpenAI says with a field of its own.
_SAID_BY: Final = {
    "system_instruction": "a system message",
    "temperature": "`temperature`",
    "top_p": "`top_p`",
    "candidate_count": "`n`",
    "max_output_tokens": "`max_completion_tokens`",
    "stop_sequences": "`stop`",
    "response_logprobs": "`logprobs`",
    "logprobs": "`top_logprobs`",
    "presence_penalty": "`presence_penalty`",
    "frequency_penalty": "`frequency_penalty`",
    "seed": "`seed`",
    "response_mime_type": "`response_format`",
    "response_schema": "`response_format`",
    "response_json_schema": "`response_format`",
    "tool_config": "`tool_choice`",
}
_OF_THE_CLIENT: Final = (
    "http_options",
    "should_return_http_response",
    "automatic_function_calling",
    "automatic_continuation",
)
_OF_VERTEX: Final = (
    "routing_config",
    "model_selection_config",
    "model_armor_config",
    "audio_timestamp",
)
_UNPUBLISHED: Final = (
    "labels",
    "audio_transcription_config",
    "generation_output_config",
    "continuation_token",
)
GOOGLE: Final = FieldTable(
    mapped("thinking_config", "`generationConfig.thinkingConfig`", read_thinking_config),
    mapped("cached_content", "`cachedContent`", _read_cached_content),
    mapped("safety_settings", "`safetySettings`", _read_safety_settings),
    mapped("tools", "`tools`: each of Google's own as a Tool of its own", read_google_tools),
    mapped("retrieval_config", "`toolConfig.retrievalConfig`", read_retrieval_config),
    mapped("top_k", "`generationConfig.topK`", read_google_top_k),
    mapped("media_resolution", "`generationConfig.mediaResolution`", read_media_resolution),
    mapped("response_modalities", "`responseModalities`", read_response_modalities),
    mapped("speech_config", "`generationConfig.speechConfig`", read_speech_config),
    mapped("image_config", "`generationConfig.imageConfig`", read_image_config),
    mapped(
        "enable_enhanced_civic_answers",
        "`generationConfig.enableEnhancedCivicAnswers`",
        read_civic_answers,
    ),
    refused("service_tier", "A batch is a class of its own."),
    refused("store", "Where Google keeps requests is settled in its project."),
    *(
        refused(name, f"The line's own fields say it: {field} on chat lines.")
        for name, field in _SAID_BY.items()
    ),
    *(refused(name, UNPUBLISHED) for name in _UNPUBLISHED),
    *(refused(name, VERTEX_ONLY) for name in _OF_VERTEX),
    *(refused(name, "A setting of Google's client.") for name in _OF_THE_CLIENT),
)
read_google, read_extra_body = google_readers(GOOGLE)
