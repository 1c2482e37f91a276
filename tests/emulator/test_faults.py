"""What single faults do in detail; test_fault_switches.py has every one, armed in every way."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from gateway.clock import SystemClock
from gateway.emulator.faults.book import FaultBook
from gateway.emulator.faults.refusals import REASONS
from gateway.emulator.faults.table import make_fault, parse_fault
from gateway.emulator.protocol.errors import STATUS_NAMES
from gateway.emulator.testing import Emulator, EmulatorOptions, running

Json = dict[str, Any]
Create = Callable[..., httpx.Response]
Results = Callable[[str], list[Json]]
HEADERS = {"x-goog-api-key": "test-key"}
IMPATIENT = httpx.Timeout(20, read=0.3)
LINE = b'{"key":"a","request":{"contents":[{"parts":[{"text":"hello"}]}]}}\n'
START = {"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"}


def _state(api: httpx.Client, name: str) -> str:
    state: str = api.get(f"/v1beta/{name}").json()["metadata"]["state"]
    return state


def _keys(items: list[Json]) -> list[str]:
    return [item.get("metadata", {}).get("key", "") for item in items]


# --- answers of any call -------------------------------------------------------------------------


def test_error_before(create: Create, gemini: Emulator) -> None:
    """Refused calls do nothing, and pass once the count is used up."""
    gemini.fault("error", on="create", status=503, times=2)
    assert [create("x").status_code for _ in range(3)] == [503, 503, 200]
    assert len(gemini.journal("create")) == 1


def test_create_500_after(create: Create, gemini: Emulator) -> None:
    """The answer is 500 and the job exists."""
    gemini.fault("create-500-after", times=1)
    answer = create("x")
    assert (answer.status_code, answer.json()["error"]["status"]) == (500, "INTERNAL")
    assert [job["items"] for job in gemini.jobs()] == [1]


def test_quota_has_help_only(create: Create, gemini: Emulator) -> None:
    """429 with neither QuotaFailure nor RetryInfo (js-genai#1264)."""
    gemini.fault("quota", times=1)
    error = create("x").json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED"
    assert [detail["@type"].rpartition(".")[2] for detail in error["details"]] == ["Help"]


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("get", lambda api: api.get("/v1beta/batches/x")),
        ("list", lambda api: api.get("/v1beta/batches")),
        ("upload-start", lambda api: api.post("/upload/v1beta/files", headers=START)),
        ("models", lambda api: api.get("/v1beta/models")),
    ],
)
def test_error_on_other_calls(
    api: httpx.Client,
    gemini: Emulator,
    operation: str,
    call: Callable[[httpx.Client], httpx.Response],
) -> None:
    """``on`` names the call that is hit; others are not."""
    gemini.fault("error", on=operation, status=429, times=1)
    assert api.get("/v1beta/files").status_code == 200
    assert call(api).status_code == 429
    assert gemini.faults()[0]["applied"] == 1


@pytest.mark.parametrize(("fault", "jobs"), [("create-hang", 0), ("create-hang-after", 1)])
def test_hang(create: Create, gemini: Emulator, fault: str, jobs: int) -> None:
    """No answer ever comes; the job is there, or not."""
    gemini.fault(fault, times=1)
    with httpx.Client(base_url=gemini.base_url, headers=HEADERS, timeout=IMPATIENT) as impatient:
        path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
        contents = [{"parts": [{"text": "x"}]}]
        requests = {"requests": {"requests": [{"request": {"contents": contents}}]}}
        with pytest.raises(httpx.ReadTimeout):
            impatient.post(path, json={"batch": {"inputConfig": requests}})
    assert len(gemini.jobs()) == jobs
    assert create("y").status_code == 200


@pytest.mark.parametrize(("fault", "jobs"), [("create-drop", 0), ("create-drop-after", 1)])
def test_drop(create: Create, gemini: Emulator, fault: str, jobs: int) -> None:
    """The connection closes without an answer."""
    gemini.fault(fault, times=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        create("x")
    assert len(gemini.jobs()) == jobs


def test_create_500(create: Create, gemini: Emulator) -> None:
    """Refused with 500: no job."""
    gemini.fault("create-500", times=1)
    assert create("x").status_code == 500
    assert gemini.jobs() == []


def test_garbage_after(create: Create, gemini: Emulator) -> None:
    """A 2xx that cannot be read, after the job was made."""
    gemini.fault("garbage-after", times=1)
    answer = create("x")
    assert (answer.status_code, answer.text) == (200, "<html>")
    assert len(gemini.jobs()) == 1


def test_overloaded(api: httpx.Client, gemini: Emulator) -> None:
    """503 on any call."""
    gemini.fault("overloaded", times=1)
    answer = api.get("/v1beta/batches")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"].startswith("The model is overloaded")


def test_slow(api: httpx.Client, gemini: Emulator) -> None:
    """An answer that takes longer than its client waits."""
    gemini.fault("slow", on="list", seconds=5, times=1)
    with (
        httpx.Client(base_url=gemini.base_url, headers=HEADERS, timeout=IMPATIENT) as impatient,
        pytest.raises(httpx.ReadTimeout),
    ):
        impatient.get("/v1beta/batches")
    assert api.get("/v1beta/batches").status_code == 200


# --- what networks and accounts do to each call ---------------------------------------------------


OPERATIONS = ("create", "get", "list", "cancel", "delete", "upload", "download", "models")
ENDED = (httpx.TransportError, ValueError, httpx.HTTPStatusError)
"""How a client notices: nothing came, it cannot be read, it is refused."""


def _prepared(api: httpx.Client, create: Create, gemini: Emulator) -> Callable[[str], Any]:
    """Calls by their operation, about a job whose results are a file."""
    name = create("x").json()["name"]
    upload = api.post("/upload/v1beta/files", headers=START).headers["x-goog-upload-url"]
    last = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
    file = api.post(upload, content=LINE, headers=last).json()["file"]["name"]
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    made = api.post(path, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
    upload = api.post("/upload/v1beta/files", headers=START).headers["x-goog-upload-url"]
    gemini.finish()
    result = api.get(f"/v1beta/{made}").json()["response"]["responsesFile"]
    calls: dict[str, Callable[[httpx.Client], httpx.Response]] = {
        "create": lambda client: client.post(
            path, json={"batch": {"inputConfig": {"fileName": file}}}
        ),
        "get": lambda client: client.get(f"/v1beta/{name}"),
        "list": lambda client: client.get("/v1beta/batches"),
        "cancel": lambda client: client.post(f"/v1beta/{name}:cancel"),
        "delete": lambda client: client.delete(f"/v1beta/{name}"),
        "upload": lambda client: client.post(upload, content=LINE, headers=last),
        "download": lambda client: client.get(f"/download/v1beta/{result}:download"),
        "models": lambda client: client.get("/v1beta/models"),
    }

    def call(operation: str) -> Any:
        """What the client gets of it, parsed; raises one of ENDED."""
        with httpx.Client(base_url=gemini.base_url, headers=HEADERS, timeout=IMPATIENT) as client:
            return calls[operation](client).raise_for_status().json()

    return call


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "kind",
    [
        "hang",
        "hang-after",
        "drop",
        "drop-after",
        "cut-after:bytes=1",
        "error-after:status=500",
        "error:status=408",
        "error:status=429",
        "error:status=503",
        "garbage",
        "garbage-after",
        "garbage:body=empty",
        "garbage-after:body=empty",
        "drip-after:rate=1",
    ],
)
def test_every_kind_at_every_call(
    api: httpx.Client, create: Create, gemini: Emulator, kind: str, operation: str
) -> None:
    """Struck once, the client gets no answer to use; what ``-after`` strikes was done."""
    call = _prepared(api, create, gemini)
    before = len(gemini.journal())
    fault = parse_fault(kind)
    gemini.fault(
        fault.name,
        on=operation,
        times=1,
        status=fault.status,
        body=fault.body,
        bytes=fault.bytes,
        rate=fault.rate,
    )
    with pytest.raises(ENDED):
        call(operation)
    [struck] = [armed for armed in gemini.faults() if armed["name"] == fault.name]
    assert struck["applied"] == 1
    noted = {entry["kind"] for entry in gemini.journal()[before:]} - {"fault"}
    silent = operation in {"get", "list", "models"}
    assert bool(noted) is (fault.name.endswith("-after") and not silent)


@pytest.mark.parametrize("reason", REASONS)
def test_reasons(api: httpx.Client, gemini: Emulator, reason: str) -> None:
    """Every reason is an error as Google writes it, whatever the status of the fault."""
    gemini.fault("error", on="get", status=500, reason=reason, times=1)
    answer = api.get("/v1beta/batches/x")
    error = answer.json()["error"]
    assert error["code"] == answer.status_code < 500
    assert error["status"] == STATUS_NAMES.get(answer.status_code, "") or error["status"] == (
        "FAILED_PRECONDITION"
    )


@pytest.mark.parametrize(
    ("body", "content"), [("html", b"<html>"), ("empty", b""), ('{"a":1}', b'{"a":1}')]
)
def test_bodies(api: httpx.Client, gemini: Emulator, body: str, content: bytes) -> None:
    """200 with a proxy's page, with nothing, with the very characters."""
    gemini.fault("garbage", on="list", body=body)
    answer = api.get("/v1beta/batches")
    assert (answer.status_code, answer.content) == (200, content)


def test_message_of_any_length(create: Create, gemini: Emulator) -> None:
    """An error's text is the one it was given."""
    gemini.fault("error", on="create", status=400, message="requests " * 8192)
    assert len(create("x").json()["error"]["message"]) == 9 * 8192


def test_for_an_hour(create: Create, gemini: Emulator) -> None:
    """``seconds``: from the first strike on, by the emulator's clock."""
    gemini.fault("quota", seconds=3600)
    gemini.advance(7200)
    assert create("x").status_code == 429
    gemini.advance(3590)
    assert create("x").status_code == 429
    gemini.advance(20)
    assert create("x").status_code == 200


def test_one_model(create: Create, gemini: Emulator) -> None:
    """``model``: the others work."""
    gemini.fault("create-denied", reason="permission", model="gemini-2.5-pro")
    assert create("x").status_code == 200
    error = create("x", model="gemini-2.5-pro").json()["error"]
    assert error["message"].endswith("permission to use models/gemini-2.5-pro.")


def test_failing_job_of_one_model(create: Create, gemini: Emulator) -> None:
    """Faults of jobs know the model, too."""
    gemini.fault("job-fails", model="gemini-2.5-pro")
    create("x")
    create("x", model="gemini-2.5-pro")
    gemini.finish()
    assert [job["state"] for job in gemini.jobs()] == ["SUCCEEDED", "FAILED"]


@pytest.mark.parametrize(
    ("parameters", "texts", "place"),
    [
        ({"index": 1}, ("a", "b", "c"), "requests[1]"),
        ({"keys": "k2"}, ("a", "b", "c"), "requests[2]"),
        ({"index": 1, "reason": "unnamed"}, ("a", "b"), "Request contains an invalid argument."),
    ],
)
def test_refused_item(
    create: Create, gemini: Emulator, parameters: Json, texts: tuple[str, ...], place: str
) -> None:
    """The create says which item it is about, or does not; without the item it passes."""
    gemini.fault("create-names-item", **parameters)
    answer = create(*texts)
    assert (answer.status_code, gemini.jobs()) == (400, [])
    assert place in answer.json()["error"]["message"]
    assert create("a").status_code == 200


def test_item_refused_for_its_prompt(create: Create, gemini: Emulator) -> None:
    """A prompt that asks for it is the one that is named, as often as it is sent."""
    bad = "[[fault:create-names-item:times=all]]"
    named = [create("a", bad, "c"), create("a", "b", "c", bad), create("a", "c")]
    assert [answer.status_code for answer in named] == [400, 400, 200]
    assert "requests[3].request" in named[1].json()["error"]["message"]
    assert len(gemini.jobs()) == 1


def test_fails_at_its_first_attempt(create: Create, results: Results, gemini: Emulator) -> None:
    """``attempts``: a prompt that comes again is answered."""
    gemini.fault("results-fail", code=13, share=0.5, attempts=1)
    texts = [f"question {at}" for at in range(40)]
    first = results(create(*texts).json()["name"])
    failed = [text for text, item in zip(texts, first, strict=True) if "error" in item]
    assert 5 < len(failed) < 35
    assert all("response" in item for item in results(create(*failed).json()["name"]))


@pytest.mark.parametrize("offset", [-86400.0, 86400.0])
def test_clock_a_day_off(offset: float) -> None:
    """The service's time is not the machine's."""
    with running(EmulatorOptions(clock_offset=offset)) as emulator:
        answer = httpx.get(emulator.control("clock"), timeout=60).json()
    ahead = datetime.fromisoformat(answer["now"]) - datetime.fromtimestamp(
        SystemClock().now() / 1000, UTC
    )
    assert abs(ahead.total_seconds() - offset) < 60


# --- jobs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["PENDING", "RUNNING"])
def test_stuck_job_expires(api: httpx.Client, create: Create, gemini: Emulator, state: str) -> None:
    """PENDING or RUNNING for two days, then EXPIRED, nothing to fetch (python-genai#1482)."""
    gemini.fault("job-stuck", state=state, times=1)
    name = create("x").json()["name"]
    gemini.advance(47 * 3600)
    assert _state(api, name) == f"BATCH_STATE_{state}"
    gemini.advance(3600)
    answer = api.get(f"/v1beta/{name}").json()
    assert answer["metadata"]["state"] == "BATCH_STATE_EXPIRED"
    assert answer["done"] is True
    assert "response" not in answer


def test_failed_job(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """FAILED with a google.rpc.Status."""
    gemini.fault("job-fails", code=8, message="Enqueued token quota exceeded.", times=1)
    name = create("x").json()["name"]
    gemini.finish()
    answer = api.get(f"/v1beta/{name}").json()
    assert answer["error"] == {"code": 8, "message": "Enqueued token quota exceeded."}
    assert answer["metadata"]["state"] == "BATCH_STATE_FAILED"


def test_slow_job(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """A job that takes its own time."""
    gemini.fault("job-slow", seconds=1000, times=1)
    name = create("x").json()["name"]
    gemini.advance(900)
    assert _state(api, name) == "BATCH_STATE_RUNNING"
    gemini.finish()
    assert _state(api, name) == "BATCH_STATE_SUCCEEDED"


def test_job_expires(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """EXPIRED at once, for tests that cannot move the clock."""
    gemini.fault("job-expires", times=1)
    name = create("x").json()["name"]
    gemini.finish()
    assert _state(api, name) == "BATCH_STATE_EXPIRED"


@pytest.mark.parametrize("fault", ["job-fails", "job-expires"])
def test_output_kept(
    api: httpx.Client,
    create: Create,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
    fault: str,
) -> None:
    """Ended badly, and half of it can be fetched; inline and as a file."""
    gemini.fault(fault)
    gemini.fault("output-kept", share=0.5)
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    batch = {"inputConfig": {"fileName": put_file(LINE * 2)}}
    names = [create("a", "b").json()["name"], api.post(path, json={"batch": batch}).json()["name"]]
    gemini.finish()
    inline, file = [api.get(f"/v1beta/{name}").json() for name in names]
    items = inline["response"]["inlinedResponses"]["inlinedResponses"]
    assert ["response" in item for item in items] == [True, False]
    assert items[1]["error"] == {"code": 4}
    download = f"/download/v1beta/{file['response']['responsesFile']}:download"
    assert len(api.get(download, params={"alt": "media"}).content.splitlines()) == 2
    for seen in (inline, file):
        ended = {"job-fails": "FAILED", "job-expires": "EXPIRED"}[fault]
        assert seen["metadata"]["state"] == f"BATCH_STATE_{ended}"
        assert seen["metadata"]["batchStats"] == {
            "requestCount": "2",
            "successfulRequestCount": "1",
            "failedRequestCount": "1",
        }
        assert seen["error"]["code"]


def test_results_are_not_there_before_the_end(
    api: httpx.Client, gemini: Emulator, put_file: Callable[[bytes], str]
) -> None:
    """Nor for longer than two days after it."""
    gemini.fault("job-slow", seconds=40 * 3600)
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    batch = {"inputConfig": {"fileName": put_file(LINE)}}
    name = api.post(path, json={"batch": batch}).json()["name"]
    download = f"/download/v1beta/files/{name.replace('batches/', 'batch-')}:download"
    statuses = []
    for hours in (0, 39, 2, 46, 2):
        gemini.advance(hours * 3600)
        statuses.append(api.get(download).status_code)
    assert statuses == [403, 403, 200, 200, 403]


def test_cancel_ignored(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """Best effort: 200, and the job goes on."""
    gemini.fault("cancel-ignored", times=1)
    name = create("x").json()["name"]
    assert api.post(f"/v1beta/{name}:cancel").json() == {}
    gemini.finish()
    assert _state(api, name) == "BATCH_STATE_SUCCEEDED"


def test_delete_lingers(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """A deleted job is still got and listed (python-genai#2495)."""
    gemini.fault("delete-lingers", times=1)
    name = create("x").json()["name"]
    assert api.delete(f"/v1beta/{name}").status_code == 200
    assert api.get(f"/v1beta/{name}").status_code == 200
    assert [job["name"] for job in api.get("/v1beta/batches").json()["operations"]] == [name]


def test_quota_lingers() -> None:
    """A job that was deleted still counts for a while (python-genai#2495)."""
    options = EmulatorOptions(max_live_jobs=1, faults=("quota-lingers:seconds=3600,times=1",))
    request = {"request": {"contents": [{"parts": [{"text": "x"}]}]}}
    body = {"batch": {"inputConfig": {"requests": {"requests": [request]}}}}
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    with (
        running(options) as gemini,
        httpx.Client(base_url=gemini.base_url, headers=HEADERS, timeout=60) as api,
    ):
        name = api.post(path, json=body).json()["name"]
        gemini.finish()
        api.delete(f"/v1beta/{name}")
        assert api.post(path, json=body).status_code == 429
        gemini.advance(3601)
        assert api.post(path, json=body).status_code == 200


# --- what get and list show ----------------------------------------------------------------------


def test_unknown_state(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """A state nobody has heard of, while the job is not over."""
    gemini.fault("job-slow", seconds=1000)
    gemini.fault("state-unknown", on="get", state="BATCH_STATE_DREAMING", times=1)
    name = create("x").json()["name"]
    assert _state(api, name) == "BATCH_STATE_DREAMING"
    assert _state(api, name) == "BATCH_STATE_PENDING"


def test_state_spelling(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """The guide's JOB_STATE_ instead of the wire's BATCH_STATE_."""
    gemini.fault("job-slow", seconds=1000)
    gemini.fault("state-spelling", on="get")
    name = create("x").json()["name"]
    assert _state(api, name) == "JOB_STATE_PENDING"


@pytest.mark.parametrize("place", ["response", "metadata"])
def test_output_in_one_place(
    api: httpx.Client,
    create: Create,
    gemini: Emulator,
    place: str,
) -> None:
    """Output comes twice as a rule; here once (bifrost#3951)."""
    gemini.fault("output-only", place=place)
    name = create("x").json()["name"]
    gemini.finish()
    answer = api.get(f"/v1beta/{name}").json()
    assert ("response" in answer) is (place == "response")
    assert ("output" in answer["metadata"]) is (place == "metadata")


def test_output_nowhere(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """Succeeded, and nothing to show for it; the next look has it."""
    gemini.fault("output-nowhere", times=1)
    name = create("x").json()["name"]
    gemini.finish()
    first = api.get(f"/v1beta/{name}").json()
    assert "response" not in first
    assert "output" not in first["metadata"]
    assert "response" in api.get(f"/v1beta/{name}").json()


def test_embed_spelling(api: httpx.Client, gemini: Emulator) -> None:
    """The SDK's own spelling of inline embeddings beside the recorded one."""
    gemini.fault("embed-spelling")
    request = {"request": {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 4}}
    name = api.post(
        "/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent",
        json={"batch": {"inputConfig": {"requests": {"requests": [request]}}}},
    ).json()["name"]
    gemini.finish()
    output = api.get(f"/v1beta/{name}").json()["response"]
    assert output["inlinedEmbedContentResponses"] == output["inlinedResponses"]


def test_list_empty(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """Nothing, no token (python-genai#1250)."""
    create("x")
    gemini.fault("list-empty", times=1)
    assert api.get("/v1beta/batches").json() == {}
    assert len(api.get("/v1beta/batches").json()["operations"]) == 1


def test_list_empty_page(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """An empty page whose token leads to the jobs."""
    create("x")
    gemini.fault("list-empty-page", times=2)
    token = api.get("/v1beta/batches").json()["nextPageToken"]
    again = api.get("/v1beta/batches", params={"pageToken": token}).json()
    assert "operations" not in again
    last = api.get("/v1beta/batches", params={"pageToken": again["nextPageToken"]}).json()
    assert len(last["operations"]) == 1


def test_list_hides_the_new(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """A listing that lags behind: the job is there, the list does not know."""
    gemini.fault("list-hides", seconds=60, times=1)
    name = create("x").json()["name"]
    assert api.get("/v1beta/batches").json() == {}
    assert api.get(f"/v1beta/{name}").status_code == 200
    gemini.advance(61)
    assert len(api.get("/v1beta/batches").json()["operations"]) == 1


def test_list_unreachable(api: httpx.Client, gemini: Emulator) -> None:
    """Part of the jobs could not be asked for."""
    gemini.fault("list-unreachable", times=1)
    assert api.get("/v1beta/batches").json()["unreachable"]


def test_list_cycles(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """A token that leads back to itself."""
    for _ in range(4):
        create("x")
    first = api.get("/v1beta/batches", params={"pageSize": 1}).json()["nextPageToken"]
    gemini.fault("list-cycles", times=1)
    query = {"pageSize": 1, "pageToken": first}
    assert api.get("/v1beta/batches", params=query).json()["nextPageToken"] == first


# --- results -------------------------------------------------------------------------------------


def test_results_shuffled(create: Create, results: Results, gemini: Emulator) -> None:
    """Every answer, in another order (python-genai#1909)."""
    gemini.fault("results-shuffled")
    keys = _keys(results(create(*"abcdef").json()["name"]))
    assert sorted(keys) == [f"k{at}" for at in range(6)]
    assert keys != sorted(keys)


def test_results_doubled(create: Create, results: Results, gemini: Emulator) -> None:
    """Chosen items come twice."""
    gemini.fault("results-doubled", keys="k1")
    assert _keys(results(create("a", "b").json()["name"])) == ["k0", "k1", "k1"]


def test_results_dropped(create: Create, results: Results, gemini: Emulator) -> None:
    """Chosen items do not come."""
    gemini.fault("results-dropped", keys="k0|k2")
    assert _keys(results(create("a", "b", "c").json()["name"])) == ["k1"]


@pytest.mark.parametrize("code", [13, 8, 3])
def test_results_fail(create: Create, results: Results, gemini: Emulator, code: int) -> None:
    """Items fail with a numeric code; counted as failed."""
    gemini.fault("results-fail", code=code, keys="k0")
    found = results(create("a", "b").json()["name"])
    assert found[0]["error"]["code"] == code
    assert found[0]["error"]["message"]
    assert "response" in found[1]
    assert (gemini.jobs()[0]["succeeded"], gemini.jobs()[0]["failed"]) == (1, 1)


def test_results_fail_without_message(
    create: Create,
    results: Results,
    gemini: Emulator,
) -> None:
    """An error may be a code and nothing else."""
    gemini.fault("results-fail", code=13, message="")
    assert results(create("a").json()["name"])[0]["error"] == {"code": 13}


def test_results_share(create: Create, results: Results, gemini: Emulator) -> None:
    """About half of a job's items (python-genai#1341)."""
    gemini.fault("results-fail", share=0.5)
    texts = [f"t{at}" for at in range(200)]
    failed = [item for item in results(create(*texts).json()["name"]) if "error" in item]
    assert 60 < len(failed) < 140


def test_results_keyless(create: Create, results: Results, gemini: Emulator) -> None:
    """Items come back without their metadata (python-genai#1886)."""
    gemini.fault("results-keyless", keys="k1")
    assert _keys(results(create("a", "b").json()["name"])) == ["k0", ""]


def test_results_empty(create: Create, results: Results, gemini: Emulator) -> None:
    """A response without candidates."""
    gemini.fault("results-empty")
    response = results(create("a").json()["name"])[0]["response"]
    assert "candidates" not in response
    assert "usageMetadata" in response


def test_results_citation_only(create: Create, results: Results, gemini: Emulator) -> None:
    """Only citationMetadata (python-genai#1341)."""
    gemini.fault("results-citation-only")
    candidates = results(create("a").json()["name"])[0]["response"]["candidates"]
    assert [set(candidate) for candidate in candidates] == [{"citationMetadata"}]


def test_results_cut(create: Create, results: Results, gemini: Emulator) -> None:
    """Half an answer under STOP (discuss.ai.google.dev/t/140889)."""
    gemini.fault("results-cut")
    [candidate] = results(create("abcd").json()["name"])[0]["response"]["candidates"]
    assert candidate["finishReason"] == "STOP"
    assert candidate["content"]["parts"][0]["text"] == "Echo:"


def test_results_refused(create: Create, results: Results, gemini: Emulator) -> None:
    """A refusal is a success without content (langextract#528)."""
    gemini.fault("results-refused", keys="k1")
    found = results(create("a", "b").json()["name"])
    candidates = [item["response"]["candidates"][0] for item in found]
    assert [candidate["finishReason"] for candidate in candidates] == ["STOP", "SAFETY"]
    assert "content" not in candidates[1]


def test_results_blank(create: Create, results: Results, gemini: Emulator) -> None:
    """Neither response nor error."""
    gemini.fault("results-blank")
    assert results(create("a").json()["name"]) == [{"metadata": {"key": "k0"}}]


# --- files ---------------------------------------------------------------------------------------


def _start(api: httpx.Client, size: int) -> str:
    headers = {
        "X-Goog-Upload-Command": "start",
        "X-Goog-Upload-Header-Content-Length": str(size),
    }
    url: str = api.post("/upload/v1beta/files", headers=headers).headers["x-goog-upload-url"]
    return url


def _send(
    url: str, data: bytes, offset: int = 0, command: str = "upload, finalize"
) -> httpx.Response:
    headers = {"X-Goog-Upload-Offset": str(offset), "X-Goog-Upload-Command": command}
    return httpx.post(url, content=data, headers=headers, timeout=60)


def test_upload_without_file(api: httpx.Client, gemini: Emulator) -> None:
    """The final answer is 200 and has no file (python-genai#1248)."""
    gemini.fault("upload-no-file", times=1)
    answer = _send(_start(api, 3), b"abc")
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["x-goog-upload-status"] == "final"


def test_upload_chunk_fails(api: httpx.Client, gemini: Emulator) -> None:
    """A chunk answered with 503 was not taken; sent again it is."""
    gemini.fault("error", on="upload", status=503, times=1)
    url = _start(api, 3)
    assert _send(url, b"abc").status_code == 503
    assert _send(url, b"", command="query").headers["x-goog-upload-size-received"] == "0"
    assert _send(url, b"abc").json()["file"]["sizeBytes"] == "3"


def test_upload_cut_mid_chunk(api: httpx.Client, gemini: Emulator) -> None:
    """What came before the connection broke is kept in pieces of 256 KiB."""
    gemini.fault("upload-cut", bytes=300_000, times=1)
    data = bytes(range(256)) * 4096
    url = _start(api, len(data))
    with pytest.raises(httpx.TransportError):
        _send(url, data)
    asked = _send(url, b"", command="query")
    assert asked.headers["x-goog-upload-status"] == "active"
    received = int(asked.headers["x-goog-upload-size-received"])
    assert received == 262_144
    assert _send(url, data[received:], received).json()["file"]["sizeBytes"] == str(len(data))


def test_upload_short(api: httpx.Client, gemini: Emulator) -> None:
    """The stored file is not what was sent: size and hash tell."""
    gemini.fault("upload-short", times=1)
    assert _send(_start(api, 3), b"abc").json()["file"]["sizeBytes"] == "2"


def test_upload_no_status(api: httpx.Client, gemini: Emulator) -> None:
    """A chunk's answer lacks the header the SDK waits for."""
    gemini.fault("upload-no-status", times=1)
    chunk = b"x" * (8 * 1024 * 1024)
    answer = _send(_start(api, len(chunk) + 1), chunk, command="upload")
    assert answer.status_code == 200
    assert "x-goog-upload-status" not in answer.headers


def test_file_processing_and_failing(api: httpx.Client, gemini: Emulator) -> None:
    """A file that needs time, and one that comes to nothing."""
    gemini.fault("file-processing", seconds=60, times=1)
    gemini.fault("file-fails", times=1)
    file = _send(_start(api, 3), b"abc").json()["file"]
    assert file["state"] == "PROCESSING"
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    used = api.post(path, json={"batch": {"inputConfig": {"fileName": file["name"]}}})
    assert (used.status_code, used.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    gemini.advance(61)
    assert api.get(f"/v1beta/{file['name']}").json()["state"] == "FAILED"


def _result_path(api: httpx.Client, gemini: Emulator, file: str) -> str:
    name = api.post(
        "/v1beta/models/gemini-2.5-flash:batchGenerateContent",
        json={"batch": {"inputConfig": {"fileName": file}}},
    ).json()["name"]
    gemini.finish()
    output = api.get(f"/v1beta/{name}").json()["response"]["responsesFile"]
    return f"/download/v1beta/{output}:download?alt=media"


def test_download_cut(
    api: httpx.Client,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
) -> None:
    """The connection closes early under an honest Content-Length, twice; then all comes."""
    path = _result_path(api, gemini, put_file(LINE * 10))
    whole = api.get(path)
    gemini.fault("download-cut", bytes=100, times=2)
    for _ in range(2):
        with api.stream("GET", path) as response:
            assert response.headers["content-length"] == str(len(whole.content))
            pieces = response.iter_raw()
            assert next(pieces) == whole.content[:100]
            with pytest.raises(httpx.RemoteProtocolError):
                next(pieces)
    assert api.get(path).content == whole.content


def test_download_slow(
    api: httpx.Client,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
) -> None:
    """The bytes trickle: they come in many small pieces."""
    path = _result_path(api, gemini, put_file(LINE * 10))
    gemini.fault("download-slow", rate=20_000, times=1)
    with api.stream("GET", path) as response:
        pieces = list(response.iter_raw())
    assert max(map(len, pieces)) <= 2000
    assert sum(map(len, pieces)) == int(response.headers["content-length"])


# --- the machinery -------------------------------------------------------------------------------


def test_specification() -> None:
    """Text, parameters and defaults."""
    fault = parse_fault("results-fail:code=8,share=0.5,times=3")
    assert (fault.name, fault.code, fault.share, fault.times) == ("results-fail", 8, 0.5, 3)
    assert parse_fault("create-hang-after") == make_fault("hang-after", {"on": "create"})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no-such", "no-such"),
        ("error:on=never", "never"),
        ("error:colour=1", "colour"),
        ("error:times=soon", "times"),
        ("error:probability=1.5", "probability"),
        ("error:status=200", "status"),
        ("results-fail:share=-1", "share"),
        ("results-fail:code=17", "code"),
        ("error:reason=whim", "reason"),
        ("job-stuck:state=DONE", "PENDING, RUNNING"),
        ("output-only:place=nowhere", "response, metadata"),
    ],
)
def test_wrong_specification(text: str, named: str) -> None:
    """What is wrong is named."""
    with pytest.raises(ValueError, match=named):
        parse_fault(text)


def test_skip_and_probability() -> None:
    """``skip`` lets occasions through; the dice are the same for the same seed."""
    book = FaultBook([parse_fault("error:skip=2,times=1")], seed=1)
    assert [book.take("error", "create") is not None for _ in range(4)] == [0, 0, 1, 0]
    throws = {seed: _throws(seed) for seed in (5, 6)}
    assert 20 < sum(throws[5]) < 80
    assert throws[5] == _throws(5)
    assert throws[5] != throws[6]


def _throws(seed: int) -> list[bool]:
    dice = FaultBook([parse_fault("error:probability=0.5")], seed)
    return [dice.take("error", "create") is not None for _ in range(100)]


def test_armed_at_start() -> None:
    """``faults`` of the options are armed when the emulator starts."""
    with running(EmulatorOptions(faults=("error:on=list,status=503",))) as emulator:
        answer = httpx.get(f"{emulator.base_url}/v1/batches", headers=HEADERS, timeout=60)
    assert answer.status_code == 503
