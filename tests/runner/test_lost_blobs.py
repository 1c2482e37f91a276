"""What the disk loses of a live batch is made again; without its input too, the batch ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.follow_ups import RetryRules
from gateway.batches.job import DONE_STATES, Cause, Job, JobState
from gateway.batches.runs import RECORD, Entry, unpack
from gateway.errors import UnavailableError, UpstreamGoneError, UpstreamUnavailableError
from gateway.ports.upstream import FileState
from tests.runner.world import HOUR, OWNER, Fine, Place, World, chat, naming, place_of, world

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("both_places")]

# Of this model, three answers are three requests.
ONE_BY_ONE = "gemini-3-flash-preview"
LINES = b"".join(
    [
        chat("a", "one", model=ONE_BY_ONE),
        chat("b", "two", model=ONE_BY_ONE, n=3),
        chat("c", model=ONE_BY_ONE, n=-1),
        chat("d", "four", model=ONE_BY_ONE),
    ]
)
# The upstream asks for a pause this long (s): what is damaged meanwhile is not being read.
PAUSE = 2.0


def busy() -> UpstreamUnavailableError:
    """A failure that is tried again after the pause."""
    return UpstreamUnavailableError("busy", status=503, retry_after=PAUSE)


def lose(place: Place) -> None:
    """The bytes are gone."""
    place.unlink()


def empty(place: Place) -> None:
    """Nothing is left of them."""
    place.write_bytes(b"")


def flip(place: Place) -> None:
    """One bit in the middle is another."""
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(bytes(content))


DAMAGES = pytest.mark.parametrize("damage", [lose, empty, flip])
Damage = Callable[[Place], None]


@asynccontextmanager
async def running(
    tmp_path: Path, content: bytes = LINES, **changes: Any
) -> AsyncIterator[tuple[World, Batch, Job]]:
    """A batch whose only job runs at the upstream."""
    async with world(tmp_path, inline_items=0, **changes) as w:
        w.upstream.state = "RUNNING"
        batch = await w.submit(content)
        work = await w.until(
            lambda work: work.jobs and work.jobs[0].state is JobState.RUNNING, batch
        )
        yield w, batch, work.jobs[0]


async def lose_input(w: World, batch: Batch, tmp_path: Path) -> None:
    """The input file's bytes are gone."""
    file = await w.store.get_file(OWNER, batch.input_file_id, w.clock.now())
    assert file is not None
    lose(place_of(tmp_path, file.segments[0].blob))


def ends(w: World) -> None:
    """Have every job succeed."""
    for job in w.upstream.jobs:
        job.state = "SUCCEEDED"


async def texts(w: World, batch: Batch) -> dict[str, list[str]]:
    """The answers by custom_id."""
    lines = await w.lines(batch.output_file_id)
    return {
        line["custom_id"]: [
            choice["message"]["content"] for choice in line["response"]["body"]["choices"]
        ]
        for line in lines
    }


async def errors(w: World, batch: Batch) -> dict[str, str]:
    """The codes of error lines by custom_id."""
    lines = await w.lines(batch.error_file_id)
    return {line["custom_id"]: line["response"]["body"]["error"]["code"] for line in lines}


WHOLE = {"a": ["re one"], "b": ["re two"] * 3, "d": ["re four"]}


@DAMAGES
async def test_answer_hints_are_made_again_from_the_input(tmp_path: Path, damage: Damage) -> None:
    """The batch never ended, though its results were here."""
    async with running(tmp_path) as (w, batch, job):
        damage(place_of(tmp_path, job.echo))
        ends(w)
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert list(await errors(w, done)) == ["c"]
        assert w.upstream.calls.count("create") == 1


@pytest.mark.parametrize(("damage", "both"), [(lose, False), (empty, True), (flip, False)])
async def test_a_spool_is_checked_before_it_is_sent_and_made_again(
    tmp_path: Path, damage: Damage, both: bool
) -> None:
    """A flipped bit was sent and paid for; a lost spool was asked for again for ever."""
    async with world(tmp_path, inline_items=0) as w:
        w.upstream.script["stage"] = [busy()]
        batch = await w.submit(LINES)
        work = await w.until(lambda work: work.jobs and work.jobs[0].failures, batch)
        spool = place_of(tmp_path, work.jobs[0].spool)
        as_written = spool.read_bytes()
        damage(spool)
        if both:
            damage(place_of(tmp_path, work.jobs[0].echo))
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert [job.spool for job in w.upstream.jobs] == [as_written]


@DAMAGES
async def test_the_spool_of_an_inline_job_is_checked(tmp_path: Path, damage: Damage) -> None:
    """It travels in the create call."""
    async with world(tmp_path) as w:
        w.upstream.script["create"] = [busy()]
        batch = await w.submit(LINES)
        work = await w.until(lambda work: work.jobs and work.jobs[0].failures, batch)
        spool = place_of(tmp_path, work.jobs[0].spool)
        as_written = spool.read_bytes()
        damage(spool)
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert [job.spool for job in w.upstream.jobs] == [as_written]


@pytest.mark.parametrize(("call", "inline"), [("stage", 0), ("create", 100)])
@DAMAGES
async def test_a_spool_that_changes_once_its_sending_has_begun_is_not_sent(
    tmp_path: Path, damage: Damage, call: str, inline: int
) -> None:
    """Between the check and the sending bytes could change, and were paid for."""
    async with world(tmp_path, inline_items=inline) as w:
        goes_on = w.upstream.hanging[call] = asyncio.Event()
        batch = await w.submit(LINES)
        await w.until(lambda _: call in w.upstream.reached, batch)
        [job] = (await w.work(batch)).jobs
        spool = place_of(tmp_path, job.spool)
        as_written = spool.read_bytes()
        damage(spool)
        goes_on.set()
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert [made.spool for made in w.upstream.jobs] == [as_written]


async def test_a_place_of_bytes_that_is_away_in_a_create_is_no_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent: the job waits for no listing, whose time has not come within a day."""
    async with world(tmp_path, settle=24 * HOUR) as w:
        goes_on = w.upstream.hanging["create"] = asyncio.Event()
        batch = await w.submit(LINES)
        await w.until(lambda _: "create" in w.upstream.reached, batch)

        async def away(name: str, *_: object) -> AsyncGenerator[bytes, None]:
            monkeypatch.undo()
            if name:
                raise UnavailableError("The gateway's object store does not answer (503).")
            yield b""

        monkeypatch.setattr(w.context.blobs, "read", away)
        goes_on.set()
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert len(w.upstream.jobs) == 1


async def test_jobs_that_have_lost_both_files_get_their_own_lines(tmp_path: Path) -> None:
    """Lines of a model went to its jobs in order."""
    lines = b"".join(
        chat(f"{n}", f"t{n}", n=-1 if n == 2 else 1, model=f"gemini-{model}")
        for n in range(9)
        for model in ("2.5-flash-lite", "3-flash-preview")[n % 2 :][:1]
    )
    async with running(tmp_path, lines) as (w, batch, _):
        work = await w.until(
            lambda work: all(job.state is JobState.RUNNING for job in work.jobs), batch
        )
        assert len(work.jobs) == 2
        for job in work.jobs:
            lose(place_of(tmp_path, job.echo))
            lose(place_of(tmp_path, job.spool))
        ends(w)
        done = await w.ended(batch)
        assert await texts(w, done) == {f"{n}": [f"re t{n}"] for n in range(9) if n != 2}
        assert list(await errors(w, done)) == ["2"]


@pytest.mark.parametrize("damage", [lose, flip])
async def test_without_the_input_each_line_gets_an_error(tmp_path: Path, damage: Damage) -> None:
    """Hints gone, input gone: the batch ends, and what is paid for stays at the upstream."""
    async with running(tmp_path) as (w, batch, job):
        damage(place_of(tmp_path, job.echo))
        await lose_input(w, batch, tmp_path)
        ends(w)
        done = await w.ended(batch)
        lines = await w.lines(done.error_file_id)
        codes = [line["response"]["body"]["error"]["code"] for line in lines]
        assert sorted(codes) == ["gateway_data_lost"] * 3 + ["invalid_value"]
        assert len({line["id"] for line in lines}) == 4
        assert (done.counts.total, done.counts.failed) == (4, 4)
        assert done.status is BatchStatus.COMPLETED
        await w.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)
        assert "release" not in w.upstream.calls


async def test_a_spool_that_cannot_be_made_again_is_not_sent(tmp_path: Path) -> None:
    """The hints still know the names of the lines."""
    async with world(tmp_path, inline_items=0) as w:
        w.upstream.script["stage"] = [busy()]
        batch = await w.submit(LINES)
        work = await w.until(lambda work: work.jobs and work.jobs[0].failures, batch)
        lose(place_of(tmp_path, work.jobs[0].spool))
        await lose_input(w, batch, tmp_path)
        done = await w.ended(batch)
        found = await errors(w, done)
        assert {found[name] for name in "abd"} == {"gateway_data_lost"}
        assert w.upstream.jobs == []


async def test_a_lost_spool_does_not_cost_what_was_answered(tmp_path: Path) -> None:
    """One line would run again, and cannot: the others are published."""
    async with running(tmp_path) as (w, batch, job):
        w.upstream.served = lambda key: key != "4"
        lose(place_of(tmp_path, job.spool))
        await lose_input(w, batch, tmp_path)
        ends(w)
        done = await w.ended(batch)
        assert sorted(await texts(w, done)) == ["a", "b"]
        assert (await errors(w, done))["d"] == "result_missing"


async def test_a_follow_up_is_cut_from_a_spool_that_was_made_again(tmp_path: Path) -> None:
    """One item of a line with three is missing."""
    async with running(tmp_path) as (w, batch, job):
        w.upstream.spoilt = [{"2.1": None}]
        lose(place_of(tmp_path, job.spool))
        w.upstream.state = "SUCCEEDED"
        ends(w)
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert [len(made.spool.splitlines()) for made in w.upstream.jobs] == [5, 1]


@pytest.mark.parametrize("name", ["spool", "echo"])
async def test_a_follow_up_has_its_own_items_again(tmp_path: Path, name: str) -> None:
    """Not those that its predecessor was paid for."""
    async with running(tmp_path) as (w, batch, _):
        w.upstream.spoilt = [{"2.1": None}]
        w.upstream.script["stage"] = [busy()]
        ends(w)
        work = await w.until(lambda work: len(work.jobs) == 2 and work.jobs[1].failures, batch)
        lose(place_of(tmp_path, getattr(work.jobs[1], name)))
        w.upstream.state = "SUCCEEDED"
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert [len(made.spool.splitlines()) for made in w.upstream.jobs] == [5, 1]


async def test_a_cancel_ends_a_batch_that_has_lost_everything(tmp_path: Path) -> None:
    """Neither a cancel nor the end of the window did."""
    async with running(tmp_path) as (w, batch, job):
        for blob in (job.echo, job.spool, (await w.get(batch)).index, (await w.get(batch)).run):
            lose(place_of(tmp_path, blob))
        await lose_input(w, batch, tmp_path)
        await w.store.request_cancel(OWNER, batch.id, w.clock.now())
        w.runner.wake()
        done = await w.ended(batch)
        assert done.status is BatchStatus.CANCELLED
        assert len(await w.lines(done.error_file_id)) == 4


@asynccontextmanager
async def half_done(
    tmp_path: Path, spoilt: Sequence[dict[str, Any]] = (), **changes: Any
) -> AsyncIterator[tuple[World, Batch, Job, Callable[[], None]]]:
    """A batch with one job that is collected, and one that runs until it is told to end."""
    async with world(tmp_path, inline_items=0, **changes) as w:
        w.upstream.state = "RUNNING"
        other = chat("z", "last")
        batch = await w.submit(LINES + other)
        both = await w.until(
            lambda work: [job.state for job in work.jobs] == [JobState.RUNNING] * 2, batch
        )
        mine = both.jobs[0]
        w.upstream.state = "SUCCEEDED"
        w.upstream.spoilt = 2 * list(spoilt)  # whichever of the two came first
        made = {made.display_name: made for made in w.upstream.jobs}
        made[mine.display_name].state = "SUCCEEDED"
        done = await w.until(lambda work: work.jobs[0].state in DONE_STATES, batch)
        yield w, batch, done.jobs[0], lambda: ends(w)


@pytest.mark.parametrize(("name", "damage"), [("run", empty), ("run", flip), ("index", lose)])
async def test_rendered_answers_are_rendered_again(
    tmp_path: Path, name: str, damage: Damage
) -> None:
    """Cut while another job ran, the output lacked lines, or the batch was finalizing for ever."""
    async with half_done(tmp_path) as (w, batch, job, go_on):
        damage(place_of(tmp_path, getattr(job, name)))
        go_on()
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE | {"z": ["re last"]}
        assert list(await errors(w, done)) == ["c"]
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (5, 4, 1)
        assert done.usage.output_tokens == 12


async def test_rendered_again_a_line_whose_file_failed_has_an_error_still(tmp_path: Path) -> None:
    """It was never sent; which file failed, and why, went with the file's copy."""
    async with world(tmp_path, inline_items=0) as w:
        w.upstream.file_states = [FileState.FAILED]
        w.upstream.state = "RUNNING"
        spoilt = await w.upload(b"%PDF-1.7 no pages", "spoilt.pdf")
        batch = await w.submit(naming("a", spoilt.id) + chat("b") + chat("z", model=ONE_BY_ONE))
        both = await w.until(
            lambda work: [job.state for job in work.jobs] == [JobState.RUNNING] * 2, batch
        )
        [mine] = [job for job in both.jobs if job.files]
        made = {made.display_name: made for made in w.upstream.jobs}
        made[mine.display_name].state = "SUCCEEDED"
        done = await w.until(
            lambda work: [job for job in work.jobs if job.files and job.state in DONE_STATES], batch
        )
        [mine] = [job for job in done.jobs if job.files]
        empty(place_of(tmp_path, mine.run))
        ends(w)
        ended = await w.ended(batch)
        assert sorted(await texts(w, ended)) == ["b", "z"]
        assert await errors(w, ended) == {"a": "result_missing"}
        assert w.upstream.calls.count("create") == 2


async def test_rendered_again_a_run_leaves_out_what_follow_ups_took(tmp_path: Path) -> None:
    """Line 4 was missing, and came with the follow-up."""
    async with half_done(tmp_path, spoilt=[{"4": None}]) as (w, batch, job, go_on):
        await w.until(lambda work: [j.state in DONE_STATES for j in work.jobs][2:] == [True], batch)
        empty(place_of(tmp_path, job.run))
        go_on()
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE | {"z": ["re last"]}


@pytest.mark.parametrize(("name", "damage"), [("run", flip), ("index", lose)])
async def test_refused_lines_are_written_again(tmp_path: Path, name: str, damage: Damage) -> None:
    """Run 0 comes from the input alone."""
    async with running(tmp_path) as (w, batch, _):
        damage(place_of(tmp_path, getattr(await w.get(batch), name)))
        ends(w)
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert await errors(w, done) == {"c": "invalid_value"}


async def test_with_raw_results_gone_too_they_are_fetched_again(tmp_path: Path) -> None:
    """The job had not been deleted: a line of it was missing."""
    rules = RetryRules(attempts=1)
    async with half_done(tmp_path, spoilt=[{"4": None}], retries=rules) as (w, batch, job, go_on):
        lose(place_of(tmp_path, job.run))
        lose(place_of(tmp_path, job.raw))
        go_on()
        done = await w.ended(batch)
        assert sorted(await texts(w, done)) == ["a", "b", "z"]
        assert (await errors(w, done))["d"] == "result_missing"


@pytest.mark.parametrize("attempts", [1, 3])
async def test_with_raw_results_gone_everywhere_lines_run_again_within_bounds(
    tmp_path: Path, attempts: int
) -> None:
    """The upstream's copy was deleted once they were safe here: lines ended unanswered."""
    rules = RetryRules(attempts=attempts)
    async with half_done(tmp_path, retries=rules) as (w, batch, job, go_on):
        await w.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)
        lose(place_of(tmp_path, job.run))
        lose(place_of(tmp_path, job.raw))
        deleted = UpstreamGoneError("deleted", status=404)
        w.upstream.script["fetch"] = [Fine(), deleted, *[deleted] * (attempts == 1)]
        w.upstream.state = "SUCCEEDED"
        go_on()
        done = await w.ended(batch)
        assert done.counts.completed + done.counts.failed == done.counts.total == 5
        if attempts > 1:
            assert await texts(w, done) == WHOLE | {"z": ["re last"]}
            assert done.paid_twice_at_most == 3
            return
        found = await errors(w, done)
        assert {found[name] for name in "abd"} == {"gateway_data_lost"}
        assert list(await texts(w, done)) == ["z"]


Change = Callable[[list[Entry]], list[Entry]]


def dropped(entries: list[Entry]) -> list[Entry]:
    """Line 2 is in no run."""
    return [entry for entry in entries if entry.line != 2]


def doubled(entries: list[Entry]) -> list[Entry]:
    """Line 1 comes twice."""
    return [*entries[:1], *entries]


def misplaced(entries: list[Entry]) -> list[Entry]:
    """Line 2 is not where the index says."""
    return [each._replace(offset=each.offset + (each.line == 2)) for each in entries]


def rewrite(index: Path, change: Change) -> bool:
    """Whether an index of several lines is another now."""
    entries = list(unpack(index.read_bytes()))
    if len(entries) > 1:
        index.write_bytes(b"".join(RECORD.pack(*entry) for entry in change(entries)))
    return len(entries) > 1


def misrender(
    w: World, monkeypatch: pytest.MonkeyPatch, change: Change, *, times: int = 1000
) -> None:
    """Have what renders jobs of several lines make a mistake."""
    run, left = w.context.workers.run, [times]

    async def faulty(call: str, task: object, seconds: float) -> dict[str, Any]:
        summary = await run(call, task, seconds)
        if call == "collect" and left[0]:
            left[0] -= rewrite(Path(summary["index"]), change)
        return summary

    monkeypatch.setattr(w.context.workers, "run", faulty)


@pytest.mark.parametrize("change", [dropped, doubled, misplaced])
@pytest.mark.parametrize("times", [1, 1000])
async def test_a_count_that_does_not_add_up_costs_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change, times: int
) -> None:
    """Such a batch failed its audit for ever, or published an error for a line it could have run.

    What rendering again tells costs nothing; only a line that is missing then is sent again.
    """
    async with world(tmp_path, inline_items=0) as w:
        misrender(w, monkeypatch, change, times=times)
        batch = await w.submit(LINES)
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE
        assert list(await errors(w, done)) == ["c"]
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (4, 3, 1)
        sent = [len(made.spool.splitlines()) for made in w.upstream.jobs]
        runs_again = times > 1 and change is not doubled
        assert sent == ([5, 3] if runs_again else [5])
        assert done.paid_twice_at_most == int(runs_again)
        work = await w.work(batch)
        assert [job.cause for job in work.jobs[1:]] == [Cause.RETRY] * runs_again


@pytest.mark.parametrize(
    ("why", "code"),
    [("count", "result_missing"), ("window", "batch_expired"), ("cancel", "batch_cancelled")],
)
async def test_a_line_that_is_missing_is_sent_again_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str, code: str
) -> None:
    """After so many times, and when the batch is to end, it gets OpenAI's code."""
    async with world(tmp_path, inline_items=0, retries=RetryRules(attempts=1)) as w:
        misrender(w, monkeypatch, dropped)
        w.upstream.state = "RUNNING"
        batch = await w.submit(LINES)
        await w.until(lambda work: work.jobs and work.jobs[0].state is JobState.RUNNING, batch)
        ends(w)
        if why == "cancel":
            await w.store.request_cancel(OWNER, batch.id, w.clock.now())
        elif why == "window":
            w.clock.ahead = 25 * HOUR
        w.runner.wake()
        done = await w.ended(batch)
        lines = await w.lines(done.error_file_id)
        told = {line["custom_id"]: line for line in lines}
        assert set(told) == {"b", "c"}
        error = told["b"]["error"] or told["b"]["response"]["body"]["error"]
        assert error["code"] == code
        assert sorted(await texts(w, done)) == ["a", "d"]
        assert w.upstream.calls.count("create") == 1


async def test_with_hints_gone_too_these_are_made_first(tmp_path: Path) -> None:
    """Run and hints of a collected job, whose spool is gone by now."""
    async with half_done(tmp_path) as (w, batch, job, go_on):
        for blob in (job.run, job.echo):
            lose(place_of(tmp_path, blob))
        go_on()
        done = await w.ended(batch)
        assert await texts(w, done) == WHOLE | {"z": ["re last"]}


async def test_with_everything_gone_the_batch_ends(tmp_path: Path) -> None:
    """Lines that nothing is known of have their number alone."""
    async with half_done(tmp_path) as (w, batch, job, go_on):
        for blob in (job.run, job.echo):
            lose(place_of(tmp_path, blob))
        await lose_input(w, batch, tmp_path)
        go_on()
        done = await w.ended(batch)
        lines = await w.lines(done.error_file_id)
        codes = [line["response"]["body"]["error"]["code"] for line in lines]
        assert sorted(codes) == ["gateway_data_lost"] * 3 + ["invalid_value"]
        assert list(await texts(w, done)) == ["z"]


@pytest.mark.parametrize("raw_is_left", [True, False])
async def test_held_results_that_are_lost_come_from_the_raw_ones(
    tmp_path: Path, *, raw_is_left: bool
) -> None:
    """What was answered is not asked for again; the batch once waited for them for ever."""
    async with running(tmp_path) as (w, batch, _):
        w.upstream.spoilt = [{"2.1": None}]
        w.upstream.script["stage"] = [busy()]
        ends(w)
        work = await w.until(lambda work: len(work.jobs) == 2 and work.jobs[1].failures, batch)
        lose(place_of(tmp_path, work.jobs[1].held))
        if not raw_is_left:
            lose(place_of(tmp_path, work.jobs[0].raw))
        w.upstream.state = "SUCCEEDED"
        if not raw_is_left:  # the line is not whole, for so long that this is believed
            await w.until(lambda work: work.jobs[1].denials, batch)
            w.clock.ahead = HOUR
            w.runner.wake()
        done = await w.ended(batch)

        found = await texts(w, done)
        if raw_is_left:
            assert found == WHOLE
        else:
            assert set(found) == {"a", "d"}
            assert set(await errors(w, done)) == {"b", "c"}
        assert [len(made.spool.splitlines()) for made in w.upstream.jobs] == [5, 1]
