"""Every command of the README files runs as it is written, but for addresses and exceptions."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.cli.processes import loopback, serving
from tests.readme_blocks import BLOCKS, README, ROOT, read

pytestmark = pytest.mark.slow

# Beginnings of lines that are parsed, not run, and why.
EXCEPTIONS: Final = {
    "docker ": "needs a container engine",
    "kubectl ": "needs a cluster",
    "helm ": "needs a cluster",
    "gateway migrate-store ": "needs a server of PostgreSQL and a bucket",
    ".venv/bin/pytest ": "is a run of these tests",
    "python3 -m venv .venv && .venv/bin/pip install -q -e": "is the first command of .ci/run",
    ".venv/bin/ruff ": "is a step of .ci/run",
    ".venv/bin/python -m tests.mutation": "takes half an hour",
    ".venv/bin/python -m tests.campaigns.": "its seeded sample is a test of its own",
}
SERVER: Final = re.compile(r"\bgateway (serve|emulator)\b")
SECONDS: Final = 170


def lines_of(text: str) -> Iterator[str]:
    """The lines of its sh blocks."""
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()


LINES: Final = [(name, line) for name in BLOCKS for line in lines_of(read(name))]


def exception(line: str) -> str | None:
    """Why a line is not run."""
    return next((why for begin, why in EXCEPTIONS.items() if line.startswith(begin)), None)


@dataclass(frozen=True)
class Machine:
    """A checkout, and servers on ports of their own in place of 8080 and 8081."""

    checkout: Path
    gateway: str
    emulator: str
    environment: Mapping[str, str]

    def script(self, line: str) -> str:
        """Put the line's addresses right."""
        line = line.replace("http://127.0.0.1:8080", self.gateway)
        return line.replace("http://127.0.0.1:8081", self.emulator)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script of bash in the checkout, to its end."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A copy of what is committed or will be, its environment, and the two servers."""
    checkout = tmp_path_factory.mktemp("checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, checkout / name)
    (line,) = re.findall(r"^```json\n(.*?)^```$", read(README), re.DOTALL | re.MULTILINE)[:1]
    (checkout / "requests.jsonl").write_bytes(orjson.dumps(orjson.loads(line)) + b"\n")
    with serving(checkout, "emulator", "--port", "0", "--control") as emulator:
        env = loopback(checkout, GATEWAY_GEMINI_BASE_URL=emulator.url)
        with serving(checkout, "serve", env=env) as gateway:
            yield Machine(checkout, gateway.root, emulator.url, _environment(checkout))


def _environment(checkout: Path) -> dict[str, str]:
    """Programs first: the command gateway, and python3 as this Python's."""
    programs = checkout / "programs"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.base_prefix) / "bin/python3")
    (programs / "gateway").symlink_to(Path(sys.executable).parent / "gateway")
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}  # noqa: TID251 - where pip may look for packages
    return {
        **pip,
        "PATH": f"{programs}:{os.defpath}",
        "HOME": str(checkout),
        "GATEWAY_PORT": "0",
        "GATEWAY_DATA_DIR": str(checkout / "another"),
    }


def test_every_exception_is_of_a_command() -> None:
    """And no more are made than needed: most commands run."""
    skipped = [line for _, line in LINES if exception(line)]

    assert all(any(line.startswith(begin) for line in skipped) for begin in EXCEPTIONS)
    assert len(LINES) - len(skipped) > 12
    for line in skipped:
        assert shlex.split(line)


def test_paths_of_the_tests_exist() -> None:
    """Of those that are not run here."""
    for _, line in LINES:
        if line.startswith(".venv/bin/pytest "):
            paths = [word for word in shlex.split(line) if word.startswith("tests")]
            assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "line", [line for _, line in LINES if SERVER.search(line) and "venv" not in line]
)
def test_a_server_listens(machine: Machine, line: str) -> None:
    """As it is typed, on a free port."""
    typed = machine.script(line).replace("--port 8081", "--port 0").replace("=...", "=any")
    if "gateway emulator" in typed and "--port" not in typed:
        typed += " --port 0"
    env = dict(machine.environment) | {"GATEWAY_GEMINI_BASE_URL": machine.emulator}
    with subprocess.Popen(
        ["bash", "-c", typed], cwd=machine.checkout, env=env, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert " listening on http://127.0.0.1:" in process.stdout.readline()
        finally:
            process.terminate()
        assert process.wait(60) in {0, -signal.SIGTERM}  # the gateway drains, the emulator ends


def test_curl_uploads_and_creates(machine: Machine) -> None:
    """The lines belong together: each uses what the one before set."""
    lines = list(lines_of(read(README)))
    begin = next(n for n, line in enumerate(lines) if line.startswith("export OPENAI_BASE_URL"))

    done = machine.run(machine.script("\n".join(lines[begin : begin + 4])))

    assert (done.returncode, done.stderr) == (0, "")
    created, listed = re.findall(r'\{"(?:id|object)".*?\}(?=\{"object":"list"|$)', done.stdout)
    batch = orjson.loads(created)
    assert batch["object"] == "batch"
    assert orjson.loads(listed)["data"][0]["id"] == batch["id"]


@pytest.mark.parametrize(
    "line",
    [
        line
        for _, line in LINES
        if not (exception(line) or SERVER.search(line) or "OPENAI_" in line or "venv" in line)
        or (".venv/bin/python -m tests." in line and not exception(line))
    ],
)
def test_a_command_succeeds(machine: Machine, line: str) -> None:
    """In the copy of the checkout: some of them write files."""
    script = machine.script(line).replace(".venv/bin/python", sys.executable)

    done = machine.run(script)

    assert (done.returncode, done.stderr) == (0, "") or "curl" in line
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("begin", ["python3 -c 'import sys", "python3 -m venv .venv && . "])
def test_a_fresh_environment(machine: Machine, begin: str) -> None:
    """The demo, and the installation; in the checkout, with nothing but Python."""
    (line,) = (line for line in lines_of(read(README)) if line.startswith(begin))
    shutil.rmtree(machine.checkout / ".venv", ignore_errors=True)

    done = machine.run(line)

    assert done.returncode == 0, done.stderr
    assert (machine.checkout / ".venv/bin/gateway").exists()


def test_every_command_is_run() -> None:
    """By one of the tests above, or it is an exception."""
    others = ("export GATEWAY_", "curl ", ".venv/bin/python -m tests.")
    fresh = ("python3 -c 'import sys", "python3 -m venv .venv && . ")
    for _, line in LINES:
        here = SERVER.search(line) or "OPENAI_BASE_URL" in line
        assert exception(line) or here or line.startswith((*others, *fresh)), line
