"""Real commands in real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

GATEWAY = str(Path(sys.executable).parent / "gateway")
SECONDS = 60


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a command inherits: nothing of ours, and warnings are errors."""
    inherited = {"PATH": os.defpath, "PYTHONWARNINGS": "error"}
    return inherited | dict(given or {})


def without_affinity(directory: Path) -> dict[str, str]:
    """Let a command and its children find no ``sched_getaffinity``, as on macOS."""
    customised = directory / "without-affinity"
    customised.mkdir()
    # From Python 3.13 on the standard library counts the cores by it, too, but not on macOS.
    lines = ["import os", "del os.sched_getaffinity", "os.process_cpu_count = os.cpu_count", ""]
    (customised / "sitecustomize.py").write_text("\n".join(lines))
    return {"PYTHONPATH": str(customised)}


def run(
    *arguments: str | bytes, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``gateway`` to its end."""
    return subprocess.run(
        [GATEWAY, *arguments],
        env=environment(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Server:
    """A server that listens, and where its errors go."""

    url: str
    process: subprocess.Popen[str]
    errors: Path

    @property
    def root(self) -> str:
        """The URL without ``/v1``."""
        return self.url.removesuffix("/v1")

    @property
    def port(self) -> str:
        """The port it took."""
        return self.root.rpartition(":")[2]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def serving(
    directory: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """``gateway serve`` or ``gateway emulator`` from the moment it listens on; ended at the end."""
    errors = directory / f"{arguments[0]}.stderr"
    with errors.open("w") as stream:
        process = subprocess.Popen(
            [GATEWAY, *arguments],
            env=environment(env),
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
        )
    with process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert " listening on " in line, errors.read_text()
            yield Server(line.rpartition(" ")[2], process, errors)
        finally:
            process.kill() if process.poll() is None else None


def loopback(directory: Path, **more: str) -> dict[str, str]:
    """Settings of a gateway that needs no key, on a port of its own."""
    return {
        "GATEWAY_PORT": "0",
        "GATEWAY_DATA_DIR": str(directory / "data"),
        "GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1:1",
        "GATEWAY_POLL_MIN_SECONDS": "0.2",
        **more,
    }
