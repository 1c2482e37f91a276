"""``GET /v1/files/{id}/dry_run``: whose file, of which purpose, for which endpoint."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.batches.file import File
from tests.api.world import World

Json = dict[str, Any]


async def told(_file: File, endpoint: str | None) -> Json:
    """A dry run that says what it was asked for."""
    return {"endpoint": endpoint, "lines": 1}


async def ask(world: World, file_id: str, key: str = "secret-a", **query: str) -> httpx.Response:
    """Ask a gateway that tries files."""
    transport = httpx.ASGITransport(world.app(dry_run=told))
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        path = f"/v1/files/{file_id}/dry_run"
        return await client.get(path, params=query, headers=headers)


async def test_a_file_is_tried(world: World, upload: Callable[..., Awaitable[Json]]) -> None:
    """For the endpoint of its lines, or for another."""
    file = await upload()
    answer = await ask(world, file["id"])
    assert answer.json() == {
        "object": "file.dry_run",
        "id": file["id"],
        "endpoint": None,
        "lines": 1,
    }
    other = await ask(world, file["id"], endpoint="/embeddings")
    assert other.json()["endpoint"] == "/v1/embeddings"


@pytest.mark.parametrize(
    ("fields", "query", "status"),
    [({"purpose": "user_data"}, {}, 400), ({}, {"endpoint": "/v1/odd"}, 400)],
)
async def test_what_cannot_be_tried(
    world: World,
    upload: Callable[..., Awaitable[Json]],
    fields: dict[str, str],
    query: dict[str, str],
    status: int,
) -> None:
    """It is told why."""
    file = await upload(**fields)
    assert (await ask(world, file["id"], **query)).status_code == status


async def test_another_owners_file_is_not_there(
    world: World, upload: Callable[..., Awaitable[Json]]
) -> None:
    """As for every other route."""
    file = await upload()
    assert (await ask(world, file["id"], "secret-b")).status_code == 404
