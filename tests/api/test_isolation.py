"""Owners see their own alone: every route is tried with every id of another owner's.

The list of routes is the program's: a new one that takes an id is tried by itself, and one whose
body this file does not know fails.
"""

import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.routes import ROUTES, ApiRoute
from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from tests.api.world import LINE, START, World, new_world
from tests.conformance.background import collected, queued
from tests.conformance.records import a_job
from tests.every import in_one_item

URL = "https://example.com/hook"
UNKNOWN = "never-was-there"

# Bodies that are good but for whose they are. None: no JSON body is read, or it is a form.
BODIES: Mapping[tuple[str, str], Any] = {
    ("POST", "/files"): None,
    ("POST", "/uploads"): {
        "bytes": 5, "filename": "f", "mime_type": "application/jsonl", "purpose": "batch",
    },
    ("POST", "/uploads/{id}/parts"): None,
    ("POST", "/uploads/{id}/complete"): {"part_ids": ["part_none"]},
    ("POST", "/uploads/{id}/cancel"): None,
    ("POST", "/batches"): {
        "input_file_id": "file-none", "endpoint": "/v1/embeddings", "completion_window": "24h",
    },
    ("POST", "/batches/{id}/cancel"): None,
    ("POST", "/batches/{id}/retry"): {},
    ("POST", "/batches/{id}/rerender"): {},
    ("POST", "/webhook_endpoints"): {"name": "n", "url": URL, "event_types": ["batch.failed"]},
    ("POST", "/webhook_endpoints/{id}"): {"name": "taken"},
    ("POST", "/webhook_endpoints/{id}/rotate_secret"): {},
    ("POST", "/webhook_endpoints/{id}/test"): {"event_type": "batch.failed"},
    # Single requests name no object of the gateway's but a response's, by its owner.
    ("POST", "/chat/completions"): None,
    ("POST", "/completions"): None,
    ("POST", "/responses"): None,
    ("POST", "/responses/{id}/cancel"): None,
    ("POST", "/embeddings"): None,
    ("POST", "/images/generations"): None,
    ("POST", "/images/edits"): None,
}  # fmt: skip
QUERIES = {"/batches/{id}/line": "?custom_id=1"}
OWN = [route for route in ROUTES if not route.public]
WITH_ID = [route for route in OWN if "{id" in route.path]
LISTS = [route for route in OWN if route.method == "GET" and "{id" not in route.path]


@dataclass
class Alices:
    """What alice has, in a world where bob calls."""

    world: World
    ids: dict[str, str]
    bob: httpx.AsyncClient
    alice: httpx.AsyncClient

    def rows(self) -> list[str]:
        """All records."""
        with closing(sqlite3.connect(self.world.root / "data" / "gateway.db")) as database:
            return list(database.iterdump())


def client(world: World, key: str) -> httpx.AsyncClient:
    """A client of an owner."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app()),
        base_url="http://gateway",
        headers={"authorization": f"Bearer {key}"},
    )


@pytest.fixture
async def hers(tmp_path: Path) -> AsyncIterator[Alices]:
    """One of everything, with ids of the upstream too."""
    async with (
        new_world(tmp_path) as world,
        client(world, "secret-a") as alice,
        client(world, "secret-b") as bob,
    ):
        ids = await _made(world, alice)
        yield Alices(world, ids, bob, alice)


async def _made(world: World, alice: httpx.AsyncClient) -> dict[str, str]:
    async def post(path: str, **given: Any) -> dict[str, Any]:
        answer = await alice.post(path, **given)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        return made

    file = await post("/files", files={"file": ("f.jsonl", LINE)}, data={"purpose": "batch"})
    upload = await post("/uploads", json=BODIES["POST", "/uploads"])
    part = await post(f"/uploads/{upload['id']}/parts", files={"data": b"12345"})
    endpoint = await post(
        "/webhook_endpoints",
        json={"name": "n", "url": URL, "event_types": ["batch.completed"]},
    )
    body = {**BODIES["POST", "/batches"], "input_file_id": file["id"]}
    batch = await post("/batches", json=body)
    ended = await post("/batches", json=body)
    job = a_job(
        "joboftheirs1",
        batch_id=batch["id"],
        state=JobState.RUNNING,
        upstream_name="batches/upstream-0001",
    )
    claimed = await world.store.claim_batch(batch["id"], 1000)
    assert claimed is not None
    begun = replace(claimed, status=BatchStatus.IN_PROGRESS)
    assert await world.store.save_batch(begun, jobs=[job])
    await world.move(ended["id"], status=BatchStatus.COMPLETED, completed_at=START)
    # In the background: one response that was sent, and one that waits.
    one = await queued(world.store, "sent", owner="alice")
    assert await collected(world.store, one)
    waits = await queued(world.store, "waits", owner="alice", queue="two", model="model-of-hers")
    [delivery] = await world.store.due_deliveries(10**15, 10**15, 9)
    stored = await world.store.get_file("alice", file["id"], START)
    assert stored is not None
    return {
        "file": file["id"],
        "upload": upload["id"],
        "part": part["id"],
        "endpoint": endpoint["id"],
        "batch": batch["id"],
        "ended": ended["id"],
        "sent": one.id,
        "sent with": "batch_bg",
        "waits": waits.id,
        "model": "model-of-hers",
        "event": delivery.event_id,
        "job": job.id,
        "display name": job.display_name,
        "upstream": "batches/upstream-0001",
        "blob": stored.segments[0].blob,
    }


async def ask(
    client: httpx.AsyncClient, route: ApiRoute, thing: str, query: str = ""
) -> httpx.Response:
    """Call a route about something."""
    path = route.path.replace("{id:path}", thing).replace("{id}", thing.replace("/", "%2F"))
    body = BODIES.get((route.method, route.path))
    files = {"data": b"12345"} if route.path.endswith("/parts") else None
    query = query or QUERIES.get(route.path, "")
    return await client.request(route.method, f"{path}{query}", json=body, files=files)


def name_of(route: ApiRoute) -> str:
    """The route, for the report."""
    return f"{route.method} {route.path}"


@in_one_item
@pytest.mark.parametrize("route", OWN, ids=name_of)
def test_every_route_is_in_this_test(route: ApiRoute) -> None:
    """A new one with a body fails until its body is written above."""
    if route.method not in {"GET", "DELETE"}:
        assert (route.method, route.path) in BODIES


@in_one_item
@pytest.mark.parametrize("route", WITH_ID, ids=name_of)
async def test_an_id_of_another_owner_is_not_there(hers: Alices, route: ApiRoute) -> None:
    """Of every kind, in the words for one that never was; and nothing is written."""
    unknown = await ask(hers.bob, route, UNKNOWN)
    before = hers.rows()
    for kind, thing in hers.ids.items():
        answer = await ask(hers.bob, route, thing)
        assert answer.status_code == 404, f"{kind}: {answer.text}"
        if kind != "upstream":  # its slash is another path
            assert answer.text.replace(thing, UNKNOWN) == unknown.text, kind
    assert unknown.status_code == 404
    assert hers.rows() == before


@in_one_item
@pytest.mark.parametrize("route", LISTS, ids=name_of)
async def test_lists_are_of_ones_own(hers: Alices, route: ApiRoute) -> None:
    """Also from another owner's object on."""
    answer = await ask(hers.bob, route, "")
    assert answer.status_code == 200
    assert not any(thing in answer.text for thing in hers.ids.values())
    for kind, thing in hers.ids.items():
        after = await ask(hers.bob, route, "", f"?after={thing}")
        others = [other for other in hers.ids.values() if other not in thing]
        assert after.status_code in {200, 404}, kind
        assert after.status_code == 404 or after.text == answer.text
        assert not any(other in after.text for other in others)


async def test_an_id_of_another_owner_in_a_body(hers: Alices) -> None:
    """An input file, and parts of an upload."""
    body = BODIES["POST", "/batches"]
    unknown = await hers.bob.post("/batches", json={**body, "input_file_id": UNKNOWN})
    answer = await hers.bob.post("/batches", json={**body, "input_file_id": hers.ids["file"]})
    assert (answer.status_code, unknown.status_code) == (400, 400)
    assert answer.text.replace(hers.ids["file"], UNKNOWN) == unknown.text
    own = (await hers.bob.post("/uploads", json=BODIES["POST", "/uploads"])).json()["id"]
    told = []
    for part in (UNKNOWN, hers.ids["part"]):
        answer = await hers.bob.post(f"/uploads/{own}/complete", json={"part_ids": [part]})
        told.append((answer.status_code, answer.text.replace(part, UNKNOWN)))
    assert told[0] == told[1]
    assert told[0][0] == 400


async def test_no_answer_names_the_upstream(hers: Alices) -> None:
    """Neither its jobs nor the names of our bytes, whoever asks."""
    for route in OWN:
        if route.method != "GET" or route.path.endswith("/events"):
            continue
        for kind in ("file", "batch", "ended", "endpoint"):
            answer = await ask(hers.alice, route, hers.ids[kind])
            assert hers.ids["upstream"] not in answer.text
            assert hers.ids["blob"] not in answer.text


async def test_headers_of_projects_are_accepted(hers: Alices) -> None:
    """They name no owner."""
    headers = {"openai-project": "alice", "openai-organization": "alice"}
    assert (await hers.bob.get("/files", headers=headers)).json()["data"] == []
    assert len((await hers.alice.get("/files", headers=headers)).json()["data"]) == 1
