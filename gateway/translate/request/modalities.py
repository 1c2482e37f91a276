"""Modalities of an answer: text, images or speech, and the voice and format of speech.

Gemini's speech models answer in nothing but speech, as raw PCM: 16 bits, 24 kHz, one channel. That
is OpenAI's ``pcm16``; ``wav`` is the same behind a header (:mod:`gateway.translate.answer.audio`).
The gateway compresses no sound, so the other formats are refused.
"""

import re
from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.checks import list_of, one_of, string
from gateway.translate.reading.refusal import invalid_value, missing, unsupported_value
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.request.builder import RequestBuilder

FORMATS: Final = ("wav", "pcm16")
COMPRESSED: Final = ("aac", "mp3", "flac", "opus")
MODALITIES: Final = ("text", "audio", "image")
_NOT_COMPRESSED: Final = "Gemini's sound is not compressed: 'wav' or 'pcm16'."

modalities: Final = list_of(one_of(*MODALITIES))

# OpenAI's voices and those of Gemini that come near them in kind (page "Speech generation" names
# Gemini's: firm, upbeat, breezy, bright, gravelly, warm …).
VOICES: Final = {
    "alloy": "Kore",
    "ash": "Charon",
    "ballad": "Enceladus",
    "cedar": "Alnilam",
    "coral": "Aoede",
    "echo": "Iapetus",
    "fable": "Puck",
    "marin": "Leda",
    "nova": "Laomedeia",
    "onyx": "Algenib",
    "sage": "Sulafat",
    "shimmer": "Zephyr",
    "verse": "Fenrir",
}
_VOICE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")


def voice_config(name: str) -> Json:
    """``"Kore"`` -> ``{"prebuiltVoiceConfig": {"voiceName": "Kore"}}``."""
    return {"prebuiltVoiceConfig": {"voiceName": name}}


def read_modalities(value: list[str], builder: RequestBuilder) -> None:
    """``["text", "image"]`` -> ``["TEXT", "IMAGE"]``; text alone is the default.

    OpenAI's speech comes with a transcript, so it asks for both; Gemini's speech models have none.
    """
    if "audio" in value and "image" in value:
        unsupported_value("no model answers in sound and images at once.")
    if "audio" in value:
        builder.modalities = ["AUDIO"]
    else:
        builder.modalities = ["TEXT", "IMAGE"] if "image" in value else []


def _voice(value: object) -> str:
    if type(value) is dict:
        unsupported_value("voices made at OpenAI are not known to Gemini.")
    return string(value)


def _choose_voice(value: str, builder: RequestBuilder) -> None:
    """Choose the voice that a setting names, one that comes near, or one of Gemini's."""
    builder.voice = builder.policy.voices.get(value.lower()) or VOICES.get(value.lower(), value)
    if value.lower() in builder.policy.voices:
        return
    if value.lower() in VOICES:
        builder.note("approximated", "audio.voice", builder.voice)
    elif not _VOICE.match(value):
        invalid_value("expected the name of a voice as in 'alloy' or 'Kore'.")


def read_audio(value: Json, builder: RequestBuilder) -> None:
    """``{"voice": "alloy", "format": "wav"}``, kept until it is known whether the model speaks."""
    builder.audio_format = value["format"]


AUDIO: Final = FieldTable(
    "audio",
    mapped(
        "voice",
        "`speechConfig`: Gemini's voice that comes near, or one of Gemini's by name",
        _voice,
        _choose_voice,
        required=True,
    ),
    mapped(
        "format",
        "pcm16, wav; Gemini's sound is not compressed, so the others are refused",
        one_of(*FORMATS, refused=dict.fromkeys(COMPRESSED, _NOT_COMPRESSED)),
        required=True,
    ),
)


def check_voices(voices: Mapping[str, str]) -> None:
    """Whether ``{"alloy": "Charon"}`` names voices, OpenAI's as a line is compared with them.

    Errors: ValueError that names what is no voice.
    """
    for name, voice in voices.items():
        if name != name.lower():
            raise ValueError(f"{name!r} is not in lower case")
        if not _VOICE.match(voice):
            raise ValueError(f"{name!r}: {voice!r} is not the name of a voice")


def resolve_modalities(builder: RequestBuilder) -> None:
    """Put together what OpenAI's fields and Google's own members say."""
    config = builder.config
    if builder.modalities is not None:
        if "responseModalities" in config:
            invalid_value("it cannot be combined with google.response_modalities.", "modalities")
        if builder.modalities:
            config["responseModalities"] = builder.modalities
    elif builder.can.speaks:
        # Models that speak refuse to answer in anything else.
        config.setdefault("responseModalities", ["AUDIO"])
    speech = "AUDIO" in config.get("responseModalities", ())
    if not builder.audio_format:
        if speech and builder.modalities:
            missing("audio")
    elif not speech:
        builder.note("dropped", "audio")
    else:
        builder.hints["audio"] = builder.audio_format
        if "speechConfig" in config:
            invalid_value("it cannot be combined with google.speech_config.", "audio.voice")
        config["speechConfig"] = {"voiceConfig": voice_config(builder.voice)}
