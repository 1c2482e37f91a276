"""Calls in the history and their results: ``tool_calls`` and ``tool`` messages.

Every call keeps its id on both sides: Gemini accepts foreign ids everywhere (230 recorded
requests) and needs them to tell two calls of one function apart. Identical calls stay two calls.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.checks import json_object, member, text_of
from gateway.translate.reading.function_names import gemini_name, legal_name
from gateway.translate.reading.refusal import at, each, invalid_choice, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.request import signatures
from gateway.translate.request.content import TEXT_PARTS, read_content
from gateway.translate.request.conversation import Calls, Conversation
from gateway.translate.tools.custom import CUSTOM_CALL, named_input
from gateway.wire.json_depth import brackets, depth_exceeds

TOOL_CALL: Final = FieldTable(
    "tool_calls[]",
    mapped("id", "`functionCall.id`"),
    mapped("type", "function, custom"),
    mapped("function", "`functionCall`"),
    mapped("custom", "`functionCall` with one text, `input`"),
    mapped("extra_content", "`thoughtSignature`"),
    dropped("index", "left over from streaming"),
)
FUNCTION_CALL: Final = FieldTable(
    "tool_calls[].function",
    mapped("name", "`functionCall.name`"),
    mapped("arguments", "`functionCall.args`; what is no object goes as its text, noted"),
    dropped("parsed_arguments", "made by the SDK from the arguments"),
)
# The older form has no object around it that could carry a signature.
LEGACY_CALL: Final = FieldTable(
    "function_call", *FUNCTION_CALL.rows, mapped("extra_content", "`thoughtSignature`")
)

# Arguments travel as parsed JSON, so their depth adds to the request's own; Google's parser stops
# at about 100 levels.
MAX_ARGUMENT_DEPTH: Final = 64
# Google's Struct holds doubles: a longer integer in a result would change, so it goes as text.
_LONG_INTEGER: Final = re.compile(r"\d{16}")
# Of JSON text: a string, or a number; the first so that digits inside it are no number.
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*')
_INTEGER: Final = re.compile(r"-?\d{16,}\Z")


def read_tool_calls(value: object, parts: list[Json], conversation: Conversation) -> Calls | None:
    """Append one ``functionCall`` part per call.

    ``[{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]`` ->
    ``[{"functionCall": {"id": "call_1", "name": "f", "args": {}}}]``
    """
    calls = Calls("id")
    parts += at("tool_calls", each, value, _read_tool_call, calls, conversation)
    return calls if value else None


def _read_tool_call(value: object, calls: Calls, conversation: Conversation) -> Json:
    call = json_object(value)
    kind = call.get("type", "function")
    read = _CALLS.get(kind) if type(kind) is str else None
    if read is None:
        invalid_choice(kind, _CALLS, "type")
    # With three members these are the three it must have, or one of them is missed below.
    if len(call) != 3 or "type" not in call:
        TOOL_CALL.check(call)
    if "extra_content" in call:
        signatures.note_unread(call, conversation)
    key = text_of(call, "id")
    bare, hidden = signatures.split_call_id(key)
    named = at(kind, read, member(call, kind), conversation)
    call_id = calls.id_of(key, bare)
    first = not calls.names
    calls.expect(key, {"id": call_id, "name": named["name"]})
    part: Json = {"functionCall": {"id": call_id, **named}}
    sign(part, signatures.call_signature(call, hidden), conversation, first=first)
    return part


def read_legacy_call(
    value: object, parts: list[Json], conversation: Conversation, signature: str = ""
) -> Calls:
    """``function_call`` of an assistant message: one call, paired with its result by name.

    ``signature`` is used when the call has none of its own.
    """
    call = LEGACY_CALL.check(value)
    named = named_call(call, conversation)
    calls = Calls("name")
    calls.expect(call["name"], {"name": named["name"]})
    part: Json = {"functionCall": named}
    sign(part, signatures.call_signature(call, signature), conversation, first=True)
    parts.append(part)
    return calls


def _function(function: Json, conversation: Conversation) -> Json:
    if len(function) != 2:
        FUNCTION_CALL.check(function)
    return named_call(function, conversation)


def named_call(function: Json, conversation: Conversation) -> Json:
    """``{"name": "f", "arguments": "{}"}`` -> ``{"name": "f", "args": {}}``."""
    name = called_name(function, conversation)
    text = text_of(function, "arguments")
    arguments = parsed_arguments(text)
    if arguments is None:
        # OpenAI does not read arguments, and agents go on after a broken call (LangChain keeps such
        # calls on purpose): the model sees what was written.
        conversation.note_of(function, "approximated", "arguments")
        return {"name": name, "args": {"arguments": text}}
    _note_long_integers(function, conversation)
    return {"name": name, "args": arguments}


def _custom(call: Json, conversation: Conversation) -> Json:
    CUSTOM_CALL.check(call)
    return named_input(call, called_name(call, conversation))


_CALLS: Final[Mapping[str, Callable[[Json, Conversation], Json]]] = {
    "function": _function,
    "custom": _custom,
}


def called_name(call: Json, conversation: Conversation) -> str:
    """Gemini's name of a function that was called; one that Gemini made up may be no name.

    It answers ``print(default_api.f())`` at times (cookbook#1374), and the line that goes on from
    there must not be lost for it.
    """
    name = call.get("name")
    if name is None:
        missing("name")
    legal = legal_name(name) if type(name) is str else name
    if legal != name:
        conversation.note_of(call, "approximated", "name")
    return gemini_name(legal, "name")


def sign(part: Json, signature: str, conversation: Conversation, *, first: bool) -> None:
    """Only the first of parallel calls carries a signature (recorded), so only it is excused."""
    if signature:
        part["thoughtSignature"] = signature
    elif first and conversation.can.signatures:
        part["thoughtSignature"] = signatures.FOREIGN_HISTORY


def parsed_arguments(text: str) -> Json | None:
    """``'{"city": "Ulm"}'`` -> ``{"city": "Ulm"}``; None for what is no object, or too deep a one.

    An empty text means no arguments.
    """
    if not text or text.isspace():
        return {}
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if arguments is None:
        return {}
    if type(arguments) is not dict or depth_exceeds(text, arguments, MAX_ARGUMENT_DEPTH):
        return None
    return arguments


def _note_long_integers(owner: Json, conversation: Conversation) -> None:
    """Note arguments with an integer that no double holds; ``owner`` is the object that has them.

    They must be an object for Gemini, so they cannot go as text as a result does.
    """
    text = owner["arguments"]
    if has_long_integer(text) and any(map(_changes, _TOKEN.findall(text))):
        conversation.note_of(owner, "approximated", "arguments")


def has_long_integer(text: str) -> bool:
    """Whether a text has as many digits in a row as no double holds, in a number or elsewhere."""
    return _LONG_INTEGER.search(text) is not None


def _changes(token: str) -> bool:
    """Compare as text: the longest integers are too long to be read as one."""
    return _INTEGER.match(token) is not None and f"{float(token):.0f}" != token


def result_of(message: Json, conversation: Conversation) -> Json:
    """Return the result in a message of a tool, its parts joined."""
    if "content" not in message:
        missing("content")
    content = message["content"]
    if content is None and message["role"] == "function":
        content = ""
    if type(content) is str:
        text = content
    else:
        text = "".join(part["text"] for part in read_content(content, TEXT_PARTS, conversation))
    return parsed_result(text)


def parsed_result(text: str) -> Json:
    """Return a tool's result as the object Gemini wants.

    The text of a JSON object becomes that object; anything else is wrapped: ``"12"`` ->
    ``{"output": "12"}``. Wrapped too: a ``$ref`` (inside a response it points at parts, says the
    proto), integers that a double cannot hold, and depth that no parser takes.
    """
    if text.lstrip()[:1] != "{" or '$ref"' in text:
        return {"output": text}
    long = len(text) > MAX_ARGUMENT_DEPTH
    if (long and brackets(text, MAX_ARGUMENT_DEPTH) > MAX_ARGUMENT_DEPTH) or has_long_integer(text):
        return {"output": text}
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"output": text}
    return value
