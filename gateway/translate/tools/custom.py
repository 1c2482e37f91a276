"""Custom tools take free text; Gemini's functions take objects, so the text is their one member.

::

    {"type": "custom", "custom": {"name": "run"}}                           declared
    ->  {"name": "run", "parameters": {"type": "OBJECT", "properties": {"input": …}, …}}
    {"functionCall": {"name": "run", "args": {"input": "ls"}}}              called
    ->  {"id": "call_…", "type": "custom", "custom": {"name": "run", "input": "ls"}}

A grammar for the text cannot be told to Gemini and is refused.
"""

from typing import Any, Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.function_names import gemini_name
from gateway.translate.reading.refusal import (
    invalid_choice,
    invalid_type,
    missing,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, mapped, refused
from gateway.translate.request.content import string

CUSTOM: Final = FieldTable(
    mapped("name", "`name` of a function"),
    mapped("description", "`description`"),
    mapped("format", "text; a grammar is refused"),
)
_NO_GRAMMAR: Final = "Gemini cannot be held to a grammar."
CUSTOM_FORMAT: Final = FieldTable(
    mapped("type", "text only"),
    refused("grammar", _NO_GRAMMAR),
)
CUSTOM_CALL: Final = FieldTable(
    mapped("name", "`functionCall.name`"),
    mapped("input", "`functionCall.args.input`"),
)
PARAMETERS: Final[Json] = {
    "type": "OBJECT",
    "properties": {"input": {"type": "STRING"}},
    "required": ["input"],
}


def check_format(value: object) -> None:
    """Only free text is possible. Errors: Refused, relative to the format."""
    if value is None:
        return
    if type(value) is not dict:
        invalid_type(value, "an object")
    kind = value.get("type")
    if kind == "grammar":
        unsupported_value(_NO_GRAMMAR, "type")
    if kind != "text":
        invalid_choice(kind, ("text",), "type")
    CUSTOM_FORMAT.check(value)


def custom_call(call: Json) -> Json:
    """``{"name": "run", "input": "ls"}`` -> ``{"name": "run", "args": {"input": "ls"}}``."""
    CUSTOM_CALL.check(call)
    return named_input(call)


def named_input(call: Json) -> Json:
    """The same of an object that has other members too."""
    if "name" not in call:
        missing("name")
    return {"name": gemini_name(call["name"], "name"), "args": {"input": string(call, "input")}}


def input_of(arguments: str) -> str:
    """The text of a call's written arguments; whatever else Gemini gave comes as it is."""
    value: Any = orjson.loads(arguments)
    text = value.get("input") if type(value) is dict and len(value) == 1 else None
    return text if type(text) is str else arguments
