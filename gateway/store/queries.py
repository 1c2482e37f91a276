"""The statements of ``sql/*.sql``, by name; what an engine says otherwise is in its own folder.

::

    -- name: owned_file
    SELECT * FROM files WHERE owner = :owner AND id = :id;

``$live`` means the live statuses of a batch as literals. Parameters in their place would keep
SQLite from its partial indexes (https://www.sqlite.org/partialindex.html); a view could not be
updated there, and a subquery in a guarded UPDATE would be judged by an old snapshot in PostgreSQL.

``CAST(:state AS text)`` is ``:state``, but that SQLite does not look at its value when it plans. A
parameter that is compared with a column of which a partial index names a value, or that is given to
``LIKE``, has the statement planned again each time it is carried out, for 0.3 ms.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from gateway.batches.batch import LIVE_STATUSES, BatchStatus

_HEADER: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
# In the order of the enum, which is that of the indexes: SQLite compares the lists as they are.
_LIVE: Final = ", ".join(f"'{status}'" for status in BatchStatus if status in LIVE_STATUSES)


def parse_queries(text: str) -> Iterator[tuple[str, str]]:
    """Split a file at its headers into names and statements."""
    _, *parts = _HEADER.split(text)
    for name, statement in zip(parts[::2], parts[1::2], strict=True):
        yield name, statement.strip().replace("$live", _LIVE)


@functools.cache
def load_queries(engine: str) -> Mapping[str, str]:
    """Return what both engines say alike, and the engine's own; read once in a process."""
    folder = files("gateway.store").joinpath("sql")
    entries = [*folder.iterdir(), *folder.joinpath(engine).iterdir()]
    return MappingProxyType(
        collect_queries(
            entry.read_text(encoding="utf-8") for entry in entries if entry.name.endswith(".sql")
        )
    )


def collect_queries(texts: Iterable[str]) -> Mapping[str, str]:
    """Return the statements of several files; a name given twice is a mistake."""
    queries: dict[str, str] = {}
    for text in texts:
        for name, statement in parse_queries(text):
            if name in queries:
                raise ValueError(f"query {name} is defined twice")
            queries[name] = statement
    return queries
