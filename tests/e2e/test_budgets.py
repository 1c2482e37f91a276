"""Budgets and limits of keys: what is too much fails before anything is sent or paid."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import orjson
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import GatewayProcess, chat_line, extension, finished, serving, until

LIMITED = "gemini-2.5-flash"  # $1.25 for a million tokens of the answer
LIMITS = {
    "alice": {"usd_per_batch": 0.01, "usd_per_day": 0.0015},
    "bob": {"live_batches": 1, "enqueued_tokens": 50},
    "carol": {"stored_bytes": 300},
}
KEYS = ",".join(f"{name}={name}-secret" for name in (*LIMITS, "dora"))


def create(client: openai.OpenAI, *lines: bytes, budget: str | None = None) -> openai.types.Batch:
    """Upload and create."""
    file = client.files.create(file=("in.jsonl", b"".join(lines)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata=None if budget is None else {"budget_usd": budget},
    )


def client(gateway: GatewayProcess, name: str) -> openai.OpenAI:
    """That of a key."""
    return gateway.client(api_key=f"{name}-secret")


def refusal(batch: openai.types.Batch) -> tuple[str | None, str]:
    """Code and message of why it failed."""
    assert batch.status == "failed"
    assert batch.errors is not None
    [error] = batch.errors.data or []
    return error.code, error.message or ""


@pytest.mark.slow
def test_what_is_too_much_fails_before_it_is_paid(tmp_path: Path) -> None:
    """One gateway, every limit; what is within them goes on."""
    prices = orjson.dumps({"gemini-2.5-pro": {"input": 0.0, "output": 1000.0}}).decode()
    with (
        running(EmulatorOptions(ledger=True)) as google,
        serving(
            tmp_path,
            google.base_url,
            GATEWAY_API_KEYS=KEYS,
            GATEWAY_KEY_LIMITS=orjson.dumps(LIMITS).decode(),
            GATEWAY_PRICES=prices,
        ) as gateway,
    ):
        dora = client(gateway, "dora")
        line = chat_line("a", "x", model=LIMITED, max_tokens=1000)
        within = finished(dora, create(dora, line, budget="0.0013"))
        assert within.status == "completed"
        assert 0 < extension(within)["cost_usd"] < 0.0013
        paid = len(google.ledger())
        assert paid == 1

        code, message = refusal(finished(dora, create(dora, line, budget="0.001")))
        assert code == "budget_exceeded"
        assert "$0.0012" in message
        assert "$0.001" in message
        # Without a limit of its own, the model's counts; a price of the settings comes first.
        code, message = refusal(
            finished(dora, create(dora, chat_line("a", "x", model=LIMITED), budget="0.05"))
        )
        assert code == "budget_exceeded"
        dear = chat_line("a", "x", model="gemini-2.5-pro", max_tokens=1000)
        code, message = refusal(finished(dora, create(dora, dear, budget="0.9")))
        assert "$1.00" in message
        unpriced = [line, chat_line("b", "x", model="gemini-2.0-flash", max_tokens=5)]
        code, message = refusal(finished(dora, create(dora, *unpriced, budget="5")))
        assert code == "budget_exceeded"
        assert "line 2 names gemini-2.0-flash" in message
        assert "GATEWAY_PRICES" in message
        with pytest.raises(openai.BadRequestError) as caught:
            create(dora, line, budget="a lot")
        assert caught.value.param == "metadata.budget_usd"

        alice = client(gateway, "alice")
        code, message = refusal(finished(alice, create(alice, chat_line("a", "x", model=LIMITED))))
        assert (code, "$0.01" in message) == ("budget_exceeded", True)
        assert len(google.ledger()) == paid  # nothing of all this was paid
        google.fault("error", on="create", status=503)  # so that what is within them stays live
        both = [create(alice, line), create(alice, line)]
        until(
            lambda: any(alice.batches.retrieve(one.id).status == "failed" for one in both),
            "one of them is too much",
        )
        bob = client(gateway, "bob")
        live = create(bob, chat_line("a", "x", model=LIMITED))
        with pytest.raises(openai.RateLimitError) as full:
            create(bob, line)
        google.clear_faults()
        ended = [finished(alice, batch) for batch in both]
        assert sorted(batch.status for batch in ended) == ["completed", "failed"]
        [over] = [batch for batch in ended if batch.status == "failed"]
        assert "a day are allowed" in refusal(over)[1]

        assert full.value.code == "batch_limit_exceeded"
        assert full.value.response.headers["x-should-retry"] == "false"
        assert finished(bob, live).status == "completed"
        many = create(bob, chat_line("a", "words " * 100, model=LIMITED))
        assert refusal(finished(bob, many))[0] == "token_limit_exceeded"

        carol = client(gateway, "carol")
        carol.files.create(file=("in.jsonl", line), purpose="batch")
        with pytest.raises(openai.APIStatusError) as stored:
            carol.files.create(file=("in.jsonl", line * 2), purpose="batch")
        assert (stored.value.status_code, stored.value.code) == (413, "storage_limit_exceeded")
        with pytest.raises(openai.APIStatusError):
            carol.uploads.create(
                bytes=400, filename="f", mime_type="application/jsonl", purpose="batch"
            )
        until(lambda: not gateway.litter(), "swept")


def ask(client: openai.OpenAI, **body: Any) -> Any:
    """A single request that may cost $0.0025."""
    given = {"model": LIMITED, "max_tokens": 1000, **body}
    return client.chat.completions.create(messages=[{"role": "user", "content": "x"}], **given)


def leave(gateway: GatewayProcess, google: Emulator) -> None:
    """Ask as ``ask`` does, and go once Google was asked."""
    message = {"role": "user", "content": "x"}
    body = orjson.dumps({"model": LIMITED, "max_tokens": 1000, "messages": [message]})
    head = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: localhost",
        "Authorization: Bearer alice-secret",
        f"Content-Length: {len(body)}",
    ]
    parts, before = urlsplit(gateway.url), google.calls()["generate"]
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=60) as plain:
        plain.sendall("\r\n".join([*head, "", ""]).encode() + body)
        until(lambda: google.calls()["generate"] > before, "Google is asked")


def too_dear(call: Callable[[], Any]) -> str:
    """What a request that is too dear is told; the SDK does not try it again."""
    with pytest.raises(openai.RateLimitError) as caught:
        call()
    assert caught.value.code == "budget_exceeded"
    assert caught.value.response.headers["x-should-retry"] == "false"
    return caught.value.message


@pytest.mark.slow
def test_single_requests_have_budgets(tmp_path: Path) -> None:
    """They count with the most that they may cost until they are answered, then with their cost."""
    limits = {"alice": {"usd_per_batch": 0.01, "usd_per_day": 0.004}}
    with (
        running(EmulatorOptions(ledger=True)) as google,
        serving(
            tmp_path,
            google.base_url,
            GATEWAY_API_KEYS=KEYS,
            GATEWAY_KEY_LIMITS=orjson.dumps(limits).decode(),
        ) as gateway,
    ):
        alice = client(gateway, "alice")
        told = too_dear(lambda: ask(alice, max_tokens=None))
        assert "$0.1" in told  # the model's own limit
        assert "$0.01" in told
        assert google.ledger() == []
        for _ in range(3):  # twice the most that one may cost is too much, twice its cost is not
            ask(alice)
        for _ in ask(alice, stream=True):
            pass
        ask(alice, service_tier="flex", max_tokens=2500)
        spent = sum(each["usd"] for each in google.ledger())
        assert len(google.ledger()) == 5

        def counted() -> float:
            [(cost,)] = gateway.rows("SELECT cost FROM single_costs")
            return float(cost) / 1e9

        until(lambda: counted() == pytest.approx(spent), "all are counted with their cost")
        google.fault("hang", on="generate")
        leave(gateway, google)
        until(lambda: counted() > spent + 0.002, "who left may have to pay")
        google.clear_faults()
        assert "today" in too_dear(lambda: ask(alice))
        later: Any = {"model": LIMITED, "input": "x", "max_output_tokens": 2500, "background": True}
        assert "today" in too_dear(lambda: alice.responses.create(**later))
        assert ask(client(gateway, "dora"), max_tokens=None)
