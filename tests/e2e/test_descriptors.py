"""A gateway whose descriptors its clients would use up."""

import contextlib
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import (
    SERVE,
    assert_conserved,
    chat_line,
    finished,
    read_lines,
    serving,
    submit,
)

FEW = 64
HELD = 60
LIMITED = ("sh", "-c", f'ulimit -n {FEW}; exec "$@"', "sh", *SERVE)


@pytest.mark.slow
def test_held_connections_stop_neither_batches_nor_probes(tmp_path: Path) -> None:
    """A22: 60 connections that are opened and held, of 64 descriptors."""
    with running(EmulatorOptions(job_seconds=0.05)) as gemini, contextlib.ExitStack() as stack:
        gateway = stack.enter_context(serving(tmp_path, gemini.base_url, LIMITED))
        parts = urlsplit(gateway.url)
        for _ in range(HELD):
            held = socket.create_connection((parts.hostname, parts.port or 0), timeout=60)
            stack.enter_context(held)

        client = gateway.client()
        batch = finished(client, submit(client, [chat_line("a", "hello")]))

        assert batch.status == "completed"
        assert_conserved(["a"], read_lines(client, batch.output_file_id))
        assert httpx.get(f"{gateway.url}/readyz", timeout=60).status_code == 200
        assert "Too many open files" not in gateway.log()
