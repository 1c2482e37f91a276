"""``response_format`` -> ``responseMimeType`` and a schema."""

from typing import Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_choice, invalid_type, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import member
from gateway.translate.schemas.convert import convert

RESPONSE_FORMAT: Final = FieldTable(
    mapped("type", "`responseMimeType`"), mapped("json_schema", "`responseSchema`")
)
JSON_SCHEMA: Final = FieldTable(
    mapped("schema", "`responseSchema`; with recursion, maps or tuples `responseJsonSchema`"),
    mapped("description", "`description` of a schema that has none"),
    dropped("name", "Gemini's schemas have no names"),
    dropped("strict", "Gemini's schemas are always strict"),
)
_TYPES: Final = ("text", "json_object", "json_schema")


def read_response_format(value: object, builder: RequestBuilder) -> None:
    """Write into ``generationConfig``.

    ``{"type": "json_schema", "json_schema": {"name": "x", "schema": {…}}}`` ->
    ``{"responseMimeType": "application/json", "responseSchema": {…}}``
    """
    if type(value) is not dict:
        invalid_type(value, "an object", "response_format")
    try:
        if len(value) != 1:
            RESPONSE_FORMAT.check(value)
        _read(value, builder)
    except Refused as refusal:
        refusal.prefixed("response_format")
        raise


def _read(value: Json, builder: RequestBuilder) -> None:
    kind = value.get("type")
    if kind is None:
        missing("type")
    if kind not in _TYPES:
        invalid_choice(kind, _TYPES, "type")
    if kind == "text":
        return
    builder.config["responseMimeType"] = "application/json"
    if kind == "json_schema":
        description = member(value, "json_schema")
        try:
            JSON_SCHEMA.check(description)
            # OpenAI lets the schema be absent: then any JSON will do.
            if description.get("schema") is not None:
                write_schema(description, "response_format.json_schema", builder)
        except Refused as refusal:
            refusal.prefixed("json_schema")
            raise


def write_schema(owner: Json, field: str, builder: RequestBuilder) -> None:
    """``schema`` and ``description`` of the object in ``field`` into ``generationConfig``."""
    converted = convert(owner["schema"], "schema", builder.policy.schema_mode)
    schema = converted.schema
    words = owner.get("description")
    if words is not None:
        if type(words) is not str:
            invalid_type(words, "a string", "description")
        if words and "description" not in schema:
            schema = {**schema, "description": words}
    if builder.policy.schema_check != "off":
        builder.schema = orjson.dumps(owner["schema"]).decode()
    if converted.openapi:
        builder.config["responseSchema"] = schema
    else:
        builder.config["responseJsonSchema"] = schema
        builder.note("unverified", f"{field}.schema")
    for path in converted.dropped:
        builder.note("dropped", f"{field}.schema{path}")
