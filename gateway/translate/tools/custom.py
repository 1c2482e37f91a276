"""Custom tools take free text; Gemini's functions take objects, so the text is their one member.

::

    {"type": "custom", "custom": {"name": "run"}}                           declared
    ->  {"name": "run", "parameters": {"type": "OBJECT", "properties": {"input": …}, …}}
    {"functionCall": {"name": "run", "args": {"input": "ls"}}}              called
    ->  {"id": "call_…", "type": "custom", "custom": {"name": "run", "input": "ls"}}    a chat's
    ->  {"type": "custom_tool_call", "input": "ls", …}                          a Response's item

Gemini has no equivalent of a grammar for the text, so one is refused.
"""

from typing import Any, Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.checks import json_object, one_of, text_of
from gateway.translate.reading.refusal import at
from gateway.translate.reading.table import FieldTable, mapped, refused

CUSTOM: Final = FieldTable(
    "tools[].custom",
    mapped("name", "`name` of a function"),
    mapped("description", "`description`"),
    mapped("format", "text; a grammar is refused"),
)
_NO_GRAMMAR: Final = "Gemini cannot be held to a grammar."
CUSTOM_FORMAT: Final = FieldTable(
    "tools[].custom.format", mapped("type", "text only"), refused("grammar", _NO_GRAMMAR)
)
CUSTOM_CALL: Final = FieldTable(
    "tool_calls[].custom",
    mapped("name", "`functionCall.name`"),
    mapped("input", "`functionCall.args.input`"),
)
PARAMETERS: Final[Json] = {
    "type": "OBJECT",
    "properties": {"input": {"type": "STRING"}},
    "required": ["input"],
}


_format_type: Final = one_of("text", refused={"grammar": _NO_GRAMMAR})


def check_format(value: object) -> None:
    """Only free text is possible. Errors: Refused."""
    at("type", _format_type, json_object(value).get("type"))
    CUSTOM_FORMAT.check(value)


def named_input(call: Json, name: str) -> Json:
    """``{"name": "run", "input": "ls"}`` -> ``{"name": "run", "args": {"input": "ls"}}``."""
    return {"name": name, "args": {"input": text_of(call, "input")}}


def chat_call(call: Json) -> Json:
    """Rewrite a call of a function: the text goes where a function has its arguments."""
    function = call["function"]
    custom = {"name": function["name"], "input": _input_of(function["arguments"])}
    rest = {name: value for name, value in call.items() if name != "function"}
    return {**rest, "type": "custom", "custom": custom}


def response_item(arguments: str) -> Json:
    """Begin the item of a call, whose ``call_id`` and ``name`` are those of any call."""
    return {"type": "custom_tool_call", "input": _input_of(arguments)}


def _input_of(arguments: str) -> str:
    """Return the text of a call's written arguments; whatever else Gemini gave comes as it is."""
    value: Any = orjson.loads(arguments)
    text = value.get("input") if type(value) is dict and len(value) == 1 else None
    return text if type(text) is str else arguments
