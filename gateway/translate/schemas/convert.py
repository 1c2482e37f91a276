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
from functools import lru_cache
from typing import Final, Literal, TypeGuard

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_type, invalid_value
from gateway.translate.schemas.json_schema import to_json_dialect
from gateway.translate.schemas.openapi import to_openapi
from gateway.translate.schemas.source import NotLosslessError, Source, TooLargeError

Mode = Literal["auto", "openapi", "json"]

# Schemas remembered at a time, and the size from which one is not worth the memory.
_REMEMBERED: Final = 128
_LARGEST_REMEMBERED: Final = 64 * 1024
# Where a complaint inside a schema is cut.
_LONGEST_PATH: Final = 300


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted schema: its dialect, and what was left out of it on the way."""

    openapi: bool
    schema: Json
    dropped: tuple[str, ...]


def convert(schema: object, param: str, mode: Mode) -> Converted:
    """Convert a schema; ``param`` names it in complaints.

    ``{"type": "object", "properties": {"a": {"type": ["integer", "null"]}}}`` ->
    ``{"type": "OBJECT", "properties": {"a": {"type": "INTEGER", "nullable": true}}}``
    """
    if type(schema) is not dict:
        invalid_type(schema, "an object", param)
    key = written(schema, param)
    try:
        if len(key) <= _LARGEST_REMEMBERED:
            return _remembered(key, mode)
        return _convert(schema, mode)
    except Refused as refusal:
        # The path inside a schema leads through references, so the message has it and the
        # parameter stays a field that the client can find.
        inside = refusal.param[:_LONGEST_PATH]
        refusal.message = refusal.message.replace("{param}", f"{{param}}{inside}")
        refusal.param = param
        raise


def written(value: object, param: str) -> bytes:
    """Return the bytes a value is remembered by; what no JSON writer writes is nested too deep."""
    try:
        return orjson.dumps(value)
    except TypeError:
        invalid_value("it is nested too deep.", param)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(key: bytes, mode: Mode) -> Converted:
    return _convert(orjson.loads(key), mode)


def _convert(schema: Json, mode: Mode) -> Converted:
    source = Source(schema)
    if mode != "json":
        try:
            return Converted(True, to_openapi(source), tuple(source.dropped))
        except NotLosslessError:
            if mode == "openapi":
                why = "it says what only JSON Schema can, and this gateway sends none"
                invalid_value(f"{why} (GATEWAY_SCHEMA_MODE).")
        except TooLargeError:
            if mode == "openapi":
                raise
        source = Source(schema)
    return Converted(False, to_json_dialect(source), tuple(source.dropped))


def says_nothing(schema: object) -> TypeGuard[Json]:
    """Whether the parameters of a function are none: ``{"type": "object", "properties": {}}``."""
    return (
        type(schema) is dict
        and not schema.get("properties")
        and schema.get("additionalProperties") in (None, False)
        and schema.keys() <= _NOTHING
    )


_NOTHING: Final = frozenset({"type", "properties", "required", "additionalProperties", "$schema"})
