"""The command line as a whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__
from gateway.cli.main import COMMANDS
from tests.cli.processes import environment, run

pytestmark = pytest.mark.slow


def test_help_lists_every_command() -> None:
    """With a line about each."""
    done = run("--help")

    listed = done.stdout.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert all(len(line.split()) > 1 for line in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    """That says how it is used."""
    done = run(command, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: gateway {command} ")


def test_the_schema_is_brought_up_to_date_without_a_key(tmp_path: Path) -> None:
    """For Google, which is not asked; nor for clients."""
    env = {"GATEWAY_DATA_DIR": str(tmp_path / "data"), "GATEWAY_HOST": "0.0.0.0"}
    done = run("migrate", env=env)

    assert done.returncode == 0, done.stderr
    assert "the schema is up to date" in done.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    """Named."""
    done = run("sreve")

    assert done.returncode == 2
    assert "No such command 'sreve'" in done.stderr


def test_it_is_a_module_too() -> None:
    """``python -m gateway`` is the same."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "--version"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == f"gateway, version {__version__}\n"


@pytest.mark.parametrize(
    ("command", "packages"),
    [
        ("health", {"starlette", "httpx", "uvicorn", "uvloop"}),
        ("serve", {"rich", "pygments", "markdown_it"}),
        ("status", {"pygments", "starlette", "uvloop"}),
        ("verify", {"rich", "pygments", "starlette", "uvloop"}),
    ],
)
def test_a_command_loads_what_it_needs(command: str, packages: set[str]) -> None:
    """Probes run every few seconds for as long as a container lives; a server shows no colours."""
    code = (
        "import sys; from gateway.cli import main;"
        f" main([{command!r}, '--help'], standalone_mode=False);"
        " loaded = {name.split('.')[0] for name, module in sys.modules.items() if module};"
        f" print(sorted({packages!r} & loaded))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"
