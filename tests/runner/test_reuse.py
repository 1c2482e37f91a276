"""Answers not paid twice: lines that ask the same again get the earlier answer, and only they."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from gateway.batches.batch import Batch, BatchStatus, TokenUsage
from gateway.batches.job import Cause, Job, JobState
from gateway.batches.reuse import parse_reuse
from gateway.runner.context import Retention
from gateway.translate import Policy
from tests.runner.world import HOUR, MODEL, MODELS, OWNER, World, chat, place_of, sweep, world

pytestmark = pytest.mark.slow

DAY: Final = 24 * HOUR
WISH: Final = {"reuse": "7d"}
IDS: Final = ("a", "b", "c")
LINES: Final = b"".join(chat(i, f"say {i}", temperature=0.7) for i in IDS)
RAW: Final = Retention(raw=30 * DAY)


@asynccontextmanager
async def keeping(tmp_path: Path, **changes: Any) -> AsyncIterator[World]:
    """A runner that keeps raw results."""
    async with world(tmp_path, **{"retention": RAW, **changes}) as w:
        yield w


async def run(w: World, content: bytes = LINES, **columns: Any) -> Batch:
    """A batch, to its end; it wishes for earlier answers unless told otherwise."""
    batch = await w.submit(content, **{"metadata": WISH, **columns})
    return await w.ended(batch)


async def texts(w: World, batch: Batch) -> dict[str, str]:
    """What each answered line says."""
    rows = await w.lines(batch.output_file_id)
    return {
        row["custom_id"]: row["response"]["body"]["choices"][0]["message"]["content"]
        for row in rows
    }


def asked(w: World) -> list[str]:
    """What was asked of the upstream, in all jobs."""
    rows = [orjson.loads(line) for job in w.upstream.jobs for line in job.spool.splitlines()]
    return [row["request"]["contents"][0]["parts"][0]["text"] for row in rows]


async def test_nothing_is_sent_or_paid_for_what_was_answered(tmp_path: Path) -> None:
    """No job at the upstream, the same answers, a note on each, nothing in usage or cost."""
    async with keeping(tmp_path) as w:
        first = await run(w)
        again = await run(w)
        work = await w.work(again)

        assert first.usage != TokenUsage()
        assert w.upstream.calls.count("create") == 1
        assert again.status is BatchStatus.COMPLETED
        assert (again.counts.total, again.counts.completed, again.counts.failed) == (3, 3, 0)
        assert await texts(w, again) == await texts(w, first) == {i: f"re say {i}" for i in IDS}
        assert (again.usage, again.cost, again.most, again.reused) == (TokenUsage(), 0, 0, 3)
        assert again.attempts == 0
        assert again.notes == {"reused": 3}
        notes = await w.lines(again.notes_file_id)
        assert [(note["custom_id"], note["code"]) for note in notes] == [(i, "reused") for i in IDS]
        assert [job.cause for job in work.jobs] == [Cause.REUSED]
        assert first.reused == 0
        assert "reused" not in first.notes


async def test_only_what_is_new_is_sent(tmp_path: Path) -> None:
    """Lines of both kinds end in one output, each once."""
    async with keeping(tmp_path) as w:
        await run(w)
        more = b"".join(chat(i, f"say {i}", temperature=0.7) for i in ("d", "b", "e", "a"))
        again = await run(w, more)

        assert await texts(w, again) == {i: f"re say {i}" for i in "dbea"}
        assert asked(w) == [*(f"say {i}" for i in IDS), "say d", "say e"]
        assert (again.reused, again.counts.completed) == (2, 4)
        assert again.usage.input_tokens == 2


async def test_answers_are_their_owners(tmp_path: Path) -> None:
    """Another owner's line is asked and paid for."""
    async with keeping(tmp_path) as w:
        await run(w, owner="another")
        again = await run(w)
        assert again.reused == 0
        assert len(asked(w)) == 6


@pytest.mark.parametrize(
    "columns",
    [
        {"policy": Policy(strict=True).to_json()},
        {"policy": Policy(aliases={MODEL: MODELS[1]}).to_json()},
        {"metadata": None},
        {"metadata": {"reuse": "0"}},
        {"metadata": {"reuse": "60m"}},
    ],
    ids=["policy", "alias", "no-wish", "nothing", "too-old"],
)
async def test_what_is_not_the_same_is_asked(tmp_path: Path, columns: dict[str, Any]) -> None:
    """Another policy or model, no wish, or an answer that is too old."""
    async with keeping(tmp_path) as w:
        await run(w, policy=Policy().to_json())
        w.clock.ahead = HOUR + 1
        again = await run(w, **{"policy": Policy().to_json(), **columns})
        assert again.reused == 0
        assert len(asked(w)) == 6


async def test_an_alias_that_leads_elsewhere_for_others_changes_nothing(tmp_path: Path) -> None:
    """The model that is asked is what counts."""
    async with keeping(tmp_path) as w:
        await run(w, policy=Policy().to_json())
        policy = Policy(aliases={"other": MODELS[1]}).to_json()
        assert (await run(w, policy=policy)).reused == 3


async def test_answers_are_too_old_by_the_clock(tmp_path: Path) -> None:
    """To the window, and no further."""
    async with keeping(tmp_path) as w:
        await run(w)
        w.clock.ahead = 7 * DAY - HOUR
        assert (await run(w)).reused == 3
        w.clock.ahead = 7 * DAY + HOUR  # what was given again is no newer for that
        assert (await run(w)).reused == 0


async def test_the_setting_covers_what_is_steady(tmp_path: Path) -> None:
    """Temperature 0 alone; any line by explicit wish."""
    lines = chat("a", "say a", temperature=0) + chat("b", "say b", temperature=0.5) + chat("c", "c")
    async with keeping(tmp_path, reuse=7 * DAY) as w:
        await run(w, lines, metadata=None)
        assert (await run(w, lines, metadata=None)).reused == 1
        assert (await run(w, lines)).reused == 3


async def test_failed_and_cut_answers_are_not_given_again(tmp_path: Path) -> None:
    """An error, an answer cut at its limit, one that was blocked."""

    def cut(reason: str) -> dict[str, Any]:
        candidate = {"content": {"parts": [{"text": "half"}]}, "finishReason": reason}
        return {"response": {"candidates": [candidate]}}

    spoilt: dict[str, dict[str, Any] | None] = {
        "1": {"error": {"code": 3, "message": "bad"}},
        "2": cut("MAX_TOKENS"),
        "3": cut("SAFETY"),
    }
    lines = LINES + chat("d", "say d")
    async with keeping(tmp_path) as w:
        w.upstream.spoilt = [spoilt]
        await run(w, lines)
        again = await run(w, lines)
        assert again.reused == 1
        assert asked(w)[4:] == [f"say {i}" for i in IDS]


async def test_deleted_outputs_are_not_given_again(tmp_path: Path) -> None:
    """Nor expired ones, nor those whose raw results are gone."""
    async with keeping(tmp_path) as w:
        first = await run(w)
        assert first.output_file_id is not None
        await w.store.delete_file(OWNER, first.output_file_id, w.clock.now())
        second = await run(w)
        assert second.reused == 0
        w.clock.ahead = DAY
        await w.store.expire_raw(w.clock.now() + 40 * DAY, 10)
        assert (await run(w)).reused == 0


@pytest.mark.usefixtures("both_places")
async def test_answers_that_the_disk_has_lost_are_asked_anew(tmp_path: Path) -> None:
    """The input is read again without them."""
    async with keeping(tmp_path) as w:
        first = await run(w)
        [job] = (await w.work(first)).jobs
        assert job.raw is not None
        place_of(tmp_path, job.raw).unlink()
        again = await run(w)
        assert again.reused == 0
        assert await texts(w, again) == {i: f"re say {i}" for i in IDS}


@pytest.mark.usefixtures("both_places")
async def test_digests_that_the_disk_has_lost_are_no_loss(tmp_path: Path) -> None:
    """Their job is left out."""
    async with keeping(tmp_path) as w:
        first = await run(w)
        [job] = (await w.work(first)).jobs
        assert job.digests is not None
        place_of(tmp_path, job.digests).unlink()
        assert (await run(w)).reused == 0


@pytest.mark.usefixtures("both_places")
async def test_copies_that_the_disk_loses_are_asked_like_any_other(tmp_path: Path) -> None:
    """Between planning and rendering: a follow-up asks, and each line ends once."""
    async with keeping(tmp_path) as w:
        await run(w)
        reached, go = asyncio.Event(), asyncio.Event()
        claim = w.store.claim_jobs

        async def late(job_ids: Sequence[str], lease: int) -> Sequence[Job]:
            reached.set()
            await go.wait()
            return await claim(job_ids, lease)

        w.store.claim_jobs = late  # type: ignore[method-assign]
        batch = await w.submit(LINES, metadata=WISH)
        await asyncio.wait_for(reached.wait(), 60)
        [job] = (await w.work(batch)).jobs
        assert (job.state, job.cause) == (JobState.SECURED, Cause.REUSED)
        assert job.raw is not None
        place_of(tmp_path, job.raw).unlink()
        go.set()
        done = await w.ended(batch)

        assert (done.status, done.reused) == (BatchStatus.COMPLETED, 0)
        assert await texts(w, done) == {i: f"re say {i}" for i in IDS}
        assert [job.cause for job in (await w.work(batch)).jobs] == [Cause.REUSED, Cause.RETRY]
        assert done.attempts == 1
        assert (done.counts.completed, done.counts.failed) == (3, 0)


async def test_equal_lines_get_answers_in_turn(tmp_path: Path) -> None:
    """Whoever asked the same twice got two answers, and gets both again."""
    twice = chat("a", "say x") + chat("b", "say x")
    async with keeping(tmp_path) as w:
        w.upstream.spoilt = [{"2": {"response": _says("another")}}]
        first = await run(w, twice)
        again = await run(w, twice + chat("c", "say x"))
        assert await texts(w, first) == {"a": "re say x", "b": "another"}
        assert await texts(w, again) == {"a": "re say x", "b": "another", "c": "re say x"}
        assert again.reused == 3


async def test_lines_of_several_requests_are_given_whole(tmp_path: Path) -> None:
    """A line that lacks one answer is asked for all."""
    line = chat("a", "say x", n=2, seed=1) + chat("b", "say y")
    async with keeping(tmp_path) as w:
        first = await run(w, line)
        items = len(asked(w))
        again = await run(w, line)
        assert again.reused == 2
        assert len(asked(w)) == items
        mine, theirs = await w.lines(first.output_file_id), await w.lines(again.output_file_id)
        for before, after in zip(mine, theirs, strict=True):
            assert before["response"]["body"]["choices"] == after["response"]["body"]["choices"]


async def test_answers_of_follow_ups_are_found_too(tmp_path: Path) -> None:
    """Each job has its own digests."""
    async with keeping(tmp_path) as w:
        w.upstream.spoilt = [{"2": {"error": {"code": 14, "message": "later"}}}]
        first = await run(w)
        assert len((await w.work(first)).jobs) == 2
        assert (await run(w)).reused == 3


async def test_answers_of_a_batch_that_runs_are_given(tmp_path: Path) -> None:
    """What was collected is an answer, whatever becomes of its batch."""
    async with keeping(tmp_path) as w:
        w.upstream.state = "RUNNING"
        batch = await w.submit(LINES + chat("z", "say z", model=MODELS[1]), metadata=WISH)
        await w.until(lambda work: [job.state for job in work.jobs] == ["running"] * 2, batch)
        [first] = [job for job in w.upstream.jobs if job.spool.count(b"\n") == len(IDS)]
        first.state = w.upstream.state = "SUCCEEDED"
        await w.until(lambda work: work.jobs[0].run is not None, batch)

        assert (await run(w)).reused == 3
        assert (await w.get(batch)).status is BatchStatus.IN_PROGRESS


@pytest.mark.usefixtures("both_places")
async def test_digests_go_with_the_raw_results(tmp_path: Path) -> None:
    """None is left that no row points at, and nothing points at one that is gone."""
    async with keeping(tmp_path) as w:
        first = await run(w)
        [job] = (await w.work(first)).jobs
        assert job.digests is not None
        await w.store.expire_raw(first.raw_until or 0, 10)
        assert (await w.work(first)).jobs[0].digests is None
        w.clock.ahead = 31 * DAY
        await sweep(w.context)
        assert await w.store.known_blobs([job.digests]) == set()


async def test_without_raw_results_nothing_is_found(tmp_path: Path) -> None:
    """A gateway that keeps none gives none."""
    async with keeping(tmp_path, retention=Retention(raw=0)) as w:
        await run(w)
        assert (await run(w)).reused == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7d", 604_800), ("12h", 43_200), ("30m", 1800), ("90s", 90), ("90", 90), ("0", 0)],
)
def test_times_are_read(text: str, seconds: int) -> None:
    """With a unit, or in seconds."""
    assert parse_reuse(text) == seconds * 1000


@pytest.mark.parametrize("text", ["", "d", "7 d", "-1d", "7w", "1.5h", "7D", "1234567890", "٣d"])
def test_other_times_are_refused(text: str) -> None:
    """With what is accepted."""
    with pytest.raises(ValueError, match="7d"):
        parse_reuse(text)


def _says(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
