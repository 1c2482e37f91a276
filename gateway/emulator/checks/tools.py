"""Checks of tools and toolConfig, with the texts of the service."""

import re
from collections import Counter
from typing import Final

from gateway.emulator.checks.schema import (
    check_json_schema,
    check_openapi_schema,
    item_budget,
)
from gateway.emulator.protocol.errors import JsonObject, invalid
from gateway.emulator.resources.capabilities import ModelCapabilities

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
# Tools that Google runs.
BUILT_IN: Final = frozenset(
    {
        "codeExecution",
        "computerUse",
        "fileSearch",
        "googleMaps",
        "googleSearch",
        "googleSearchRetrieval",
        "urlContext",
    }
)
# Sum of ``maxItems`` in a function's JSON schema beyond which the service answers 400 without a
# word on why (python-genai#2170, measured on gemini-3-flash-preview).
MAX_ITEM_BUDGET: Final = 960
_JSON_TYPE: Final = "application/json"
# Calling modes that allowedFunctionNames belong to.
_CHOOSY: Final = frozenset({"ANY", "VALIDATED"})


def declarations(request: JsonObject) -> dict[str, JsonObject]:
    """Return the declared functions by name."""
    return {
        one.get("name", ""): one
        for tool in request.get("tools", [])
        for one in tool.get("functionDeclarations", [])
    }


def check_tools(capabilities: ModelCapabilities, request: JsonObject) -> None:
    """Raise ApiError 400 for the first thing a model would refuse."""
    names = [
        one.get("name", "")
        for tool in request.get("tools", [])
        for one in tool.get("functionDeclarations", [])
    ]
    _names(names)
    for at, tool in enumerate(request.get("tools", [])):
        for place, one in enumerate(tool.get("functionDeclarations", [])):
            path = f"* GenerateContentRequest.tools[{at}].function_declarations[{place}]"
            _schemas(one, path)
    _calling(capabilities, request, names)
    _together(capabilities, request, functions=bool(names))


def _names(names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise invalid(f"Duplicate function declaration found: {name}")
        if not _NAME.fullmatch(name):
            raise invalid(
                "Invalid function name. Must start with a letter or an underscore. Must be "
                "alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), "
                "with a maximum length of 128.",
            )


def _schemas(one: JsonObject, path: str) -> None:
    for plain, of_json, spoken in (
        ("parameters", "parametersJsonSchema", "parameters and parameters_json_schema"),
        ("response", "responseJsonSchema", "response and response_json_schema"),
    ):
        if plain in one and of_json in one:
            raise invalid(
                f"functionDeclaration {plain} schema of {one['name']} must be set in only one of "
                f"{spoken}.",
            )
        if plain in one:
            check_openapi_schema(one[plain], f"{path}.{plain}")
        elif of_json in one:
            check_json_schema(one[of_json])
            if item_budget(one[of_json]) > MAX_ITEM_BUDGET:
                raise invalid("Request contains an invalid argument.")


def _calling(capabilities: ModelCapabilities, request: JsonObject, names: list[str]) -> None:
    calling = request.get("toolConfig", {}).get("functionCallingConfig")
    if calling is None:
        return
    if not names and not capabilities.signs:  # some recordings of 3 accept it
        raise invalid("Function calling config is set without function_declarations.")
    allowed = calling.get("allowedFunctionNames", [])
    if allowed and calling.get("mode") not in _CHOOSY:
        raise invalid(
            "Please set allowed_function_names only when function calling mode is ANY or VALIDATED."
        )
    for name in allowed:
        if name not in names:
            raise invalid(
                f"allowed_function_names contains a function that is not declared: {name}"
            )


def _together(capabilities: ModelCapabilities, request: JsonObject, *, functions: bool) -> None:
    """Refuse combinations of Google's tools, functions and JSON."""
    built_in = any(BUILT_IN & tool.keys() for tool in request.get("tools", []))
    if built_in and functions:
        if not capabilities.mixes:
            raise invalid("Tool use with function calling is unsupported by the model.")
        if not request.get("toolConfig", {}).get("includeServerSideToolInvocations"):
            raise invalid(
                "Please enable tool_config.include_server_side_tool_invocations to use Built-in "
                "tools with Function calling.",
            )
    mime = request.get("generationConfig", {}).get("responseMimeType")
    if mime == _JSON_TYPE and not capabilities.mixes and (functions or built_in):
        kind = "Function calling" if functions else "Tool use"
        raise invalid(f"{kind} with a response mime type: '{mime}' is unsupported")
