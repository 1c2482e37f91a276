"""The models an emulator serves: the list recorded in August 2026 and newer names."""

import importlib.resources
from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

import orjson

from gateway.emulator.protocol.errors import ApiError, JsonObject, invalid, model_not_found
from gateway.emulator.protocol.numbers import whole_number
from gateway.emulator.protocol.schema import Violation, refuse

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000

# Method -> the one its 404 speaks of (recorded: batchEmbedContents names embedContent).
_SPOKEN: Final = {"batchEmbedContents": "embedContent"}

# Method -> the entry of supportedGenerationMethods that allows it.
_NEEDED: Final = {
    "streamGenerateContent": "generateContent",
    "batchEmbedContents": "embedContent",
}


class Models:
    """The served models by bare name."""

    def __init__(self, *, serve_unknown: bool) -> None:
        text = (
            importlib.resources.files("gateway.emulator.resources")
            .joinpath("models.json")
            .read_bytes()
        )
        entries: list[JsonObject] = orjson.loads(text)["models"]
        self._models = {entry["name"].removeprefix("models/"): entry for entry in entries}
        self._serve_unknown = serve_unknown

    def names(self) -> list[str]:
        """Bare names in list order."""
        return list(self._models)

    def get(self, version: str, name: str) -> JsonObject:
        """Return a model resource by its bare name; raises ApiError 404."""
        if name in self._models:
            return self._models[name]
        if self._serve_unknown:
            return {"name": f"models/{name}", "version": "001", "displayName": name}
        raise ApiError(
            404,
            f"Model is not found: models/{name} for api version {version}",
        )

    def require(self, version: str, name: str, method: str) -> None:
        """Raise ApiError 404 unless ``name`` serves ``method``."""
        entry = self._models.get(name)
        if entry is None and self._serve_unknown:
            return
        needed = _NEEDED.get(method, method)
        if entry is None or needed not in entry["supportedGenerationMethods"]:
            raise model_not_found(version, name, _SPOKEN.get(method, method))

    def page(self, query: Mapping[str, str]) -> JsonObject:
        """``{"models": [...], "nextPageToken"}``; default 50, at most 1000 a page."""
        entries = list(self._models.values())
        size, start = page_bounds(query, DEFAULT_PAGE, MAX_PAGE)
        answer: JsonObject = {"models": entries[start : start + size]}
        if start + size < len(entries):
            answer["nextPageToken"] = page_token(start + size)
        return answer


def page_token(start: int) -> str:
    """Return an opaque token of the next entry; clients must URL-encode its padding."""
    return f"Ch{start:08d}=="


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


_Entry = TypeVar("_Entry", bound=_Numbered)


def keyed_page(
    entries: list[_Entry], query: Mapping[str, str], *, default: int, most: int, newest_first: bool
) -> tuple[list[_Entry], str]:
    """Return the entries of a list call's page, the token of the next page (empty at the end).

    The token names the last entry that was shown, so that none slips by when some of those shown
    are deleted meanwhile. Raises ApiError 400.
    """
    size, last = page_bounds(query, default, most)
    if query.get("pageToken"):
        step = -1 if newest_first else 1
        entries = [one for one in entries if (one.number - last) * step > 0]
    page = entries[:size]
    return page, page_token(page[-1].number) if len(entries) > size else ""


def page_bounds(query: Mapping[str, str], default: int, most: int) -> tuple[int, int]:
    """(page size, first index) of a list call; raises ApiError 400."""
    size_text = query.get("pageSize") or "0"
    asked = whole_number(size_text)
    if asked is None or asked >= 2**31:
        text = f"Invalid value at 'page_size' (TYPE_INT32), \"{size_text[:200]}\""
        raise refuse([Violation("page_size", text)])
    token = query.get("pageToken", "")
    size = min(asked or default, most)
    if not token:
        return size, 0
    start = whole_number(token.removeprefix("Ch").rstrip("="))
    if start is None:
        raise invalid("Page token is invalid.")
    return size, start
