"""Standard output that cannot be written: one sentence, and the exit code of an error."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.processes import GATEWAY, SECONDS, environment, loopback

pytestmark = pytest.mark.slow

SAID = "Error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("status", "--help"),
        ("config", "--help-settings"),
        ("completion", "bash"),
        ("emulator", "--list-faults"),
        ("emulator", "--port", "0"),
        ("demo",),
    ],
)
def test_a_full_disk_is_told_in_one_sentence(arguments: tuple[str, ...]) -> None:
    """Python's own notice does not follow, nor its exit code 120."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [GATEWAY, *arguments],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, SAID)


CHECKED = (
    b'{"custom_id":"a","method":"POST","url":"/v1/embeddings",'
    b'"body":{"model":"gemini-embedding-001","input":"x"}}\n'
)


@pytest.mark.parametrize("way", ["full", "closed", "not read"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("config",), 78),
        (("unknown",), 2),
        (("cancel", "batch_1", "--base-url", "http://127.0.0.1:1"), 1),
        (("migrate",), 0),
        (("translate", "lines.jsonl"), 0),
    ],
)
def test_standard_error_that_cannot_be_written(
    tmp_path: Path, arguments: tuple[str, ...], code: int, way: str
) -> None:
    """The exit code is that of the command, and what goes to standard output is whole."""
    (tmp_path / "lines.jsonl").write_bytes(CHECKED)

    def run(redirection: str) -> tuple[int, str]:
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", GATEWAY, *arguments],
            env=environment({"GATEWAY_DATA_DIR": str(tmp_path / "data")}),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=unread,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode, done.stdout

    reader, unread = os.pipe()
    os.close(reader)
    try:
        whole = run("2>/dev/null")
        assert whole[0] == code
        assert run({"full": "2>/dev/full", "closed": "2>&-", "not read": ""}[way]) == whole
    finally:
        os.close(unread)


def test_a_service_goes_on(tmp_path: Path) -> None:
    """It says in its log where it listens, and ends as it would otherwise."""
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(
            [GATEWAY, "serve"],
            env=environment(loopback(tmp_path)),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        try:
            told = next(line for line in process.stderr if "cannot be written" in line)
            assert "the gateway listens on http://127.0.0.1:" in told
        finally:
            process.send_signal(signal.SIGTERM)
        assert "Exception" not in process.stderr.read()
        assert process.wait(SECONDS) == os.EX_OK
