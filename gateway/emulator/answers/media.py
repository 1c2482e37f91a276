"""Pictures and sound of an answer: small, valid, of the asked size, the same for a prompt.

A picture is a PNG of one colour (recorded: image/png of 2.5 Flash Image; 3 Pro Image answered
image/jpeg), a sound a tone of 24 kHz 16-bit little-endian PCM (recorded mimeType).
"""

import base64
import math
import struct
import zlib
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.emulator.checks.media import FACTORS, SIZES
from gateway.emulator.protocol.errors import JsonObject

# imageSize -> tokens (recorded: 1290 of 2.5 Flash Image).
PICTURE_TOKENS: Final = {"512": 747, "1K": 1290, "2K": 1290, "4K": 2000}
RATE: Final = 24_000
SOUND_TYPE: Final = "audio/L16;codec=pcm;rate=24000"
MAX_SECONDS: Final = 0.5
CHARACTERS_PER_SECOND: Final = 14.5
# Of a recorded sound: 111 tokens for 64 characters.
TOKENS_PER_SECOND: Final = 25
_AMPLITUDE: Final = 8000


@dataclass(frozen=True)
class Medium:
    """A part with inline data, and what it costs."""

    part: JsonObject
    tokens: int


def picture(config: JsonObject, digest: bytes) -> Medium:
    """Return an image part of the size that ``imageConfig`` asks for."""
    size = config.get("imageSize", "1K")
    width, height = (int(side * FACTORS[size]) for side in SIZES[config.get("aspectRatio", "1:1")])
    data = base64.b64encode(png(width, height, digest[:3])).decode()
    return Medium({"inlineData": {"mimeType": "image/png", "data": data}}, PICTURE_TOKENS[size])


@lru_cache(maxsize=32)
def png(width: int, height: int, colour: bytes) -> bytes:
    """Return a PNG of one RGB colour, one bit a pixel: some hundred bytes even at 4K."""
    header = struct.pack(">IIBBBBB", width, height, 1, 3, 0, 0, 0)
    rows = (b"\x00" * (1 + -(-width // 8))) * height
    chunks = ((b"IHDR", header), (b"PLTE", colour), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def sound(text: str, digest: bytes) -> Medium:
    """Return an audio part: longer for longer texts, up to half a second."""
    seconds = min(max(len(text), 1) / CHARACTERS_PER_SECOND, MAX_SECONDS)
    data = base64.b64encode(tone(220 + 4 * digest[0], int(seconds * RATE))).decode()
    tokens = math.ceil(seconds * TOKENS_PER_SECOND)
    return Medium({"inlineData": {"mimeType": SOUND_TYPE, "data": data}}, tokens)


@lru_cache(maxsize=32)
def tone(hertz: int, samples: int) -> bytes:
    """Signed 16-bit little-endian samples of a sine."""
    step = 2 * math.pi * hertz / RATE
    wave = array("h", (int(_AMPLITUDE * math.sin(step * at)) for at in range(samples)))
    if struct.pack("=h", 1) != struct.pack("<h", 1):
        wave.byteswap()
    return wave.tobytes()
