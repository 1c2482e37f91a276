"""Parts: where the results of lines with several items are, while their job is collected.

Only places are kept, so memory does not grow with the answers.
"""

import os
from array import array
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from gateway.translate import Answer
from gateway.wire.gemini_results import Loads, Result, parse_result

NOTHING: Final = 0
FAILED: Final = 1
SERVED: Final = 2


class Parts:
    """Results by item, in the file of this job or in that of its predecessors."""

    def __init__(self, items: int, loads: Loads | None, files: ExitStack) -> None:
        self._loads = loads
        self._files = files
        self._open: dict[Path, int] = {}
        self._states = bytearray(items)
        self._sources = array("i", bytes(4 * items))
        self._held = bytearray(items)
        self._offsets = array("Q", bytes(8 * items))
        self._lengths = array("I", bytes(4 * items))

    def keep(self, item: int, state: int, result: Result, path: Path, *, held: bool) -> bool:
        """Remember a result unless a better one is there; False if there was one at all."""
        fresh = self._states[item] == NOTHING
        if self._states[item] < state:
            self._states[item] = state
            self._sources[item] = self._descriptor(path)
            self._held[item] = held
            self._offsets[item] = result.offset
            self._lengths[item] = result.length
        return fresh

    def _descriptor(self, path: Path) -> int:
        if path not in self._open:
            file = self._files.enter_context(path.open("rb", buffering=0))
            self._open[path] = file.fileno()
        return self._open[path]

    def answer(self, item: int, *, held: bool = False) -> Answer | None:
        """Return an item's answer, if there is one; with ``held``, if a predecessor brought it."""
        if self._states[item] == NOTHING or (held and not self._held[item]):
            return None
        return parse_result(self._text(item), self._loads)[1]

    def _text(self, item: int) -> bytes:
        return os.pread(self._sources[item], self._lengths[item], self._offsets[item])

    def hold(self, items: Iterable[int], path: Path) -> None:
        """Add these results to a file for the follow-up."""
        texts = [self._text(item) for item in items]
        if texts:
            with path.open("ab") as file:
                file.writelines(text.rstrip(b"\n") + b"\n" for text in texts)
