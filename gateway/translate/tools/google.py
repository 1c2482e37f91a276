"""Tools that Google runs itself, such as search and code execution.

Whatever field asks for one (``web_search_options``, ``google.tools``, a hosted tool of the
responses endpoint), it is kept in the builder until
:func:`gateway.translate.tools.config.resolve_tools` puts all tools of the line together. Google's
search takes neither a place nor a size: both are noted.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading import checks
from gateway.translate.reading.google_object import VERTEX_ONLY, GoogleObject, camel
from gateway.translate.reading.table import FieldTable, noted, refused
from gateway.translate.request.builder import RequestBuilder

_SEARCH: Final = "google.tools[].google_search"
TIME_RANGE: Final = GoogleObject(
    f"{_SEARCH}.time_range_filter", {"start_time": checks.timestamp, "end_time": checks.timestamp}
)
SEARCH_TYPES: Final = GoogleObject(
    f"{_SEARCH}.search_types",
    {"web_search": checks.empty_object, "image_search": checks.empty_object},
)
GOOGLE_SEARCH: Final = GoogleObject(
    _SEARCH,
    {"search_types": SEARCH_TYPES, "time_range_filter": TIME_RANGE},
    refused("exclude_domains", VERTEX_ONLY),
    refused("blocking_confidence", VERTEX_ONLY),
)
GOOGLE_MAPS: Final = GoogleObject(
    "google.tools[].google_maps",
    {"enable_widget": checks.boolean},
    refused("auth_config", VERTEX_ONLY),
    refused("grounding_types", VERTEX_ONLY),
)
FILE_SEARCH: Final = GoogleObject(
    "google.tools[].file_search",
    {
        "file_search_store_names": checks.list_of(checks.nonempty, empty=False),
        "top_k": checks.integer(1, 1_000),
        "metadata_filter": checks.nonempty,
    },
    required=("file_search_store_names",),
)
GOOGLE_TOOL: Final = GoogleObject(
    "google.tools[]",
    {
        "google_search": GOOGLE_SEARCH,
        "code_execution": checks.empty_object,
        "url_context": checks.empty_object,
        "google_maps": GOOGLE_MAPS,
        "file_search": FILE_SEARCH,
    },
    refused("function_declarations", "Declare functions in 'tools'."),
    refused("google_search_retrieval", "Only Gemini 1.5 had it; use google_search."),
    refused("computer_use", "It needs a client that acts after each step; a batch has none."),
    refused("mcp_servers", "A batch keeps no access to the servers of others."),
    refused("retrieval", VERTEX_ONLY),
    refused("enterprise_web_search", VERTEX_ONLY),
    refused("parallel_ai_search", VERTEX_ONLY),
    refused("exa_ai_search", VERTEX_ONLY),
)
google_tools: Final = checks.list_of(GOOGLE_TOOL, of="objects")
WEB_SEARCH: Final = FieldTable(
    "web_search_options",
    noted(
        "search_context_size",
        "Google's search has no such setting; noted",
        checks.one_of("low", "medium", "high"),
    ),
    noted("user_location", "Google's search takes no place; noted", checks.json_object),
)


def use(builder: RequestBuilder, kind: str, value: Json, param: str) -> None:
    """Ask for the tool that Gemini calls ``kind``, as in ``googleSearch``, with its settings.

    ``param`` is the whole path of the field that asks: later complaints name it.
    """
    builder.google_tools.append((kind, value, param))


def read_google_tools(value: list[Json], builder: RequestBuilder) -> None:
    """``[{"googleSearch": {}}, {"urlContext": {}}]``; one object may hold several."""
    for index, tool in enumerate(value):
        for name in GOOGLE_TOOL.by_name:
            if camel(name) in tool:
                path = f"{builder.google_path}.tools[{index}].{name}"
                use(builder, camel(name), tool[camel(name)], path)


def read_web_search(_: Json, builder: RequestBuilder) -> None:
    """``{}`` -> ``{"googleSearch": {}}`` among the tools."""
    use(builder, "googleSearch", {}, "web_search_options")
