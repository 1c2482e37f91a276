"""Recorded jobs, their items and the lines of their files."""

from collections.abc import Callable

import httpx
import orjson
import pytest

from gateway.emulator.testing import Emulator
from tests.emulator.conftest import Create
from tests.emulator.replaying import (
    BY_A_FAULT,
    FLASH_JOBS,
    OUR_PROMPT,
    SAMPLES,
    Json,
    compare,
    differences,
    each,
    of_kind,
    replays,
    send,
    upload,
)

PutFile = Callable[[bytes], str]
Results = Callable[[str], list[Json]]
LINES = b"".join(
    orjson.dumps({"key": key, "request": {"contents": [{"parts": [{"text": key}]}]}}) + b"\n"
    for key in ("request_1", "request_2")
)

# --- create, look, list, cancel, delete ----------------------------------------------------------


@each("g001", "g008")
def test_create_inline(gemini: Emulator, name: str) -> None:
    """Both spellings of the recorded creates."""
    answer = send(gemini.base_url, name)
    compare(name, answer, "Operation")
    assert len(answer.json()["name"]) == len(SAMPLES[name]["response"]["body"]["name"])


@replays("g004", "g005", "g006")
def test_create_from_file(gemini: Emulator, api: httpx.Client) -> None:
    """From an uploaded file of the recorded name; then done, as two recordings show."""
    upload(api, "files/frh6ua11nk3o", LINES)
    made = send(gemini.base_url, "g004")
    compare("g004", made, "Operation")
    gemini.finish()
    for name in ("g005", "g006"):
        compare(name, api.get(f"/v1beta/{made.json()['name']}"), "Operation")


@replays("g010", "g013")
def test_create_embeddings(gemini: Emulator, api: httpx.Client) -> None:
    """The recorded builder's request; results as captured."""
    made = send(gemini.base_url, "g013")
    assert made.status_code == 200
    gemini.finish()
    compare("g010", api.get(f"/v1beta/{made.json()['name']}"), "Operation")


@each("g002", "g009")
def test_running(gemini: Emulator, api: httpx.Client, name: str) -> None:
    """RUNNING looks as PENDING did: no progress, updateTime as at create."""
    gemini.fault("job-slow", seconds=100)
    made = send(gemini.base_url, "g001").json()
    gemini.advance(50)
    seen = api.get(f"/v1beta/{made['name']}")
    compare(name, seen, "Operation")
    assert seen.json()["metadata"]["batchStats"] == made["metadata"]["batchStats"]
    assert seen.json()["metadata"]["updateTime"] == made["metadata"]["updateTime"]


@replays("g003")
def test_succeeded_inline(gemini: Emulator, api: httpx.Client) -> None:
    """The recorded job's end, metadata of the items included."""
    made = send(gemini.base_url, "g001").json()
    gemini.finish()
    ended = api.get(f"/v1beta/{made['name']}")
    compare("g003", ended, "Operation")
    items = [
        body["response"]["inlinedResponses"]["inlinedResponses"]
        for body in (SAMPLES["g003"]["response"]["body"], ended.json())
    ]
    assert [item["metadata"] for item in items[0]] == [item["metadata"] for item in items[1]]


@replays("g011")
@replays("g012", how=BY_A_FAULT)
def test_list(gemini: Emulator, api: httpx.Client) -> None:
    """Without output, without updateTime, with the counts of the create."""
    send(gemini.base_url, "g013")
    gemini.finish()
    compare("g011", send(gemini.base_url, "g011"), "ListOperationsResponse")
    gemini.fault("list-empty-page", times=1)
    compare("g012", send(gemini.base_url, "g012"), "ListOperationsResponse")
    assert api.get("/v1beta/batches").json()["operations"]


@each("g014", "g015")
def test_cancel_and_delete(gemini: Emulator, name: str) -> None:
    """``{}`` for both."""
    made = send(gemini.base_url, "g001").json()["name"]
    path = SAMPLES[name]["request"]["path"].replace("batches/abc123", made)
    answer = send(gemini.base_url, name, path=path)
    compare(name, answer)
    assert answer.json() == {}


@replays("g016", "g017", how=OUR_PROMPT)
@pytest.mark.parametrize(("name", "seconds"), [("g016", 0), ("g017", 62.5)])
def test_cancelled(
    gemini: Emulator, api: httpx.Client, create: Create, name: str, seconds: float
) -> None:
    """Before it started, and midway."""
    gemini.fault("job-slow", seconds=100)
    made = create("a", "b", model="gemini-2.5-pro").json()["name"]
    gemini.advance(seconds)
    api.post(f"/v1beta/{made}:cancel")
    gemini.finish()
    compare(name, api.get(f"/v1beta/{made}"), "Operation")


@replays("g018", how=BY_A_FAULT)
def test_failed(gemini: Emulator, api: httpx.Client, create: Create) -> None:
    """A job that fails as a whole has an error with the recorded code."""
    recorded = SAMPLES["g018"]["response"]["body"]["error"]
    gemini.fault("job-fails", code=recorded["code"], message=recorded["message"])
    made = create("a", "b", model="gemini-2.5-pro").json()["name"]
    gemini.finish()
    seen = api.get(f"/v1beta/{made}")
    compare("g018", seen, "Operation")
    assert seen.json()["error"]["code"] == recorded["code"]


@replays("g019", how=BY_A_FAULT)
def test_expired(gemini: Emulator, api: httpx.Client, create: Create) -> None:
    """Unfinished after 48 hours."""
    gemini.fault("job-stuck")
    made = create("a", "b", model="gemini-2.5-pro").json()["name"]
    gemini.advance(48 * 3600)
    compare("g019", api.get(f"/v1beta/{made}"), "Operation")


# --- items and lines -----------------------------------------------------------------------------


@each("g020", "g021", "g022", "g036", how=BY_A_FAULT)
def test_item_errors(
    gemini: Emulator, create: Create, put_file: PutFile, results: Results, name: str
) -> None:
    """An item's error: a numeric code, a message or none."""
    recorded = SAMPLES[name]["line"]
    message = recorded["error"].get("message", "")
    gemini.fault("results-fail", code=recorded["error"]["code"], message=message)
    made = create("a", inputConfig={"fileName": put_file(LINES)}) if "key" in recorded else None
    first = results((made or create("a")).json()["name"])[0]
    assert differences(name, recorded, first) == []
    assert first["error"].get("message", "") == message


def _run(api: httpx.Client, results: Results, file: str, *, embeds: bool, model: str) -> list[Json]:
    method = "asyncBatchEmbedContent" if embeds else "batchGenerateContent"
    body = {"batch": {"inputConfig": {"fileName": file}}}
    return results(api.post(f"/v1beta/models/{model}:{method}", json=body).json()["name"])


@each(*of_kind("jsonl.input.generate", "jsonl.input.embed"))
def test_input_lines(api: httpx.Client, put_file: PutFile, results: Results, name: str) -> None:
    """Every recorded input line is answered, with its key if it had one."""
    line = SAMPLES[name]["line"]
    embeds = SAMPLES[name]["kind"].endswith("embed")
    model = "gemini-2.5-flash-image" if "image" in str(line.get("key")) else "gemini-2.5-flash"
    model = "gemini-embedding-001" if embeds else model
    [result] = _run(api, results, put_file(orjson.dumps(line)), embeds=embeds, model=model)
    assert "response" in result
    assert result.get("key") == line.get("key")


@each(*of_kind("jsonl.output.generate"), how=OUR_PROMPT)
def test_output_lines(api: httpx.Client, put_file: PutFile, results: Results, name: str) -> None:
    """Result lines of the recorded shape; for g007 with a part that has only a signature."""
    recorded = SAMPLES[name]["line"]
    text = "x [[signature-only]]" if name == "g007" else "x"
    line = {"key": "k", "request": {"contents": [{"parts": [{"text": text}]}]}}
    model = recorded["response"]["modelVersion"]
    [found] = _run(api, results, put_file(orjson.dumps(line)), embeds=False, model=model)
    assert differences(name, recorded, found) == []


@each(*of_kind("jsonl.output.embed"), how=OUR_PROMPT)
def test_embedded_lines(api: httpx.Client, put_file: PutFile, results: Results, name: str) -> None:
    """The same of embeddings."""
    request = {"content": {"parts": [{"text": "1"}]}, "output_dimensionality": 3}
    file = put_file(orjson.dumps({"key": "k", "request": request}))
    [found] = _run(api, results, file, embeds=True, model="gemini-embedding-001")
    assert differences(name, SAMPLES[name]["line"], found) == []


# --- refusals ------------------------------------------------------------------------------------


@replays("g051", how=OUR_PROMPT)
def test_too_large(api: httpx.Client) -> None:
    """400, word for word."""
    answer = api.post(SAMPLES["g051"]["request"]["path"], content=b" " * (20 * 1024 * 1024 + 1))
    compare("g051", answer)
    assert answer.json() == SAMPLES["g051"]["response"]["body"]


@replays("g075", how=BY_A_FAULT)
def test_quota_of_creates(gemini: Emulator) -> None:
    """429, word for word: unlike that of synchronous calls it tells neither what nor when."""
    gemini.fault("error", on="create", status=429, times=1)
    answer = send(gemini.base_url, "g075")
    compare("g075", answer)
    assert answer.json() == SAMPLES["g075"]["response"]["body"]


@replays("g077", how=OUR_PROMPT)
def test_unknown_field(api: httpx.Client) -> None:
    """``config`` in an item, word for word (cookbook#846)."""
    request = {"contents": [{"parts": [{"text": "x"}]}], "config": {}}
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": request}]}}}}
    answer = api.post(FLASH_JOBS, json=body)
    compare("g077", answer)
    assert answer.json() == SAMPLES["g077"]["response"]["body"]


# --- what the SDK sends --------------------------------------------------------------------------


@replays(*of_kind("sdk.request.batches"))
def test_sdk_requests(gemini: Emulator, api: httpx.Client) -> None:
    """Requests captured from google-genai 3.4.0 about jobs are all understood."""
    upload(api, "files/abc123def456", LINES)
    names = []
    for name in ("g052", "g053", "g054", "g055"):
        answer = send(gemini.base_url, name)
        assert answer.status_code == 200, answer.text
        names.append(answer.json()["name"])
    for name in ("g056", "g057", "g058", "g059", "g060"):
        path = SAMPLES[name]["request"]["path"]
        path = path.replace("batches/pq1j6cr5x7usrrlj98tlukhnsav7gcq5lt8x", names[0])
        answer = send(gemini.base_url, name, path=path)
        assert answer.status_code == 200, answer.text
