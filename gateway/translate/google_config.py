"""Members of ``google`` that become members of ``generationConfig``, and the place of a search."""

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
from gateway.translate.reading.refusal import Refused
from gateway.translate.reading.table import Reader, refused
from gateway.translate.request.draft import Draft

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

    def read(value: object, draft: Draft) -> None:
        draft.config[camel(name)] = checked(name, check, value)

    return read


def checked(name: str, check: Check, value: object) -> object:
    """A member's value, checked; a refusal names the member."""
    try:
        return check(value)
    except Refused as refusal:
        refusal.under(name)
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


def read_retrieval_config(value: object, draft: Draft) -> None:
    """``{"lat_lng": {…}}`` -> ``toolConfig.retrievalConfig``: where a search on maps is made."""
    found = checked("retrieval_config", RETRIEVAL.build, value)
    draft.members.setdefault("toolConfig", {})["retrievalConfig"] = found
