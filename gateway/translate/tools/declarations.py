"""``tools`` and the older ``functions`` -> one Tool with all ``functionDeclarations``."""

from typing import Any, Final, NoReturn

from gateway.translate.contract import Json, Note
from gateway.translate.reading.checks import boolean, json_object, member, one_of, string, words
from gateway.translate.reading.function_names import gemini_name
from gateway.translate.reading.notes import Noting
from gateway.translate.reading.refusal import at, invalid_value, missing, quoted
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.remembered import Remembered
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.schemas.convert import Mode, convert, says_nothing, written
from gateway.translate.schemas.source import annotates
from gateway.translate.tools.custom import CUSTOM, PARAMETERS, check_format
from gateway.units import MIB

_kind: Final = one_of("function", "custom")
TOOL: Final = FieldTable(
    "tools[]",
    mapped("type", "function, custom"),
    mapped("function", "`functionDeclarations`"),
    mapped("custom", "a function with one text, `input`"),
)
FUNCTION: Final = FieldTable(
    "tools[].function",
    mapped("name", "`name`; one that begins with a digit or dash is renamed there and back"),
    mapped("description", "`description`"),
    mapped("parameters", "`parameters`; with recursion, maps or tuples `parametersJsonSchema`"),
    mapped("strict", "with tool_choice auto, mode `VALIDATED`"),
)
LEGACY_FUNCTION: Final = FieldTable(
    "functions[]",
    mapped("name", "`name`"),
    mapped("description", "`description`"),
    mapped("parameters", "`parameters` or `parametersJsonSchema`"),
)
# OpenAI's limit.
MAX_TOOLS: Final = 128


# The lines of a batch nearly always share their tools. Lists above this size are not remembered,
# and of all together so many bytes are: what is made of one is ten times as large in memory.
_LARGEST_REMEMBERED: Final = 64 * 1024
_ROOM: Final = 8 * MIB
_TIMES: Final = 10


class Declarations:
    """The functions a line declares. Shared between lines: complete once it is returned."""

    def __init__(self, mode: Mode) -> None:
        self.mode = mode
        self.by_name: dict[str, Json] = {}
        self.strict = False
        # The client's names of custom tools, and Gemini's.
        self.custom: dict[str, str] = {}
        self.notes: list[Note] = []

    def add(self, function: Json, table: FieldTable[Noting], field: str) -> None:
        """Declare one function; ``field`` names it in notes."""
        table.check(function)
        declaration = self._named(function)
        self._parameters(function.get("parameters"), declaration, field)
        strict = function.get("strict")
        if strict is not None:
            self.strict = at("strict", boolean, strict) or self.strict

    def add_custom(self, tool: Json, table: FieldTable[Noting]) -> None:
        """Declare a tool of free text."""
        table.check(tool)
        if tool.get("format") is not None:
            at("format", check_format, tool["format"])
        declaration = self._named(tool)
        declaration["parameters"] = PARAMETERS
        self.custom[tool["name"]] = declaration["name"]

    def _named(self, owner: Json) -> Json:
        """Return a declaration of this name and description, added."""
        if owner.get("name") is None:
            missing("name")
        name = gemini_name(owner["name"], "name")
        if name in self.by_name:
            invalid_value(f"{quoted(owner['name'])} is declared twice.", "name")
        declaration: Json = {"name": name}
        words = owner.get("description")
        if words is not None:
            declaration["description"] = at("description", string, words)
        self.by_name[name] = declaration
        return declaration

    def tool(self) -> Json:
        """Return the Tool object of all functions."""
        return {"functionDeclarations": list(self.by_name.values())}

    def _parameters(self, value: object, declaration: Json, field: str) -> None:
        if value is None:
            return
        _refuse_no_object(value)
        if says_nothing(value):
            if value.get("required"):
                self.notes.append(Note("dropped", f"{field}.parameters.required"))
            return
        converted = convert(value, "parameters", self.mode, arguments=True)
        if not _may_be_object(converted.schema):
            _no_object()
        if converted.openapi:
            declaration["parameters"] = {"type": "OBJECT", **converted.schema}
        else:
            declaration["parametersJsonSchema"] = {"type": "object", **converted.schema}
        self.notes += [Note(code, f"{field}.parameters{path}") for code, path in converted.notes]


def _refuse_no_object(parameters: object) -> None:
    """Arguments are an object, so their schema is of one; where it names no type it may be."""
    kinds = parameters.get("type", "object") if type(parameters) is dict else "object"
    if "object" not in (kinds if type(kinds) is list else [kinds]) or _bare_map(parameters):
        _no_object()


def _bare_map(parameters: object) -> bool:
    """Whether parameters are properties without a schema around: ``{"a": {"type": "string"}}``."""
    return (
        type(parameters) is dict
        and bool(parameters)
        and all(type(value) is dict for value in parameters.values())
        and not any(key in _OBJECTS or annotates(key) for key in parameters)
    )


# Keywords of JSON Schema whose values are objects.
_OBJECTS: Final = words("""
    not if then else properties patternProperties additionalProperties unevaluatedProperties
    propertyNames items additionalItems unevaluatedItems contains const dependencies
    dependentSchemas dependentRequired
    """)


def _may_be_object(schema: Json) -> bool:
    """Whether an object fits a converted schema, as far as its types and alternatives say."""
    kinds = schema.get("type")
    if kinds is not None:
        return "object" in (kinds if type(kinds) is list else [kinds.lower()])
    return any(map(_may_be_object, schema["anyOf"])) if "anyOf" in schema else True


def _no_object() -> NoReturn:
    invalid_value("expected a schema of the type 'object'.", "parameters")


def read_tools(value: list[Json], builder: RequestBuilder) -> None:
    """``tools``: declare every tool.

    ``[{"type": "function", "function": {"name": "f", "description": "d"}}]`` ->
    ``[{"functionDeclarations": [{"name": "f", "description": "d"}]}]``
    """
    builder.tools = _read("tools", value, builder)


def read_functions(value: list[Json], builder: RequestBuilder) -> None:
    """``functions``: the same without the envelope around each."""
    builder.functions = _read("functions", value, builder)


def _read(field: str, tools: list[Json], builder: RequestBuilder) -> Declarations | None:
    if not tools:
        return None
    place = (field, written(tools, ""), builder.policy.schema_mode)
    declarations = _remembered.get(place)
    if declarations is None:
        declarations = _declare(field, tools, builder.policy.schema_mode)
        if len(place[1]) <= _LARGEST_REMEMBERED:
            _remembered.keep(place, declarations, _TIMES * len(place[1]))
    for note in declarations.notes:
        builder.note(note.code, note.field)
    return declarations


_remembered: Final[Remembered[tuple[str, bytes, Mode], Declarations]] = Remembered(_ROOM)


def _declare(field: str, tools: list[Any], mode: Mode) -> Declarations:
    if len(tools) > MAX_TOOLS:
        invalid_value(f"at most {MAX_TOOLS} are possible.")
    declarations = Declarations(mode)
    for index, tool in enumerate(tools):
        at(f"[{index}]", _add, tool, f"{field}[{index}]", declarations)
    return declarations


def _add(value: object, where: str, declarations: Declarations) -> None:
    tool = json_object(value)
    if where.startswith("functions"):
        declarations.add(tool, LEGACY_FUNCTION, where)
        return
    if tool.get("type") is None:
        missing("type")
    kind = at("type", _kind, tool["type"])
    TOOL.check(tool)
    owner = member(tool, kind)
    if kind == "function":
        at(kind, declarations.add, owner, FUNCTION, f"{where}.function")
    else:
        at(kind, declarations.add_custom, owner, CUSTOM)
