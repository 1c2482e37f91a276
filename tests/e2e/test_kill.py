"""Never pay twice, never lose a line: kill -9 of the main process alone, in every phase.

Proven on the real program, its real records and a real upstream in another process's place (the
emulator lives in the test's own process, so its journal survives). Each round kills at a random
moment of the phase, restarts, and the batch must end as if nothing had happened.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing round can be repeated

import openai
import pytest
from openai.types import Batch

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    extension,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

KILLS = 20
MAX_ROUNDS = 3 * KILLS

LINES = 1500
IDS = [f"id-{number}" for number in range(LINES)]
# There is something to note about these lines: of their requests, and of one's answer.
NOTED = range(0, LINES, 100)
NOTED_ANSWER = 777
FUNCTIONS = [{"name": name} for name in "fg"]


def line_of(number: int) -> bytes:
    """One line of the input."""
    text = f"{IDS[number]} " + "x" * 400
    if number == NOTED_ANSWER:
        return chat_line(IDS[number], f"[[calls:2]] {text}", functions=FUNCTIONS)
    return chat_line(IDS[number], text, **({"verbosity": "low"} if number in NOTED else {}))


CONTENT = b"".join(map(line_of, range(LINES)))
WARNINGS = sorted(
    [(n + 1, IDS[n], "dropped", "verbosity") for n in NOTED]
    + [(NOTED_ANSWER + 1, IDS[NOTED_ANSWER], "dropped", "choices[0].message.tool_calls[1]")]
)


VALIDATING = "SELECT 1 FROM batches WHERE status = 'validating'"


def batch_is(status: str) -> str:
    """A query for a batch in this status."""
    return f"SELECT 1 FROM batches WHERE id = ? AND status = '{status}'"


def job_is(*states: str) -> str:
    """A query for jobs of a batch in one of these states."""
    words = ", ".join(map(repr, states))
    return f"SELECT 1 FROM jobs WHERE batch_id = ? AND state IN ({words})"


@dataclass(frozen=True)
class Phase:
    """``query`` finds a batch in this phase.

    ``alone``: the batches before have left it. An input that is being validated at ten deaths of
    the process is given up, as one that causes them (README, reliability).
    """

    query: str
    faults: tuple[tuple[str, dict[str, float | str]], ...] = ()
    alone: bool = False


PHASES = {
    "validating": Phase(batch_is("validating"), alone=True),
    # The create is made slow, or it would be over before anybody could kill.
    "submitting": Phase(
        job_is("planned", "staging", "submitting"), (("slow", {"on": "create", "seconds": 0.4}),)
    ),
    "polling": Phase(job_is("running")),
    "collecting": Phase(job_is("ended", "secured")),
    "publishing": Phase(batch_is("finalizing")),
}


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """Jobs that take a moment, so that there is something to poll."""
    with running(EmulatorOptions(job_seconds=0.4, max_live_jobs=10_000)) as emulator:
        yield emulator


class Killer:
    """Kills at random moments of a phase, and learns how long the phase lasts."""

    def __init__(self, phase: Phase, seed: str) -> None:
        self._query = phase.query
        self._random = Random(seed)
        self._seconds = 0.4
        self.hits = self.rounds = 0

    def strike(self, gateway: GatewayProcess, batch_id: str) -> None:
        """Wait for the phase, then for a random part of it, and kill."""
        self.rounds += 1
        assert self.rounds <= MAX_ROUNDS, f"{self.hits} of {self.rounds} kills met the phase"
        # On a busy machine a short phase may be over before anybody has looked: no hit then.
        over = batch_is("completed")
        until(
            lambda: gateway.rows(self._query, batch_id) or gateway.rows(over, batch_id),
            "the phase begins",
            60,
        )
        threading.Event().wait(self._random.random() * self._seconds)
        gateway.kill()
        hit = bool(gateway.rows(self._query, batch_id))
        self.hits += hit
        self._seconds *= 1.2 if hit else 0.6


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", PHASES)
def test_twenty_kills(tmp_path: Path, gemini: Emulator, name: str) -> None:
    """Every batch completes whole, each planned job was accepted once, nothing is left over.

    The next batch is submitted while the ones before are still recovering.
    """
    phase = PHASES[name]
    for fault, parameters in phase.faults:
        gemini.fault(fault, **parameters)
    killer = Killer(phase, seed=name)
    batches = []
    settings = {
        "GATEWAY_ITEMS_PER_JOB": "800",
        "GATEWAY_TRANSLATE_WORKERS": "2",
        "GATEWAY_RAW_RESULTS_SECONDS": "0",
    }
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        while killer.hits < KILLS:
            batches.append(submit(gateway.client(), [CONTENT]).id)
            killer.strike(gateway, batches[-1])
            gateway.start()
            if phase.alone:
                until(lambda: not gateway.rows(VALIDATING), "nothing is left of the phase")
        for batch_id in batches:
            assert_whole(gateway.client(), batch_id)
        assert_paid_once(gateway, gemini)
        assert_nothing_left(gateway)


def assert_whole(client: openai.OpenAI, batch_id: str) -> None:
    """The batch completes, with every line in its output, in order."""
    done = finished(client, client.batches.retrieve(batch_id))
    assert done.status == "completed"
    rows = read_lines(client, done.output_file_id)
    assert [row["custom_id"] for row in rows] == IDS
    called = rows.pop(NOTED_ANSWER)["response"]["body"]["choices"][0]
    assert called["finish_reason"] == "function_call"
    for row in rows:
        content = row["response"]["body"]["choices"][0]["message"]["content"]
        assert content.startswith(f"Echo: {row['custom_id']} x")
    assert_noted(client, done)


def assert_noted(client: openai.OpenAI, done: Batch) -> None:
    """Each note is there once, in the order of the lines."""
    told = extension(done)
    assert told["warnings"] == {"dropped": len(WARNINGS)}
    noted = read_lines(client, told["warnings_file_id"])
    assert [tuple(entry.values()) for entry in noted] == WARNINGS


def assert_paid_once(gateway: GatewayProcess, gemini: Emulator) -> None:
    """One accepted job for each planned one, by display name."""
    accepted = [str(entry["displayName"]) for entry in gemini.journal("create")]
    planned = [name for (name,) in gateway.rows("SELECT display_name FROM jobs")]
    assert sorted(accepted) == sorted(planned)


def assert_nothing_left(gateway: GatewayProcess) -> None:
    """After the sweep: no blob but those that files point at, no bytes without a row."""

    def swept() -> bool:
        open_jobs = gateway.rows("SELECT 1 FROM jobs WHERE state <> 'released'")
        return not open_jobs and not gateway.litter()

    until(swept, "everything is released and swept")
    live = {name for (name,) in gateway.rows("SELECT name FROM blobs WHERE state = 'live'")}
    segments = "".join(
        text for (text,) in gateway.rows("SELECT segments FROM files WHERE deleted_at IS NULL")
    )
    assert live == set(re.findall(r'"(\w+)"', segments))
    until(lambda: gateway.bytes_of_blobs() == live, "bytes without a row are gone")
    # Empty directories and places of workers are kept for the next steps.
    until(lambda: not list((gateway.data / "scratch").glob("*/*")), "nothing is in the way")


AMBIGUOUS = {
    "answers 500 after accepting": ("create-500-after", {}),
    "never answers": ("create-hang-after", {}),
    "never answers and never accepts": ("create-hang", {}),
    "closes the connection after accepting": ("create-drop-after", {}),
    "answers nonsense after accepting": ("garbage-after", {"on": "create"}),
    "answers 500 without accepting": ("create-500", {}),
}


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "file"])
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_create_is_paid_once(
    tmp_path: Path, gemini: Emulator, name: str, inline: bool
) -> None:
    """Reconciled by a listing that has settled, without and with a kill in between."""
    fault, parameters = AMBIGUOUS[name]
    settings = {"GATEWAY_CREATE_TIMEOUT_SECONDS": "1"}
    if not inline:
        settings["GATEWAY_INLINE_MAX_ITEMS"] = "0"
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        for kill in (False, True):
            gemini.fault(fault, times=1, **parameters)
            batch = submit(gateway.client(), [chat_line("a", "x"), chat_line("b", "y")])
            if kill:
                kill_while_sending(gateway, batch.id)
            done = finished(gateway.client(), batch)
            assert done.status == "completed"
            rows = read_lines(gateway.client(), done.output_file_id)
            assert_conserved(["a", "b"], rows)
            assert_paid_once(gateway, gemini)


def kill_while_sending(gateway: GatewayProcess, batch_id: str) -> None:
    """Kill between the intent and the outcome, and start again."""
    until(lambda: gateway.rows(job_is("submitting"), batch_id), "it is being sent")
    gateway.kill()
    gateway.start()


def test_a_late_second_match_is_cancelled(tmp_path: Path) -> None:
    """A create that showed in no listing was made again: when it shows, the younger is ended."""
    options = EmulatorOptions(job_seconds=36_000)
    with (
        running(options) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        gemini.fault("create-500-after", times=1)
        gemini.fault("list-hides", seconds=600)
        batch = submit(gateway.client(), [chat_line("a", "x")])

        until(lambda: len(gemini.journal("create")) == 2, "it is created again")
        gemini.advance(600)
        [cancelled] = until(lambda: gemini.journal("cancel"), "the second is cancelled")

        older, younger = (entry["name"] for entry in gemini.journal("create"))
        assert cancelled["name"] == younger
        until(
            lambda: gateway.rows("SELECT 1 FROM jobs WHERE upstream_name = ?", older),
            "the older is kept",
        )
        gemini.finish(str(older))
        assert finished(gateway.client(), batch).status == "completed"


def test_an_empty_listing_proves_nothing(tmp_path: Path) -> None:
    """While a listing does not show a job that must be in it, nothing is created again."""
    with (
        running(EmulatorOptions(job_seconds=3600)) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        known = submit(gateway.client(), [chat_line("known", "x")])
        until(lambda: gateway.rows(job_is("running"), known.id), "one job runs")
        gemini.fault("create-500-after", times=1)
        gemini.fault("list-empty", times="all")
        doubted = submit(gateway.client(), [chat_line("a", "x")])

        query = job_is("submitting") + " AND failures >= 3"
        until(
            lambda: gateway.rows(query, doubted.id),
            "the listing was doubted",
        )
        assert len(gemini.journal("create")) == 2
        gemini.clear_faults()
        until(lambda: gateway.rows(job_is("running"), doubted.id), "it is found after all")

        assert len(gemini.journal("create")) == 2
