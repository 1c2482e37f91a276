"""Runs: packing, merging, and the audit that stands before every publication."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.runs import (
    GAP,
    RECORD,
    Entry,
    Kind,
    audited,
    gaps_filled,
    merged,
    single,
    stretches,
    unpack,
)
from gateway.errors import AuditError


def entry(line: int) -> Entry:
    """Some entry."""
    return Entry(line, Kind.OUTPUT, line * 10, 5)


def test_records_come_back_as_they_went() -> None:
    """At the edges of what a record holds."""
    entries = [Entry(1, 1, 0, 0), Entry(2**32 - 1, 3, 2**64 - 1, 2**32 - 1)]

    assert list(unpack(b"".join(RECORD.pack(*one) for one in entries))) == entries


@given(st.lists(st.integers(0, 4), max_size=60))
def test_any_split_into_runs_merges_into_line_order(homes: list[int]) -> None:
    """Whatever run a line ended in."""
    runs: list[list[Entry]] = [[] for _ in range(5)]
    for line, home in enumerate(homes, 1):
        runs[home].append(entry(line))

    together = list(audited(merged(runs), len(homes)))

    assert [one.line for _, one in together] == list(range(1, len(homes) + 1))
    assert [run for run, _ in together] == homes


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 7), st.sampled_from([Kind.OUTPUT, Kind.ERROR]))),
        max_size=4,
    )
)
def test_whatever_runs_hold_each_line_is_told_once(runs: list[list[tuple[int, Kind]]]) -> None:
    """A success wins, then the first; what is no line of the input is left out."""
    indexes = [[Entry(line, kind, 0, 1) for line, kind in sorted(run)] for run in runs]

    told = list(audited(gaps_filled(single(merged(indexes), 6), 6), 6))

    for (run, one), line in zip(told, range(1, 7), strict=True):
        kinds = [kind for each in runs for number, kind in sorted(each) if number == line]
        assert one.line == line
        assert (run == GAP) == (not kinds)
        assert not kinds or one.kind == min(kinds)


def test_notes_go_with_the_line_that_is_told() -> None:
    """And those of the validation, whose run has no such line."""
    note, error, output = (Entry(1, kind, 0, 1) for kind in (Kind.NOTES, Kind.ERROR, Kind.OUTPUT))
    runs = [[note], [error, note], [output, note]]

    assert sorted(single(merged(runs), 1)) == [(0, note), (2, output), (2, note)]


@pytest.mark.parametrize(
    ("lines", "total", "message"),
    [
        ([1, 3], 3, "line 3 follows 1"),
        ([1, 2], 3, "2 of 3 lines"),
        ([], 1, "0 of 1 lines"),
        ([2], 2, "line 2 follows 0"),
        ([1, 1, 2], 2, "line 1 comes twice"),
        ([1, 2, 3], 2, "3 of 2 lines"),
        ([0, 1], 1, "line 0 comes twice"),
    ],
)
def test_a_missing_or_doubled_line_stops_the_publication(
    lines: list[int], total: int, message: str
) -> None:
    """The message says which."""
    with pytest.raises(AuditError, match=message):
        list(audited(merged([[entry(line) for line in lines]]), total))


def test_lines_of_one_kind_behind_each_other_are_a_stretch() -> None:
    """Up to the bytes that are read at once; what is noted, and what no run has, is alone."""
    output, notes = Kind.OUTPUT, Kind.NOTES
    entries = [
        (0, Entry(1, output, 0, 4)),
        (0, Entry(2, output, 4, 6)),
        (0, Entry(2, notes, 10, 3)),
        (0, Entry(3, notes, 13, 3)),
        (0, Entry(3, output, 16, 4)),
        (0, Entry(4, output, 30, 4)),  # something lies between
        (1, Entry(5, output, 34, 4)),  # another run
        (1, Entry(6, Kind.ERROR, 38, 4)),
        (GAP, Entry(7, Kind.ERROR, 0, 0)),
        (GAP, Entry(8, Kind.ERROR, 0, 0)),
        (1, Entry(9, output, 0, 20)),
        (1, Entry(10, output, 20, 1)),
        (1, Entry(11, output, 21, 1)),
    ]

    found = [
        (one.run, one.kind, one.offset, one.lengths, one.line) for one in stretches(entries, 21)
    ]

    assert found == [
        (0, output, 0, [4, 6], 1),
        (0, notes, 10, [3], 2),
        (0, notes, 13, [3], 3),
        (0, output, 16, [4], 3),
        (0, output, 30, [4], 4),
        (1, output, 34, [4], 5),
        (1, Kind.ERROR, 38, [4], 6),
        (GAP, Kind.ERROR, 0, [0], 7),
        (GAP, Kind.ERROR, 0, [0], 8),
        (1, output, 0, [20, 1], 9),
        (1, output, 21, [1], 11),
    ]
