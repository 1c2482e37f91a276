"""Journal of what the emulator accepted, in order: the evidence of tests that count paid jobs."""

import threading
from collections import deque
from typing import Any

from gateway.emulator.protocol.clock import EmulatorClock, stamp

JsonObject = dict[str, Any]


class Journal:
    """A list of entries ``{"seq", "at", "kind", ...}``; safe from any thread.

    Kinds: ``create`` (a job was accepted, whatever was answered), ``cancel``, ``delete``,
    ``update``, ``upload`` (a file was finished), ``upload-start``, ``upload-chunk``, ``download``,
    ``file-delete``, ``register``, ``cache``, ``generate``, ``stream``, ``count``, ``embed``,
    ``fault`` (one was applied to a call), ``webhook`` (one was sent). No prompt is noted. Of more
    than ``limit`` the oldest are forgotten; ``seq`` goes on, so a gap can be seen.
    """

    def __init__(self, clock: EmulatorClock, limit: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: deque[JsonObject] = deque(maxlen=limit)
        self._next = 1

    def note(self, kind: str, **details: object) -> None:
        """Append one entry; ``details`` must be JSON values."""
        with self._lock:
            entry = {"seq": self._next, "at": stamp(self._clock.now_ns()), "kind": kind, **details}
            self._next += 1
            self._entries.append(entry)

    def entries(self, kind: str = "", since: int = 0) -> list[JsonObject]:
        """Return copies of entries with ``seq`` above ``since``, of one kind if given."""
        with self._lock:
            return [
                dict(entry)
                for entry in self._entries
                if entry["seq"] > since and kind in {"", entry["kind"]}
            ]

    def clear(self) -> None:
        """Forget everything; numbering goes on."""
        with self._lock:
            self._entries.clear()
