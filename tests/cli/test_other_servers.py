"""Commands before a server that is no gateway, or another version of it: one sentence each."""

import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from io import StringIO
from pathlib import Path
from typing import Final

import orjson
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from gateway.cli.main import main
from gateway.cli.outcome import show_failures
from tests.cli.other_servers import Quiet, serving
from tests.cli.processes import GATEWAY, SECONDS, environment

COMMANDS: Final = (
    ("status",),
    ("status", "--json"),
    ("status", "batch_1"),
    ("batches",),
    ("cancel", "batch_1"),
    ("retry", "batch_1"),
    ("rerender", "batch_1"),
    ("verify", "batch_1"),
    ("run", "requests.jsonl"),
    ("run", "requests.jsonl", "--resume", "batch_1"),
)
# Name of an answer, in the path -> its status and body.
ANSWERS: Final[dict[str, tuple[int, bytes]]] = {
    "page": (200, b"<html>Welcome</html>"),
    "missing": (404, b"<html>Not found</html>"),
    "moved": (301, b""),
    "object": (200, b"{}"),
    "list": (200, b'[["data", []]]'),
    "rows": (200, b'{"data":[{}]}'),
    "text": (200, b'"data"'),
    "error": (400, b'{"error":null}'),
    "busy": (503, b"<html>Busy</html>"),
    "key": (401, b'{"error":{"message":"Incorrect key \\u001b[2J."}}'),
    "other": (
        200,
        orjson.dumps(
            {
                "id": "batch_1",
                "status": "in_progress",
                "created_at": 1,
                "expires_at": None,
                "request_counts": None,
                "data": [{"id": "batch_1", "status": "in_progress", "created_at": 1}],
            }
        ),
    ),
}


class Server(Quiet, BaseHTTPRequestHandler):
    """Answers by the first part of the path."""

    def do_GET(self) -> None:
        """Answer whatever is asked."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, body = ANSWERS[self.path.split("/")[1]]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://127.0.0.1:9/") if status == 301 else None
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - as http.server calls it


@pytest.fixture(scope="module")
def root() -> Iterator[str]:
    """The address of the server."""
    with serving(Server) as address:
        yield address


@pytest.fixture(autouse=True)
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file to be run, where the command runs."""
    monkeypatch.chdir(tmp_path)
    line = {"custom_id": "a", "url": "/v1/chat/completions", "body": {}}
    Path("requests.jsonl").write_bytes(orjson.dumps(line))


def typed(address: str, *command: str) -> Result:
    """Run a command against an address."""
    env = {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "any"}
    return CliRunner().invoke(main, command, env=env)


@pytest.mark.parametrize("answer", [name for name in ANSWERS if name != "other"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_gateway_is_told(root: str, command: tuple[str, ...], answer: str) -> None:
    """With what to set; whatever it answers, no traceback."""
    done = typed(f"{root}/{answer}/v1", *command)

    assert isinstance(done.exception, SystemExit)
    assert done.exit_code == (2 if command[0] in {"run", "verify"} else 1)
    assert done.stdout == ""
    (told,) = done.stderr.splitlines()
    remedy = {
        "busy": "try again later.",
        "key": "Set OPENAI_API_KEY to a key that the gateway knows.",
    }
    assert told.endswith(remedy.get(answer, "which ends in /v1."))
    assert told.isprintable()


@pytest.mark.parametrize("command", [("status",), ("batches",), ("cancel", "batch_1")])
def test_members_that_another_service_leaves_out(root: str, command: tuple[str, ...]) -> None:
    """Counts that are not known yet, a window that is not told, nothing of the gateway's own."""
    done = typed(f"{root}/other/v1", *command)

    assert (done.exit_code, done.stderr) == (0, "")
    assert "in_progress" in done.stdout


def test_a_new_batch_is_told_though_its_id_cannot_be_printed(root: str) -> None:
    """It was created, and will be paid for."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [GATEWAY, "retry", "batch_1", "--base-url", f"{root}/other/v1"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "The new batch is batch_1."


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:9/v1", "(connection refused)"),
        ("{root}/v1", "write http:// in place of https://"),
        ("127.0.0.1:8080/v1", "missing an 'http://' or 'https://' protocol"),
    ],
)
def test_an_address_where_no_gateway_answers(root: str, address: str, why: str) -> None:
    """The reason in words, and the variable to set."""
    done = typed(address.format(root=root.replace("http:", "https:")), "status")

    assert done.exit_code == 1
    assert why in done.stderr
    assert done.stderr.endswith("start one, or set OPENAI_BASE_URL to its address.\n")


@pytest.mark.parametrize("name", ["status", "cancel", "retry", "rerender", "verify"])
def test_an_empty_id_is_not_the_list_of_batches(root: str, name: str) -> None:
    """Of a variable that is not set: the path of a batch would be that of all."""
    done = typed(f"{root}/other/v1", name, "")

    assert done.exit_code == (2 if name == "verify" else 1)
    assert done.stderr == "Error: The batch's id is empty.\n"


def test_a_file_without_lines_is_not_run(root: str) -> None:
    """It is not its first line that is wrong."""
    Path("empty.jsonl").write_bytes(b"\n \n")

    done = typed(f"{root}/other/v1", "run", "empty.jsonl")

    assert done.exit_code == 2
    assert done.stderr == "Error: empty.jsonl has no lines: there is nothing to run\n"


def test_an_error_file_of_another_service() -> None:
    """Lines whose form is not OpenAI's are counted, and end nothing."""
    path = Path("requests.error.jsonl")
    path.write_bytes(
        b"no json\n"
        b'{"response":{"status_code":500,"body":"Internal error"}}\n'
        b'{"custom_id":"a","error":"bad"}\n'
    )
    with StringIO() as text:
        show_failures(Console(file=text, width=80), path)
        rows = [line.split()[:2] for line in text.getvalue().splitlines()]
    assert rows[1:] == [["2", "unknown"], ["1", "500"]]
