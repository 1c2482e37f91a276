"""Paid work that the upstream denies: asked for again for hours, left there, looked for on."""

from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.follow_ups import RetryRules
from gateway.batches.job import JobState
from gateway.errors import UpstreamError, UpstreamGoneError, UpstreamRefusedError, WorkerError
from gateway.runner.denials import NOT_GIVEN, NOT_SHOWN
from tests.runner.world import HOUR, World, chat, world

TWO = chat("a", "one") + chat("b", "two")
MANY = 100_000


def gone() -> UpstreamError:
    """Google's own 404."""
    return UpstreamGoneError("Requested entity was not found.", status=404, code="NOT_FOUND")


async def assert_whole(here: World, done: Any) -> None:
    """Both lines came back, of one job."""
    assert done.status is BatchStatus.COMPLETED
    rows = await here.lines(done.output_file_id)
    assert [row["custom_id"] for row in rows] == ["a", "b"]
    assert len(here.upstream.jobs) == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["observe", "fetch"])
async def test_forty_denials_lose_nothing(tmp_path: Path, method: str) -> None:
    """The number of 404s proves nothing; meanwhile the batch says what it waits for."""
    async with world(tmp_path) as here:
        here.upstream.script[method] = [gone()] * 40
        batch = await here.submit(TWO)

        waiting = await here.until(lambda work: work.batch.last_error, batch)
        await assert_whole(here, await here.ended(batch))

        said = NOT_SHOWN if method == "observe" else NOT_GIVEN
        assert waiting.batch.last_error == f"{said}: the upstream answered 404 NOT_FOUND"
        assert waiting.batch.waiting_since is not None


@pytest.mark.parametrize("error", [gone(), UpstreamRefusedError("no", status=403)])
async def test_results_denied_for_hours_come_while_the_job_shows_them(
    tmp_path: Path, error: UpstreamError
) -> None:
    """The job's own GET is the second witness."""
    async with world(tmp_path) as here:
        here.upstream.script["fetch"] = [error] * MANY
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].denials > 3, batch)
        here.clock.ahead = 7 * HOUR
        before = (await here.work(batch)).jobs[0].denials
        work = await here.until(lambda work: work.jobs[0].denials > before + 3, batch)
        assert work.jobs[0].state is JobState.ENDED

        here.upstream.script["fetch"] = []
        await assert_whole(here, await here.ended(batch))


async def test_a_job_is_given_up_after_hours_when_a_listing_lacks_it_too(tmp_path: Path) -> None:
    """Six hours with a listing that is shown to work; then its lines say so, and it is left."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        witness = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, witness)
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        [kept, _] = here.upstream.jobs
        here.upstream.jobs = [kept]
        await here.until(lambda work: work.jobs[0].denials > 8, batch)

        here.clock.ahead = 7 * HOUR
        done = await here.ended(batch)

        rows = await here.lines(done.error_file_id)
        codes = {row["response"]["body"]["error"]["code"] for row in rows}
        assert (len(rows), codes) == (2, {"upstream_job_lost"})
        assert "release" not in here.upstream.calls


async def test_a_job_that_a_listing_shows_is_not_given_up(tmp_path: Path) -> None:
    """However long its GET answers 404."""
    async with world(tmp_path) as here:
        here.upstream.script["observe"] = [gone()] * MANY
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].denials > 3, batch)
        here.clock.ahead = 23 * HOUR
        before = (await here.work(batch)).jobs[0].denials
        await here.until(lambda work: work.jobs[0].denials > before + 3, batch)

        here.upstream.script["observe"] = []
        await assert_whole(here, await here.ended(batch))


async def test_a_job_given_up_is_recovered_late(tmp_path: Path) -> None:
    """Its batch was published without it; what it made becomes its raw results all the same."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        [job] = here.upstream.jobs
        here.upstream.jobs = []
        await here.until(lambda work: work.jobs[0].denials > 1, batch)
        here.clock.ahead = 25 * HOUR
        done = await here.ended(batch)
        assert len(await here.lines(done.error_file_id)) == 2

        job.state = "SUCCEEDED"
        here.upstream.jobs = [job]
        here.clock.ahead = 30 * HOUR
        here.runner.wake()
        work = await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)

        [row] = work.jobs
        assert row.raw is not None
        blocks = [block async for block in here.context.blobs.read(row.raw)]
        assert b"re one" in b"".join(blocks)
        assert "release" not in here.upstream.calls


async def test_an_output_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    """SUCCEEDED promises one: neither are the lines failed nor is the job deleted."""
    async with world(tmp_path) as here:
        here.upstream.late = 12

        await assert_whole(here, await here.ended(await here.submit(TWO)))


@pytest.mark.slow
@pytest.mark.parametrize("garbage", [b"", b"\n\n"])
async def test_nothing_is_no_result_file(tmp_path: Path, garbage: bytes) -> None:
    """It is asked for again."""
    async with world(tmp_path) as here:
        here.upstream.garbage = [garbage] * 9

        await assert_whole(here, await here.ended(await here.submit(TWO)))

        assert here.upstream.calls.count("fetch") == 10


async def test_a_job_with_a_missing_line_is_not_deleted(tmp_path: Path) -> None:
    """Nothing goes of which a line is unmatched: neither the job nor its raw results."""
    async with world(tmp_path, retries=RetryRules(attempts=1)) as here:
        here.upstream.served = lambda key: key == "1"
        batch = await here.submit(TWO)

        done = await here.ended(batch)
        work = await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)

        assert (done.counts.completed, done.counts.failed) == (1, 1)
        assert "release" not in here.upstream.calls
        [row] = work.jobs
        assert row.unmatched == 1
        assert row.raw is not None
        assert [block async for block in here.context.blobs.read(row.raw)]


@pytest.mark.slow
async def test_dead_collectors_do_not_cost_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven workers died over them: they are ours, and are read by the eighth."""
    deaths = 7
    async with world(tmp_path) as here:
        run = here.context.workers.run

        async def dying(step: str, *rest: Any) -> Any:
            nonlocal deaths
            if step == "collect" and deaths:
                deaths -= 1
                raise WorkerError("a worker died")
            return await run(step, *rest)

        monkeypatch.setattr(type(here.context.workers), "run", lambda _, *given: dying(*given))

        await assert_whole(here, await here.ended(await here.submit(TWO)))

        assert deaths == 0


BOTH = chat("a", "one") + chat("z", "last", model="gemini-3-flash-preview")


async def test_late_results_are_collected_while_other_jobs_run(tmp_path: Path) -> None:
    """They were kept as raw results alone, and the line's error was published."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(BOTH)
        job = await here.lose_first(batch, failed=1)

        job.state = "SUCCEEDED"
        here.upstream.jobs.append(job)
        here.clock.ahead = 9 * HOUR
        here.runner.wake()
        late = await here.until(lambda work: work.jobs[0].raw, batch)
        late = await here.until(lambda work: work.jobs[0].recover_until is None, batch)
        assert (late.batch.counts.completed, late.batch.counts.failed) == (1, 0)
        assert late.batch.usage.output_tokens == 2

        for made in here.upstream.jobs:
            made.state = "SUCCEEDED"
        done = await here.ended(batch)
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (2, 2, 0)
        assert len(await here.lines(done.output_file_id)) == 2
        assert done.usage.output_tokens == 4
        assert done.paid_twice_at_most == 0


@pytest.mark.slow
async def test_what_may_be_paid_twice_is_counted(tmp_path: Path) -> None:
    """Results denied for hours ran again; when they come late, both attempts are in the usage."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.script["fetch"] = [gone()] * MANY
        batch = await here.submit(BOTH)
        await here.until(lambda work: any(job.denials > 1 for job in work.jobs), batch)
        here.upstream.state = "RUNNING"
        await here.until(lambda work: all(job.denials for job in work.jobs), batch)
        here.upstream.output = None
        here.clock.ahead = 7 * HOUR
        both = await here.until(lambda work: len(work.jobs) == 4, batch)
        assert both.batch.paid_twice_at_most == 2

        here.upstream.output = "files/out"
        here.upstream.script["fetch"] = []
        here.clock.ahead = 10 * HOUR
        here.runner.wake()
        await here.until(lambda work: not any(job.recover_until for job in work.jobs[:2]), batch)
        for made in here.upstream.jobs:
            made.state = "SUCCEEDED"
        done = await here.ended(batch)
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (2, 2, 0)
        assert done.usage.output_tokens == 8
        assert done.paid_twice_at_most == 2


@pytest.mark.parametrize("state", ["CANCELLED", "EXPIRED", "FAILED"])
async def test_a_job_that_ended_without_an_output_is_left_there(tmp_path: Path, state: str) -> None:
    """Whether its output may come late is not proven: Google removes it, the gateway never."""
    async with world(tmp_path, retries=RetryRules(attempts=1)) as here:
        here.upstream.state, here.upstream.output = state, None
        batch = await here.submit(TWO)
        done = await here.ended(batch)
        assert done.counts.completed == 0

        looks = here.upstream.calls.count("observe")
        here.clock.ahead = HOUR
        here.runner.wake()
        await here.until(lambda _: here.upstream.calls.count("observe") > looks, batch)
        here.clock.ahead = 49 * HOUR
        here.runner.wake()
        await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)

        assert "release" not in here.upstream.calls


async def test_an_output_that_comes_after_an_end_without_one_is_usage(tmp_path: Path) -> None:
    """Its lines run again, and are answered there once; what came late is paid, and is counted."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(TWO)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        here.upstream.output = None
        here.upstream.jobs[0].state = "EXPIRED"
        work = await here.until(lambda _: len(here.upstream.jobs) == 2, batch)
        assert work.batch.paid_twice_at_most == 0

        here.upstream.output = "files/out"
        here.clock.ahead = 60_000
        here.runner.wake()
        work = await here.until(lambda work: work.batch.paid_twice_at_most, batch)
        assert (work.batch.paid_twice_at_most, work.batch.usage.input_tokens) == (2, 2)
        first = work.jobs[0].cost
        assert work.batch.cost == first
        assert first
        here.upstream.jobs[1].state = "SUCCEEDED"
        done = await here.ended(batch)

        assert (done.usage.input_tokens, done.cost) == (4, 2 * first)
        assert sorted(line["custom_id"] for line in await here.lines(done.output_file_id)) == [
            "a",
            "b",
        ]
