"""``tools`` of the responses endpoint: functions in their flat form, and tools that Google runs."""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.content import member
from gateway.translate.request.options import boolean
from gateway.translate.responses.tool_choice import read_choice
from gateway.translate.tools.config import resolve_tools
from gateway.translate.tools.declarations import MAX_TOOLS, Declarations
from gateway.translate.tools.google import use

# Every kind of tool, and what becomes of it.
TOOL_KINDS: Final = FieldTable(
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
    mapped("type", "selects the kind of tool"),
    mapped("name", "`name`; one that begins with a digit or dash is renamed there and back"),
    mapped("description", "`description`"),
    mapped("parameters", "`parameters`; with recursion, maps or tuples `parametersJsonSchema`"),
    mapped("strict", "with tool_choice auto, mode `VALIDATED`; true when absent, as at OpenAI"),
    dropped("async", "a batch answers once; whether the caller waits is the caller's"),
    dropped("defer_loading", "every function is loaded at once"),
    dropped("output_schema", "describes results to programs that OpenAI runs"),
    mapped("allowed_callers", "nothing, as long as the model itself may call"),
)
CUSTOM_TOOL: Final = FieldTable(
    mapped("type", "selects the kind of tool"),
    mapped("name", "`name` of a function"),
    mapped("description", "`description`"),
    mapped("format", "text; a grammar is refused"),
    dropped("async", "a batch answers once; whether the caller waits is the caller's"),
    dropped("defer_loading", "every tool is loaded at once"),
    mapped("allowed_callers", "nothing, as long as the model itself may call"),
)
WEB_SEARCH_TOOL: Final = FieldTable(
    mapped("type", "selects the kind of tool"),
    mapped("filters", "nothing when empty; otherwise refused"),
    mapped("external_web_access", "true only: Gemini searches the web as it is"),
    dropped("search_context_size", "Gemini decides; noted"),
    dropped("user_location", "Gemini cannot be told; noted"),
    dropped("search_content_types", "Gemini shows texts; images are noted"),
)
SEARCH_FILTERS: Final = FieldTable(
    mapped("allowed_domains", "nothing when empty; otherwise refused"),
)
USER_LOCATION: Final = FieldTable(
    mapped("type", "approximate"),
    dropped("city", "see `user_location`"),
    dropped("country", "see `user_location`"),
    dropped("region", "see `user_location`"),
    dropped("timezone", "see `user_location`"),
)
CODE_INTERPRETER_TOOL: Final = FieldTable(
    mapped("type", "selects the kind of tool"),
    mapped("container", "a fresh one only: code runs at Google"),
    mapped("allowed_callers", "nothing, as long as the model itself may call"),
)
CONTAINER: Final = FieldTable(
    mapped("type", "auto"),
    mapped("file_ids", "nothing when empty; otherwise refused"),
    dropped("memory_limit", "Gemini cannot be told; noted"),
    mapped("network_policy", "disabled, as it is at Google; otherwise refused"),
)
_SIZES: Final = ("low", "medium", "high")
_CONTENT_TYPES: Final = ("text", "image")
_LIMITS: Final = ("1g", "4g", "16g", "64g")
_CALLERS: Final = ("direct", "programmatic")


def read_responses_tools(value: object, builder: RequestBuilder) -> None:
    """Declare every tool.

    ``[{"type": "function", "name": "f", "parameters": {…}}, {"type": "web_search"}]`` ->
    ``[{"functionDeclarations": [{"name": "f", …}]}, {"googleSearch": {}}]``
    """
    if type(value) is not list:
        invalid_type(value, "an array of objects", "tools")
    if len(value) > MAX_TOOLS:
        invalid_value(f"at most {MAX_TOOLS} are possible.", "tools")
    declarations = Declarations(builder.policy.schema_mode)
    repeated = []
    for index, tool in enumerate(value):
        where = f"tools[{index}]"
        try:
            repeated.append(_read_tool(tool, declarations, where, builder))
        except Refused as refusal:
            refusal.prefixed(where)
            raise
    if declarations.by_name:
        builder.tools = declarations
    for note in declarations.notes:
        builder.note(note.code, note.field)
    builder.repeats["tools"] = repeated


def _read_tool(
    tool: object, declarations: Declarations, where: str, builder: RequestBuilder
) -> Json:
    if type(tool) is not dict:
        invalid_type(tool, "an object")
    kind = tool.get("type")
    if kind is None:
        missing("type")
    kind = TOOL_KINDS.kind(kind)
    if kind == "function":
        return _read_function(tool, declarations, where)
    if kind == "custom":
        return _read_custom(tool, declarations)
    return _HOSTED[kind](tool, where, builder)


def _read_function(tool: Json, declarations: Declarations, where: str) -> Json:
    FUNCTION_TOOL.check(tool)
    _check_callers(tool)
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
    declarations.add_custom(tool, CUSTOM_TOOL)
    _check_callers(tool)
    return {
        "type": "custom",
        "name": tool["name"],
        "description": tool.get("description"),
        "format": {"type": "text"},
    }


def _check_callers(tool: Json) -> None:
    callers = tool.get("allowed_callers")
    if callers is None:
        return
    if type(callers) is not list:
        invalid_type(callers, "an array of strings", "allowed_callers")
    for index, caller in enumerate(callers):
        if caller not in _CALLERS:
            invalid_choice(caller, _CALLERS, f"allowed_callers[{index}]")
    if callers and "direct" not in callers:
        unsupported_value("Gemini's programs cannot call functions.", "allowed_callers")


def _read_web_search(tool: Json, where: str, builder: RequestBuilder) -> Json:
    WEB_SEARCH_TOOL.check(tool)
    repeated: Json = {"type": tool["type"]}
    if tool.get("filters") is not None:
        _check_filters(member(tool, "filters"))
    access = tool.get("external_web_access")
    if access is not None and not boolean(access, "external_web_access"):
        unsupported_value("Gemini searches the web as it is.", "external_web_access")
    size = tool.get("search_context_size")
    if size is not None:
        if size not in _SIZES:
            invalid_choice(size, _SIZES, "search_context_size")
        builder.note("dropped", f"{where}.search_context_size")
        repeated["search_context_size"] = size
    kinds = tool.get("search_content_types")
    if kinds is not None:
        _check_content_types(kinds)
        if "image" in kinds:
            builder.note("dropped", f"{where}.search_content_types")
    if tool.get("user_location") is not None:
        repeated["user_location"] = _location(member(tool, "user_location"))
        builder.note("dropped", f"{where}.user_location")
    use(builder, "googleSearch", {}, where)
    return repeated


def _check_filters(filters: Json) -> None:
    SEARCH_FILTERS.check(filters, "filters")
    domains = filters.get("allowed_domains")
    if domains is None:
        return
    if type(domains) is not list:
        invalid_type(domains, "an array of strings", "filters.allowed_domains")
    if domains:
        unsupported_value(
            "Gemini cannot be told which domains to search.", "filters.allowed_domains"
        )


def _check_content_types(kinds: object) -> None:
    if type(kinds) is not list:
        invalid_type(kinds, "an array of strings", "search_content_types")
    for index, kind in enumerate(kinds):
        if kind not in _CONTENT_TYPES:
            invalid_choice(kind, _CONTENT_TYPES, f"search_content_types[{index}]")


def _location(location: Json) -> Json:
    USER_LOCATION.check(location, "user_location")
    if location.get("type", "approximate") != "approximate":
        invalid_choice(location["type"], ("approximate",), "user_location.type")
    for name, value in location.items():
        if value is not None and type(value) is not str:
            invalid_type(value, "a string", f"user_location.{name}")
    return {**location, "type": "approximate"}


def _read_code_interpreter(tool: Json, where: str, builder: RequestBuilder) -> Json:
    CODE_INTERPRETER_TOOL.check(tool)
    _check_callers(tool)
    container = tool.get("container")
    if type(container) is str:
        unsupported_value(
            "code runs at Google, where OpenAI's containers are not known.", "container"
        )
    if container is None:
        missing("container")
    try:
        _check_container(member(tool, "container"), where, builder)
    except Refused as refusal:
        if not refusal.param.startswith("container"):
            refusal.prefixed("container")
        raise
    use(builder, "codeExecution", {}, where)
    return {"type": "code_interpreter", "container": {"type": "auto"}}


def _check_container(container: Json, where: str, builder: RequestBuilder) -> None:
    CONTAINER.check(container)
    if container.get("type") != "auto":
        invalid_choice(container.get("type"), ("auto",), "type")
    files = container.get("file_ids")
    if files is not None and type(files) is not list:
        invalid_type(files, "an array of strings", "file_ids")
    if files:
        unsupported_value("Gemini's code sees no files: put them into the input.", "file_ids")
    limit = container.get("memory_limit")
    if limit is not None:
        if limit not in _LIMITS:
            invalid_choice(limit, _LIMITS, "memory_limit")
        builder.note("dropped", f"{where}.container.memory_limit")
    network = container.get("network_policy")
    if network is not None and (type(network) is not dict or network.get("type") != "disabled"):
        unsupported_value("code at Google has no network.", "network_policy")


def resolve_responses_tools(builder: RequestBuilder) -> None:
    """The tools and the choice among them, once both have been read."""
    if builder.tool_choice is not None:
        builder.repeats["tool_choice"] = read_choice(builder)
    resolve_tools(builder, "text.format")


_HOSTED: Final[Mapping[str, Callable[[Json, str, RequestBuilder], Json]]] = {
    "web_search": _read_web_search,
    "web_search_2025_08_26": _read_web_search,
    "web_search_preview": _read_web_search,
    "web_search_preview_2025_03_11": _read_web_search,
    "code_interpreter": _read_code_interpreter,
}
