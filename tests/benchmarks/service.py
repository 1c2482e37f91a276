"""The real program for benchmarks: emulator and gateway in processes of their own."""

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import orjson
import psutil

from gateway.clock import SystemClock

CLOCK = SystemClock()
BOUNDARY = "benchmark"
MIB = 1024 * 1024
PAUSE = threading.Event()


def _start(*arguments: str, **settings: str) -> tuple[subprocess.Popen[str], str]:
    """A subcommand of ``gateway``, and the URL it announces."""
    environ = {**os.environ, **settings}  # noqa: TID251 - a child's environment
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "listening on" in line, f"{arguments} did not start"
    return process, line.split()[-1].removesuffix("/v1")


@dataclass
class Service:
    """A running gateway: where, and which process; and where the emulator behind it is."""

    url: str
    pid: int
    data: Path
    upstream: str

    def connection(self) -> http.client.HTTPConnection:
        """A connection that is kept alive."""
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        kept: http.client.HTTPConnection | None = None,
    ) -> Any:
        """One JSON call, on a connection of its own or on one that is kept."""
        connection = kept or self.connection()
        try:
            headers = {"Authorization": "Bearer benchmark", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else orjson.dumps(body), headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer[:500]
            return orjson.loads(answer)
        finally:
            if kept is None:
                connection.close()

    def upload(self, file: BinaryIO, size: int) -> str:
        """Upload a file as it is read; its id. A client that holds nothing in memory."""
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
            'filename="input.jsonl"\r\n\r\n'
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        with contextlib.closing(self.connection()) as connection:
            connection.putrequest("POST", "/v1/files")
            connection.putheader("Authorization", "Bearer benchmark")
            connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
            connection.putheader("Content-Length", str(len(head) + size + len(tail)))
            connection.endheaders(head)
            while block := file.read(MIB):
                connection.send(block)
            connection.send(tail)
            response = connection.getresponse()
            answer = response.read()
            assert response.status == 200, answer[:500]
            return str(orjson.loads(answer)["id"])

    def create(self, file_id: str, kept: http.client.HTTPConnection | None = None) -> str:
        """A chat batch over a file; its id."""
        body = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        return str(self.call("POST", "/v1/batches", body, kept)["id"])

    def wait(self, batch_id: str, *statuses: str) -> Any:
        """Poll until the batch has one of these statuses."""
        while (batch := self.call("GET", f"/v1/batches/{batch_id}"))["status"] not in statuses:
            assert batch["status"] not in {"failed", "expired", "cancelled"}, batch["errors"]
            PAUSE.wait(0.2)
        return batch


@contextlib.contextmanager
def service(*options: str, **settings: str) -> Iterator[Service]:
    """Emulator and gateway, with the gateway's default settings but for quicker polls and no rate.

    ``options`` are the emulator's, ``settings`` the gateway's.
    """
    with tempfile.TemporaryDirectory() as directory:
        emulator, upstream = _start("emulator", "--port", "0", "--job-seconds", "0.1", *options)
        own = {
            "GATEWAY_PORT": "0",
            "GATEWAY_DATA_DIR": f"{directory}/data",
            "GATEWAY_GEMINI_BASE_URL": upstream,
            "GATEWAY_POLL_MIN_SECONDS": "0.5",
            "GATEWAY_POLL_MAX_SECONDS": "2",
            "GATEWAY_REQUESTS_PER_MINUTE": "0",  # a client that measures asks as fast as it can
        }
        gateway, url = _start("serve", **{**own, **settings})
        try:
            yield Service(url, gateway.pid, Path(directory) / "data", upstream)
        finally:
            for process in (gateway, emulator):
                process.terminate()
                process.wait(60)
                if process.stdout is not None:
                    process.stdout.close()


def anonymous_memory(pid: int) -> int:
    """Anonymous memory of a process and all its children now, in bytes (``RssAnon``)."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        main = psutil.Process(pid)
        for process in [main, *main.children(recursive=True)]:
            with contextlib.suppress(OSError):
                total += _rss_anon(Path(f"/proc/{process.pid}/status"))
    return total


def _rss_anon(status: Path) -> int:
    for line in status.read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0
