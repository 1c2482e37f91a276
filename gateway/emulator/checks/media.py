"""Checks of imageConfig and speechConfig: sizes, ratios and voices that exist."""

from typing import Final

from gateway.emulator.protocol.errors import JsonObject, invalid

# aspectRatio -> width and height at 1K (ai.google.dev, "Image generation").
SIZES: Final = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}
# imageSize -> factor on both sides.
FACTORS: Final = {"512": 0.5, "1K": 1.0, "2K": 2.0, "4K": 4.0}
# Names of prebuilt voices (ai.google.dev, "Speech generation"), in lower case.
VOICES: Final = frozenset(
    {
        "achernar",
        "achird",
        "algenib",
        "algieba",
        "alnilam",
        "aoede",
        "autonoe",
        "callirrhoe",
        "charon",
        "despina",
        "enceladus",
        "erinome",
        "fenrir",
        "gacrux",
        "iapetus",
        "kore",
        "laomedeia",
        "leda",
        "orus",
        "puck",
        "pulcherrima",
        "rasalgethi",
        "sadachbia",
        "sadaltager",
        "schedar",
        "sulafat",
        "umbriel",
        "vindemiatrix",
        "zephyr",
        "zubenelgenubi",
    }
)


def check_image_config(config: JsonObject) -> None:
    """Raise ApiError 400 for an unknown ratio or size."""
    place = "* GenerateContentRequest.generation_config.image_config."
    if config.get("aspectRatio", "1:1") not in SIZES:
        raise invalid(f"{place}aspect_ratio: must be one of {', '.join(SIZES)}.\n")
    if config.get("imageSize", "1K") not in FACTORS:
        raise invalid(f"{place}image_size: must be one of {', '.join(FACTORS)}.\n")


def check_speech_config(config: JsonObject) -> None:
    """Raise ApiError 400 for an unknown voice."""
    speakers = config.get("multiSpeakerVoiceConfig", {}).get("speakerVoiceConfigs", [])
    for one in [config, *speakers]:
        name = one.get("voiceConfig", {}).get("prebuiltVoiceConfig", {}).get("voiceName", "Kore")
        if name.lower() not in VOICES:
            allowed = ", ".join(sorted(VOICES))
            raise invalid(f"Voice name {name} is not supported. Allowed voice names are: {allowed}")
