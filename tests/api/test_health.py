"""Probes, and what a process on its way down still does."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.errors import DamagedStoreError
from tests.api.world import World, form_of


async def test_probes_need_no_key(world: World) -> None:
    """Kubernetes has none."""
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready", "google": "not_asked"}
        world.is_ready = False
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503


@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches"])
async def test_draining_refuses_new_work(world: World, alice: httpx.AsyncClient, path: str) -> None:
    """503 with a delay that the SDKs wait for, and nothing begun."""
    world.is_ready = False
    body, headers = form_of(b"x", purpose="batch")

    answer = await alice.post(path, content=body, headers=headers)

    assert answer.status_code == 503
    assert 0 < int(answer.headers["retry-after"]) <= 120
    assert "x-should-retry" not in answer.headers
    assert answer.json()["error"]["code"] == "server_is_overloaded"
    assert world.kept() == set()


async def test_draining_still_answers(
    world: World,
    alice: httpx.AsyncClient,
    create: Callable[..., Awaitable[dict[str, Any]]],
) -> None:
    """Reading, cancelling and deleting are done in a moment."""
    batch = await create()
    world.is_ready = False

    assert (await alice.get(f"/v1/batches/{batch['id']}")).status_code == 200
    assert (await alice.get(f"/v1/files/{batch['input_file_id']}/content")).status_code == 200
    assert (await alice.post(f"/v1/batches/{batch['id']}/cancel")).status_code == 200


async def test_a_damaged_database_is_told_to_who_ends_the_process(world: World) -> None:
    """A37: a request is answered 503, as it will be until the process has ended."""
    told: list[DamagedStoreError] = []
    writer = world.store.engine.writer._session.connection
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    path = world.store.engine.path
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    transport = httpx.ASGITransport(world.app(damaged=told.append))
    headers = {"authorization": "Bearer secret-a"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=headers
    ) as client:
        answer = await client.get("/v1/batches")

    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "The gateway's records are damaged."
    assert len(told) == 1
