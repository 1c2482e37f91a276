"""Recorded uploads, downloads, and the refusals of single calls."""

import base64
import hashlib
from collections.abc import Callable

import httpx
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.emulator.replaying import (
    BY_A_FAULT,
    FLASH_JOBS,
    OUR_PROMPT,
    SAMPLES,
    compare,
    differences,
    each,
    of_kind,
    replays,
    send,
    upload,
)
from tests.emulator.test_replay_jobs import LINES

# --- uploads -------------------------------------------------------------------------------------


@replays("g042", "g043", "g044", "g045")
@pytest.mark.parametrize(("start", "finish"), [("g042", "g043"), ("g044", "g045")])
def test_upload(gemini: Emulator, start: str, finish: str) -> None:
    """The two calls of a resumable upload, headers included."""
    started = send(gemini.base_url, start)
    compare(start, started)
    assert started.text == SAMPLES[start]["response"]["body"]
    headers = SAMPLES[finish]["request"]["headers"]
    size = int(headers["Content-Length"])
    done = httpx.post(
        started.headers["x-goog-upload-url"], content=bytes(size), headers=headers, timeout=60
    )
    compare(finish, done, "CreateFileResponse")
    assert done.json()["file"]["sizeBytes"] == str(size)
    digest = hashlib.sha256(bytes(size)).hexdigest()
    assert base64.b64decode(done.json()["file"]["sha256Hash"]).decode() == digest


@replays("g048", how=OUR_PROMPT)
def test_uploaded_lines(api: httpx.Client) -> None:
    """The cookbook's type of a file of lines is kept, though it is none."""
    file = upload(api, "", LINES, "jsonl").json()["file"]
    assert differences("g048", SAMPLES["g048"]["line"], file) == []


@replays(*of_kind("sdk.request.files"))
def test_sdk_requests(gemini: Emulator, api: httpx.Client) -> None:
    """Requests captured from google-genai 3.4.0: start, chunks, get, list, delete, download."""
    for start, chunks in (("g061", [("g062", 3)]), ("g063", [("g064", 8388608), ("g065", 5)])):
        url = httpx.URL(send(gemini.base_url, start).headers["x-goog-upload-url"])
        for chunk, size in chunks:
            headers = SAMPLES[chunk]["request"]["headers"]
            answer = httpx.post(url, headers=headers, content=bytes(size), timeout=60)
            assert answer.status_code == 200, answer.text
        assert answer.headers["x-goog-upload-status"] == "final"
    upload(api, "files/abc123def456", LINES)
    statuses = {
        name: send(gemini.base_url, name).status_code for name in ("g066", "g067", "g068", "g069")
    }
    assert statuses == {"g066": 200, "g067": 200, "g068": 200, "g069": 302}


# --- downloads -----------------------------------------------------------------------------------


@replays("g046", "g047")
def test_download(gemini: Emulator, api: httpx.Client, put_file: Callable[[bytes], str]) -> None:
    """The redirect, and the bytes behind it with their headers, type of the file included."""
    body = {"batch": {"inputConfig": {"fileName": put_file(LINES)}}}
    made = api.post(FLASH_JOBS, json=body).json()
    gemini.finish()
    file = api.get(f"/v1beta/{made['name']}").json()["response"]["responsesFile"]
    path = SAMPLES["g046"]["request"]["path"].replace("files/zqw12cp8qc38", file)
    moved = send(gemini.base_url, "g046", path=path)
    compare("g046", moved)
    assert moved.json() == SAMPLES["g046"]["response"]["body"]
    assert moved.headers["location"] == f"{gemini.base_url}/download{path}"
    answer = api.get(moved.headers["location"])
    recorded = SAMPLES["g047"]["response"]
    assert answer.status_code == recorded["status"]
    wanted = recorded["headers"] | {"Content-Type": answer.headers["content-type"]}
    same = ("Content-Disposition", "Cache-Control", "Server")
    assert {name: answer.headers[name] for name in same} == {name: wanted[name] for name in same}
    assert {name.lower() for name in wanted} <= set(answer.headers)
    assert set(wanted["Vary"].split(", ")) <= set(answer.headers["vary"].split(", "))


# --- refusals ------------------------------------------------------------------------------------


def _word_for_word(name: str, answer: httpx.Response) -> None:
    compare(name, answer)
    assert answer.json() == SAMPLES[name]["response"]["body"]


@each(*of_kind("error.404"))
def test_unknown_models(gemini: Emulator, name: str) -> None:
    """404, word for word."""
    _word_for_word(name, send(gemini.base_url, name))


@replays("g073")
def test_wrong_key() -> None:
    """400, word for word."""
    with running(EmulatorOptions(api_keys=("good",))) as gemini:
        _word_for_word("g073", send(gemini.base_url, "g073"))


@replays("g074", how=BY_A_FAULT)
def test_quota(gemini: Emulator) -> None:
    """429 of the synchronous calls tells what and when."""
    gemini.fault("error", on="generate", status=429, times=1)
    answer = send(gemini.base_url, "g074")
    compare("g074", answer)
    recorded = SAMPLES["g074"]["response"]["body"]["error"]
    assert answer.json()["error"]["message"] == recorded["message"]


@replays("g076", how=BY_A_FAULT)
def test_overloaded(gemini: Emulator) -> None:
    """503, word for word."""
    gemini.fault("overloaded", times=1)
    _word_for_word("g076", send(gemini.base_url, "g090"))


@replays("g049", "g050")
def test_files_that_cannot_be_had(gemini: Emulator, api: httpx.Client) -> None:
    """A result's name is too long, a lost file is foreign; word for word."""
    _word_for_word("g049", api.get("/v1beta/files/batch-" + "x" * 36))
    _word_for_word("g050", send(gemini.base_url, "g050"))


@replays("g078", how=OUR_PROMPT)
def test_missing_signature(api: httpx.Client) -> None:
    """Gemini 3 refuses a call that lost its signature; Gemini 2.5 does not mind."""
    contents = [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]
    path = "/v1beta/models/{}:generateContent"
    answer = api.post(path.format("gemini-3-pro-preview"), json={"contents": contents})
    _word_for_word("g078", answer)
    old = api.post(path.format("gemini-2.5-flash"), json={"contents": contents})
    assert old.status_code == 200


@replays("g079", how=OUR_PROMPT)
def test_too_many_embeddings(api: httpx.Client) -> None:
    """At most 100, word for word."""
    request = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "x"}]}}
    path = "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    _word_for_word("g079", api.post(path, json={"requests": [request] * 101}))
