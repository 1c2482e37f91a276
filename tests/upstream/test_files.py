"""Clients' files at the upstream: uploaded, looked at, removed."""

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from google import genai

from gateway.emulator.testing import Emulator
from gateway.errors import (
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from gateway.ports.upstream import FileSeen, FileState
from gateway.upstream.options import HOUR_MS
from tests.upstream.bench import KEY, Bench, Spool, make_staged
from tests.upstream.test_uploads import CONTENT, HOME, Server

SAMPLES = Path(__file__).parents[1] / "data" / "gemini-samples.jsonl"
ROWS = {row["id"]: row for row in map(orjson.loads, SAMPLES.read_bytes().splitlines())}
GONE = ROWS["g050"]["response"]["body"]
REFUSED = {"error": {"code": 400, "message": "no such type", "status": "INVALID_ARGUMENT"}}


class TestStageFile:
    """The same upload as a spool's, with a type of its own, and without waiting."""

    async def test_what_is_sent_and_what_comes_back(self, bench: Bench) -> None:
        server = Server(uri="https://elsewhere/v1beta/files/upload1")
        server.states = ["PROCESSING"]
        upstream = bench.asking(server)
        made = await upstream.stage_file(make_staged(), "gw-staged", Spool(CONTENT))
        assert bytes(server.received) == CONTENT
        assert (made.name, made.uri) == ("files/upload1", "https://elsewhere/v1beta/files/upload1")
        assert made.seen == FileSeen(FileState.PROCESSING)
        assert made.until - bench.clock.now() == 47 * HOUR_MS - 569
        assert server.commands == ["start", "upload, finalize"], "nobody waits"
        start = server.requests[0]
        assert start.headers["x-goog-api-key"] == KEY
        assert start.headers["x-goog-upload-header-content-type"] == "application/pdf"
        assert orjson.loads(start.content) == {
            "file": {"displayName": "gw-staged", "mimeType": "application/pdf"}
        }

    async def test_without_a_uri_it_is_made_of_the_name(self, bench: Bench) -> None:
        made = await bench.asking(Server()).stage_file(make_staged(), "d", Spool(CONTENT))
        assert made.uri == f"{HOME}/v1beta/files/upload1"
        assert made.seen == FileSeen(FileState.READY)

    async def test_a_failure_is_told_not_repeated(self, bench: Bench) -> None:
        """The content is what it is."""
        server = Server(error={"code": 3, "message": f"cannot read, key {KEY}"})
        server.states = ["FAILED"]
        made = await bench.asking(server).stage_file(make_staged(), "d", Spool(CONTENT))
        assert made.seen == FileSeen(FileState.FAILED, "cannot read, key ***")
        assert server.sessions == 1

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, REFUSED, UpstreamRefusedError),
            (429, {}, UpstreamUnavailableError),
            (503, {}, UpstreamUnavailableError),
            (401, {}, UpstreamHeldError),
        ],
    )
    async def test_what_a_refusal_means(
        self, bench: Bench, status: int, body: Any, kind: type[UpstreamError]
    ) -> None:
        upstream = bench.asking(lambda _: httpx.Response(status, json=body))
        with pytest.raises(kind) as caught:
            await upstream.stage_file(make_staged(), "d", Spool(CONTENT))
        assert type(caught.value) is kind


class TestObserveFile:
    """GET, and what it says."""

    @pytest.mark.parametrize(
        ("members", "seen"),
        [
            ({"state": "ACTIVE"}, FileSeen(FileState.READY)),
            ({}, FileSeen(FileState.READY)),
            ({"state": "NEW_STATE"}, FileSeen(FileState.READY)),
            ({"state": "PROCESSING"}, FileSeen(FileState.PROCESSING)),
            ({"state": "FAILED"}, FileSeen(FileState.FAILED)),
            (
                {"state": "FAILED", "error": {"code": 3, "message": "why"}},
                FileSeen(FileState.FAILED, "why"),
            ),
        ],
    )
    async def test_states(self, bench: Bench, members: Any, seen: FileSeen) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            assert (request.method, str(request.url)) == ("GET", f"{HOME}/v1beta/files/a")
            return httpx.Response(200, json={"name": "files/a", **members})

        assert await bench.asking(handler).observe_file("files/a", "default") == seen

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (403, GONE, UpstreamGoneError),
            (404, {"error": {"code": 404, "status": "NOT_FOUND"}}, UpstreamGoneError),
            (401, {}, UpstreamHeldError),
            (503, {}, UpstreamUnavailableError),
            (200, {"no": "file"}, UpstreamUnavailableError),
        ],
    )
    async def test_no_answer(
        self, bench: Bench, status: int, body: Any, kind: type[UpstreamError]
    ) -> None:
        upstream = bench.asking(lambda _: httpx.Response(status, json=body))
        with pytest.raises(kind):
            await upstream.observe_file("files/a", "default")


class TestReleaseFile:
    """DELETE; what is gone is fine."""

    @pytest.mark.parametrize(("status", "body"), [(200, {}), (403, GONE), (404, GONE)])
    async def test_gone(self, bench: Bench, status: int, body: Any) -> None:
        calls: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            return httpx.Response(status, json=body)

        await bench.asking(handler).release_file("files/a", "default")
        assert [(call.method, call.url.path) for call in calls] == [("DELETE", "/v1beta/files/a")]

    async def test_not_yet_gone(self, bench: Bench) -> None:
        upstream = bench.asking(lambda _: httpx.Response(503, json={}))
        with pytest.raises(UpstreamUnavailableError):
            await upstream.release_file("files/a", "default")


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_against_the_emulator(bench: Bench, emulator: Emulator, version: str) -> None:
    """A life of a file, seen by Google's own SDK meanwhile."""
    upstream = bench.client(emulator.base_url, api_version=version)
    emulator.fault("file-processing", times=1, seconds=30)
    content = bytes(9_000_000)
    made = await upstream.stage_file(make_staged(), f"gw-{version}", Spool(content))
    assert made.seen == FileSeen(FileState.PROCESSING)
    assert await upstream.observe_file(made.name, "default") == FileSeen(FileState.PROCESSING)
    emulator.advance(31)
    assert await upstream.observe_file(made.name, "default") == FileSeen(FileState.READY)
    with genai.Client(
        api_key=KEY, http_options={"base_url": emulator.base_url, "api_version": version}
    ) as client:
        file = client.files.get(name=made.name)
    assert (file.size_bytes, file.mime_type, file.uri) == (
        len(content),
        "application/pdf",
        made.uri,
    )
    await upstream.release_file(made.name, "default")
    await upstream.release_file(made.name, "default")
    with pytest.raises(UpstreamGoneError):
        await upstream.observe_file(made.name, "default")


async def test_a_file_that_fails_at_the_emulator(bench: Bench, emulator: Emulator) -> None:
    """With its reason."""
    upstream = bench.client(emulator.base_url)
    emulator.fault("file-fails", times=1)
    made = await upstream.stage_file(make_staged(), "gw-failing", Spool(b"x"))
    assert made.seen == FileSeen(FileState.FAILED, "The file could not be processed.")
