"""Sound of an answer -> ``message.audio`` of a chat completion.

Gemini speaks raw PCM, ``audio/L16;codec=pcm;rate=24000`` (recorded), little-endian whatever RFC
2586 says of the name. OpenAI's ``pcm16`` is just that; ``wav`` gets the 44 bytes of a RIFF header.
Sound in several parts is one sound.
"""

import re
import struct
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Final

from gateway.ids import digest
from gateway.translate.answer.failure import Failure, unsupported_output
from gateway.translate.contract import Context, Json

# mimeType and base64 of one part.
Sound = tuple[str, str]

_PCM: Final = re.compile(r"audio/(l16|pcm|x-pcm)\b", re.IGNORECASE)
_PARAMETER: Final = re.compile(r";\s*(rate|channels)=(\d{1,6})", re.IGNORECASE)
_RATE: Final = 24_000
_BYTES_PER_SAMPLE: Final = 2
_WAV: Final = ("audio/wav", "audio/x-wav", "audio/wave")


def openai_audio(
    sounds: Sequence[Sound], form: str, transcript: str, choice: int, context: Context
) -> Json | Failure:
    """Render ``message.audio``; ``form`` is ``wav`` or ``pcm16``.

    ``[("audio/L16;codec=pcm;rate=24000", "AAA=")]`` -> ``{"id": "audio_…", "data": "UklGR…",
    "expires_at": …, "transcript": ""}``. It expires at once: the gateway keeps no sound for later
    turns.
    """
    data = _joined(sounds, form)
    if isinstance(data, Failure):
        return data
    name = digest("audio", context.batch_id, context.line, choice)[:24]
    return {
        "id": f"audio_{name}",
        "data": data,
        "expires_at": context.created,
        "transcript": transcript,
    }


def _joined(sounds: Sequence[Sound], form: str) -> str | Failure:
    kind, only = sounds[0]
    if any(other != kind for other, _ in sounds):
        return unsupported_output("sound of several kinds")
    if form == "wav" and kind.lower() in _WAV and len(sounds) == 1:
        return only
    parameters = {name.lower(): int(value) for name, value in _PARAMETER.findall(kind)}
    rate, channels = parameters.get("rate", _RATE), parameters.get("channels", 1)
    if not _PCM.match(kind) or (form == "pcm16" and (rate, channels) != (_RATE, 1)):
        return unsupported_output(kind)
    if form == "pcm16" and len(sounds) == 1:
        return only
    try:
        samples = b"".join(a2b_base64(data) for _, data in sounds)
    except (Base64Error, ValueError):
        return unsupported_output("sound that is not base64")
    if form == "wav":
        samples = _header(len(samples), rate, channels) + samples
    return b64encode(samples).decode()


def _header(size: int, rate: int, channels: int) -> bytes:
    """RIFF, the format, and the size of the samples that follow."""
    frame = channels * _BYTES_PER_SAMPLE
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        36 + size,
        b"WAVE",
        b"fmt ",
        16,
        1,  # PCM
        channels,
        rate,
        rate * frame,
        frame,
        8 * _BYTES_PER_SAMPLE,
        b"data",
        size,
    )
