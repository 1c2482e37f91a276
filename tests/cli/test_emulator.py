"""``gateway emulator``."""

import ast
import dataclasses
import re
import signal
import socket
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import orjson
import pytest
from click.testing import CliRunner

from gateway.cli.emulator import emulator, flag_of, read_options
from gateway.emulator import EmulatorOptions
from gateway.emulator.api.control import TABLE
from gateway.emulator.faults.markers import MARKERS
from gateway.emulator.faults.table import FAULTS, OPERATIONS
from tests.cli.processes import run, serving


def get(url: str) -> dict[str, object]:
    """A GET with a key."""
    request = urllib.request.Request(url, headers={"x-goog-api-key": "any"})
    with urllib.request.urlopen(request, timeout=60) as answer:
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


@pytest.mark.slow
def test_a_port_that_is_none_is_a_usage_error() -> None:
    """Likewise."""
    assert run("emulator", "--port", "99999").returncode == 2


# --- options -------------------------------------------------------------------------------------

GIVEN: dict[str, tuple[str, Any]] = {
    "job_seconds": ("2.5", 2.5),
    "pending_share": ("0.5", 0.5),
    "clock_offset": ("3600", 3600.0),
    "speed": ("60", 60.0),
    "faults": ("quota:times=2", ("quota:times=2",)),
    "seed": ("7", 7),
    "control": ("", True),
    "api_keys": ("key=project", ("key=project",)),
    "unknown_models": ("", True),
    "max_live_jobs": ("3", 3),
    "tier": ("2", 2),
    "enqueued_tokens": ("gemini-2.5-pro=10", {"gemini-2.5-pro": 10}),
    "ledger": ("", True),
    "spend_limit": ("2.5", 2.5),
    "flex_places": ("9", 9),
    "flex_seconds": ("9", 9.0),
    "expire_seconds": ("9", 9.0),
    "file_seconds": ("9", 9.0),
    "video_seconds": ("9", 9.0),
    "bad_line": ("job", "job"),
    "line_metadata": ("", True),
    "cancel_finished_status": ("400", 400),
    "ranges": ("", True),
    "redirect_leaks": ("no", False),
    "webhook_timeout": ("0.5", 0.5),
    "max_create_bytes": ("9", 9),
    "max_file_bytes": ("9", 9),
    "max_storage_bytes": ("9", 9),
    "upload_granularity": ("9", 9),
    "journal_entries": ("9", 9),
    "directory": ("/tmp", "/tmp"),
}
"""Option -> how it is given, and what becomes of it."""


def options_of(*arguments: str) -> EmulatorOptions:
    """What an emulator is started with."""
    return read_options(emulator.make_context("emulator", list(arguments)).params)


def test_nothing_given_is_the_default() -> None:
    """Of every option."""
    assert options_of() == EmulatorOptions()


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(EmulatorOptions)])
def test_every_option_can_be_given(name: str) -> None:
    """It arrives, and nothing else changes."""
    text, value = GIVEN[name]
    flag = flag_of(name) if text != "no" else f"--no{flag_of(name)[1:]}"

    given = options_of(flag, *([text] if text not in {"", "no"} else []))

    assert given == dataclasses.replace(EmulatorOptions(), **{name: value})


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--job-seconds", "-1"),
        ("--pending-share", "2"),
        ("--speed", "0"),
        ("--speed", "nan"),
        ("--tier", "4"),
        ("--bad-line", "never"),
        ("--cancel-finished-status", "500"),
        ("--enqueued-tokens", "10"),
        ("--enqueued-tokens", "model=many"),
        ("--enqueued-tokens", "=10"),
        ("--api-key", "=project"),
        ("--max-file-bytes", "0"),
        ("--fault", "quota:times=often"),
        ("--fault", "error:on=nothing"),
        ("--directory", "/nowhere/at/all"),
    ],
)
def test_values_that_mean_nothing_are_usage_errors(flag: str, value: str) -> None:
    """A message and 2, no traceback."""
    done = CliRunner().invoke(emulator, ["--port", "0", f"{flag}={value}"])

    assert done.exit_code == 2
    assert re.search("Error: [^\n]*(must|is not|given as|no operation|does not|empty)", done.output)


def test_keys_and_limits_hold(tmp_path: Path) -> None:
    """Options reach the service: a project of its own for each key."""
    arguments = ("--port", "0", "--api-key", "any", "--max-live-jobs", "0", "--tier", "1")
    with serving(tmp_path, "emulator", *arguments) as server:
        assert get(f"{server.url}/v1beta/batches?pageSize=5") == {}
        request = urllib.request.Request(
            f"{server.url}/v1beta/models", headers={"x-goog-api-key": "other"}
        )
        with pytest.raises(HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=60)
        refusal.value.close()

    assert refusal.value.code == 400


# --- help ----------------------------------------------------------------------------------------


def test_help_names_all_there_is() -> None:
    """Options, control routes, and Python that is Python."""
    text = CliRunner().invoke(emulator, ["--help"]).output

    assert {flag_of(one.name) for one in dataclasses.fields(EmulatorOptions)} <= set(
        re.findall(r"--[a-z-]+", text)
    )
    assert {path for _, path, _ in TABLE} <= set(re.findall(r"/emulator/[a-z]+", text))
    for start, end in (("client = genai", "Google's SDK for Java"), ("from gateway", "With --c")):
        snippet = text[text.index(start) : text.index(end)]
        lines = [line.removeprefix("  ") for line in snippet.splitlines()]
        ast.parse("\n".join(line.removeprefix("  ") for line in lines).strip())


def test_lists_of_faults_and_markers() -> None:
    """Complete, by the tables."""
    faults = CliRunner().invoke(emulator, ["--list-faults"])
    markers = CliRunner().invoke(emulator, ["--list-markers"])

    assert (faults.exit_code, markers.exit_code) == (0, 0)
    table = faults.output.partition("\nWhat is reported")[0]
    assert set(FAULTS) == set(re.findall(r"^  ([a-z0-9-]+)  ", table, re.MULTILINE))
    assert set(MARKERS) == set(re.findall(r"^  ([a-z-]+)  ", markers.output, re.MULTILINE))
    assert all(re.search(rf"\b{operation}\b", faults.output) for operation in OPERATIONS)
    assert "create refused with 500 [on=create]" in faults.output
