"""All tools of a line together: ``tools`` and ``toolConfig``.

Gemini wants one Tool object per kind: one with all functions, and one for each tool of its own.
Functions beside its own tools are possible from Gemini 3 on, with the server's steps made visible
and calls in mode VALIDATED (page "Combine built-in tools and function calling"; recorded for
3-flash); 2.5 answers 400.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_value, unsupported_value
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.tools.choice import calling_config, legacy_calling_config
from gateway.translate.tools.declarations import Declarations

_VALIDATED: Final[Json] = {"mode": "VALIDATED"}


def resolve_tools(builder: RequestBuilder, json_field: str = "response_format") -> None:
    """Write the tools that were read into the request.

    ``json_field`` names what asks for JSON on this endpoint. Errors: Refused for a choice without
    tools, and for what the model cannot combine.
    """
    declarations = _declarations(builder)
    if declarations is None and not builder.google_tools:
        return
    if "cachedContent" in builder.members:
        why = "cached content excludes instructions, tools and tool_choice in the line."
        invalid_value(why, f"{builder.google_path}.cached_content")
    if "responseMimeType" in builder.config and not builder.can.tools_with_json:
        unsupported_value("this model takes no JSON format beside tools.", json_field)
    tools = _google_tools(builder)
    if "responseMimeType" in builder.config and {"codeExecution": {}} in tools:
        # Blocks of code in front of the JSON would make it none.
        builder.echo["json"] = True
    if declarations is not None:
        calling = _calling(builder, declarations)
        if declarations.custom:
            builder.echo["custom"] = list(declarations.custom)
        tools.append(declarations.tool())
        if builder.google_tools:
            _combine(builder)
            calling = calling or _VALIDATED
        if calling is not None:
            _configure(builder, "functionCallingConfig", calling)
    builder.members["tools"] = tools


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


def _declarations(builder: RequestBuilder) -> Declarations | None:
    """The functions of the line, in the current or the older form."""
    if builder.tools is not None and builder.functions is not None:
        invalid_value("it cannot be combined with 'tools'.", "functions")
    # Each form has its own word for the choice; "auto" says nothing, nor does "none" of nothing.
    for field, choice, owner, declared, others in (
        ("tool_choice", builder.tool_choice, "tools", builder.tools, builder.functions),
        ("function_call", builder.function_call, "functions", builder.functions, builder.tools),
    ):
        idle = choice in (None, "auto") or (choice == "none" and others is None)
        if declared is None and not idle:
            invalid_value(f"it is only allowed when '{owner}' are specified.", field)
    found: Declarations | None = builder.tools or builder.functions
    return found


def _calling(builder: RequestBuilder, declarations: Declarations) -> Json | None:
    if builder.functions is None:
        return calling_config(builder.tool_choice, declarations)
    builder.echo["legacy"] = True
    return legacy_calling_config(builder.function_call, declarations)


def _combine(builder: RequestBuilder) -> None:
    if not builder.can.mixed_tools:
        _, _, param = builder.google_tools[0]
        unsupported_value("this model takes no tool of Google's beside functions.", param)
    _configure(builder, "includeServerSideToolInvocations", True)


def _configure(builder: RequestBuilder, name: str, value: object) -> None:
    builder.members.setdefault("toolConfig", {})[name] = value
