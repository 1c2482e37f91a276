"""Runs: rendered lines and notes, with an index of fixed records, and the audit before publishing.

An index record is ``line u32, kind u8, offset u64, length u32``, little-endian, ascending by line.
"""

import heapq
import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from gateway.errors import AuditError

RECORD: Final = struct.Struct("<IBQI")


class Kind(IntEnum):
    """Kind of a rendered line."""

    OUTPUT = 1  # an answer: output file, counted as completed
    ERROR = 2  # an HTTP-level error: error file, counted as failed
    # Never executed (cancelled, expired): error file, in ``total`` only, as OpenAI counts them
    # (seen live: total 8, completed 4, failed 0).
    UNSERVED = 3
    # What is noted about the line: entries of the warnings file.
    NOTES = 4


# Compared with each record: to look a member of an enum up takes as long as all the rest.
_NOTES: Final = int(Kind.NOTES)


class Entry(NamedTuple):
    """One index record."""

    line: int
    kind: int
    offset: int
    length: int


class Stretch(NamedTuple):
    """Lines of one kind that follow each other, in the order of the input and in their run."""

    run: int
    kind: int
    offset: int
    lengths: Sequence[int]
    line: int  # the first


def unpack(block: bytes) -> Iterator[Entry]:
    """Return the records of a block whose length is a multiple of the record's."""
    return map(Entry._make, RECORD.iter_unpack(block))


def merged(indexes: Sequence[Iterable[Entry]]) -> Iterator[tuple[int, Entry]]:
    """Yield all records by line, each with the number of its run."""
    if len(indexes) == 1:  # as of most batches
        return zip(itertools.repeat(0), indexes[0], strict=False)
    numbered = [_numbered(run, index) for run, index in enumerate(indexes)]
    return heapq.merge(*numbered, key=lambda pair: pair[1].line)


def _numbered(run: int, index: Iterable[Entry]) -> Iterator[tuple[int, Entry]]:
    return ((run, entry) for entry in index)


def single(entries: Iterable[tuple[int, Entry]], lines: int) -> Iterator[tuple[int, Entry]]:
    """Pass one record of each of lines 1 to ``lines`` on: a success wins, then the first.

    And the notes about it, but for those of a run whose record of the line was left out.
    """
    for line, group in itertools.groupby(entries, key=lambda pair: pair[1].line):
        found = list(group)
        told = [pair for pair in found if pair[1].kind != Kind.NOTES]
        if not told or not 1 <= line <= lines:
            continue
        best = min(told, key=lambda pair: pair[1].kind != Kind.OUTPUT)
        yield best
        left_out = {run for run, _ in told} - {best[0]}
        yield from (
            pair for pair in found if pair[1].kind == Kind.NOTES and pair[0] not in left_out
        )


GAP: Final = -1  # the run of a line that is in no run


def gaps_filled(entries: Iterable[tuple[int, Entry]], lines: int) -> Iterator[tuple[int, Entry]]:
    """Pass the records on, and one for each of lines 1 to ``lines`` that none has."""
    expected = 1
    for run, entry in entries:
        if entry.kind != Kind.NOTES:
            for line in range(expected, min(entry.line, lines + 1)):
                yield GAP, Entry(line, Kind.ERROR, 0, 0)
            expected = max(expected, entry.line + 1)
        yield run, entry
    for line in range(expected, lines + 1):
        yield GAP, Entry(line, Kind.ERROR, 0, 0)


def audited(entries: Iterable[tuple[int, Entry]], lines: int) -> Iterator[tuple[int, Entry]]:
    """Pass the records on while they are exactly lines 1 to ``lines``, once each, and their notes.

    Errors: AuditError naming the first line that is missing or comes twice.
    """
    expected = 1
    for pair in entries:
        line, kind, _, _ = pair[1]
        if kind == _NOTES:
            yield pair
            continue
        if line != expected:
            what = "comes twice" if line < expected else f"follows {expected - 1}"
            raise AuditError(f"line {line} {what}")
        expected += 1
        yield pair
    if expected != lines + 1:
        raise AuditError(f"{expected - 1} of {lines} lines are there")


def stretches(entries: Iterable[tuple[int, Entry]], most_bytes: int) -> Iterator[Stretch]:
    """Put together what can be read at once, up to so many bytes and one line more.

    Notes, and lines that no run has, are each alone.
    """
    run = kind = offset = first = end = 0
    lengths: list[int] = []
    for number, (line, its_kind, place, length) in entries:
        follows = place == end and number == run and its_kind == kind
        alone = kind == _NOTES or run == GAP
        if lengths and (alone or not follows or end - offset >= most_bytes):
            yield Stretch(run, kind, offset, lengths, first)
            lengths = []
        if not lengths:
            run, kind, offset, first = number, its_kind, place, line
        lengths.append(length)
        end = place + length
    if lengths:
        yield Stretch(run, kind, offset, lengths, first)
