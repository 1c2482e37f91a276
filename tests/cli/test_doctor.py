"""``gateway doctor`` before records that no gateway starts with, and before what is not Google."""

import sqlite3
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.emulator.testing import running
from gateway.store.moved import write_mark
from gateway.store.opening import DATABASE
from tests.cli.other_servers import Quiet, serving


class Page(Quiet, BaseHTTPRequestHandler):
    """A web server: the same page at every address."""

    def do_GET(self) -> None:
        """Answer 200."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")


def findings(address: str, directory: Path, **settings: str) -> dict[str, tuple[str, str]]:
    """What was looked at -> how it is, and the sentence."""
    env = {
        "GATEWAY_GEMINI_BASE_URL": address,
        "GATEWAY_DATA_DIR": str(directory),
        **settings,
    }
    done = CliRunner().invoke(main, ["doctor", "--json"], env=env)
    rows = orjson.loads(done.stdout)
    assert done.exit_code == any(row["state"] == "error" for row in rows)
    return {row["what"]: (row["state"], row["told"]) for row in rows}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("newer", "was written by a newer version of the gateway"),
        ("moved", "were moved to elsewhere"),
        ("garbage", "cannot be used as a database"),
    ],
)
def test_records_that_no_gateway_starts_with(records: Path, change: str, said: str) -> None:
    """They were called good, and then the start was refused."""
    with running() as gemini:
        assert findings(gemini.base_url, records)["data directory"][0] == "ok"
        if change == "newer":
            with closing(sqlite3.connect(records / DATABASE)) as database, database:
                database.execute("INSERT INTO migrations VALUES ('9999_next', 0)")
        elif change == "moved":
            write_mark(records, "elsewhere", None, done=True)
        else:
            (records / DATABASE).write_bytes(bytes(range(256)) * 40)
        state, told = findings(gemini.base_url, records)["data directory"]
    assert state == "error"
    assert said in told


def test_what_answers_in_place_of_google(tmp_path: Path) -> None:
    """A page is no list of models that comes later: the address is wrong."""
    with serving(Page) as address:
        state, told = findings(address, tmp_path, GEMINI_API_KEY="any")["key default"]
    assert state == "error"
    assert "Look at GATEWAY_GEMINI_BASE_URL" in told


def test_no_key_where_none_is_needed(tmp_path: Path) -> None:
    """Of a loopback upstream, and where clients bring their own."""
    passing = {
        "GATEWAY_AUTH": "pass-through",
        "GATEWAY_ENCRYPTION_KEY": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    }
    with running() as gemini:
        assert findings(gemini.base_url, tmp_path)["key default"][0] == "ok"
        state, told = findings(gemini.base_url, tmp_path, **passing)["key"]
    assert state == "ok"
    assert "clients bring their own" in told
