"""``gateway migrate-store`` on the real program: live batches go on elsewhere, paid once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import openai
import orjson
import pytest
from openai.types import Batch

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    finished,
    read_lines,
    serving,
    submit,
    until,
)
from tests.engines.buckets import BucketServer
from tests.postgres_server import PostgresServer

IDS = [f"id-{number}" for number in range(50)]
# So much that inputs are files, and not rows.
LINES = [chat_line(name, f"{name} {'and so on ' * 40}") for name in IDS]
EXIT_SETTINGS = 78


@dataclass
class Old:
    """A data directory whose gateway was stopped while a batch ran."""

    data: Path
    ended: Batch
    output: bytes
    live: Batch


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """Jobs end when the test says so."""
    with running(EmulatorOptions(job_seconds=3600)) as emulator:
        yield emulator


@pytest.fixture
def old(tmp_path: Path, gemini: Emulator) -> Old:
    """One batch has ended, another runs at Google."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    with serving(tmp_path / "old", gemini.base_url) as gateway:
        client = gateway.client()
        first = submit(client, LINES)
        _runs(gateway, first)
        gemini.finish()
        ended = finished(client, first)
        output = client.files.content(ended.output_file_id or "").content
        live = submit(client, LINES)
        _runs(gateway, live)
        [(blobs, recorded)] = gateway.rows(
            "SELECT count(*), count(content) FROM blobs LEFT JOIN blob_contents USING (name)"
            " WHERE state = 'live'"
        )
        assert 0 < recorded < blobs - 1, "some are in the records, several others in files"
        gateway.terminate()
        return Old(gateway.data, ended, output, live)


def _runs(gateway: GatewayProcess, batch: Batch) -> None:
    query = "SELECT 1 FROM jobs WHERE batch_id = ? AND state = 'running'"
    until(lambda: gateway.rows(query, batch.id), "the job runs")


def command(directory: Path, *options: str) -> list[str]:
    """The command that moves it."""
    return [sys.executable, "-m", "gateway", "migrate-store", "--from", str(directory), *options]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """What a shell would have."""
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - a child's environment
        if not name.startswith(("GATEWAY_", "GEMINI_"))
    }
    return kept | dict(more)


def migrate(directory: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(directory, *options),
        env=environment(more),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def goes_on(gateway: GatewayProcess, old: Old, gemini: Emulator) -> None:
    """Everything that was there is there, and the live batch ends; two jobs were paid in all."""
    client: openai.OpenAI = gateway.client()
    assert client.batches.retrieve(old.ended.id) == old.ended
    assert client.files.content(old.ended.output_file_id or "").content == old.output
    gemini.finish()
    done = finished(client, old.live)
    assert_conserved(IDS, read_lines(client, done.output_file_id))
    assert_conserved(IDS, read_lines(client, finished(client, old.ended).output_file_id))
    assert len(gemini.jobs()) == 2


def is_refused(directory: Path) -> bool:
    """Whether a gateway does not start there."""
    refused = subprocess.run(
        [sys.executable, "-m", "gateway", "serve"],
        env=environment(
            {
                "GATEWAY_DATA_DIR": str(directory),
                "GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1:1",
                "GATEWAY_PORT": "0",
            }
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "moved" in refused.stderr
    return refused.returncode == EXIT_SETTINGS


def test_to_another_directory_and_a_bucket(
    old: Old, gemini: Emulator, bucket_server: BucketServer, tmp_path: Path
) -> None:
    """Killed in its middle, run again, and once more."""
    bucket_server.make_bucket("moving")
    more = bucket_server.environment()
    new = tmp_path / "new" / "data"
    options = ["--to", str(new), "--blobs", "s3://moving/prefix"]
    first = threading.Event()

    def follows_the_first(method: str, path: str) -> bool:
        if method != "PUT" or "/prefix/blobs/" not in path:
            return False
        late = first.is_set()
        first.set()
        return late

    with (
        bucket_server.refusing(follows_the_first),  # which is tried again until the kill
        subprocess.Popen(command(old.data, *options), env=environment(more)) as killed,
    ):
        until(lambda: bucket_server.count("moving", "prefix/blobs/") > 0, "a blob has arrived")
        killed.send_signal(signal.SIGKILL)
    moved = migrate(old.data, *options, **more)
    assert moved.returncode == 0, moved.stderr
    assert "2 rows of batches, compared by digest" in moved.stdout
    assert is_refused(old.data)
    again = migrate(old.data, *options, **more)
    assert (again.returncode, again.stderr) == (0, "")
    assert "had been moved before" in again.stdout
    elsewhere = migrate(old.data, "--to", str(tmp_path / "third"), **more)
    assert elsewhere.returncode == EXIT_SETTINGS
    assert "and nowhere else" in elsewhere.stderr
    with serving(
        tmp_path / "new", gemini.base_url, GATEWAY_BLOBS="s3://moving/prefix", **more
    ) as gateway:
        goes_on(gateway, old, gemini)
    assert not (new / "blobs").exists()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """An empty database of a server."""
    server = PostgresServer()
    try:
        server.run("CREATE DATABASE moved")
        yield server.url("moved")
    finally:
        server.close()


def test_to_postgresql_and_a_bucket(
    old: Old, gemini: Emulator, bucket_server: BucketServer, tmp_path: Path, database: str
) -> None:
    """Two replicas go on where one process was."""
    bucket_server.make_bucket("replicas")
    more = bucket_server.environment() | {"GATEWAY_BLOBS": "s3://replicas/prefix"}
    moved = migrate(old.data, GATEWAY_STORE=database, **more)
    assert moved.returncode == 0, moved.stderr
    assert "2 rows of batches, compared by digest" in moved.stdout
    assert is_refused(old.data)
    (tmp_path / "other").mkdir()
    more["GATEWAY_STORE"] = database
    with (
        serving(tmp_path / "new", gemini.base_url, **more) as gateway,
        serving(tmp_path / "other", gemini.base_url, **more) as other,
    ):
        goes_on(gateway, old, gemini)
        assert other.client().files.content(old.ended.output_file_id or "").content == old.output
    again = migrate(old.data, "--to", database, **more)
    assert "had been moved before" in again.stdout
    assert again.stderr == ""


def test_to_another_directory(old: Old, gemini: Emulator, tmp_path: Path) -> None:
    """Another disk, say; a kill between the mark and the records is mended by running again."""
    new = tmp_path / "new" / "data"
    moved = migrate(old.data, "--to", str(new))
    assert moved.returncode == 0, moved.stderr
    mark = old.data / "moved.json"
    mark.write_bytes(orjson.dumps({**orjson.loads(mark.read_bytes()), "done": False}))
    assert is_refused(old.data)
    again = migrate(old.data, "--to", str(new))
    assert again.returncode == 0, again.stderr
    assert "had been moved before" in again.stdout
    assert orjson.loads(mark.read_bytes())["done"]
    with serving(tmp_path / "new", gemini.base_url) as gateway:
        goes_on(gateway, old, gemini)


def test_what_is_refused_changes_nothing(old: Old, gemini: Emulator, tmp_path: Path) -> None:
    """A running source, damaged bytes, a place that is another's, and wrong words."""
    stopped = GatewayProcess(old.data, gemini.base_url, {})
    query = "SELECT segments FROM files WHERE id = ?"
    [[segments]] = stopped.rows(query, old.ended.output_file_id)
    [[name, _]] = orjson.loads(segments)
    stopped.change_blob(name, lambda _: b"damaged")
    new = str(tmp_path / "new" / "data")
    for options, told in (
        (["--to", new], "gone or have changed"),
        (["--to", str(old.data)], "name another one"),
        (["--to", "mysql://db"], "postgresql://"),
        (["--to", "postgresql://127.0.0.1:1/db"], "give --blobs"),
        (["--to", new, "--blobs", "ftp://x"], "is no bucket"),
    ):
        refused = migrate(old.data, *options)
        assert refused.returncode != 0
        assert told in refused.stderr, refused.stderr
    stopped.change_blob(name, lambda _: old.output)
    with serving(old.data.parent, gemini.base_url) as gateway:
        running_source = migrate(old.data, "--to", new)
        assert running_source.returncode == EXIT_SETTINGS
        assert "in use by another gateway" in running_source.stderr
        goes_on(gateway, old, gemini)
