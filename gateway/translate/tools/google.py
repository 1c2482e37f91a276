"""Tools that Google runs itself, such as search and code execution.

Whatever field asks for one (``web_search_options``, ``google.tools``, a hosted tool of the
responses endpoint), it is kept on the builder until
:func:`gateway.translate.tools.config.resolve_tools` puts all tools of the line together. Google's
search takes neither a place nor a size: both are noted.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.google_object import (
    VERTEX_ONLY,
    GoogleObject,
    camel,
    empty,
    flag,
    several,
    text,
    timestamp,
    whole,
)
from gateway.translate.reading.refusal import Refused, invalid_choice, invalid_type
from gateway.translate.reading.table import FieldTable, dropped, refused
from gateway.translate.request.builder import RequestBuilder

TIME_RANGE: Final = GoogleObject(
    "timeRangeFilter", {"start_time": timestamp, "end_time": timestamp}
)
SEARCH_TYPES: Final = GoogleObject("searchTypes", {"web_search": empty, "image_search": empty})
GOOGLE_SEARCH: Final = GoogleObject(
    "googleSearch",
    {"search_types": SEARCH_TYPES.build, "time_range_filter": TIME_RANGE.build},
    refused("exclude_domains", VERTEX_ONLY),
    refused("blocking_confidence", VERTEX_ONLY),
)
GOOGLE_MAPS: Final = GoogleObject(
    "googleMaps",
    {"enable_widget": flag},
    refused("auth_config", VERTEX_ONLY),
    refused("grounding_types", VERTEX_ONLY),
)
FILE_SEARCH: Final = GoogleObject(
    "fileSearch",
    {"file_search_store_names": several(text), "top_k": whole(1, 1_000), "metadata_filter": text},
    required=("file_search_store_names",),
)
GOOGLE_TOOL: Final = GoogleObject(
    "tools[]",
    {
        "google_search": GOOGLE_SEARCH.build,
        "code_execution": empty,
        "url_context": empty,
        "google_maps": GOOGLE_MAPS.build,
        "file_search": FILE_SEARCH.build,
    },
    refused("function_declarations", "Declare functions in 'tools'."),
    refused("google_search_retrieval", "Only Gemini 1.5 had it; use google_search."),
    refused("computer_use", "It needs somebody who acts after each step; a batch has nobody."),
    refused("mcp_servers", "A batch keeps no access to the servers of others."),
    refused("retrieval", VERTEX_ONLY),
    refused("enterprise_web_search", VERTEX_ONLY),
    refused("parallel_ai_search", VERTEX_ONLY),
    refused("exa_ai_search", VERTEX_ONLY),
)


def use(builder: RequestBuilder, kind: str, value: Json, param: str) -> None:
    """Ask for the tool that Gemini calls ``kind``, as in ``googleSearch``, with its settings.

    ``param`` is the whole path of the field that asks: later complaints name it.
    """
    builder.google_tools.append((kind, value, param))


def read_google_tools(value: object, builder: RequestBuilder) -> None:
    """``[{"google_search": {}}, {"url_context": {}}]``; one object may hold several."""
    if type(value) is not list:
        invalid_type(value, "an array of objects", "tools")
    for index, tool in enumerate(value):
        where = f"tools[{index}]"
        try:
            built = GOOGLE_TOOL.build(tool)
        except Refused as refusal:
            refusal.prefixed(where)
            raise
        for name in GOOGLE_TOOL.by_name:
            if camel(name) in built:
                use(
                    builder,
                    camel(name),
                    built[camel(name)],
                    f"{builder.google_path}.{where}.{name}",
                )


WEB_SEARCH: Final = FieldTable(
    dropped("search_context_size", "Google's search has no such setting; noted"),
    dropped("user_location", "Google's search takes no place; noted"),
)
_SIZES: Final = ("low", "medium", "high")


def read_web_search(value: object, builder: RequestBuilder) -> None:
    """``{}`` -> ``{"googleSearch": {}}`` among the tools."""
    if type(value) is not dict:
        invalid_type(value, "an object", "web_search_options")
    try:
        _check(value)
    except Refused as refusal:
        refusal.prefixed("web_search_options")
        raise
    for row in WEB_SEARCH.rows:
        if value.get(row.name) is not None:
            builder.note("dropped", f"web_search_options.{row.name}")
    use(builder, "googleSearch", {}, "web_search_options")


def _check(value: Json) -> None:
    WEB_SEARCH.check(value)
    size, place = value.get("search_context_size"), value.get("user_location")
    if size is not None and size not in _SIZES:
        invalid_choice(size, _SIZES, "search_context_size")
    if place is not None and type(place) is not dict:
        invalid_type(place, "an object", "user_location")
