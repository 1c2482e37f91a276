"""Synchronous calls in the flex tier: capacity, spend limits, and the ledger of what lines cost."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from gateway.emulator.resources.ledger import prompt_digest
from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import until
from tests.emulator.conftest import ask

Json = dict[str, Any]
HEADERS = {"x-goog-api-key": "k"}
FLASH = "gemini-2.5-flash"


def call(
    emulator: Emulator,
    text: str,
    *,
    model: str = FLASH,
    key: str = "k",
    client: httpx.Client | None = None,
    **more: Any,
) -> httpx.Response:
    """A synchronous call, flex unless it says otherwise."""
    return (client or httpx).post(
        f"{emulator.base_url}/v1beta/models/{model}:generateContent",
        json=ask(text) | {"serviceTier": "flex"} | more,
        headers={"x-goog-api-key": key},
        timeout=60,
    )


@pytest.mark.parametrize("tier", ["flex", "standard", "priority"])
def test_the_answer_tells_its_tier(gemini: Emulator, tier: str) -> None:
    """In usageMetadata and in the header."""
    answer = call(gemini, "x", serviceTier=tier)
    assert answer.json()["usageMetadata"]["serviceTier"] == tier
    assert answer.headers["x-gemini-service-tier"] == tier
    assert [entry["tier"] for entry in gemini.journal("generate")] == [tier]


def test_a_stream_tells_its_tier_in_each_piece(gemini: Emulator) -> None:
    """And has no header."""
    url = f"{gemini.base_url}/v1beta/models/{FLASH}:streamGenerateContent"
    answer = httpx.post(
        url, json=ask("hello") | {"serviceTier": "flex"}, headers=HEADERS, timeout=60
    )
    assert {piece["usageMetadata"]["serviceTier"] for piece in answer.json()} == {"flex"}
    assert "x-gemini-service-tier" not in answer.headers


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash-image"])
def test_a_model_without_the_tier(gemini: Emulator, model: str) -> None:
    """400 that names the model; in the standard tier it is served."""
    refused = call(gemini, "x", model=model)
    assert (refused.status_code, model in refused.json()["error"]["message"]) == (400, True)
    assert call(gemini, "x", model=model, serviceTier="standard").status_code == 200


def test_no_capacity() -> None:
    """Of two calls at a time one is served and one is 503; the standard tier has room."""
    answers: list[httpx.Response] = []
    with running(EmulatorOptions(flex_places=1, flex_seconds=600)) as emulator:
        threads = [
            threading.Thread(target=lambda text=text: answers.append(call(emulator, text)))
            for text in "ab"
        ]
        for thread in threads:
            thread.start()
        until(lambda: bool(answers), "the one without a place is answered")
        assert answers[0].status_code == 503
        assert call(emulator, "c", serviceTier="standard").status_code == 200
        emulator.advance(600)
        for thread in threads:
            thread.join()
    assert answers[1].json()["usageMetadata"]["serviceTier"] == "flex"


@pytest.mark.slow
@pytest.mark.parametrize(("tier", "dollars"), [(1, 10), (2, 50), (3, 200)])
def test_spend_limit(tier: int, dollars: int) -> None:
    """429 with RetryInfo once ten minutes have cost that much; other projects have their own."""
    # 65,000 tokens of thoughts at 10 dollars a million, half of it in flex.
    each = 65_000 * 10 / 1e6 / 2
    dear = partial(call, model="gemini-2.5-pro", text="[[think:65000]]")
    with (
        running(EmulatorOptions(tier=tier, speed=1e-6)) as emulator,
        httpx.Client(timeout=60) as client,
    ):
        passed = 0
        while (answer := dear(emulator, client=client)).is_success:
            passed += 1
            assert passed * each < dollars + 1
        assert passed * each >= dollars * 0.98
        error = answer.json()["error"]
        kinds = [detail["@type"].rpartition(".")[2] for detail in error["details"]]
        assert (error["status"], "RetryInfo" in kinds) == ("RESOURCE_EXHAUSTED", True)
        assert call(emulator, "x", key="other").status_code == 200
        emulator.advance(601)
        assert call(emulator, "x").status_code == 200


def test_the_ledger(create_in: Callable[[Emulator], Json]) -> None:
    """What each line cost, by prompt and key; a job that ended without results cost nothing."""
    with running(EmulatorOptions(ledger=True)) as emulator:
        name = create_in(emulator)["name"]
        assert emulator.ledger() == []
        emulator.finish()
        call(emulator, "again")
        emulator.fault("job-fails", times=1)
        create_in(emulator)
        emulator.finish()
        *of_job, alone = emulator.ledger()
        assert [(one["job"], one["key"]) for one in of_job] == [(name, "k0"), (name, "k1")]
        assert [one["prompt"] for one in of_job] == [prompt_digest("a"), prompt_digest("b")]
        told = httpx.get(emulator.control("ledger"), timeout=60).json()
    assert (alone["job"], alone["tier"], alone["prompt"]) == ("", "flex", prompt_digest("again"))
    cost = (alone["prompt_tokens"] * 0.3 + alone["answer_tokens"] * 2.5) / 1e6 / 2
    assert alone["usd"] == pytest.approx(cost)
    assert set(told["usd"]) == {"batch", "flex"}
    assert told["charges"] == [*of_job, alone]


def test_served_as_standard_costs_as_standard() -> None:
    """The ledger believes the answer, not the request."""
    with running(EmulatorOptions(ledger=True, faults=("flex-standard:times=1",))) as emulator:
        for _ in range(2):
            call(emulator, "x")
        dear, usual = emulator.ledger()
    assert (dear["tier"], usual["tier"]) == ("standard", "flex")
    assert dear["usd"] == pytest.approx(2 * usual["usd"])


def test_nothing_is_kept_unasked(gemini: Emulator) -> None:
    """A million lines would fill the memory."""
    call(gemini, "x")
    assert gemini.ledger() == []


@pytest.fixture
def create_in() -> Callable[[Emulator], Json]:
    """Make an inline job of two prompts in an emulator."""

    def make(emulator: Emulator) -> Json:
        requests = [
            {"request": ask(text), "metadata": {"key": f"k{at}"}} for at, text in enumerate("ab")
        ]
        batch = {"inputConfig": {"requests": {"requests": requests}}}
        url = f"{emulator.base_url}/v1beta/models/{FLASH}:batchGenerateContent"
        made: Json = httpx.post(url, json={"batch": batch}, headers=HEADERS, timeout=60).json()
        return made

    return make
