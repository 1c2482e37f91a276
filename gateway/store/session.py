"""A session: named statements on one connection, as transactions over records need it.

The bodies of transactions (``batches.py``, ``jobs.py`` ...) are coroutines over a session. On
SQLite none of them ever waits, so a thread carries one from its beginning to its end; on
PostgreSQL they wait in the event loop.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

Row = Mapping[str, Any]


class Session(Protocol):
    """A connection, inside a transaction."""

    async def run(self, query: str, values: Mapping[str, object] | None = None) -> int:
        """Execute for its effect; how many rows it changed."""
        ...

    async def one(self, query: str, values: Mapping[str, object] | None = None) -> Row | None:
        """Return the first row."""
        ...

    async def the(self, query: str, values: Mapping[str, object] | None = None) -> Row:
        """Return the one row that must be there."""
        row = await self.one(query, values)
        if row is None:
            raise LookupError(f"query {query} found no row")
        return row

    async def all(self, query: str, values: Mapping[str, object] | None = None) -> Sequence[Row]:
        """Return every row."""
        ...

    async def number_in_order(self, owner: str) -> None:
        """Let what is inserted for an owner be numbered in the order in which it is committed.

        Who reads a list forwards would else pass over a row whose transaction ends later than that
        of a higher number.
        """
        ...

    async def ring(self) -> None:
        """Wake the other processes that serve these records, if there may be any."""
        ...


Work = Callable[[Session], Awaitable[T]]


class Engine(Protocol):
    """A database that carries out transactions."""

    async def open(self, now: int) -> None:
        """Bring the schema up to date and connect."""
        ...

    async def close(self) -> None:
        """Finish pending writes and disconnect."""
        ...

    async def listen(self, heard: Callable[[], None]) -> None:
        """Call ``heard`` when another process has rung; for ever."""
        ...

    async def read(self, work: Work[T]) -> T:
        """Carry out one statement that reads."""
        ...

    async def snapshot(self, work: Work[T]) -> T:
        """Carry out several that read, and see the same moment."""
        ...

    async def erase(self) -> bool:
        """Leave nothing of deleted rows in files of ours; False when it is to be tried again."""
        ...

    async def once(self, work: Work[T]) -> T:
        """Carry out one statement that writes, and is right by its own conditions alone."""
        ...

    async def write(self, work: Work[T]) -> T:
        """Carry out a transaction as if it were alone; it is durable when this returns.

        ``work`` has no other effect than its statements: it may be carried out again.
        """
        ...
