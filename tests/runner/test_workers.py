"""Worker processes: started when needed, ended one by one, never a hang."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from gateway.batches.planning import JobLimits
from gateway.batches.runs import RECORD, Kind
from gateway.clock import SystemClock
from gateway.errors import AuditError, UnavailableError, WorkerError
from gateway.runner.cpu.publish import PublishTask, RunPaths
from gateway.runner.cpu.validate import InputLimits, ValidateTask
from gateway.runner.workers import ALLOCATOR, Workers
from tests.runner.world import chat, end_kept_workers, worker_processes

LIMITS = InputLimits(10**6, 10**6, 2**20, 10, 10, 10**6, 100)
JOBS = JobLimits(1000, 10**9, 2**20, 100, 20)


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def no_others() -> None:
    """Processes are counted here: end the one that the tests of other modules share."""
    await end_kept_workers()


@pytest_asyncio.fixture(loop_scope="session")
async def workers() -> AsyncIterator[Workers]:
    """Two at most."""
    pool = Workers(2)
    yield pool
    await pool.close()
    assert worker_processes() == []


def task(tmp_path: Path, lines: int) -> ValidateTask:
    """Validate a file of that many lines."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "input").write_bytes(b"".join(chat(f"c{n}", "x" * 300) for n in range(lines)))
    scratch = str(tmp_path)
    return ValidateTask(
        f"{scratch}/input", scratch, "b", "/v1/chat/completions", {}, None, LIMITS, JOBS
    )


def endless(tmp_path: Path) -> ValidateTask:
    """Validate what never comes: a pipe without a writer."""
    made = task(tmp_path, 1)
    Path(made.input).unlink()
    os.mkfifo(made.input)
    return made


@pytest.mark.slow
async def test_a_process_is_kept_for_the_next_task(workers: Workers, tmp_path: Path) -> None:
    """None before the first task, one for tasks in a row, lowered in priority."""
    assert worker_processes() == []

    summaries = [await workers.run("validate", task(tmp_path, 3), 60) for _ in range(3)]

    assert [summary["lines"] for summary in summaries] == [3, 3, 3]
    [process] = worker_processes()
    assert process.nice() > psutil.Process().nice()
    told = {**ALLOCATOR, **psutil.Process().environ()}
    assert {name: process.environ()[name] for name in ALLOCATOR} == {
        name: told[name] for name in ALLOCATOR
    }


@pytest.mark.slow
async def test_at_most_as_many_as_given(workers: Workers, tmp_path: Path) -> None:
    """The others wait."""
    tasks = [task(tmp_path / str(n), 50) for n in range(5)]

    await asyncio.gather(*(workers.run("validate", one, 60) for one in tasks))

    assert len(worker_processes()) == 2


@pytest.mark.slow
async def test_a_dead_process_fails_its_task_alone(workers: Workers, tmp_path: Path) -> None:
    """The next task gets a new one."""
    running = asyncio.ensure_future(workers.run("validate", endless(tmp_path), 600))
    async with asyncio.timeout(60):
        while not worker_processes():
            await SystemClock().sleep(0.01)
    worker_processes()[0].kill()

    with pytest.raises(WorkerError, match="died"):
        await running
    assert (await workers.run("validate", task(tmp_path / "next", 1), 60))["lines"] == 1


@pytest.mark.slow
async def test_an_idle_process_that_died_is_not_used(workers: Workers, tmp_path: Path) -> None:
    """Killed for want of memory, say."""
    await workers.run("validate", task(tmp_path, 1), 60)
    [idle] = worker_processes()
    idle.kill()
    async with asyncio.timeout(60):
        await workers._idle[0].wait()

    assert (await workers.run("validate", task(tmp_path / "next", 1), 60))["lines"] == 1


async def test_past_its_deadline_it_is_killed(workers: Workers, tmp_path: Path) -> None:
    """And the task fails."""
    with pytest.raises(WorkerError, match="longer than"):
        await workers.run("validate", endless(tmp_path), 0.05)

    assert worker_processes() == []


async def test_a_cancelled_task_kills_its_process(workers: Workers, tmp_path: Path) -> None:
    """It may be half way."""
    running = asyncio.ensure_future(workers.run("validate", endless(tmp_path), 600))
    async with asyncio.timeout(60):
        while not worker_processes():
            await SystemClock().sleep(0.01)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert worker_processes() == []


@pytest.mark.slow
async def test_the_first_failure_ends_tasks_that_run_together(
    workers: Workers, tmp_path: Path
) -> None:
    """The process of the other is killed: what it makes is for no one."""
    tasks = [endless(tmp_path / "long"), task(tmp_path / "gone", 1)]
    (tmp_path / "gone" / "input").unlink()

    with pytest.raises(UnavailableError, match="No such file"):
        await workers.run_all("validate", tasks, 600)

    assert len(worker_processes()) <= 1
    tasks = [task(tmp_path / str(number), number) for number in (3, 1, 2)]
    summaries = await workers.run_all("validate", tasks, 60)
    assert [summary["lines"] for summary in summaries] == [3, 1, 2]


async def test_what_fails_on_the_machine_says_so(workers: Workers, tmp_path: Path) -> None:
    """A scratch directory that is not there: the process lives on."""
    gone = task(tmp_path, 1)
    (tmp_path / "input").unlink()

    with pytest.raises(UnavailableError, match="No such file"):
        await workers.run("validate", gone, 60)
    assert len(worker_processes()) == 1


@pytest.mark.slow
async def test_a_failed_audit_publishes_nothing(workers: Workers, tmp_path: Path) -> None:
    """Line 2 is nowhere."""
    (tmp_path / "run").write_bytes(b"{}\n{}\n")
    records = [RECORD.pack(line, Kind.OUTPUT, 0, 3) for line in (1, 3)]
    (tmp_path / "index").write_bytes(b"".join(records))
    runs = [RunPaths(str(tmp_path / "run"), str(tmp_path / "index"))]

    with pytest.raises(AuditError, match="line 3 follows 1"):
        await workers.run("publish", PublishTask(str(tmp_path), runs, 3, 0, 100), 60)


def oom_score_of(process: psutil.Process) -> str:
    """How early the kernel ends it."""
    return Path(f"/proc/{process.pid}/oom_score_adj").read_text(encoding="ascii").strip()


@pytest.mark.slow
async def test_the_memory_of_a_process_is_bounded(tmp_path: Path) -> None:
    """It fails before the container does, and the kernel ends it before the main process."""
    pool = Workers(1, memory=300 * 2**20)
    try:
        await pool.run("validate", task(tmp_path, 1), 60)
        [process] = worker_processes()
        assert process.rlimit(psutil.RLIMIT_DATA) == (300 * 2**20, 300 * 2**20)
        assert oom_score_of(process) == "500"
    finally:
        await pool.close()


@pytest.mark.slow
async def test_what_takes_too_much_memory_fails_alone(workers: Workers, tmp_path: Path) -> None:
    """The process dies, others go on."""
    pool = Workers(1, memory=64 * 2**20)
    try:
        (tmp_path / "input").write_bytes(chat("a", "x" * (60 << 20)))
        large = replace(task(tmp_path / "other", 1), input=f"{tmp_path}/input")
        large = replace(large, limits=replace(LIMITS, max_line_bytes=2**27))
        with pytest.raises(WorkerError, match="died"):
            await pool.run("validate", large, 60)
        assert (await pool.run("validate", task(tmp_path, 1), 60))["lines"] == 1
    finally:
        await pool.close()
    assert (await workers.run("validate", large, 60))["lines"] == 1
