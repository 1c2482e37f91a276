"""Google's documented members beside OpenAI's: ``extra_body.google`` and ``google``.

The page writes ``extra_body={"extra_body": {"google": {…}}}``, which SDKs send as a member named
``extra_body``; users who nest it once send ``google``. Both mean the same.
"""

from collections.abc import Iterable
from typing import Final

from gateway.translate.reading.google_object import (
    UNPUBLISHED,
    VERTEX_ONLY,
    Check,
    GoogleObject,
    camel,
    decimal,
    flag,
    several,
    text,
    word,
)
from gateway.translate.reading.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    unsupported_parameter,
)
from gateway.translate.reading.table import FieldTable, Reader, mapped, refused
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.options import read_google_top_k
from gateway.translate.request.safety import read_safety_settings
from gateway.translate.request.thinking import read_thinking_config
from gateway.translate.tools.google import read_google_tools

PREBUILT_VOICE: Final = GoogleObject("prebuiltVoiceConfig", {"voice_name": text})
VOICE: Final = GoogleObject(
    "voiceConfig",
    {"prebuilt_voice_config": PREBUILT_VOICE.build},
    refused("replicated_voice_config", VERTEX_ONLY),
    refused("voice", UNPUBLISHED),
)
SPEAKER: Final = GoogleObject(
    "speakerVoiceConfigs[]",
    {"speaker": text, "voice_config": VOICE.build},
    required=("speaker", "voice_config"),
)
SPEAKERS: Final = GoogleObject(
    "multiSpeakerVoiceConfig",
    {"speaker_voice_configs": several(SPEAKER.build)},
    required=("speaker_voice_configs",),
)
SPEECH: Final = GoogleObject(
    "speechConfig",
    {
        "voice_config": VOICE.build,
        "multi_speaker_voice_config": SPEAKERS.build,
        "language_code": text,
    },
)
IMAGE: Final = GoogleObject(
    "imageConfig",
    {"aspect_ratio": text, "image_size": text},
    refused("person_generation", VERTEX_ONLY),
    refused("prominent_people", VERTEX_ONLY),
    refused("output_mime_type", VERTEX_ONLY),
    refused("output_compression_quality", VERTEX_ONLY),
    refused("image_output_options", VERTEX_ONLY),
)
PLACE: Final = GoogleObject(
    "latLng", {"latitude": decimal(-90, 90), "longitude": decimal(-180, 180)}
)
RETRIEVAL: Final = GoogleObject("retrievalConfig", {"lat_lng": PLACE.build, "language_code": text})


def config_reader(name: str, check: Check) -> Reader:
    """The reader of one member: ``media_resolution`` -> ``generationConfig.mediaResolution``."""

    def read(value: object, builder: RequestBuilder) -> None:
        builder.config[camel(name)] = checked(name, check, value)

    return read


def checked(name: str, check: Check, value: object) -> object:
    """A member's value, checked; a refusal names the member."""
    try:
        return check(value)
    except Refused as refusal:
        refusal.prefixed(name)
        raise


read_media_resolution: Final = config_reader(
    "media_resolution",
    word("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH"),
)
read_response_modalities: Final = config_reader(
    "response_modalities", several(word("TEXT", "IMAGE", "AUDIO"))
)
read_speech_config: Final = config_reader("speech_config", SPEECH.build)
read_image_config: Final = config_reader("image_config", IMAGE.build)
read_civic_answers: Final = config_reader("enable_enhanced_civic_answers", flag)


def read_retrieval_config(value: object, builder: RequestBuilder) -> None:
    """``{"lat_lng": {…}}`` -> ``toolConfig.retrievalConfig``: where a search on maps is made."""
    found = checked("retrieval_config", RETRIEVAL.build, value)
    builder.members.setdefault("toolConfig", {})["retrievalConfig"] = found


def google_readers(table: FieldTable) -> tuple[Reader, Reader]:
    """The readers of ``google`` and of ``extra_body`` on an endpoint that knows these members."""

    def read_google(value: object, builder: RequestBuilder) -> None:
        _read(value, table, builder, "google")

    def read_extra_body(value: object, builder: RequestBuilder) -> None:
        if type(value) is not dict:
            invalid_type(value, "an object", "extra_body")
        try:
            for name, member in value.items():
                if name != "google":
                    EXTRA_BODY.refuse(name)
                if member is not None:
                    _read(member, table, builder, "extra_body.google")
        except Refused as refusal:
            refusal.prefixed("extra_body")
            raise

    return read_google, read_extra_body


def _read(value: object, table: FieldTable, builder: RequestBuilder, path: str) -> None:
    """Read each member by its row; nothing is copied through."""
    if type(value) is not dict:
        invalid_type(value, "an object", "google")
    if builder.google_path:
        invalid_value("it is given twice, as 'google' and in 'extra_body'.", "google")
    builder.google, builder.google_path = value, path
    try:
        table.read(value, builder)
    except Refused as refusal:
        refusal.prefixed("google")
        raise


def refuse_google(builder: RequestBuilder, names: Iterable[str]) -> None:
    """Refuse members that this endpoint's answers have no place for."""
    for name in names:
        if builder.google.get(name) is not None:
            why = "Answers of this endpoint have no place for it."
            unsupported_parameter(why, f"{builder.google_path}.{name}")


def _read_cached_content(value: object, builder: RequestBuilder) -> None:
    if type(value) is not str:
        invalid_type(value, "a string", "cached_content")
    if not value.startswith("cachedContents/"):
        invalid_value("expected a name as in 'cachedContents/abc'.", "cached_content")
    builder.members["cachedContent"] = value


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
    mapped("safety_settings", "`safetySettings`", read_safety_settings),
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
