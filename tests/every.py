"""One test over a table: every row is tried in one item, and each that fails is named.

An item a row costs a millisecond of collecting in every process of a parallel run, which is more
than most rows take: a table of thousands is one item, or one for each ``group``.
"""

import functools
import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self

import pytest

# Tracebacks that are shown; the names of all rows that failed are.
SHOWN: Final = 5


def every(
    names: str, rows: Iterable[Any], group: Callable[[Any], str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Call the test with each row, as ``pytest.mark.parametrize(names, rows)`` would.

    ``rows`` are made by :func:`pytest.param` with an id. The rows of an item share its fixtures.
    """
    asked = names.split(", ")
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(group(row) if group else "every", []).append(row)

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        whole = (_awaiting if inspect.iscoroutinefunction(test) else _calling)(test, asked, groups)
        parameters = inspect.signature(test).parameters
        kept = [parameter for name, parameter in parameters.items() if name not in asked]
        chosen = inspect.Parameter("rows", inspect.Parameter.KEYWORD_ONLY)
        setattr(whole, "__signature__", inspect.Signature([*kept, chosen]))  # noqa: B010
        marked: Callable[..., Any] = pytest.mark.parametrize("rows", list(groups))(whole)
        return marked

    return decorate


def in_one_item(test: Callable[..., Any]) -> Callable[..., Any]:
    """Make rows of :func:`every` of the cases of the ``pytest.mark.parametrize`` below it.

    For a table whose cases leave a fixture as they found it. Errors: ValueError for a case that is
    marked itself, and for a test with marks of another kind: no row could have them.
    """
    marks: list[pytest.Mark] = vars(test).pop("pytestmark")
    if any(mark.name != "parametrize" for mark in marks):
        raise ValueError(f"{test.__name__} has marks that its rows cannot have")
    names = [name for mark in marks for name in _names(mark)]
    columns = [list(_cases(mark)) for mark in marks]
    rows = [
        pytest.param(
            *(value for case in cases for value in case.values),
            id="-".join(str(case.id) for case in cases),
        )
        for cases in itertools.product(*columns)
    ]
    return every(", ".join(names), rows)(test)


def _names(mark: pytest.Mark) -> list[str]:
    named = mark.args[0]
    return [name.strip() for name in named.split(",")] if isinstance(named, str) else list(named)


def _cases(mark: pytest.Mark) -> Iterator[Any]:
    """Yield what parametrize is told as parameters with an id each."""
    ids = mark.kwargs.get("ids")
    alone = len(_names(mark)) == 1
    for at, given in enumerate(mark.args[1]):
        if hasattr(given, "marks"):
            case = given
        else:
            case = pytest.param(given) if alone else pytest.param(*given)
        if case.marks:
            raise ValueError(f"a row has no marks: {case}")
        if ids is None or callable(ids):
            named = "-".join(str((ids or repr)(value)) for value in case.values)
        else:
            named = str(list(ids)[at])
        yield pytest.param(*case.values, id=case.id or named)


def _calling(
    test: Callable[..., None], asked: list[str], groups: dict[str, list[Any]]
) -> Callable[..., None]:
    # ``own`` is the instance, where the test is a method.
    @functools.wraps(test)
    def whole(*own: Any, rows: str, **fixtures: Any) -> None:
        failures = Failures()
        for row in groups[rows]:
            with failures.of(row.id):
                test(*own, **dict(zip(asked, row.values, strict=True)), **fixtures)
        failures.show(len(groups[rows]))

    return whole


def _awaiting(
    test: Callable[..., Awaitable[None]], asked: list[str], groups: dict[str, list[Any]]
) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def whole(*own: Any, rows: str, **fixtures: Any) -> None:
        failures = Failures()
        for row in groups[rows]:
            with failures.of(row.id):
                await test(*own, **dict(zip(asked, row.values, strict=True)), **fixtures)
        failures.show(len(groups[rows]))

    return whole


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
