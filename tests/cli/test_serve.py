"""``gateway serve``: what stops the start, what is said, and how it ends."""

import asyncio
import signal
import socket
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import orjson
import pytest
from openai import AsyncOpenAI

from gateway import __version__
from gateway.clock import SystemClock
from tests.cli.processes import Server, loopback, run, serving
from tests.e2e.harness import until

pytestmark = pytest.mark.slow

BAD_SETTINGS = 78


def status_of(url: str, key: str | None = None) -> int:
    """The status of a GET."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def json_of(url: str) -> dict[str, str]:
    """The body of a GET."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        parsed: dict[str, str] = orjson.loads(answer.read())
    return parsed


def log_of(server: Server) -> list[dict[str, str]]:
    """Every line of stderr; each must be JSON."""
    return [orjson.loads(line) for line in server.errors.read_bytes().splitlines()]


def test_an_unknown_setting_stops_the_start(tmp_path: Path) -> None:
    """With the exit code for bad settings and a message that names it."""
    done = run("serve", env=loopback(tmp_path, GATEWAY_POTR="1"))

    assert done.returncode == BAD_SETTINGS
    assert done.stderr == (
        "Error: GATEWAY_POTR is no setting of the gateway (did you mean GATEWAY_PORT?)\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("GATEWAY_PORT", "http", "GATEWAY_PORT is not a whole number"),
        ("GATEWAY_POLL_MIN_SECONDS", "90", "GATEWAY_POLL_MIN_SECONDS is above"),
        ("GATEWAY_HOST", "0.0.0.0", "set GATEWAY_API_KEYS=NAME=SECRET"),
        ("GATEWAY_GEMINI_BASE_URL", "https://example.com", "GEMINI_API_KEY is not set"),
        ("GEMINI_API_KEY_FILE", "/nowhere/key", "cannot be read from its file /nowhere/key"),
    ],
)
def test_a_bad_setting_stops_the_start(
    tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    """So does a value that means nothing, or too little together with others."""
    done = run("serve", env=loopback(tmp_path) | {name: value})

    assert done.returncode == BAD_SETTINGS
    assert complaint in done.stderr


def test_without_a_key_there_is_no_start(tmp_path: Path) -> None:
    """The message says what is missing and when it need not be there."""
    done = run("serve", env={"GATEWAY_DATA_DIR": str(tmp_path / "data")})

    assert done.returncode == BAD_SETTINGS
    assert done.stderr.startswith("Error: GEMINI_API_KEY is not set: ")
    assert "loopback GATEWAY_GEMINI_BASE_URL" in done.stderr


def test_a_taken_port_stops_the_start(tmp_path: Path) -> None:
    """The message names the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])

        done = run("serve", env=loopback(tmp_path, GATEWAY_PORT=port))

    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Address already in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    """The message names the path."""
    (tmp_path / "data").touch()

    done = run("serve", env=loopback(tmp_path))

    assert done.returncode != 0
    assert str(tmp_path / "data") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_process_does_not_share_a_data_directory(tmp_path: Path) -> None:
    """The message names the directory and the process that has it."""
    with serving(tmp_path, "serve", env=loopback(tmp_path)) as first:
        done = run("serve", env=loopback(tmp_path))

    assert done.returncode == BAD_SETTINGS
    assert f"{tmp_path / 'data'} is in use" in done.stderr
    assert f"pid {first.process.pid}" in done.stderr


def errors_of(server: Server) -> list[dict[str, str]]:
    """What it logged as one."""
    return [entry for entry in log_of(server) if entry["level"] == "error"]


def test_it_serves_until_sigterm(tmp_path: Path) -> None:
    """It says where it listens, answers there, and ends in order, logging JSON alone."""
    with serving(tmp_path, "serve", env=loopback(tmp_path)) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/v1"
        assert [status_of(server.root + path) for path in ("/healthz", "/readyz")] == [200, 200]
        assert status_of(f"{server.url}/files") == 401
        assert status_of(f"{server.url}/files", key="any") == 200
        assert server.stop() == 0
        first, *others = log_of(server)
        assert first["message"].startswith(f"gateway {__version__}: data in {tmp_path}/data, ")
        assert {entry["level"] for entry in others} == {"info"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=lambda one: one.name)
def test_other_signals_drain_too(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, and the terminal that closes: in order, with exit code 0."""
    with serving(tmp_path, "serve", env=loopback(tmp_path)) as server:
        assert server.stop(number) == 0
        assert "stopped" in [entry["message"] for entry in log_of(server)]


async def test_a_key_that_google_refuses_is_said_at_the_start(tmp_path: Path) -> None:
    """In the log, in /readyz, which stays 200, and in every batch that waits for it."""
    keys = ("--api-key", "the-right-one")
    with serving(tmp_path, "emulator", "--port", "0", *keys) as emulator:
        env = loopback(tmp_path, GATEWAY_GEMINI_BASE_URL=emulator.url, GEMINI_API_KEY="a-wrong-key")
        with serving(tmp_path, "serve", env=env) as server:
            async with asyncio.timeout(60):
                while (told := json_of(f"{server.root}/readyz"))["google"] == "not_asked":
                    await SystemClock().sleep(0.05)
            assert told == {"status": "ready", "google": "key_refused"}
            (error,) = await asyncio.to_thread(until, lambda: errors_of(server), "it is logged")
            assert error["message"].startswith("Google refuses the key of the credential default")
            assert "a-wrong-key" not in server.errors.read_text()
            assert "API_KEY_INVALID" in await what_a_batch_waits_for(server)


async def what_a_batch_waits_for(server: Server) -> str:
    """Create one and ask until it says."""
    line = {"model": "gemini-3.8-flash", "messages": [{"role": "user", "content": "Hi"}]}
    input_line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": line}
    async with AsyncOpenAI(base_url=server.url, api_key="any") as client, asyncio.timeout(60):
        file = await client.files.create(
            file=("in.jsonl", orjson.dumps(input_line)), purpose="batch"
        )
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while not (waiting := (batch.model_extra or {})["gateway"]["waiting_for"]):
            await SystemClock().sleep(0.1)
            batch = await client.batches.retrieve(batch.id)
    return str(waiting)


def test_a_good_key_is_said_too(tmp_path: Path) -> None:
    """As ok."""
    with serving(tmp_path, "emulator", "--port", "0") as emulator:
        env = loopback(tmp_path, GATEWAY_GEMINI_BASE_URL=emulator.url, GEMINI_API_KEY="any")
        with serving(tmp_path, "serve", env=env) as server:
            url = f"{server.root}/readyz"
            until(lambda: json_of(url)["google"] != "not_asked", "it is asked")
            assert json_of(url)["google"] == "ok"


def test_named_credentials_are_asked_for(tmp_path: Path) -> None:
    """With GATEWAY_API_KEYS_FILE, any other key is refused."""
    (tmp_path / "keys").write_text("alice=s3cret\n")
    env = loopback(tmp_path, GATEWAY_API_KEYS_FILE=str(tmp_path / "keys"))

    with serving(tmp_path, "serve", env=env) as server:
        assert status_of(f"{server.url}/batches", key="s3cret") == 200
        assert status_of(f"{server.url}/batches", key="any") == 401


def test_what_kubernetes_injects_is_one_warning(tmp_path: Path) -> None:
    """A Service called gateway must not stop its own pods."""
    env = loopback(
        tmp_path,
        GATEWAY_SERVICE_HOST="10.0.0.11",
        GATEWAY_SERVICE_PORT="8080",
        GATEWAY_PORT_8080_TCP="tcp://10.0.0.11:8080",
        GATEWAY_PORT_8080_TCP_ADDR="10.0.0.11",
    )

    with serving(tmp_path, "serve", env=env) as server:
        assert server.stop() == 0
        warnings = [entry for entry in log_of(server) if entry["level"] == "warning"]

    assert len(warnings) == 1
    assert "GATEWAY_SERVICE_HOST" in warnings[0]["message"]
