"""``tool_choice`` of the responses endpoint, where it also names tools that Google runs.

Gemini can be made to call functions, never to use a tool of its own: such a choice leaves only
that tool and is noted as approximated.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import json_object, text_of
from gateway.translate.reading.table import FieldTable, mapped, refused
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.tools.choice import (
    MODES,
    Choice,
    allowed_tools,
    declared,
    require_tools,
    tool_name,
    word_choice,
)

_NAMED: Final = ("function", "custom")
_MEMBERS: Final = ("type", "name")
# Every object that a choice may be, by its type.
CHOICE_KINDS: Final = FieldTable(
    "/v1/responses tool_choice",
    mapped("function", "`ANY` with `allowedFunctionNames`"),
    mapped("custom", "`ANY` with `allowedFunctionNames`"),
    mapped("allowed_tools", "`ANY` or `VALIDATED` with `allowedFunctionNames`"),
    mapped("web_search", "that tool alone; it cannot be forced, noted"),
    mapped("web_search_preview", "that tool alone; it cannot be forced, noted"),
    mapped("web_search_preview_2025_03_11", "that tool alone; it cannot be forced, noted"),
    mapped("code_interpreter", "that tool alone; it cannot be forced, noted"),
    refused("file_search", "There is no such tool here."),
    refused("computer", "There is no such tool here."),
    refused("computer_use", "There is no such tool here."),
    refused("computer_use_preview", "There is no such tool here."),
    refused("image_generation", "There is no such tool here."),
    refused("mcp", "There is no such tool here."),
    refused("programmatic_tool_calling", "There is no such tool here."),
    refused("apply_patch", "There is no such tool here."),
    refused("shell", "There is no such tool here."),
)
FUNCTION_CHOICE: Final = FieldTable(
    "/v1/responses tool_choice function",
    mapped("type", "function or custom"),
    mapped("name", "`allowedFunctionNames`"),
)
ALLOWED_CHOICE: Final = FieldTable(
    "/v1/responses tool_choice allowed_tools",
    mapped("type", "allowed_tools"),
    mapped("mode", "required: `ANY`; auto: `VALIDATED`"),
    mapped("tools", "`allowedFunctionNames`; tools of Google's that are not named are left out"),
)
HOSTED_CHOICE: Final = FieldTable(
    "/v1/responses tool_choice web_search, code_interpreter",
    mapped("type", "the tool that is left"),
)
# OpenAI's names of tools that Google runs.
_HOSTED: Final = {
    "web_search": "googleSearch",
    "web_search_2025_08_26": "googleSearch",
    "web_search_preview": "googleSearch",
    "web_search_preview_2025_03_11": "googleSearch",
    "code_interpreter": "codeExecution",
}


def resolve_choice(builder: RequestBuilder) -> Choice:
    """Read the choice of a line; ``builder.repeats`` gets what the answer repeats of it."""
    choice = builder.tool_choice
    if type(choice) is not str and type(choice) is not dict:
        refusal.invalid_type(choice, "one of a string or object", "tool_choice")
    read = refusal.at("tool_choice", _word if type(choice) is str else _object, choice, builder)
    asks_hosted = read.hosted is None or len(read.hosted) > 0
    if read.mode == "required" and asks_hosted and builder.google_tools:
        # Functions can be forced; a tool of Google's might have been meant as well.
        builder.note("approximated", "tool_choice")
        if builder.tools is None:
            return read._replace(mode="auto")
    if read.names != ():
        require_tools("tool_choice", choice, "tools", builder.tools)
    return read


def _word(choice: str, builder: RequestBuilder) -> Choice:
    builder.repeats["tool_choice"] = choice
    read = word_choice(choice)
    return read._replace(hosted=()) if read.mode == "none" else read


def _object(choice: Json, builder: RequestBuilder) -> Choice:
    if choice.get("type") is None:
        refusal.missing("type")
    kind = CHOICE_KINDS.kind(choice["type"])
    if kind in _NAMED:
        FUNCTION_CHOICE.check(choice)
        builder.repeats["tool_choice"] = {"type": kind, "name": text_of(choice, "name")}
        require_tools("", choice, "tools", builder.tools)
        return Choice("required", (tool_name(choice, _MEMBERS, kind, builder.tools),), ())
    if kind == "allowed_tools":
        return _allowed(choice, builder)
    HOSTED_CHOICE.check(choice)
    # The SDK's type of an answer does not know the newest name.
    shown = "web_search_preview" if kind == "web_search" else kind
    builder.repeats["tool_choice"] = {"type": shown}
    return Choice("required", (), (_hosted(kind, builder),))


def _hosted(kind: str, builder: RequestBuilder) -> str:
    """Gemini's name of a tool of Google's, which must be among the tools."""
    if all(name != _HOSTED[kind] for name, _, _ in builder.google_tools):
        refusal.invalid_value(f"'{kind}' is not among the tools.", "type")
    return _HOSTED[kind]


def _allowed(choice: Json, builder: RequestBuilder) -> Choice:
    mode, tools = allowed_tools(choice, ALLOWED_CHOICE)
    functions: list[str] = []
    hosted: list[str] = []
    refusal.at("tools", refusal.each, tools, _allow, functions, hosted, builder)
    builder.repeats["tool_choice"] = {"type": "allowed_tools", "mode": mode, "tools": tools}
    return Choice(MODES[mode], tuple(functions), tuple(hosted))


def _allow(value: object, functions: list[str], hosted: list[str], builder: RequestBuilder) -> None:
    tool = json_object(value)
    kind = tool.get("type")
    if kind is None:
        refusal.missing("type")
    if type(kind) is str and kind in _HOSTED:
        hosted.append(_hosted(kind, builder))
        return
    if kind not in _NAMED:
        refusal.invalid_choice(kind, (*_NAMED, *_HOSTED), "type")
    FUNCTION_CHOICE.check(tool)
    refusal.at("name", declared, text_of(tool, "name"), builder.tools)
    functions.append(tool_name(tool, _MEMBERS, kind, builder.tools))
