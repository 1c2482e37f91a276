"""``/v1/batches`` through HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.api.batches import RETRY_WINDOW_MS
from gateway.batches.batch import BatchStatus
from tests.api.world import LINE, START, World

Json = dict[str, Any]
Make = Callable[..., Awaitable[Json]]
NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}


def _body(file: Json, **members: Any) -> Json:
    return {
        "input_file_id": file["id"],
        "endpoint": "/v1/embeddings",
        "completion_window": "24h",
    } | members


async def test_an_endpoint_is_shown_as_it_was_sent(
    world: World, alice: httpx.AsyncClient, create: Make
) -> None:
    """Azure's spelling was 400; it is kept under OpenAI's, for whatever runs the batch."""
    batch = await create(endpoint="/embeddings")

    shown = (await alice.get(f"/v1/batches/{batch['id']}")).json()
    assert batch["endpoint"] == shown["endpoint"] == "/embeddings"
    stored = await world.store.get_batch("alice", batch["id"])
    assert stored is not None
    assert stored.endpoint == "/v1/embeddings"


async def test_create_answers_every_field(world: World, create: Make) -> None:
    """The whole object, nulls included; the runner is woken."""
    batch = await create(
        metadata={"a": "b"}, output_expires_after={"anchor": "created_at", "seconds": 3600}
    )

    assert batch == {
        "id": batch["id"],
        "object": "batch",
        "endpoint": "/v1/embeddings",
        "model": None,
        "errors": None,
        "input_file_id": batch["input_file_id"],
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": START // 1000,
        "in_progress_at": None,
        "expires_at": START // 1000 + 86_400,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": NO_USAGE,
        "metadata": {"a": "b"},
        "gateway": {
            "waiting_for": None,
            "waiting_since": None,
            "position": None,
            "eta_seconds": None,
            "ended_because": None,
            "upstream": None,
            "attempts": 0,
            "reused": 0,
            "paid_twice_at_most": 0,
            "rescue": None,
            "cost_usd": 0.0,
            "cost_at_most_usd": 0.0,
            "retry_of": None,
            "rerendered": [],
            "warnings": {},
            "warnings_file_id": None,
        },
    }
    assert world.rung == 1
    kept = await world.store.get_batch("alice", batch["id"])
    assert kept is not None
    assert (kept.output_expires_after, kept.policy) == (3600, {"version": 1})


async def test_retrieve_and_list(alice: httpx.AsyncClient, create: Make) -> None:
    """Newest first, in pages, each batch as create answered it."""
    made = [await create() for _ in range(5)]

    assert (await alice.get(f"/v1/batches/{made[0]['id']}")).json() == made[0]
    first = (await alice.get("/v1/batches?limit=2")).json()
    assert first == {
        "object": "list",
        "data": [made[4], made[3]],
        "first_id": made[4]["id"],
        "last_id": made[3]["id"],
        "has_more": True,
    }
    rest = (await alice.get(f"/v1/batches?after={made[3]['id']}")).json()
    assert (rest["data"], rest["has_more"]) == ([made[2], made[1], made[0]], False)


async def test_an_unknown_input_file(world: World, alice: httpx.AsyncClient) -> None:
    """The kinder, older answer: a 400 at once."""
    answer = await alice.post("/v1/batches", json=_body({"id": "file-none"}))

    assert (answer.status_code, answer.json()["error"]) == (
        400,
        {
            "message": "Cannot find file file-none, or this API key does not have access to it.",
            "type": "invalid_request_error",
            "param": "file_id",
            "code": None,
        },
    )
    assert world.rung == 0


async def test_a_file_of_another_purpose(alice: httpx.AsyncClient, upload: Make) -> None:
    """Only purpose batch is read as one."""
    answer = await alice.post("/v1/batches", json=_body(await upload(purpose="user_data")))

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "input_file_id")
    assert "'user_data'" in error["message"]


async def test_a_repeated_create_is_the_first_batch(
    world: World, alice: httpx.AsyncClient, upload: Make
) -> None:
    """The SDK says when it repeats; within the window that is one batch, beyond it two."""
    body = _body(await upload(), metadata={"a": "1", "b": "2"})
    again = {"x-stainless-retry-count": "1"}

    first = (await alice.post("/v1/batches", json=body)).json()
    reordered = body | {"metadata": {"b": "2", "a": "1"}}
    repeated = (await alice.post("/v1/batches", json=reordered, headers=again)).json()
    other = (await alice.post("/v1/batches", json=body | {"metadata": None}, headers=again)).json()
    fresh = (
        await alice.post("/v1/batches", json=body, headers={"x-stainless-retry-count": "0"})
    ).json()

    assert repeated == first
    assert len({first["id"], other["id"], fresh["id"]}) == 3
    world.clock.time += RETRY_WINDOW_MS + 1
    late = (await alice.post("/v1/batches", json=body, headers=again)).json()
    assert late["id"] not in {first["id"], fresh["id"]}


@pytest.mark.parametrize("use", ["retrieve", "list", "end"])
async def test_a_second_wish_is_no_retry(
    world: World, alice: httpx.AsyncClient, upload: Make, use: str
) -> None:
    """Who has used the id of the first batch, or seen it end, has the answer to its create."""
    body = _body(await upload())
    first = (await alice.post("/v1/batches", json=body)).json()
    retry = {"x-stainless-retry-count": "2"}
    assert (await alice.post("/v1/batches", json=body, headers=retry)).json()["id"] == first["id"]
    match use:
        case "retrieve":
            await alice.get(f"/v1/batches/{first['id']}")
        case "list":
            await alice.get("/v1/batches")
        case _:
            await world.move(first["id"], status=BatchStatus.FAILED, failed_at=START)

    again = await alice.post("/v1/batches", json=body, headers=retry)

    assert (again.status_code, again.json()["id"] != first["id"]) == (200, True)


async def test_idempotency_keys(alice: httpx.AsyncClient, upload: Make) -> None:
    """The same key is the same batch, at any time; with another body it is an error."""
    body = _body(await upload())
    key = {"idempotency-key": "order-66"}

    first = (await alice.post("/v1/batches", json=body, headers=key)).json()
    assert (await alice.post("/v1/batches", json=body, headers=key)).json() == first
    assert (await alice.post("/v1/batches", json=body)).json()["id"] != first["id"]
    refused = await alice.post("/v1/batches", json=body | {"metadata": {"a": "b"}}, headers=key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ö"])
async def test_bad_idempotency_keys(alice: httpx.AsyncClient, upload: Make, key: str) -> None:
    """Visible ASCII, not too long."""
    answer = await alice.post(
        "/v1/batches", json=_body(await upload()), headers={b"idempotency-key": key.encode()}
    )

    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", {"content-type": "application/json", "content-length": "0"}),
        (b"{not json", {"content-type": "application/json"}),
        (b"x" * 100_000, {"content-type": "text/plain"}),
    ],
)
async def test_cancel_never_reads_its_body(
    world: World, alice: httpx.AsyncClient, create: Make, body: bytes, headers: dict[str, str]
) -> None:
    """openai-python announces JSON and sends nothing."""
    batch = await create()
    world.clock.time += 5000

    answer = await alice.post(f"/v1/batches/{batch['id']}/cancel", content=body, headers=headers)

    assert answer.status_code == 200
    assert answer.json() == batch | {"status": "cancelling", "cancelling_at": START // 1000 + 5}
    assert world.rung == 2


async def test_cancel_twice_is_cancel_once(
    world: World, alice: httpx.AsyncClient, create: Make
) -> None:
    """Also after it has happened."""
    batch = await create()
    path = f"/v1/batches/{batch['id']}/cancel"

    first = (await alice.post(path)).json()
    world.clock.time += 5000
    assert (await alice.post(path)).json() == first
    await world.move(batch["id"], status=BatchStatus.CANCELLED, cancelled_at=world.clock.time)
    last = (await alice.post(path)).json()
    assert (last["status"], last["cancelling_at"]) == ("cancelled", START // 1000)


@pytest.mark.parametrize(
    ("status", "column"),
    [
        (BatchStatus.COMPLETED, "completed_at"),
        (BatchStatus.FAILED, "failed_at"),
        (BatchStatus.EXPIRED, "expired_at"),
    ],
)
async def test_cancel_after_the_end(
    world: World, alice: httpx.AsyncClient, create: Make, status: BatchStatus, column: str
) -> None:
    """409 in OpenAI's words, and no retry: both SDKs would try three times."""
    batch = await create()
    await world.move(batch["id"], status=status, **{column: START})

    answer = await alice.post(f"/v1/batches/{batch['id']}/cancel")

    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
    assert answer.json()["error"] == {
        "message": f"Cannot cancel a batch with status '{status}'.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_another_owner_sees_nothing(
    world: World, alice: httpx.AsyncClient, create: Make
) -> None:
    """Neither batches nor input files of somebody else."""
    batch = await create()
    bob = {"authorization": "Bearer secret-b"}
    body = _body({"id": batch["input_file_id"]})

    answers = [
        await alice.get(f"/v1/batches/{batch['id']}", headers=bob),
        await alice.post(f"/v1/batches/{batch['id']}/cancel", headers=bob),
        await alice.get(f"/v1/batches?after={batch['id']}", headers=bob),
        await alice.post("/v1/batches", json=body, headers=bob),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 400]
    assert answers[0].json()["error"]["message"] == f"No batch found with id '{batch['id']}'."
    assert (await alice.get("/v1/batches", headers=bob)).json()["data"] == []
    kept = await world.store.get_batch("alice", batch["id"])
    assert kept is not None
    assert kept.cancel_requested_at is None


async def test_idempotency_keys_are_each_owners_own(alice: httpx.AsyncClient, upload: Make) -> None:
    """Somebody else's key finds nothing."""
    body = _body(await upload())
    key = {"idempotency-key": "k"}
    await alice.post("/v1/batches", json=body, headers=key)

    answer = await alice.post(
        "/v1/batches", json=body, headers=key | {"authorization": "Bearer secret-b"}
    )

    assert answer.status_code == 400


async def test_a_batch_that_the_volume_cannot_hold_is_refused(
    world: World, alice: httpx.AsyncClient, upload: Callable[..., Awaitable[dict[str, Any]]]
) -> None:
    """507 before anything is written, not a batch that waits for room for ever."""
    made = await upload(LINE * 1000)

    async def free() -> int:
        return 1000 * len(LINE)

    world.blobs.free = free  # type: ignore[method-assign]
    body = {
        "input_file_id": made["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
    }
    answer = await alice.post("/v1/batches", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "insufficient_storage")


async def test_a_batch_waits_for_records_that_cannot_be_written(world: World, create: Make) -> None:
    """Its row cannot say so: a person saw `in_progress`, and no reason."""
    batch = await create()
    app = world.app(trouble=lambda: "the storage is full")
    headers = {"authorization": "Bearer secret-a"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://gateway", headers=headers
    ) as client:
        one = (await client.get(f"/v1/batches/{batch['id']}")).json()
        [listed] = (await client.get("/v1/batches")).json()["data"]
        assert one["gateway"]["waiting_for"] == "the storage is full"
        assert listed["gateway"]["waiting_for"] == "the storage is full"

        await world.move(batch["id"], status=BatchStatus.CANCELLED)
        ended = (await client.get(f"/v1/batches/{batch['id']}")).json()
        assert ended["gateway"]["waiting_for"] is None
