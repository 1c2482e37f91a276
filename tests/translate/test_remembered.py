"""A cache holds so many bytes, whatever it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate.remembered import Remembered


def test_what_is_asked_for_stays() -> None:
    """What is not asked for goes first."""
    cache = Remembered[str, str](400)
    cache.keep("used", "a", 50)
    cache.keep("idle", "b", 50)
    for number in range(50):
        cache.keep(str(number), "x", 50)
        assert cache.get("used") == "a"
    assert cache.get("idle") is None
    assert cache.get("49") == "x"
    assert cache.get("0") is None


@pytest.mark.parametrize(("size", "found"), [(199, "x"), (200, "x"), (201, None)])
def test_what_is_too_large_is_not_kept(size: int, found: str | None) -> None:
    """One value may take half of the room."""
    cache = Remembered[str, str](400)
    cache.keep("a", "x", size)
    assert cache.get("a") == found


def test_what_grows_makes_room() -> None:
    """Bytes that come later count like those at first."""
    cache = Remembered[str, str](400)
    cache.keep("a", "x", 10)
    cache.grew("a", 190)
    cache.grew("unknown", 10_000)
    cache.keep("b", "y", 10)
    assert cache.get("b") == "y"
    assert cache.get("a") == "x"  # moved, at its new size
    cache.keep("c", "z", 10)
    assert cache.get("a") == "x"
    assert cache.get("b") is None


def test_a_value_may_be_replaced() -> None:
    """The newer one counts, also when the older one is of the generation before."""
    cache = Remembered[str, str](100)
    cache.keep("a", "x", 40)
    cache.keep("b", "y", 40)
    cache.keep("a", "z", 5)
    assert cache.get("a") == "z"
    cache.cache_clear()
    assert cache.get("a") is None
    assert len(cache) == 0


def test_a_generation_takes_half_of_the_room_to_the_byte() -> None:
    """The first and each later one."""
    cache = Remembered[str, str](100)
    for names, sizes in ((("a", "b"), (20, 30)), (("c", "d"), (1, 49)), (("e", "f"), (50, 1))):
        for name, size in zip(names, sizes, strict=True):
            cache.keep(name, name, size)
        assert len(cache.new) == (1 if names[0] == "e" else 2)
    assert len(cache) == 2  # what was before the last two generations is gone


def test_what_is_kept_again_counts_once() -> None:
    """Though it was of the generation before."""
    cache = Remembered[str, str](100)
    for name in "abc":
        cache.keep(name, name, 25)
    assert len(cache) == 3
    cache.keep("a", "again", 5)
    assert len(cache) == 3
    assert cache.get("a") == "again"


def test_bytes_that_come_later_add_up() -> None:
    """With those of all values of the generation."""
    cache = Remembered[str, str](100)
    cache.keep("a", "x", 20)
    cache.keep("b", "y", 10)
    cache.grew("a", 15)
    cache.keep("c", "z", 6)
    assert list(cache.new) == ["c"]


def test_generations_may_change_while_a_value_is_looked_for() -> None:
    """Several threads translate: its size is gone then, and it is counted as nothing."""
    cache = Remembered[object, str](100)

    class Key:
        """A key that is compared while another thread fills the cache."""

        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            if isinstance(other, int):
                cache.keep("c", "z", 50)
                cache.keep("d", "z", 50)
            return True

    cache.keep(7, "x", 40)
    cache.keep("b", "y", 20)
    assert cache.get(Key()) == "x"
    assert list(cache.new.values()) == ["z", "x"]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 120)), max_size=200))
def test_it_never_holds_more_than_its_room(steps: list[tuple[int, int]]) -> None:
    """Whatever is kept and asked for."""
    cache = Remembered[int, int](200)
    sizes: dict[int, int] = {}
    for key, size in steps:
        if cache.get(key) is None:
            cache.keep(key, size, size)
            sizes[key] = size
        held = [one for one in sizes if one in cache.new or one in cache._old]
        assert sum(sizes[one] for one in held) <= 200
