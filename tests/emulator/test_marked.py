"""``[[fault:...]]`` in prompts: whom it strikes, and how often."""

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.testing import Emulator

Json = dict[str, Any]
Create = Callable[..., httpx.Response]
Results = Callable[[str], list[Json]]
PATH = "/v1beta/models/gemini-2.5-flash"


def asked(text: str) -> Json:
    """A GenerateContentRequest."""
    return {"contents": [{"parts": [{"text": text}]}]}


def lines(*texts: str) -> bytes:
    """A file of requests; keys k0, k1."""
    rows = [{"key": f"k{at}", "request": asked(text)} for at, text in enumerate(texts)]
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def job_of(api: httpx.Client, file: str) -> httpx.Response:
    """A job of an uploaded file."""
    batch = {"inputConfig": {"fileName": file}}
    return api.post(f"{PATH}:batchGenerateContent", json={"batch": batch})


def test_its_own_call(create: Create, gemini: Emulator) -> None:
    """Whatever prompt of the batch it stands in; once, then the same batch passes."""
    assert create("a", "b [[fault:create-500-after]]").status_code == 500
    assert create("a", "b [[fault:create-500-after]]").status_code == 200
    assert len(gemini.journal("create")) == 2
    assert create("d [[fault:quota]]").status_code == 429


def test_times_and_skip_count_the_prompt(create: Create) -> None:
    """``times`` strikes it so often, ``skip`` lets it pass first; others do not count."""
    text = "x [[fault:error:status=503,times=2,skip=1]]"
    statuses = []
    for _ in range(4):
        create("another")
        statuses.append(create(text).status_code)
    assert statuses == [200, 503, 503, 200]
    always = [create("y [[fault:error:status=503,times=all]]").status_code for _ in range(3)]
    assert always == [503] * 3


def test_its_own_job(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """The job that is made of it, not the next one of the same text."""
    names = [create("c [[fault:job-fails:code=8]]").json()["name"] for _ in range(2)]
    gemini.finish()
    states = [api.get(f"/v1beta/{name}").json()["metadata"]["state"] for name in names]
    assert states == ["BATCH_STATE_FAILED", "BATCH_STATE_SUCCEEDED"]


def test_later_calls_about_its_job(api: httpx.Client, create: Create) -> None:
    """By ``on``, and as often as ``times`` says; other jobs are left alone."""
    struck = create("x [[fault:error:on=get|delete,status=503,times=2]]").json()["name"]
    other = create("x").json()["name"]
    assert api.get(f"/v1beta/{other}").status_code == 200
    assert [api.get(f"/v1beta/{struck}").status_code for _ in range(2)] == [503, 503]
    assert api.delete(f"/v1beta/{struck}").status_code == 200


def test_how_its_job_is_shown(api: httpx.Client, create: Create) -> None:
    """Every time, to get and list alike; other jobs look as usual."""
    create("x [[fault:state-spelling]]")
    create("y")
    for _ in range(2):
        states = [
            job["metadata"]["state"] for job in api.get("/v1beta/batches").json()["operations"]
        ]
        assert states == ["BATCH_STATE_PENDING", "JOB_STATE_PENDING"]


def test_its_own_item(create: Create, results: Results) -> None:
    """The others are answered; sent again it is answered, too."""
    texts = ("a", "b [[fault:results-fail:code=14]]", "c [[fault:results-doubled]]")
    first, second = (results(create(*texts).json()["name"]) for _ in range(2))
    assert [item["metadata"]["key"] for item in first] == ["k0", "k1", "k2", "k2"]
    assert [item.get("error", {}).get("code") for item in first] == [None, 14, None, None]
    assert [item["metadata"]["key"] for item in second] == ["k0", "k1", "k2"]
    assert all("response" in item for item in second)


def test_items_of_a_file(
    api: httpx.Client, results: Results, put_file: Callable[[bytes], str]
) -> None:
    """In any line."""
    file = put_file(lines("a", "b [[fault:results-keyless]]", "c"))
    found = results(job_of(api, file).json()["name"])
    assert [item.get("key") for item in found] == ["k0", None, "k2"]


def test_the_job_of_a_file(
    api: httpx.Client, gemini: Emulator, put_file: Callable[[bytes], str]
) -> None:
    """In its first line only."""
    files = [
        put_file(lines("x [[fault:job-expires]]", "y")),
        put_file(lines("x", "[[fault:job-fails]]")),
    ]
    names = [job_of(api, file).json()["name"] for file in files]
    gemini.finish()
    states = [api.get(f"/v1beta/{name}").json()["metadata"]["state"] for name in names]
    assert states == ["BATCH_STATE_EXPIRED", "BATCH_STATE_SUCCEEDED"]


def test_a_file_s_own_upload_and_nothing_else(
    api: httpx.Client, put_file: Callable[[bytes], str]
) -> None:
    """What the first line asks of its upload is not asked again of its job, nor of other files."""
    data = lines("x [[fault:file-processing:seconds=60]]")
    first, second = put_file(data), put_file(data)
    other = put_file(lines("y"))
    states = [api.get(f"/v1beta/{name}").json()["state"] for name in (first, second, other)]
    assert states == ["PROCESSING", "ACTIVE", "ACTIVE"]
    assert job_of(api, second).status_code == 200
    assert put_file(lines("z")) is not None


def test_an_upload_call(api: httpx.Client) -> None:
    """A chunk is refused by what it says; sent again it is taken."""
    headers = {"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"}
    url = api.post("/upload/v1beta/files", headers=headers).headers["x-goog-upload-url"]
    data = lines("x [[fault:error:on=upload,status=503]]")
    headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    answers = [httpx.post(url, content=data, headers=headers, timeout=60) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert answers[1].json()["file"]["sizeBytes"] == str(len(data))


def test_the_next_listing(api: httpx.Client, create: Create) -> None:
    """Of whoever lists next, once."""
    create("x [[fault:list-empty]]")
    assert api.get("/v1beta/batches").json() == {}
    assert len(api.get("/v1beta/batches").json()["operations"]) == 1


@pytest.mark.parametrize(
    ("method", "on"),
    [
        ("generateContent", "generate"),
        ("countTokens", "count"),
        ("streamGenerateContent", "stream"),
    ],
)
def test_synchronous_calls(api: httpx.Client, method: str, on: str) -> None:
    """The prompt's own call."""
    body = asked(f"x [[fault:error:on={on},status=503]]")
    answers = [api.post(f"{PATH}:{method}", json=body).status_code for _ in range(2)]
    assert answers == [503, 200]


def test_synchronous_embeddings(api: httpx.Client) -> None:
    """Likewise, of one and of many; ``[[slow]]`` too."""
    content = {"parts": [{"text": "x [[fault:error:on=embed,status=429]]"}]}
    path = "/v1beta/models/gemini-embedding-001"
    assert api.post(f"{path}:embedContent", json={"content": content}).status_code == 429
    assert api.post(f"{path}:embedContent", json={"content": content}).status_code == 200
    many = {"requests": [{"content": content}, {"content": content}]}
    assert api.post(f"{path}:batchEmbedContents", json=many).status_code == 429
    slow = {"content": {"parts": [{"text": "[[slow:5]]"}]}}
    with pytest.raises(httpx.ReadTimeout):
        api.post(f"{path}:embedContent", json=slow, timeout=httpx.Timeout(20, read=0.3))


def test_a_stream_that_breaks(api: httpx.Client) -> None:
    """Some of it comes."""
    body = asked("hello there [[fault:cut-after:on=stream,bytes=20]]")
    with api.stream("POST", f"{PATH}:streamGenerateContent?alt=sse", json=body) as response:
        pieces = response.iter_raw()
        assert next(pieces).startswith(b"data: {")
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            next(pieces)


def test_wrong_ones(
    api: httpx.Client, create: Create, results: Results, put_file: Callable[[bytes], str]
) -> None:
    """Said at once where the call can be refused, else in the item's error."""
    assert "no fault is called" in create("[[fault:nope]]").json()["error"]["message"]
    answer = api.post(f"{PATH}:generateContent", json=asked("[[fault:slow:seconds=soon]]"))
    assert answer.status_code == 400
    assert "seconds" in answer.json()["error"]["message"]
    found = results(job_of(api, put_file(lines("a", "b [[fault:nope]]"))).json()["name"])
    assert [item.get("error", {}).get("code") for item in found] == [None, 3]
