"""Publishing checks what it writes: a run that was cut is never published."""

from pathlib import Path

import pytest

from gateway.batches.runs import RECORD, Kind
from gateway.errors import AuditError
from gateway.runner.cpu.publish import PublishTask, RunPaths, publish

LINES = (b'{"a":1}\n', b'{"b":22}\n')


def task(tmp_path: Path, run: bytes) -> PublishTask:
    """Two lines, one behind the other, as the index says."""
    (tmp_path / "run").write_bytes(run)
    offset, index = 0, b""
    for number, line in enumerate(LINES, 1):
        index += RECORD.pack(number, Kind.OUTPUT, offset, len(line))
        offset += len(line)
    (tmp_path / "index").write_bytes(index)
    paths = RunPaths(str(tmp_path / "run"), str(tmp_path / "index"))
    return PublishTask(str(tmp_path), [paths], 2, 0, 0)


def test_a_whole_run_is_published(tmp_path: Path) -> None:
    """The counts are those of the files."""
    summary = publish(task(tmp_path, b"".join(LINES)))
    assert summary.output is not None
    assert (summary.counts.completed, summary.output.lines) == (2, 2)
    assert Path(summary.output.path).read_bytes() == b"".join(LINES)


@pytest.mark.parametrize(
    "run", [b"", LINES[0], b"".join(LINES)[:-1], b"x" * 17, LINES[0] + b"\n\n\n\n\n\n\n\n\n"]
)
def test_a_run_that_is_cut_or_changed_is_not_published(tmp_path: Path, run: bytes) -> None:
    """20 lines of 40, and counts that said 40, were published once."""
    with pytest.raises(AuditError):
        publish(task(tmp_path, run))


@pytest.mark.parametrize(("kind", "lines"), [(Kind.OUTPUT, 1), (Kind.ERROR, 3)])
def test_a_line_of_no_bytes_is_not_published(tmp_path: Path, kind: Kind, lines: int) -> None:
    """It would count as one that is there."""
    (tmp_path / "run").touch()
    index = b"".join(RECORD.pack(number + 1, kind, 0, 0) for number in range(lines))
    (tmp_path / "index").write_bytes(index)
    runs = [RunPaths(str(tmp_path / "run"), str(tmp_path / "index"))]
    with pytest.raises(AuditError, match="line 1 of a run is cut"):
        publish(PublishTask(str(tmp_path), runs, lines, 0, 10))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (LINES[0] + b'{"b"\n22}\n', "line 2 of a run is not one line"),
        (b'{"a"\n1}\n' + LINES[1], "line 1 of a run is not one line"),
        (LINES[0] + b'{"b":22} ', "line 2 of a run is cut"),
        (b'{"a":1} ' + LINES[1], "line 1 of a run is cut"),
    ],
)
def test_the_line_that_is_wrong_is_named(tmp_path: Path, run: bytes, said: str) -> None:
    """Of several that are read at once."""
    with pytest.raises(AuditError, match=said):
        publish(task(tmp_path, run))
