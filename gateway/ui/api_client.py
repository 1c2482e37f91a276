"""The gateway's own API, called inside the process with the key of whoever looks."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
from starlette.types import ASGIApp

from gateway.units import MIB
from gateway.wire.json_depth import MAX_DEPTH, depth_exceeds

Json = dict[str, Any]

# Pages of a list that are read for a filter: what matches may be far back.
PAGE: Final = 100
MOST_PAGES: Final = 20
# Bytes of a file that are looked at: a preview, and errors grouped by code.
MOST_BYTES: Final = 4 * MIB


class ApiError(Exception):
    """The API refused; ``status`` and its sentence are shown."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ApiClient:
    """Calls of one visitor. Everything is looked up with the visitor's key, as for a program."""

    def __init__(self, api: ASGIApp, key: str) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.ASGITransport(api, raise_app_exceptions=False),
            base_url="http://127.0.0.1/v1",
            headers={"authorization": f"Bearer {key}"},
        )

    async def close(self) -> None:
        """End the calls."""
        await self._http.aclose()

    async def get(self, path: str, **query: str | int | None) -> Json:
        """Return the JSON of a GET. Errors: ApiError."""
        asked = {name: value for name, value in query.items() if value is not None}
        return _parsed(await self._http.get(path, params=asked))

    async def bytes_of(self, path: str) -> bytes:
        """Return the answer to a GET as it is written, to be compared. Errors: ApiError."""
        answer = await self._http.get(path)
        if not answer.is_success:
            _parsed(answer)
        return answer.content

    async def batch(self, batch_id: str) -> Json:
        """Return a batch."""
        return await self.get(f"/batches/{quote(batch_id, safe='')}")

    async def batches(self, wanted: Mapping[str, str], after: str | None, limit: int) -> Json:
        """List batches that match ``status``, ``model``, ``text``, and ``next`` to go on from."""
        found: list[Json] = []
        for _ in range(MOST_PAGES):
            page = await self.get("/batches", limit=PAGE, after=after)
            for batch in page["data"]:
                after = batch["id"]
                if _matches(batch, wanted):
                    found.append(batch)
                if len(found) == limit:
                    return {"data": found, "next": after}
            if not page["has_more"]:
                return {"data": found, "next": None}
        return {"data": found, "next": after}

    @asynccontextmanager
    async def lines(self, file_id: str) -> AsyncIterator[list[Json]]:
        """Give the first lines of a file, as many as are looked at."""
        end = {"range": f"bytes=0-{MOST_BYTES - 1}"}
        path = f"/files/{quote(file_id, safe='')}/content"
        answer = await self._http.get(path, headers=end)
        if not answer.is_success:
            _parsed(answer)
        whole = len(answer.content) < MOST_BYTES
        lines = answer.content.split(b"\n")
        yield [_line(line) for line in (lines if whole else lines[:-1]) if line.strip()]


def _matches(batch: Json, wanted: Mapping[str, str]) -> bool:
    status, model = wanted.get("status", ""), wanted.get("model", "")
    text = wanted.get("text", "").lower()
    said = f"{batch['id']} {batch['input_file_id']} {batch['metadata'] or ''}".lower()
    return (
        status in {"", batch["status"]}
        and model in {"", batch["model"]}
        and (not text or text in said)
    )


def _line(line: bytes) -> Json:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    if depth_exceeds(line, value, MAX_DEPTH):  # as a batch refuses it; the page could not write it
        return {"too_deep_to_show": len(line)}
    return value if isinstance(value, dict) else {}


def _parsed(answer: httpx.Response) -> Json:
    try:
        value = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        value = {}
    if not isinstance(value, dict):
        value = {}
    if not answer.is_success:
        error = value.get("error") or {}
        raise ApiError(answer.status_code, error.get("message", "The gateway failed."))
    return value
