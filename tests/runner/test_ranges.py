"""One input read by several processes is one batch: the same lines, jobs and errors."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.batches.batch import BatchStatus
from gateway.batches.runs import unpack
from gateway.ids import new_file_id
from gateway.runner import batch_steps
from gateway.runner.cpu import ranges
from gateway.runner.cpu.echoes import Echoes
from gateway.runner.cpu.input import Range, input_lines
from gateway.runner.cpu.ranges import JoinTask, join, ranges_of
from gateway.runner.cpu.validate import (
    InputLimits,
    PlannedJob,
    ValidateSummary,
    ValidateTask,
    validate,
    validate_range,
)
from gateway.units import MIB
from gateway.wire.jsonl import drop_blank_end, read_lines
from tests.runner.test_work import CHAT, JOBS, LIMITS
from tests.runner.world import chat, naming, world

OTHER = "gemini-3.6-flash"


def task_of(tmp_path: Path, content: bytes, **changes: Any) -> ValidateTask:
    """The validation of these bytes."""
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "input").write_bytes(content)
    task = ValidateTask(f"{tmp_path}/input", str(tmp_path), "b", CHAT, {}, None, LIMITS, JOBS)
    return replace(task, **changes)


def in_ranges(task: ValidateTask, count: int) -> ValidateSummary | None:
    """What several processes make of it."""
    found = [
        validate_range(replace(task, scratch=f"{task.scratch}/range-{n}", part=(n, count)))
        for n in range(count)
    ]
    return join(JoinTask(task, found)).whole


def echoes_of(path: str) -> list[Any]:
    """What a job's answers need."""
    with Echoes(Path(path)) as echoes:
        return [echoes.read(place) for place in range(len(echoes))]


def by_model(jobs: Iterable[PlannedJob]) -> Mapping[str, Any]:
    """Requests and hints of each model, however they are cut."""
    found: dict[str, Any] = {}
    for job in jobs:
        requests, hints = found.setdefault(job.model, ([], []))
        requests += Path(job.spool).read_bytes().splitlines()
        hints += echoes_of(job.echo)
        assert job.lines == len(echoes_of(job.echo))
        assert job.bytes == Path(job.spool).stat().st_size
    return found


def run_of(summary: ValidateSummary) -> list[tuple[int, int, bytes]]:
    """Refused lines and notes."""
    text = Path(summary.run or "").read_bytes()
    entries = unpack(Path(summary.index or "").read_bytes())
    return [(one.line, one.kind, text[one.offset : one.offset + one.length]) for one in entries]


PIECES = st.lists(
    st.sampled_from([b"{}", b"", b" ", b"x" * 40, b"\xef\xbb\xbf{}", b"a\r", b"\n", b"\n\n"]),
    max_size=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=PIECES, ended=st.booleans(), count=st.integers(1, 5))
def test_every_line_is_in_one_range(
    tmp_path: Path, pieces: list[bytes], ended: bool, count: int
) -> None:
    """Under its number; blank lines at the end of a range are left to who knows what follows."""
    content = b"\n".join(pieces) + (b"\n" if ended else b"")
    path = tmp_path / "lines"
    path.write_bytes(content)
    whole = [*enumerate(drop_blank_end(read_lines(io.BytesIO(content), 30)), 1)]

    found = [one for n in range(count) for one in input_lines(path, 30, Range(n, count))]

    assert list(drop_blank_end(line for _, line in found)) == [line for _, line in whole]
    assert [number for number, _ in found] == [*range(1, len(found) + 1)]


def test_a_file_is_divided_when_it_is_worth_it() -> None:
    """Into as many ranges as there are workers, none of them small."""
    assert [ranges_of(size * MIB, 4) for size in (0, 31, 32, 48, 1000)] == [1, 1, 2, 3, 4]
    assert ranges_of(1000 * MIB, 1) == 1


def mixed(count: int) -> list[bytes]:
    """Lines of two models, some of them refused, some noted, some with two items."""
    lines = []
    for number in range(count):
        body: dict[str, Any] = {"metadata": {"n": str(number)}}
        if number % 3 == 0:
            body["model"] = OTHER
        if number % 7 == 0:
            body["verbosity"] = "low"  # noted
        if number % 11 == 5:
            body["unheard_of"] = True  # refused
        lines.append(chat(f"c{number}", "x" * (number % 5 * 20), **body))
    return lines


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("joined", [0, MIB])
def test_ranges_give_what_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, joined: int
) -> None:
    """Requests, hints, refused lines, notes and counts; jobs too, where they are made one."""
    monkeypatch.setattr(ranges, "JOINED_BYTES", joined)
    content = b"".join(mixed(60))
    whole = validate(task_of(tmp_path / "whole", content))

    parts = in_ranges(task_of(tmp_path / "parts", content), count)

    assert parts is not None
    same = ("lines", "refused", "notes", "model", "errors", "internal")
    assert [getattr(parts, name) for name in same] == [getattr(whole, name) for name in same]
    assert by_model(parts.jobs) == by_model(whole.jobs)
    assert run_of(parts) == run_of(whole)
    assert [job.number for job in parts.jobs] == [*range(len(parts.jobs))]
    if joined:
        plans = [replace(job, spool="", echo="") for job in parts.jobs]
        assert plans == [replace(job, spool="", echo="") for job in whole.jobs]
    else:
        assert len(parts.jobs) > len(whole.jobs)


def test_joined_jobs_keep_to_the_limits(tmp_path: Path) -> None:
    """What has too many items for one job stays two."""
    content = b"".join(chat(f"c{n}") for n in range(20))
    jobs = replace(JOBS, items_per_job=15)

    parts = in_ranges(task_of(tmp_path, content, jobs=jobs), 2)

    assert parts is not None
    assert sum(job.items for job in parts.jobs) == 20
    assert len(parts.jobs) == 2


def wrong(lines: Sequence[bytes], number: int, line: bytes) -> bytes:
    """The lines, one of them another."""
    return b"".join([*lines[:number], line, *lines[number + 1 :]])


GOOD = [chat(f"c{n}", "x" * 50) for n in range(20)]


@pytest.mark.parametrize(
    ("content", "limits"),
    [
        (wrong(GOOD, 1, chat("c2")), LIMITS),
        (wrong(GOOD, 19, chat("c0")), LIMITS),
        (wrong(GOOD, 3, b"{\n"), LIMITS),
        (wrong(GOOD, 17, b"\n"), LIMITS),
        (wrong(GOOD, 17, b"\xef\xbb\xbf" + chat("c17")), LIMITS),
        (b"", LIMITS),
        (b"\n\n\n", LIMITS),
        (b"".join(GOOD), replace(LIMITS, max_lines=19)),
        (b"".join(GOOD), replace(LIMITS, max_items=19)),
        (b"".join(naming(f"c{n}", new_file_id()) for n in range(4)), LIMITS),
        (b"".join(chat(f"c{n}", model=f"m-{n}") for n in range(51)), LIMITS),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_what_is_wrong_is_left_to_one_look_at_the_whole(
    tmp_path: Path, content: bytes, limits: InputLimits, count: int
) -> None:
    """Only then are errors listed in their order, whatever is in which range."""
    task = task_of(tmp_path, content, limits=limits)
    assert in_ranges(task, count) is None
    assert validate(task).errors


@pytest.mark.slow
async def test_a_batch_is_read_by_all_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In processes of their own; a custom_id that is in two ranges is found."""
    monkeypatch.setattr(batch_steps, "ranges_of", lambda _, workers: workers)
    asked = []
    async with world(tmp_path, processes=2) as here:
        run = here.context.workers.run

        async def noted(call: str, task: object, seconds: float) -> dict[str, Any]:
            asked.append(call)
            return await run(call, task, seconds)

        monkeypatch.setattr(here.context.workers, "run", noted)
        good = await here.ended(await here.submit(b"".join(GOOD)))
        twice = await here.ended(await here.submit(wrong(GOOD, 19, chat("c0"))))

        assert good.status is BatchStatus.COMPLETED
        answers = await here.lines(good.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"c{n}" for n in range(20)]
        assert twice.status is BatchStatus.FAILED
        assert [(error.code, error.line) for error in twice.errors] == [("duplicate_custom_id", 20)]
        assert asked.count("validate_range") == 4
        assert asked.count("join") == 2
        assert asked.count("validate") == 1
