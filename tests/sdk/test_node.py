"""openai-node against a real server: files first in the form, chunked, no Content-Length."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.world import START, new_world, serving
from tests.sdk.nodejs import run_node

Json = dict[str, Any]
Run = Callable[..., Awaitable[Json]]
LINE = '{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"a"}}\n'


@pytest.fixture
async def node(tmp_path: Path) -> AsyncGenerator[Run, None]:
    """Run a scenario against a gateway without a runner."""
    programs = tmp_path / "programs"
    programs.mkdir()
    async with new_world(tmp_path) as world, serving(world.app()) as url:

        async def run(scenario: str, **arguments: Any) -> Json:
            answer: Json = await run_node(programs, f"{url}/v1", scenario, **arguments)
            return answer

        yield run


async def test_files(node: Run) -> None:
    """The whole life of a file."""
    saw = await node("files")

    made = saw["made"]
    assert (made["filename"], made["bytes"]) == ('größe "1".jsonl', len(LINE))
    assert made["expires_at"] == START // 1000 + 3600
    assert saw["retrieved"] == made
    assert saw["listed"] == [made]
    assert (saw["content"], saw["length"]) == (LINE, str(len(LINE)))
    assert saw["deleted"] == {"id": made["id"], "object": "file", "deleted": True}
    assert (saw["gone"]["name"], saw["gone"]["param"]) == ("NotFoundError", "id")
    assert saw["gone"]["requestID"].startswith("req_")


async def test_uploads(node: Run) -> None:
    """Parts at once, in the order that is told."""
    saw = await node("uploads")

    assert saw["done"] == {**saw["upload"], "status": "completed", "file": saw["done"]["file"]}
    assert (saw["done"]["file"]["filename"], saw["content"]) == ("ü.txt", saw["text"])
    assert (saw["first"]["object"], saw["first"]["upload_id"]) == (
        "upload.part",
        saw["upload"]["id"],
    )
    assert saw["cancelled"]["status"] == "cancelled"
    assert (saw["again"]["name"], saw["again"]["param"]) == ("BadRequestError", "upload_id")


async def test_batches(node: Run) -> None:
    """Create, look, cancel, cancel again."""
    saw = await node("batches")

    created = saw["created"]
    assert (created["status"], created["metadata"]) == ("validating", {"a": "b"})
    assert saw["retrieved"] == created
    assert saw["listed"] == [created]
    assert (saw["inUse"]["name"], saw["inUse"]["status"]) == ("ConflictError", 409)
    assert saw["cancelled"]["status"] == "cancelling"
    assert saw["again"] == saw["cancelled"]


async def test_pages(node: Run) -> None:
    """All of them, once each."""
    saw = await node("pages", files=5)

    assert saw["listed"] == saw["made"][::-1]


async def test_errors(node: Run) -> None:
    """The SDK finds status, code, param and message."""
    saw = await node("errors")

    assert saw["unknown"]["name"] == "NotFoundError"
    assert "No batch found with id 'batch_none'." in saw["unknown"]["message"]
    assert (saw["endpoint"]["name"], saw["endpoint"]["param"], saw["endpoint"]["code"]) == (
        "BadRequestError",
        "endpoint",
        "invalid_value",
    )
    assert (saw["stranger"]["name"], saw["stranger"]["code"]) == (
        "AuthenticationError",
        "invalid_api_key",
    )
