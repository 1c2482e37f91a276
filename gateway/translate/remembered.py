"""Remembered: a cache that is bounded by bytes, so that no line can make it large.

A number of entries is no bound: options of a line may have 64 KiB, and what is made of them more.
Two generations stand in for the order of use: what is asked for moves to the new one, and when
that is half full the old one goes as a whole. A look costs one look into a dict.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values that are never None, by key; together of about ``room`` bytes, as they are told.

    ``new`` is the new generation, for a look where every call counts: what it lacks,
    :meth:`get` may have.
    """

    def __init__(self, room: int) -> None:
        self._half = room // 2
        self.cache_clear()

    def cache_clear(self) -> None:
        """Forget everything; named as functools does."""
        self.new: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}
        self._sizes: dict[Key, int] = {}
        self._old_sizes: dict[Key, int] = {}
        self._used = 0

    def __len__(self) -> int:
        return len(self.new) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """Return what is remembered."""
        found = self.new.get(key)
        if found is None and self._old:
            found = self._old.pop(key, None)
            if found is not None:
                self.keep(key, found, self._old_sizes.pop(key, 0))
        return found

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Remember a value of so many bytes; what is larger than half of the room is not kept."""
        if size > self._half:
            return
        if self._used + size > self._half:
            # Whole dicts change places: several threads translate, and none goes through them.
            self._old, self.new = self.new, {}
            self._old_sizes, self._sizes = self._sizes, {}
            self._used = 0
        self._old.pop(key, None)
        self.new[key] = value
        self._sizes[key] = size
        self._used += size

    def grew(self, key: Key, size: int) -> None:
        """Count bytes that a value has more by now."""
        if key in self.new:
            self._sizes[key] += size
            self._used += size
