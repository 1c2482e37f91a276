"""What the API's tests share."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.units import KIB
from tests.api import world as api_world
from tests.api.world import LINE, World, new_world

Json = dict[str, Any]


@pytest.fixture
def files_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No blob is kept in the records, however small."""
    monkeypatch.setattr(api_world, "RECORDED_BYTES", 0)


@pytest.fixture(params=["files", "records"])
def both_places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small blobs are files once, and once in the records."""
    monkeypatch.setattr(api_world, "RECORDED_BYTES", 0 if request.param == "files" else 16 * KIB)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    """A store and blobs of the test's own."""
    async with new_world(tmp_path) as made:
        yield made


@pytest.fixture
async def alice(world: World) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client with a good key, straight into the application."""
    transport = httpx.ASGITransport(world.app())
    headers = {"authorization": "Bearer secret-a"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=headers
    ) as client:
        yield client


@pytest.fixture
def upload(alice: httpx.AsyncClient) -> Callable[..., Awaitable[Json]]:
    """Upload a file; the answer."""

    async def call(data: bytes = LINE, filename: str = "in.jsonl", **fields: str) -> Json:
        answer = await alice.post(
            "/v1/files", files={"file": (filename, data)}, data={"purpose": "batch"} | fields
        )
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    return call


@pytest.fixture
def create(
    alice: httpx.AsyncClient, upload: Callable[..., Awaitable[Json]]
) -> Callable[..., Awaitable[Json]]:
    """Create a batch over a fresh file; the answer."""

    async def call(**members: Any) -> Json:
        body = {"endpoint": "/v1/embeddings", "completion_window": "24h"} | members
        body.setdefault("input_file_id", (await upload())["id"])
        answer = await alice.post("/v1/batches", json=body)
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    return call
