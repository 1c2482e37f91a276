"""JSONL framing: whole, byte by byte, with trailing bytes, over the limit."""

import io
from typing import Any

import orjson
import pytest

from gateway.wire.json_depth import depth_exceeds
from gateway.wire.jsonl import (
    LONG,
    LongLine,
    count_line_ends,
    drop_blank_end,
    escape_separators,
    read_lines,
)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"\n\na\n", [b"", b"", b"a"]),
        (b"\xef\xbb\xbfa\n", [b"a"]),
        (b"\xef\xbb\xbf", []),
        (b"a\xe2\x80\xa8b\n", [b"a\xe2\x80\xa8b"]),
    ],
)
def test_lines_end_at_newlines_only(data: bytes, lines: list[bytes]) -> None:
    """The mark before the first line goes, a missing last line end is fine."""
    assert list(read_lines(io.BytesIO(data), 100)) == lines


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_at_the_limit_is_read_and_one_beyond_is_skipped(end: bytes) -> None:
    """A long line is counted and left out; the lines around it stay."""
    data = b"a\n" + b"x" * 8 + b"\n" + b"y" * 3_000_000 + b"\n" + b"z" * 9 + end

    assert list(read_lines(io.BytesIO(data), 8)) == [
        b"a",
        b"x" * 8,
        LongLine(3_000_000),
        LongLine(10 if end == b"\r\n" else 9),
    ]


def test_blank_lines_at_the_end_are_nothing() -> None:
    """Those before a line stay, and so does its number."""
    lines: list[bytes | LongLine] = [b"", b"a", b"", b"", b"b", LongLine(9), b"", b""]

    assert list(drop_blank_end(lines)) == lines[:6]
    assert list(drop_blank_end([b"", b""])) == []


def test_separators_are_escaped_and_nothing_else() -> None:
    """What Python and the SDKs take for line ends travels escaped; the value is the same."""
    value = {"text": "a\u2028b\u2029c\u0085d é 漢 \u2027 \U0001f600"}
    raw = orjson.dumps(value)
    escaped = escape_separators(raw)

    assert len(raw.decode().splitlines()) == 4
    assert len(escaped.decode().splitlines()) == 1
    assert orjson.loads(escaped) == value


def _nested(depth: int) -> Any:
    value: Any = 1
    for turn in range(depth):
        value = [value] if turn % 2 else {"k": value}
    return value


@pytest.mark.parametrize(("depth", "exceeds"), [(0, False), (5, False), (6, True), (200, True)])
def test_depth(depth: int, exceeds: bool) -> None:
    """Depth counts containers inside containers."""
    value = _nested(depth)

    assert depth_exceeds(orjson.dumps(value), value, 5) is exceeds


def test_brackets_in_strings_and_width_are_no_depth() -> None:
    """Many brackets are not deep."""
    value = {"a": ["[[[[[[[[{{{{{{"] * 3, "b": [[1], [2], [3], [4], [5], [6], [7]]}

    assert depth_exceeds(orjson.dumps(value), value, 5) is False


@pytest.mark.parametrize("lengths", [[], [0], [1] * 5000, [LONG] * 9, [3 * LONG, 0, 0, 7] * 5])
@pytest.mark.parametrize("rest", [b"", b"x", b"x" * 3 * LONG])
def test_line_ends_of_long_and_short_lines(lengths: list[int], rest: bytes) -> None:
    """However many there are to a block."""
    block = b"".join(b"x" * length + b"\n" for length in lengths) + rest

    assert count_line_ends(block) == len(lengths)
