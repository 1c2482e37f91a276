"""Google's webhooks: signed by Standard Webhooks' own library, believed no further than that."""

import base64
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime, timedelta

import httpx
import orjson
import pytest
from standardwebhooks import Webhook

from gateway.clock import SystemClock
from tests.api.world import World

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
OTHER = "whsec_" + base64.b64encode(b"another").decode()
EVENT = {
    "type": "batch.succeeded",
    "version": "v1",
    "timestamp": "2026-11-29T10:00:00Z",
    "data": {"id": "batches/abc", "output_file_uri": "files/xyz"},
}


@pytest.fixture
async def google(world: World) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A sender without a key."""
    transport = httpx.ASGITransport(world.app(google_webhook_secrets=[SECRET]))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def signed(body: bytes, secret: str = SECRET, age: timedelta = timedelta()) -> Mapping[str, str]:
    """Headers as Google sends them."""
    at = datetime.fromtimestamp(SystemClock().now() // 1000, UTC) - age
    return {
        "content-type": "application/json",
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body.decode()),
    }


@pytest.mark.parametrize("path", ["/webhooks/google", "/v1/webhooks/google"])
async def test_a_signed_event_wakes_the_poller(
    world: World, google: httpx.AsyncClient, path: str
) -> None:
    """It needs no key of a client."""
    body = orjson.dumps(EVENT)
    answer = await google.post(path, content=body, headers=signed(body))
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert world.rung == 1


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"data":7}', b'{"data":{"id":[]}}'])
async def test_an_event_that_names_no_job_wakes_it_too(
    world: World, google: httpx.AsyncClient, body: bytes
) -> None:
    """Google may come to send other shapes."""
    assert (
        await google.post("/webhooks/google", content=body, headers=signed(body))
    ).status_code == 200
    assert world.rung == 1


BODY = orjson.dumps(EVENT)
WRONG: Mapping[str, Mapping[str, str]] = {
    "unsigned": {"content-type": "application/json"},
    "by another secret": signed(BODY, OTHER),
    "of another body": signed(b"{}"),
    "old": signed(BODY, age=timedelta(minutes=6)),
    "of the future": signed(BODY, age=timedelta(hours=-1)),
    "malformed": {**signed(BODY), "webhook-signature": "v1"},
    "no base64": {**signed(BODY), "webhook-signature": "v1,%%%"},
    "no time": {**signed(BODY), "webhook-timestamp": "nan"},
    "asymmetric": {**signed(BODY), "webhook-signature": "v1a,AAAA"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
async def test_what_is_not_signed_so_wakes_nothing(
    world: World, google: httpx.AsyncClient, headers: Mapping[str, str]
) -> None:
    """In OpenAI's envelope."""
    answer = await google.post("/webhooks/google", content=BODY, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_webhook_signature"
    assert world.rung == 0


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_is_bounded(
    world: World, google: httpx.AsyncClient, *, declared: bool
) -> None:
    """Before its signature is looked at."""
    body = b" " * (64 * 1024 + 1)

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body

    content = body if declared else pieces()
    answer = await google.post("/webhooks/google", content=content, headers=signed(body))
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert world.rung == 0


async def test_bytes_that_are_no_text_are_refused(google: httpx.AsyncClient) -> None:
    """The signature is over text."""
    answer = await google.post("/webhooks/google", content=b"\xff", headers=signed(b"{}"))
    assert answer.status_code == 400


async def test_without_a_secret_there_is_no_such_url(alice: httpx.AsyncClient) -> None:
    """And the answer names the setting."""
    answer = await alice.post("/webhooks/google", content=BODY, headers=signed(BODY))
    assert answer.status_code == 404
    assert "GATEWAY_GOOGLE_WEBHOOK_SECRET" in answer.json()["error"]["message"]
