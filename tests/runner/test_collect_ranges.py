"""Results read by several processes at once become what one process makes of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same order every time
from typing import Any

import orjson
import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.runs import unpack
from gateway.errors import WorkerError
from gateway.runner import job_steps, workers
from gateway.runner.cpu import archive
from gateway.runner.cpu.collect import CollectSummary, CollectTask, collect, collect_range
from gateway.runner.cpu.collect_ranges import JoinResultsTask, join_results
from gateway.runner.cpu.echoes import EchoWriter
from gateway.runner.workers import Workers
from tests.runner.test_work import CHAT, bad, echo_of, good
from tests.runner.world import chat, world

LINES = [3 * number + 2 for number in range(60)]


def task_of(tmp_path: Path, results: Sequence[dict[str, Any]], **changes: Any) -> CollectTask:
    """The collection of these results; some lines ask for metadata and schemas of their own."""
    tmp_path.mkdir()
    echoes = EchoWriter(tmp_path / "echo")
    for number in LINES:
        echoes.add(*echo_of(number, f"id-{number}", metadata={"n": str(number)}))
    echoes.close()
    (tmp_path / "raw").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in results))
    base = CollectTask(
        str(tmp_path / "echo"), str(tmp_path), "batch", CHAT, 1, 100, raw=str(tmp_path / "raw")
    )
    return replace(base, again=True, pack=True, **changes)


def in_ranges(task: CollectTask, count: int) -> CollectSummary | None:
    """What several processes make of it."""
    found = [
        collect_range(replace(task, scratch=f"{task.scratch}/range-{n}", part=(n, count)))
        for n in range(count)
    ]
    return join_results(JoinResultsTask(task, found)).whole


def results() -> list[dict[str, Any]]:
    """Answers in any order: some noted, some refused for good, some to run again."""
    rows = []
    for number in LINES:
        row = good(f"{number}", f"text {number} " * (number % 7 * 30 + 1))
        row["response"]["usageMetadata"] = {"promptTokenCount": number, "candidatesTokenCount": 5}
        if number % 5 == 0:
            row = bad(f"{number}", 3)
        if number % 7 == 0:
            row = bad(f"{number}", 13)
        if number % 11 == 0:
            row["response"] = {"candidates": [{"finishReason": "MAX_TOKENS"}]}
            row.pop("error", None)
        rows.append(row)
    Random(1).shuffle(rows)
    return rows


def lines_of(summary: CollectSummary) -> list[tuple[int, int, bytes]]:
    """Rendered lines and notes, in the order of the index."""
    text = Path(summary.run).read_bytes()
    entries = unpack(Path(summary.index).read_bytes())
    return [(one.line, one.kind, text[one.offset : one.offset + one.length]) for one in entries]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_ranges_give_what_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Lines in the order of the input, notes, counts, tokens, what runs again, and the archives."""
    monkeypatch.setattr(archive, "SMALLEST", 1)
    rows = results()
    whole = collect(task_of(tmp_path / "whole", rows))

    parts = in_ranges(task_of(tmp_path / "parts", rows), count)

    assert parts is not None
    assert lines_of(parts) == lines_of(whole)
    same = ("counts", "usage", "notes", "internal", "faults", "cost", "missing", "doubled", "held")
    assert [getattr(parts, name) for name in same] == [getattr(whole, name) for name in same]
    assert whole.wanted is not None
    assert parts.wanted is not None
    assert Path(parts.wanted).read_bytes() == Path(whole.wanted).read_bytes()
    for name in ("raw", "echo"):
        made = Path(getattr(parts, name))
        assert archive.is_packed(made)
        plain = archive.unpack(made, tmp_path).read_bytes()
        assert plain == (tmp_path / "parts" / name).read_bytes()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_answers_in_order_need_no_merging(tmp_path: Path, count: int) -> None:
    """They come so nearly always, and become what the whole becomes; one of them may be missing."""
    rows = sorted(results(), key=lambda row: int(row["key"]))
    rows = [row if int(row["key"]) % 7 else good(row["key"], "x") for row in rows]
    whole = collect(task_of(tmp_path / "whole", rows))

    parts = in_ranges(task_of(tmp_path / "parts", rows), count)

    assert parts is not None
    assert parts.wanted is None
    assert sum(parts.notes.values()) > 0
    assert Path(parts.index).read_bytes() == Path(whole.index).read_bytes()
    assert Path(parts.run).read_bytes() == Path(whole.run).read_bytes()
    for left_out in (0, 20, len(rows) - 1):
        fewer = [*rows[:left_out], *rows[left_out + 1 :]]
        assert in_ranges(task_of(tmp_path / f"fewer-{left_out}", fewer), count) is None


def test_nothing_is_packed_that_is_not_asked_for(tmp_path: Path) -> None:
    """Or that is too small to gain by it; and nothing runs again where all are answered."""
    rows = [good(f"{number}", "x") for number in LINES]
    parts = in_ranges(task_of(tmp_path / "parts", rows), 2)
    assert parts is not None
    assert (parts.raw, parts.echo, parts.wanted) == (None, None, None)


@pytest.mark.parametrize(
    "odd",
    [
        [good("2", "again"), *results()],
        [*results(), bad("2")],
        results()[1:],
        [*results(), good("1", "of no line")],
        [*results(), {"response": {}}],
        [],
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_what_is_odd_is_left_to_one_look_at_the_whole(
    tmp_path: Path, odd: list[dict[str, Any]], count: int
) -> None:
    """A result that comes twice, in whatever ranges, that is missing, or that is of no line."""
    assert in_ranges(task_of(tmp_path / "parts", odd), count) is None


def test_archives_are_left_to_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their lines cannot be divided."""
    monkeypatch.setattr(archive, "SMALLEST", 1)
    task = task_of(tmp_path / "parts", results())
    packed = archive.pack(Path(task.raw or ""))
    assert in_ranges(replace(task, raw=str(packed)), 2) is None


@pytest.mark.slow
@pytest.mark.parametrize("died", [False, True])
async def test_results_are_read_by_all_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, died: bool
) -> None:
    """In processes of their own; by one after all where another has died."""
    monkeypatch.setattr(job_steps, "ranges_of", lambda _, free, __: free)
    asked = []
    async with world(tmp_path, processes=2, inline_items=1) as here:
        run = here.context.workers.run

        async def noted(call: str, task: object, seconds: float) -> dict[str, Any]:
            asked.append(call)
            if died and call == "collect_range":
                raise WorkerError("a worker process died")
            return await run(call, task, seconds)

        monkeypatch.setattr(here.context.workers, "run", noted)
        content = b"".join(chat(f"c{n}", "x" * 50) for n in range(20))
        done = await here.ended(await here.submit(content))

        assert done.status is BatchStatus.COMPLETED
        answers = await here.lines(done.output_file_id)
        assert [one["custom_id"] for one in answers] == [f"c{n}" for n in range(20)]
    assert asked.count("collect_range") == 2
    assert asked.count("join_results") == (not died)
    assert asked.count("collect") == died


async def test_a_process_that_is_busy_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges are for workers that would wait; several jobs keep them busy as it is."""
    pool = Workers(2)
    seen = []

    async def exchange(*_: object) -> dict[str, Any]:
        seen.append(pool.free)
        return {"summary": {}}

    monkeypatch.setattr(workers, "_exchange", exchange)
    task = CollectTask("", "", "", CHAT, 1, 1)
    await pool.run("collect", task, 60)
    assert seen == [1]
    assert pool.free == 2
    await pool.close()
