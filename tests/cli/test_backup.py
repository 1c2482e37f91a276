"""``gateway backup`` of a gateway that runs, and the copy served in its place."""

from pathlib import Path

import pytest

from gateway.emulator.testing import running
from tests.cli.processes import run
from tests.e2e.harness import chat_line, finished, serving, submit

pytestmark = pytest.mark.slow


def test_a_copy_of_a_running_gateway_can_be_served(tmp_path: Path) -> None:
    """With every file of every batch that had ended; an old copy is never written over."""
    copy = tmp_path / "restored" / "data"
    (tmp_path / "first").mkdir()
    with running() as gemini:
        with serving(tmp_path / "first", gemini.base_url) as gateway:
            client = gateway.client()
            done = finished(client, submit(client, [chat_line("a", "hello")]))
            assert done.output_file_id is not None
            answer = client.files.content(done.output_file_id).text
            env = {
                "GATEWAY_DATA_DIR": str(gateway.data),
                "GATEWAY_GEMINI_BASE_URL": gemini.base_url,
            }
            made = run("backup", str(copy), env=env)
            again = run("backup", str(copy), env=env)
        with serving(tmp_path / "restored", gemini.base_url) as gateway:
            client = gateway.client()
            assert client.batches.retrieve(done.id).status == "completed"
            assert client.files.content(done.output_file_id).text == answer

    assert made.returncode == 0, made.stderr
    assert "the records and" in made.stdout
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_a_copy_that_lacks_a_file_is_told(tmp_path: Path) -> None:
    """What was swept while a slow copy was taken is no secret."""
    with running() as gemini:
        with serving(tmp_path, gemini.base_url) as gateway:
            client = gateway.client()
            finished(client, submit(client, [chat_line("a", "hello")]))
            [(blob,)] = gateway.rows("SELECT name FROM blobs WHERE state = 'live' LIMIT 1")
        (gateway.data / "blobs" / blob[:2] / blob).unlink()
        env = {"GATEWAY_DATA_DIR": str(gateway.data), "GATEWAY_GEMINI_BASE_URL": gemini.base_url}
        failed = run("backup", str(tmp_path / "copy"), env=env)
    assert failed.returncode == 1
    assert "it lacks 1 file of its records" in failed.stderr
    assert "GATEWAY_SWEEP_SECONDS" in failed.stderr


def test_without_a_data_directory_there_is_nothing_to_copy(tmp_path: Path) -> None:
    """Said by its name. A back-up needs no key for Google: it was refused without one."""
    env = {"GATEWAY_DATA_DIR": str(tmp_path / "none")}
    failed = run("backup", str(tmp_path / "copy"), env=env)

    assert failed.returncode == 78
    assert "has no gateway.sqlite3" in failed.stderr
