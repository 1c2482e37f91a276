"""Answers not paid twice, by the real program: what the emulator was asked and paid is counted."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing round can be repeated
from typing import Any

import openai
import pytest
from openai.types import Batch

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    content_of,
    embedding_line,
    extension,
    finished,
    read_lines,
    serving,
    until,
)

pytestmark = pytest.mark.slow

WEEK = {"reuse": "7d"}
KILLS = 5


@pytest.fixture(scope="module")
def google() -> Iterator[Emulator]:
    """An emulator that knows what was paid."""
    with running(EmulatorOptions(job_seconds=0.05, ledger=True)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, google: Emulator) -> Iterator[GatewayProcess]:
    """A gateway with two owners."""
    keys = {"GATEWAY_API_KEYS": "alice=alice-secret,bob=bob-secret"}
    with serving(tmp_path_factory.mktemp("gateway"), google.base_url, **keys) as process:
        yield process


def create(
    client: openai.OpenAI,
    lines: Sequence[bytes],
    metadata: dict[str, str] | None,
    endpoint: Any = "/v1/chat/completions",
) -> Batch:
    """Upload and create."""
    file = client.files.create(file=("in.jsonl", b"".join(lines)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata=metadata
    )


def texts(client: openai.OpenAI, batch: Batch) -> dict[str, str]:
    """What each line says."""
    return {r["custom_id"]: content_of(r) for r in read_lines(client, batch.output_file_id)}


def test_a_notebook_that_is_run_again_pays_once(gateway: GatewayProcess, google: Emulator) -> None:
    """Everything was answered: no request upstream, and a budget of nothing is kept to."""
    alice = gateway.client(api_key="alice-secret")
    lines = [chat_line(f"id-{n}", f"say {n}", temperature=0.9, max_tokens=500) for n in range(20)]
    first = finished(alice, create(alice, lines, WEEK))
    until(lambda: google.journal("delete"), "Google's copy is deleted, for which no batch waits")
    paid, calls, journal = len(google.ledger()), google.calls(), google.journal()

    again = finished(alice, create(alice, lines, {**WEEK, "budget_usd": "0"}))

    assert (len(google.ledger()), google.calls(), google.journal()) == (paid, calls, journal)
    assert again.status == "completed", again.errors
    assert texts(alice, again) == texts(alice, first)
    told = extension(again)
    assert (told["reused"], told["warnings"], told["cost_usd"]) == (20, {"reused": 20}, 0)
    assert (told["attempts"], told["cost_at_most_usd"]) == (0, 0)
    assert again.usage is not None
    assert again.usage.total_tokens == 0
    assert again.request_counts is not None
    assert again.request_counts.completed == 20


def test_another_key_pays_for_itself(gateway: GatewayProcess, google: Emulator) -> None:
    """Answers are never another owner's."""
    lines = [chat_line("a", "whose is it", temperature=0)]
    alice, bob = (gateway.client(api_key=f"{name}-secret") for name in ("alice", "bob"))
    finished(alice, create(alice, lines, WEEK))
    paid = len(google.ledger())
    theirs = finished(bob, create(bob, lines, WEEK))
    assert len(google.ledger()) == paid + 1
    assert extension(theirs)["reused"] == 0
    assert extension(finished(alice, create(alice, lines, WEEK)))["reused"] == 1


def test_embeddings_and_files_that_were_deleted(gateway: GatewayProcess, google: Emulator) -> None:
    """Vectors come back digit by digit, until their file is deleted."""
    alice = gateway.client(api_key="alice-secret")
    lines = [embedding_line("a", ["one", "two"]), embedding_line("b", "three")]
    first = finished(alice, create(alice, lines, WEEK, "/v1/embeddings"))
    again = finished(alice, create(alice, lines, WEEK, "/v1/embeddings"))
    vectors = [
        [row["response"]["body"]["data"] for row in read_lines(alice, batch.output_file_id)]
        for batch in (first, again)
    ]
    assert vectors[0] == vectors[1]
    assert extension(again)["reused"] == 2

    assert first.output_file_id is not None
    alice.files.delete(first.output_file_id)
    paid = len(google.ledger())
    assert extension(finished(alice, create(alice, lines, WEEK, "/v1/embeddings")))["reused"] == 0
    assert len(google.ledger()) == paid + 3


def test_a_wish_that_means_nothing_is_refused(gateway: GatewayProcess) -> None:
    """Before there is a batch."""
    alice = gateway.client(api_key="alice-secret")
    with pytest.raises(openai.BadRequestError) as caught:
        create(alice, [chat_line("a", "x")], {"reuse": "a week"})
    assert (caught.value.param, caught.value.code) == ("metadata.reuse", "invalid_value")
    assert "7d" in str(caught.value)


@pytest.mark.timeout(400)
def test_nothing_is_paid_twice_whenever_it_is_killed(tmp_path: Path) -> None:
    """Kill -9 at random moments of batches whose lines have all been answered but a few."""
    random = Random(13)
    ids = [f"id-{n}" for n in range(400)]
    lines = [chat_line(name, f"{name} {'x' * 200}") for name in ids]
    with (
        running(EmulatorOptions(job_seconds=0.05, ledger=True)) as google,
        serving(tmp_path, google.base_url, GATEWAY_SETTLE_SECONDS="1") as gateway,
    ):
        client = gateway.client(max_retries=0)
        finished(client, create(client, lines, WEEK))
        for round_ in range(KILLS):
            new = f"new-{round_}"
            batch = create(client, [*lines, chat_line(new, new)], WEEK)
            threading.Event().wait(random.random() * 0.6)  # at any moment
            gateway.kill()
            gateway.start()
            client = gateway.client(max_retries=3)
            done = finished(client, batch, 120)

            assert done.status == "completed"
            output = read_lines(client, done.output_file_id)
            assert_conserved([*ids, new], output)
            assert extension(done)["reused"] == len(ids)
        charges = [charge["prompt"] for charge in google.ledger()]
        until(lambda: not gateway.litter(), "no litter")
    assert len(charges) == len(set(charges)) == len(ids) + KILLS
