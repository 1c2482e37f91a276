"""Faults of the field: what public reports tell of Google's batch service, on the real program.

Each is named for what Google does. What a user must see: every answer once and right, counts and
usage that are true, a reason in ``batch.gateway`` while it waits. What the emulator's journal and
ledger must show: one accepted create for each planned job, no line paid twice that was answered.
Two more have tests of their own: a model that is listed and 404 at create (test_follow_ups.py),
and a cancel that Google does not hear (test_patience.py).
"""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from openai.types import Batch

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e import shifted
from tests.e2e.harness import (
    LIFELINE,
    GatewayProcess,
    assert_conserved,
    chat_line,
    content_of,
    extension,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

pytestmark = pytest.mark.slow

IDS: Final = [f"id-{number}" for number in range(20)]
LINES: Final = [chat_line(i, f"say {i}") for i in IDS]
DAY: Final = 86_400.0
HOUR_MS: Final = 3_600_000
# A job counts as stuck after this in these tests (s).
STUCK_SECONDS: Final = 1
CANCELLED: Final = {"upstream_job_cancelled", "batch_cancelled"}

Faults = tuple[tuple[str, Mapping[str, object]], ...]


@dataclass(frozen=True)
class Case:
    """What Google does, in how many jobs the batch then runs, how many lines are paid again.

    Lines that Google has answered and not delivered are paid when they are asked again.
    """

    faults: Faults
    jobs: int = 1
    paid_again: int = 0


CASES: Final = {
    "shuffled results": Case((("results-shuffled", {}),)),
    "dropped results": Case((("results-dropped", {"keys": "2|3|5", "times": 1}),), 2, 3),
    "keyless results": Case((("results-keyless", {"keys": "2|3|5", "times": 1}),), 2, 3),
    "doubled results": Case((("results-doubled", {}),)),
    "half of the items code 13 once": Case(
        (("results-fail", {"keys": "|".join(map(str, range(1, 11))), "code": 13, "times": 1}),), 2
    ),
    "SUCCEEDED with all failed": Case((("results-fail", {"code": 13, "times": 1}),), 2),
    "EXPIRED": Case((("job-expires", {"times": 1}),), 2),
    "output in response only": Case((("output-only", {"place": "response"}),)),
    "output in metadata only": Case((("output-only", {"place": "metadata"}),)),
    "unknown states": Case((("state-unknown", {"times": 4}),)),
    "list truncated": Case(
        (("list-unreachable", {"times": 2}), ("drop-after", {"on": "create", "times": 1})),
    ),
    "list empty": Case(
        (("list-empty", {"times": 1}), ("drop-after", {"on": "create", "times": 1}))
    ),
    "list stale": Case((("list-stale", {}), ("drop-after", {"on": "create", "times": 1}))),
    "list hides a job at first": Case(
        (("list-hides", {"seconds": 0.3}), ("drop-after", {"on": "create", "times": 1}))
    ),
    "results cut mid-line": Case((("results-garbled", {"keys": "2|3", "times": 1}),), 2, 2),
    "download cut mid-line": Case((("download-cut", {"bytes": 1000, "times": 3}),)),
    "upload without file": Case((("upload-no-file", {"times": 1}),)),
    "an answer that expires at once": Case((("file-expired", {"times": 2}),)),
}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    """An emulator of its own, which knows what was paid."""
    with running(EmulatorOptions(job_seconds=0.1, ledger=True)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, upstream: Emulator
) -> Iterator[GatewayProcess]:
    """A gateway whose jobs travel as files."""
    place: Path = tmp_path_factory.mktemp("gateway")
    with serving(place, upstream.base_url, GATEWAY_INLINE_MAX_ITEMS="0") as process:
        yield process


def assert_whole(gateway: GatewayProcess, done: Batch) -> None:
    """Every line once with its own answer; counts and usage say the same."""
    rows = read_lines(gateway.client(), done.output_file_id)
    assert done.status == "completed"
    assert done.error_file_id is None
    assert_conserved(IDS, rows)
    assert [content_of(row) for row in rows] == [f"Echo: say {i}" for i in IDS]
    assert done.request_counts is not None
    assert done.request_counts.model_dump() == {"total": 20, "completed": 20, "failed": 0}
    assert done.usage is not None
    shown = sum(row["response"]["body"]["usage"]["completion_tokens"] for row in rows)
    assert done.usage.output_tokens >= shown > 0
    assert extension(done)["ended_because"] is None


def assert_created_once(gateway: GatewayProcess, gemini: Emulator, batch: Batch) -> int:
    """One accepted create for each planned job; the number of jobs."""
    rows = gateway.rows("SELECT display_name FROM jobs WHERE batch_id = ?", batch.id)
    planned = sorted(name for (name,) in rows)
    accepted = [str(entry["displayName"]) for entry in gemini.journal("create")]
    assert sorted(name for name in accepted if name in planned) == planned
    return len(planned)


@pytest.mark.parametrize("name", CASES)
def test_every_answer_once(gateway: GatewayProcess, upstream: Emulator, name: str) -> None:
    """Whatever the results, the states, the listings or the files look like."""
    case, paid = CASES[name], len(upstream.ledger())
    for fault, parameters in case.faults:
        upstream.fault(fault, **parameters)
    client = gateway.client()

    done = finished(client, submit(client, LINES))

    armed = upstream.faults()
    upstream.clear_faults()
    assert all(one["applied"] for one in armed), f"a fault never happened: {armed}"
    assert_whole(gateway, done)
    assert assert_created_once(gateway, upstream, done) == case.jobs
    lines = Counter(charge["prompt"] for charge in upstream.ledger()[paid:])
    assert len(lines) == len(IDS)
    assert lines.total() == len(IDS) + case.paid_again


def test_succeeded_with_all_failed_for_good(gateway: GatewayProcess, upstream: Emulator) -> None:
    """The batch completes with an error line for each, and runs nothing again."""
    upstream.fault("results-fail", code=3)
    client = gateway.client()

    done = finished(client, submit(client, LINES))
    upstream.clear_faults()

    errors = read_lines(client, done.error_file_id)
    assert done.status == "completed"
    assert_conserved(IDS, errors)
    assert {row["response"]["status_code"] for row in errors} == {400}
    assert done.request_counts is not None
    assert done.request_counts.model_dump() == {"total": 20, "completed": 0, "failed": 20}
    assert assert_created_once(gateway, upstream, done) == 1


def test_cancelled_midway_at_google(tmp_path: Path) -> None:
    """By hand, in Google's console: what was served is published, the rest says who ended it.

    Whoever ends a job there wants it ended: its lines do not run again by themselves.
    """
    with (
        running(EmulatorOptions(job_seconds=600, ledger=True)) as gemini,
        serving(tmp_path, gemini.base_url, GATEWAY_INLINE_MAX_ITEMS="0") as gateway,
    ):
        client = gateway.client()
        batch = submit(client, LINES)
        [job] = until(gemini.jobs, "the job runs")
        gemini.advance(400)
        url = f"{gemini.base_url}/v1beta/{job['name']}:cancel"
        assert httpx.post(url, headers={"x-goog-api-key": "no-key"}, timeout=60).status_code == 200

        done = finished(client, batch)

        answers = read_lines(client, done.output_file_id)
        errors = read_lines(client, done.error_file_id)
        assert done.status == "completed"
        assert_conserved(IDS, answers, errors)
        assert 0 < len(answers) < len(IDS)
        assert len(gemini.ledger()) == len(answers)
        assert {row["response"]["body"]["error"]["code"] for row in errors} <= CANCELLED
        assert_created_once(gateway, gemini, done)


@pytest.mark.parametrize("fault", ["list-short", "list-empty-page"])
def test_a_list_of_two_pages(tmp_path: Path, fault: str) -> None:
    """The job that landed is on the second, which Google names late or not at all."""
    with running(EmulatorOptions(job_seconds=600, ledger=True, max_live_jobs=1000)) as gemini:
        gemini.fault(fault, times=3)
        gemini.fault("drop-after", on="create", times=1)
        with moved(tmp_path, gemini, GATEWAY_SETTLE_SECONDS="600") as (gateway, ahead):
            client = gateway.client()
            batch = submit(client, LINES)
            until(lambda: gemini.journal("create"), "the create has landed")
            with httpx.Client(timeout=60) as another:
                for _ in range(120):
                    another.post(**another_job(gemini)).raise_for_status()
            assert gemini.calls().get("list") is None, "it was looked for too early"
            ahead.write_text(str(HOUR_MS // 4))
            until(lambda: "runs upstream" in gateway.log(), "it is found")
            gemini.finish()

            done = finished(client, batch)

            [listed] = [one for one in gemini.faults() if one["name"] == fault]
            assert listed["applied"]

            assert_whole(gateway, done)
            assert assert_created_once(gateway, gemini, done) == 1


def another_job(gemini: Emulator) -> dict[str, Any]:
    """A create of another program of the same project."""
    request = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    requests = {"requests": [{"request": request}]}
    url = f"{gemini.base_url}/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    body = {"batch": {"display_name": "another", "input_config": {"requests": requests}}}
    return {"url": url, "json": body, "headers": {"x-goog-api-key": "no-key"}}


@pytest.mark.parametrize("setting", ["resend", "wait"])
def test_stuck(tmp_path: Path, setting: str) -> None:
    """A job that never ends says so; by setting it is cancelled, and its lines run again."""
    with running(EmulatorOptions(job_seconds=0.1, ledger=True)) as gemini:
        gemini.fault("job-stuck", times=1, state="RUNNING")
        settings = {"GATEWAY_STUCK": setting, "GATEWAY_STUCK_MIN_SECONDS": str(STUCK_SECONDS)}
        with serving(tmp_path, gemini.base_url, **settings) as gateway:
            client = gateway.client()
            batch = submit(client, LINES)
            if setting == "wait":
                until(lambda: "longer than is usual" in _waits_for(gateway, batch), "it says so")
                assert gemini.journal("cancel") == []
                assert client.batches.retrieve(batch.id).status == "in_progress"
                return
            done = finished(client, batch)
            assert_whole(gateway, done)
            assert assert_created_once(gateway, gemini, done) > 1


@pytest.mark.parametrize(
    ("fault", "parameters", "reason"),
    [
        ("quota", {"seconds": 3600}, "429"),
        (
            "key-invalid",
            {"seconds": 3600},
            "Google refuses the gateway's key: the upstream answered",
        ),
        ("key-invalid", {"seconds": 3600, "on": "get|list|download|redirect"}, "the gateway's key"),
    ],
    ids=["429 for an hour", "key invalid for an hour", "key invalid for an hour, once it runs"],
)
def test_an_hour(tmp_path: Path, fault: str, parameters: dict[str, object], reason: str) -> None:
    """It waits, says why, and goes on when the hour is over: no line fails for it."""
    with running(EmulatorOptions(job_seconds=0.1, ledger=True)) as gemini:
        gemini.fault(fault, **parameters)
        with moved(tmp_path, gemini) as (gateway, ahead):
            client = gateway.client()
            batch = submit(client, LINES)
            until(lambda: reason in _waits_for(gateway, batch), "it says why it waits")
            for _ in range(5):
                ahead.write_text(str(int(ahead.read_text() or 0) + HOUR_MS // 6))
                gemini.advance(600)
            assert client.batches.retrieve(batch.id).status == "in_progress"
            until(lambda: reason in _waits_for(gateway, batch), "it still says why it waits")
            ahead.write_text(str(2 * HOUR_MS))
            gemini.advance(3600)

            done = finished(client, batch)

            assert_whole(gateway, done)
            assert assert_created_once(gateway, gemini, done) == 1
            assert len(gemini.ledger()) == len(IDS)


@pytest.mark.parametrize("offset", [DAY, -DAY], ids=["ahead", "behind"])
@pytest.mark.parametrize("inline", ["100", "0"], ids=["inline", "file"])
def test_googles_clock_a_day_off(tmp_path: Path, offset: float, inline: str) -> None:
    """What Google says of times is not compared with ours: one upload, one job."""
    options = EmulatorOptions(job_seconds=0.1, clock_offset=offset, ledger=True)
    with running(options) as gemini:
        gemini.fault("drop-after", on="create", times=1)
        with serving(tmp_path, gemini.base_url, GATEWAY_INLINE_MAX_ITEMS=inline) as gateway:
            client = gateway.client()

            done = finished(client, submit(client, LINES))

            assert_whole(gateway, done)
            assert assert_created_once(gateway, gemini, done) == 1
            assert len(gemini.journal("upload")) == (0 if inline == "100" else 1)
            assert len(gemini.ledger()) == len(IDS)


def _waits_for(gateway: GatewayProcess, batch: Batch) -> str:
    return str(extension(gateway.client().batches.retrieve(batch.id))["waiting_for"])


@contextlib.contextmanager
def moved(tmp_path: Path, gemini: Emulator, **others: str) -> Iterator[tuple[GatewayProcess, Path]]:
    """A gateway whose clock is ahead by the milliseconds in a file."""
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    command = (*LIFELINE, shifted.__name__, str(ahead))
    settings: dict[str, Any] = {"GATEWAY_INLINE_MAX_ITEMS": "0", "GATEWAY_GIVE_UP_SECONDS": "21600"}
    settings.update(others)
    with serving(tmp_path, gemini.base_url, command, **settings) as gateway:
        yield gateway, ahead
