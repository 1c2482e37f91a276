"""Errors of one input file: the entries of a failed batch's ``errors``, equal ones counted.

The first :data:`LISTED` lines with equal code, message and param have an entry each, as at OpenAI;
one entry without a line counts the others. So 5,000 lines with one wrong model are 11 entries, not
265 KB in every answer to a GET of the batch. Faults of JSON that differ in their position alone are
equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.batches.batch import BatchError
from gateway.units import counted
from gateway.wire.json_faults import without_place

INVALID_JSON: Final = "invalid_json_line"
LISTED: Final = 10  # lines with an entry of their own; of the others as many are named


@dataclass(slots=True)
class _Others:
    """Lines with an error that is listed often enough: how many, and the first of them."""

    count: int = 0
    lines: list[int] = field(default_factory=list)


class Complaints:
    """Collects errors up to ``most`` entries, and counts what is beyond."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = most
        self._listed: list[BatchError] = []
        self._seen: dict[BatchError, int] = {}
        self._others: dict[BatchError, _Others] = {}
        self._unlisted = 0

    def __bool__(self) -> bool:
        return bool(self._listed)

    def add(self, error: BatchError) -> None:
        """Take one error."""
        told = without_place(error.message) if error.code == INVALID_JSON else error.message
        kind = BatchError(error.code, told, error.param)
        if error.line is not None and self._seen.get(kind, 0) >= LISTED:
            others = self._others.setdefault(kind, _Others())
            others.count += 1
            if len(others.lines) < LISTED:
                others.lines.append(error.line)
        elif self._room:
            self._room -= 1
            self._listed.append(error)
            self._seen[kind] = self._seen.get(kind, 0) + 1
        else:
            self._unlisted += 1

    def add_all(self, errors: Iterable[BatchError], unlisted: int = 0) -> None:
        """Take those of another look at the file, and count ``unlisted`` more.

        The first ``most`` of each look are kept, because the entries are the first of all lines.
        """
        self._room = self._most
        for error in errors:
            self.add(error)
        self._unlisted += unlisted

    def entries(self) -> list[BatchError]:
        """Give the entries in the order of their lines, what is counted at the end."""
        listed = sorted(self._listed, key=lambda error: error.line or 0)
        entries = listed[: self._most]
        entries += [_counted(kind, others) for kind, others in self._others.items()]
        unlisted = self._unlisted + len(listed[self._most :])
        if unlisted:
            text = f"Not listed: {counted(unlisted, 'more error')}."
            entries.append(BatchError("too_many_errors", text))
        return entries


def _counted(kind: BatchError, others: _Others) -> BatchError:
    lines = ", ".join(map(str, others.lines))
    more = " and others" if others.count > len(others.lines) else ""
    noun = "line has" if others.count == 1 else "lines have"
    return replace(
        kind, message=f"{others.count:,} more {noun} this error: {lines}{more}. {kind.message}"
    )
