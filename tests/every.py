"""One test over a table: every row is tried in one item, and each that fails is named.

An item a row costs a millisecond of collecting in every process of a parallel run, which is more
than most rows take: a table of thousands is one item, or one for each ``group``.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self

import pytest

# Tracebacks that are shown; the names of all rows that failed are.
SHOWN: Final = 5


def every(
    names: str, rows: Iterable[Any], group: Callable[[Any], str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call the test with each row, as ``pytest.mark.parametrize(names, rows)`` would.

    ``rows`` are made by :func:`pytest.param` with an id. The rows of an item share its fixtures.
    """
    asked = names.split(", ")
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(group(row) if group else "every", []).append(row)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def whole(*, rows: str, **fixtures: Any) -> None:
            failures = Failures()
            for row in groups[rows]:
                with failures.of(row.id):
                    test(**dict(zip(asked, row.values, strict=True)), **fixtures)
            failures.show(len(groups[rows]))

        parameters = inspect.signature(test).parameters
        kept = [parameter for name, parameter in parameters.items() if name not in asked]
        chosen = inspect.Parameter("rows", inspect.Parameter.KEYWORD_ONLY)
        setattr(whole, "__signature__", inspect.Signature([*kept, chosen]))  # noqa: B010
        marked: Callable[..., None] = pytest.mark.parametrize("rows", list(groups))(whole)
        return marked

    return decorate


class Failures:
    """What failed of many rows: a failure does not end the rows after it."""

    def __init__(self) -> None:
        self._errors: dict[str, Exception] = {}
        self._name = ""

    def of(self, name: str) -> Self:
        """Name the row that the block tries."""
        self._name = name
        return self

    def __enter__(self) -> None:
        """Begin a row."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Keep an error; an interruption or a skip is none."""
        if not isinstance(error, Exception):
            return False
        error.add_note(f"row: {self._name}")
        self._errors[self._name] = error
        return True

    def show(self, tried: int) -> None:
        """Fail if any row did, naming each."""
        if self._errors:
            named = "\n".join(self._errors)
            first = list(self._errors.values())[:SHOWN]
            raise ExceptionGroup(f"{len(self._errors)} of {tried} rows failed:\n{named}\n", first)
