"""Webhooks of the real program: at least once, whatever dies, and unwrapped by both SDKs."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing round can be repeated
from typing import Any

import openai
import orjson
import pytest
from openai.types import webhooks

from gateway.emulator.testing import Emulator
from gateway.ids import new_webhook_secret
from tests.e2e.harness import GatewayProcess, chat_line, finished, serving, submit, until
from tests.sdk.nodejs import run_node

KILLS = 8
QUICK = {
    "GATEWAY_WEBHOOK_ALLOW_PRIVATE": "true",
    "GATEWAY_WEBHOOK_RETRY_MIN_SECONDS": "0.05",
    "GATEWAY_WEBHOOK_RETRY_MAX_SECONDS": "0.2",
}


class Receiver(ThreadingHTTPServer):
    """Keeps what came, and answers with ``status``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.status = 204
        self.accepted: list[tuple[dict[str, str], bytes]] = []
        self.refused = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Hook(BaseHTTPRequestHandler):
    """One request of it."""

    server: Receiver

    def do_POST(self) -> None:
        """Take a webhook, or refuse it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.server.status == 204:
            self.server.accepted.append((headers, body))
        else:
            self.server.refused += 1
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        """Quietly."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in threads."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def deliveries(gateway: GatewayProcess, endpoint: str) -> list[dict[str, Any]]:
    """What the gateway shows of its attempts."""
    answer = gateway.client().get(f"/webhook_endpoints/{endpoint}/deliveries", cast_to=object)
    assert isinstance(answer, dict)
    return list(answer["data"])


@pytest.mark.slow
def test_an_sdk_user_is_told_the_end(tmp_path: Path, gemini: Emulator) -> None:
    """By an endpoint of their own and by that of the settings; failed batches too; rotated."""
    secret = new_webhook_secret()
    settings = QUICK | {"GATEWAY_WEBHOOK_SECRET": secret}
    with receiving() as mine, receiving() as ours:
        settings["GATEWAY_WEBHOOK_URL"] = ours.url
        with serving(tmp_path, gemini.base_url, **settings) as gateway:
            client = gateway.client()
            made = client.webhooks.create(
                name="mine", url=mine.url, event_types=["batch.completed", "batch.failed"]
            )
            good = finished(client, submit(client, [chat_line("a", "x")]))
            bad = finished(client, submit(client, [b"no json\n"]))
            until(lambda: len(mine.accepted) >= 2 and len(ours.accepted) >= 2, "both are told")
            told = {}
            for headers, body in mine.accepted:
                event = client.webhooks.unwrap(body, headers, secret=made.signing_secret)
                assert isinstance(
                    event,
                    webhooks.BatchCompletedWebhookEvent | webhooks.BatchFailedWebhookEvent,
                )
                told[event.data.id] = event.type
            assert told == {good.id: "batch.completed", bad.id: "batch.failed"}
            for headers, body in ours.accepted:
                client.webhooks.unwrap(body, headers, secret=secret)
            fresh = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
            tested = client.webhooks.test(made.id, event_type="batch.failed")
            assert tested.status_code == 204
            headers, body = mine.accepted[-1]
            for each in (made.signing_secret, fresh.signing_secret):
                client.webhooks.unwrap(body, headers, secret=each)
            # The same event by openai-node.
            programs = tmp_path / "programs"
            programs.mkdir()
            given = {"headers": headers, "body": body.decode(), "secret": fresh.signing_secret}
            saw = asyncio.run(run_node(programs, gateway.url, "webhooks", "any", **given))
            assert saw["event"] == orjson.loads(body)
            assert saw["wrong"]["name"] == "InvalidWebhookSignatureError"
            assert saw["made"]["signing_secret"].startswith("whsec_")
            assert saw["listed"] == [saw["made"]["id"], made.id, "we_settings"]
            assert saw["rotated"] != saw["made"]["signing_secret"]
            assert (saw["updated"], saw["deleted"]) == ("other", True)
            assert "batch.expired" in saw["types"]
            assert not any(each in gateway.log() for each in (secret, fresh.signing_secret))


@pytest.mark.slow
def test_no_kill_loses_an_event(tmp_path: Path, gemini: Emulator) -> None:
    """Kill -9 at random moments around the ends of batches, the receiver away half of the time."""
    chance = Random("webhooks")
    with receiving() as receiver, serving(tmp_path, gemini.base_url, **QUICK) as gateway:
        client = gateway.client()
        made = client.webhooks.create(
            name="mine", url=receiver.url, event_types=["batch.completed", "batch.failed"]
        )
        batches = []
        for kill in range(KILLS):
            receiver.status = 503 if kill % 2 else 204
            batches += [submit(client, [chat_line("a", f"{kill}-{n}")]) for n in range(3)]
            threading.Event().wait(chance.random() * 1.2)
            gateway.kill()
            gateway.start()
            client = gateway.client()
        receiver.status = 204
        for batch in batches:
            # An input that is being read at three deaths is given up.
            assert finished(client, batch).status in {"completed", "failed"}

        def told() -> set[str]:
            return {orjson.loads(body)["data"]["id"] for _, body in list(receiver.accepted)}

        until(lambda: told() == {batch.id for batch in batches}, "every end is told")
        pending = [("pending",)]
        states = "SELECT DISTINCT state FROM webhook_deliveries"
        until(lambda: pending[0] not in gateway.rows(states), "all is written down")
        ids = {
            (headers["webhook-id"], orjson.loads(body)["data"]["id"])
            for headers, body in receiver.accepted
        }
        assert len(ids) == len(batches)  # what came twice came under one id
        for headers, body in receiver.accepted:
            verify(client, headers, body, made.signing_secret)
        shown = deliveries(gateway, made.id)
        assert {one["status"] for one in shown} == {"delivered"}


def verify(client: openai.OpenAI, headers: dict[str, str], body: bytes, secret: str) -> None:
    """As a receiver does; it may have come some minutes ago here."""
    client.webhooks.verify_signature(body, headers, secret=secret, tolerance=3600)


@pytest.mark.slow
def test_a_response_in_the_background_is_announced(tmp_path: Path, gemini: Emulator) -> None:
    """Its end, once; both SDKs take the signature and know the type."""
    with (
        receiving() as mine,
        serving(
            tmp_path, gemini.base_url, GATEWAY_BACKGROUND_WINDOW_SECONDS="0.1", **QUICK
        ) as gateway,
    ):
        client = gateway.client()
        kinds = ["response.completed", "response.failed", "response.cancelled"]
        made = client.webhooks.create(name="r", url=mine.url, event_types=kinds)  # type: ignore[arg-type]
        assert set(kinds) <= set(client.webhooks.event_types.list().data)
        asked = client.responses.create(model="gemini-3.8-flash", input="x", background=True)
        until(lambda: mine.accepted, "it is told")
        [(headers, body)] = mine.accepted
        event = client.webhooks.unwrap(body, headers, secret=made.signing_secret)
        assert isinstance(event, webhooks.ResponseCompletedWebhookEvent)
        assert event.data.id == asked.id
        assert client.responses.retrieve(asked.id).status == "completed"
        programs = tmp_path / "programs"
        programs.mkdir()
        given = {"headers": headers, "body": body.decode(), "secret": made.signing_secret}
        saw = asyncio.run(run_node(programs, gateway.url, "webhooks", "any", **given))
        assert saw["event"] == orjson.loads(body)
