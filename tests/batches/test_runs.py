"""Runs: packing, merging, and the audit that stands before every publication."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.runs import RECORD, Entry, Kind, audited, merged, unpack
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
