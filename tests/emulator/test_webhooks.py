"""Webhooks: registered by Google's SDK, received and verified by others' arithmetic."""

import base64
import hashlib
import hmac
import http.server
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from google import genai
from google.genai import types

from gateway.emulator.testing import Emulator
from tests.emulator.replaying import BY_A_FAULT, SAMPLES, compare, differences, replays, send

Json = dict[str, Any]
Create = Callable[..., httpx.Response]
WAIT = 20


@dataclass
class Receiver:
    """What was received, and how it shall be answered."""

    uri: str = ""
    got: "queue.Queue[tuple[Json, bytes]]" = field(default_factory=queue.Queue)
    failures: int = 0
    """How many deliveries are answered with 500 first."""

    def next(self) -> tuple[Json, bytes]:
        """Headers (lowercase) and body of the next delivery."""
        return self.got.get(timeout=WAIT)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A small HTTP server that takes deliveries."""
    received = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = 500 if received.failures > 0 else 200
            received.failures -= 1
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
            received.got.put(({k.lower(): v for k, v in self.headers.items()}, body))

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        received.uri = f"http://127.0.0.1:{server.server_port}/hook?a=b"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield received
        server.shutdown()
        thread.join()


def _hmac(secret: str, headers: Json, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _register(api: httpx.Client, receiver: Receiver, *events: str) -> Json:
    body = {"name": "n", "uri": receiver.uri, "subscribed_events": list(events)}
    answer: Json = api.post("/v1beta/webhooks", json=body).json()
    return answer


@pytest.mark.slow
def test_sdk_manages_webhooks(sdk: genai.Client, receiver: Receiver) -> None:
    """Create, get, list, update, ping, rotate, delete."""
    made = sdk.webhooks.create(uri=receiver.uri, subscribed_events=["batch.failed"], name="n")
    assert made.id
    assert len(made.id) == 36
    assert str(made.new_signing_secret).startswith("whsec_")
    assert sdk.webhooks.get(id=made.id).new_signing_secret is None
    assert [hook.id for hook in sdk.webhooks.list().webhooks or []] == [made.id]
    changed = sdk.webhooks.update(id=made.id, state="disabled", update_mask="state")
    assert (changed.state, changed.uri) == ("disabled", receiver.uri)
    sdk.webhooks.ping(id=made.id)
    headers, body = receiver.next()
    assert orjson.loads(body)["type"] == "webhook.ping"
    assert headers["webhook-signature"] == _hmac(str(made.new_signing_secret), headers, body)
    rotated = sdk.webhooks.rotate_signing_secret(
        id=made.id,
        revocation_behavior="revoke_previous_secrets_immediately",
    )
    assert rotated.secret != made.new_signing_secret
    sdk.webhooks.delete(id=made.id)
    assert not sdk.webhooks.list().webhooks


@replays("g080")
def test_registered_as_recorded(gemini: Emulator, api: httpx.Client) -> None:
    """The secret is told once."""
    answer = send(gemini.base_url, "g080")
    compare("g080", answer)
    assert "new_signing_secret" not in api.get(f"/v1beta/webhooks/{answer.json()['id']}").json()


@replays("g081")
def test_success_of_a_file_job(
    api: httpx.Client,
    gemini: Emulator,
    receiver: Receiver,
    put_file: Callable[[bytes], str],
) -> None:
    """A thin payload with the results' name, signed over id, timestamp and body."""
    secret = _register(api, receiver, "batch.succeeded")["new_signing_secret"]
    file = put_file(b'{"key":"a","request":{"contents":[{"parts":[{"text":"x"}]}]}}')
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    name = api.post(path, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
    gemini.finish()
    headers, body = receiver.next()
    assert headers["webhook-signature"] == _hmac(secret, headers, body)
    event = orjson.loads(body)
    assert set(event) == {"type", "version", "timestamp", "data"}
    assert (event["type"], event["version"]) == ("batch.succeeded", "v1")
    assert len(event["timestamp"]) == len("2026-06-22T10:00:00Z")
    recorded = SAMPLES["g081"]["request"]
    assert differences("g081", recorded["body"], event) == []
    assert recorded["headers"].keys() <= headers.keys()
    assert [len(headers["webhook-timestamp"]), headers["webhook-id"][:4]] == [10, "msg_"]
    result = name.replace("batches/", "files/batch-")
    assert event["data"] == {"id": name, "output_file_uri": result}


@replays("g082", how=BY_A_FAULT)
def test_failure_and_expiry(
    api: httpx.Client,
    gemini: Emulator,
    receiver: Receiver,
    create: Create,
) -> None:
    """Code and message of a failure; an expired job says just that."""
    _register(api, receiver, "batch.failed", "batch.expired")
    gemini.fault("job-fails", code=8, message="quota", times=1)
    gemini.fault("job-expires", skip=1, times=1)
    names = [create("x").json()["name"] for _ in range(2)]
    gemini.finish()
    events = [orjson.loads(receiver.next()[1]) for _ in range(2)]
    failed = next(event for event in events if event["type"] == "batch.failed")
    assert differences("g082", SAMPLES["g082"]["request"]["body"], failed) == []
    found = {event["type"]: event["data"] for event in events}
    assert found == {
        "batch.failed": {"id": names[0], "error_code": "8", "error_message": "quota"},
        "batch.expired": {"id": names[1]},
    }


def test_events_not_subscribed_are_not_sent(
    api: httpx.Client,
    gemini: Emulator,
    receiver: Receiver,
    create: Create,
) -> None:
    """A hook for failures hears nothing of successes."""
    _register(api, receiver, "batch.failed")
    create("x")
    gemini.finish()
    gemini.fault("job-fails", times=1)
    failed = create("y").json()["name"]
    gemini.finish()
    assert orjson.loads(receiver.next()[1])["data"]["id"] == failed
    assert receiver.got.empty()


@pytest.mark.slow
def test_redelivery(
    api: httpx.Client,
    gemini: Emulator,
    receiver: Receiver,
    create: Create,
) -> None:
    """A refused delivery comes again under the same id, later each time."""
    _register(api, receiver, "batch.succeeded")
    receiver.failures = 2
    create("x")
    gemini.finish()
    ids = []
    for _ in range(3):
        ids.append(receiver.next()[0]["webhook-id"])
        gemini.advance(5)
    assert len(set(ids)) == 1


@pytest.mark.slow
def test_hook_of_a_job(sdk: genai.Client, gemini: Emulator, receiver: Receiver) -> None:
    """Instead of the registered ones; an RS256 token whose key is in the key set."""
    sdk.webhooks.create(uri="http://127.0.0.1:9/never", subscribed_events=["batch.succeeded"])
    hook = types.WebhookConfig(uris=[receiver.uri], user_metadata={"group": "nightly"})
    config = types.CreateBatchJobConfig(webhook_config=hook)
    request = types.InlinedRequest(contents=[types.Content(parts=[types.Part(text="x")])])
    sdk.batches.create(model="gemini-2.5-flash", src=[request], config=config)
    gemini.finish()
    headers, body = receiver.next()
    claims = _verified(gemini, headers["webhook-signature"])
    assert claims["aud"] == receiver.uri
    assert claims["user_metadata"] == {"group": "nightly"}
    assert claims["data"] == orjson.loads(body)["data"]


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _verified(gemini: Emulator, token: str) -> Json:
    """The claims of a token, checked with cryptography's RSA."""
    header, claims, signature = token.split(".")
    kid = orjson.loads(_decode(header))["kid"]
    keys = httpx.get(f"{gemini.base_url}/.well-known/jwks.json", timeout=60).json()["keys"]
    key = next(key for key in keys if key["kid"] == kid)
    numbers = [int.from_bytes(_decode(key[name])) for name in ("e", "n")]
    public = RSAPublicNumbers(*numbers).public_key()
    public.verify(_decode(signature), f"{header}.{claims}".encode(), PKCS1v15(), SHA256())
    found: Json = orjson.loads(_decode(claims))
    return found


def test_rotation_signs_twice(api: httpx.Client, gemini: Emulator, receiver: Receiver) -> None:
    """For a day both secrets sign, then the new one alone."""
    made = _register(api, receiver, "batch.succeeded")
    path = f"/v1beta/webhooks/{made['id']}"
    secret = api.post(f"{path}:rotateSigningSecret").json()["secret"]
    counts = []
    for _ in range(2):
        api.post(f"{path}:ping")
        headers, body = receiver.next()
        signatures = headers["webhook-signature"].split(" ")
        assert _hmac(secret, headers, body) in signatures
        counts.append(len(signatures))
        gemini.advance(25 * 3600)
    assert counts == [2, 1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"uri": "http://x/"},
        {"uri": "http://x/", "subscribed_events": ["batch.done"]},
        {"uri": "http://x/", "subscribed_events": ["batch.failed"], "colour": 1},
        [],
    ],
)
def test_refusals(api: httpx.Client, body: Any) -> None:
    """400."""
    assert api.post("/v1beta/webhooks", json=body).status_code == 400


def test_unknown_webhook(api: httpx.Client) -> None:
    """404."""
    assert api.get("/v1beta/webhooks/none").status_code == 404
    assert api.delete("/v1beta/webhooks/none").status_code == 404
