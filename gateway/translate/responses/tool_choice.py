"""``tool_choice`` of the responses endpoint, where it also names tools that Google runs.

Gemini can be made to call functions, never to use a tool of its own: such a choice leaves only
that tool and is noted as approximated.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.function_names import gemini_name
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    quoted,
)
from gateway.translate.reading.table import FieldTable, mapped, refused
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import string

_WORDS: Final = ("none", "auto", "required")
_NAMED: Final = ("function", "custom")
_MODES: Final = ("auto", "required")
# Every object that a choice may be, by its type.
CHOICE_KINDS: Final = FieldTable(
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
    mapped("type", "function or custom"), mapped("name", "`allowedFunctionNames`")
)
ALLOWED_CHOICE: Final = FieldTable(
    mapped("type", "allowed_tools"),
    mapped("mode", "required: `ANY`; auto: `VALIDATED`"),
    mapped("tools", "`allowedFunctionNames`; tools of Google's that are not named are left out"),
)
HOSTED_CHOICE: Final = FieldTable(mapped("type", "the tool that is left"))
# OpenAI's names of tools that Google runs.
_HOSTED: Final = {
    "web_search": "googleSearch",
    "web_search_2025_08_26": "googleSearch",
    "web_search_preview": "googleSearch",
    "web_search_preview_2025_03_11": "googleSearch",
    "code_interpreter": "codeExecution",
}


def read_choice(builder: RequestBuilder) -> Json | str:
    """Reduce the choice to one among functions, drop tools it excludes; the choice to repeat."""
    choice = builder.tool_choice
    if type(choice) is str:
        return _word(choice, builder)
    if type(choice) is not dict:
        invalid_type(choice, "one of a string or object", "tool_choice")
    try:
        return _object(choice, builder)
    except Refused as refusal:
        refusal.prefixed("tool_choice")
        raise


def _word(choice: str, builder: RequestBuilder) -> str:
    if choice not in _WORDS:
        invalid_choice(choice, _WORDS, "tool_choice")
    if choice == "none":
        builder.google_tools.clear()
    if choice == "required" and builder.google_tools:
        # Functions can be forced; one of Google's own tools might have been meant as well.
        builder.note("approximated", "tool_choice")
        if builder.tools is None:
            builder.tool_choice = None
    return choice


def _object(choice: Json, builder: RequestBuilder) -> Json:
    kind = choice.get("type")
    if kind is None:
        missing("type")
    kind = CHOICE_KINDS.kind(kind)
    if kind in _NAMED:
        FUNCTION_CHOICE.check(choice)
        builder.google_tools.clear()
        return {"type": kind, "name": string(choice, "name")}
    if kind == "allowed_tools":
        return _allowed(choice, builder)
    HOSTED_CHOICE.check(choice)
    return _hosted(kind, builder)


def _hosted(kind: str, builder: RequestBuilder) -> Json:
    tool = _HOSTED[kind]
    if not _keep({tool}, builder):
        invalid_value(f"'{kind}' is not among the tools.", "type")
    builder.tools = builder.tool_choice = None
    builder.note("approximated", "tool_choice")
    # The SDK's type of an answer does not know the newest name.
    return {"type": "web_search_preview" if kind == "web_search" else kind}


def _keep(names: set[str], builder: RequestBuilder) -> bool:
    """Leave only these of Google's tools; whether there is any."""
    builder.google_tools = [tool for tool in builder.google_tools if tool[0] in names]
    return bool(builder.google_tools)


def _allowed(choice: Json, builder: RequestBuilder) -> Json:
    ALLOWED_CHOICE.check(choice)
    mode, tools = choice.get("mode"), choice.get("tools")
    if mode is None:
        missing("mode")
    if mode not in _MODES:
        invalid_choice(mode, _MODES, "mode")
    if type(tools) is not list or not tools:
        invalid_type(tools, "an array with at least one tool", "tools")
    functions: list[Json] = []
    hosted: set[str] = set()
    for index, tool in enumerate(tools):
        try:
            _allow(tool, functions, hosted, builder)
        except Refused as refusal:
            refusal.prefixed(f"tools[{index}]")
            raise
    _keep(hosted, builder)
    if hosted and mode == "required":
        builder.note("approximated", "tool_choice")
    if functions:
        builder.tool_choice = {"type": "allowed_tools", "mode": mode, "tools": functions}
    else:
        builder.tools = builder.tool_choice = None
    return {"type": "allowed_tools", "mode": mode, "tools": tools}


def _allow(tool: object, functions: list[Json], hosted: set[str], builder: RequestBuilder) -> None:
    if type(tool) is not dict:
        invalid_type(tool, "an object")
    kind = tool.get("type")
    if kind is None:
        missing("type")
    if type(kind) is str and kind in _HOSTED:
        if all(name != _HOSTED[kind] for name, _, _ in builder.google_tools):
            invalid_value(f"'{kind}' is not among the tools.", "type")
        hosted.add(_HOSTED[kind])
        return
    if kind not in _NAMED:
        invalid_choice(kind, (*_NAMED, *_HOSTED), "type")
    FUNCTION_CHOICE.check(tool)
    name = gemini_name(string(tool, "name"), "name")
    if builder.tools is None or name not in builder.tools.by_name:
        invalid_value(f"{quoted(tool['name'])} is not among the declared tools.", "name")
    functions.append(tool)
