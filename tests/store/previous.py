"""Statements of the version before this one, recorded: it may run beside this one for a while.

``python -m tests.store.previous CHECKOUT`` records those of a checkout of that version (``git
worktree add`` makes one): to be done when a version is released.
"""

import sys
from pathlib import Path
from typing import Final

import orjson

from gateway.store.queries import collect_queries

RECORD: Final = Path(__file__).with_name("previous.json")


def recorded() -> tuple[str, dict[str, str]]:
    """The newest migration that the version had, and its statements on PostgreSQL."""
    record = orjson.loads(RECORD.read_bytes())
    return record["schema"], record["statements"]


def main(checkout: str) -> None:
    """Record."""
    store = Path(checkout) / "gateway" / "store"
    paths = [*(store / "sql").glob("*.sql"), *(store / "sql" / "postgres").glob("*.sql")]
    statements = collect_queries(path.read_text() for path in sorted(paths))
    newest = max(path.name for path in (store / "migrations").glob("*.sql"))
    record = {"schema": newest, "statements": dict(sorted(statements.items()))}
    RECORD.write_bytes(orjson.dumps(record, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
