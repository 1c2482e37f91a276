"""The database or the bucket is away: every route answers 503 with Retry-After, or does without.

The list of routes is the program's, so that a new one is tried by itself.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from gateway.api.routes import ROUTES, ApiRoute
from gateway.emulator.testing import EmulatorOptions, running
from tests.api.test_isolation import BODIES, QUERIES
from tests.e2e.harness import GatewayProcess, chat_line, finished, submit
from tests.engines.buckets import BucketServer
from tests.postgres_server import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# Served without the records: what Google answers alone, and what is about this process. A response
# that is paid for is given also when it cannot be stored.
WITHOUT_RECORDS: Final = {
    *(
        ("GET", path)
        for path in ("/models", "/models/{id:path}", "/healthz", "/readyz", "/metrics")
    ),
    ("GET", "/webhook_event_types"),
    *(("POST", path) for path in ("/chat/completions", "/completions", "/embeddings")),
    ("POST", "/responses"),
    *(("POST", path) for path in ("/images/generations", "/images/edits", "/webhooks/google")),
}
# What needs the bytes of files.
WITH_BYTES: Final = {
    ("POST", "/files"),
    ("GET", "/files/{id}/content"),
    ("GET", "/files/{id}/dry_run"),
    ("POST", "/uploads/{id}/parts"),
    ("GET", "/batches/{id}/results"),
    ("GET", "/batches/{id}/line"),
    ("GET", "/batches/{id}/verify"),
    ("POST", "/batches/{id}/rerender"),
    ("GET", "/responses/{id}"),
    ("GET", "/responses/{id}/input_items"),
}
# What would take away the objects that others are asked for at the same time.
ENDS: Final = {("POST", "/uploads/{id}/cancel"), ("POST", "/uploads/{id}/complete")}
FORMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "/files": {"files": {"file": ("f.jsonl", b"{}\n")}, "data": {"purpose": "batch"}},
    "/uploads/{id}/parts": {"files": {"data": b"12345"}},
}
KEY: Final = {"authorization": "Bearer any"}
CHAT: Final = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "x"}]}
SINGLE: Final[Mapping[str, Mapping[str, Any]]] = {
    "/chat/completions": CHAT,
    "/completions": {"model": "gemini-2.5-flash", "prompt": "x"},
    "/responses": {"model": "gemini-2.5-flash", "input": "x"},
    "/embeddings": {"model": "gemini-embedding-001", "input": "x"},
}


@dataclass
class Place:
    """A gateway, what it stands on, and ids of what it has."""

    gateway: GatewayProcess
    server: PostgresServer
    bucket: BucketServer
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, bucket_server: BucketServer) -> Iterator[Place]:
    """One of everything."""
    root: Path = tmp_path_factory.mktemp("outages")
    server = PostgresServer()
    bucket_server.make_bucket("outages")
    settings = {
        **bucket_server.environment(),
        "GATEWAY_STORE": server.url(),
        "GATEWAY_BLOBS": "s3://outages",
        "GATEWAY_RECORDED_BLOB_BYTES": "0",  # else what is small needs no bucket
    }
    with running(EmulatorOptions(job_seconds=0.1)) as gemini:
        gateway = GatewayProcess(root / "data", gemini.base_url, settings)
        gateway.data.mkdir()
        try:
            gateway.start()
            yield Place(gateway, server, bucket_server, made(gateway))
        finally:
            gateway.close()
            server.close()


def made(gateway: GatewayProcess) -> dict[str, str]:
    """Make what routes ask for."""
    client = gateway.client()
    batch = finished(client, submit(client, [chat_line("1", "x")]))
    upload = client.uploads.create(
        bytes=5, filename="f.jsonl", mime_type="application/jsonl", purpose="batch"
    )
    endpoint = BODIES["POST", "/webhook_endpoints"]
    hook = httpx.post(
        f"{gateway.url}/webhook_endpoints", json=endpoint, headers=KEY, timeout=60
    ).json()
    answer = client.responses.create(model="gemini-2.5-flash", input="x")
    return {
        "files": batch.input_file_id,
        "uploads": upload.id,
        "batches": batch.id,
        "webhook_endpoints": hook["id"],
        "responses": answer.id,
        "models": "gemini-2.5-flash",
    }


async def ask(client: httpx.AsyncClient, route: ApiRoute, ids: Mapping[str, str]) -> httpx.Response:
    """Call a route as a client does."""
    place = route.path.split("/")[1]
    path = route.path.replace("{id:path}", "{id}").replace("{id}", ids.get(place, "none"))
    given = dict(FORMS.get(route.path, {}))
    body = BODIES.get((route.method, route.path)) or SINGLE.get(route.path)
    if route.method == "POST" and body is not None:
        named = {"input_file_id": ids["files"]} if route.path == "/batches" else {}
        given["json"] = {**body, **named}
    return await client.request(route.method, path + QUERIES.get(route.path, ""), **given)


def asked(place: Place, routes: Sequence[ApiRoute]) -> dict[tuple[str, str], httpx.Response]:
    """Call routes, all at once."""

    async def all_of_them() -> list[httpx.Response]:
        base = place.gateway.url
        async with httpx.AsyncClient(base_url=base, timeout=120, headers=KEY) as client:
            return await asyncio.gather(*(ask(client, route, place.ids) for route in routes))

    answers = asyncio.run(all_of_them())
    return {(route.method, route.path): one for route, one in zip(routes, answers, strict=True)}


def refused(answers: Mapping[tuple[str, str], httpx.Response]) -> set[tuple[str, str]]:
    """Routes that answered 503, each with a time to come back; none failed otherwise."""
    for route, answer in answers.items():
        assert answer.status_code < 500 or answer.status_code == 503, (route, answer.text)
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0, route
            assert "error" in answer.json() or route[1].endswith("z"), route
    return {route for route, answer in answers.items() if answer.status_code == 503}


def test_without_the_database(place: Place) -> None:
    """Everything that needs a record says when to come back, and is there when it is back."""
    place.server.stop("immediate")
    answers = asked(place, ROUTES)
    place.server.start()
    every = {(route.method, route.path) for route in ROUTES}
    assert refused(answers) == every - WITHOUT_RECORDS
    client = place.gateway.client(max_retries=10)
    assert finished(client, submit(client, [chat_line("1", "x")])).status == "completed"


def test_without_the_bucket(place: Place) -> None:
    """What needs bytes says so; everything else is served."""
    routes = [
        route
        for route in ROUTES
        if route.method != "DELETE" and (route.method, route.path) not in ENDS
    ]
    with place.bucket.refusing():
        answers = asked(place, routes)
    assert refused(answers) == WITH_BYTES
