"""A line, or a result, that is tried alone: it is named for as long as it is worked on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.runner.cpu import collect, validate
from gateway.runner.cpu.input import input_lines
from gateway.runner.cpu.trail import (
    BYTES_AT_ONCE,
    NOWHERE,
    PLACE,
    Trail,
    TrailWriter,
    reading,
    working_on,
)
from gateway.wire.gemini_results import read_results
from tests.runner.test_collect_ranges import results, task_of
from tests.runner.test_ranges import task_of as validation_of
from tests.runner.world import chat


class Watched:
    """A trail of which each look is kept."""

    def __init__(self, tmp_path: Path, only: int) -> None:
        self._path = tmp_path / "at"
        self._path.write_bytes(PLACE.pack(NOWHERE))
        self.trail = Trail(str(self._path), 120.0, only=only)
        self.places: list[int] = []

    def look(self) -> None:
        """Keep the place that a kill from outside would find now."""
        self.places += PLACE.unpack(self._path.read_bytes())


def test_a_line_of_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the file was read in its name: a kill from outside then cost it its answer."""
    task = validation_of(tmp_path / "all", b"".join(chat(f"c{n}") for n in range(5)))
    watched = Watched(tmp_path, working_on(2))

    def watched_lines(*how: Any) -> Iterator[Any]:
        for line in input_lines(*how):
            watched.look()
            yield line

    monkeypatch.setattr(validate, "input_lines", watched_lines)
    validate.validate(replace(task, trail=watched.trail))
    assert watched.places == [NOWHERE, NOWHERE, working_on(2), NOWHERE, NOWHERE]


def test_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an input."""
    task = task_of(tmp_path / "all", results()[:4])
    second = reading((tmp_path / "all" / "raw").read_bytes().index(b"\n") + 1)
    watched = Watched(tmp_path, second)

    def watched_results(path: Path, loads: Any, reads: Callable[[int], bool], *more: Any) -> Any:
        def looked(offset: int) -> bool:
            is_read = reads(offset)
            watched.look()
            return is_read

        return read_results(path, loads, looked, *more)

    monkeypatch.setattr(collect, "read_results", watched_results)
    collect.collect(replace(task, trail=watched.trail, pack=False))
    assert watched.places == [NOWHERE, second, NOWHERE, NOWHERE, NOWHERE]  # and at the end


def test_the_time_for_a_result_begins_anew_with_what_was_read(tmp_path: Path) -> None:
    """Bytes count, not results: a timer that is set for each would take longer than a small one."""
    (tmp_path / "trail").write_bytes(bytes(PLACE.size))
    with ExitStack() as files:
        trail = TrailWriter(Trail(str(tmp_path / "trail"), 1000.0), files)
        trail.read_at(0)
        signal.setitimer(signal.ITIMER_PROF, 500)
        trail.read_at(1000)
        assert signal.getitimer(signal.ITIMER_PROF)[0] < 501
        trail.read_at(1000 + BYTES_AT_ONCE)
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 501
