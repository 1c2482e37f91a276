"""Following a batch: words of others on a terminal, and a gateway that is away for a while."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from rich.console import Console

from gateway.cli import follow as following
from gateway.cli.follow import follow
from gateway.cli.outcome import show_failures
from gateway.client.client import ClientError, GatewayClient

BATCH: dict[str, Any] = {
    "id": "batch_1",
    "status": "in_progress",
    "created_at": 1,
    "request_counts": {"total": 2, "completed": 1, "failed": 0},
    "gateway": {"waiting_for": "Google said: [/quota] is [bold]full"},
}
DONE = {**BATCH, "status": "completed", "gateway": {}}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "FIRST_PAUSE", 0.001)


def client_of(*answers: httpx.Response | Exception) -> GatewayClient:
    """A client whose gateway answers these, one after the other."""
    script: Iterator[httpx.Response | Exception] = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        given = next(script)
        if isinstance(given, Exception):
            raise given
        return given

    return GatewayClient("http://gateway/v1", "k", httpx.MockTransport(answer))


def test_words_of_others_are_no_markup() -> None:
    """The bar ended with a traceback."""
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with client_of(httpx.Response(200, json=DONE)) as client:
        assert follow(client, BATCH, console) == DONE


def test_a_gateway_that_is_away_for_a_while() -> None:
    """It was restarted: the command of a day ended with it."""
    away = (
        httpx.ConnectError("refused"),
        httpx.Response(503, json={"error": {"message": "stopping"}}),
        httpx.Response(502, text="<html>"),
    )
    console = Console(file=io.StringIO())
    with client_of(*away, httpx.Response(200, json=DONE)) as client:
        assert follow(client, BATCH, console) == DONE


def test_a_gateway_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever; and what it refuses ends the command at once."""
    monkeypatch.setattr(following, "PATIENCE_MS", -1)
    console = Console(file=io.StringIO())
    away = httpx.ConnectError("refused")
    with client_of(away) as client, pytest.raises(ClientError, match="refused"):
        follow(client, BATCH, console)
    gone = httpx.Response(404, json={"error": {"message": "no such batch"}})
    with client_of(gone) as client, pytest.raises(ClientError, match="no such batch"):
        follow(client, BATCH, console)


def test_what_a_terminal_would_obey(tmp_path: Path) -> None:
    """A custom_id or a message clears no screen."""
    error = {"code": "c", "message": "bad [/x] \x1b[2J"}
    line = {"custom_id": "a\x1b]0;title\x07", "response": {"body": {"error": error}}}
    path = tmp_path / "error.jsonl"
    path.write_bytes(orjson.dumps(line))
    console = Console(file=io.StringIO(), width=200)
    show_failures(console, path)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "bad [/x]" in shown
    assert not {"\x1b", "\x07"} & set(shown)
