"""``tool_choice`` and the older ``function_call`` -> ``functionCallingConfig``.

AUTO is the default and left out. VALIDATED is AUTO whose calls match their schemas; recordings
show that it accepts whatever AUTO accepts, and it is the only such mode that takes names.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

from gateway.translate.contract import Json
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import json_object, member, one_of
from gateway.translate.reading.function_names import gemini_name
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.tools.declarations import Declarations

Mode = Literal["auto", "none", "required"]


class Choice(NamedTuple):
    """Use that the model may make of its tools, whatever field says so."""

    mode: Mode = "auto"
    # Gemini's names of the functions that it may call; None: all that are declared.
    names: tuple[str, ...] | None = None
    # Google's own tools that stay, e.g. ``googleSearch``; None: all that are asked for.
    hosted: tuple[str, ...] | None = None


AUTO: Final = Choice()
MODES: Final[dict[str, Mode]] = {"none": "none", "auto": "auto", "required": "required"}
_allowed_mode: Final = one_of("auto", "required")
_tool_type: Final = one_of("function", "custom")
_choice_type: Final = one_of("function", "custom", "allowed_tools")
NAMED_CHOICE: Final = FieldTable(
    "tool_choice",
    mapped("type", "selects the kind of choice"),
    mapped("function", "`ANY` with `allowedFunctionNames`"),
    mapped("name", "the flat form of the responses endpoint"),
    mapped("allowed_tools", "`ANY` or `VALIDATED` with `allowedFunctionNames`"),
    mapped("mode", "the flat form of the responses endpoint"),
    mapped("tools", "the flat form of the responses endpoint"),
    mapped("custom", "`ANY` with `allowedFunctionNames`"),
)
ALLOWED_TOOLS: Final = FieldTable(
    "tool_choice.allowed_tools",
    mapped("mode", "required: `ANY`; auto: `VALIDATED`"),
    mapped("tools", "`allowedFunctionNames`"),
)


def calling_config(choice: Choice, declarations: Declarations) -> Json | None:
    """Say how the model may call the declared functions; None where the default is meant.

    ``Choice("required")`` -> ``{"mode": "ANY"}``; ``Choice("required", ("f",))`` ->
    ``{"mode": "ANY", "allowedFunctionNames": ["f"]}``
    """
    if choice.mode == "none":
        return {"mode": "NONE"}
    mode = "ANY" if choice.mode == "required" else "VALIDATED"
    if choice.names:
        return {"mode": mode, "allowedFunctionNames": list(choice.names)}
    return {"mode": mode} if choice.mode == "required" or declarations.strict else None


def word_choice(word: str, words: Sequence[str] = tuple(MODES)) -> Choice:
    """Read ``"required"`` as the choice of that mode; the field knows these ``words``."""
    return Choice(MODES[word]) if word in words else refusal.invalid_choice(word, words)


def read_choice(choice: object, declarations: Declarations) -> Choice:
    """``tool_choice`` of a chat line; one of functions leaves no tool of Google's."""
    if type(choice) is str:
        read = word_choice(choice, ("none", "auto", "required"))
        return read._replace(hosted=()) if read.mode == "none" else read
    if type(choice) is not dict:
        refusal.invalid_type(choice, "one of a string or object")
    if choice.get("type") is None:
        refusal.missing("type")
    kind = refusal.at("type", _choice_type, choice["type"])
    NAMED_CHOICE.check(choice)
    if kind == "allowed_tools":
        return _allowed(choice, declarations)
    return Choice("required", (_tool(choice, kind, declarations),), ())


def read_function_call(choice: object, declarations: Declarations) -> Choice:
    """``function_call``: ``none``, ``auto``, or one function by name."""
    if type(choice) is str:
        return word_choice(choice, ("none", "auto"))
    if type(choice) is not dict:
        refusal.invalid_type(choice, "one of a string or object")
    if "name" not in choice:
        refusal.missing("name")
    _refuse_more(choice, ("name",))
    return Choice("required", (refusal.at("name", declared, choice["name"], declarations),))


def _allowed(choice: Json, declarations: Declarations) -> Choice:
    """``{"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}``."""
    if "allowed_tools" not in choice:
        _refuse_more(choice, ("type", "mode", "tools"))
        return _allowed_tools(choice, NAMED_CHOICE, declarations)
    _refuse_more(choice, ("type", "allowed_tools"))
    owner = member(choice, "allowed_tools")
    return refusal.at("allowed_tools", _allowed_tools, owner, ALLOWED_TOOLS, declarations)


def _allowed_tools(value: Json, table: FieldTable[Any], declarations: Declarations) -> Choice:
    mode, tools = allowed_tools(value, table)
    names = refusal.at("tools", refusal.each, tools, _allowed_tool, declarations)
    return Choice(MODES[mode], tuple(names), ())


def allowed_tools(value: Json, table: FieldTable[Any]) -> tuple[str, list[Any]]:
    """Read mode and tools of a choice of some tools; the tools themselves are not looked at."""
    allowed = table.check(value)
    if allowed.get("mode") is None:
        refusal.missing("mode")
    mode = refusal.at("mode", _allowed_mode, allowed["mode"])
    tools = allowed.get("tools")
    if type(tools) is not list or not tools:
        refusal.invalid_type(tools, "an array with at least one tool", "tools")
    return mode, tools


def _allowed_tool(value: object, declarations: Declarations) -> str:
    tool = json_object(value)
    return _tool(tool, refusal.at("type", _tool_type, tool.get("type", "function")), declarations)


def _tool(tool: Json, kind: str, declarations: Declarations) -> str:
    """Return the name in ``{"function": {"name": "f"}}`` or in the flat ``{"name": "f"}``."""
    if kind not in tool and "name" in tool:
        return tool_name(tool, ("name", "type"), kind, declarations)
    owner: Any = tool.get(kind)
    if owner is None:
        refusal.missing(kind)
    name = refusal.at(kind, tool_name, owner, ("name",), kind, declarations)
    _refuse_more(tool, ("type", kind))
    return name


def tool_name(value: object, known: Sequence[str], kind: str, declarations: Declarations) -> str:
    """Gemini's name of a declared tool of a kind, which ``value`` names; ``known`` are members."""
    owner = json_object(value)
    if "name" not in owner:
        refusal.missing("name")
    _refuse_more(owner, known)
    name = refusal.at("name", declared, owner["name"], declarations)
    if (owner["name"] in declarations.custom) != (kind == "custom"):
        refusal.invalid_value(f"{refusal.quoted(owner['name'])} is a tool of another type.", "name")
    return name


def require_tools(
    field: str,
    choice: object,
    owner: str,
    declarations: Declarations | None,
    others: Declarations | None = None,
) -> None:
    """Refuse a choice in ``field`` among functions that ``owner`` does not declare.

    Without any, auto is allowed; so is none, unless ``others`` are declared in another form.
    """
    idle = choice in (None, "auto") or (choice == "none" and others is None)
    if declarations is None and not idle:
        refusal.invalid_value(f"it is only allowed when '{owner}' are specified.", field)


def _refuse_more(owner: Json, known: Sequence[str]) -> None:
    """Refuse a member that is not read here, though another kind of choice may have it."""
    for name, value in owner.items():
        if name not in known and value is not None:
            refusal.unknown_parameter(refusal.shortened(name))


def declared(value: object, declarations: Declarations | None) -> str:
    """Gemini's name of a function, which must be declared."""
    name = gemini_name(value)
    if declarations is None or name not in declarations.by_name:
        refusal.invalid_value(f"{refusal.quoted(value)} is not among the declared tools.")
    return name
