"""Tables tried in one item: nothing is skipped, and what fails is named."""

import asyncio

import pytest

from tests.every import every, in_one_item

ROWS = [pytest.param(number, id=f"row {number}") for number in range(8)]


def test_each_row_that_fails_is_named() -> None:
    """The rows after it are tried too."""
    tried = []

    @every("number", ROWS)
    def test(number: int) -> None:
        tried.append(number)
        assert number % 2, number

    with pytest.raises(ExceptionGroup, match="4 of 8 rows failed:\nrow 0\nrow 2\nrow 4\nrow 6\n"):
        test(rows="every")
    assert tried == list(range(8))


def test_all_tracebacks_would_be_too_many() -> None:
    """Names are whole, and the first few say why, each with its row."""

    @every("number", ROWS)
    def test(number: int) -> None:
        raise ValueError(number)

    with pytest.raises(ExceptionGroup) as raised:
        test(rows="every")
    assert "row 7" in str(raised.value)
    assert raised.value.exceptions[1].__notes__ == ["row: row 1"]
    assert len(raised.value.exceptions) == 5


def test_an_interruption_ends_it() -> None:
    """Only what a row does wrong is kept for later."""

    @every("number", ROWS)
    def test(number: int) -> None:
        raise KeyboardInterrupt(number)

    with pytest.raises(KeyboardInterrupt):
        test(rows="every")


@every("number", ROWS, group=lambda row: f"rest {row.values[0] % 2}")
def test_groups_are_items(number: int, request: pytest.FixtureRequest) -> None:
    """Named by their group, with the fixtures of any test."""
    assert request.node.name == f"test_groups_are_items[rest {number % 2}]"


async def test_a_row_is_awaited() -> None:
    """What a coroutine asserts is not lost in it."""

    @every("number", ROWS)
    async def test(number: int) -> None:
        await asyncio.sleep(0)
        assert number % 2, number

    with pytest.raises(ExceptionGroup, match="4 of 8 rows failed:\nrow 0\nrow 2\nrow 4\nrow 6\n"):
        await test(rows="every")


class TestMethods:
    """A row has the instance, as any method."""

    @every("number", ROWS)
    def test_a_method(self, number: int) -> None:
        """Called on it."""
        assert isinstance(self, TestMethods)
        assert number in range(8)


def test_every_case_of_parametrize_is_a_row() -> None:
    """Each of one table with each of the other, named as they are."""
    tried = []

    @in_one_item
    @pytest.mark.parametrize("letter", [pytest.param("x", id="the x"), "y"])
    @pytest.mark.parametrize(("number", "half"), [(2, 1), (4, 2)], ids=["two", "four"])
    def test(letter: str, number: int, half: int, more: str) -> None:
        tried.append((letter, number, half, more))
        assert letter != "x"

    with pytest.raises(ExceptionGroup, match="2 of 4 rows failed:\ntwo-the x\nfour-the x\n"):
        test(rows="every", more="given")
    assert tried == [(one, 2 * half, half, "given") for half in (1, 2) for one in ("x", "y")]


@pytest.mark.parametrize("mark", [pytest.mark.xfail, pytest.mark.slow])
def test_no_row_loses_a_mark(mark: pytest.MarkDecorator) -> None:
    """Neither its own nor one of its test."""
    for row, marks in ((pytest.param(1, marks=mark), []), (1, [mark])):

        def test(number: int) -> None:
            raise AssertionError(number)

        for one in (pytest.mark.parametrize("number", [row]), *marks):
            test = one(test)
        with pytest.raises(ValueError, match="marks"):
            in_one_item(test)
