"""A line that processes die of costs itself alone; what kills processes from outside costs none."""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import psutil
import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import JobState
from gateway.errors import WorkerError
from gateway.runner import suspects
from gateway.runner.context import StepContext
from gateway.runner.cpu.trail import Trail, TrailWriter, is_reading, line_at, reading, working_on
from gateway.runner.spares import Spares
from gateway.runner.suspects import MAX_DEATHS, explained_deaths, forget_trails, run_on_lines
from tests.runner.world import World, chat, worker_processes, world

LINES = range(1, 21)


class Death(BaseException):
    """The gateway ends together with its worker."""


class Worker:
    """Works through twenty lines, and dies of some; ``last`` are those it got through."""

    def __init__(self, tmp_path: Path, *deadly: int, group: bool = False) -> None:
        scratch = tmp_path / "scratch"
        both = SimpleNamespace(scratch=scratch, spares=Spares(scratch))
        self.context = cast("StepContext", both)
        self.deadly = set(deadly)
        self.killed_at: list[int] = []  # from outside, once each
        self.group = group
        self.ran: list[list[int]] = []

    def _at(self, line: int) -> None:
        outside = line in self.killed_at
        if outside:
            self.killed_at.remove(line)
        if line in self.deadly or outside:
            raise Death if self.group else WorkerError("died")

    async def _work(self, trail: Trail) -> dict[str, Any]:
        self.ran.append([])
        with ExitStack() as files:
            writer = TrailWriter(Trail(trail.path, 0, trail.culprits, trail.only), files)
            for line in LINES:
                place = working_on(line)
                if place in writer.culprits or writer.only not in {0, place}:
                    continue
                writer.at(place)
                self._at(line)
                self.ran[-1].append(line)
            writer.end()
        return {"lines": self.ran[-1]}

    async def run(self) -> list[int]:
        """Which lines are worked on."""
        lines: list[int] = (await run_on_lines(self.context, "job", self._work))["lines"]
        return lines

    async def run_until_done(self) -> tuple[list[int], int]:
        """Which lines are worked on, and how often the gateway ended before."""
        for deaths in range(100):
            try:
                return await self.run(), deaths
            except Death:
                pass
        raise AssertionError("it never ends")


def but(*lines: int) -> list[int]:
    """All other lines."""
    return [line for line in LINES if line not in lines]


@pytest.mark.parametrize("deadly", [(), (1,), (20,), (3, 4, 17)])
async def test_what_processes_die_of_is_left_out(tmp_path: Path, deadly: tuple[int, ...]) -> None:
    """Found by one death among the others and one alone."""
    worker = Worker(tmp_path, *deadly)
    assert await worker.run() == but(*deadly)
    assert len(worker.ran) == 1 + 2 * len(deadly)
    assert list((tmp_path / "trails").iterdir()) == []


async def test_what_is_killed_from_outside_is_not_left_out(tmp_path: Path) -> None:
    """The kernel may end a process for the sake of another one."""
    worker = Worker(tmp_path, 9)
    worker.killed_at = [2, 13, 20]
    assert await worker.run() == but(9)


async def test_a_line_that_kills_in_company_alone_is_left_out_at_last(tmp_path: Path) -> None:
    """Alone it fits, and never among the others."""
    worker = Worker(tmp_path)
    worker.killed_at = [5] * 100
    work = worker._work

    async def fits_alone(trail: Trail) -> dict[str, Any]:
        return {} if trail.only else await work(trail)

    assert (await run_on_lines(worker.context, "job", fits_alone))["lines"] == but(5)
    assert len(worker.killed_at) == 97


@pytest.mark.parametrize("deadly", [(7,), (3, 19)])
async def test_the_gateway_dies_with_its_worker(tmp_path: Path, deadly: tuple[int, ...]) -> None:
    """A container whose memory is one group: five deaths for each line, and no more."""
    worker = Worker(tmp_path, *deadly, group=True)
    assert await worker.run_until_done() == (but(*deadly), 5 * len(deadly))


@pytest.mark.parametrize("torn", ["job", "job.deaths"])
async def test_a_file_that_a_death_has_left_empty_stops_no_step(tmp_path: Path, torn: str) -> None:
    """Seen when killed between its making and its first write: the step failed for ever."""
    worker = Worker(tmp_path, 7)
    (tmp_path / "trails").mkdir()
    (tmp_path / "trails" / torn).touch()

    assert await worker.run() == but(7)


async def test_only_deaths_that_are_explained_do_not_count(tmp_path: Path) -> None:
    """An input of which the gateway dies at ever other lines is given up all the same."""
    worker = Worker(tmp_path, 4, group=True)
    for explained in (0, 0, 0, 0, 5):
        with pytest.raises(Death):
            await worker.run()
        assert await explained_deaths(worker.context, "job") == explained
    worker.killed_at = [11]
    with pytest.raises(Death):
        await worker.run()
    assert await explained_deaths(worker.context, "job") == 5


async def test_a_step_survives_so_many_deaths(tmp_path: Path) -> None:
    """Then it fails, and pauses; the next attempt knows what this one found."""
    worker = Worker(tmp_path, *LINES)
    assert 2 * len(LINES) == MAX_DEATHS
    with pytest.raises(WorkerError, match="more lines"):
        await worker.run()
    assert await worker.run() == []


async def test_a_death_at_no_line_is_nobodys_fault(tmp_path: Path) -> None:
    """While it was started, say."""

    async def work(_: Trail) -> dict[str, Any]:
        raise WorkerError("died")

    with pytest.raises(WorkerError, match="died"):
        await run_on_lines(Worker(tmp_path).context, "job", work)
    await forget_trails(Worker(tmp_path).context, 2**40)
    assert list((tmp_path / "trails").iterdir()) == []


def test_places_have_two_kinds() -> None:
    """And zero is none."""
    places = [made(number) for number in (0, 1, 2**40) for made in (reading, working_on)]
    assert len({*places, 0}) == 7
    assert [line_at(place) for place in places] == [0, 0, 1, 1, 2**40, 2**40]
    assert [is_reading(place) for place in places] == [True, False] * 3


async def codes(w: World, file_id: str | None) -> dict[str, str]:
    """The codes of error lines by custom_id."""
    lines = await w.lines(file_id)
    return {line["custom_id"]: line["response"]["body"]["error"]["code"] for line in lines}


@pytest.mark.slow
async def test_a_result_that_is_larger_than_memory_costs_its_line_alone(tmp_path: Path) -> None:
    """All lines of the job waited for ever, their results being here."""
    async with world(tmp_path, inline_items=0, alone=True, memory=64 * 2**20) as w:
        w.upstream.spoilt = [{"2": {"response": {"candidates": [], "x": "y" * (50 << 20)}}}]
        batch = await w.ended(await w.submit(b"".join(chat(f"c{n}") for n in range(4))))
        assert batch.status is BatchStatus.COMPLETED
        assert (batch.counts.completed, batch.counts.failed) == (3, 1)
        [error] = await w.lines(batch.error_file_id)
        assert error["custom_id"] == "c1"
        told = error["response"]["body"]["error"]
        assert told["code"] == "internal_error"
        assert "GATEWAY_WORKER_MEMORY_BYTES" in told["message"]
        assert w.upstream.calls.count("create") == 1
        assert batch.cost is None


def endless(key: str) -> bytes:
    """A result that takes seconds to read: what orjson refuses is read by a slower parser."""
    return b'{"response":{"x":[NaN%b]},"key":"%b"}\n' % (b",1.5" * 2_000_000, key.encode())


@pytest.mark.slow
async def test_a_result_that_takes_for_ever_costs_its_line_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the time of the CPU: a machine that is busy with others ends nothing."""
    monkeypatch.setattr(suspects, "LINE_SECONDS", 0.2)
    async with world(tmp_path, inline_items=0, alone=True) as w:
        answer = {"candidates": [{"content": {"parts": [{"text": "re"}]}, "finishReason": "STOP"}]}
        lines = [orjson.dumps({"key": str(n), "response": answer}) + b"\n" for n in (1, 3)]
        w.upstream.garbage = [lines[0] + endless("2") + lines[1]]
        batch = await w.ended(await w.submit(b"".join(chat(f"c{n}") for n in range(3))))
        assert (batch.counts.completed, batch.counts.failed) == (2, 1)
        assert await codes(w, batch.error_file_id) == {"c1": "internal_error"}


def place_of(trail: Path) -> bytes:
    """Where a worker is; empty while it is at no line."""
    place = trail.read_bytes() if trail.exists() else b""
    return place if any(place) else b""


def killed_elsewhere(worker: psutil.Process, trail: Path, killed_at: set[bytes]) -> bytes:
    """Where the worker was killed; empty if it went on, being at no line or where another was.

    It stands still before its place is read: two deaths at one line are that line's fault. Workers
    are met at the first lines most often, whose place is the one before it a moment later.
    """
    try:
        worker.suspend()
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
    except (psutil.NoSuchProcess, ChildProcessError):  # the one before, which has ended now
        return b""
    place = place_of(trail)
    if place and place not in killed_at:
        worker.kill()
        return place
    worker.resume()
    return b""


async def places_of_deaths(w: World, batch: Batch, most: int) -> set[bytes]:
    """Kill workers while they read a batch's file, and at most so many of them."""
    trail = w.context.scratch.with_name("trails") / batch.id
    killed_at: set[bytes] = set()
    while len(killed_at) < most and (await w.get(batch)).status is BatchStatus.VALIDATING:
        for worker in worker_processes() if place_of(trail) else []:
            killed_at |= {killed_elsewhere(worker, trail, killed_at)} - {b""}
        await w.clock.sleep(0.01)
    return killed_at


@pytest.mark.slow
async def test_workers_that_are_killed_from_outside_cost_no_line(tmp_path: Path) -> None:
    """The batch failed after three of them."""
    async with world(tmp_path, alone=True) as w, asyncio.timeout(150):
        killed_at: set[bytes] = set()
        while len(killed_at) < 4:  # a file may be read before four of its workers are met
            batch = await w.submit(b"".join(chat(f"c{n}", "x" * 500) for n in range(2_000)))
            killed_at = await places_of_deaths(w, batch, 4)
            batch = await w.ended(batch)
            assert (batch.counts.completed, batch.counts.failed) == (2_000, 0)
            work = await w.work(batch)
            assert {job.state for job in work.jobs} <= {JobState.COLLECTED, JobState.RELEASED}
