"""Dividing a spool and its echo: every item once, keys and hints as they were."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.runner.cpu.echoes import Echoes, EchoWriter
from gateway.runner.cpu.lines import spool_lines
from gateway.runner.cpu.recut import RecutTask, divide, recut
from gateway.runner.worker import answer
from gateway.translate.request.uploads import PLACEHOLDER

HINTS = (b'{"model":"m"}', b'{"schema":"%b"}' % (b"s" * 3000))


def request(text: str) -> bytes:
    """One generate request."""
    return orjson.dumps({"contents": [{"parts": [{"text": text}]}]})


def written(place: Path, lines: list[tuple[int, list[bytes]]]) -> tuple[Path, Path]:
    """Spool and echo of lines, each with its items; every other line has a hint of its own."""
    echo = EchoWriter(place / "echo")
    with (place / "spool").open("wb") as spool:
        for number, items in lines:
            spool.writelines(spool_lines(items, number))
            own = b'{"n":%d}' % number if number % 2 else HINTS[1]
            echo.add(number, f"id {number}", len(items), (HINTS[0], own))
    echo.close()
    return place / "spool", place / "echo"


def spooled(path: str) -> dict[str, Any]:
    """Requests by key."""
    rows = [orjson.loads(line) for line in Path(path).read_bytes().splitlines()]
    found = {row["key"]: row["request"] for row in rows}
    assert len(found) == len(rows)
    return found


def told(path: str) -> dict[int, tuple[Any, ...]]:
    """Echoes by line."""
    with Echoes(Path(path)) as echoes:
        return {echo.line: echo[1:] for echo in map(echoes.read, range(len(echoes)))}


@pytest.mark.slow
@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.data())
def test_every_item_goes_where_it_is_sent(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    """Or nowhere; an echo goes with each part that has an item of its line."""
    place = tmp_path_factory.mktemp("divide")
    lines = [
        (3 * number, [request(f"{number}.{item}") for item in range(size)])
        for number, size in enumerate(sizes, 1)
    ]
    keys = [(number, item) for number, items in lines for item in range(len(items))]
    chosen = {key: data.draw(st.sampled_from([None, 0, 1, 2])) for key in keys}
    spool, echo = written(place, lines)
    before, hints = spooled(str(spool)), told(str(echo))

    parts = divide(spool, echo, place, lambda line, item: chosen[line, item])

    whole: dict[str, Any] = {}
    for part in parts:
        own = spooled(part.spool)
        assert not own.keys() & whole.keys()
        whole.update(own)
        of_lines = {int(key.partition(".")[0]) for key in own}
        assert told(part.echo) == {line: hints[line] for line in of_lines}
        assert (part.items, part.lines) == (len(own), len(of_lines))
        assert part.bytes == Path(part.spool).stat().st_size
    sent = {key for key, part in chosen.items() if part is not None}
    counts = {number: len(items) for number, items in lines}
    names = {f"{line}.{item}" if counts[line] > 1 else f"{line}" for line, item in sent}
    assert whole == {key: before[key] for key in names}
    assert len(parts) == len({part for part in chosen.values() if part is not None})


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_a_job_is_halved_by_tokens(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    """No half has more than half of the tokens and a line; a single line stays whole."""
    place = tmp_path_factory.mktemp("halves")
    spool, echo = written(place, [(n, [request("x" * size)]) for n, size in enumerate(sizes, 1)])

    parts = recut(RecutTask(str(spool), str(echo), str(place))).parts

    assert len(parts) == min(len(sizes), 2)
    assert sum(part.lines for part in parts) == len(sizes)
    total, longest = sum(part.tokens for part in parts), max(sizes) // 4 + 30
    assert all(part.tokens <= total / 2 + longest for part in parts)


def test_a_line_of_several_items_is_not_split(tmp_path: Path) -> None:
    """It is one line of the output."""
    lines = [(1, [request("x" * 90)] * 9), (2, [request("y")])]
    spool, echo = written(tmp_path, lines)

    first, second = recut(RecutTask(str(spool), str(echo), str(tmp_path))).parts

    assert (first.items, first.lines, second.items, second.lines) == (9, 1, 1, 1)


def test_a_part_knows_the_files_that_it_names(tmp_path: Path) -> None:
    """Each its own; a worker does it."""
    names = ["file-a", "file-b", "file-c"]
    uris = [{"fileData": {"fileUri": PLACEHOLDER + name}} for name in names]
    items = [orjson.dumps({"contents": [{"parts": [uri]}]}) for uri in uris]
    spool, echo = written(tmp_path, [(1, items[:2]), (2, items[2:])])
    task = {"spool": str(spool), "echo": str(echo), "scratch": str(tmp_path)}

    told = orjson.loads(answer(orjson.dumps({"call": "recut", "task": task})))

    assert [part["files"] for part in told["summary"]["parts"]] == [names[:2], names[2:]]
