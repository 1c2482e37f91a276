"""Answers against OpenAI's own OpenAPI schemas."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import orjson
import pytest

from gateway.batches.batch import BatchError, BatchStatus, Counts
from tests.api.world import START, World

Json = dict[str, Any]
Make = Callable[..., Awaitable[Json]]
SPEC = orjson.loads(
    (Path(__file__).parent.parent / "data" / "openai-batch-openapi.json").read_bytes()
)


def check(value: Json, schema: str) -> None:
    """Valid but for nulls, which OpenAI sends too where its types forbid them."""
    reference = {"$ref": f"#/components/schemas/{schema}", **SPEC}
    jsonschema.Draft202012Validator(reference).validate(_without_nulls(value))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


async def test_files(alice: httpx.AsyncClient, upload: Make) -> None:
    """File, list, deletion."""
    made = await upload()
    members = SPEC["components"]["schemas"]["OpenAIFile"]["properties"]

    check(made, "OpenAIFile")
    assert set(made) == set(members)
    check((await alice.get(f"/v1/files/{made['id']}")).json(), "OpenAIFile")
    check((await alice.get("/v1/files")).json(), "ListFilesResponse")
    check((await alice.delete(f"/v1/files/{made['id']}")).json(), "DeleteFileResponse")


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
    members = set(SPEC["components"]["schemas"]["Batch"]["properties"])
    assert set(shown) == members | {"gateway"}
    check((await alice.get("/v1/batches")).json(), "ListBatchesResponse")


async def test_models_and_errors(alice: httpx.AsyncClient) -> None:
    """Model, list, envelope."""
    check((await alice.get("/v1/models/gemini-2.5-flash")).json(), "Model")
    check((await alice.get("/v1/models")).json(), "ListModelsResponse")
    error = (await alice.get("/v1/files/none")).json()
    assert set(error["error"]) == set(SPEC["components"]["schemas"]["Error"]["required"])
