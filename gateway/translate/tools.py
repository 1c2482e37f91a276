"""``tools`` and the older ``functions`` -> one Tool with all ``functionDeclarations``."""

from typing import Final

from gateway.translate.draft import Draft
from gateway.translate.fields import FieldTable, mapped, refused
from gateway.translate.names import gemini_name
from gateway.translate.parts import member
from gateway.translate.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    missing,
    one_of,
    quoted,
    unsupported_value,
)
from gateway.translate.schema import convert, says_nothing
from gateway.translate.shapes import Json

TOOL: Final = FieldTable(
    mapped("type", "function only"),
    mapped("function", "`functionDeclarations`"),
    refused("custom", "Gemini has no tools with free-form input."),
)
FUNCTION: Final = FieldTable(
    mapped("name", "`name`; one that begins with a digit or dash is renamed there and back"),
    mapped("description", "`description`"),
    mapped("parameters", "`parameters`; with recursion, maps or tuples `parametersJsonSchema`"),
    mapped("strict", "with tool_choice auto, mode `VALIDATED`"),
)
LEGACY_FUNCTION: Final = FieldTable(
    mapped("name", "`name`"),
    mapped("description", "`description`"),
    mapped("parameters", "`parameters` or `parametersJsonSchema`"),
)
# OpenAI's limit.
MAX_TOOLS: Final = 128


class Declarations:
    """The functions a line declares."""

    def __init__(self) -> None:
        self.by_name: dict[str, Json] = {}
        self.strict = False

    def add(self, function: Json, table: FieldTable, field: str, draft: Draft) -> None:
        """Declare one function; ``field`` names it in notes."""
        table.check(function)
        if function.get("name") is None:
            missing("name")
        name = gemini_name(function["name"], "name")
        if name in self.by_name:
            invalid_value(f"{quoted(function['name'])} is declared twice.", "name")
        declaration: Json = {"name": name}
        words = function.get("description")
        if words is not None:
            if type(words) is not str:
                invalid_type(words, "a string", "description")
            declaration["description"] = words
        self._parameters(function.get("parameters"), declaration, field, draft)
        strict = function.get("strict")
        if strict is not None and type(strict) is not bool:
            invalid_type(strict, "a boolean", "strict")
        self.strict = self.strict or strict is True
        self.by_name[name] = declaration

    @staticmethod
    def _parameters(value: object, declaration: Json, field: str, draft: Draft) -> None:
        if value is None or says_nothing(value):
            return
        converted = convert(value, "parameters")
        if converted.openapi:
            declaration["parameters"] = converted.schema
        else:
            declaration["parametersJsonSchema"] = converted.schema
            draft.note("unverified", f"{field}.parameters")
        for path in converted.dropped:
            draft.note("dropped", f"{field}.parameters{path}")


def read_tools(value: object, draft: Draft) -> Declarations | None:
    """Declare every tool.

    ``[{"type": "function", "function": {"name": "f", "description": "d"}}]`` ->
    ``[{"functionDeclarations": [{"name": "f", "description": "d"}]}]``
    """
    if type(value) is not list:
        invalid_type(value, "an array of objects", "tools")
    if len(value) > MAX_TOOLS:
        invalid_value(f"at most {MAX_TOOLS} tools are possible.", "tools")
    declarations = Declarations()
    for index, tool in enumerate(value):
        try:
            _read_tool(tool, declarations, f"tools[{index}].function", draft)
        except Refused as refusal:
            refusal.under(f"tools[{index}]")
            raise
    return declarations if value else None


def _read_tool(tool: object, declarations: Declarations, field: str, draft: Draft) -> None:
    if type(tool) is not dict:
        invalid_type(tool, "an object")
    kind = tool.get("type")
    if kind is None:
        missing("type")
    if kind == "custom":
        unsupported_value("Gemini has no tools with free-form input.", "type")
    if kind != "function":
        one_of(kind, ("function",), "type")
    TOOL.check(tool)
    function = member(tool, "function")
    try:
        declarations.add(function, FUNCTION, field, draft)
    except Refused as refusal:
        refusal.under("function")
        raise


def read_functions(value: object, draft: Draft) -> Declarations | None:
    """``functions``: the same without the envelope around each."""
    if type(value) is not list:
        invalid_type(value, "an array of objects", "functions")
    if len(value) > MAX_TOOLS:
        invalid_value(f"at most {MAX_TOOLS} functions are possible.", "functions")
    declarations = Declarations()
    for index, function in enumerate(value):
        try:
            if type(function) is not dict:
                invalid_type(function, "an object")
            declarations.add(function, LEGACY_FUNCTION, f"functions[{index}]", draft)
        except Refused as refusal:
            refusal.under(f"functions[{index}]")
            raise
    return declarations if value else None
