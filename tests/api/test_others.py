"""Routes that the gateway does not serve, before a stand-in for a second upstream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.live.options import LiveOptions
from gateway.live.places import Places
from gateway.upstream.others import OtherOptions, OtherUpstream
from tests.api.world import new_world, serving

KEY = {"authorization": "Bearer secret-a"}


class Second:
    """The second upstream: what it was asked, and how its calls ended."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.bodies: list[bytes] = []
        self.left = asyncio.Event()
        self.begun = asyncio.Event()

    def app(self) -> Starlette:
        methods = ["GET", "POST", "DELETE"]
        return Starlette(
            routes=[
                Route("/v1/audio/speech", self.speech, methods=methods),
                Route("/v1/moderations", self.moderations, methods=methods),
                Route("/v1/moved", lambda _: RedirectResponse("http://169.254.169.254/")),
                Route("/v1/denied", lambda _: JSONResponse({"error": "sk-12"}, 401)),
                Route("/v1/broken", self.broken),
                Route("/{path:path}", self.everything, methods=methods),
            ]
        )

    async def note(self, request: Request) -> None:
        self.asked.append(request)
        self.bodies.append(await request.body())

    async def moderations(self, request: Request) -> Response:
        await self.note(request)
        result = {"flagged": False, "categories": {}, "category_scores": {}}
        body = {"id": "modr-1", "model": "m", "results": [result]}
        cookies = {"set-cookie": "a=b", "x-ratelimit-remaining-requests": "7", "x-secret": "s"}
        return JSONResponse(body, headers=cookies)

    async def speech(self, request: Request) -> Response:
        await self.note(request)

        async def sound() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                self.begun.set()
                await self.left.wait()
            finally:
                self.left.set()

        return StreamingResponse(sound(), media_type="audio/mpeg")

    async def broken(self, request: Request) -> Response:
        await self.note(request)

        async def half() -> AsyncIterator[bytes]:
            yield b"half"
            raise ClientDisconnect  # the connection is cut

        return StreamingResponse(half())

    async def everything(self, request: Request) -> Response:
        await self.note(request)
        return JSONResponse({"path": request.url.path, "query": request.url.query})


@asynccontextmanager
async def passing(root: Path, **options: Any) -> AsyncIterator[tuple[str, Second]]:
    """A gateway that passes on; its URL."""
    second = Second()
    limits = LiveOptions(calls=1, queue_seconds=0)
    places = Places(limits)

    def place(owner: str) -> AbstractAsyncContextManager[None]:
        return places.one(owner, 0)

    async with serving(second.app()) as url, new_world(root) as world:
        settings = OtherOptions(f"{url}/v1", lambda: "sk-second", 60, 60, place)
        others = OtherUpstream(settings)
        try:
            async with serving(world.app(others=others, **options)) as gateway:
                yield gateway, second
        finally:
            await others.close()


async def test_the_sdk_moderates(tmp_path: Path) -> None:
    """With the second upstream's key, and nothing of the client's."""
    secrets = {"cookie": "a=b", "x-goog-api-key": "g", "api-key": "k"}
    async with (
        passing(tmp_path) as (url, second),
        openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="secret-a", organization="org-1", default_headers=secrets
        ) as client,
    ):
        made = await client.moderations.with_raw_response.create(input="Hi", model="m")
    assert made.parse().id == "modr-1"
    assert made.headers["x-ratelimit-remaining-requests"] == "7"
    assert not {"set-cookie", "x-secret"} & set(made.headers)
    (request,) = second.asked
    assert request.headers["authorization"] == "Bearer sk-second"
    assert set(request.headers) == {
        *("host", "authorization", "user-agent", "accept", "accept-encoding"),
        *("content-type", "content-length"),
    }
    assert b"Hi" in second.bodies[0]


async def test_forms_and_queries_pass_as_they_are(tmp_path: Path) -> None:
    """Both bodies byte for byte, also in chunks."""
    async with (
        passing(tmp_path) as (url, second),
        httpx.AsyncClient(headers=KEY, timeout=60) as client,
    ):

        async def sound() -> AsyncIterator[bytes]:
            for number in range(50):
                yield bytes([number]) * 10_000

        kind = {"content-type": "multipart/form-data; boundary=x"}
        answer = await client.post(
            f"{url}/v1/audio/translations?a=1&b=%20", content=sound(), headers=kind
        )
        assert answer.json() == {"path": "/v1/audio/translations", "query": "a=1&b=%20"}
        assert (await client.delete(f"{url}/assistants/a")).json()["path"] == "/v1/assistants/a"
    assert len(second.bodies[0]) == 500_000
    assert second.asked[0].headers["content-type"] == kind["content-type"]


async def test_odd_headers_pass_as_they_are(tmp_path: Path) -> None:
    """Also beyond ASCII, which a name of a file may be."""
    name = "sch\xf6n".encode("latin-1")
    async with (
        passing(tmp_path) as (url, second),
        httpx.AsyncClient(headers=KEY, timeout=60) as client,
    ):
        answer = await client.post(f"{url}/v1/odd", headers=[(b"idempotency-key", name)])
    assert answer.status_code == 200
    assert second.asked[0].headers["idempotency-key"].encode("latin-1") == name


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b'odd?a=%01&b="|', 200),
        (b"odd?a=\xc3\xb6", 400),  # the server's parser
        (b"odd/" + b"<" * 24_000, 404),  # three times as long when it is escaped
    ],
    ids=["marks", "bytes", "long"],
)
async def test_odd_urls_are_no_fault_of_the_gateway(
    tmp_path: Path, target: bytes, status: int
) -> None:
    """By the bytes on the connection."""
    async with passing(tmp_path) as (url, _):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = b"GET /v1/%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret-a\r\n\r\n"
        writer.write(head % target)
        assert b" %d " % status in await reader.readline()
        writer.close()


async def test_a_stream_comes_as_it_is_made_and_ends_with_its_client(tmp_path: Path) -> None:
    """No upstream call is left running; its place is free again."""
    async with (
        passing(tmp_path) as (url, second),
        httpx.AsyncClient(headers=KEY, timeout=60) as client,
    ):
        async with client.stream("POST", f"{url}/v1/audio/speech", json={}) as answer:
            assert answer.headers["content-type"] == "audio/mpeg"
            assert await anext(answer.aiter_raw()) == b"first"
            busy = await client.post(f"{url}/v1/moderations", json={})
            assert busy.status_code == 429
        async with asyncio.timeout(60):
            await second.left.wait()
            while (await client.post(f"{url}/v1/moderations", json={})).status_code == 429:
                pass


@pytest.mark.parametrize(
    ("path", "word"), [("moved", "redirects"), ("denied", "GATEWAY_PASS_OTHERS_KEY")]
)
async def test_what_no_client_can_mend_is_502(tmp_path: Path, path: str, word: str) -> None:
    """A redirect is not followed; what is said of the key is not shown."""
    async with passing(tmp_path) as (url, _), httpx.AsyncClient(headers=KEY, timeout=60) as client:
        answer = await client.get(f"{url}/v1/{path}")
    assert answer.status_code == 502
    assert word in answer.json()["error"]["message"]
    assert "sk-" not in answer.text


async def test_a_broken_answer_does_not_look_whole(tmp_path: Path) -> None:
    """The client's connection is cut too."""
    async with passing(tmp_path) as (url, _), httpx.AsyncClient(headers=KEY, timeout=60) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{url}/v1/broken")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files/file-1/permissions",
        "/v1/batches/batch_1/more",
        "/v1/responses/resp_1/more",
        "/v1/metrics/more",
        "/openai/deployments/m/audio/speech",
        "/v1/audio/../../admin",
        "/v1/audio/%2e%2e/%2e%2e/admin",
        "/",
    ],
)
async def test_what_is_not_passed_on(tmp_path: Path, path: str) -> None:
    """Objects of this gateway, and paths that lead out of the base URL."""
    async with passing(tmp_path) as (url, second):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret-a\r\n\r\n"
        writer.write(head.encode())
        assert b" 404 " in await reader.readline()
        writer.close()
    assert second.asked == []


async def test_limits_hold(tmp_path: Path) -> None:
    """A key is asked for, the body has a limit, and models are the gateway's own."""

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    async with (
        passing(tmp_path, max_single_bytes=1000) as (url, second),
        httpx.AsyncClient(timeout=60) as client,
    ):
        target = f"{url}/v1/moderations"
        assert (await client.post(target, json={})).status_code == 401
        for content in (b"x" * 2000, blocks()):
            answer = await client.post(target, content=content, headers=KEY)
            assert answer.status_code == 413
        models = await client.get(f"{url}/v1/models", headers=KEY)
        assert models.json()["data"][0]["id"] == "gemini-2.5-flash"
    assert second.bodies == []


async def test_no_answer_is_told(tmp_path: Path) -> None:
    """An upstream that is not there."""
    async with new_world(tmp_path) as world:
        places = Places(LiveOptions())
        options = OtherOptions(
            "http://127.0.0.1:1/v1", lambda: "k", 60, 60, lambda o: places.one(o, 0)
        )
        others = OtherUpstream(options)
        async with (
            serving(world.app(others=others)) as url,
            httpx.AsyncClient(timeout=60) as client,
        ):
            answer = await client.post(f"{url}/v1/moderations", json={}, headers=KEY)
        await others.close()
    assert answer.status_code == 504
    assert "did not answer" in answer.json()["error"]["message"]
