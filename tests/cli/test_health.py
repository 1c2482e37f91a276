"""``gateway health``, as probes use it."""

import socket
import threading
from pathlib import Path

import pytest

from tests.cli.processes import loopback, run, serving

pytestmark = pytest.mark.slow

LIVE = "/healthz 200\n"
READY = "/healthz 200\n/readyz 200\n"


def test_a_ready_gateway_is_healthy(tmp_path: Path) -> None:
    """Exit 0, both answers; --live asks for one alone."""
    with serving(tmp_path, "serve", env=loopback(tmp_path)) as server:
        env = loopback(tmp_path, GATEWAY_PORT=server.port)

        ready, live = run("health", env=env), run("health", "--live", env=env)

    assert (ready.returncode, ready.stdout, ready.stderr) == (0, READY, "")
    assert (live.returncode, live.stdout) == (0, LIVE)


def test_nobody_there_is_exit_1(tmp_path: Path) -> None:
    """Its own answer says why."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        env = loopback(tmp_path, GATEWAY_PORT=str(unused.getsockname()[1]))

        done = run("health", env=env)

    assert (done.returncode, done.stdout) == (1, "/healthz no answer (ConnectionRefusedError)\n")


def test_an_alive_gateway_that_is_not_ready_is_exit_1(tmp_path: Path) -> None:
    """A small server stands in for a gateway on its way down."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = {b"/healthz": b"200 OK", b"/readyz": b"503 Service Unavailable"}
        thread = threading.Thread(target=_answer, args=(listener, answers))
        thread.start()
        env = loopback(tmp_path, GATEWAY_PORT=str(listener.getsockname()[1]))

        done = run("health", env=env)

        thread.join()
    assert (done.returncode, done.stdout) == (1, "/healthz 200\n/readyz 503\n")


def _answer(listener: socket.socket, answers: dict[bytes, bytes]) -> None:
    """One connection for each answer."""
    for _ in answers:
        connection, _ = listener.accept()
        with connection:
            path = connection.recv(4096).split(b" ")[1]
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % answers[path])


def test_a_bad_port_is_no_health(tmp_path: Path) -> None:
    """A probe that cannot know where to ask says so."""
    done = run("health", env=loopback(tmp_path, GATEWAY_PORT="http"))

    assert done.returncode == 78
    assert done.stderr == "Error: GATEWAY_PORT is not a whole number\n"


def test_host_and_port_are_enough(tmp_path: Path) -> None:
    """No key, no secret's file that this user may not read, no other setting is looked at."""
    with serving(tmp_path, "serve", env=loopback(tmp_path)) as server:
        env = {
            "GATEWAY_PORT": server.port,
            "GATEWAY_API_KEYS_FILE": "/nowhere/keys",
            "GATEWAY_PROT": "1",
            "GATEWAY_SERVICE_PORT": "1",
        }

        done = run("health", env=env)

    assert (done.returncode, done.stdout, done.stderr) == (0, READY, "")
