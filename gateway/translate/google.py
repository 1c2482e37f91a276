"""Google's documented extensions of OpenAI's bodies: ``extra_body.google`` and ``google``.

The page writes ``extra_body={"extra_body": {"google": {…}}}``, which SDKs send as a member named
``extra_body``; users who nest it once send ``google``. Both mean the same.
"""

from collections.abc import Iterable
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading import checks
from gateway.translate.reading.google_object import UNPUBLISHED, VERTEX_ONLY, GoogleObject, camel
from gateway.translate.reading.refusal import at, invalid_value, unsupported_parameter
from gateway.translate.reading.table import Field, FieldTable, mapped, refused
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.fields import INT32_MAX, read_google_top_k
from gateway.translate.request.safety import read_safety_settings, safety_settings
from gateway.translate.request.thinking import THINKING, read_thinking_config
from gateway.translate.tools.google import google_tools, read_google_tools

_VOICE_CONFIG: Final = "google.speech_config.voice_config"
_SPEAKERS: Final = "google.speech_config.multi_speaker_voice_config"
PREBUILT_VOICE: Final = GoogleObject(
    f"{_VOICE_CONFIG}.prebuilt_voice_config", {"voice_name": checks.nonempty}
)
VOICE: Final = GoogleObject(
    _VOICE_CONFIG,
    {"prebuilt_voice_config": PREBUILT_VOICE},
    refused("replicated_voice_config", VERTEX_ONLY),
    refused("voice", UNPUBLISHED),
)
SPEAKER: Final = GoogleObject(
    f"{_SPEAKERS}.speaker_voice_configs[]",
    {"speaker": checks.nonempty, "voice_config": VOICE},
    required=("speaker", "voice_config"),
)
SPEAKERS: Final = GoogleObject(
    _SPEAKERS,
    {"speaker_voice_configs": checks.list_of(SPEAKER, empty=False)},
    required=("speaker_voice_configs",),
)
SPEECH: Final = GoogleObject(
    "google.speech_config",
    {
        "voice_config": VOICE,
        "multi_speaker_voice_config": SPEAKERS,
        "language_code": checks.nonempty,
    },
)
IMAGE: Final = GoogleObject(
    "google.image_config",
    {"aspect_ratio": checks.nonempty, "image_size": checks.nonempty},
    refused("person_generation", VERTEX_ONLY),
    refused("prominent_people", VERTEX_ONLY),
    refused("output_mime_type", VERTEX_ONLY),
    refused("output_compression_quality", VERTEX_ONLY),
    refused("image_output_options", VERTEX_ONLY),
)
PLACE: Final = GoogleObject(
    "google.retrieval_config.lat_lng",
    {"latitude": checks.number(-90, 90), "longitude": checks.number(-180, 180)},
)
RETRIEVAL: Final = GoogleObject(
    "google.retrieval_config", {"lat_lng": PLACE, "language_code": checks.nonempty}
)


def google_rows(
    table: FieldTable[RequestBuilder], about: str = "Google's documented extensions"
) -> tuple[Field[RequestBuilder], Field[RequestBuilder]]:
    """Return the rows ``google`` and ``extra_body`` of an endpoint that knows these members."""

    def read_google(value: Json, builder: RequestBuilder) -> None:
        _read(value, table, builder, "google")

    def read_extra_body(value: Json, builder: RequestBuilder) -> None:
        member = EXTRA_BODY.check(value).get("google")
        if member is not None:
            at("google", _read, member, table, builder, "extra_body.google")

    return (
        mapped("google", about, checks.json_object, read_google),
        mapped(
            "extra_body", "the same one level further down", checks.json_object, read_extra_body
        ),
    )


def _read(
    value: object, table: FieldTable[RequestBuilder], builder: RequestBuilder, path: str
) -> None:
    """Read each member by its row; nothing is copied through."""
    if builder.google_path:
        invalid_value("it is given twice, as 'google' and in 'extra_body'.")
    builder.google, builder.google_path = checks.json_object(value), path
    table.read(value, builder, path)


def refuse_google(builder: RequestBuilder, names: Iterable[str]) -> None:
    """Refuse members that this endpoint's answers have no place for."""
    for name in names:
        if builder.google.get(name) is not None:
            why = "Answers of this endpoint have no place for it."
            unsupported_parameter(why, f"{builder.google_path}.{name}")


def _configured(name: str, check: checks.Check) -> Field[RequestBuilder]:
    """Return the row of ``media_resolution`` -> ``generationConfig.mediaResolution``."""

    def read(value: object, builder: RequestBuilder) -> None:
        builder.config[camel(name)] = value

    return mapped(name, f"`generationConfig.{camel(name)}`", check, read)


def _cached_content(value: object) -> str:
    name = checks.string(value)
    if not name.startswith("cachedContents/"):
        invalid_value("expected a name as in 'cachedContents/abc'.")
    return name


def _read_cached_content(value: str, builder: RequestBuilder) -> None:
    builder.members["cachedContent"] = value
    builder.hints["cached"] = True


def _read_retrieval_config(value: Json, builder: RequestBuilder) -> None:
    """``{"lat_lng": {…}}`` -> ``toolConfig.retrievalConfig``: where a search on maps is made."""
    builder.members.setdefault("toolConfig", {})["retrievalConfig"] = value


EXTRA_BODY: Final = FieldTable("extra_body", mapped("google", "see `google`"))

# Members of Google's GenerateContentConfig for which OpenAI has a field of its own.
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
_OF_THE_CLIENT: Final = checks.words(
    "http_options should_return_http_response automatic_function_calling automatic_continuation"
)
_OF_VERTEX: Final = checks.words(
    "routing_config model_selection_config model_armor_config audio_timestamp"
)
_UNPUBLISHED: Final = checks.words(
    "labels audio_transcription_config generation_output_config continuation_token"
)
_RESOLUTIONS: Final = ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH")
GOOGLE: Final = FieldTable(
    "google",
    mapped("thinking_config", "`generationConfig.thinkingConfig`", THINKING, read_thinking_config),
    mapped("cached_content", "`cachedContent`", _cached_content, _read_cached_content),
    mapped("safety_settings", "`safetySettings`", safety_settings, read_safety_settings),
    mapped(
        "tools",
        "`tools`: each of Google's own as a Tool of its own",
        google_tools,
        read_google_tools,
    ),
    mapped("retrieval_config", "`toolConfig.retrievalConfig`", RETRIEVAL, _read_retrieval_config),
    mapped("top_k", "`generationConfig.topK`", checks.integer(1, INT32_MAX), read_google_top_k),
    _configured("media_resolution", checks.keyword(*_RESOLUTIONS)),
    _configured(
        "response_modalities", checks.list_of(checks.keyword("TEXT", "IMAGE", "AUDIO"), empty=False)
    ),
    _configured("speech_config", SPEECH),
    _configured("image_config", IMAGE),
    _configured("enable_enhanced_civic_answers", checks.boolean),
    refused("service_tier", "A batch has its own class of service."),
    refused("store", "What Google stores is a setting of the Google project."),
    *(
        refused(name, f"The line's own fields say it: {field} on chat lines.")
        for name, field in _SAID_BY.items()
    ),
    *(refused(name, UNPUBLISHED) for name in _UNPUBLISHED),
    *(refused(name, VERTEX_ONLY) for name in _OF_VERTEX),
    *(refused(name, "A setting of Google's client.") for name in _OF_THE_CLIENT),
)
GOOGLE_ROWS: Final = google_rows(GOOGLE)
