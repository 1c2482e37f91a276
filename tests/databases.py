"""Databases of the newest version, made once a process: to migrate takes longer than most tests."""

import functools
import tempfile
from pathlib import Path

from gateway.store.migrate import migrate, read_migrations
from gateway.store.queries import load_queries
from gateway.store.sqlite_session import open_writer


def migrated(path: Path) -> Path:
    """Write a database that the store finds up to date and without a row; return its path."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(_empty())
    path.chmod(0o600)
    return path


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gateway.db"
        session = open_writer(path, load_queries("sqlite"))
        migrate(session, read_migrations(), 0)
        session.close()  # which moves everything from the log into the file
        return path.read_bytes()
