"""Pictures and sound: valid, of the asked size, counted."""

import base64
import struct
import zlib
from typing import Any

import pytest

from gateway.emulator.checks.media import FACTORS, SIZES
from tests.emulator.asking import Json, ask, parts_of, texts_of
from tests.every import in_one_item

IMAGE = "gemini-2.5-flash-image"
SPEECH = "gemini-2.5-flash-preview-tts"


def inline(response: Json, kind: str) -> bytes:
    """The bytes of the one part with data, which must be of a type."""
    [blob] = [part["inlineData"] for part in parts_of(response) if "inlineData" in part]
    assert blob["mimeType"] == kind
    return base64.b64decode(blob["data"], validate=True)


def chunks(png: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG, whose checksums must be right."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = {}, 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        name, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack(">I", png[at + 8 + size : at + 12 + size])
        assert checksum == zlib.crc32(name + data)
        found[name] = data
        at += 12 + size
    return found


@in_one_item
@pytest.mark.parametrize("ratio", SIZES)
@pytest.mark.parametrize("size", FACTORS)
def test_pictures_have_the_asked_size(ratio: str, size: str) -> None:
    """The header says it, and there are as many pixels."""
    config = {"imageConfig": {"aspectRatio": ratio, "imageSize": size}}
    png = inline(ask("x", IMAGE, generationConfig=config), "image/png")
    parts = chunks(png)
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    wanted = tuple(int(side * FACTORS[size]) for side in SIZES[ratio])
    assert (width, height) == wanted
    assert (depth, colour) == (1, 3)
    assert len(zlib.decompress(parts[b"IDAT"])) == height * (1 + -(-width // 8))
    assert len(png) < 8192


def test_pictures_differ() -> None:
    """Another prompt has another colour, the same prompt the same bytes."""
    pictures = [inline(ask(text, IMAGE), "image/png") for text in ("a", "b", "a")]
    assert pictures[0] == pictures[2] != pictures[1]


@pytest.mark.parametrize(
    ("modalities", "texts", "images"),
    [(None, 1, 1), (["TEXT", "IMAGE"], 1, 1), (["IMAGE"], 0, 1), (["TEXT"], 1, 0)],
)
def test_modalities(modalities: list[str] | None, texts: int, images: int) -> None:
    """What is asked for comes, and is counted by its kind."""
    config = {} if modalities is None else {"responseModalities": modalities}
    response = ask("x", IMAGE, generationConfig=config)
    assert len(texts_of(response)) == texts
    assert len([part for part in parts_of(response) if "inlineData" in part]) == images
    details: list[Any] = response["usageMetadata"].get("candidatesTokensDetails", [])
    counted = {one["modality"]: one["tokenCount"] for one in details}
    assert counted.get("IMAGE", 0) == 1290 * images
    if images:
        assert "TEXT" not in counted  # it is in the sum only, as recorded


def test_gemini_3_signs_its_pictures() -> None:
    """Every part, as recorded."""
    parts = parts_of(ask("x", "gemini-3-pro-image-preview"))
    assert [next(iter(part)) for part in parts] == ["text", "inlineData"]
    assert all("thoughtSignature" in part for part in parts)


def test_sound() -> None:
    """24 kHz, 16 bit, as long as the text asks for, up to half a second; counted."""
    sounds = {}
    for text in ("x", "xyz", "x" * 500):
        response = ask(text, SPEECH, generationConfig={"responseModalities": ["AUDIO"]})
        data = inline(response, "audio/L16;codec=pcm;rate=24000")
        sounds[len(text)] = array = struct.unpack(f"<{len(data) // 2}h", data)
        assert max(array) > 1000
        assert min(array) < -1000
        [detail] = response["usageMetadata"]["candidatesTokensDetails"]
        assert detail == {"modality": "AUDIO", "tokenCount": -(-len(array) * 25 // 24000)}
    assert len(sounds[1]) < len(sounds[3]) < len(sounds[500]) == 12_000
