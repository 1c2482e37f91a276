"""Connections that a process has file descriptors for: some are kept back from clients.

Batches need descriptors too, for spools, results, workers and calls to Google, and so does a probe.
With all of them held by connections, uploads were reset without an answer (reports/attacks.md,
A22). So clients have their share, and beyond it the connection that has been idle for longest makes
room, as in nginx. Where none is idle, a probe is answered and everything else is told to come back.
"""

import resource
from typing import Final, Protocol

# What steps, workers, transfers and calls to Google need at their most.
OWN_DESCRIPTORS: Final = 512
# Connections that wait to be accepted. The event loop accepts all that wait in one go.
BACKLOG: Final = 2048
# Where the system sets no limit, as far as this is concerned.
_UNLIMITED: Final = 1_000_000


class Closable(Protocol):
    """A connection that can be closed to make room."""

    def make_room(self) -> None:
        """Close it."""


def backlog() -> int:
    """Count the connections that may wait to be accepted: no more than are kept back for them."""
    return max(1, min(BACKLOG, descriptors() // 8))


def share_of_clients() -> int:
    """Count the connections that may be open before the idle ones must make room."""
    limit = descriptors()
    return max(1, limit - min(OWN_DESCRIPTORS, limit // 2) - 2 * backlog())


def descriptors() -> int:
    """Count the descriptors that the process may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if limit == resource.RLIM_INFINITY else limit


class Connections:
    """Those that are open in this process, and which of them are idle, longest first."""

    def __init__(self) -> None:
        self._open: set[Closable] = set()
        self._idle: dict[Closable, None] = {}

    def opened(self, connection: Closable) -> None:
        """Count a connection, which is idle at first; the longest idle makes room for it.

        That one counts no more from here on, although the event loop closes it a moment later:
        until then the one that it gave way to would look like one too many, and get 503.
        """
        if len(self._open) >= share_of_clients() and self._idle:
            longest = next(iter(self._idle))
            self.closed(longest)
            longest.make_room()
        self._open.add(connection)
        self._idle[connection] = None

    def closed(self, connection: Closable) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)

    def rests(self, connection: Closable, *, idle: bool) -> None:
        """Note whether a connection waits for its client's next request."""
        if not idle:
            self._idle.pop(connection, None)
        elif connection in self._open:
            self._idle.setdefault(connection)

    @property
    def crowded(self) -> bool:
        """Whether more are open than clients may have, all of them with a request."""
        return len(self._open) > share_of_clients()

    @property
    def full(self) -> bool:
        """Whether not even a probe may come in."""
        return len(self._open) > share_of_clients() + backlog()
