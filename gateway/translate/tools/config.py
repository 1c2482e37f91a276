"""``tools`` and ``toolConfig`` of a request, from all tools of a line.

Gemini wants one Tool object per kind: one with all functions, and one for each tool of its own.
Functions together with its own tools are possible from Gemini 3 on, with the server's steps made
visible and calls in mode VALIDATED (page "Combine built-in tools and function calling"; recorded
for 3-flash); 2.5 answers 400.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.function_names import openai_name
from gateway.translate.reading.refusal import invalid_value, unsupported_value
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.tools.choice import AUTO, Choice, calling_config
from gateway.translate.tools.declarations import Declarations

_VALIDATED: Final[Json] = {"mode": "VALIDATED"}


def resolve_tools(
    builder: RequestBuilder, choice: Choice = AUTO, json_field: str = "response_format"
) -> None:
    """Write the tools that were read, and that the choice leaves, into the request.

    ``json_field`` names what asks for JSON on this endpoint. Errors: Refused for what the model
    cannot combine.
    """
    declarations: Declarations | None = (
        None if choice.names == () else builder.tools or builder.functions
    )
    if choice.hosted is not None:
        builder.google_tools = [tool for tool in builder.google_tools if tool[0] in choice.hosted]
    if declarations is None and not builder.google_tools:
        return
    if "cachedContent" in builder.members:
        why = "cached content excludes instructions, tools and tool_choice in the line."
        invalid_value(why, f"{builder.google_path}.cached_content")
    if "responseMimeType" in builder.config and not builder.can.tools_with_json:
        if choice.mode == "none":
            # Nothing may be called, so the format is all that is asked for.
            builder.note("dropped", "tools" if builder.functions is None else "functions")
            return
        _call_only(builder, choice, json_field)
    tools = _google_tools(builder)
    if "responseMimeType" in builder.config and {"codeExecution": {}} in tools:
        # Blocks of code in front of the JSON would make it none.
        builder.hints["json"] = True
    if declarations is not None:
        tools.append(declarations.tool())
        _configure_calls(builder, choice, declarations)
    builder.members["tools"] = tools


def _call_only(builder: RequestBuilder, choice: Choice, json_field: str) -> None:
    """Leave the JSON format out where the answer must be a call; else refuse it."""
    if choice.mode != "required" or builder.google_tools:
        why = "this model takes no JSON format together with tools; those from Gemini 3 on do."
        unsupported_value(why, json_field)
    for name in ("responseMimeType", "responseSchema", "responseJsonSchema"):
        builder.config.pop(name, None)
    builder.schema = ""
    builder.notes = [one for one in builder.notes if not one.field.startswith(json_field)]
    builder.note("dropped", json_field, "the answer is a call")


def _configure_calls(builder: RequestBuilder, choice: Choice, declarations: Declarations) -> None:
    calling = calling_config(choice, declarations)
    builder.hints["functions"] = list(map(openai_name, declarations.by_name))
    if builder.functions is not None:
        builder.hints["legacy"] = True
    if declarations.custom:
        builder.hints["custom"] = list(declarations.custom)
    if builder.google_tools:
        _combine(builder)
        calling = calling or _VALIDATED
    if calling is not None:
        _configure(builder, "functionCallingConfig", calling)


def _google_tools(builder: RequestBuilder) -> list[Json]:
    """One Tool object each, in the order of the line."""
    asked: dict[str, str] = {}
    tools = []
    for kind, value, param in builder.google_tools:
        if kind in asked:
            invalid_value(f"'{asked[kind]}' already asks for this tool.", param)
        asked[kind] = param
        tools.append({kind: value})
    return tools


def _combine(builder: RequestBuilder) -> None:
    if not builder.can.mixed_tools:
        _, _, param = builder.google_tools[0]
        unsupported_value("this model takes no tool of Google's together with functions.", param)
    _configure(builder, "includeServerSideToolInvocations", True)


def _configure(builder: RequestBuilder, name: str, value: object) -> None:
    builder.members.setdefault("toolConfig", {})[name] = value
