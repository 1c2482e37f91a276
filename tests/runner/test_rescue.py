"""Lines that are left near the deadline: asked one by one, once each, within the budget."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import Cause, Job, JobState
from gateway.batches.rescue import BILLION, FIRST_CALLS, RescueRules
from gateway.clock import Clock
from gateway.emulator.testing import Emulator, EmulatorOptions, running
from gateway.errors import UnavailableError
from gateway.ports.single import Reply, SingleCall
from gateway.ports.store import RescueBegin, RescueCall, Work
from gateway.runner import rescue_step
from gateway.upstream.gemini import GeminiUpstream
from gateway.upstream.options import GeminiOptions
from tests.runner.test_leases import another
from tests.runner.world import HOUR, World, chat, naming, world

pytestmark = pytest.mark.slow

IDS: Final = ("a", "b", "c")
PRICED: Final = "gemini-2.5-flash"  # budgets are by its price
LINES: Final = b"".join(chat(i, f"say {i}", max_tokens=50) for i in IDS)
ALWAYS: Final = 25 * HOUR  # before the deadline: from the beginning


@pytest.fixture(scope="module")
def gemini() -> Iterator[Emulator]:
    """An emulator that knows what was paid."""
    with running(EmulatorOptions(job_seconds=0.05, ledger=True, max_live_jobs=1000)) as emulator:
        yield emulator


class Held(GeminiUpstream):
    """Whose answers to single calls wait until they are let through."""

    def __init__(self, options: GeminiOptions, clock: Clock) -> None:
        super().__init__(options, clock)
        self.through = asyncio.Event()
        self.asked = 0
        self.one_more = asyncio.Event()

    async def ask(self, call: SingleCall) -> Reply:
        """Send the call, which is paid for from then on."""
        reply = await super().ask(call)
        self.asked += 1
        self.one_more.set()
        await self.through.wait()
        return reply


@asynccontextmanager
async def rescuing(
    gemini: Emulator,
    tmp_path: Path,
    tier: str = "flex",
    kind: type[GeminiUpstream] = GeminiUpstream,
    **changes: Any,
) -> AsyncIterator[World]:
    """A runner that rescues from the beginning; the only job of a batch is stuck."""
    rules = RescueRules(tier=tier, before=ALWAYS)
    rules = replace(rules, **changes.pop("rules", {}))
    gemini.clear_faults()
    chosen = GeminiOptions(
        credentials={"default": f"key-{tmp_path.name}"},  # a project of its own
        base_url=gemini.base_url,
        call_attempts=1,
        retry_min_seconds=0.01,
        retry_max_seconds=0.05,
    )

    def real(clock: Clock) -> GeminiUpstream:
        return kind(chosen, clock)

    async with world(tmp_path, real, rescue=rules, **changes) as w:
        yield w


def paid(gemini: Emulator, since: int) -> Counter[tuple[str, str]]:
    """How often each line was paid in each tier."""
    return Counter((charge["prompt"], charge["tier"]) for charge in gemini.ledger()[since:])


def said(row: dict[str, Any]) -> str:
    """The text of an answer, or the code of an error."""
    body = (row.get("response") or {}).get("body") or row
    if body.get("error"):
        return str(body["error"]["code"])
    return str(body["choices"][0]["message"]["content"])


async def answers(w: World, batch: Batch) -> dict[str, str]:
    """What each line came to, by custom_id; each is there once."""
    rows = [*await w.lines(batch.output_file_id), *await w.lines(batch.error_file_id)]
    told = {row["custom_id"]: said(row) for row in rows}
    assert len(rows) == len(told)
    return told


ALL: Final = {i: f"Echo: say {i}" for i in IDS}


@pytest.mark.parametrize("tier", ["flex", "standard"])
async def test_what_a_stuck_job_leaves_is_asked_one_by_one(
    gemini: Emulator, tmp_path: Path, tier: str
) -> None:
    """Once each, after the job has ended, and the cost is that of the tier."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path, tier) as w:
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(LINES)
        done = await w.ended(batch)
        work = await w.work(batch)

        assert done.status is BatchStatus.COMPLETED
        assert await answers(w, done) == ALL
    assert [job.cause for job in work.jobs] == [Cause.FIRST, Cause.RESCUE]
    lines = paid(gemini, since)
    assert {served for _, served in lines} == {tier}
    assert sorted(lines.values()) == [1, 1, 1]
    spent = round(sum(charge["usd"] for charge in gemini.ledger()[since:]) * BILLION)
    assert (done.rescue_calls, done.rescue_lost, done.paid_twice_at_most) == (3, 0, 3)
    assert done.rescue_cost == pytest.approx(spent, abs=3)
    assert done.cost == pytest.approx(spent, abs=3)
    assert (done.counts.completed, done.counts.failed) == (3, 0)


async def test_a_job_that_ignores_its_end_is_not_waited_for(
    gemini: Emulator, tmp_path: Path
) -> None:
    """Ten minutes; what may be paid twice is counted, and each line is published once."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-slow", times=1, seconds=3600)
        gemini.fault("cancel-ignored", times=1)
        batch = await w.submit(LINES)
        await w.until(lambda work: work.jobs and work.jobs[0].stuck_at, batch)
        assert len(gemini.ledger()) == since
        w.clock.ahead = 601_000
        w.runner.wake()
        done = await w.ended(batch)

        assert done.status is BatchStatus.COMPLETED
        assert await answers(w, done) == ALL
        flex = sum(charge["usd"] for charge in gemini.ledger()[since:]) * BILLION
        assert done.paid_twice_at_most == 3
        assert done.rescue_cost == pytest.approx(2 * flex, abs=6)  # as much again may be paid
        gemini.advance(3600)
        w.clock.ahead += HOUR
        w.runner.wake()
        await w.until(lambda work: work.jobs[0].raw, batch)
        assert await answers(w, await w.get(batch)) == ALL
    assert sorted(paid(gemini, since).values()) == [1] * 6


async def test_the_budget_is_kept_to(gemini: Emulator, tmp_path: Path) -> None:
    """The rest waits, says why, and ends with the window."""
    since = len(gemini.ledger())
    one = (
        200_000  # at most for a line of 50 tokens of answer: some 62,500 billionths and its prompt
    )
    async with rescuing(gemini, tmp_path, rules={"budget": one}) as w:
        gemini.fault("job-stuck", times=1)
        lines = b"".join(chat(str(i), f"say {i}", max_tokens=50, model=PRICED) for i in range(9))
        batch = await w.submit(lines)
        work = await w.until(lambda work: work.batch.last_error == rescue_step.BUDGET_SPENT, batch)
        assert work.batch.rescue_cost is not None
        assert 0 < work.batch.rescue_cost <= one
        asked = work.batch.rescue_calls
        assert 0 < asked < 9
        w.clock.ahead = 24 * HOUR
        w.runner.wake()
        done = await w.ended(batch)

        assert done.status is BatchStatus.EXPIRED
        told = Counter(await answers(w, done))
        assert len(told) == 9
        assert (done.counts.completed, done.rescue_calls) == (asked, asked)
        errors = await w.lines(done.error_file_id)
        assert {row["error"]["code"] for row in errors} == {"batch_expired"}
        assert rescue_step.BUDGET_SPENT in errors[0]["error"]["message"]
    assert len(gemini.ledger()) - since == asked


@pytest.mark.parametrize(
    "fault", [("flex-full", {"status": 503}), ("flex-full", {"status": 429}), ("drop", {})]
)
async def test_no_room_is_waited_for(
    gemini: Emulator, tmp_path: Path, fault: tuple[str, dict[str, Any]]
) -> None:
    """Google has said that it served nothing; the call is sent again, and paid once."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-stuck", times=1)
        if fault[0] == "flex-full":
            gemini.fault(fault[0], times=2, **fault[1])
        else:
            gemini.fault("error", on="generate", times=2, status=500)
        done = await w.ended(await w.submit(LINES))

        assert await answers(w, done) == ALL
        assert (done.rescue_calls, done.rescue_lost) == (3, 0)
    assert sorted(paid(gemini, since).values()) == [1, 1, 1]


async def test_a_job_whose_end_was_told_without_an_answer_is_rescued(
    gemini: Emulator, tmp_path: Path
) -> None:
    """Seen when killed right after the cancel: as if others had cancelled it, all lines failed."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-stuck", times=1)
        gemini.fault("drop-after", on="cancel", times=1)
        done = await w.ended(await w.submit(LINES))

        assert await answers(w, done) == ALL
    assert sorted(paid(gemini, since).values()) == [1, 1, 1]


@pytest.mark.parametrize("fault", ["drop-after", "garbage-after", "cut-after"])
async def test_a_lost_answer_is_not_asked_for_again(
    gemini: Emulator, tmp_path: Path, fault: str
) -> None:
    """It may be paid for: the line says so, and the call counts."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-stuck", times=1)
        gemini.fault(fault, on="generate", times=1, bytes=20)
        done = await w.ended(await w.submit(LINES))

        told = await answers(w, done)
        assert done.status is BatchStatus.COMPLETED
        [error] = await w.lines(done.error_file_id)
        assert error["response"]["status_code"] == 500
        assert error["response"]["body"]["error"]["message"] == rescue_step.ANSWER_LOST
        assert {i: text for i, text in told.items() if i != error["custom_id"]} == {
            i: text for i, text in ALL.items() if i != error["custom_id"]
        }
        assert (done.rescue_calls, done.rescue_lost) == (2, 1)
    assert sorted(paid(gemini, since).values()) == [1, 1, 1]


async def test_a_model_without_the_tier_waits_for_the_window(
    gemini: Emulator, tmp_path: Path
) -> None:
    """That is learned from Google's 400; nothing is asked in a dearer tier instead."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-stuck", times=1)
        gemini.fault("flex-refused", times=100)
        batch = await w.submit(LINES)
        work = await w.until(lambda work: work.batch.last_error == rescue_step.NO_TIER, batch)
        assert (work.batch.rescue_calls, work.batch.rescue_cost) == (0, 0)
        await w.store.request_cancel("owner", batch.id, w.clock.now())
        w.runner.wake()
        done = await w.ended(batch)
        assert done.status is BatchStatus.CANCELLED
        assert set((await answers(w, done)).values()) == {"batch_cancelled"}
    assert len(gemini.ledger()) == since


async def test_off_nothing_is_asked(gemini: Emulator, tmp_path: Path) -> None:
    """The default: a stuck job is waited for, and its batch expires."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path, "off") as w:
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(LINES)
        await w.until(lambda work: work.jobs and work.jobs[0].looked_at, batch)
        w.clock.ahead = 24 * HOUR
        w.runner.wake()
        assert (await w.ended(batch)).status is BatchStatus.EXPIRED
    assert len(gemini.ledger()) == since


async def test_embeddings_are_left_to_their_job(gemini: Emulator, tmp_path: Path) -> None:
    """The flex tier has none."""
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/embeddings",
        "body": {"model": "gemini-embedding-001", "input": "x"},
    }
    cancels = len(gemini.journal("cancel"))
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-slow", times=1, seconds=2)
        batch = await w.submit(orjson.dumps(line), endpoint="/v1/embeddings")
        done = await w.ended(batch)
        assert done.counts.completed == 1
        assert [job.cause for job in (await w.work(batch)).jobs] == [Cause.FIRST]
    assert len(gemini.journal("cancel")) == cancels


async def test_a_call_that_was_sent_is_never_sent_again(gemini: Emulator, tmp_path: Path) -> None:
    """Whoever has the job by then: its row decides, and a lost one stays lost."""
    async with rescuing(gemini, tmp_path) as w:
        gemini.fault("job-stuck", times=1)
        gemini.fault("hang", on="generate", times=3)
        batch = await w.submit(LINES)
        work = await w.until(_rescues, batch)
        job = work.jobs[1]
        await w.until(lambda work: work.batch.rescue_cost, batch)
        store, call = w.store, RescueCall("1", 5, w.clock.now())
        current = (await w.work(batch)).jobs[1]
        assert await store.begin_rescue_call(current, call, BILLION) is RescueBegin.TAKEN
        stale = replace(job, fence=current.fence - 1)
        other = replace(call, key="77")
        assert await store.begin_rescue_call(stale, other, BILLION) is RescueBegin.TAKEN


def _rescues(work: Work) -> Job | None:
    return next((job for job in work.jobs if job.state is JobState.RESCUING), None)


async def test_what_was_never_sent_is_asked_one_by_one(gemini: Emulator, tmp_path: Path) -> None:
    """Its lines ended as expired, though calls could be had at the price of the batch."""
    near = {"before": 2 * HOUR}
    async with rescuing(gemini, tmp_path, rules=near) as w:
        gemini.fault("quota")
        since, created = len(gemini.ledger()), len(gemini.journal("create"))
        batch = await w.submit(LINES)
        await w.until(lambda work: work.jobs and any(job.refused for job in work.jobs), batch)
        w.clock.ahead = 22 * HOUR + 60_000
        w.runner.wake()
        done = await w.ended(batch)

        assert done.status is BatchStatus.COMPLETED
        assert done.counts.completed == 3
        assert sorted(paid(gemini, since).values()) == [1, 1, 1]
        assert {tier for _, tier in paid(gemini, since)} == {"flex"}
        assert len(gemini.journal("create")) == created
        causes = {job.cause for job in (await w.work(batch)).jobs if job.run is not None}
        assert causes == {Cause.RESCUE}


PDF: Final = b"%PDF-1.7 some pages"


async def test_lines_that_name_files_are_asked_with_their_copies(
    gemini: Emulator, tmp_path: Path
) -> None:
    """They were left out, and ended with the window; the copy of the job that was stuck serves."""
    since, uploads = len(gemini.ledger()), len(gemini.journal("upload"))
    async with rescuing(gemini, tmp_path) as w:
        pdf = await w.upload(PDF, "report.pdf")
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(naming("a", pdf.id) + naming("b", pdf.id) + chat("c", "say c"))
        done = await w.ended(batch)
        work = await w.work(batch)

        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 3)
        assert [job.cause for job in work.jobs] == [Cause.FIRST, Cause.RESCUE]
        assert (done.rescue_calls, done.rescue_lost) == (3, 0)
        assert done.rescue_cost is not None
        assert 0 < done.rescue_cost < BILLION // 100  # not what was reserved for a file
    assert sorted(paid(gemini, since).values()) == [1, 1, 1]
    assert {tier for _, tier in paid(gemini, since)} == {"flex"}
    assert len(gemini.journal("upload")) == uploads + 1


async def test_a_job_that_waits_for_room_has_its_files_copied_then(
    gemini: Emulator, tmp_path: Path
) -> None:
    """It was never sent: nothing of it is at Google but what its lines name."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path, rules={"before": 2 * HOUR}) as w:
        pdf = await w.upload(PDF, "report.pdf")
        gemini.fault("quota")
        batch = await w.submit(naming("a", pdf.id))
        await w.until(lambda work: work.jobs and any(job.refused for job in work.jobs), batch)
        w.clock.ahead = 22 * HOUR + 60_000
        w.runner.wake()
        done = await w.ended(batch)
        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 1)
    assert list(paid(gemini, since).values()) == [1]


async def test_what_no_price_is_known_of_is_not_asked(gemini: Emulator, tmp_path: Path) -> None:
    """Sound costs more than text, by no table: the budget could not be kept to."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        sound = await w.upload(b"ID3 some sound", "talk.mp3")
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(naming("a", sound.id) + chat("b", "say b"))
        await w.until(lambda work: work.batch.last_error == rescue_step.NO_PRICE, batch)
        w.clock.ahead = 24 * HOUR
        w.runner.wake()
        done = await w.ended(batch)
        assert (done.status, done.counts.completed) == (BatchStatus.EXPIRED, 1)
    assert list(paid(gemini, since).values()) == [1]


async def test_a_reserved_budget_is_waited_for(gemini: Emulator, tmp_path: Path) -> None:
    """A file may fill the model's window, and takes a hundredth: lines waited for an hour."""
    window = 200_000_000  # billionths: one call's at most, 0.16 + 0.08 dollars a call
    async with rescuing(gemini, tmp_path, rules={"budget": 2 * window}) as w:
        pdf = await w.upload(PDF, "report.pdf")
        gemini.fault("job-stuck", times=1)
        done = await w.ended(
            await w.submit(b"".join(naming(i, pdf.id, model=PRICED) for i in "abcdef"))
        )
        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 6)


async def asked(w: World, number: int) -> Held:
    """Wait until so many calls wait for their answers."""
    single = w.context.single
    assert isinstance(single, Held)
    async with asyncio.timeout(150):
        while single.asked < number:
            single.one_more.clear()
            await single.one_more.wait()
    return single


async def test_a_cancel_ends_those_that_wait_for_the_budget(
    gemini: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were sent, and paid for, when the call before them had its answer."""
    monkeypatch.setattr(rescue_step, "LOOK_SECONDS", 0.01)
    since, beyond = len(gemini.ledger()), asyncio.Event()
    one = {"budget": 300_000_000}  # see above
    async with rescuing(gemini, tmp_path, kind=Held, rules=one) as w:
        begin = w.store.begin_rescue_call

        async def told(job: Job, call: RescueCall, budget: int) -> RescueBegin:
            begun = await begin(job, call, budget)
            if begun is RescueBegin.BEYOND_BUDGET:
                beyond.set()
            return begun

        monkeypatch.setattr(w.store, "begin_rescue_call", told)
        pdf = await w.upload(PDF, "report.pdf")
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(b"".join(naming(i, pdf.id, model=PRICED) for i in "abc"))
        single = await asked(w, 1)
        async with asyncio.timeout(150):
            await beyond.wait()
        await w.store.request_cancel("owner", batch.id, w.clock.now())
        single.through.set()
        done = await w.ended(batch)
        assert (done.status, done.counts.completed) == (BatchStatus.CANCELLED, 1)
        assert done.rescue_calls == 1
    assert list(paid(gemini, since).values()) == [1]


async def test_a_cancel_ends_a_call_that_is_tried_again(
    gemini: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an error of the server, which costs nothing, it was sent whatever had come between."""
    monkeypatch.setattr(rescue_step, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(rescue_step, "FIRST_PAUSE", 0.01)
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path) as w:
        withdraw = w.store.withdraw_rescue_call

        async def cancelled(job: Job, key: str) -> None:
            await withdraw(job, key)
            await w.store.request_cancel("owner", job.batch_id, w.clock.now())

        monkeypatch.setattr(w.store, "withdraw_rescue_call", cancelled)
        gemini.fault("job-stuck", times=1)
        gemini.fault("error", on="generate", status=500, times=1)
        done = await w.ended(await w.submit(chat("a", "say a", max_tokens=50)))
        assert (done.status, done.counts.completed) == (BatchStatus.CANCELLED, 0)
    assert len(gemini.ledger()) == since


async def test_records_that_cannot_be_read_cut_off_no_call(
    gemini: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To look for a cancel failed, and with it what was under way, which is paid for."""
    monkeypatch.setattr(rescue_step, "LOOK_SECONDS", 0.01)
    since, failed = len(gemini.ledger()), asyncio.Event()
    async with rescuing(gemini, tmp_path, kind=Held) as w:
        load = w.store.load_batch

        async def unread(batch_id: str) -> Batch | None:
            single = w.context.single
            assert isinstance(single, Held)
            if single.asked == FIRST_CALLS and not failed.is_set():
                failed.set()
                raise UnavailableError("The gateway cannot read its records now.")
            return await load(batch_id)

        monkeypatch.setattr(w.store, "load_batch", unread)
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(b"".join(chat(str(i), f"say {i}", max_tokens=50) for i in range(6)))
        single = await asked(w, FIRST_CALLS)
        async with asyncio.timeout(150):
            await failed.wait()
        single.through.set()
        done = await w.ended(batch)
        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 6)
        assert done.rescue_lost == 0
    assert sorted(paid(gemini, since).values()) == [1] * 6


async def test_a_stop_hears_the_calls_that_are_under_way(gemini: Emulator, tmp_path: Path) -> None:
    """They are paid for; none is sent any more, and the next process asks for the rest."""
    since, ids = len(gemini.ledger()), [str(number) for number in range(FIRST_CALLS + 2)]
    async with rescuing(gemini, tmp_path, kind=Held) as w:
        gemini.fault("job-stuck", times=1)
        batch = await w.submit(b"".join(chat(i, f"say {i}", max_tokens=50) for i in ids))
        single = await asked(w, FIRST_CALLS)
        w.runner.stop()
        single.through.set()
        await w.until(lambda work: all(job.lease_until is None for job in work.jobs), batch)
        assert single.asked == FIRST_CALLS
        async with another(w):
            done = await w.ended(batch)
        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, len(ids))
        assert done.rescue_lost == 0
    assert list(paid(gemini, since).values()) == [1] * len(ids)


async def test_a_file_that_google_cannot_use_costs_its_lines_alone(
    gemini: Emulator, tmp_path: Path
) -> None:
    """Of the others each is asked; nothing is asked with a file that is not there."""
    since = len(gemini.ledger())
    async with rescuing(gemini, tmp_path, rules={"before": 2 * HOUR}) as w:
        pdf = await w.upload(PDF, "report.pdf")
        gemini.fault("quota")
        gemini.fault("file-fails", times=1)
        batch = await w.submit(naming("a", pdf.id) + chat("b", "say b"))
        await w.until(lambda work: work.jobs and any(job.refused for job in work.jobs), batch)
        w.clock.ahead = 22 * HOUR + 60_000
        w.runner.wake()
        done = await w.ended(batch)
        assert (done.counts.completed, done.counts.failed) == (1, 1)
        assert await answers(w, done) == {"a": "file_failed", "b": "Echo: say b"}
    assert list(paid(gemini, since).values()) == [1]
