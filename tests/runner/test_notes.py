"""Notes: written beside the lines, merged in line order, capped, the same when made again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.planning import JobLimits
from gateway.runner.cpu import notes as notes_module
from gateway.runner.cpu.collect import CollectSummary, CollectTask, collect
from gateway.runner.cpu.lines import RunWriter
from gateway.runner.cpu.notes import NoteWriter
from gateway.runner.cpu.publish import PublishSummary, PublishTask, RunPaths, publish
from gateway.runner.cpu.validate import InputLimits, ValidateSummary, ValidateTask, validate
from gateway.translate.contract import Note
from tests.runner.world import chat

LIMITS = InputLimits(10**6, 10**6, 10**6, 5, 10, 10**6, max_warnings=50)
CHAT = "/v1/chat/completions"
# An answer about which there is something to note: one call more than the older form can hold.
CALLS = [{"functionCall": {"name": name, "args": {}}} for name in "fg"]
FUNCTIONS: dict[str, Any] = {"functions": [{"name": "f"}, {"name": "g"}]}


def checked(tmp_path: Path, lines: Sequence[bytes], **changes: Any) -> ValidateSummary:
    """Validate, two lines a job."""
    (tmp_path / "input").write_bytes(b"".join(lines))
    jobs = JobLimits(changes.pop("items_per_job", 2), 10**9, 2**20, 100, 20)
    limits = replace(LIMITS, max_warnings=changes.pop("max_warnings", 50))
    scratch = str(tmp_path)
    summary = validate(
        ValidateTask(f"{scratch}/input", scratch, "b", CHAT, changes, None, limits, jobs)
    )
    assert summary.errors == ()
    return summary


def response(item: dict[str, Any]) -> dict[str, Any]:
    """Two calls where the request has functions, else words."""
    parts = CALLS if "tools" in item["request"] else [{"text": "Hi"}]
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": 1}}


def rendered(tmp_path: Path, summary: ValidateSummary, most: int = 50) -> list[CollectSummary]:
    """Collect every job, the answers of each in reverse order."""
    made = []
    for job in summary.jobs:
        place = tmp_path / f"job-{job.number}"
        place.mkdir(exist_ok=True)
        items = [orjson.loads(line) for line in Path(job.spool).read_bytes().splitlines()]
        rows = [{"key": item["key"], "response": response(item)} for item in reversed(items)]
        (place / "raw").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        task = CollectTask(job.echo, str(place), "b", CHAT, 1, most, raw=str(place / "raw"))
        made.append(collect(task))
    return made


def published(
    tmp_path: Path, summary: ValidateSummary, jobs: Sequence[CollectSummary], most: int = 50
) -> PublishSummary:
    """Publish everything."""
    steps: list[ValidateSummary | CollectSummary] = [summary, *jobs]
    runs = [RunPaths(str(made.run), str(made.index)) for made in steps]
    total = sum(sum(made.notes.values()) for made in steps)
    return publish(PublishTask(str(tmp_path), runs, summary.lines, total, most))


def listed(summary: PublishSummary) -> list[dict[str, Any]]:
    """The entries of the warnings file."""
    if summary.warnings is None:
        return []
    content = Path(summary.warnings.path).read_bytes()
    assert summary.warnings.bytes == len(content)
    rows = [orjson.loads(line) for line in content.splitlines()]
    assert summary.warnings.lines == len(rows)
    return rows


def test_notes_of_lines_and_answers_stand_in_line_order(tmp_path: Path) -> None:
    """A refused line has none of its own; what concerns the request comes first."""
    lines = [
        chat("a", verbosity="low", **FUNCTIONS),
        chat("b"),
        chat("c", nonsense=1),
        chat("d", **FUNCTIONS),
        chat("é\u2028", seed=2**40, verbosity="low"),
    ]

    checking = checked(tmp_path, lines)
    rendering = rendered(tmp_path, checking)
    done = published(tmp_path, checking, rendering)

    assert [(e["line"], e["custom_id"], e["code"], e["field"]) for e in listed(done)] == [
        (1, "a", "dropped", "verbosity"),
        (1, "a", "dropped", "choices[0].message.tool_calls[1]"),
        (4, "d", "dropped", "choices[0].message.tool_calls[1]"),
        (5, "é\u2028", "approximated", "seed"),
        (5, "é\u2028", "dropped", "verbosity"),
    ]
    assert checking.notes == {"dropped": 2, "approximated": 1}
    assert [made.notes for made in rendering] == [{"dropped": 1}, {"dropped": 1}]
    assert (done.counts.total, done.counts.completed, done.counts.failed) == (5, 4, 1)


def test_without_notes_there_is_no_file(tmp_path: Path) -> None:
    """As with an output or error file that would be empty."""
    checking = checked(tmp_path, [chat("a"), chat("b")])

    assert published(tmp_path, checking, rendered(tmp_path, checking)).warnings is None


@pytest.mark.parametrize("most", [1, 2, 3, 7, 8, 9])
def test_the_list_is_capped_and_says_how_many_more(tmp_path: Path, most: int) -> None:
    """In the middle of a line's notes too; whoever wrote them."""
    lines = [chat(f"c{n}", verbosity="low", seed=2**40) for n in range(4)]

    checking = checked(tmp_path, lines, max_warnings=most)
    done = published(tmp_path, checking, rendered(tmp_path, checking, most), most)

    *entries, last = listed(done)
    assert checking.notes == {"dropped": 4, "approximated": 4}
    if most >= 8:
        assert len(entries) + 1 == 8
        assert last["code"] in {"dropped", "approximated"}
    else:
        assert [entry["line"] for entry in entries] == [1 + n // 2 for n in range(most)]
        assert last == {
            "line": None,
            "custom_id": None,
            "code": "not_listed",
            "field": None,
            "message": f"{8 - most} more are not listed (GATEWAY_MAX_WARNINGS).",
        }


def test_made_again_the_bytes_are_the_same(tmp_path: Path) -> None:
    """Members of a line that nobody knows come in no order of ours."""
    extra = {f"member-{n}": n for n in range(20)}
    lines = [
        orjson.dumps(orjson.loads(chat(f"c{n}", verbosity="low", **FUNCTIONS)) | extra) + b"\n"
        for n in range(5)
    ]
    results = []
    for name in ("first", "second"):
        place = tmp_path / name
        place.mkdir()
        checking = checked(place, lines, max_warnings=200)
        done = published(place, checking, rendered(place, checking), 200)
        assert done.warnings is not None
        results.append((done.warnings.sha256, Path(done.warnings.path).read_bytes()))

    assert results[0] == results[1]
    assert len(results[0][1].splitlines()) == 5 * 22


def test_what_is_written_has_an_end_in_bytes(tmp_path: Path, monkeypatch: Any) -> None:
    """A custom_id may be as long as a line, and stands in every entry."""
    monkeypatch.setattr(notes_module, "MAX_BYTES", 1000)
    run = RunWriter(tmp_path / "run")
    writer = NoteWriter(run, 10**6)

    written = [writer.write(n, "x" * 300, [Note("dropped", "seed")]) for n in range(10)]

    run.close()
    assert writer.counts == {"dropped": 10}
    assert [entry is not None for entry in written] == [True] * 3 + [False] * 7
    assert (tmp_path / "run").stat().st_size < 1500
