"""JSON Schema -> Gemini's two dialects: one converter for tools and for response formats.

``openapi``  the ``Schema`` message (``responseSchema``, ``parameters``): no references, no maps, no
             tuples; an unknown keyword is a 400. Works in batch.
``json``     JSON Schema itself (``responseJsonSchema``, ``parametersJsonSchema``): a list of
             keywords is kept, all others are ignored. Reports about batch conflict
             (ruby_llm#894: accepted, but degenerate answers).

So the mode ``auto`` takes the OpenAPI form whenever that loses nothing; the modes ``openapi`` and
``json`` take no other form than their own. Schemas are walked by position,
never by key name: a property that is called ``const`` or ``strict`` is a property.

Converting costs some 50 times what parsing does, and the lines of a batch share few schemas, so
results are remembered by the schema's own bytes. They are shared between lines: never change one.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeGuard

import orjson

from gateway.translate.contract import Json, NoteCode
from gateway.translate.reading.refusal import Refused, invalid_type, invalid_value
from gateway.translate.remembered import Remembered
from gateway.translate.schemas.json_schema import to_json_dialect
from gateway.translate.schemas.merge import flatten, inlined
from gateway.translate.schemas.openapi import to_openapi
from gateway.translate.schemas.source import (
    NotLosslessError,
    Source,
    TooLargeError,
    annotates,
    extra_of,
    types_of,
)
from gateway.units import MIB

Mode = Literal["auto", "openapi", "json"]

# Schemas above this size are not remembered, and of all together so many bytes are: what is made of
# a schema is ten times as large in memory.
_LARGEST_REMEMBERED: Final = 64 * 1024
_ROOM: Final = 8 * MIB
_TIMES: Final = 10
# Where a complaint inside a schema is cut.
_LONGEST_PATH: Final = 300


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted schema: its dialect, and notes: codes with paths inside it."""

    openapi: bool
    schema: Json
    notes: tuple[tuple[NoteCode, str], ...]


_remembered: Final[Remembered[tuple[bytes, Mode, bool], Converted]] = Remembered(_ROOM)


def convert(schema: object, param: str, mode: Mode, *, arguments: bool = False) -> Converted:
    """Convert a schema of an answer or of arguments; ``param`` names it in complaints.

    ``{"type": "object", "properties": {"a": {"type": ["integer", "null"]}}}`` ->
    ``{"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "nullable": true}}}``
    """
    if type(schema) is not dict:
        invalid_type(schema, "an object", param)
    key = written(schema, param)
    known = _remembered.get((key, mode, arguments))
    if known is not None:
        return known
    try:
        converted = _convert(schema, mode, arguments)
    except Refused as refusal:
        # The path inside a schema leads through references, so the message has it and the
        # parameter stays a field that the client can find.
        inside = refusal.param[:_LONGEST_PATH]
        refusal.message = refusal.message.replace("{param}", f"{{param}}{inside}")
        refusal.param = param
        raise
    if len(key) <= _LARGEST_REMEMBERED:
        _remembered.keep((key, mode, arguments), converted, _TIMES * len(key))
    return converted


def written(value: object, param: str) -> bytes:
    """Return the bytes a value is remembered by; what no JSON writer writes is nested too deep."""
    try:
        return orjson.dumps(value)
    except TypeError:
        invalid_value("it is nested too deep.", param)


def _convert(schema: Json, mode: Mode, arguments: bool) -> Converted:
    source = Source(schema, arguments=arguments)
    if mode != "json":
        try:
            converted = to_openapi(source, alone=mode == "openapi")
            if _too_many_items(source):
                source.note("risky", "")
            return Converted(True, converted, tuple(source.notes))
        except NotLosslessError:
            if mode == "openapi":
                why = "it says what only JSON Schema can, and this gateway sends none"
                invalid_value(f"{why} (GATEWAY_SCHEMA_MODE).")
        except TooLargeError:
            if mode == "openapi":
                raise
        source = Source(schema, arguments=arguments)
    source.note("unverified", "")
    converted = to_json_dialect(source)
    for bounded, path in source.bounded if _too_many_items(source) else ():
        del bounded["maxItems"]
        source.drop(f"{path}.maxItems")
    return Converted(False, converted, tuple(source.notes))


# Sum of ``maxItems`` in a function's JSON Schema above which Google answers 400 (python-genai#2170,
# measured on gemini-3-flash-preview); of the other dialect nothing is known.
_MOST_ITEMS: Final = 960


def _too_many_items(source: Source) -> bool:
    return source.arguments and sum(one["maxItems"] for one, _ in source.bounded) > _MOST_ITEMS


def says_nothing(schema: object) -> TypeGuard[Json]:
    """Whether a function has no parameters: ``{"type": "object", "properties": {}}`` and the like.

    Titles and descriptions, unused definitions and ``additionalProperties: {}`` declare nothing.
    """
    if type(schema) is not dict:
        return False
    try:
        source = Source(schema)
        known = flatten(inlined(schema, "", source), "", source)
        return (
            "object" in types_of({"type": "object", **known}, "")
            and not known.get("properties")
            and _adds_none(known, extra_of(known, "", source))
            and all(key in _NOTHING or annotates(key) for key in known)
        )
    except Refused:  # said by the conversion, with its path
        return False


def _adds_none(schema: Json, extra: object) -> bool:
    """Whether an object has no other properties, or any: zod writes both with no property named."""
    return extra in (None, False) or (extra == {} and "properties" in schema)


_NOTHING: Final = frozenset(
    ("type", "properties", "required", "additionalProperties", "title", "description", "nullable")
)
