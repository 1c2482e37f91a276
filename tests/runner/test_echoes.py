"""Echo files: what lines have in common is written once, and comes back with each of them."""

import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.runner.cpu import echoes as echoes_module
from gateway.runner.cpu.echoes import Echoes, EchoWriter

MODEL = b'{"model":"m"}'
SCHEMA = b'{"schema":"%b"}' % (b"x" * 2000)


def written(path: Path, *parts: tuple[bytes, ...]) -> Path:
    """One line for each tuple of parts, every third line of the input."""
    writer = EchoWriter(path)
    for number, echo in enumerate(parts, 1):
        writer.add(3 * number, f"id-{number}", 1 + number % 2, echo)
    writer.close()
    return path


def merged(parts: tuple[bytes, ...]) -> dict[str, Any]:
    """What a line's options are."""
    options: dict[str, Any] = {}
    for part in parts:
        options.update(orjson.loads(part))
    return options


@pytest.mark.slow
@given(st.data())
def test_every_line_gets_its_own_parts(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """In any order, whatever stands between two lines."""
    some = [b'{"n":%d}' % n for n in range(4)] + [b'{"m":"%b"}' % (b"y" * n) for n in (1, 9000)]
    parts = data.draw(st.lists(st.lists(st.sampled_from(some), max_size=3).map(tuple), max_size=20))
    order = data.draw(st.permutations(range(len(parts))))
    path = tmp_path_factory.mktemp("echo") / "echo"

    with Echoes(written(path, *parts)) as echoes:
        assert list(echoes.lines) == [3 * n for n in range(1, len(parts) + 1)]
        for ordinal in order:
            echo = echoes.read(ordinal)
            assert echo[:3] == (3 * ordinal + 3, f"id-{ordinal + 1}", 1 + (ordinal + 1) % 2)
            assert echo.hints == merged(parts[ordinal])
            assert echoes.locate(str(3 * ordinal + 3)) == (ordinal, 0)


def test_what_lines_have_in_common_is_written_once(tmp_path: Path) -> None:
    """Whether it is the same object, or says the same."""
    same = (MODEL, SCHEMA)
    lines = [same] * 500 + [(MODEL, bytes(bytearray(SCHEMA)))] * 500

    path = written(tmp_path / "echo", *lines)

    assert path.read_bytes().count(SCHEMA) == 1
    assert path.stat().st_size < 1000 * 35
    with Echoes(path) as echoes:
        assert echoes.read(0).hints is echoes.read(999).hints


def test_a_part_of_its_own_does_not_repeat_the_common_one(tmp_path: Path) -> None:
    """As when every line has metadata of its own beside one schema."""
    lines = [(b'{"metadata":{"row":"%d"}}' % n, SCHEMA) for n in range(500)]

    path = written(tmp_path / "echo", *lines)

    assert path.read_bytes().count(SCHEMA) == 1
    with Echoes(path) as echoes:
        assert echoes.read(7).hints == merged(lines[7])


def test_what_is_remembered_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is written again, and reads the same."""
    monkeypatch.setattr(echoes_module, "REMEMBERED", 5000)
    parts = [(b'{"n":"%b"}' % (b"%04d" % n * 250),) for n in range(20)] * 3

    path = written(tmp_path / "echo", *parts)

    assert path.read_bytes().count(b"0007" * 250) == 3
    with Echoes(path) as echoes:
        assert [echoes.read(n).hints for n in range(60)] == [merged(one) for one in parts]
        assert len(echoes._known) <= 5


def test_a_line_that_is_none_is_an_error(tmp_path: Path) -> None:
    """It is told by its form: no answer may get the id of another line, or none."""
    path = written(tmp_path / "echo", (MODEL,), (MODEL,))
    with Echoes(path) as echoes:
        content = path.read_bytes()
        with path.open("r+b") as file:
            file.seek(content.index(b'"id-2"'))
            file.write(b"7")
        assert echoes.read(0).custom_id == "id-1"
        with pytest.raises(ValueError, match="damaged"):
            echoes.read(1)


def test_a_closed_file_holds_no_parts(tmp_path: Path) -> None:
    """A batch keeps the files of all its jobs to its end: each held the parts of its lines."""
    writer = EchoWriter(tmp_path / "echo")
    tracemalloc.start()
    try:
        for number in range(5_000):
            writer.add(number, "id", 1, (b'{"metadata":{"ticket":"%d"}}' % number,))
        writer.close()
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000 < most
