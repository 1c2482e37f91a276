"""No response in the background is lost or paid twice, whenever the process dies.

The real program dies by SIGKILL at each point where responses in the background change the
records, before and after; the emulator's ledger, which outlives it, says what was paid for.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e import dying
from tests.e2e.harness import LIFELINE, GatewayProcess, serving, until
from tests.e2e.test_background import LONG, MODEL, close_windows, ended

pytestmark = pytest.mark.slow
TEXTS = [f"prompt number {number}" for number in range(3)]
RUNNING = "SELECT 1 FROM jobs WHERE state = 'running'"
POINTS = [
    f"{when}:{name}"
    for name in (
        "queue_response",
        "collect_responses",
        "finish_response",
        "release_background",
        "cancel_response",
        "delete_response",
    )
    for when in ("before", "after")
]


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """One that keeps what each line cost, and whose jobs end when they are told to."""
    with running(EmulatorOptions(job_seconds=3600, ledger=True)) as emulator:
        yield emulator


@pytest.fixture
def gateway(tmp_path: Path, gemini: Emulator) -> Iterator[GatewayProcess]:
    """One that dies at each point, once."""
    (tmp_path / "deaths").mkdir()
    command = (*LIFELINE, dying.__name__, str(tmp_path / "deaths"), *POINTS)
    with serving(tmp_path, gemini.base_url, command, **LONG) as process:
        yield process


class Caller:
    """A client that does as the SDKs do: a request whose answer is lost is sent again."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway

    def post(self, path: str, body: object = None) -> dict[str, object]:
        """Send, and start the gateway again as often as it dies."""
        return self._call("POST", path, body)

    def delete(self, path: str) -> None:
        """The same."""
        self._call("DELETE", path)

    def _call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        for tries in range(len(POINTS) + 1):
            headers = {"x-stainless-retry-count": str(tries), "authorization": "Bearer any"}
            try:
                answer = httpx.request(
                    method, f"{self._gateway.url}{path}", json=body, headers=headers, timeout=60
                )
            except httpx.TransportError:
                self.revive()
                continue
            if tries and answer.status_code == 404 and method == "DELETE":
                return {}  # the first try did it
            assert answer.status_code == 200, answer.text
            told: dict[str, object] = answer.json()
            return told
        raise AssertionError("it dies again and again")

    def revive(self) -> None:
        """Start it again, if it is dead."""
        process = self._gateway.process
        assert process is not None
        process.wait(60)
        self._gateway.close()
        self._gateway.start()


def deaths(gateway: GatewayProcess) -> set[str]:
    """The points at which it has died so far; it runs, or runs again."""
    process = gateway.process
    assert process is not None
    if process.poll() is not None:
        Caller(gateway).revive()
    return {path.name for path in (gateway.data.parent / "deaths").iterdir()}


def all_is_over(gateway: GatewayProcess) -> bool:
    """Whether every answer is written and every batch looked after, and the process lives."""
    if deaths(gateway) != set(POINTS):
        return False
    open_rows = gateway.rows("SELECT 1 FROM responses WHERE due_at IS NOT NULL")
    if open_rows or gateway.rows("SELECT 1 FROM batches WHERE delivered_at IS NULL"):
        return False
    try:
        return httpx.get(f"{gateway.url}/healthz", timeout=60).status_code == 200
    except httpx.TransportError:  # it is dying just now
        return False


@pytest.mark.timeout(400)
def test_deaths_lose_nothing_and_pay_nothing_twice(
    gateway: GatewayProcess, gemini: Emulator
) -> None:
    """Three are asked for, one is cancelled and one deleted: all is as without the twelve deaths.

    What an SDK sends again is no second response. The phases are held apart: an input that is
    being validated at three deaths is given up, as one that causes them.
    """
    caller = Caller(gateway)
    ids = [_begin(caller, text) for text in TEXTS]
    cancelled, deleted = (_begin(caller, text) for text in ("to cancel", "to delete"))
    close_windows(gateway)
    until(lambda: deaths(gateway) and gateway.rows(RUNNING), "the job runs", 120)
    caller.post(f"/responses/{cancelled}/cancel")
    caller.delete(f"/responses/{deleted}")
    gemini.finish()
    until(lambda: all_is_over(gateway), "all have ended, after every death", 240)

    assert len(gateway.rows("SELECT 1 FROM responses")) == len(TEXTS) + 1
    client = gateway.client()
    for response_id, text in zip(ids, TEXTS, strict=True):
        done = ended(client, response_id)
        assert done.status == "completed"
        assert text in done.output_text
    paid = client.responses.retrieve(cancelled)
    assert (paid.status, "to cancel" in paid.output_text) == ("cancelled", True)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(deleted)
    assert_paid_once(gateway, gemini)


@pytest.fixture
def early(tmp_path: Path, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A job for each response; it dies around each of the first two ends of one."""
    (tmp_path / "deaths").mkdir()
    points = [f"{when}:finish_response" for when in ("before", "after")]
    command = (*LIFELINE, dying.__name__, str(tmp_path / "deaths"), *points)
    with serving(tmp_path, gemini.base_url, command, **LONG, GATEWAY_ITEMS_PER_JOB="1") as process:
        yield process


@pytest.mark.timeout(400)
def test_deaths_while_answers_of_a_running_batch_are_written(
    early: GatewayProcess, gemini: Emulator
) -> None:
    """What a collected job has answered comes, once, and the job that still runs is none's loss."""
    client = early.client()
    ids = [client.responses.create(model=MODEL, input=t, background=True).id for t in TEXTS]
    close_windows(early)
    until(lambda: len(early.rows(RUNNING)) == len(TEXTS), "the jobs run", 120)
    [(last,)] = early.rows("SELECT upstream_name FROM jobs WHERE number = 2")
    for job in gemini.jobs():
        if job["name"] != last:
            gemini.finish(str(job["name"]))
    written = "SELECT count(*) FROM responses WHERE due_at IS NULL"
    until(
        lambda: len(deaths(early)) == 2 and early.rows(written) == [(2,)],
        "both deaths, and both answers",
        240,
    )
    assert early.rows("SELECT status FROM batches") == [("in_progress",)]
    gemini.finish()
    client = early.client()
    for response_id, text in zip(ids, TEXTS, strict=True):
        done = ended(client, response_id)
        assert (done.status, text in done.output_text) == ("completed", True)
    planned = [name for (name,) in early.rows("SELECT display_name FROM jobs")]
    assert sorted(str(one["displayName"]) for one in gemini.journal("create")) == sorted(planned)
    assert len(gemini.ledger()) == len(TEXTS)


def _begin(caller: Caller, text: str) -> str:
    body = {"model": MODEL, "input": text, "background": True}
    return str(caller.post("/responses", body)["id"])


def assert_paid_once(gateway: GatewayProcess, gemini: Emulator) -> None:
    """Each accepted job was planned once, and no line of a response was served twice."""
    accepted = [str(entry["displayName"]) for entry in gemini.journal("create")]
    planned = [name for (name,) in gateway.rows("SELECT display_name FROM jobs")]
    assert len(accepted) == 1
    assert accepted == planned
    assert len(gemini.ledger()) == len(TEXTS) + 2
