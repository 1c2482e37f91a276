"""Checks a JSON message against Google's discovery document, as strictly as Google's parser.

``tests/data/gemini-schema.json`` has one entry per message and field: ``string``,
``integer:int32``, ``[Part]``, ``map<any>``, or the name of another message. An unknown name is a
complaint, because Google answers 400 ``Unknown name`` for it.
"""

import base64
import binascii
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

DATA = Path(__file__).parent.parent / "data"
DOCUMENT = orjson.loads((DATA / "gemini-schema.json").read_bytes())
SCHEMAS: dict[str, dict[str, Any]] = {
    **DOCUMENT["schemas"],
    # A file inside a result is newer than the excerpt (three recordings of pydantic-ai, 200).
    "FunctionResponsePart": {
        "inlineData": {"type": "FunctionResponseBlob"},
        "fileData": {"type": "FunctionResponseFileData"},
    },
    "FunctionResponseFileData": {
        name: {"type": "string"} for name in ("mimeType", "fileUri", "displayName")
    },
    # Left out of the discovery document's excerpt: the level of one part (v1beta content.proto).
    "MediaResolution": {
        "level": {
            "type": "string",
            "enum": [
                "MEDIA_RESOLUTION_UNSPECIFIED",
                "MEDIA_RESOLUTION_LOW",
                "MEDIA_RESOLUTION_MEDIUM",
                "MEDIA_RESOLUTION_HIGH",
                "MEDIA_RESOLUTION_ULTRA_HIGH",
            ],
        }
    },
}
# The adapter names the model; proto3 takes an absent string for an empty one, and recordings have
# functions without a description and schemas of alternatives without a type.
_OPTIONAL = {"model", "description", "type"}
# Members of Part of which exactly one must be there.
_KINDS = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
}


def complaints(value: Any, message: str, path: str = "") -> list[str]:
    """Everything Google's parser would refuse in a message."""
    if not isinstance(value, dict):
        return [f"{path}: {message} is no object"]
    fields = SCHEMAS[message]
    found = [f"{path}.{name}: unknown in {message}" for name in value if name not in fields]
    for name, field in fields.items():
        if name in value:
            found += _typed(value[name], field, f"{path}.{name}")
        elif field.get("req") and name not in _OPTIONAL:
            found.append(f"{path}.{name}: required in {message}")
    if message == "Part" and len(_KINDS & value.keys()) != 1:
        found.append(f"{path}: a Part with {sorted(_KINDS & value.keys())}")
    return found


def _typed(value: Any, field: dict[str, Any], path: str) -> list[str]:
    kind = field["type"]
    if kind.startswith(("[", "map<")):
        return _several(value, field, path)
    if kind not in _SCALARS:
        return complaints(value, kind, path)
    if not _SCALARS[kind](value):
        return [f"{path}: {value!r} is no {kind}"]
    if field.get("enum") and value not in field["enum"]:
        return [f"{path}: {value!r} is none of the enum"]
    return []


def _several(value: Any, field: dict[str, Any], path: str) -> list[str]:
    """``[Part]`` and ``map<Schema>``."""
    kind = field["type"]
    if kind.startswith("["):
        if not isinstance(value, list):
            return [f"{path}: no array"]
        inner, members = kind[1:-1], dict(enumerate(value))
    else:
        if not isinstance(value, dict):
            return [f"{path}: no map"]
        inner, members = kind[4:-1], value
    return [
        text
        for key, item in members.items()
        for text in _typed(item, {**field, "type": inner}, f"{path}[{key}]")
    ]


def _integer(bits: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _bytes(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    # Google documents this word as a value that skips validation.
    if value == "skip_thought_signature_validator":
        return True
    try:
        base64.b64decode(value + "=" * (-len(value) % 4), altchars="-_", validate="-" in value)
    except binascii.Error:
        return False
    return True


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


_SCALARS: dict[str, Callable[[Any], bool]] = {
    "any": lambda _: True,
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "string:byte": _bytes,
    "string:google-datetime": _matches(r"\d{4}-\d\d-\d\dT[\d:.]{8,18}(Z|[+-]\d\d:\d\d)"),
    "string:google-duration": _matches(r"\d+(\.\d{1,9})?s"),
    "integer:int32": _integer(32),
    # proto3 reads 64-bit integers from numbers and strings.
    "string:int64": _integer(64),
    "number:float": _number,
    "number:double": _number,
}
