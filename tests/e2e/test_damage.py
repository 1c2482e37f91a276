"""A database that is damaged while the gateway runs."""

import contextlib
import os
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.e2e.harness import serving

# Only requests read this table; the rounds that empty it are a minute apart.
TABLE = "responses"


def damage(database: Path) -> None:
    """Overwrite the pages at which a table and its indexes begin."""
    uri = f"file:{database}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_master WHERE tbl_name = ? AND rootpage > 0"
        roots = [root for (root,) in connection.execute(query, (TABLE,))]
    assert roots
    with database.open("r+b") as file:
        for root in roots:
            os.pwrite(file.fileno(), b"\xff" * size, (root - 1) * size)


@pytest.mark.slow
def test_damage_that_a_request_meets_ends_the_process(tmp_path: Path) -> None:
    """A37: 500s were answered under a readyz of 200, for ever."""
    with serving(tmp_path, "http://127.0.0.1:9") as gateway:
        assert gateway.terminate() == 0  # what is in the log is in the file now
    with serving(tmp_path, "http://127.0.0.1:9", GATEWAY_SWEEP_SECONDS="3600") as gateway:
        damage(gateway.data / "gateway.sqlite3")

        url, key = f"{gateway.url}/responses/resp_{'0' * 32}", {"authorization": "Bearer any"}
        answer = httpx.get(url, headers=key, timeout=60)

        assert answer.status_code == 503
        assert gateway.process is not None
        assert gateway.process.wait(60) == 1
        assert "the database is damaged" in gateway.log()
        assert "Traceback" not in gateway.log()
