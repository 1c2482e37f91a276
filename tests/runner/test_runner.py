"""The runner against a scripted upstream: what fails what, and what only waits."""

import asyncio
import contextlib
import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.follow_ups import RetryRules
from gateway.batches.job import JobState
from gateway.batches.patience import Patience
from gateway.errors import (
    UnavailableError,
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ports.store import Kind
from gateway.runner.send_steps import LANDED
from tests.runner.world import (
    HOUR,
    MODEL,
    MODELS,
    OWNER,
    World,
    chat,
    sweep,
    worker_processes,
    world,
)

ONCE = RetryRules(attempts=1)
TWO = chat("a", "one") + chat("b", "two")


async def assert_good(here: World, done: Any) -> None:
    """The two lines came back whole."""
    assert done.status is BatchStatus.COMPLETED
    rows = await here.lines(done.output_file_id)
    contents = [row["response"]["body"]["choices"][0]["message"]["content"] for row in rows]
    assert contents == ["re one", "re two"]


@pytest.mark.parametrize("inline_items", [100, 0], ids=["inline", "file"])
@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("create", UpstreamUnavailableError("quota", status=429)),
        ("create", UpstreamHeldError("billing is off", status=403)),
        ("observe", UpstreamUnavailableError("busy", status=503)),
        ("observe", UpstreamGoneError("gone", status=404)),
        ("fetch", UpstreamUnavailableError("cut")),
        ("fetch", UpstreamRefusedError("no", status=400)),
        ("release", UpstreamUnavailableError("busy", status=503)),
        ("models", UpstreamUnavailableError("busy", status=503)),
    ],
)
async def test_what_only_waits(
    tmp_path: Path, method: str, error: UpstreamError, inline_items: int
) -> None:
    """Tried again until it works; the job is created once."""
    async with world(tmp_path, inline_items=inline_items) as here:
        here.upstream.script[method] = [error, error]

        done = await here.ended(await here.submit(TWO))

        await assert_good(here, done)
        assert len(here.upstream.jobs) == 1


async def test_a_stale_upload_is_staged_again(tmp_path: Path) -> None:
    """Create was told the file is gone."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.script["create"] = [UpstreamStaleError("gone", status=403)]

        await assert_good(here, await here.ended(await here.submit(TWO)))

        assert here.upstream.calls.count("stage") == 2


async def test_a_refused_job_is_its_lines_errors(tmp_path: Path) -> None:
    """With the upstream's status and words; the batch completes."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.script["create"] = [
            UpstreamRefusedError("the file is odd", status=400, code="INVALID_ARGUMENT")
        ]

        done = await here.ended(await here.submit(TWO))

        assert done.status is BatchStatus.COMPLETED
        assert done.output_file_id is None
        rows = await here.lines(done.error_file_id)
        assert [row["response"]["status_code"] for row in rows] == [400, 400]
        error = rows[0]["response"]["body"]["error"]
        assert (error["code"], error["message"]) == ("invalid_argument", "the file is odd")
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (2, 0, 2)


async def test_a_model_that_is_not_served_fails_the_batch(tmp_path: Path) -> None:
    """Once, with the upstream's advice, when no job of the batch ever ran."""
    async with world(tmp_path) as here:
        advice = "models/x is no longer available to new users. Please use models/y."
        here.upstream.script["create"] = [UpstreamRefusedError(advice, status=404)] * 2
        other = chat("c", "three", model="gemini-3-flash-preview")

        done = await here.ended(await here.submit(TWO + other + chat("d", "four", nonsense=1)))

        assert done.status is BatchStatus.FAILED
        assert done.in_progress_at is not None
        assert [(e.code, e.message, e.line) for e in done.errors] == [
            ("model_not_found", advice, None)
        ]
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (0, 0, 0)
        assert done.output_file_id is done.error_file_id is None


async def test_one_model_of_two_that_is_not_served(tmp_path: Path) -> None:
    """Its lines are error lines; the others are answered."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamRefusedError("use another", status=404)]
        other = chat("c", "three", model="gemini-3-flash-preview")

        done = await here.ended(await here.submit(TWO + other))

        assert done.status is BatchStatus.COMPLETED
        rows = await here.lines(done.error_file_id)
        assert {row["response"]["body"]["error"]["code"] for row in rows} == {"model_not_found"}
        assert done.counts.completed + len(rows) == 3


async def test_an_ambiguous_create_is_adopted(tmp_path: Path) -> None:
    """One job upstream, found by its display name; the older of two is kept."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamAmbiguousError("no answer")]

        batch = await here.submit(TWO)
        await assert_good(here, await here.ended(batch))

        assert len(here.upstream.jobs) == 1
        [job] = (await here.work(batch)).jobs
        assert job.display_name == here.upstream.jobs[0].display_name == f"gwtest-{job.id}"


@pytest.mark.parametrize(
    ("seen", "status", "code"),
    [
        (("FAILED", "INTERNAL", "boom"), 500, "upstream_job_failed"),
        (("FAILED", "RESOURCE_EXHAUSTED", "out of tokens"), 429, "rate_limit_exceeded"),
        (("FAILED", "DEADLINE_EXCEEDED", "too slow"), 504, "deadline_exceeded"),
        (("FAILED", "INVALID_ARGUMENT", "bad request"), 400, "invalid_argument"),
        (("FAILED", "PERMISSION_DENIED", "not allowed"), 403, "permission_denied"),
        (("CANCELLED", "CANCELLED", "cancelled"), 500, "upstream_job_cancelled"),
    ],
)
async def test_a_job_that_ends_with_nothing(
    tmp_path: Path, seen: tuple[str, str, str], status: int, code: str
) -> None:
    """Every line says why."""
    async with world(tmp_path) as here:
        here.upstream.output = None
        here.upstream.state, here.upstream.error_code, here.upstream.error = seen

        done = await here.ended(await here.submit(TWO))

        rows = await here.lines(done.error_file_id)
        assert done.status is BatchStatus.COMPLETED
        assert [row["response"]["status_code"] for row in rows] == [status, status]
        assert rows[0]["response"]["body"]["error"]["code"] == code
        assert seen[2] in rows[0]["response"]["body"]["error"]["message"]


async def test_the_window_ends(tmp_path: Path) -> None:
    """After 24 h the job is told to end; what was served stays, the rest is batch_expired."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        here.upstream.served = lambda key: key == "1"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)

        here.clock.ahead = 25 * HOUR
        done = await here.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        assert done.expired_at is not None
        assert [row["custom_id"] for row in await here.lines(done.output_file_id)] == ["a"]
        [row] = await here.lines(done.error_file_id)
        assert (row["custom_id"], row["error"]["code"]) == ("b", "batch_expired")
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (2, 1, 0)
        assert here.upstream.calls.count("cancel") == 1


async def test_the_window_ends_before_anything_was_sent(tmp_path: Path) -> None:
    """Nothing is created any more."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamUnavailableError("quota", status=429)] * 10_000
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].failures > 1, batch)

        here.clock.ahead = 25 * HOUR
        done = await here.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        assert len(await here.lines(done.error_file_id)) == 2
        assert here.upstream.jobs == []


async def test_a_cancel_ends_a_validation(tmp_path: Path) -> None:
    """The worker is killed, nothing runs, in_progress_at stays null."""
    async with world(tmp_path, alone=True) as here:
        batch = await here.submit(b"".join(chat(f"c{n}", "x" * 500) for n in range(60_000)))
        await here.sees(worker_processes)
        [worker] = worker_processes()
        worker.suspend()  # else it may have read all of it before it is told

        await here.context.store.request_cancel(OWNER, batch.id, here.clock.now())
        here.runner.wake()
        done = await here.ended(batch)

        assert done.status is BatchStatus.CANCELLED
        assert done.in_progress_at is None
        assert not worker.is_running()
        assert here.upstream.jobs == []


@pytest.mark.slow
async def test_the_end_of_the_window_ends_a_validation(tmp_path: Path) -> None:
    """A17: one that does not end by itself; its worker is free for others, and nothing runs."""
    async with world(tmp_path, alone=True, patience=Patience(ending=1000)) as here:
        await here.ended(await here.submit(TWO))
        [worker] = worker_processes()
        worker.suspend()
        batch = await here.submit(TWO, expires_at=here.clock.now())
        done = await here.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        assert done.expired_at is not None
        assert [error.code for error in done.errors] == ["batch_expired"]
        assert done.counts.total == 0
        assert done.ended_because == "the completion window ended"
        assert len(here.upstream.jobs) == 1
        with contextlib.suppress(psutil.NoSuchProcess):  # it is not killed where none had begun
            worker.resume()
        await assert_good(here, await here.ended(await here.submit(TWO)))


async def test_a_window_that_ended_before_it_was_read_leaves_no_line_out(tmp_path: Path) -> None:
    """After a day without a gateway, say: what can be read soon has its error lines."""
    async with world(tmp_path, patience=Patience(ending=60_000)) as here:
        batch = await here.submit(TWO, expires_at=here.clock.now() - HOUR)

        done = await here.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        lines = await here.lines(done.error_file_id)
        assert [row["custom_id"] for row in lines] == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("deaths", [5, 10])
async def test_ten_dead_workers_fail_the_batch_and_five_do_not(tmp_path: Path, deaths: int) -> None:
    """Visibly, and nothing is retried for ever. Three killed from outside failed it before."""
    async with world(tmp_path, alone=True) as here:
        batch = await here.submit(b"".join(chat(f"c{n}", "x" * 500) for n in range(6_000)))
        killed: set[int] = set()
        async with asyncio.timeout(100):
            while len(killed) < deaths:
                for worker in worker_processes():
                    if worker.pid not in killed:
                        worker.kill()
                        killed.add(worker.pid)
                await here.clock.sleep(0.01)

        done = await here.ended(batch)

        failed = deaths > 5
        assert done.status is (BatchStatus.FAILED if failed else BatchStatus.COMPLETED)
        assert [error.code for error in done.errors] == ["internal_error"] * failed
        assert done.counts.completed == (0 if failed else 6_000)


async def test_one_bad_batch_does_not_hold_up_another(tmp_path: Path) -> None:
    """A batch whose input is not there backs off alone, and fails visibly in the end."""
    async with world(tmp_path) as here:
        file = await here.upload(TWO, "input.jsonl", purpose="batch")
        await here.context.blobs.delete(file.segments[0].blob)
        poisoned = await here.submit_file(file)

        good = await here.ended(await here.submit(TWO))

        await assert_good(here, good)
        gone = await here.ended(poisoned)
        assert gone.status is BatchStatus.FAILED
        assert [error.code for error in gone.errors] == ["internal_error"]


@pytest.mark.parametrize("method", ["observe", "fetch"])
async def test_an_outage_is_no_denial(tmp_path: Path, method: str) -> None:
    """Many failures and then one 404: the paid results are not given up."""
    async with world(tmp_path) as here:
        busy = [UpstreamUnavailableError("busy", status=503) for _ in range(8)]
        here.upstream.script[method] = [*busy, UpstreamGoneError("gone", status=404)]

        await assert_good(here, await here.ended(await here.submit(TWO)))


async def test_an_upload_that_is_never_found_ends_visibly(tmp_path: Path) -> None:
    """Not uploaded again for ever."""
    async with world(tmp_path, inline_items=0) as here:
        stale = [UpstreamStaleError("not in an ACTIVE state", status=400) for _ in range(9999)]
        here.upstream.script["create"] = list(stale)

        batch = await here.submit(TWO)
        await here.until(lambda _: here.upstream.calls.count("stage") > 8, batch)
        here.clock.ahead = 7 * HOUR
        done = await here.ended(batch)

        rows = await here.lines(done.error_file_id)
        assert {row["response"]["body"]["error"]["code"] for row in rows} == {"upstream_file_lost"}


@pytest.mark.slow
async def test_a_file_that_google_shows_was_not_lost(tmp_path: Path) -> None:
    """Create denies it because a bill is due: the job is held, nothing is uploaded again."""
    async with world(tmp_path, inline_items=0) as here:
        stale = [UpstreamStaleError("it may not exist", status=403) for _ in range(12)]
        here.upstream.script["create"] = list(stale)
        here.upstream.there = {f"files/{n}" for n in range(99)}

        await assert_good(here, await here.ended(await here.submit(TWO)))

        assert here.upstream.calls.count("stage") == 1


async def test_a_model_refused_to_the_key_refuses_its_lines_alone(tmp_path: Path) -> None:
    """While another model works; alone it may be the account, and is held."""
    other = MODELS[1]
    error = UpstreamHeldError(f"no permission to use models/{MODEL}.", status=403, code="DENIED")
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [error] * 9999
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].failures > 3, batch)
        here.upstream.script["create"] = []
        await assert_good(here, await here.ended(batch))

        here.upstream.refused_model = error
        mixed = await here.ended(await here.submit(chat("a") + chat("b", model=other)))

        assert (mixed.counts.completed, mixed.counts.failed) == (1, 1)
        [row] = await here.lines(mixed.error_file_id)
        assert (row["custom_id"], row["response"]["status_code"]) == ("a", 403)


@pytest.mark.slow
async def test_a_twin_that_shows_late_is_cancelled(tmp_path: Path) -> None:
    """Even when the second job has long ended and its batch was published."""
    # Doubt lasts for ten settling times: enough for the batch to end on a busy machine.
    async with world(tmp_path, settle=400) as here:
        here.upstream.script["create"] = [UpstreamAmbiguousError("no answer")]
        here.upstream.hidden = {"batches/0"}
        done = await here.ended(await here.submit(TWO))
        await assert_good(here, done)
        assert [job.cancelled for job in here.upstream.jobs] == [False, False]

        here.upstream.hidden = set()
        await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, done)

        assert [job.cancelled for job in here.upstream.jobs] == [True, False]


@pytest.mark.slow
async def test_a_job_nobody_adopted_is_cancelled(tmp_path: Path) -> None:
    """Its create was ambiguous, no listing showed it, then the client cancelled the batch."""
    # Doubt lasts for ten settling times: enough for the batch to end on a busy machine.
    async with world(tmp_path, settle=3000) as here:
        here.upstream.state = "RUNNING"
        here.upstream.script["create"] = [
            UpstreamAmbiguousError("no answer"),
            *[UpstreamUnavailableError("quota", status=429) for _ in range(10_000)],
        ]
        here.upstream.hidden = {"batches/0"}
        batch = await here.submit(TWO)
        await here.until(lambda _: here.upstream.calls.count("create") > 1, batch)
        await here.context.store.request_cancel(OWNER, batch.id, here.clock.now())
        here.runner.wake()
        done = await here.ended(batch)
        assert done.status is BatchStatus.CANCELLED

        here.upstream.hidden = set()
        await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)

        [orphan] = here.upstream.jobs
        assert orphan.cancelled


async def test_what_an_upstream_says_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its messages may quote a prompt: log and ``last_error`` carry status and code alone."""
    quoted = "cannot process 'the user's secret'"
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [
            UpstreamUnavailableError(quoted, status=429, code="RESOURCE_EXHAUSTED"),
            UpstreamAmbiguousError(quoted, status=500, code="INTERNAL"),
        ]
        here.upstream.script["find"] = [UpstreamUnavailableError(quoted, status=503)] * 3
        batch = await here.submit(TWO)
        work = await here.until(lambda work: work.batch.last_error, batch)
        await assert_good(here, await here.ended(batch))

    assert work.batch.last_error is not None
    assert "the upstream answered " in work.batch.last_error
    assert "the upstream answered 500 INTERNAL" in caplog.text
    assert "secret" not in caplog.text


async def test_a_broken_listing_does_not_keep_results_away(tmp_path: Path) -> None:
    """A job in doubt is polled all the same."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamAmbiguousError("no answer")]
        here.upstream.hidden = {"batches/0"}
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda _: len(here.upstream.jobs) == 2, batch)
        here.upstream.script["find"] = [UpstreamUnavailableError("busy", status=503)] * 10_000
        for job in here.upstream.jobs:
            job.state = "SUCCEEDED"

        await assert_good(here, await here.ended(batch))


@pytest.mark.slow
async def test_a_backlog_of_validations_stands_before_nothing(tmp_path: Path) -> None:
    """A batch that runs is collected while hundreds wait to be validated."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        first = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, first)
        big = b"".join(chat(f"c{n}") for n in range(3000))
        for _ in range(250):
            await here.submit(big)
        here.upstream.jobs[0].state = "SUCCEEDED"

        await assert_good(here, await here.ended(first))

        left = await here.context.store.list_batches(OWNER, limit=300)
        assert left is not None
        waiting = [batch for batch in left.data if batch.status is BatchStatus.VALIDATING]
        assert len(waiting) > 100


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["validating", "running", "polling"])
async def test_a_full_disk_is_waited_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, phase: str
) -> None:
    """Whenever it fills, the runner lives on, and goes on when there is room again."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        if phase != "validating":
            await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        answer = asyncio.Event()
        if phase == "polling":  # a step holds its claim meanwhile, and cannot give it back
            here.upstream.hanging["observe"] = answer
            here.upstream.reached.clear()
            await here.until(lambda _: "observe" in here.upstream.reached, batch)
        here.store.full = True
        here.upstream.state = "SUCCEEDED"
        for job in here.upstream.jobs:
            job.state = "SUCCEEDED"
        answer.set()
        await here.sees(lambda: here.runner.trouble == "storage is full")
        assert "storage is full" in caplog.text

        here.store.full = False
        await assert_good(here, await here.ended(batch))

        assert len(here.upstream.jobs) == 1
        assert here.runner.trouble is None


async def test_records_that_were_unreadable_once_are_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches said for as long as nothing was due that they wait for the records."""
    async with world(tmp_path, polls=(HOUR, HOUR)) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        kinds = here.store.due_kinds

        async def unread(_now: int) -> Collection[Kind]:
            raise UnavailableError("The gateway cannot read its records now.")

        monkeypatch.setattr(here.store, "due_kinds", unread)
        here.runner.wake()
        await here.sees(lambda: here.runner.trouble is not None)
        monkeypatch.setattr(here.store, "due_kinds", kinds)
        here.runner.wake()
        await here.sees(lambda: here.runner.trouble is None)
        assert (await here.work(batch)).jobs[0].state is JobState.RUNNING


async def test_another_reason_is_logged_within_the_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that came after the first was in no log for as long as a minute."""
    reasons = itertools.cycle(["The disk is full.", "The disk fails."])

    async def unread(_now: int) -> Collection[Kind]:
        raise UnavailableError(next(reasons))

    async with world(tmp_path) as here:
        monkeypatch.setattr(here.store, "due_kinds", unread)
        async with asyncio.timeout(60):
            while not all(reason in caplog.text for reason in ("is full", "disk fails")):
                here.runner.wake()
                await here.clock.sleep(0.01)
        assert caplog.text.count("The disk is full.") == 1
        monkeypatch.undo()


async def test_deletes_that_google_refuses_are_sent_for_days(tmp_path: Path) -> None:
    """Its batch does not wait for it; after two days the copies have expired by themselves."""
    async with world(tmp_path) as here:
        here.upstream.script["release"] = [UpstreamUnavailableError("busy")] * 10_000
        batch = await here.submit(TWO)
        await assert_good(here, await here.ended(batch))
        await here.until(lambda _: here.upstream.calls.count("release") > 8, batch)
        assert (await here.work(batch)).jobs[0].state is JobState.COLLECTED

        here.clock.ahead = 49 * HOUR
        await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)


async def test_the_sweep_leaves_what_files_point_at(tmp_path: Path) -> None:
    """Input and output stay, everything that only served to get there goes."""
    async with world(tmp_path) as here:
        # Of a model without an end, about which no line has a note.
        two = chat("a", "one", model=MODELS[1]) + chat("b", "two", model=MODELS[1])
        done = await here.ended(await here.submit(two))
        await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, done)
        here.clock.ahead = 1000
        stranger = tmp_path / "data" / "blobs" / "ab" / ("ab" + "0" * 30)
        stranger.parent.mkdir(exist_ok=True)
        stranger.write_bytes(b"left behind")

        swept = await sweep(here.context)

        # spool, echo, raw, and the stranger; the only job of a batch ends it, and leaves no run
        assert swept == 4
        assert await sweep(here.context) == 0
        await assert_good(here, done)


async def test_models_nobody_offers_fail_the_batch(tmp_path: Path) -> None:
    """The list is asked for once and kept for a while."""
    async with world(tmp_path) as here:
        line = chat("a", model="gpt-4o")

        done = await here.ended(await here.submit(line))
        await here.ended(await here.submit(TWO))

        assert done.status is BatchStatus.FAILED
        assert [(error.code, error.line) for error in done.errors] == [("model_not_found", 1)]
        assert here.upstream.calls.count("models") == 1


async def test_output_files_expire_as_asked(tmp_path: Path) -> None:
    """``output_expires_after``, from the file's creation."""
    async with world(tmp_path) as here:
        done = await here.ended(await here.submit(TWO, output_expires_after=3600))
        assert done.output_file_id is not None
        file = await here.context.store.get_file(OWNER, done.output_file_id, here.clock.now())

        assert file is not None
        assert file.expires_at == file.created_at + HOUR


async def test_what_follows_at_once_needs_no_claim_of_its_own(tmp_path: Path) -> None:
    """A job that has ended is secured, collected and released under the claim of its last poll."""
    async with world(tmp_path) as here:
        done = await here.ended(await here.submit(TWO))
        await assert_good(here, done)
        work = await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, done)
        create = 1
        assert work.jobs[0].fence == create + here.upstream.calls.count("observe")
        assert work.jobs[0].lease_until is None


async def test_a_model_that_worked_an_hour_ago_need_not_run_still(tmp_path: Path) -> None:
    """A model is refused by itself when the key had another accepted, released by now or not."""
    error = UpstreamHeldError(f"no permission to use models/{MODEL}.", status=403, code="DENIED")
    async with world(tmp_path) as here:
        done = await here.ended(await here.submit(chat("b", model=MODELS[1])))
        await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, done)
        here.upstream.refused_model = error
        refused = await here.ended(await here.submit(TWO))
        assert (refused.counts.completed, refused.counts.failed) == (0, 2)


async def test_a_create_without_an_answer_says_what_is_asked(tmp_path: Path) -> None:
    """A person saw `ReadError`, for the three minutes in which nothing is sent again."""
    async with world(tmp_path, settle=HOUR) as here:
        here.upstream.script["create"] = [UpstreamAmbiguousError("no answer")]
        batch = await here.submit(TWO)
        work = await here.until(lambda work: work.batch.last_error, batch)
        assert work.batch.last_error == f"{LANDED}: no answer"
        assert here.upstream.calls.count("create") == 1
