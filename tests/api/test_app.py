"""The application as a whole: its table, its stack, what a server sends it beside requests."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from starlette.types import Message

from gateway.api.routes import ROUTES
from tests.api.world import World


def test_the_table_has_no_doubles() -> None:
    """One line per endpoint; only probes are public, and what is signed; who wakes starts work."""
    keys = [(route.method, route.path) for route in ROUTES]

    assert len(set(keys)) == len(keys)
    assert {route.path for route in ROUTES if route.public} == {
        "/healthz",
        "/metrics",
        "/readyz",
        "/webhooks/google",
    }
    assert {key for key, route in zip(keys, ROUTES, strict=True) if route.starts_work} == {
        ("POST", "/files"),
        ("POST", "/uploads"),
        ("POST", "/uploads/{id}/parts"),
        ("POST", "/uploads/{id}/complete"),
        ("POST", "/batches"),
        ("POST", "/batches/{id}/retry"),
        ("POST", "/batches/{id}/rerender"),
        ("POST", "/chat/completions"),
        ("POST", "/completions"),
        ("POST", "/responses"),
        ("POST", "/embeddings"),
        ("POST", "/images/generations"),
        ("POST", "/images/edits"),
        ("POST", "/webhooks/google"),
    }


async def test_lifespan(world: World) -> None:
    """A server that announces start and end gets its answers."""
    told = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answers: list[Message] = []

    async def receive() -> Message:
        return told.pop(0)

    async def send(message: Message) -> None:
        answers.append(message)

    await world.app()({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    assert [answer["type"] for answer in answers] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_head_is_get_without_its_body(
    alice: httpx.AsyncClient, upload: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    """On every path that has GET."""
    made = await upload()
    for path in ("/files", f"/files/{made['id']}", "/batches", "/models", "/healthz"):
        got, headed = await alice.get(path), await alice.head(path)
        assert headed.status_code == 200
        assert headed.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("secret", ["wrong", ""])
async def test_a_key_is_asked_for_before_a_body_is_read(world: World, secret: str) -> None:
    """Nobody uploads without one."""
    read = []

    async def watched() -> AsyncGenerator[bytes, None]:
        read.append(1)
        yield b""

    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.post(
            "/v1/files", content=watched(), headers={"authorization": f"Bearer {secret}"}
        )

    assert (answer.status_code, read) == (401, [])
    assert await world.store.sweepable_blobs(2**62, 10) == []


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/v1/moderations", "moderation"),
        ("/audio/speech", "sound"),
        ("/openai/v1/vector_stores/vs_1", "vector stores"),
        ("/v1/fine_tuning/jobs", "fine-tuning"),
    ],
)
async def test_what_is_not_served_says_why(alice: httpx.AsyncClient, path: str, word: str) -> None:
    """Not "check the URL for typos": there is none."""
    answer = await alice.post(path, json={"model": "gemini-3.8-flash"})

    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "unknown_url"
    assert word in error["message"].lower()
    assert "typos" not in error["message"]
