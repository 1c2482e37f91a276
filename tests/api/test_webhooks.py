"""``/v1/webhook_endpoints``, through openai-python and by hand."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, ConflictError, NotFoundError

from gateway.api.webhooks import MOST_ENDPOINTS, OFFERED, OVERLAP_MS
from gateway.batches.batch import BatchStatus
from gateway.batches.webhooks import SETTINGS_ENDPOINT, Attempt, WebhookEndpoint
from tests.api.world import START, World, serving

URL = "https://example.com/hook"
NEW = {"name": "mine", "url": URL, "event_types": ["batch.completed"]}


class Webhooks:
    """Delivery, as the API sees it."""

    def __init__(self) -> None:
        self.tested: list[tuple[str, str]] = []
        self.attempt = Attempt(START, 5, 418)

    def refusal(self, url: str) -> str | None:
        """Of everything but https."""
        return None if url.startswith("https://") else "must begin with https://"

    async def test(self, endpoint: WebhookEndpoint, kind: str) -> Attempt:
        """Keep what was asked for."""
        self.tested.append((endpoint.id, kind))
        return self.attempt


@pytest.fixture
def webhooks() -> Webhooks:
    """What the API is given."""
    return Webhooks()


@pytest.fixture
async def url(world: World, webhooks: Webhooks) -> AsyncGenerator[str, None]:
    """A server."""
    async with serving(world.app(webhooks=webhooks)) as base:
        yield f"{base}/v1"


def sdk(url: str, key: str = "secret-a") -> AsyncOpenAI:
    """The SDK, validating what it reads."""
    return AsyncOpenAI(base_url=url, api_key=key, max_retries=0, _strict_response_validation=True)


async def test_the_life_of_an_endpoint(url: str, world: World, webhooks: Webhooks) -> None:
    """Every method of the SDK's resource."""
    async with sdk(url) as client:
        made = await client.webhooks.create(
            name="mine", url=URL, event_types=["batch.completed", "batch.failed"]
        )
        assert made.signing_secret.startswith("whsec_")
        assert made.signing_secret_hint is not None
        assert made.signing_secret_hint.endswith(made.signing_secret[-4:])
        got = await client.webhooks.retrieve(made.id)
        assert got.to_dict() == {
            "id": made.id,
            "object": "webhook_endpoint",
            "name": "mine",
            "url": URL,
            "event_types": ["batch.completed", "batch.failed"],
            "created_at": START // 1000,
            "updated_at": START // 1000,
            "signing_secret_hint": made.signing_secret_hint,
        }
        world.clock.time += 60_000
        same = await client.webhooks.update(made.id, name="mine")
        assert same.updated_at == START // 1000  # what changes nothing is no change
        changed = await client.webhooks.update(made.id, event_types=["batch.expired"], name="b")
        assert (changed.event_types, changed.name, changed.url) == (["batch.expired"], "b", URL)
        assert changed.updated_at == START // 1000 + 60
        assert [one.id async for one in client.webhooks.list()] == [made.id]
        tested = await client.webhooks.test(made.id, event_type="batch.failed")
        assert (tested.status_code, tested.success) == (418, True)
        assert webhooks.tested == [(made.id, "batch.failed")]
        types = await client.webhooks.event_types.list()
        assert types.data == list(OFFERED)
        gone = await client.webhooks.delete(made.id)
        assert (gone.id, gone.deleted) == (made.id, True)
        with pytest.raises(NotFoundError):
            await client.webhooks.retrieve(made.id)


async def test_secrets_are_rotated(url: str, world: World) -> None:
    """With a day of overlap by wish; else the old one is over at once."""
    async with sdk(url) as client:
        made = await client.webhooks.create(name="n", url=URL, event_types=["batch.failed"])
        kept = await client.webhooks.rotate_secret(
            made.id, keep_old_secret_active_for_24_hours=True
        )
        stored = await world.store.get_endpoint("alice", made.id)
        assert stored is not None
        assert stored.secrets(START + OVERLAP_MS - 1) == (kept.signing_secret, made.signing_secret)
        assert stored.secrets(START + OVERLAP_MS) == (kept.signing_secret,)
        fresh = await client.webhooks.rotate_secret(made.id)
        stored = await world.store.get_endpoint("alice", made.id)
        assert stored is not None
        assert stored.secrets(START) == (fresh.signing_secret,)
        assert len({made.signing_secret, kept.signing_secret, fresh.signing_secret}) == 3


@pytest.mark.slow
async def test_lists_have_pages(url: str) -> None:
    """Newest first; there is a most."""
    async with sdk(url) as client:
        ids = [
            (await client.webhooks.create(name=str(n), url=URL, event_types=["batch.failed"])).id
            for n in range(MOST_ENDPOINTS)
        ]
        assert [one.id async for one in client.webhooks.list(limit=7)] == ids[::-1]
        with pytest.raises(Exception, match="delete one first"):
            await client.webhooks.create(name="n", url=URL, event_types=["batch.failed"])
        with pytest.raises(NotFoundError, match="No webhook endpoint found"):
            await client.webhooks.list(after="we_none")


async def test_the_endpoint_of_the_settings_is_seen_and_not_changed(url: str, world: World) -> None:
    """Its path may be a secret."""
    await world.store.set_settings_endpoint("https://hooks.example.com/T0/secret?a=b", START)
    async with sdk(url) as client:
        [seen] = [one async for one in client.webhooks.list()]
        assert (seen.id, seen.url) == (SETTINGS_ENDPOINT, "https://hooks.example.com")
        assert seen.signing_secret_hint is None
        for call in (
            client.webhooks.update(seen.id, name="x"),
            client.webhooks.delete(seen.id),
            client.webhooks.rotate_secret(seen.id),
            client.webhooks.test(seen.id, event_type="batch.failed"),
        ):
            with pytest.raises(ConflictError, match="GATEWAY_WEBHOOK_URL"):
                await call


async def test_deliveries_are_shown(
    url: str, world: World, alice: httpx.AsyncClient, upload: Any
) -> None:
    """With every attempt, the last one first."""
    async with sdk(url) as client:
        made = await client.webhooks.create(name="n", url=URL, event_types=["batch.completed"])
        batch = await client.batches.create(
            input_file_id=(await upload())["id"],
            endpoint="/v1/embeddings",
            completion_window="24h",
        )
    await world.move(batch.id, status=BatchStatus.COMPLETED, completed_at=START + 9_000)
    [due] = await world.store.due_deliveries(10**15, 10**15, 10)
    claimed = await world.store.claim_delivery(due, START, START + 1)
    assert claimed is not None
    attempts = (Attempt(START, 30_000, None, "no answer"), Attempt(START + 40_000, 7, 500))
    await world.store.save_delivery(
        replace(claimed[0], attempts=attempts, tried=2, due_at=START + 60_000)
    )
    path = f"/v1/webhook_endpoints/{made.id}/deliveries"
    shown = (await alice.get(path)).json()
    assert shown["data"] == [
        {
            "id": due.event_id,
            "object": "webhook_endpoint.delivery",
            "webhook_endpoint_id": made.id,
            "type": "batch.completed",
            "batch_id": batch.id,
            "created_at": START // 1000 + 9,
            "status": "pending",
            "next_attempt_at": START // 1000 + 60,
            "attempt_count": 2,
            "attempts": [
                {"at": START // 1000 + 40, "duration_ms": 7, "status_code": 500, "error": None},
                {
                    "at": START // 1000,
                    "duration_ms": 30_000,
                    "status_code": None,
                    "error": "no answer",
                },
            ],
        }
    ]
    assert (await alice.get(f"{path}?after={due.event_id}")).json()["data"] == []
    assert (await alice.get(f"{path}?after=evt_none")).status_code == 404


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"url": "http://example.com"}, "url", "invalid_value"),
        ({"url": 5}, "url", "invalid_type"),
        ({"url": None}, "url", "invalid_type"),
        ({"name": ""}, "name", "invalid_value"),
        ({"name": "x" * 300}, "name", "invalid_value"),
        ({"event_types": []}, "event_types", "invalid_value"),
        ({"event_types": "batch.completed"}, "event_types", "invalid_type"),
        ({"event_types": ["realtime.call.incoming"]}, "event_types[0]", "invalid_value"),
        ({"event_types": ["batch.failed", 1]}, "event_types[1]", "invalid_type"),
        ({"event_types": ["batch.done"]}, "event_types[0]", "invalid_value"),
        ({"metadata": {}}, "metadata", "unknown_parameter"),
    ],
)
async def test_wrong_members_are_named(
    url: str, changes: dict[str, Any], param: str, code: str
) -> None:
    """When it is created, and when it is changed."""
    headers = {"authorization": "Bearer secret-a"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        made = (await client.post("/webhook_endpoints", json=NEW)).json()
        for path in ("/webhook_endpoints", f"/webhook_endpoints/{made['id']}"):
            answer = await client.post(path, json=NEW | changes)
            assert answer.status_code == 400, answer.text
            error = answer.json()["error"]
            assert (error["param"], error["code"]) == (param, code)


async def test_missing_members_are_named(url: str) -> None:
    """Each that a create needs, and the type that a test needs."""
    headers = {"authorization": "Bearer secret-a"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        made = (await client.post("/webhook_endpoints", json=NEW)).json()
        for name in NEW:
            body = {key: value for key, value in NEW.items() if key != name}
            answer = await client.post("/webhook_endpoints", json=body)
            assert answer.json()["error"]["param"] == name
        answer = await client.post(f"/webhook_endpoints/{made['id']}/test", json={})
        assert answer.json()["error"]["param"] == "event_type"
        path = f"/webhook_endpoints/{made['id']}/rotate_secret"
        answer = await client.post(path, json={"keep_old_secret_active_for_24_hours": "yes"})
        assert answer.json()["error"]["code"] == "invalid_type"
        assert (await client.post("/webhook_endpoints", json=[])).status_code == 400


async def test_a_test_without_an_answer_is_an_error(url: str, webhooks: Webhooks) -> None:
    """OpenAI's type has no word for it."""
    webhooks.attempt = Attempt(START, 1, None, "no connection")
    headers = {"authorization": "Bearer secret-a"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        made = (await client.post("/webhook_endpoints", json=NEW)).json()
        answer = await client.post(
            f"/webhook_endpoints/{made['id']}/test", json={"event_type": "batch.failed"}
        )
    assert (answer.status_code, answer.headers["x-should-retry"]) == (400, "false")
    error = answer.json()["error"]
    assert error["code"] == "webhook_endpoint_unreachable"
    assert error["message"] == "The webhook endpoint did not answer: no connection."
