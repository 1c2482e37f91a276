"""Any file on any tier: cut to what Google admits, sent as room appears, never failed."""

from pathlib import Path

import pytest

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

MODEL = "gemini-3.5-flash"


def refusals(gateway: GatewayProcess) -> int:
    """How often a create met a 429, by the log."""
    return gateway.log().count("no quota for")


def created(gemini: Emulator) -> int:
    """Jobs that were accepted."""
    return len(gemini.journal("create"))


def run(gateway: GatewayProcess, lines: list[bytes], seconds: float = 120) -> None:
    """The batch completes, every line once."""
    client = gateway.client()
    done = finished(client, submit(client, lines), seconds)
    assert done.status == "completed"
    assert done.request_counts is not None
    assert done.request_counts.completed == len(lines)
    rows = read_lines(client, done.output_file_id)
    assert_conserved([f"id-{number}" for number in range(len(lines))], rows)


@pytest.mark.parametrize(("tier", "most"), [("1", 0), ("auto", 2)])
def test_a_file_beyond_the_quota_of_tier_1(tmp_path: Path, tier: str, most: int) -> None:
    """14 MB for a model of 3 M tokens: seen to be refused for ever. ``auto`` tries for more."""
    with (
        running(EmulatorOptions(tier=1, job_seconds=1.0)) as gemini,
        serving(tmp_path, gemini.base_url, GATEWAY_TIER=tier) as gateway,
    ):
        lines = [chat_line(f"id-{n}", "x" * 20_000, MODEL) for n in range(700)]
        run(gateway, lines)
        assert refusals(gateway) <= most
        assert created(gemini) == 3


@pytest.mark.parametrize("inline", ["100", "0"])
def test_a_quota_below_the_one_that_was_told(tmp_path: Path, inline: str) -> None:
    """20 lines of 60 words, 500 tokens admitted: halved until they fit (lifecycle F13)."""
    options = EmulatorOptions(enqueued_tokens={"*": 500}, job_seconds=0.1)
    with running(options) as gemini:
        settings = {
            "GATEWAY_INLINE_MAX_ITEMS": inline,
            "GATEWAY_ENQUEUED_TOKENS": f'{{"{MODEL}":4000}}',
        }
        with serving(tmp_path, gemini.base_url, **settings) as gateway:
            lines = [chat_line(f"id-{n}", "word " * 60, MODEL) for n in range(20)]
            run(gateway, lines)
            planned = "SELECT count(*) FROM jobs WHERE cause = 'first'"
            assert gateway.rows(planned) == [(1,)]
            learned = gateway.rows("SELECT room FROM quotas WHERE model = ?", MODEL)

            gateway.kill()
            gateway.start()

            assert gateway.rows("SELECT room FROM quotas WHERE model = ?", MODEL) == learned
            run(gateway, lines)
            [(first,)] = gateway.rows(planned)
            assert first > 2, "the second batch is cut at once by what the first has taught"


@pytest.mark.slow
def test_a_create_without_an_answer_does_not_keep_a_job_whole(tmp_path: Path) -> None:
    """Seen when killed in a first create: 429 for ever, since what may have landed is not cut."""
    options = EmulatorOptions(enqueued_tokens={"*": 500}, job_seconds=0.1)
    settings = {"GATEWAY_ENQUEUED_TOKENS": f'{{"{MODEL}":4000}}'}
    with running(options) as gemini, serving(tmp_path, gemini.base_url, **settings) as gateway:
        gemini.fault("drop", on="create", times=1)

        run(gateway, [chat_line(f"id-{n}", "word " * 60, MODEL) for n in range(20)])

        until(lambda: "the create had not landed" in gateway.log(), "it is logged")
        assert gateway.rows("SELECT count(*) FROM jobs WHERE cause = 'recut'") > [(1,)]


@pytest.mark.slow
def test_what_landed_unseen_and_takes_the_room_is_found(tmp_path: Path) -> None:
    """Not cut, which would be paid twice: it is the very job whose tokens a 429 counts."""
    options = EmulatorOptions(enqueued_tokens={"*": 2500}, job_seconds=3600)
    settings = {"GATEWAY_ENQUEUED_TOKENS": f'{{"{MODEL}":4000}}'}
    with running(options) as gemini, serving(tmp_path, gemini.base_url, **settings) as gateway:
        gemini.fault("drop-after", on="create", times=1)
        gemini.fault("list-empty", times="all")
        client = gateway.client()
        lines = [chat_line(f"id-{n}", "word " * 60, MODEL) for n in range(20)]
        batch = submit(client, lines)
        until(lambda: refusals(gateway) >= 3, "its second create is refused")
        gemini.clear_faults()
        until(lambda: "the create had landed" in gateway.log(), "it is found")
        gemini.finish()

        done = finished(client, batch)

        assert done.status == "completed"
        assert_conserved([f"id-{n}" for n in range(20)], read_lines(client, done.output_file_id))
        assert gateway.rows("SELECT count(*) FROM jobs") == [(1,)]
        assert created(gemini) == 1


def test_a_line_that_never_fits_waits_visibly(tmp_path: Path) -> None:
    """It cannot be cut; it is asked for again with growing pauses, and is not failed."""
    with (
        running(EmulatorOptions(enqueued_tokens={"*": 1})) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        client = gateway.client()
        batch = submit(client, [chat_line("a", "some words", MODEL)])

        def told() -> object:
            return extension(client.batches.retrieve(batch.id))["waiting_for"]

        until(lambda: refusals(gateway) > 4, "it is refused")
        assert "429" in until(told, "the batch says so")
        assert client.batches.retrieve(batch.id).status == "in_progress"


def test_refusals_for_long_do_not_shred_what_is_small(tmp_path: Path) -> None:
    """Seen: three 429 in a row to a lone job halved it, again and again, down to its lines."""
    with (
        running(EmulatorOptions(job_seconds=0.1)) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        gemini.fault("quota", seconds=3600)
        client = gateway.client()
        batch = submit(client, [chat_line(f"id-{n}", "some words", MODEL) for n in range(40)])

        def told() -> str:
            return str(extension(client.batches.retrieve(batch.id))["waiting_for"])

        until(lambda: refusals(gateway) >= 8, "it is refused")
        until(lambda: f"429 though nothing else of {MODEL} is enqueued" in told(), "it says so")
        assert "GATEWAY_ENQUEUED_TOKENS" in told()
        gemini.advance(3600)

        done = finished(client, batch)

        assert done.status == "completed"
        assert done.request_counts is not None
        assert done.request_counts.completed == 40
        assert gateway.rows("SELECT count(*) FROM jobs") == [(1,)]


def test_live_jobs_are_bounded(tmp_path: Path) -> None:
    """More batches than Google admits jobs: all get through with few refusals (lifecycle F13)."""
    with (
        running(EmulatorOptions(max_live_jobs=5, job_seconds=0.3)) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        client = gateway.client()
        batches = [submit(client, [chat_line("a", "hi", MODEL)]) for _ in range(30)]
        assert all(finished(client, batch).status == "completed" for batch in batches)
        assert refusals(gateway) < 20
        assert not gateway.rows("SELECT 1 FROM jobs WHERE cause <> 'first'")
