"""The page over an API of its own: odd heads, stories without their text, a stop."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import orjson
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.clock import SystemClock
from gateway.ui import app
from gateway.ui.app import with_page

NOTHING = {"object": "list", "data": [], "has_more": False}


def page_over(
    answer: Mapping[str, Any], *, open_to_all: bool, ready: Callable[[], bool] = lambda: True
) -> httpx.AsyncClient:
    """A client of the page, whose API answers this to all but what is in the background."""

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        told = NOTHING if scope["path"] == "/v1/background" else answer
        await Response(orjson.dumps(told))(scope, receive, send)

    app = with_page(api, SystemClock(), open_to_all=open_to_all, ready=ready)
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.parametrize("host", ["[", "[::1", "[x]", "", "127.0.0.1.evil.example"])
async def test_a_host_that_is_none(host: str) -> None:
    """An open page answers to this machine's names alone; some were a 500."""
    async with page_over({}, open_to_all=True) as client:
        answer = await client.get("/ui/new", headers={"host": host})
    assert answer.status_code == 403


@pytest.mark.parametrize("origin", ["http://[", "null", "", "http://127.0.0.1.evil.example"])
async def test_an_origin_that_is_not_ours(origin: str) -> None:
    """It changes nothing; some were a 500."""
    async with page_over({}, open_to_all=True) as client:
        asked = client.build_request("POST", "/ui/api/v1/batches", headers={"origin": origin})
        answer = await client.send(asked)
        ours = await client.post("/ui/api/v1/batches", headers={"origin": "http://127.0.0.1"})
    assert (answer.status_code, ours.status_code) == (403, 200)


@pytest.mark.parametrize(("total", "said"), [(0, False), (3, True)])
async def test_a_batch_without_one_model(total: int, *, said: bool) -> None:
    """It has several, or none that is known yet, because its file was not read or was refused."""
    counts = {"total": total, "completed": 0, "failed": 0}
    batch = {
        "id": "batch_1",
        "input_file_id": "file-1",
        "status": "failed",
        "model": None,
        "metadata": None,
        "created_at": 1,
        "completed_at": None,
        "failed_at": 2,
        "expires_at": 9,
        "request_counts": counts,
        "usage": {"total_tokens": 0},
        "gateway": {"cost_usd": 0.0, "waiting_for": None},
    }
    async with page_over({"data": [batch], "has_more": False}, open_to_all=True) as client:
        answer = await client.get("/ui/batches")
    assert answer.status_code == 200
    assert ("several" in answer.text) is said


async def test_a_line_that_is_too_large_to_show() -> None:
    """It is named by its size, as in the API; the page was a 500."""
    large = {"too_large_to_show": 5 * 1024 * 1024}
    told = {"custom_id": "a", "line": 1, "model": "m", "sent": [large], "answered": [large]}
    story = {**told, "notes": [], "asked": large, "got": large}
    async with page_over(story, open_to_all=True) as client:
        answer = await client.get("/ui/batches/batch_1/line", params={"custom_id": "a"})
    assert answer.status_code == 200
    assert answer.text.count("5.0 MiB: too large to show") == 2


@pytest.mark.slow
async def test_a_stop_ends_what_a_page_watches() -> None:
    """A page that was open anywhere held a stop up for all of its time."""
    looks: Iterator[bool] = iter((True, True, False))
    async with page_over({}, open_to_all=True, ready=lambda: next(looks)) as client:
        answer = await client.get("/ui/events")
    assert answer.status_code == 200
    assert next(looks, None) is None


async def test_a_file_with_a_line_that_nests_deep() -> None:
    """Whatever is uploaded is shown, or named; the page was a 500."""
    line = orjson.dumps(1)
    for _ in range(900):
        line = b'{"a":%b}' % line

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        file = {"id": "file-1", "filename": "a", "purpose": "batch", "bytes": 9, "created_at": 1}
        batches = {"data": [], "has_more": False}
        told = {"/v1/files/file-1/content": line, "/v1/files/file-1": orjson.dumps(file)}
        body = told.get(scope["path"], orjson.dumps(batches))
        await Response(body)(scope, receive, send)

    app = with_page(api, SystemClock(), open_to_all=True, ready=lambda: True)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/ui/files/file-1")
    assert answer.status_code == 200
    assert "too_deep_to_show" in answer.text


@pytest.mark.slow
async def test_open_pages_have_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one visitor, and of all; those that are closed make room."""
    monkeypatch.setattr(app, "MOST_OF_A_VISITOR", 2)
    monkeypatch.setattr(app, "LOOK_SECONDS", 0.01)
    going: list[bool] = []
    async with page_over({}, open_to_all=True, ready=lambda: not going) as client:
        watching = [asyncio.ensure_future(client.get("/ui/events")) for _ in range(3)]
        done, others = await asyncio.wait(watching, timeout=60, return_when=asyncio.FIRST_COMPLETED)
        [refused] = [task.result() for task in done]
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 120
        going.append(True)
        assert [answer.status_code for answer in await asyncio.gather(*others)] == [200, 200]
        assert (await client.get("/ui/events")).status_code == 200
