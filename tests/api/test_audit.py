"""The audit: a line for what was done, by whom, and no content."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.api.routes import ROUTES
from tests.api.world import World

Create = Callable[..., Awaitable[dict[str, Any]]]


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told, without request ids."""
    told = [one.getMessage() for one in caplog.records if one.name == "gateway.audit"]
    assert all("request=req_" in line for line in told)
    return [line.rpartition(" request=")[0] for line in told]


async def test_what_is_done_is_told(
    alice: httpx.AsyncClient, create: Create, caplog: pytest.LogCaptureFixture
) -> None:
    """With the outcome; a key's use once an hour."""
    caplog.set_level("INFO", "gateway.audit")
    batch = await create(metadata={"a": "sentinel-of-content"})
    await alice.post(f"/v1/batches/{batch['id']}/cancel")
    await alice.post(f"/v1/batches/{batch['id']}/retry", json={})
    await alice.delete(f"/v1/files/{batch['input_file_id']}")
    await alice.delete('/v1/files/file-"none" owner=bob')
    file, there = f'"{batch["input_file_id"]}"', f'"{batch["id"]}"'
    assert lines(caplog) == [
        "key.use owner=alice",
        f"file.create owner=alice object={file} status=200",
        f"batch.create owner=alice object={there} status=200",
        f"batch.cancel owner=alice object={there} status=200",
        f"batch.retry owner=alice object={there} status=409",
        f"file.delete owner=alice object={file} status=409",
        r'file.delete owner=alice object="file-\"none\" owner=bob" status=404',
    ]
    assert "sentinel-of-content" not in caplog.text


async def test_a_refused_key_is_told_and_not_repeated(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose it may be is not known."""
    caplog.set_level("INFO", "gateway.audit")
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        headers = {"authorization": "Bearer sentinel-of-a-key"}
        assert (await client.get("/v1/files", headers=headers)).status_code == 401
    assert lines(caplog) == ["key.refused"]
    assert "sentinel" not in caplog.text


def test_whatever_changes_something_is_audited() -> None:
    """Single requests change nothing."""
    single = {"/chat/completions", "/completions", "/responses", "/embeddings"}
    single |= {"/images/generations", "/images/edits"}
    for route in ROUTES:
        changes = route.method != "GET" and not route.public and route.path not in single
        assert bool(route.audit) is changes, route.path


async def test_the_access_log_has_one_line_for_a_request(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever its path holds: a line end in it is no second entry."""
    caplog.set_level("INFO", "gateway.access")
    transport = httpx.ASGITransport(world.app(access_log=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        await client.get(f"/v1/files/a%0Aforged{'x' * 500}")
    [told] = [one.getMessage() for one in caplog.records if one.name == "gateway.access"]
    assert re.fullmatch(r"GET /v1/files/a%0Aforgedx{100,200}: 401, 0 bytes in, .*", told)
