"""The harness itself: processes that a test starts end with the run of tests."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil

from tests.e2e.harness import until

PROGRAM = """
import sys
from pathlib import Path
from tests.e2e.harness import serving

with serving(Path(sys.argv[1]), "http://127.0.0.1:1", GEMINI_API_KEY="k") as gateway:
    print(gateway.pid, flush=True)
    sys.stdin.read()
"""


def test_a_run_ended_by_sigterm_leaves_no_gateway(tmp_path: Path) -> None:
    """Its own cleaning up does not run then; a gateway that stays would hold ports and memory."""
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        gateway = psutil.Process(int(run.stdout.readline()))
        started = [gateway, *gateway.children(recursive=True)]
        run.send_signal(signal.SIGTERM)
        run.wait(60)

    until(lambda: not any(alive(process) for process in started), "the gateway ends", 30)


def alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie that only waits for its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
