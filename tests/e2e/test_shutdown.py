"""SIGTERM: not ready, no new work, what is in flight may finish, exit 0 in time."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e import noticing
from tests.e2e.harness import (
    LIFELINE,
    GatewayProcess,
    chat_line,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

# Not those that batches write: how many these are depends on warnings, and these on the date.
INPUTS = "SELECT 1 FROM files WHERE purpose = 'batch'"


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """An emulator whose jobs end at once."""
    with running(EmulatorOptions(job_seconds=0.05)) as emulator:
        yield emulator


@contextlib.contextmanager
def connection(gateway: GatewayProcess) -> Iterator[socket.socket]:
    """A plain connection to the API."""
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port or 0), timeout=60) as plain:
        yield plain


def head(method: str, path: str, *lines: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{"half":'
    + b"x"
    * 3_000_000  # more than is held back, so that a file is begun
)


def test_exit_with_everything_under_way(tmp_path: Path, gemini: Emulator) -> None:
    """Uploads, a download and a validation: exit 0 in time, and nothing half-written stays."""
    with serving(tmp_path, gemini.base_url, GATEWAY_DRAIN_SECONDS="3") as gateway:
        client = gateway.client()
        content = [chat_line(f"c{n}", "y" * 2000) for n in range(8000)]
        big = finished(client, submit(client, content))
        files = len(gateway.rows(INPUTS))
        with connection(gateway) as upload, connection(gateway) as download:
            upload.sendall(
                head(
                    "POST",
                    "/v1/files",
                    "Authorization: Bearer x",
                    "Content-Type: multipart/form-data; boundary=b",
                    "Content-Length: 5000000",
                )
                + UPLOAD
            )
            path = f"/v1/files/{big.output_file_id}/content"
            download.sendall(head("GET", path, "Authorization: Bearer x"))
            assert download.recv(100).startswith(b"HTTP/1.1 200")
            validating = submit(client, content)
            written = gateway.data / "blobs" / "tmp"
            until(lambda: list(written.iterdir()), "the upload is being written")
            until(gateway.workers, "a worker runs")
            workers = gateway.workers()

            assert gateway.terminate() == 0

        assert not [worker for worker in workers if worker.is_running()]
        gateway.start()
        done = finished(gateway.client(), validating)
        assert len(read_lines(gateway.client(), done.output_file_id)) == 8000
        assert len(gateway.rows(INPUTS)) == files + 1
        until(lambda: not gateway.litter(), "the half upload is swept")


def test_readiness_turns_before_the_end(tmp_path: Path, gemini: Emulator) -> None:
    """A probe on a connection that is open sees 503; new work is refused with Retry-After."""
    with serving(tmp_path, gemini.base_url, (*LIFELINE, noticing.__name__)) as gateway:
        parts = urlsplit(gateway.url)
        probe = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        create = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        with contextlib.closing(probe), contextlib.closing(create):
            assert ask(probe, "GET", "/readyz") == (200, None)
            create.connect()
            os.kill(gateway.pid, signal.SIGTERM)
            until(lambda: ask(probe, "GET", "/readyz")[0] == 503, "not ready")
            code, retry_after = ask(create, "POST", "/v1/batches")
            assert code == 503
            assert 0 < int(retry_after or 0) <= 120


def ask(plain: http.client.HTTPConnection, method: str, path: str) -> tuple[int, str | None]:
    """Status and Retry-After."""
    plain.request(method, path, body=b"{}", headers={"Authorization": "Bearer x"})
    response = plain.getresponse()
    response.read()
    return response.status, response.getheader("Retry-After")


def test_an_unfinished_create_is_left_to_be_reconciled(tmp_path: Path, gemini: Emulator) -> None:
    """The process does not wait for it, and the next one finds out."""
    gemini.fault("create-hang-after", times=1)
    with serving(tmp_path, gemini.base_url) as gateway:
        batch = submit(gateway.client(), [chat_line("a", "x")])
        until(lambda: gemini.journal("create"), "the create was accepted")

        assert gateway.terminate() == 0

        gateway.start()
        assert finished(gateway.client(), batch).status == "completed"
        assert len(gemini.journal("create")) == 1


def is_ready(gateway: GatewayProcess) -> bool:
    """Whether it says so, to a new connection."""
    with contextlib.suppress(OSError, http.client.HTTPException), connection(gateway) as probe:
        probe.sendall(head("GET", "/readyz", "Connection: close"))
        return probe.recv(100).startswith(b"HTTP/1.1 200")
    return False


def test_a_second_signal_ends_it_at_once(tmp_path: Path, gemini: Emulator) -> None:
    """While the first waits for a request in flight; what was logged before is written."""
    command = (*LIFELINE, "tests.e2e.late_lines")
    drain = {"GATEWAY_DRAIN_SECONDS": "600"}
    with (
        serving(tmp_path, gemini.base_url, command, **drain) as gateway,
        connection(gateway) as upload,
    ):
        upload.sendall(
            head(
                "POST",
                "/v1/files",
                "Authorization: Bearer x",
                "Content-Type: multipart/form-data; boundary=b",
                "Content-Length: 5000000",
            )
            + UPLOAD
        )
        until(lambda: gateway.rows("SELECT 1 FROM blobs"), "the upload is being written")
        assert gateway.process is not None
        gateway.process.terminate()
        until(lambda: not is_ready(gateway), "the first signal was heard")
        gateway.process.terminate()

        assert gateway.process.wait(60) == 128 + signal.SIGTERM
        assert "stopping: no new work" in gateway.log()


def test_one_process_per_data_directory(tmp_path: Path, gemini: Emulator) -> None:
    """A second one says so and stops."""
    with serving(tmp_path, gemini.base_url) as gateway:
        second = subprocess.run(
            [sys.executable, "-m", "gateway", "serve"],
            env={
                "GATEWAY_DATA_DIR": str(gateway.data),
                "GATEWAY_GEMINI_BASE_URL": gemini.base_url,
                "GATEWAY_PORT": "0",
                "PATH": os.defpath,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert second.returncode == 78
        assert str(gateway.data) in second.stderr
