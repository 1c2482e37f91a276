"""Samples of what a process has, taken on a thread while a block runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@contextmanager
def sampled(look: Callable[[], None], seconds: float = 0.02) -> Iterator[None]:
    """Call ``look`` before the block, after it, and every so many seconds while it runs."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            look()

    look()
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    look()


@dataclass
class Highest:
    """The highest value that was seen."""

    value: int = 0


@contextmanager
def highest(measure: Callable[[], int], seconds: float = 0.02) -> Iterator[Highest]:
    """Keep the highest of what ``measure`` returns while the block runs."""
    seen = Highest()

    def look() -> None:
        seen.value = max(seen.value, measure())

    with sampled(look, seconds):
        yield seen
