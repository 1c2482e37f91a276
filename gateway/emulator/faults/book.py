"""Books of armed faults: how often each was asked and struck, with seeded dice."""

import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from random import Random  # noqa: TID251 - seeded, so that a run of faults can be repeated

from gateway.emulator.faults.table import Fault, describe
from gateway.emulator.protocol.clock import SECOND


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.applied = 0
        self._first_ns: int | None = None

    def strikes(self, random: Random, now_ns: int) -> bool:
        """Count an occasion; whether the fault happens on it."""
        if self.fault.times is not None and self.applied >= self.fault.times:
            return False
        if self._first_ns is not None and self._is_over(now_ns - self._first_ns):
            return False
        self.seen += 1
        if self.seen <= self.fault.skip or random.random() >= self.fault.probability:
            return False
        self.applied += 1
        if self._first_ns is None:
            self._first_ns = now_ns
        return True

    def _is_over(self, age_ns: int) -> bool:
        return self.fault.lasts and age_ns >= self.fault.seconds * SECOND


class FaultBook:
    """The armed faults, their counts and their dice; safe from any thread."""

    def __init__(
        self, faults: Iterable[Fault] = (), seed: int = 0, now_ns: Callable[[], int] = int
    ) -> None:
        self._lock = threading.Lock()
        self._now_ns = now_ns
        self._seed = seed
        self._armed = [_Armed(fault) for fault in faults]

    @cached_property
    def _dice(self) -> Random:
        """Made when they are first needed: every job has a book, few of them a fault."""
        return Random(self._seed)  # noqa: S311 - dice, not secrets

    def arm(self, fault: Fault) -> None:
        """Add a fault; those armed earlier are asked first."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Disarm everything."""
        with self._lock:
            self._armed.clear()

    def take(self, name: str, operation: str = "any", model: str = "") -> Fault | None:
        """Count one occasion for ``name``; the fault that happens on it, if any."""
        with self._lock:
            for armed in self._armed:
                fault = armed.fault
                if fault.name != name or fault.model not in {"", model}:
                    continue
                if operation != "any" and not fault.hits(operation, model):
                    continue
                if armed.strikes(self._dice, self._now_ns()):
                    return fault
        return None

    def report(self) -> list[dict[str, object]]:
        """Every armed fault with how often it was asked and applied."""
        with self._lock:
            return [
                {**describe(armed.fault), "seen": armed.seen, "applied": armed.applied}
                for armed in self._armed
            ]


# (name of a fault, operation) -> the fault that happens now, if any.
Take = Callable[[str, str], Fault | None]


def take_from(*books: FaultBook, model: str = "") -> Take:
    """Ask several books, one after the other, about calls of a model."""

    def take(name: str, operation: str = "any") -> Fault | None:
        for book in books:
            if fault := book.take(name, operation, model):
                return fault
        return None

    return take
