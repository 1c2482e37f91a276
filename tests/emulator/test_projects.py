"""Each key is a project: what it has is its own, and so are its limits."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running

Json = dict[str, Any]
PATH = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
REQUEST = {"contents": [{"parts": [{"text": "x"}]}]}
JOB = {"batch": {"inputConfig": {"requests": {"requests": [{"request": REQUEST}]}}}}
LINE = b'{"key":"a","request":{"contents":[{"parts":[{"text":"hello"}]}]}}\n'
CACHE = {
    "model": "models/gemini-2.5-flash",
    "contents": [{"role": "user", "parts": [{"text": "word " * 2000}]}],
}


def caller(emulator: Emulator, key: str) -> httpx.Client:
    """A client with a key."""
    return httpx.Client(base_url=emulator.base_url, headers={"x-goog-api-key": key}, timeout=60)


@pytest.fixture
def mine(gemini: Emulator) -> Iterator[httpx.Client]:
    """One project."""
    with caller(gemini, "mine") as client:
        yield client


@pytest.fixture
def theirs(gemini: Emulator) -> Iterator[httpx.Client]:
    """Another."""
    with caller(gemini, "theirs") as client:
        yield client


def upload(client: httpx.Client, name: str = "", data: bytes = LINE) -> httpx.Response:
    """A file in one call after the start."""
    headers = {"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"}
    body = {"file": {"name": name}} if name else {}
    start = client.post("/upload/v1beta/files", headers=headers, json=body)
    if start.status_code != 200:
        return start
    headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    return httpx.post(start.headers["x-goog-upload-url"], content=data, headers=headers, timeout=60)


def test_files(mine: httpx.Client, theirs: httpx.Client) -> None:
    """A foreign file looks as one that is gone, in every call that names it."""
    name = upload(mine).json()["file"]["name"]
    job = {"batch": {"inputConfig": {"fileName": name}}}
    uri = f"https://generativelanguage.googleapis.com/v1beta/{name}"
    part = {"fileData": {"fileUri": uri, "mimeType": "text/plain"}}
    asked = {"contents": [{"parts": [{"text": "x"}, part]}]}
    generate = "/v1beta/models/gemini-2.5-flash:generateContent"
    answers = {
        client: [
            client.get(f"/v1beta/{name}").status_code,
            client.post(PATH, json=job).status_code,
            client.post(generate, json=asked).status_code,
            client.get(f"/download/v1beta/{name}:download").status_code,
            len(client.get("/v1beta/files").json().get("files", [])),
            client.delete(f"/v1beta/{name}").status_code,
        ]
        for client in (theirs, mine)
    }
    assert answers[theirs] == [403, 403, 403, 403, 0, 403]
    assert answers[mine] == [200, 200, 200, 400, 1, 200]


def test_names_of_files(mine: httpx.Client, theirs: httpx.Client) -> None:
    """A name is taken in its own project only; the bytes are not mixed up."""
    assert upload(mine, "files/same", b"a").status_code == 200
    assert upload(mine, "files/same", b"a").json()["error"]["status"] == "ALREADY_EXISTS"
    assert upload(theirs, "files/same", b"bcd").json()["file"]["sizeBytes"] == "3"
    assert mine.get("/v1beta/files/same").json()["sizeBytes"] == "1"


def test_jobs(gemini: Emulator, mine: httpx.Client, theirs: httpx.Client) -> None:
    """Not got, listed, cancelled or deleted by others; their results are not downloaded."""
    name = upload(mine).json()["file"]["name"]
    job = mine.post(PATH, json={"batch": {"inputConfig": {"fileName": name}}}).json()["name"]
    assert theirs.get(f"/v1beta/{job}").status_code == 404
    assert theirs.get("/v1beta/batches").json() == {}
    assert theirs.post(f"/v1beta/{job}:cancel").status_code == 404
    assert theirs.delete(f"/v1beta/{job}").status_code == 404
    gemini.finish()
    output = mine.get(f"/v1beta/{job}").json()["response"]["responsesFile"]
    path = f"/download/v1beta/{output}:download?alt=media"
    assert theirs.get(path).status_code == 403
    assert mine.get(path).status_code == 200


def test_limits_of_jobs() -> None:
    """Each project has its own hundred (here: one)."""
    options = EmulatorOptions(max_live_jobs=1, job_seconds=100)
    with running(options) as emulator, caller(emulator, "a") as a, caller(emulator, "b") as b:
        statuses = [client.post(PATH, json=JOB).status_code for client in (a, a, b, b)]
        projects = {job["project"] for job in emulator.jobs()}
    assert statuses == [200, 429, 200, 429]
    assert len(projects) == 2
    assert not projects & {"a", "b"}  # a key is nobody's business


def test_storage() -> None:
    """Each project has its own 20 GB (here: ten bytes)."""
    options = EmulatorOptions(max_storage_bytes=10)
    with running(options) as emulator, caller(emulator, "a") as a, caller(emulator, "b") as b:
        statuses = [upload(client, data=b"12345678").status_code for client in (a, a, b)]
        second = upload(a, data=b"12345678").json()["error"]
    assert statuses == [200, 429, 200]
    assert second["status"] == "RESOURCE_EXHAUSTED"


def test_keys_of_one_project() -> None:
    """``KEY=PROJECT``: two keys, one project; others are wrong."""
    options = EmulatorOptions(api_keys=("old=shop", "new=shop", "other"))
    with running(options) as emulator:
        with caller(emulator, "old") as old, caller(emulator, "new") as new:
            made = old.post(PATH, json=JOB).json()["name"]
            assert new.get(f"/v1beta/{made}").status_code == 200
        with caller(emulator, "other") as other, caller(emulator, "wrong") as wrong:
            assert other.get(f"/v1beta/{made}").status_code == 404
            assert wrong.get(f"/v1beta/{made}").status_code == 400
        assert [job["project"] for job in emulator.jobs()] == ["shop"]


def test_caches(gemini: Emulator, mine: httpx.Client, theirs: httpx.Client) -> None:
    """Used while they live, by their own project and for their model; in jobs too."""
    cache = mine.post("/v1beta/cachedContents", json=CACHE).json()
    asked = {**REQUEST, "cachedContent": cache["name"]}
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    usage = mine.post(path, json=asked).json()["usageMetadata"]
    assert usage["cachedContentTokenCount"] == cache["usageMetadata"]["totalTokenCount"]
    assert theirs.post(path, json=asked).status_code == 403
    assert theirs.get(f"/v1beta/{cache['name']}").status_code == 403
    other = path.replace("gemini-2.5-flash", "gemini-2.5-pro")
    assert "has to be the same" in mine.post(other, json=asked).json()["error"]["message"]
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": asked}] * 2}}}}
    first = mine.post(PATH, json=body).json()["name"]
    gemini.finish()
    gemini.advance(3601)  # an hour is a cache's life unless it was said otherwise
    second = mine.post(PATH, json=body).json()["name"]
    gemini.finish()
    items = [
        mine.get(f"/v1beta/{name}").json()["response"]["inlinedResponses"]["inlinedResponses"][0]
        for name in (first, second)
    ]
    assert items[0]["response"]["usageMetadata"]["cachedContentTokenCount"]
    assert items[1]["error"]["code"] == 7
    assert mine.post(path, json=asked).status_code == 403


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"contents": [{"parts": [{"text": "short"}]}]}, "min_total_token_count=1024"),
        ({"model": "models/gemini-2.5-pro"}, "min_total_token_count=4096"),
        ({"model": "models/imagen-4.0-generate-001"}, "not supported for createCachedContent"),
        ({"ttl": "-5s"}, "expired already"),
        ({"expireTime": "2001-01-01T00:00:00Z"}, "expired already"),
        ({"expireTime": "2001-13-01T00:00:00Z"}, "Invalid value at 'expire_time'"),
    ],
)
def test_caches_that_are_refused(mine: httpx.Client, change: Json, words: str) -> None:
    """Too small, of a model that has none, over before they begin."""
    answer = mine.post("/v1beta/cachedContents", json=CACHE | change)
    assert answer.status_code in {400, 404}
    assert words in answer.json()["error"]["message"]


def test_life_of_a_cache(gemini: Emulator, mine: httpx.Client) -> None:
    """Until the time that was said; prolonged by a patch, which changes nothing else."""
    name = mine.post("/v1beta/cachedContents", json=CACHE | {"ttl": "60s"}).json()["name"]
    wrong = mine.patch(f"/v1beta/{name}", json={"displayName": "d"})
    assert wrong.status_code == 400
    ends = "2999-01-01T00:00:00Z"
    assert (
        mine.patch(f"/v1beta/{name}", json={"expireTime": ends})
        .json()["expireTime"]
        .startswith("2999")
    )
    gemini.advance(3600)
    assert [one["name"] for one in mine.get("/v1beta/cachedContents").json()["cachedContents"]] == [
        name
    ]
    assert mine.delete(f"/v1beta/{name}").json() == {}
    assert mine.get(f"/v1beta/{name}").status_code == 403


def test_registered_objects(mine: httpx.Client) -> None:
    """``files:register`` wants OAuth; then ``gs://`` may be named in a prompt."""
    uri = "gs://bucket/report.pdf"
    refused = mine.post("/v1beta/files:register", json={"uris": [uri]})
    assert refused.status_code == 401
    assert refused.json()["error"]["details"][0]["reason"] == "CREDENTIALS_MISSING"
    part = {"fileData": {"fileUri": uri, "mimeType": "application/pdf"}}
    asked = {"contents": [{"parts": [{"text": "x"}, part]}]}
    path = "/v1beta/models/gemini-2.5-flash:generateContent"
    bearer = {"authorization": "Bearer token", "x-goog-api-key": ""}
    assert mine.post(path, json=asked, headers=bearer).status_code == 403
    [file] = mine.post("/v1beta/files:register", json={"uris": [uri]}, headers=bearer).json()[
        "files"
    ]
    assert (file["source"], file["mimeType"], file["uri"]) == ("REGISTERED", "application/pdf", uri)
    assert mine.post(path, json=asked, headers=bearer).status_code == 200
    wrong = mine.post("/v1beta/files:register", json={"uris": ["https://x/y"]}, headers=bearer)
    assert wrong.status_code == 400
