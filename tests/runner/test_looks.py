"""Looks for work: one serves many batches, and nothing that is known to wait waits for it."""

import asyncio
import errno
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import Job, JobState
from gateway.errors import UnavailableError, UpstreamAmbiguousError, UpstreamUnavailableError
from gateway.ports.store import Intent, Seal, Work
from gateway.runner import runner
from tests.conformance.records import OTHER
from tests.runner.world import HOUR, OWNER, World, chat, world

SOME = 9  # more than are validated, or sent, at a time
NEVER = 3600.0


def counted(here: World, looked: asyncio.Event | None = None) -> list[int]:
    """The moments at which work was looked for; ``looked`` is set by each."""
    looks: list[int] = []
    original = here.store.due_kinds

    async def due_kinds(now: int) -> frozenset[str]:
        looks.append(now)
        if looked is not None:
            looked.set()
        return await original(now)

    here.store.due_kinds = due_kinds  # type: ignore[method-assign]
    return looks


def held(here: World) -> asyncio.Event:
    """Keep the first look from being made before this is set."""
    gate = asyncio.Event()
    original = here.store.pull_in

    async def pull_in(now: int, latest: int) -> None:
        await gate.wait()
        await original(now, latest)

    here.store.pull_in = pull_in  # type: ignore[method-assign]
    return gate


async def test_one_look_serves_many_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are validated after one look, though one is at a time; all are sent after the next."""
    monkeypatch.setattr(runner, "TICK_SECONDS", NEVER)
    async with world(tmp_path, look_seconds=NEVER) as here:
        gate, looks = held(here), counted(here)
        batches = [await here.submit(chat("a")) for _ in range(SOME)]
        gate.set()
        for batch in batches:
            await here.until(lambda work: work.batch.status is BatchStatus.IN_PROGRESS, batch)

        assert len(looks) == 1
        assert here.upstream.jobs == []

        here.runner.stop()
        again = runner.Runner(here.context)
        async with asyncio.TaskGroup() as group:
            group.create_task(again.run())
            for batch in batches:
                await here.until(lambda work: work.jobs[0].upstream_name, batch)
            again.stop()

        assert len(looks) > 2  # those that waited for a slot were looked for when one was free


async def test_looks_are_apart(tmp_path: Path) -> None:
    """However often jobs are due, and steps end."""
    async with world(tmp_path, look_seconds=0.1) as here:
        here.upstream.state = "RUNNING"
        looks, begun = counted(here), here.clock.monotonic()
        batch = await here.submit(chat("a"))
        await here.until(lambda _: here.upstream.calls.count("observe") >= 5, batch)

        assert len(looks) <= 2 + (here.clock.monotonic() - begun) / 0.1
        here.upstream.state = "SUCCEEDED"
        here.upstream.jobs[0].state = "SUCCEEDED"
        await here.ended(batch)


async def test_a_cancel_that_meets_the_claim_takes_the_intent_back(tmp_path: Path) -> None:
    """The intent was saved with the claim, of a batch that was cancelled since it was looked at."""
    async with world(tmp_path) as here:
        claim = here.store.claim_to_send
        given: list[Mapping[str, Intent]] = []

        async def late(
            placed: Mapping[str, str], turn: str, lease: int, intents: Mapping[str, Intent]
        ) -> Sequence[Work] | None:
            given.append(intents)
            await here.store.request_cancel(OWNER, batch.id, here.clock.now())
            return await claim(placed, turn, lease, intents)

        here.store.claim_to_send = late  # type: ignore[method-assign, assignment]
        batch = await here.submit(chat("a"))
        ended = await here.ended(batch)

        assert ended.status is BatchStatus.CANCELLED
        assert len(given[0]) == 1
        assert here.upstream.jobs == []


@pytest.mark.parametrize("method", ["claim_jobs", "claim_batch", "due_kinds"])
async def test_records_that_fail_are_left_alone_for_ever_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """However often looks are asked for meanwhile; each failing write costs a disk that is full."""
    monkeypatch.setattr(runner, "TICK_SECONDS", 0.05)
    pace = HOUR if method == "claim_batch" else 100  # polls would show that records are written
    async with world(tmp_path, polls=(pace, pace)) as here:
        here.upstream.state = "RUNNING"
        batch = await here.submit(chat("a"))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        tried, original = list[float](), getattr(here.store, method)

        async def failing(*given: object) -> object:
            if len(tried) < 6:
                tried.append(here.clock.monotonic())
                raise UnavailableError("the disk is full")
            return await original(*given)

        setattr(here.store, method, failing)
        if method == "claim_batch":
            await here.submit(chat("b"))
        async with asyncio.timeout(60):
            while len(tried) < 6 or here.runner.trouble is not None:
                here.runner.wake()
                await asyncio.sleep(0.001)
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    lasted = [earlier - tried[0] for earlier in tried]
    assert all(pause > 0.9 * max(time, 0.05) for pause, time in zip(pauses, lasted, strict=False))


async def test_a_stop_that_meets_the_claim_takes_the_intent_back(tmp_path: Path) -> None:
    """What is next to start finds a job that waits, not one that may have been sent."""
    async with world(tmp_path) as here:
        claim = here.store.claim_to_send
        states: list[JobState] = []

        async def stopping(
            placed: Mapping[str, str], turn: str, lease: int, intents: Mapping[str, Intent]
        ) -> Sequence[Work] | None:
            claimed = await claim(placed, turn, lease, intents)
            states.extend(work.jobs[0].state for work in claimed or ())
            here.runner.stop()
            return claimed

        here.store.claim_to_send = stopping  # type: ignore[method-assign, assignment]
        batch = await here.submit(chat("a"))
        work = await here.until(lambda work: states and work.jobs[0].lease_until is None, batch)

        assert states == [JobState.SUBMITTING]
        assert work.jobs[0].state is JobState.PLANNED
        assert work.jobs[0].send_deadline is None
        assert here.upstream.jobs == []


@pytest.mark.parametrize("answered", [True, False])
async def test_a_stop_waits_for_the_answer_of_a_create(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """For some seconds: a job whose name is not known is looked for, for minutes, and not sent."""
    if not answered:
        monkeypatch.setattr(runner, "ANSWER_SECONDS", 0.01)
    async with world(tmp_path) as here:
        answer = here.upstream.hanging["create"] = asyncio.Event()
        batch = await here.submit(chat("a"))
        await here.until(lambda _: "create" in here.upstream.reached, batch)
        here.runner.stop()
        if answered:
            answer.set()
        [job] = (await here.until(lambda work: work.jobs[0].lease_until is None, batch)).jobs

        assert job.state is (JobState.RUNNING if answered else JobState.SUBMITTING)
        assert (job.upstream_name is not None) is answered
        assert (job.send_deadline is None) is answered


def after_claims(here: World, method: str, act: Callable[[], object]) -> asyncio.Event:
    """Do something once a job is claimed, before the loop goes on with it; set when it was done."""
    original, met = getattr(here.store, method), asyncio.Event()

    async def claiming(*given: object) -> Sequence[object] | None:
        claimed: Sequence[object] | None = await original(*given)
        if claimed and not met.is_set():
            met.set()
            act()
        return claimed

    setattr(here.store, method, claiming)
    return met


@pytest.mark.parametrize(
    ("method", "state"),
    [("claim_to_send", JobState.PLANNED), ("claim_jobs", JobState.RUNNING)],
)
async def test_a_stop_before_a_step_has_begun_ends_its_claim(
    tmp_path: Path, method: str, state: JobState
) -> None:
    """A task that is cancelled before it has begun does nothing: it would not end a claim."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        stop = here.runner.stop
        met = after_claims(here, method, lambda: asyncio.get_running_loop().call_soon(stop))
        batch = await here.submit(chat("a"))
        await asyncio.wait_for(met.wait(), 60)
        work = await here.until(lambda work: work.jobs[0].lease_until is None, batch)

        assert work.jobs[0].state is state
        assert len(here.upstream.jobs) == (state is JobState.RUNNING)
        assert here.upstream.calls.count("observe") == 0


async def test_claims_whose_batches_cannot_be_read_are_not_left_to_their_leases(
    tmp_path: Path,
) -> None:
    """A connection breaks between the two: each step reads its own batch, and ends its claim."""
    async with world(tmp_path, lease=HOUR) as here:
        load, failed = here.store.load_batches, list[str]()

        async def failing(batch_ids: Collection[str]) -> Mapping[str, Batch]:
            if not failed:
                failed.extend(batch_ids)
                raise UnavailableError("no connection")
            return await load(batch_ids)

        here.store.load_batches = failing  # type: ignore[method-assign]
        batch = await here.submit(chat("a"))

        assert (await here.ended(batch)).status is BatchStatus.COMPLETED
        assert failed == [batch.id]


async def meeting_the_seal(here: World, act: Callable[[], None]) -> Work:
    """Do something as the spool is looked up that is sent next; the work once that is over."""
    original, met = here.store.blob_seal, asyncio.Event()

    async def blob_seal(name: str) -> Seal | None:
        if not met.is_set():
            met.set()
            act()
            await asyncio.sleep(0)  # where a stop is met
        return await original(name)

    def arm() -> None:
        here.store.blob_seal = blob_seal  # type: ignore[method-assign]

    after_claims(here, "claim_to_send", arm)
    batch = await here.submit(chat("a"))
    await asyncio.wait_for(met.wait(), 60)
    return await here.until(lambda work: work.jobs[0].lease_until is None, batch)


async def test_a_stop_before_anything_is_sent_takes_the_intent_back(tmp_path: Path) -> None:
    """The process that is next to start need not find out whether it was sent."""
    async with world(tmp_path) as here:
        work = await meeting_the_seal(here, here.runner.stop)

        assert work.jobs[0].state is JobState.PLANNED
        assert here.upstream.jobs == []


async def test_a_stop_that_meets_the_save_of_an_intent_takes_it_back(tmp_path: Path) -> None:
    """A job that has failed before saves its intent in the step itself."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamUnavailableError("busy", status=503)]
        save, met = here.store.save_job, asyncio.Event()

        async def saving(job: Job, **others: Any) -> bool:
            saved = await save(job, **others)
            if job.state is JobState.SUBMITTING and not met.is_set():
                met.set()
                here.runner.stop()
                await asyncio.sleep(0)  # where the step meets the stop
            return saved

        here.store.save_job = saving  # type: ignore[method-assign]
        batch = await here.submit(chat("a"))
        await asyncio.wait_for(met.wait(), 60)
        work = await here.until(lambda work: work.jobs[0].lease_until is None, batch)

        assert work.jobs[0].state is JobState.PLANNED
        assert work.jobs[0].send_deadline is None
        assert here.upstream.jobs == []


async def test_a_disk_that_fails_before_anything_is_sent_takes_the_intent_back(
    tmp_path: Path,
) -> None:
    """It is sent after a failure's pause, not once listings have shown that nothing was made."""

    def fail() -> None:
        raise OSError(errno.EIO, "bad sector")

    async with world(tmp_path, settle=HOUR) as here:
        work = await meeting_the_seal(here, fail)
        ended = await here.ended(work.batch)

        assert ended.status is BatchStatus.COMPLETED
        assert len(here.upstream.jobs) == 1
        assert "find" not in here.upstream.calls


async def test_an_intent_tells_the_key_that_sends(tmp_path: Path) -> None:
    """Another key was set since the claim: its jobs alone show what became of the create."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        here.upstream.script["create"] = [UpstreamAmbiguousError("no answer")]
        after_claims(here, "claim_to_send", lambda: setattr(here.upstream, "key", "second"))
        batch = await here.submit(chat("a"))
        work = await here.until(lambda work: work.jobs and work.jobs[0].doubt, batch)

        assert work.jobs[0].made_by == "second"


@pytest.mark.slow
async def test_an_owner_who_comes_late_waits_for_one_slot_alone(tmp_path: Path) -> None:
    """What was seen of another's batches is no queue; a larger input does not wait for smaller."""
    async with world(tmp_path) as here:
        gate, looked = held(here), asyncio.Event()
        looks, order, goes_on = counted(here, looked), list[str](), asyncio.Event()
        claim = here.store.claim_batch

        async def claiming(batch_id: str, lease: int) -> Batch | None:
            """Claim; a validation takes longer than the time between two looks."""
            claimed = await claim(batch_id, lease)
            if claimed is not None and claimed.status is BatchStatus.VALIDATING:
                order.append(claimed.owner)
                await goes_on.wait()
                enough = len(looks) + 2
                while len(looks) < enough:
                    looked.clear()
                    here.runner.wake()
                    await looked.wait()
            return claimed

        here.store.claim_batch = claiming  # type: ignore[method-assign]
        batches = [await here.submit(chat("a")) for _ in range(SOME)]
        gate.set()
        await here.until(lambda _: order, batches[0])
        await here.submit(chat("b", "larger"), owner=OTHER)
        goes_on.set()
        for batch in batches:
            await here.ended(batch)

        assert order[1] == OTHER
