"""Recorded exchanges of the live service, sent as recorded, get answers of the recorded shape.

Every sample of ``tests/data/gemini-samples.jsonl`` is in one of two tables: replayed, or why not.
A shape is the set of paths with the type at each (number or string included), the
status, and the values of enums; texts, times and numbers are the service's own.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.schema import fields_of, message_names, read
from gateway.emulator.testing import Emulator, EmulatorOptions, running

Json = dict[str, Any]

_DATA = Path(__file__).parent.parent / "data" / "gemini-samples.jsonl"
SAMPLES: dict[str, Json] = {
    sample["id"]: sample for sample in map(orjson.loads, _DATA.read_bytes().splitlines())
}
PATH = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"

# --- not replayed, and why -----------------------------------------------------------------------

KINDS_NOT_REPLAYED = {
    "firebase.vertexai.generateContent": "answers of another API (Vertex AI), without requests",
    "firebase.vertexai.error": "answers of another API (Vertex AI), without requests",
    "generateContent.vertex_logprobs": "another API (Vertex AI)",
    "jsonl.output.vertex": "another API (Vertex AI)",
    "firebase.googleai.generateContent": "mock answers without requests",
    "firebase.googleai.error": "a mock answer without a request",
    "cookbook.rest": "answers printed in notebooks, without requests",
    "content": "a part of an answer, without its request",
    "compat.batch": "Google's OpenAI layer is not part of this emulator",
    "compat.chat": "Google's OpenAI layer is not part of this emulator",
    "compat.output": "Google's OpenAI layer is not part of this emulator",
    "webhook.create": "see test_webhooks.py",
    "webhook.delivery": "see test_webhooks.py",
}
NOT_REPLAYED = {
    "g023": "a status name instead of a code was seen in one library's tests, never on the wire",
    "g108": "the model decided to block its answer; [[finish:SAFETY]] has it in test_generate.py",
    "g134": "the model decided to call a function its prompt does not name",
    "g142": "the model decided to call again after a result",
}

# --- what may differ -----------------------------------------------------------------------------

FREE = re.compile(
    r"\.usageMetadata\.(serviceTier|thoughtsTokenCount)$"  # newer than some recordings; thinking
    r"|\.parts\[\]\.thoughtSignature$"  # comes with thinking
    r"|\.functionCall\.id$"  # 23 of 181 calls
    r"|\.candidates\[\]\.index$"  # absent in 38 of 410 recordings
    r"|\.functionCall\.args\."  # the model's own
    r"|\.thinking$|\.description$|\.topK$|\.maxTemperature$|\.temperature$|\.topP$",
)
FREE_FOR = {
    "g125": r"\.responseId$",  # cut by its publisher
    "g113": r"\.segment\.startIndex$",  # one support only
    "g121": r"[cC]ache",  # implicit cache hits; [[cached]] has them in test_generate.py
    "g123": r"[cC]ache",
    "g131": r"[cC]ache",
    "g156": r"\.usageMetadata",  # the preview model had none before 2026-08
    "g157": r"\.usageMetadata",
    "g158": r"\.usageMetadata",
    "g006": r"\.updateTime$",  # "verbatim minus fields nothing reads"
    "g010": r"\.updateTime$|\.tokenCount$",
    "g016": r"\.metadata\.",  # a trimmed body: state and counts only
    "g017": r"\.metadata\.(model|displayName|createTime|updateTime|endTime)$|Details|TokenCount$"
    r"|\.responseId$|serviceTier",
    "g018": r"\.metadata\.",
    "g019": r"\.metadata\.|\.error",  # no live capture exists
    "g007": r"Details",  # trimmed by its publisher
    "g048": r"\.displayName$",
}


def shape(value: object, path: str = "") -> dict[str, str]:
    """Path -> type of everything in a JSON value; lists are merged."""
    if isinstance(value, dict):
        found = {path: "object"}
        for name, inner in value.items():
            found |= shape(inner, f"{path}.{name}")
        return found
    if isinstance(value, list):
        found = {path: "array"}
        for inner in value:
            found |= shape(inner, f"{path}[]")
        return found
    kinds = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return {path: kinds[type(value)]}


def differences(sample: str, recorded: object, answered: object) -> list[str]:
    """What is in one shape only, or of another type, beyond what may differ."""
    ours, theirs = shape(answered), shape(recorded)
    free = re.compile(f"{FREE.pattern}|{FREE_FOR.get(sample, '$^')}")
    paths = sorted(path for path in ours.keys() | theirs.keys() if not free.search(path))
    return [
        f"{path}: recorded {theirs.get(path)}, answered {ours.get(path)}"
        for path in paths
        if ours.get(path) != theirs.get(path)
    ]


@pytest.fixture(scope="module")
def world() -> Iterator[Emulator]:
    """One emulator for all that needs no state; retired models are served too."""
    with running(EmulatorOptions(unknown_models=True)) as emulator:
        headers = {"x-goog-api-key": "test-key"}
        with httpx.Client(base_url=emulator.base_url, headers=headers) as client:
            _upload(client, "files/8b2bhnsluaai", b"a recorded sound (g122)")
        yield emulator


def _send(base_url: str, sample: Json) -> httpx.Response:
    request = sample["request"]
    return httpx.request(
        request["method"],
        base_url + request["path"],
        headers={"x-goog-api-key": "test-key", **request.get("headers", {})},
        json=request.get("body"),
        timeout=20,
    )


def _of(*kinds: str) -> list[str]:
    return [
        name
        for name, sample in SAMPLES.items()
        if sample["kind"] in kinds and name not in NOT_REPLAYED
    ]


def _refuses(message: str, body: object) -> list[str]:
    """What the grammar has against an answer."""
    return [violation.description for violation in read(message, body)[1]]


# --- synchronous calls ---------------------------------------------------------------------------

_MESSAGES = {
    "generateContent": "GenerateContentResponse",
    "countTokens": "CountTokensResponse",
    "batchEmbedContents.sync": "BatchEmbedContentsResponse",
}


@pytest.mark.parametrize("name", _of(*_MESSAGES))
def test_synchronous(world: Emulator, name: str) -> None:
    """Generate, count, embed: the recorded request gets an answer of the recorded shape."""
    sample = SAMPLES[name]
    answer = _send(world.base_url, sample)
    assert answer.status_code == sample["response"]["status"]
    assert differences(name, sample["response"]["body"], answer.json()) == []
    assert _refuses(_MESSAGES[sample["kind"]], answer.json()) == []


def test_models(gemini: Emulator) -> None:
    """The recorded page of the model list, entry for entry, the same methods for each."""
    recorded = SAMPLES["g195"]["response"]["body"]
    answer = _send(gemini.base_url, SAMPLES["g195"]).json()
    assert differences("g195", recorded, answer) == []
    methods = [
        {model["name"]: model.get("supportedGenerationMethods") for model in page["models"]}
        for page in (recorded, answer)
    ]
    assert methods[0] == methods[1]


def _whole(sample: Json) -> Json:
    """A sample whose text its publisher cut off at 1,200 characters: there were thousands."""
    body = orjson.loads(orjson.dumps(sample["request"]["body"]))
    assert body["contents"][0]["parts"][0]["text"].endswith("…")
    body["contents"][0]["parts"][0]["text"] *= 10
    return {"request": {**sample["request"], "body": body}}


@pytest.mark.parametrize("name", ["g172", "g179"])
def test_caches(gemini: Emulator, name: str) -> None:
    """A cache is made, prolonged and deleted."""
    made = _send(gemini.base_url, _whole(SAMPLES[name]))
    assert differences(name, SAMPLES[name]["response"]["body"], made.json()) == []
    for other in ("g180", "g173" if name == "g172" else "g181"):
        sample = SAMPLES[other]
        renamed = {**sample["request"], "path": f"/v1beta/{made.json()['name']}"}
        answer = _send(gemini.base_url, {"request": renamed})
        assert answer.status_code == 200
        assert differences(other, sample["response"]["body"], answer.json()) == []


# --- jobs ----------------------------------------------------------------------------------------


def _inline(*keys: str, texts: tuple[str, ...] = ("a", "b")) -> Json:
    requests = [
        {"request": {"contents": [{"parts": [{"text": text}]}]}, "metadata": {"key": key}}
        for key, text in zip(keys, texts, strict=False)
    ]
    return {"batch": {"inputConfig": {"requests": {"requests": requests}}}}


def _upload(api: httpx.Client, name: str, data: bytes) -> None:
    start = api.post(
        "/upload/v1beta/files",
        headers={"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"},
        json={"file": {"name": name}},
    )
    headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    httpx.post(start.headers["x-goog-upload-url"], content=data, headers=headers)


LINES = b"".join(
    orjson.dumps({"key": key, "request": {"contents": [{"parts": [{"text": key}]}]}}) + b"\n"
    for key in ("request_1", "request_2")
)


@pytest.mark.parametrize("name", ["g001", "g008"])
def test_create_inline(gemini: Emulator, name: str) -> None:
    """Both spellings of the recorded creates."""
    sample = SAMPLES[name]
    answer = _send(gemini.base_url, sample)
    assert answer.status_code == 200
    for header in ("content-type", "server"):
        recorded = sample["response"].get("headers", {}).get(header.title())
        assert recorded in {None, answer.headers[header]}
    assert differences(name, sample["response"]["body"], answer.json()) == []
    assert len(answer.json()["name"]) == len(sample["response"]["body"]["name"])


def test_create_from_file(gemini: Emulator, api: httpx.Client) -> None:
    """From an uploaded file of the recorded name; then done, as two recordings show."""
    _upload(api, "files/frh6ua11nk3o", LINES)
    made = _send(gemini.base_url, SAMPLES["g004"]).json()
    assert differences("g004", SAMPLES["g004"]["response"]["body"], made) == []
    gemini.finish()
    ended = api.get(f"/v1beta/{made['name']}").json()
    for name in ("g005", "g006"):
        assert differences(name, SAMPLES[name]["response"]["body"], ended) == []


def test_create_embeddings(gemini: Emulator, api: httpx.Client) -> None:
    """The recorded builder's request; results as captured."""
    made = _send(gemini.base_url, SAMPLES["g013"]).json()
    gemini.finish()
    ended = api.get(f"/v1beta/{made['name']}").json()
    assert differences("g010", SAMPLES["g010"]["response"]["body"], ended) == []


@pytest.mark.parametrize("name", ["g002", "g009"])
def test_running(gemini: Emulator, api: httpx.Client, name: str) -> None:
    """RUNNING looks as PENDING did: no progress, updateTime as at create."""
    gemini.fault("job-slow", seconds=100)
    made = _send(gemini.base_url, SAMPLES["g001"]).json()
    gemini.advance(50)
    seen = api.get(f"/v1beta/{made['name']}").json()
    recorded = SAMPLES[name]["response"]["body"]
    assert seen["metadata"]["state"] == recorded["metadata"]["state"]
    assert seen["metadata"]["batchStats"] == made["metadata"]["batchStats"]
    assert seen["metadata"]["updateTime"] == made["metadata"]["updateTime"]
    assert differences(name, recorded, seen) == []


def test_succeeded_inline(gemini: Emulator, api: httpx.Client) -> None:
    """The recorded job's end, metadata of the items included."""
    made = _send(gemini.base_url, SAMPLES["g001"]).json()
    gemini.finish()
    ended = api.get(f"/v1beta/{made['name']}").json()
    recorded = SAMPLES["g003"]["response"]["body"]
    assert differences("g003", recorded, ended) == []
    items = [body["response"]["inlinedResponses"]["inlinedResponses"] for body in (recorded, ended)]
    assert [item["metadata"] for item in items[0]] == [item["metadata"] for item in items[1]]


def test_list(gemini: Emulator, api: httpx.Client) -> None:
    """Without output, without updateTime, with the counts of the create."""
    _send(gemini.base_url, SAMPLES["g013"])
    gemini.finish()
    listed = _send(gemini.base_url, SAMPLES["g011"]).json()
    assert differences("g011", SAMPLES["g011"]["response"]["body"], listed) == []
    gemini.fault("list-empty-page", times=1)
    assert set(_send(gemini.base_url, SAMPLES["g012"]).json()) == {"nextPageToken"}
    assert api.get("/v1beta/batches").status_code == 200


@pytest.mark.parametrize("name", ["g014", "g015"])
def test_cancel_and_delete(gemini: Emulator, name: str) -> None:
    """``{}`` for both."""
    made = _send(gemini.base_url, SAMPLES["g001"]).json()
    request = SAMPLES[name]["request"]
    path = request["path"].replace("batches/abc123", made["name"])
    answer = _send(gemini.base_url, {"request": {**request, "path": path}})
    assert (answer.status_code, answer.json()) == (200, SAMPLES[name]["response"]["body"])


def _cancelled_before(_gemini: Emulator, api: httpx.Client, name: str) -> None:
    api.post(f"/v1beta/{name}:cancel")


def _cancelled_midway(gemini: Emulator, api: httpx.Client, name: str) -> None:
    gemini.advance(62.5)
    api.post(f"/v1beta/{name}:cancel")


def _expired(gemini: Emulator, _api: httpx.Client, _name: str) -> None:
    gemini.advance(48 * 3600)


End = Callable[[Emulator, httpx.Client, str], None]


@pytest.mark.parametrize(
    ("name", "fault", "end"),
    [
        ("g016", {"name": "job-slow", "seconds": 100}, _cancelled_before),
        ("g017", {"name": "job-slow", "seconds": 100}, _cancelled_midway),
        ("g018", {"name": "job-fails", "code": 8, "message": "x"}, None),
        ("g019", {"name": "job-stuck"}, _expired),
    ],
)
def test_other_ends(
    gemini: Emulator,
    api: httpx.Client,
    name: str,
    fault: Json,
    end: End | None,
) -> None:
    """Cancelled before and midway, failed, expired."""
    gemini.fault(fault.pop("name"), **fault)
    job = api.post("/v1beta/models/gemini-2.5-pro:batchGenerateContent", json=_inline("a", "b"))
    made = job.json()["name"]
    if end is not None:
        end(gemini, api, made)
    gemini.finish()
    seen = api.get(f"/v1beta/{made}").json()
    recorded = SAMPLES[name]["response"]["body"]
    assert seen["metadata"]["state"] == recorded["metadata"]["state"]
    assert differences(name, recorded, seen) == []
    if "error" in recorded:
        assert seen["error"]["code"] == recorded["error"]["code"]


@pytest.mark.parametrize("name", _of("inline.item.error", "jsonl.output.generate.error"))
def test_item_errors(
    gemini: Emulator,
    api: httpx.Client,
    name: str,
    put_file: Callable[[bytes], str],
) -> None:
    """An item's error: a numeric code, a message or none."""
    recorded = SAMPLES[name]["line"]
    message = recorded["error"].get("message", "")
    gemini.fault("results-fail", code=recorded["error"]["code"], message=message)
    body = _inline("a")
    if "key" in recorded:
        body = {"batch": {"inputConfig": {"fileName": put_file(LINES)}}}
    made = api.post(PATH, json=body).json()["name"]
    gemini.finish()
    assert differences(name, recorded, _results(api, made)[0]) == []


def _results(api: httpx.Client, name: str) -> list[Json]:
    output = api.get(f"/v1beta/{name}").json()["response"]
    if "inlinedResponses" in output:
        found: list[Json] = output["inlinedResponses"]["inlinedResponses"]
        return found
    text = api.get(f"/download/v1beta/{output['responsesFile']}:download?alt=media").content
    return [orjson.loads(line) for line in text.splitlines()]


# --- lines of files ------------------------------------------------------------------------------


def _run_lines(
    api: httpx.Client, gemini: Emulator, model: str, method: str, file: str
) -> list[Json]:
    body = {"batch": {"inputConfig": {"fileName": file}}}
    made = api.post(f"/v1beta/models/{model}:{method}", json=body).json()["name"]
    gemini.finish()
    return _results(api, made)


@pytest.mark.parametrize("name", _of("jsonl.input.generate", "jsonl.input.embed"))
def test_input_lines(
    gemini: Emulator,
    api: httpx.Client,
    name: str,
    put_file: Callable[[bytes], str],
) -> None:
    """Every recorded input line is answered, with its key if it had one."""
    line = SAMPLES[name]["line"]
    embeds = SAMPLES[name]["kind"].endswith("embed")
    draws = "image" in str(line.get("key"))
    model = "gemini-2.5-flash-image" if draws else "gemini-2.5-flash"
    model = "gemini-embedding-001" if embeds else model
    method = "asyncBatchEmbedContent" if embeds else "batchGenerateContent"
    [result] = _run_lines(api, gemini, model, method, put_file(orjson.dumps(line)))
    assert "response" in result
    assert result.get("key") == line.get("key")


@pytest.mark.parametrize("name", _of("jsonl.output.generate", "jsonl.output.embed"))
def test_output_lines(
    gemini: Emulator,
    api: httpx.Client,
    name: str,
    put_file: Callable[[bytes], str],
) -> None:
    """Result lines of the recorded shape; for g007 with a part that has only a signature."""
    recorded = SAMPLES[name]["line"]
    if SAMPLES[name]["kind"].endswith("embed"):
        request: Json = {"content": {"parts": [{"text": "1"}]}, "output_dimensionality": 3}
        model, method = "gemini-embedding-001", "asyncBatchEmbedContent"
    else:
        text = "x [[signature-only]]" if name == "g007" else "x"
        request = {"contents": [{"parts": [{"text": text}]}]}
        model = recorded["response"]["modelVersion"]
        method = "batchGenerateContent"
    file = put_file(orjson.dumps({"key": "k", "request": request}))
    [line] = _run_lines(api, gemini, model, method, file)
    assert differences(name, recorded, line) == []


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "finish"), [("g042", "g043"), ("g044", "g045")])
def test_upload(gemini: Emulator, start: str, finish: str) -> None:
    """The two calls of a resumable upload, headers included."""
    started = _send(gemini.base_url, SAMPLES[start])
    recorded = SAMPLES[start]["response"]
    assert (started.status_code, started.text) == (recorded["status"], recorded["body"])
    assert {name.lower() for name in recorded["headers"]} <= set(started.headers)
    same = ("Content-Type", "X-Goog-Upload-Status", "X-Goog-Upload-Chunk-Granularity", "Server")
    for name in same:
        assert started.headers[name] == recorded["headers"][name]
    headers = SAMPLES[finish]["request"]["headers"]
    done = httpx.post(started.headers["x-goog-upload-url"], content=bytes(18810), headers=headers)
    recorded = SAMPLES[finish]["response"]
    assert done.headers["x-goog-upload-status"] == recorded["headers"]["X-Goog-Upload-Status"]
    assert done.headers["server"] == recorded["headers"]["Server"]
    assert differences(finish, recorded["body"], done.json()) == []
    assert differences("g048", SAMPLES["g048"]["line"], done.json()["file"]) == []


def test_download(
    gemini: Emulator,
    api: httpx.Client,
    put_file: Callable[[bytes], str],
) -> None:
    """The redirect, and the bytes behind it."""
    made = api.post(PATH, json={"batch": {"inputConfig": {"fileName": put_file(LINES)}}}).json()
    gemini.finish()
    file = api.get(f"/v1beta/{made['name']}").json()["response"]["responsesFile"]
    recorded = SAMPLES["g046"]["response"]
    moved = api.get(SAMPLES["g046"]["request"]["path"].replace("files/zqw12cp8qc38", file))
    assert moved.status_code == recorded["status"]
    assert moved.json() == recorded["body"]
    assert {name.lower() for name in recorded["headers"]} <= set(moved.headers)
    answer = api.get(moved.headers["location"])
    assert answer.status_code == SAMPLES["g047"]["response"]["status"]
    wanted = {name.lower() for name in SAMPLES["g047"]["response"]["headers"]}
    assert wanted - {"vary", "x-guploader-uploadid"} <= set(answer.headers)


# --- errors --------------------------------------------------------------------------------------


def _error(answer: httpx.Response) -> Json:
    error: Json = answer.json()["error"]
    return error


@pytest.mark.parametrize("name", _of("error.404"))
def test_unknown_models(gemini: Emulator, name: str) -> None:
    """404, word for word."""
    answer = _send(gemini.base_url, SAMPLES[name])
    assert answer.status_code == 404
    assert answer.json() == SAMPLES[name]["response"]["body"]


def test_wrong_key() -> None:
    """400, word for word."""
    with running(EmulatorOptions(api_keys=("good",))) as gemini:
        answer = _send(gemini.base_url, SAMPLES["g073"])
    assert answer.status_code == 400
    assert answer.json() == SAMPLES["g073"]["response"]["body"]


@pytest.mark.parametrize(("name", "operation"), [("g074", "generate"), ("g075", "create")])
def test_quota(gemini: Emulator, name: str, operation: str) -> None:
    """429 of the synchronous calls tells what and when; that of a create tells neither."""
    gemini.fault("error", on=operation, status=429, times=1)
    answer = _send(gemini.base_url, SAMPLES[name])
    recorded = SAMPLES[name]["response"]["body"]
    assert answer.status_code == 429
    assert answer.json()["error"]["message"] == recorded["error"]["message"]
    assert differences(name, recorded, answer.json()) == []


def test_overloaded(gemini: Emulator) -> None:
    """503, word for word."""
    gemini.fault("overloaded", times=1)
    answer = _send(gemini.base_url, SAMPLES["g090"])
    assert answer.json() == SAMPLES["g076"]["response"]["body"]


def test_files_that_cannot_be_had(gemini: Emulator, api: httpx.Client) -> None:
    """A result's name is too long, a lost file is foreign; word for word."""
    long = api.get("/v1beta/files/batch-" + "x" * 36)
    assert long.json() == SAMPLES["g049"]["response"]["body"]
    gone = _send(gemini.base_url, SAMPLES["g050"])
    assert gone.status_code == 403
    assert gone.json() == SAMPLES["g050"]["response"]["body"]


def test_too_large(api: httpx.Client) -> None:
    """400, word for word."""
    answer = api.post(SAMPLES["g051"]["request"]["path"], content=b" " * (20 * 1024 * 1024 + 1))
    assert answer.json() == SAMPLES["g051"]["response"]["body"]


def test_unknown_field(api: httpx.Client) -> None:
    """``config`` in an item, word for word (cookbook#846)."""
    request = {"contents": [{"parts": [{"text": "x"}]}], "config": {}}
    body = {"batch": {"inputConfig": {"requests": {"requests": [{"request": request}]}}}}
    assert api.post(PATH, json=body).json() == SAMPLES["g077"]["response"]["body"]


def test_missing_signature(api: httpx.Client) -> None:
    """Gemini 3 refuses a call that lost its signature; Gemini 2.5 does not mind."""
    contents = [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]},
    ]
    path = "/v1beta/models/{}:generateContent"
    answer = api.post(path.format("gemini-3-pro-preview"), json={"contents": contents})
    assert answer.json() == SAMPLES["g078"]["response"]["body"]
    old = api.post(path.format("gemini-2.5-flash"), json={"contents": contents})
    assert old.status_code == 200


def test_too_many_embeddings(api: httpx.Client) -> None:
    """At most 100, word for word."""
    request = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "x"}]}}
    path = "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    answer = api.post(path, json={"requests": [request] * 101})
    assert answer.json() == SAMPLES["g079"]["response"]["body"]


# --- what the SDK sends --------------------------------------------------------------------------


def test_sdk_job_requests(gemini: Emulator, api: httpx.Client) -> None:
    """Requests captured from google-genai 3.4.0 about jobs are all understood."""
    _upload(api, "files/abc123def456", LINES)
    names = []
    for name in ("g052", "g053", "g054", "g055"):
        answer = _send(gemini.base_url, SAMPLES[name])
        assert answer.status_code == 200, answer.text
        names.append(answer.json()["name"])
    for name in ("g056", "g057", "g058", "g059", "g060"):
        request = SAMPLES[name]["request"]
        path = request["path"].replace("batches/pq1j6cr5x7usrrlj98tlukhnsav7gcq5lt8x", names[0])
        answer = _send(gemini.base_url, {"request": {**request, "path": path}})
        assert answer.status_code == 200, answer.text


def test_sdk_file_requests(gemini: Emulator, api: httpx.Client) -> None:
    """The same about files: start, chunks, get, list, delete, download."""
    for start, chunks in (("g061", [("g062", 3)]), ("g063", [("g064", 8388608), ("g065", 5)])):
        url = httpx.URL(_send(gemini.base_url, SAMPLES[start]).headers["x-goog-upload-url"])
        for chunk, size in chunks:
            headers = SAMPLES[chunk]["request"]["headers"]
            answer = httpx.post(url, headers=headers, content=bytes(size), timeout=20)
            assert answer.status_code == 200, answer.text
        assert answer.headers["x-goog-upload-status"] == "final"
    _upload(api, "files/abc123def456", LINES)
    statuses = {
        name: _send(gemini.base_url, SAMPLES[name]).status_code
        for name in ("g066", "g067", "g068", "g069")
    }
    assert statuses == {"g066": 200, "g067": 200, "g068": 200, "g069": 302}


# --- the table is complete -----------------------------------------------------------------------


def test_every_sample_is_placed() -> None:
    """Each sample is replayed by a test here (its id or its kind is named) or said why not."""
    text = Path(__file__).read_text(encoding="utf-8")
    replayed_kinds = {
        kind
        for group in re.findall(r"_of\(([^)]*)\)", text)
        for kind in re.findall(r'"([^"]+)"', group)
    } | set(_MESSAGES)
    missing = [
        name
        for name, sample in SAMPLES.items()
        if sample["kind"] not in KINDS_NOT_REPLAYED
        and name not in NOT_REPLAYED
        and sample["kind"] not in replayed_kinds
        and f'"{name}"' not in text
    ]
    assert missing == []


def test_recorded_values_are_in_the_grammar() -> None:
    """The enum values of the recordings are those the emulator knows."""
    reasons = set(fields_of("Candidate")["finishReason"]["enum"])
    found = {
        candidate["finishReason"]
        for name in _of("generateContent")
        for candidate in SAMPLES[name]["response"]["body"].get("candidates", [])
        if "finishReason" in candidate
    }
    assert found <= reasons
    assert "GenerateContentRequest" in message_names()
