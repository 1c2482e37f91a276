"""Records what programs send into ``tests/data/builders``: ``python -m tests.builders.record``.

Each program has an environment of its own, because together pip takes an old ``openai``. A file
holds one body a line, with the program and its version; test_builders.py translates them.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import orjson

from tests.builders.bodies import PROGRAMS

HERE: Final = Path(__file__).parent
DATA: Final = HERE.parent / "data" / "builders"
# What pip is asked for, where it is not the program's name alone.
_EXTRAS: Final = {"pydantic-ai-slim": "pydantic-ai-slim[openai]"}
_NODE: Final = ("openai", "zod", "zod-to-json-schema")


class _Listener(ThreadingHTTPServer):
    """Keeps every body that is sent, by the name in its path, and answers 400."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Listen)
        self.bodies: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        """Where programs send to."""
        return f"http://127.0.0.1:{self.server_port}"


class _Listen(BaseHTTPRequestHandler):
    server: _Listener

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        _, name, path = self.path.split("/", 2)
        self.server.bodies.setdefault(name, {"endpoint": f"/{path}", "body": body})
        answer = b'{"error": {"message": "recorded", "type": "invalid_request_error"}}'
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's
        """Say nothing of each request."""


@contextmanager
def _listening() -> Iterator[_Listener]:
    listener = _Listener()
    Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield listener
    finally:
        listener.shutdown()
        listener.server_close()


def _run(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, cwd=cwd)
    return done.stdout.strip()


def _record_python(program: str, scratch: Path, listener: _Listener) -> str:
    python = scratch / program / "bin" / "python"
    _run(sys.executable, "-m", "venv", scratch / program)
    _run(python, "-m", "pip", "install", "-q", _EXTRAS.get(program, program))
    _run(python, HERE / "bodies.py", program, listener.url)
    return _run(python, "-c", f"from importlib.metadata import version as v; print(v({program!r}))")


def _record_node(scratch: Path, listener: _Listener) -> str:
    room = scratch / "node"
    room.mkdir()
    _run("npm", "init", "-y", cwd=room)
    _run("npm", "install", "--silent", *_NODE, cwd=room)
    script = room / "bodies.mjs"
    script.write_bytes((HERE / "bodies.mjs").read_bytes())
    _run("node", script, listener.url, cwd=room)
    manifests = [room / "node_modules" / name / "package.json" for name in _NODE]
    found = [orjson.loads(manifest.read_bytes()) for manifest in manifests]
    return ", ".join(f"{one['name']} {one['version']}" for one in found)


def _write(program: str, version: str, listener: _Listener) -> None:
    about = {"program": program, "version": version}
    lines = [
        orjson.dumps({**about, "name": name, **listener.bodies[name]}) for name in listener.bodies
    ]
    (DATA / f"{program}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def main() -> None:
    """Record every program anew."""
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for program in (*PROGRAMS, "openai-node"):
            with _listening() as listener:
                scratch = Path(folder)
                if program == "openai-node":
                    version = _record_node(scratch, listener)
                else:
                    version = _record_python(program, scratch, listener)
                _write(program, version, listener)


if __name__ == "__main__":
    main()
