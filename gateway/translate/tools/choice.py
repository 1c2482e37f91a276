"""``tool_choice`` and the older ``function_call`` -> ``functionCallingConfig``.

AUTO is the default and left out. VALIDATED is AUTO whose calls match their schemas; recordings
show that it accepts whatever AUTO accepts, and it is the only such mode that takes names.
"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading.function_names import gemini_name
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    quoted,
    unknown_parameter,
)
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.request.content import member
from gateway.translate.tools.declarations import Declarations

_TOOL_TYPES: Final = ("function", "custom")
_CHOICE_TYPES: Final = (*_TOOL_TYPES, "allowed_tools")
NAMED_CHOICE: Final = FieldTable(
    mapped("type", "selects the kind of choice"),
    mapped("function", "`ANY` with `allowedFunctionNames`"),
    mapped("name", "the flat form of the responses endpoint"),
    mapped("allowed_tools", "`ANY` or `VALIDATED` with `allowedFunctionNames`"),
    mapped("mode", "the flat form of the responses endpoint"),
    mapped("tools", "the flat form of the responses endpoint"),
    mapped("custom", "`ANY` with `allowedFunctionNames`"),
)
ALLOWED_TOOLS: Final = FieldTable(
    mapped("mode", "required: `ANY`; auto: `VALIDATED`"),
    mapped("tools", "`allowedFunctionNames`"),
)
_MODES: Final = {"auto": "VALIDATED", "required": "ANY"}


def calling_config(choice: object, declarations: Declarations) -> Json | None:
    """Say how the model may use the declared functions.

    ``"required"`` -> ``{"mode": "ANY"}``;
    ``{"type": "function", "function": {"name": "f"}}`` ->
    ``{"mode": "ANY", "allowedFunctionNames": ["f"]}``
    """
    if choice is None or choice == "auto":
        return {"mode": "VALIDATED"} if declarations.strict else None
    if choice == "none":
        return {"mode": "NONE"}
    if choice == "required":
        return {"mode": "ANY"}
    if type(choice) is str:
        invalid_choice(choice, ("none", "auto", "required"), "tool_choice")
    if type(choice) is not dict:
        invalid_type(choice, "one of a string or object", "tool_choice")
    try:
        return _from_object(choice, declarations)
    except Refused as refusal:
        refusal.prefixed("tool_choice")
        raise


def legacy_calling_config(choice: object, declarations: Declarations) -> Json | None:
    """``function_call``: ``none``, ``auto``, or one function by name."""
    if choice is None or choice == "auto":
        return None
    if choice == "none":
        return {"mode": "NONE"}
    if type(choice) is str:
        invalid_choice(choice, ("none", "auto"), "function_call")
    if type(choice) is not dict:
        invalid_type(choice, "one of a string or object", "function_call")
    if "name" not in choice:
        missing("function_call.name")
    _refuse_more(choice, ("name",), "function_call.")
    name = _declared(choice["name"], "function_call.name", declarations)
    return {"mode": "ANY", "allowedFunctionNames": [name]}


def _from_object(choice: Json, declarations: Declarations) -> Json:
    kind = choice.get("type")
    if kind is None:
        missing("type")
    if kind not in _CHOICE_TYPES:
        invalid_choice(kind, _CHOICE_TYPES, "type")
    NAMED_CHOICE.check(choice)
    if kind == "allowed_tools":
        return _allowed(choice, declarations)
    return {"mode": "ANY", "allowedFunctionNames": [_tool(choice, kind, "", declarations)]}


def _allowed(choice: Json, declarations: Declarations) -> Json:
    """``{"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}``."""
    allowed = member(choice, "allowed_tools") if "allowed_tools" in choice else choice
    prefix = "allowed_tools." if "allowed_tools" in choice else ""
    _refuse_more(choice, ("type", "allowed_tools") if prefix else ("type", "mode", "tools"), "")
    if prefix:
        ALLOWED_TOOLS.check(allowed, "allowed_tools")
    mode = allowed.get("mode")
    if mode is None:
        missing(f"{prefix}mode")
    if type(mode) is not str or mode not in _MODES:
        invalid_choice(mode, _MODES, f"{prefix}mode")
    tools = allowed.get("tools")
    if type(tools) is not list or not tools:
        invalid_type(tools, "an array with at least one tool", f"{prefix}tools")
    names = []
    for index, tool in enumerate(tools):
        where = f"{prefix}tools[{index}]"
        if type(tool) is not dict:
            invalid_type(tool, "an object", where)
        kind = tool.get("type", "function")
        if kind not in _TOOL_TYPES:
            invalid_choice(kind, _TOOL_TYPES, f"{where}.type")
        names.append(_tool(tool, kind, f"{where}.", declarations))
    return {"mode": _MODES[mode], "allowedFunctionNames": names}


def _tool(tool: Json, kind: str, prefix: str, declarations: Declarations) -> str:
    """The name in ``{"function": {"name": "f"}}`` or in the flat ``{"name": "f"}``."""
    flat = kind not in tool and "name" in tool
    owner: Any = tool if flat else tool.get(kind)
    path = prefix if flat else f"{prefix}{kind}."
    if owner is None:
        missing(path.removesuffix("."))
    if type(owner) is not dict:
        invalid_type(owner, "an object", path.removesuffix("."))
    if "name" not in owner:
        missing(f"{path}name")
    _refuse_more(owner, ("name", "type") if flat else ("name",), path)
    if not flat:
        _refuse_more(tool, ("type", kind), prefix)
    name = _declared(owner["name"], f"{path}name", declarations)
    if (owner["name"] in declarations.custom) != (kind == "custom"):
        invalid_value(f"{quoted(owner['name'])} is a tool of another type.", f"{path}name")
    return name


def _refuse_more(owner: Json, known: Sequence[str], path: str) -> None:
    """Refuse a member that is not read here, though another kind of choice may have it."""
    for name, value in owner.items():
        if name not in known and value is not None:
            unknown_parameter(f"{path}{name}")


def _declared(value: object, param: str, declarations: Declarations) -> str:
    name = gemini_name(value, param)
    if name not in declarations.by_name:
        invalid_value(f"{quoted(value)} is not among the declared tools.", param)
    return name
