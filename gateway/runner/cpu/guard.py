"""The per-line guard: one of the two places that may catch Exception.

A defect of ours that shows on one line must cost that line alone. It becomes a 500 error line
``internal_error``; type and place are counted and logged, never the content.
"""

import traceback
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

Given = TypeVar("Given")

MESSAGE: Final = "The gateway failed on this line; the other lines of the batch are not affected."


class Guard:
    """Runs per-line code and counts what went wrong, by type and place."""

    def __init__(self) -> None:
        self.caught: Counter[str] = Counter()

    def call(self, work: Callable[..., Given], *given: object) -> Given | None:
        """Return the result; None when the line must become an ``internal_error``."""
        try:
            return work(*given)
        except Exception as error:  # noqa: BLE001 - the guard named in the module's first line
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{type(error).__name__} at {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
            self.caught[place] += 1
            return None
