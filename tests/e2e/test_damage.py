"""A database that is damaged while the gateway runs."""

import contextlib
import os
import sqlite3
from pathlib import Path

import httpx
import pytest

from gateway.emulator.testing import Emulator
from tests.e2e.harness import chat_line, finished, serving, submit

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
        assert "the database reads as damaged" in gateway.log()
        assert "Traceback" not in gateway.log()


@pytest.mark.slow
@pytest.mark.parametrize("recorded", ["0", "16 KiB"])
def test_lost_bytes_that_a_request_meets_are_called_so(
    tmp_path: Path, gemini: Emulator, recorded: str
) -> None:
    """Each request that needs them says what it is, and not to be sent again; others go on."""
    with serving(tmp_path, gemini.base_url, GATEWAY_RECORDED_BLOB_BYTES=recorded) as gateway:
        client = gateway.client()
        bad = chat_line("b", "x", max_tokens=-1)
        batch = finished(client, submit(client, [chat_line("a", "x"), bad]))
        other = finished(client, submit(client, [chat_line("a", "x")]))
        assert batch.output_file_id is not None
        lost = [batch.input_file_id, batch.output_file_id, batch.error_file_id]
        for (name,) in gateway.rows(
            "SELECT json_extract(segments, '$[0][0]') FROM files WHERE id IN (?, ?, ?)", *lost
        ) + gateway.rows("SELECT raw FROM jobs WHERE batch_id = ?", batch.id):
            gateway.change_blob(name, lambda _: None)

        url, key = f"{gateway.url}/batches", {"authorization": "Bearer any"}
        asked = [
            ("GET", f"/batches/{batch.id}/line?custom_id=a"),
            ("POST", f"/batches/{batch.id}/rerender"),
            ("POST", f"/batches/{batch.id}/retry"),
            ("GET", f"/batches/{batch.id}/results"),
            ("GET", f"/files/{batch.output_file_id}/content"),
        ]
        for method, path in asked:
            answer = httpx.request(method, f"{gateway.url}{path}", headers=key, timeout=60)
            assert answer.status_code == 500, (path, answer.text)
            assert answer.json()["error"]["code"] == "gateway_data_lost", path
            assert answer.headers["x-should-retry"] == "false"
            assert "blob" not in answer.text
        story = httpx.get(f"{url}/{other.id}/line?custom_id=a", headers=key, timeout=60)
        assert story.status_code == 200
        assert "Traceback" not in gateway.log()
