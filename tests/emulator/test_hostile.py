"""Requests that no good client sends: each is refused by itself and harms nobody else."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.faults.markers import find_faults, find_marks
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.testing import Emulator, running

Json = dict[str, Any]
Create = Callable[..., httpx.Response]
Results = Callable[[str], list[Json]]
FLASH = "/v1beta/models/gemini-2.5-flash"
MIB = 1 << 20


def nested(levels: int, inner: object = 1) -> Json:
    """``inner`` inside so many objects."""
    found: Any = inner
    for _ in range(levels):
        found = {"a": found}
    return {"a": found}


def asked(text: str = "x", **more: Any) -> Json:
    """A GenerateContentRequest."""
    return {"contents": [{"parts": [{"text": text}]}], **more}


def refused(answer: httpx.Response, *words: str, status: int = 400) -> None:
    """An answer is a refusal in Google's envelope that has these words."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == status
    for word in words:
        assert word in error["message"]


@pytest.fixture
def small() -> Iterator[httpx.Client]:
    """A client of an emulator whose projects may store 3 MiB."""
    with (
        running(EmulatorOptions(max_storage_bytes=3 * MIB)) as emulator,
        httpx.Client(
            base_url=emulator.base_url, headers={"x-goog-api-key": "k"}, timeout=60
        ) as client,
    ):
        yield client


def started(api: httpx.Client, name: str = "", **headers: str) -> str:
    """The URL of a new upload."""
    answer = api.post(
        "/upload/v1beta/files",
        json={"file": {"name": name}} if name else {},
        headers={"x-goog-upload-command": "start", **headers},
    )
    assert answer.status_code == 200, answer.text
    url: str = answer.headers["x-goog-upload-url"]
    return url


def sent(
    url: str, data: bytes | Iterator[bytes], offset: str = "0", command: str = "upload, finalize"
) -> httpx.Response:
    """A chunk of an upload."""
    headers = {"x-goog-upload-offset": offset, "x-goog-upload-command": command}
    return httpx.post(url, content=data, headers=headers, timeout=60)


@pytest.mark.parametrize("opening", ["[[a:", "[[fault:", "[[", "[[a]"])
def test_many_openings_cost_no_time(opening: str) -> None:
    """Looking for markers takes time by the length of a text, not by its square."""
    text = opening * 300_000 + "[[tokens:3]][[fault:slow]]"
    started = time.process_time()
    marks, faults = find_marks(text), find_faults([text])
    assert time.process_time() - started < 5
    assert len(marks) + len(faults) <= 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "[[tokens:3]] [[text:a [b, c]] [[blank]]",
            {"tokens": "3", "text": "a [b, c", "blank": ""},
        ),
        ("x]] [[a] [[text:x]] ]]", {"text": "x"}),
        ("[[[text:x]]]", {"text": "x"}),
        ("[[text:x] [[tokens:1]]", {"tokens": "1"}),
        ("[[text", {}),
    ],
)
def test_markers_are_found(text: str, found: dict[str, str]) -> None:
    """A marker ends at the first bracket after it, which must be two."""
    assert {name: mark.value for name, mark in find_marks(text).items()} == found


@pytest.mark.parametrize(
    "part",
    [
        {"functionCall": {"name": "f", "args": nested(150)}},
        {"functionResponse": {"name": "f", "response": nested(300)}},
    ],
)
def test_deep_parts(api: httpx.Client, part: Json) -> None:
    """Too many levels are refused, wherever they are."""
    answer = api.post(f"{FLASH}:generateContent", json={"contents": [{"parts": [part]}]})
    refused(answer, "Message too deep")


def test_deep_values(api: httpx.Client, create: Create) -> None:
    """So is a value of a wrong type, inline metadata, metadata of a webhook."""
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    refused(api.post(f"{FLASH}:generateContent", json=asked(model=deep)), "Message too deep")
    hook = {"uris": ["http://127.0.0.1:9/"], "userMetadata": nested(300)}
    refused(create("a", webhookConfig=hook), "Message too deep")
    requests = [{"request": asked(), "metadata": nested(300)}]
    batch = {"batch": {"inputConfig": {"requests": {"requests": requests}}}}
    refused(api.post(f"{FLASH}:batchGenerateContent", json=batch), "Message too deep")


def test_a_deep_line_is_alone(
    api: httpx.Client, put_file: Callable[[bytes], str], results: Results
) -> None:
    """A line of too many levels is an error of its own, with its key; the others are served."""
    requests = [asked(), asked(model=nested(300)), asked()]
    rows = [{"key": f"k{at}", "request": request} for at, request in enumerate(requests)]
    text = "".join(json.dumps(row) + "\n" for row in rows)  # noqa: TID251 - deeper than orjson goes
    file = put_file(text.encode())
    batch = {"batch": {"inputConfig": {"fileName": file}}}
    job = api.post(f"{FLASH}:batchGenerateContent", json=batch).json()
    found = {line["key"]: line for line in results(job["name"])}
    assert [("response" in found[f"k{at}"]) for at in range(3)] == [True, False, True]
    assert "Message too deep" in found["k1"]["error"]["message"]


@pytest.mark.parametrize("ends", [{"ttl": "999999999999s"}, {"ttl": "9" * 400 + "s"}])
def test_a_cache_for_ever(api: httpx.Client, ends: Json) -> None:
    """A cache ends before time does; one that is refused leaves nothing behind."""
    body = asked("word " * 2000, model="models/gemini-2.5-flash")
    refused(api.post("/v1beta/cachedContents", json=body | ends))
    assert api.get("/v1beta/cachedContents").json() == {}
    cache = api.post("/v1beta/cachedContents", json=body).json()
    refused(api.patch(f"/v1beta/{cache['name']}", json=ends))
    assert api.get(f"/v1beta/{cache['name']}").json() == cache


def test_a_refused_chunk_leaves_nothing(api: httpx.Client) -> None:
    """What came of it is no part of the file; a wrong offset overwrites nothing."""
    url = started(api)
    refused(sent(url, iter([b"x" * 100]), command="upload"), "granularity")
    done = sent(url, b"y" * 10).json()["file"]
    assert done["sizeBytes"] == "10"
    refused(sent(url, iter([b"z" * 10])), "final")
    cancelled = started(api)
    assert sent(cancelled, b"", command="cancel").status_code == 200
    refused(sent(cancelled, iter([b"z" * 10])), "cancelled")


def test_storage_is_counted_while_it_fills(small: httpx.Client) -> None:
    """Uploads that announce no size count, also under way; what is refused or gone does not."""
    two = b"x" * (2 * MIB)
    first = started(small)
    assert sent(first, iter([two]), command="upload").status_code == 400  # the granularity
    assert sent(first, iter([two])).status_code == 200
    second = started(small)
    refused(sent(second, iter([two])), status=429)
    assert sent(second, b"", command="query").headers["x-goog-upload-size-received"] == "0"
    [file] = small.get("/v1beta/files").json()["files"]
    assert small.delete(f"/v1beta/{file['name']}").status_code == 200
    assert sent(second, iter([two])).status_code == 200


def test_a_name_is_given_once(api: httpx.Client) -> None:
    """Of two uploads of one name the one that ends second is refused."""
    urls = [started(api, "files/mine") for _ in range(2)]
    assert sent(urls[0], b"first").status_code == 200
    refused(sent(urls[1], b"second one"), "already exists", status=409)
    assert api.get("/v1beta/files/mine").json()["sizeBytes"] == "5"


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "\u0663"])
def test_what_only_looks_like_numbers(api: httpx.Client, number: str) -> None:
    """Other digits than ASCII's, and endless ones, are refused."""
    for path in ("batches", "models", "files", "cachedContents", "webhooks"):
        refused(api.get(f"/v1beta/{path}", params={"pageSize": number}))
        refused(api.get(f"/v1beta/{path}", params={"pageToken": f"Cg{number}"}))
    raw = number.encode("latin-1", errors="ignore") or b"\xb3"
    url = started(api)
    headers = {b"x-goog-upload-offset": raw, b"x-goog-upload-command": b"upload, finalize"}
    refused(httpx.post(url, content=b"x", headers=headers, timeout=60), "offset")
    start = {b"x-goog-upload-command": b"start", b"x-goog-upload-header-content-length": raw}
    refused(api.post("/upload/v1beta/files", headers=start), "Content-Length")
    for mark in (f"[[error:{number}]]", f"[[tokens:{number}]]", f"[[error:3,times={number}]]"):
        answer = api.post(f"{FLASH}:generateContent", json=asked(mark))
        assert ("error" in mark) == (answer.status_code != 200)
        assert answer.headers["server"] == "scaffolding on HTTPServer2"


def test_deleted_jobs_are_given_back(
    api: httpx.Client,
    gemini: Emulator,
    create: Create,
    put_file: Callable[[bytes], str],
    results: Results,
) -> None:
    """A deleted job holds neither its input nor its inline results; control still counts them."""
    world = gemini._state
    name = create(*("x" * 50 for _ in range(20))).json()["name"]
    assert len(results(name)) == 20
    file = put_file(orjson.dumps({"key": "k", "request": asked()}) + b"\n")
    batch = {"batch": {"inputConfig": {"fileName": file}}}
    of_file = api.post(f"{FLASH}:batchGenerateContent", json=batch).json()["name"]
    assert len(results(of_file)) == 1
    for one in (name, of_file):
        assert api.delete(f"/v1beta/{one}").status_code == 200
    for job in world.jobs():
        assert job.run is not None
        assert (job.requests, job.run.lines) == ([], [])
    assert [job["succeeded"] for job in gemini.jobs()] == [20, 1]
    assert [path.name for path in world.directory.glob("input-*")] == []


def test_abandoned_uploads_are_given_back(api: httpx.Client, gemini: Emulator) -> None:
    """A session that nobody goes on with is gone after a week, its bytes too."""
    world = gemini._state
    url = started(api)
    gemini.advance(8 * 24 * 3600)
    started(api)
    assert len(list(world.directory.glob("upload-*"))) == 1
    refused(sent(url, b"x"), status=404)


def test_marked_faults_stay_in_their_project(gemini: Emulator, api: httpx.Client) -> None:
    """What a prompt of one key armed strikes no other key; control shows it and disarms it."""
    for operation in ("generateContent", "batchGenerateContent"):
        text = f"{operation} [[fault:list-empty]] [[fault:error:on=file-list,status=503]]"
        batch = {"batch": {"inputConfig": {"requests": {"requests": [{"request": asked(text)}]}}}}
        body = asked(text) if operation == "generateContent" else batch
        assert api.post(f"{FLASH}:{operation}", json=body).status_code == 200
        other = httpx.Client(
            base_url=gemini.base_url, headers={"x-goog-api-key": "another"}, timeout=60
        )
        with other:
            assert other.get("/v1beta/files").status_code == 200
        assert api.get("/v1beta/files").status_code == 503
        assert [fault["applied"] for fault in gemini.faults()] == [0, 1]
        gemini.clear_faults()
        assert gemini.faults() == []


@pytest.mark.parametrize(("limit", "asks"), [(65_536, {}), (100, {"maxOutputTokens": 100})])
def test_an_answer_has_an_end(api: httpx.Client, limit: int, asks: Json) -> None:
    """No marker makes a model say more than it can."""
    request = asked("[[tokens:999999999999]]", generationConfig=asks)
    answer = api.post(f"{FLASH}:generateContent", json=request).json()
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    usage = answer["usageMetadata"]
    assert usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0) == limit


def test_a_refused_create_uses_no_fault_of_jobs(create: Create, gemini: Emulator) -> None:
    """Faults of jobs are counted by jobs, whether a fault or the quota refused the create."""
    text = "x [[fault:job-fails:times=1]] [[fault:quota:times=1]]"
    assert [create(text).status_code for _ in range(2)] == [429, 200]
    assert gemini.jobs()[0]["faults"] == ["job-fails"]
    gemini.fault("job-expires", times=1)
    refused(create("y", inputConfig={"fileName": "files/none"}), status=403)
    assert create("y").status_code == 200
    assert gemini.jobs()[1]["faults"] == ["job-expires"]


def test_a_refusal_names_its_model(api: httpx.Client, gemini: Emulator) -> None:
    """The quota that is used up is the one of the model that was asked."""
    gemini.fault("error", on="generate", status=429)
    answer = api.post("/v1beta/models/gemini-2.5-pro:generateContent", json=asked())
    refused(answer, "model: gemini-2.5-pro", status=429)
    failure = next(one for one in answer.json()["error"]["details"] if "violations" in one)
    assert failure["violations"][0]["quotaDimensions"]["model"] == "gemini-2.5-pro"
    assert "h3=" in answer.headers["alt-svc"]


SYSTEM = {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"systemInstruction": SYSTEM}, "only supports text"),
        ({"contents": [{"role": "function", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]}, "response"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "executable_code"),
        ({"contents": [{"parts": [{"text": "x", "videoMetadata": {"fps": 25}}]}]}, "fps"),
        ({"contents": [{"parts": [{"text": "x", "videoMetadata": {"fps": 0}}]}]}, "fps"),
        ({"model": "models/gemini-2.5-pro"}, "not the model of the URL"),
        ({"model": "gemini-2.5-pro"}, "not the model of the URL"),
    ],
)
def test_what_no_model_takes(api: httpx.Client, gemini: Emulator, change: Json, word: str) -> None:
    """Refused when asked at once, and alone as an item of a job."""
    request = asked() | change
    refused(api.post(f"{FLASH}:generateContent", json=request), word)
    requests = [{"request": request}, {"request": asked(model="gemini-2.5-flash")}]
    batch = {"batch": {"inputConfig": {"requests": {"requests": requests}}}}
    name = api.post(f"{FLASH}:batchGenerateContent", json=batch).json()["name"]
    gemini.finish()
    output = api.get(f"/v1beta/{name}").json()["response"]["inlinedResponses"]["inlinedResponses"]
    assert output[0]["error"]["code"] == 3
    assert word in output[0]["error"]["message"]
    assert "response" in output[1]


def test_a_foreign_model(api: httpx.Client) -> None:
    """Of a batch, of an embedding of several, of a count."""
    other = "models/gemini-2.5-pro"
    inline = {"requests": {"requests": [{"request": asked()}]}}
    batch = {"batch": {"model": other, "inputConfig": inline}}
    refused(api.post(f"{FLASH}:batchGenerateContent", json=batch), "batch.model")
    embeds = {"requests": [{"model": other, "content": {"parts": [{"text": "x"}]}}]}
    path = "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    refused(api.post(path, json=embeds), "EmbedContentRequest.model")
    count = {"generateContentRequest": asked(model=other)}
    refused(api.post(f"{FLASH}:countTokens", json=count), "generate_content_request.model")


def test_fields_of_uploads_and_streams(api: httpx.Client, create: Create) -> None:
    """Partial responses are for these, too; what is asked for twice is there whole."""
    done = sent(f"{started(api)}&fields=file/name", b"x").json()
    assert list(done["file"]) == ["name"]
    stream = f"{FLASH}:streamGenerateContent"
    for piece in api.post(stream, json=asked(), params={"fields": "modelVersion"}).json():
        assert list(piece) == ["modelVersion"]
    job = create("x").json()
    for fields in ("metadata,metadata/state", "metadata/state,metadata"):
        found = api.get(f"/v1beta/{job['name']}", params={"fields": fields}).json()
        assert found["metadata"]["name"] == job["name"]
    both = {"fields": "metadata/state,metadata(name)"}
    found = api.get(f"/v1beta/{job['name']}", params=both).json()
    assert sorted(found["metadata"]) == ["name", "state"]


def test_deleting_while_paging(api: httpx.Client) -> None:
    """Each page goes on after the last one shown, whatever was deleted: files, caches, hooks."""
    cache = asked("word " * 2000, model="models/gemini-2.5-flash")
    hook = {"uri": "http://127.0.0.1:9/", "subscribed_events": ["batch.failed"]}
    for at in range(5):
        assert sent(started(api, f"files/f{at}"), b"x").status_code == 200
        api.post("/v1beta/cachedContents", json=cache)
        api.post("/v1beta/webhooks", json=hook)
    for family in ("files", "cachedContents", "webhooks"):
        seen: list[str] = []
        token = ""
        while token or not seen:
            query = {"pageSize": "2", "pageToken": token}
            page = api.get(f"/v1beta/{family}", params=query).json()
            names = [one.get("name") or f"webhooks/{one['id']}" for one in page[family]]
            for name in names:
                assert api.delete(f"/v1beta/{name}").status_code == 200
            seen += names
            token = page.get("nextPageToken", page.get("next_page_token", ""))
        assert len(seen) == len(set(seen)) == 5
        assert not api.get(f"/v1beta/{family}").json().get(family)


def test_webhooks_of_any_shape(api: httpx.Client) -> None:
    """Wrong ones are refused; null is not set; a mask empties what the body has not."""
    hook = {"uri": "http://127.0.0.1:9/", "subscribed_events": ["batch.failed"], "name": "n"}
    made = api.post("/v1beta/webhooks", json=hook | {"state": None}).json()
    path = f"/v1beta/webhooks/{made['id']}"
    behaviours: tuple[object, ...] = ([], {}, 1, "at once")
    for behaviour in behaviours:
        body = {"revocation_behavior": behaviour}
        refused(api.post(f"{path}:rotateSigningSecret", json=body), "revocation_behavior")
    refused(api.patch(path, json={"subscribed_events": []}), "required")
    refused(api.patch(path, json={}, params={"update_mask": "uri"}), "required")
    refused(api.patch(path, json={}, params={"update_mask": "id"}), "update_mask")
    refused(api.patch(path, json={"state": []}), "state")
    refused(api.patch(path, json={"subscribed_events": [[]]}), "subscribed_events")
    assert api.patch(path, json={"name": None}).json()["name"] == "n"
    assert "name" not in api.patch(path, json={}, params={"update_mask": "name"}).json()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("clock", {"advance": 1e300}),
        ("clock", {"advance": 1e12}),
        ("clock", {"speed": 1e300}),
        ("clock", []),
        ("jobs", []),
        ("jobs", {"name": "batches/none"}),
        ("jobs", {"name": []}),
    ],
)
def test_control_of_any_shape(gemini: Emulator, path: str, body: object) -> None:
    """A control route says what is wrong, and the emulator goes on."""
    answer = httpx.post(gemini.control(path), json=body, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert httpx.get(gemini.control("clock"), timeout=60).status_code == 200


def test_complaints(api: httpx.Client) -> None:
    """As Google words them: JSON's true, a page size by its field, a field in both spellings."""
    path = f"{FLASH}:generateContent"
    wrong = api.post(path, json={"contents": [{"parts": [{"text": True}]}]})
    refused(wrong, "'contents[0].parts[0].text' (TYPE_STRING), true")
    refused(api.post(path, json=asked(generationConfig={"topP": 1, "top_p": 0.5})), "'top_p'")
    size = api.get("/v1beta/batches", params={"pageSize": "abc"})
    refused(size, "'page_size' (TYPE_INT32)")
    [detail] = size.json()["error"]["details"]
    assert detail["fieldViolations"][0]["field"] == "page_size"


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_simple_uploads_in_pieces(api: httpx.Client, size: int) -> None:
    """However a multipart body is cut, the media are whole, what looks like a boundary too."""
    media = (b"a\r\n--\r\n--x\r\n-" * 9) + b"\r\n"
    text = b'--xyz\r\ncontent-type: application/json\r\n\r\n{"file":{"displayName":"d"}}\r\n'
    text += b"--xyz\r\nContent-Type: text/plain\r\n\r\n" + media + b"\r\n--xyz--\r\n"
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    headers = {"content-type": "multipart/related; boundary=xyz"}
    file = api.post("/upload/v1beta/files", content=pieces, headers=headers).json()["file"]
    assert (file["displayName"], file["mimeType"]) == ("d", "text/plain")
    assert file["sizeBytes"] == str(len(media))
    assert base64.b64decode(file["sha256Hash"]).decode() == sha256(media).hexdigest()


def test_simple_uploads_have_the_limit_of_files(small: httpx.Client, api: httpx.Client) -> None:
    """They are not held in memory, so more than 100 MiB may come; what does not fit leaves none."""
    block = b"x" * MIB
    large = api.post("/upload/v1beta/files", content=(block for _ in range(120)), timeout=60)
    assert large.json()["file"]["sizeBytes"] == str(120 * MIB)
    refused(small.post("/upload/v1beta/files", content=iter([block] * 4)), status=429)
    assert small.post("/upload/v1beta/files", content=iter([block] * 3)).status_code == 200


def test_a_head_without_end(api: httpx.Client) -> None:
    """A multipart body whose media never begin is refused before it is all read."""
    headers = {"content-type": "multipart/related; boundary=xyz"}
    body = iter([b"\r\n\r\n" * 1000] * 100)
    refused(api.post("/upload/v1beta/files", content=body, headers=headers), "Malformed")
