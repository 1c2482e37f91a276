"""Tables tried in one item: nothing is skipped, and what fails is named."""

import pytest

from tests.every import every

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
