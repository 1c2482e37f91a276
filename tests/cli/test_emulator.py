"""``gateway emulator``."""

import signal
import socket
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import orjson
import pytest

from tests.cli.processes import run, serving


def get(url: str) -> dict[str, object]:
    """A GET with a key."""
    request = urllib.request.Request(url, headers={"x-goog-api-key": "any"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, object] = orjson.loads(answer.read())
        return found


def test_it_answers_as_soon_as_it_says_so(tmp_path: Path) -> None:
    """On a free port, and with no route beside Google's."""
    with serving(tmp_path, "emulator", "--port", "0") as server:
        assert get(f"{server.url}/v1beta/models")["models"]
        with pytest.raises(HTTPError) as refusal:
            get(f"{server.url}/emulator/journal")
        refusal.value.close()

    assert refusal.value.code == 404


def test_its_control_routes_are_asked_for(tmp_path: Path) -> None:
    """They are not guarded."""
    arguments = ("--port", "0", "--control", "--fault", "quota:times=2", "--speed", "60")
    with serving(tmp_path, "emulator", *arguments) as server:
        assert get(f"{server.url}/emulator/journal") == {"entries": []}
        assert get(f"{server.url}/emulator/faults")["faults"]
        assert get(f"{server.url}/emulator/clock")["speed"] == 60


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    """Without a traceback."""
    with serving(tmp_path, "emulator", "--port", "0") as server:
        assert server.stop(signal.SIGINT) == 0
        assert server.errors.read_text() == ""


def test_a_taken_port_is_a_message() -> None:
    """No traceback."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        done = run("emulator", "--port", port)

    assert done.returncode == 1
    assert done.stderr == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_fault_that_is_none_is_a_usage_error() -> None:
    """The message names it."""
    done = run("emulator", "--port", "0", "--fault", "no-such-fault")

    assert done.returncode == 2
    assert "no-such-fault" in done.stderr


def test_a_port_that_is_none_is_a_usage_error() -> None:
    """Likewise."""
    assert run("emulator", "--port", "99999").returncode == 2
