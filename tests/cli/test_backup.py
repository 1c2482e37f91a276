"""``gateway backup`` of a gateway that runs, and the copy served in its place."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.emulator.testing import running
from gateway.store.migrate import migrate, read_migrations
from gateway.store.moved import write_mark
from gateway.store.opening import DATABASE
from gateway.store.queries import load_queries
from gateway.store.sqlite_session import open_writer
from tests.cli.processes import GATEWAY, SECONDS, environment, run
from tests.e2e.harness import chat_line, finished, serving, submit

pytestmark = pytest.mark.slow

# Blobs that something points at, and how many of them are rows.
IN_RECORDS = (
    "SELECT count(*), count(content) FROM blobs LEFT JOIN blob_contents USING (name)"
    " WHERE state = 'live'"
)


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
            large = finished(client, submit(client, [chat_line("a", "word " * 10_000)]))
            assert large.output_file_id is not None
            large_answer = client.files.content(large.output_file_id).text
            [(blobs, recorded)] = gateway.rows(IN_RECORDS)
            assert 0 < recorded < blobs, "some are in the records, the others in files"
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
            assert client.files.content(large.output_file_id).text == large_answer

    assert made.returncode == 0, made.stderr
    assert "the records and" in made.stdout
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def test_a_copy_that_lacks_a_file_is_told(tmp_path: Path) -> None:
    """What was swept while a slow copy was taken is no secret."""
    with running() as gemini:
        with serving(tmp_path, gemini.base_url) as gateway:
            client = gateway.client()
            finished(client, submit(client, [chat_line("a", "word " * 10_000)]))
            [(blob,)] = gateway.rows(
                "SELECT name FROM blobs WHERE state = 'live' AND name NOT LIKE 'rec%' LIMIT 1"
            )
        (gateway.data / "blobs" / blob[:2] / blob).unlink()
        env = {"GATEWAY_DATA_DIR": str(gateway.data), "GATEWAY_GEMINI_BASE_URL": gemini.base_url}
        failed = run("backup", str(tmp_path / "copy"), env=env)
    assert failed.returncode == 1
    assert "it lacks 1 file of its records" in failed.stderr
    assert "GATEWAY_SWEEP_SECONDS" in failed.stderr


def test_records_of_the_version_before_can_be_copied(tmp_path: Path) -> None:
    """A copy is taken before an upgrade, and by then the program may be the new one."""
    (tmp_path / "data" / "blobs").mkdir(parents=True)
    old = open_writer(tmp_path / "data" / "gateway.sqlite3", load_queries("sqlite"))
    migrate(old, [each for each in read_migrations() if each[0] < "0030"], 1)
    old.close()
    made = run("backup", str(tmp_path / "copy"), env={"GATEWAY_DATA_DIR": str(tmp_path / "data")})

    assert (made.returncode, made.stderr) == (0, "")
    assert "the records and 0 files" in made.stdout


def test_without_a_data_directory_there_is_nothing_to_copy(tmp_path: Path) -> None:
    """Said by its name. A back-up needs no key for Google: it was refused without one."""
    env = {"GATEWAY_DATA_DIR": str(tmp_path / "none")}
    failed = run("backup", str(tmp_path / "copy"), env=env)

    assert failed.returncode == 78
    assert "has no gateway.sqlite3" in failed.stderr


def refused(source: Path, copy: Path) -> str:
    """What a back-up says that ends with an error."""
    done = CliRunner().invoke(main, ["backup", str(copy)], env={"GATEWAY_DATA_DIR": str(source)})
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code
    return done.stderr


def test_a_gateway_that_never_ran_has_no_files(records: Path, tmp_path: Path) -> None:
    """The folder of their bytes is not there, and it need not be."""
    env = {"GATEWAY_DATA_DIR": str(records)}
    done = CliRunner().invoke(main, ["backup", str(tmp_path / "copy")], env=env)
    assert done.stdout == f"the records and 0 files are in {tmp_path / 'copy'}\n"
    assert done.exit_code == 0


def test_records_that_cannot_be_copied(records: Path, tmp_path: Path) -> None:
    """One sentence, and what to do with the copy that was begun."""
    (records / DATABASE).write_bytes(bytes(range(256)) * 40)
    said = refused(records, tmp_path / "copy")
    assert "could not be copied (file is not a database)" in said
    assert f"{tmp_path / 'copy'} is not whole, remove it" in said


READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
UNSHARED = ("unshare", "--map-root-user", "--mount", "sh", "-c", READ_ONLY)


def may_mount(directory: Path) -> bool:
    """Whether the kernel lets this process mount: containers are often not allowed to."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run([*UNSHARED, str(directory), "true"], capture_output=True, check=False)
    return tried.returncode == 0


def test_a_volume_that_cannot_be_written(records: Path, tmp_path: Path) -> None:
    """It is told what SQLite wants to write; "unable to open database file" helped no one."""
    if not may_mount(tmp_path):
        pytest.skip("this process may mount nothing")
    done = subprocess.run(
        [*UNSHARED, str(records), GATEWAY, "backup", str(tmp_path / "copy")],
        env=environment({"GATEWAY_DATA_DIR": str(records)}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 1
    assert "could not be copied (it cannot be written, and while no gateway runs" in done.stderr
    assert "mount the volume for writing" in done.stderr
    assert f"{tmp_path / 'copy'} is not whole, remove it" in done.stderr


def test_records_that_were_moved_are_not_copied(records: Path, tmp_path: Path) -> None:
    """The copy would lack the mark, and be served next to the place where they went."""
    write_mark(records, "elsewhere", None, done=True)
    assert "were moved to elsewhere" in refused(records, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
