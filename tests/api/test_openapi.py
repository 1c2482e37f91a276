"""Answers against OpenAI's own OpenAPI schemas."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.batches.batch import BatchError, BatchStatus, Counts
from tests.api.world import START, World
from tests.conformance.openapi import SCHEMAS, check

Json = dict[str, Any]
Make = Callable[..., Awaitable[Json]]


async def test_files(alice: httpx.AsyncClient, upload: Make) -> None:
    """File, list, deletion."""
    made = await upload()
    members = SCHEMAS["OpenAIFile"]["properties"]

    check(made, "OpenAIFile")
    assert set(made) == set(members)
    check((await alice.get(f"/v1/files/{made['id']}")).json(), "OpenAIFile")
    check((await alice.get("/v1/files")).json(), "ListFilesResponse")
    check((await alice.delete(f"/v1/files/{made['id']}")).json(), "DeleteFileResponse")


async def test_uploads(alice: httpx.AsyncClient) -> None:
    """Upload in each status, part."""
    wanted = {"filename": "a", "purpose": "vision", "bytes": 1, "mime_type": "image/png"}
    made = (await alice.post("/v1/uploads", json=wanted)).json()
    check(made, "Upload")
    assert set(made) == set(SCHEMAS["Upload"]["properties"])
    url = f"/v1/uploads/{made['id']}"
    part = (await alice.post(f"{url}/parts", files={"data": b"x"})).json()
    check(part, "UploadPart")
    done = (await alice.post(f"{url}/complete", json={"part_ids": [part["id"]]})).json()
    check(done, "Upload")
    check(done["file"], "OpenAIFile")


INPUT = "the id of a file that exists"
STATES: list[Json] = [
    {"status": BatchStatus.VALIDATING},
    {"status": BatchStatus.IN_PROGRESS, "model": "m", "in_progress_at": START},
    {"status": BatchStatus.FINALIZING, "finalizing_at": START, "counts": Counts(3, 2, 1)},
    {"status": BatchStatus.COMPLETED, "completed_at": START, "output_file_id": INPUT},
    {"status": BatchStatus.CANCELLED, "cancelled_at": START, "error_file_id": INPUT},
    {"status": BatchStatus.EXPIRED, "expired_at": START},
    {
        "status": BatchStatus.FAILED,
        "failed_at": START,
        "errors": (BatchError("a", "b", "c", 1), BatchError("d", "e")),
    },
]


@pytest.mark.parametrize("changes", STATES, ids=lambda changes: changes["status"].value)
async def test_batches(world: World, alice: httpx.AsyncClient, create: Make, changes: Json) -> None:
    """A batch in each status has every member, each of its type."""
    made = await create(metadata={"a": "b"})
    known = {key: made["input_file_id"] if v == INPUT else v for key, v in changes.items()}
    await world.move(made["id"], **known)
    shown = (await alice.get(f"/v1/batches/{made['id']}")).json()

    check(shown, "Batch")
    members = set(SCHEMAS["Batch"]["properties"])
    assert set(shown) == members | {"gateway"}
    check((await alice.get("/v1/batches")).json(), "ListBatchesResponse")


async def test_models_and_errors(alice: httpx.AsyncClient) -> None:
    """Model, list, envelope."""
    check((await alice.get("/v1/models/gemini-2.5-flash")).json(), "Model")
    check((await alice.get("/v1/models")).json(), "ListModelsResponse")
    error = (await alice.get("/v1/files/none")).json()
    assert set(error["error"]) == set(SCHEMAS["Error"]["required"])
