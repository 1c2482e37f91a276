"""``web_search_options`` -> the ``googleSearch`` tool.

Google's search takes neither a place nor a size: both are noted.
"""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_type, one_of
from gateway.translate.reading.table import FieldTable, dropped
from gateway.translate.request.draft import Draft
from gateway.translate.tools.google import use

WEB_SEARCH: Final = FieldTable(
    dropped("search_context_size", "Google's search has no such setting; noted"),
    dropped("user_location", "Google's search takes no place; noted"),
)
_SIZES: Final = ("low", "medium", "high")


def read_web_search(value: object, draft: Draft) -> None:
    """``{}`` -> ``{"googleSearch": {}}`` among the tools."""
    if type(value) is not dict:
        invalid_type(value, "an object", "web_search_options")
    try:
        _check(value)
    except Refused as refusal:
        refusal.under("web_search_options")
        raise
    for row in WEB_SEARCH.rows:
        if value.get(row.name) is not None:
            draft.note("dropped", f"web_search_options.{row.name}")
    use(draft, "googleSearch", {}, "web_search_options")


def _check(value: Json) -> None:
    WEB_SEARCH.check(value)
    size, place = value.get("search_context_size"), value.get("user_location")
    if size is not None and size not in _SIZES:
        one_of(size, _SIZES, "search_context_size")
    if place is not None and type(place) is not dict:
        invalid_type(place, "an object", "user_location")
