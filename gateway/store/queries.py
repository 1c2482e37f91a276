"""The statements of ``sql/*.sql``, by name.

::

    -- name: owned_file
    SELECT * FROM files WHERE owner = :owner AND id = :id;
"""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files

_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def parse_queries(text: str) -> Iterator[tuple[str, str]]:
    """Split a file at its headers into names and statements."""
    _, *parts = _HEADER.split(text)
    for name, statement in zip(parts[::2], parts[1::2], strict=True):
        yield name, statement.strip()


def load_queries() -> Mapping[str, str]:
    """Every statement; a name that stands twice is a mistake."""
    queries: dict[str, str] = {}
    for entry in files("gateway.store").joinpath("sql").iterdir():
        for name, statement in parse_queries(entry.read_text(encoding="utf-8")):
            if name in queries:
                raise ValueError(f"query {name} is defined twice")
            queries[name] = statement
    return queries
