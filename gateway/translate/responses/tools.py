"""``tools`` of the responses endpoint: functions in their flat form, and tools that Google runs."""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.checks import empty_list, list_of, one_of, only, string
from gateway.translate.reading.refusal import at, invalid_value, missing, unsupported_value
from gateway.translate.reading.table import FieldTable, dropped, mapped, noted, refused
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.responses.item_kinds import NO_PROGRAMS
from gateway.translate.responses.tool_choice import resolve_choice
from gateway.translate.tools.choice import AUTO
from gateway.translate.tools.config import resolve_tools
from gateway.translate.tools.declarations import MAX_TOOLS, Declarations
from gateway.translate.tools.google import use


def _callers(value: object) -> list[str]:
    callers: list[str] = list_of(one_of("direct", "programmatic"))(value)
    return unsupported_value(NO_PROGRAMS) if callers and "direct" not in callers else callers


def _no_network(value: object) -> object:
    if type(value) is not dict or value.get("type") != "disabled":
        unsupported_value("code at Google has no network.")
    return value


_CALLERS: Final = mapped(
    "allowed_callers", "nothing, as long as the model itself may call", _callers
)
# Every kind of tool, and what becomes of it.
TOOL_KINDS: Final = FieldTable(
    "/v1/responses tools[]",
    mapped("function", "`functionDeclarations`"),
    mapped("custom", "a function with one text, `input`"),
    mapped("web_search", "`googleSearch`"),
    mapped("web_search_2025_08_26", "`googleSearch`"),
    mapped("web_search_preview", "`googleSearch`"),
    mapped("web_search_preview_2025_03_11", "`googleSearch`"),
    mapped("code_interpreter", "`codeExecution`"),
    refused("file_search", "Gemini has no access to vector stores at OpenAI."),
    refused("computer", "A batch cannot wait for what a screen shows."),
    refused("computer_use_preview", "A batch cannot wait for what a screen shows."),
    refused("mcp", "Gemini's batches call no MCP servers."),
    refused("image_generation", "An image model of Gemini answers with images by itself."),
    refused("local_shell", "Gemini has no such tool; declare a function."),
    refused("shell", "Gemini has no such tool; declare a function."),
    refused("apply_patch", "Gemini has no such tool; declare a function."),
    refused("namespace", "Gemini has no namespaces of tools; declare the functions themselves."),
    refused("tool_search", "Gemini loads no tools later; declare the functions themselves."),
    refused("programmatic_tool_calling", "Gemini's programs cannot call functions."),
)
FUNCTION_TOOL: Final = FieldTable(
    "/v1/responses tools[] function",
    mapped("type", "selects the kind of tool"),
    mapped("name", "`name`; one that begins with a digit or dash is renamed there and back"),
    mapped("description", "`description`"),
    mapped("parameters", "`parameters`; with recursion, maps or tuples `parametersJsonSchema`"),
    mapped("strict", "with tool_choice auto, mode `VALIDATED`; true when absent, as at OpenAI"),
    dropped("async", "a batch answers once; whether the caller waits is the caller's"),
    dropped("defer_loading", "every function is loaded at once"),
    dropped("output_schema", "describes results to programs that OpenAI runs"),
    _CALLERS,
)
CUSTOM_TOOL: Final = FieldTable(
    "/v1/responses tools[] custom",
    mapped("type", "selects the kind of tool"),
    mapped("name", "`name` of a function"),
    mapped("description", "`description`"),
    mapped("format", "text; a grammar is refused"),
    dropped("async", "a batch answers once; whether the caller waits is the caller's"),
    dropped("defer_loading", "every tool is loaded at once"),
    _CALLERS,
)
SEARCH_FILTERS: Final = FieldTable(
    "/v1/responses tools[].filters",
    mapped(
        "allowed_domains",
        "nothing when empty; otherwise refused",
        empty_list("Gemini has no search of chosen domains."),
    ),
)
USER_LOCATION: Final = FieldTable(
    "/v1/responses tools[].user_location",
    mapped("type", "approximate", one_of("approximate")),
    dropped("city", "see `user_location`", string),
    dropped("country", "see `user_location`", string),
    dropped("region", "see `user_location`", string),
    dropped("timezone", "see `user_location`", string),
)
WEB_SEARCH_TOOL: Final = FieldTable(
    "/v1/responses tools[] web_search",
    mapped("type", "selects the kind of tool"),
    mapped("filters", "nothing when empty; otherwise refused", SEARCH_FILTERS),
    mapped(
        "external_web_access",
        "true only: Gemini searches the web as it is",
        only(True, "Gemini searches the web as it is."),
    ),
    noted("search_context_size", "Gemini decides; noted", one_of("low", "medium", "high")),
    noted("user_location", "Gemini has no equivalent; noted", USER_LOCATION),
    noted(
        "search_content_types",
        "Gemini shows texts; images are noted",
        list_of(one_of("text", "image")),
        ["text"],
        [],
    ),
)
CONTAINER: Final = FieldTable(
    "/v1/responses tools[].container",
    mapped("type", "auto", one_of("auto"), required=True),
    mapped(
        "file_ids",
        "nothing when empty; otherwise refused",
        empty_list("Gemini's code sees no files: put them into the input."),
    ),
    noted("memory_limit", "Gemini has no equivalent; noted", one_of("1g", "4g", "16g", "64g")),
    mapped("network_policy", "disabled, as it is at Google; otherwise refused", _no_network),
)
CODE_INTERPRETER_TOOL: Final = FieldTable(
    "/v1/responses tools[] code_interpreter",
    mapped("type", "selects the kind of tool"),
    mapped("container", "a fresh one only: code runs at Google", CONTAINER, required=True),
    _CALLERS,
)


def read_responses_tools(value: list[Json], builder: RequestBuilder) -> None:
    """Declare every tool.

    ``[{"type": "function", "name": "f", "parameters": {…}}, {"type": "web_search"}]`` ->
    ``[{"functionDeclarations": [{"name": "f", …}]}, {"googleSearch": {}}]``
    """
    if len(value) > MAX_TOOLS:
        invalid_value(f"at most {MAX_TOOLS} are possible.")
    declarations = Declarations(builder.policy.schema_mode)
    builder.repeats["tools"] = [
        at(f"[{index}]", _read_tool, tool, declarations, f"tools[{index}]", builder)
        for index, tool in enumerate(value)
    ]
    if declarations.by_name:
        builder.tools = declarations
    for note in declarations.notes:
        builder.note(note.code, note.field)


def _read_tool(tool: Json, declarations: Declarations, where: str, builder: RequestBuilder) -> Json:
    if tool.get("type") is None:
        missing("type")
    kind = TOOL_KINDS.kind(tool["type"])
    if kind == "function":
        return _read_function(tool, declarations, where)
    if kind == "custom":
        return _read_custom(tool, declarations)
    return _HOSTED[kind](tool, where, builder)


def _read_function(tool: Json, declarations: Declarations, where: str) -> Json:
    FUNCTION_TOOL(tool)
    strict = tool.get("strict")
    # Functions are strict unless said otherwise (guide "Migrate to the Responses API").
    declarations.add({**tool, "strict": True if strict is None else strict}, FUNCTION_TOOL, where)
    return {
        "type": "function",
        "name": tool["name"],
        "description": tool.get("description"),
        "parameters": tool.get("parameters"),
        "strict": strict is not False,
    }


def _read_custom(tool: Json, declarations: Declarations) -> Json:
    CUSTOM_TOOL(tool)
    declarations.add_custom(tool, CUSTOM_TOOL)
    return {
        "type": "custom",
        "name": tool["name"],
        "description": tool.get("description"),
        "format": {"type": "text"},
    }


def _read_web_search(tool: Json, where: str, builder: RequestBuilder) -> Json:
    read = WEB_SEARCH_TOOL.build(tool, where, builder)
    use(builder, "googleSearch", {}, where)
    repeated = {"type": tool["type"]}
    if "search_context_size" in read:
        repeated["search_context_size"] = read["search_context_size"]
    if "user_location" in read:
        repeated["user_location"] = {**tool["user_location"], "type": "approximate"}
    return repeated


def _read_code_interpreter(tool: Json, where: str, builder: RequestBuilder) -> Json:
    if type(tool.get("container")) is str:
        why = "code runs at Google, where OpenAI's containers are not known."
        unsupported_value(why, "container")
    CODE_INTERPRETER_TOOL.build(tool, where, builder)
    use(builder, "codeExecution", {}, where)
    return {"type": "code_interpreter", "container": {"type": "auto"}}


def resolve_responses_tools(builder: RequestBuilder) -> None:
    """Resolve the tools and the choice among them, once both have been read."""
    choice = AUTO if builder.tool_choice is None else resolve_choice(builder)
    resolve_tools(builder, choice, "text.format")


_HOSTED: Final[Mapping[str, Callable[[Json, str, RequestBuilder], Json]]] = {
    "web_search": _read_web_search,
    "web_search_2025_08_26": _read_web_search,
    "web_search_preview": _read_web_search,
    "web_search_preview_2025_03_11": _read_web_search,
    "code_interpreter": _read_code_interpreter,
}
