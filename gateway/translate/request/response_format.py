"""``response_format`` -> ``responseMimeType`` and a schema."""

from typing import Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.checks import anything, member, one_of, string
from gateway.translate.reading.refusal import at
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.schemas.convert import convert

FORMAT_TYPES: Final = ("text", "json_object", "json_schema")
JSON_SCHEMA: Final = FieldTable(
    "response_format.json_schema",
    mapped("schema", "`responseSchema`; with recursion, maps or tuples `responseJsonSchema`"),
    mapped("description", "`description` of a schema that has none"),
    dropped("name", "Gemini's schemas have no names"),
    dropped("strict", "Gemini's schemas are always strict"),
)
RESPONSE_FORMAT: Final = FieldTable(
    "response_format",
    mapped("type", "`responseMimeType`", one_of(*FORMAT_TYPES), required=True),
    mapped("json_schema", "`responseSchema`", anything),
)


def read_response_format(value: Json, builder: RequestBuilder) -> None:
    """Write into ``generationConfig``.

    ``{"type": "json_schema", "json_schema": {"name": "x", "schema": {…}}}`` ->
    ``{"responseMimeType": "application/json", "responseSchema": {…}}``
    """
    if value["type"] == "text":
        return
    ask_json(builder)
    if value["type"] == "json_schema":
        at("json_schema", _read_schema, member(value, "json_schema"), builder)


def ask_json(builder: RequestBuilder) -> None:
    """Ask for JSON of any form, and for a note when the answer is none."""
    builder.config["responseMimeType"] = "application/json"
    if builder.policy.schema_check != "off":
        builder.schema = "{}"


def _read_schema(value: Json, builder: RequestBuilder) -> None:
    JSON_SCHEMA.check(value)
    # OpenAI lets the schema be absent: then any JSON will do.
    if value.get("schema") is not None:
        write_schema(value, "response_format.json_schema", builder)


def write_schema(owner: Json, field: str, builder: RequestBuilder) -> None:
    """Write ``schema`` and ``description`` of the object in ``field`` into ``generationConfig``."""
    converted = convert(owner["schema"], "schema", builder.policy.schema_mode)
    schema = converted.schema
    words = owner.get("description")
    if words is not None and at("description", string, words) and "description" not in schema:
        schema = {**schema, "description": words}
    if builder.policy.schema_check != "off":
        builder.schema = orjson.dumps(owner["schema"]).decode()
    if converted.openapi:
        builder.config["responseSchema"] = schema
    else:
        builder.config["responseJsonSchema"] = schema
    for code, path in converted.notes:
        builder.note(code, f"{field}.schema{path}")
