"""Follow-ups against a scripted upstream: what runs again, how often, and what it costs."""

from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.follow_ups import RetryRules
from gateway.batches.pacing import Pace
from gateway.errors import UpstreamRefusedError, UpstreamUnavailableError
from gateway.runner import quota_steps
from gateway.runner.context import JobClaim
from tests.conformance.moments import take_job
from tests.runner.world import HOUR, MODEL, Fine, World, chat, world

# A model of one answer each: n of them are n items.
MANY = chat("many", "x", model="gemini-3-flash-preview", n=3)
LONG = Pace(10**7, 10**7)
FOUR = b"".join(chat(name, name) for name in "abcd")


def fault(code: int) -> dict[str, Any]:
    """A result that is an error."""
    return {"error": {"code": code, "message": "no"}}


def answer(text: str, **more: Any) -> dict[str, Any]:
    """A result that is an answer; it costs three tokens."""
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP", **more}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
    return {"response": {"candidates": [candidate], "usageMetadata": usage}}


def keys(here: World) -> list[list[str]]:
    """The keys that each upstream job was sent."""
    return [
        [line[8:].split(b'"')[0].decode() for line in job.spool.splitlines()]
        for job in here.upstream.jobs
    ]


async def answers(here: World, done: Batch) -> dict[str, str]:
    """What each line of the output file says."""
    rows = await here.lines(done.output_file_id)
    return {
        row["custom_id"]: row["response"]["body"]["choices"][0]["message"]["content"]
        for row in rows
    }


async def errors(here: World, done: Batch) -> dict[str, tuple[int, str]]:
    """Status and code of each line of the error file."""
    rows = [row for row in await here.lines(done.error_file_id) if row["response"]]
    return {
        row["custom_id"]: (
            row["response"]["status_code"],
            row["response"]["body"]["error"]["code"],
        )
        for row in rows
    }


@pytest.mark.parametrize("inline_items", [100, 0], ids=["inline", "file"])
async def test_what_failed_for_now_runs_again_alone(tmp_path: Path, inline_items: int) -> None:
    """Codes 4, 8, 13, 14 and what has no result; what was served never runs a second time."""
    async with world(tmp_path, inline_items=inline_items) as here:
        here.upstream.spoilt = [{"2": fault(13), "3": None}, {"3": fault(8)}]
        batch = await here.submit(FOUR)

        done = await here.ended(batch)

        assert done.status is BatchStatus.COMPLETED
        assert await answers(here, done) == {name: f"re {name}" for name in "abcd"}
        assert keys(here) == [["1", "2", "3", "4"], ["2", "3"], ["3"]]
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (4, 4, 0)
        assert (done.usage.input_tokens, done.usage.output_tokens) == (4, 8)
        jobs = (await here.work(batch)).jobs
        assert [(job.cause, job.attempt) for job in jobs] == [
            ("first", 1),
            ("retry", 2),
            ("retry", 3),
        ]
        assert [job.follows for job in jobs] == [None, jobs[0].id, jobs[1].id]


@pytest.mark.parametrize("code", [4, 8, 13, 14])
async def test_a_line_is_sent_a_limited_number_of_times(tmp_path: Path, code: int) -> None:
    """Then its last error is its answer."""
    async with world(tmp_path, retries=RetryRules(attempts=2)) as here:
        here.upstream.spoilt = [{"2": fault(code)}] * 5

        done = await here.ended(await here.submit(FOUR))

        assert keys(here) == [["1", "2", "3", "4"], ["2"]]
        assert list(await errors(here, done)) == ["b"]
        assert (done.counts.completed, done.counts.failed) == (3, 1)


@pytest.mark.parametrize("code", [3, 7])
async def test_what_cannot_work_is_not_sent_again(tmp_path: Path, code: int) -> None:
    """An error of the request itself."""
    async with world(tmp_path) as here:
        here.upstream.spoilt = [{"2": fault(code)}]

        done = await here.ended(await here.submit(FOUR))

        assert len(here.upstream.jobs) == 1
        assert (done.counts.completed, done.counts.failed) == (3, 1)


@pytest.mark.parametrize("empty", [False, True])
async def test_an_answer_without_a_word_by_setting(tmp_path: Path, empty: bool) -> None:
    """Both attempts are paid for, and both are in the usage."""
    silent = answer("", content={"role": "model"})
    async with world(tmp_path, retries=RetryRules(empty=empty)) as here:
        here.upstream.spoilt = [{"2": silent}]

        done = await here.ended(await here.submit(FOUR))

        assert len(here.upstream.jobs) == 1 + empty
        assert done.counts.completed == 4
        assert (await answers(here, done))["b"] == ("re b" if empty else None)
        assert done.usage.output_tokens == (10 if empty else 8)


async def test_a_line_of_several_items_sends_only_what_it_lacks(tmp_path: Path) -> None:
    """The others wait, through any number of attempts, and are counted once."""
    async with world(tmp_path) as here:
        here.upstream.spoilt = [{"1.1": fault(14), "1.2": None}, {"1.2": fault(13)}]
        batch = await here.submit(MANY + chat("one", "y", model="gemini-3-flash-preview"))

        done = await here.ended(batch)

        assert keys(here) == [["1.0", "1.1", "1.2", "2"], ["1.1", "1.2"], ["1.2"]]
        [many, _] = await here.lines(done.output_file_id)
        choices = many["response"]["body"]["choices"]
        assert [choice["message"]["content"] for choice in choices] == ["re x"] * 3
        # Choices share one prompt, as in the answer itself.
        assert (done.usage.input_tokens, done.usage.output_tokens) == (2, 8)
        assert many["response"]["body"]["usage"]["completion_tokens"] == 6


@pytest.mark.slow
async def test_what_was_held_is_paid_though_the_line_fails(tmp_path: Path) -> None:
    """Usage counts the items that were served, once."""
    async with world(tmp_path, retries=RetryRules(attempts=2)) as here:
        here.upstream.spoilt = [{"1.1": fault(14)}] * 2

        done = await here.ended(await here.submit(MANY))

        assert list(await errors(here, done)) == ["many"]
        assert (done.usage.input_tokens, done.usage.output_tokens) == (1, 4)


async def test_a_line_that_is_lost_anyhow_is_not_paid_for_again(tmp_path: Path) -> None:
    """One of its items can never work."""
    async with world(tmp_path) as here:
        here.upstream.spoilt = [{"1.1": fault(14), "1.2": fault(3)}]

        done = await here.ended(await here.submit(MANY))

        assert len(here.upstream.jobs) == 1
        assert list(await errors(here, done)) == ["many"]


@pytest.mark.parametrize("code", ["INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE"])
async def test_a_whole_job_that_failed_runs_again(tmp_path: Path, code: str) -> None:
    """Google has said that it ended."""
    async with world(tmp_path) as here:
        here.upstream.output, here.upstream.state = None, "FAILED"
        here.upstream.error_code = code
        batch = await here.submit(FOUR)
        await here.until(lambda work: len(work.jobs) > 1, batch)
        here.upstream.output, here.upstream.state = "files/out", "SUCCEEDED"

        done = await here.ended(batch)

        assert await answers(here, done) == {name: f"re {name}" for name in "abcd"}


async def test_an_upstream_expiry_is_no_end_while_there_is_time(tmp_path: Path) -> None:
    """Lines that Google never got to run again; served ones stay."""
    async with world(tmp_path) as here:
        here.upstream.state = "EXPIRED"
        here.upstream.served = lambda key: key in {"1", "2"} or len(here.upstream.jobs) > 1

        done = await here.ended(await here.submit(FOUR))

        assert done.status is BatchStatus.COMPLETED
        assert keys(here) == [["1", "2", "3", "4"], ["3", "4"]]
        assert await answers(here, done) == {name: f"re {name}" for name in "abcd"}


async def test_expired_upstream_again_and_again(tmp_path: Path) -> None:
    """The batch has time left, so it is completed, and its lines failed."""
    async with world(tmp_path) as here:
        here.upstream.state, here.upstream.output = "EXPIRED", None

        done = await here.ended(await here.submit(FOUR))

        assert done.status is BatchStatus.COMPLETED
        assert set((await errors(here, done)).values()) == {(500, "upstream_job_expired")}
        assert (done.counts.total, done.counts.failed) == (4, 4)


async def test_a_cancelled_batch_runs_nothing_again(tmp_path: Path) -> None:
    """A follow-up that was not sent is refused."""
    async with world(tmp_path, retry=LONG) as here:
        here.upstream.spoilt = [{"2": fault(13)}]
        batch = await here.submit(FOUR)
        await here.until(lambda work: len(work.jobs) > 1, batch)

        await here.context.store.request_cancel(batch.owner, batch.id, here.clock.now())
        here.runner.wake()
        done = await here.ended(batch)

        assert len(here.upstream.jobs) == 1
        assert done.status is BatchStatus.CANCELLED
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (4, 3, 0)


@pytest.mark.slow
async def test_counts_grow_and_never_shrink(tmp_path: Path) -> None:
    """While a line waits for its next attempt it is neither completed nor failed."""
    async with world(tmp_path, retry=LONG) as here:
        here.upstream.spoilt = [{"2": fault(13)}]
        batch = await here.submit(FOUR)

        work = await here.until(lambda work: len(work.jobs) > 1, batch)

        counts = work.batch.counts
        assert (counts.total, counts.completed, counts.failed) == (4, 3, 0)
        here.clock.ahead = 30 * HOUR
        done = await here.ended(batch)
        assert done.status is BatchStatus.EXPIRED


async def test_inline_answers_without_keys_come_again_by_file(tmp_path: Path) -> None:
    """Never matched by position; a file's results have their keys."""
    async with world(tmp_path) as here:
        nameless = {"key": None, **answer("x")}
        here.upstream.spoilt = [{"1": nameless, "2": nameless}]
        batch = await here.submit(chat("a", "a") + chat("b", "b"))

        done = await here.ended(batch)

        assert await answers(here, done) == {"a": "re a", "b": "re b"}
        assert [job.inline for job in (await here.work(batch)).jobs] == [True, False]


async def test_one_item_and_one_answer_need_no_key(tmp_path: Path) -> None:
    """There is nothing to mistake."""
    async with world(tmp_path) as here:
        here.upstream.spoilt = [{"1": {"key": None, **answer("hello")}}]

        done = await here.ended(await here.submit(chat("a", "a")))

        assert await answers(here, done) == {"a": "hello"}
        assert len(here.upstream.jobs) == 1


def refused(item: int | None) -> UpstreamRefusedError:
    """What create says when it does not like one of the requests."""
    return UpstreamRefusedError(
        "thinking budget is out of range.", status=400, code="INVALID_ARGUMENT", item=item
    )


async def test_a_named_request_is_refused_alone(tmp_path: Path) -> None:
    """The others are created again, in one job (F16)."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [refused(2)]

        done = await here.ended(await here.submit(FOUR))

        assert keys(here) == [["1", "2", "4"]]
        assert await errors(here, done) == {"c": (400, "invalid_argument")}
        assert (done.counts.completed, done.counts.failed) == (3, 1)


async def test_a_request_is_found_by_halves(tmp_path: Path) -> None:
    """Where Google names none, or one that is not there."""
    async with world(tmp_path) as here:
        # Four; then two times two, of which the second is refused; then one and one.
        here.upstream.script["create"] = [refused(None), Fine(), refused(9), Fine(), refused(None)]

        done = await here.ended(await here.submit(FOUR))

        assert len(await errors(here, done)) == 1
        assert (done.counts.completed, done.counts.failed) == (3, 1)
        assert sorted(map(len, keys(here))) == [1, 2]


async def test_a_line_of_several_items_is_refused_whole(tmp_path: Path) -> None:
    """Its other items are not sent."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [refused(1)]
        one = chat("one", "y", model="gemini-3-flash-preview")

        done = await here.ended(await here.submit(MANY + one))

        assert keys(here) == [["2"]]
        assert await errors(here, done) == {"many": (400, "invalid_argument")}


async def test_halves_of_a_follow_up_share_what_it_held(tmp_path: Path) -> None:
    """Results that one line waits with are not lost on the way."""
    async with world(tmp_path) as here:
        here.upstream.spoilt = [{"1.1": fault(14), "2": fault(14)}]
        here.upstream.script["create"] = [Fine(), refused(None)]
        one = chat("one", "y", model="gemini-3-flash-preview")
        batch = await here.submit(MANY + one)

        done = await here.ended(batch)

        assert keys(here)[0] == ["1.0", "1.1", "1.2", "2"]
        assert sorted(keys(here)[1:]) == [["1.1"], ["2"]]
        assert (done.counts.completed, done.usage.output_tokens) == (2, 8)


async def test_a_follow_up_that_is_too_large_keeps_what_it_held(tmp_path: Path) -> None:
    """It is cut for the quota as any job is; what was paid for goes along."""
    async with world(tmp_path, retry=LONG) as here:
        here.upstream.spoilt = [{"1.1": fault(14), "2": fault(14)}]
        one = chat("one", "y", model="gemini-3-flash-preview")
        batch = await here.submit(MANY + one)
        again = (await here.until(lambda work: len(work.jobs) > 1, batch)).jobs[1]
        store = here.context.store
        row = await take_job(store, again.id, HOUR)
        assert row is not None

        await quota_steps.recut(here.context, batch, JobClaim(row, store.save_job))
        here.clock.ahead = 4 * HOUR
        here.runner.wake()
        done = await here.ended(batch)

        assert sorted(keys(here)[1:]) == [["1.1"], ["2"]]
        assert (done.counts.completed, done.usage.output_tokens) == (2, 8)


@pytest.mark.parametrize("unheard", [0, 1], ids=["answered", "without an answer"])
async def test_a_stuck_job_is_ended_and_its_rest_sent_again(tmp_path: Path, unheard: int) -> None:
    """In smaller jobs, once it has ended; what it served until then stays.

    Also where the cancel had no answer: that it was we who ended it is written down first, since
    lines of a job that others have cancelled fail.
    """
    async with world(tmp_path, retries=RetryRules(resend=True)) as here:
        here.upstream.state = "RUNNING"
        here.upstream.unheard = unheard
        here.upstream.served = lambda key: key == "1" or len(here.upstream.jobs) > 1
        batch = await here.submit(FOUR)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        here.upstream.state = "SUCCEEDED"

        here.clock.ahead = 7 * HOUR
        here.runner.wake()
        done = await here.ended(batch)

        assert done.status is BatchStatus.COMPLETED
        assert await answers(here, done) == {name: f"re {name}" for name in "abcd"}
        assert here.upstream.jobs[0].cancelled
        assert here.upstream.unheard == 0
        assert keys(here)[0] == ["1", "2", "3", "4"]
        assert sorted(keys(here)[1:]) == [["2"], ["3"], ["4"]]
        causes = [job.cause.value for job in (await here.work(batch)).jobs]
        assert causes == ["first", "stuck", "stuck", "stuck"]


async def test_a_stuck_job_says_so(tmp_path: Path) -> None:
    """By default it is waited for, and nothing is cancelled."""
    async with world(tmp_path) as here:
        here.upstream.state = "PENDING"
        batch = await here.submit(FOUR)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)

        here.clock.ahead = 7 * HOUR
        here.runner.wake()
        work = await here.until(lambda work: work.batch.last_error, batch)

        assert "longer than is usual" in str(work.batch.last_error)
        assert not here.upstream.jobs[0].cancelled


async def test_what_is_usual_is_learned(tmp_path: Path) -> None:
    """A model whose jobs took five hours is not stuck after seven."""
    async with world(tmp_path, retries=RetryRules(resend=True)) as here:
        here.upstream.state = "RUNNING"
        first = await here.submit(FOUR)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, first)
        here.clock.ahead = 5 * HOUR
        here.upstream.jobs[0].state = "SUCCEEDED"
        here.runner.wake()
        await here.ended(first)
        second = await here.submit(FOUR)
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, second)

        here.clock.ahead = 12 * HOUR
        here.runner.wake()
        since = here.clock.now()
        await here.until(lambda work: (work.jobs[0].looked_at or 0) >= since, second)

        assert not here.upstream.jobs[1].cancelled
        assert await here.context.store.longest_job(MODEL) >= 5 * HOUR


@pytest.mark.parametrize("sent", [False, True], ids=["waits", "runs"])
async def test_what_ends_a_second_attempt_tells_of_the_first(tmp_path: Path, sent: bool) -> None:
    """A line said that its batch was cancelled, and not that Google had failed it before."""
    async with world(tmp_path, retry=Pace(5, 50) if sent else LONG) as here:
        here.upstream.spoilt = [{"2": fault(13), "3": fault(8), "4": fault(13)}]
        here.upstream.state = "RUNNING"
        batch = await here.submit(FOUR)
        await here.until(lambda _: here.upstream.jobs, batch)
        here.upstream.jobs[0].state = "SUCCEEDED"
        want = "running" if sent else "planned"
        work = await here.until(
            lambda work: len(work.jobs) > 1 and work.jobs[1].state == want, batch
        )
        assert work.batch.attempts == 2
        here.upstream.served = lambda _: False
        await here.context.store.request_cancel(batch.owner, batch.id, here.clock.now())
        here.runner.wake()

        done = await here.ended(batch)

        rows = await here.lines(done.error_file_id)
        assert done.attempts == 2
        assert {row["error"]["code"] for row in rows} == {"batch_cancelled"}
        told = "An earlier attempt met: server_error (2 lines), rate_limit_exceeded (1 line)."
        assert all(told in row["error"]["message"] for row in rows)


async def test_refusals_are_counted_for_life(tmp_path: Path) -> None:
    """They were shown as failures in a row, and were none once the job ran."""
    async with world(tmp_path) as here:
        busy = [UpstreamUnavailableError("quota", status=429) for _ in range(3)]
        no_answer = [UpstreamUnavailableError("no connection")]
        here.upstream.script["create"] = [*busy, *no_answer]

        batch = await here.submit(FOUR)
        await here.ended(batch)

        assert (await here.work(batch)).jobs[0].refused == 3
