"""Jobs through raw HTTP: the Operation on the wire, its states, its limits."""

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.jobs.lines import line_item
from gateway.emulator.testing import Emulator, EmulatorOptions, running

Json = dict[str, Any]
Create = Callable[..., httpx.Response]
Results = Callable[[str], list[Json]]
PATH = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"


def _line(key: str, text: str) -> bytes:
    request = {"contents": [{"parts": [{"text": text}]}]}
    return orjson.dumps({"key": key, "request": request})


def test_operation_of_an_inline_job(
    api: httpx.Client,
    create: Create,
    gemini: Emulator,
) -> None:
    """As recorded: v1main types, 36 characters, counts as strings, output twice, done last."""
    made = create("x", displayName="d")
    created = made.json()
    name = created["name"]
    assert len(name.removeprefix("batches/")) == 36
    assert set(created) == {"name", "metadata"}
    assert created["metadata"] == {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": "models/gemini-2.5-flash",
        "displayName": "d",
        "createTime": created["metadata"]["createTime"],
        "updateTime": created["metadata"]["createTime"],
        "batchStats": {"requestCount": "1", "pendingRequestCount": "1"},
        "state": "BATCH_STATE_PENDING",
        "name": name,
    }
    assert len(created["metadata"]["createTime"]) == len("2026-08-19T14:34:12.267870162Z")
    assert made.headers["content-type"] == "application/json; charset=UTF-8"
    assert made.headers["server"] == "scaffolding on HTTPServer2"
    gemini.finish()
    ended = api.get(f"/v1beta/{name}").json()
    assert ended["done"] is True
    assert ended["metadata"]["batchStats"] == {"requestCount": "1", "successfulRequestCount": "1"}
    response = ended["response"]
    assert response.pop("@type").endswith("v1main.GenerateContentBatchOutput")
    assert response == ended["metadata"]["output"]
    assert "endTime" in ended["metadata"]


def test_operation_of_a_file_job(
    api: httpx.Client,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
) -> None:
    """InputConfig is echoed, requests are counted at create, output is a file name."""
    file = put_file(b"\n".join(_line(f"k{at}", "x") for at in range(3)))
    created = api.post(PATH, json={"batch": {"input_config": {"file_name": file}}}).json()
    assert created["metadata"]["inputConfig"] == {"fileName": file}
    assert created["metadata"]["batchStats"]["requestCount"] == "3"
    gemini.finish()
    ended = api.get(f"/v1beta/{created['name']}").json()
    result = "files/batch-" + created["name"].removeprefix("batches/")
    assert ended["response"]["responsesFile"] == result
    assert ended["metadata"]["output"] == {"responsesFile": result}


def test_states_follow_the_clock(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """PENDING, RUNNING without progress, SUCCEEDED."""
    gemini.fault("job-slow", seconds=100)
    name = create("x").json()["name"]
    seen = []
    for step in (10, 50, 50):
        gemini.advance(step)
        metadata = api.get(f"/v1beta/{name}").json()["metadata"]
        seen.append((metadata["state"], metadata["batchStats"].get("pendingRequestCount")))
    assert seen == [
        ("BATCH_STATE_PENDING", "1"),
        ("BATCH_STATE_RUNNING", "1"),
        ("BATCH_STATE_SUCCEEDED", None),
    ]


def test_list_is_stale(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """No output, no updateTime, counts as at create (a capture of 2026-07-25)."""
    create("x")
    gemini.finish()
    [listed] = api.get("/v1beta/batches", params={"pageSize": 100}).json()["operations"]
    assert set(listed) == {"name", "metadata", "done"}
    assert listed["metadata"]["batchStats"] == {"requestCount": "1", "pendingRequestCount": "1"}
    assert listed["metadata"]["state"] == "BATCH_STATE_SUCCEEDED"
    assert not {"output", "updateTime"} & set(listed["metadata"])


def test_pages_survive_new_jobs(api: httpx.Client, create: Create) -> None:
    """A job made between two pages neither repeats nor hides another."""
    names = [create("x").json()["name"] for _ in range(3)]
    first = api.get("/v1beta/batches", params={"pageSize": 2}).json()
    create("y")
    token = first["nextPageToken"]
    second = api.get("/v1beta/batches", params={"pageSize": 2, "pageToken": token}).json()
    listed = [job["name"] for page in (first, second) for job in page["operations"]]
    assert listed == names[::-1]
    assert "nextPageToken" not in second


@pytest.mark.parametrize("token", ["nonsense", "Cgxyz=="])
def test_wrong_page_token(api: httpx.Client, token: str) -> None:
    """400."""
    assert api.get("/v1beta/batches", params={"pageToken": token}).status_code == 400


def test_cancel_before_start(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """CANCELLED with error 13, nothing served (live 2026-08-15)."""
    gemini.fault("job-slow", seconds=100)
    name = create("x").json()["name"]
    assert api.post(f"/v1beta/{name}:cancel", json={}).json() == {}
    answer = api.get(f"/v1beta/{name}").json()
    assert answer["metadata"]["state"] == "BATCH_STATE_CANCELLED"
    assert answer["done"] is True
    assert answer["error"]["code"] == 13
    assert "response" not in answer


def test_cancel_midway(
    api: httpx.Client,
    create: Create,
    results: Results,
    gemini: Emulator,
) -> None:
    """SUCCEEDED; what was served is kept, the rest is code 1 without a message, counted failed."""
    gemini.fault("job-slow", seconds=100)
    name = create(*"abcd").json()["name"]
    gemini.advance(25 + 37.5)
    api.post(f"/v1beta/{name}:cancel")
    found = results(name)
    assert ["response" in item for item in found] == [True, True, False, False]
    assert found[3] == {"error": {"code": 1}, "metadata": {"key": "k3"}}
    metadata = api.get(f"/v1beta/{name}").json()["metadata"]
    assert metadata["state"] == "BATCH_STATE_SUCCEEDED"
    assert metadata["batchStats"] == {
        "requestCount": "4",
        "successfulRequestCount": "2",
        "failedRequestCount": "2",
    }


def test_cancel_midway_of_a_file_job(
    api: httpx.Client,
    results: Results,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
) -> None:
    """The same for the lines of a results file."""
    gemini.fault("job-slow", seconds=100)
    file = put_file(b"\n".join(_line(f"k{at}", "x") for at in range(4)))
    name = api.post(PATH, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
    gemini.advance(62.5)
    api.post(f"/v1beta/{name}:cancel")
    found = results(name)
    assert ["response" in item for item in found] == [True, True, False, False]
    assert found[3] == {"error": {"code": 1}, "key": "k3"}


@pytest.mark.parametrize("status", [200, 400])
def test_cancel_of_a_finished_job(status: int) -> None:
    """Not on record: both answers can be chosen, neither changes the job."""
    options = EmulatorOptions(cancel_finished_status=status)
    with running(options) as gemini, httpx.Client(base_url=gemini.base_url, timeout=60) as api:
        api.headers["x-goog-api-key"] = "k"
        request = {"request": {"contents": [{"parts": [{"text": "x"}]}]}}
        batch = {"batch": {"inputConfig": {"requests": {"requests": [request]}}}}
        name = api.post(PATH, json=batch).json()["name"]
        gemini.finish()
        assert api.post(f"/v1beta/{name}:cancel").status_code == status
        assert gemini.jobs()[0]["state"] == "SUCCEEDED"


def test_job_outlives_its_input(
    api: httpx.Client,
    results: Results,
    put_file: Callable[[bytes], str],
) -> None:
    """The input may be deleted once the job is created."""
    file = put_file(_line("a", "x"))
    name = api.post(PATH, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
    assert api.delete(f"/v1beta/{file}").json() == {}
    assert [item["key"] for item in results(name)] == ["a"]


def test_lines_of_every_kind(
    api: httpx.Client,
    results: Results,
    put_file: Callable[[bytes], str],
) -> None:
    """Snake case, bare requests, blank lines; bad lines fail alone with code 3."""
    lines = [
        (
            b'{"key":"snake","request":{"contents":[{"parts":[{"text":"x"}]}],'
            b'"generation_config":{"max_output_tokens":900}}}'
        ),
        b'{"contents":[{"parts":[{"text":"bare"}]}]}',
        b"",
        b'{"key":"config","request":{"contents":[{"parts":[{"text":"x"}]}],"config":{}}}',
        b"not json",
        b'{"key":"empty","request":{}}',
    ]
    file = put_file(b"\n".join(lines))
    name = api.post(PATH, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
    found = results(name)
    assert [item.get("key") for item in found] == ["snake", None, "config", None, "empty"]
    assert ["response" in item for item in found] == [True, True, False, False, False]
    assert {item["error"]["code"] for item in found if "error" in item} == {3}
    assert found[2]["error"]["message"] == (
        "Invalid JSON payload received. Unknown name \"config\" at 'request': Cannot find field."
    )


@pytest.mark.parametrize("kept", [True, False])
def test_metadata_of_a_line(kept: bool) -> None:
    """Not on record: it comes back, or does not."""
    line = {
        "key": "a",
        "metadata": {"n": 1},
        "request": {"contents": [{"parts": [{"text": "x"}]}]},
    }
    found = line_item(orjson.dumps(line), "GenerateContentRequest", metadata=kept)
    assert found.tag == ({"key": "a", "metadata": {"n": 1}} if kept else {"key": "a"})
    assert found.key == "a"


def test_bad_line_can_fail_the_job() -> None:
    """Reports differ, so it can be chosen: FAILED with the line's complaint."""
    with running(EmulatorOptions(bad_line="job")) as gemini:
        client = httpx.Client(base_url=gemini.base_url, headers={"x-goog-api-key": "k"}, timeout=60)
        with client as api:
            start = api.post("/upload/v1beta/files", headers={"X-Goog-Upload-Command": "start"})
            file = httpx.post(
                start.headers["x-goog-upload-url"],
                content=b"not json",
                headers={"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"},
                timeout=60,
            ).json()["file"]["name"]
            batch = {"batch": {"inputConfig": {"fileName": file}}}
            name = api.post(PATH, json=batch).json()["name"]
            gemini.finish()
            answer = api.get(f"/v1beta/{name}").json()
    assert answer["metadata"]["state"] == "BATCH_STATE_FAILED"
    assert answer["error"]["code"] == 3


def test_create_refusals(api: httpx.Client, create: Create) -> None:
    """Unknown model, unknown field, both sources, no source, lost file, too large."""
    assert create("x", model="gemini-0").status_code == 404
    assert create("x", model="gemini-embedding-001").status_code == 404
    wrong = create("x", colour="red").json()["error"]
    assert wrong["details"][0]["fieldViolations"][0]["field"] == "batch"
    assert wrong["message"] == (
        "Invalid JSON payload received. Unknown name \"colour\" at 'batch': Cannot find field."
    )
    both = {"fileName": "files/x", "requests": {"requests": []}}
    assert (
        "oneof" in api.post(PATH, json={"batch": {"inputConfig": both}}).json()["error"]["message"]
    )
    assert api.post(PATH, json={"batch": {}}).status_code == 400
    lost = api.post(PATH, json={"batch": {"inputConfig": {"fileName": "files/lost"}}})
    assert lost.status_code == 403
    large = api.post(PATH, content=b" " * 20_971_521).json()["error"]
    assert large["message"] == "Request payload size exceeds the limit: 20971520 bytes."


def test_unknown_field_of_an_item(api: httpx.Client) -> None:
    """Google's path, in snake case with indices; free-form values are not looked into."""
    request = {"contents": [{"parts": [{"text": "x"}]}], "config": {}}
    entry = {"request": request, "metadata": {"anything": {"config": 1}}}
    body = {"batch": {"inputConfig": {"requests": {"requests": [entry]}}}}
    violations = api.post(PATH, json=body).json()["error"]["details"][0]["fieldViolations"]
    path = "batch.input_config.requests.requests[0].request"
    assert [violation["field"] for violation in violations] == [path]


def test_hundred_live_jobs(create: Create, gemini: Emulator) -> None:
    """One more is 429, until one has ended."""
    gemini.fault("job-slow", seconds=1000)
    answers = [create("x") for _ in range(101)]
    assert [answer.status_code for answer in answers] == [200] * 100 + [429]
    gemini.finish(answers[0].json()["name"])
    assert create("x").status_code == 200


def test_enqueued_tokens() -> None:
    """A limit per model; the 429 does not tell it from too many jobs."""
    options = EmulatorOptions(enqueued_tokens={"gemini-2.5-flash": 10}, job_seconds=1000)
    request = {"request": {"contents": [{"parts": [{"text": "x" * 20}]}]}}
    batch = {"batch": {"inputConfig": {"requests": {"requests": [request]}}}}
    with running(options) as gemini:
        client = httpx.Client(base_url=gemini.base_url, headers={"x-goog-api-key": "k"}, timeout=60)
        with client as api:
            assert [api.post(PATH, json=batch).status_code for _ in range(3)] == [200, 200, 429]
            gemini.finish()
            assert api.post(PATH, json=batch).status_code == 200


def test_fields(api: httpx.Client, create: Create, gemini: Emulator) -> None:
    """The mask of a cheap poll."""
    name = create("x").json()["name"]
    gemini.finish()
    mask = "name,done,metadata(state,output/responsesFile)"
    polled = api.get(f"/v1beta/{name}", params={"fields": mask}).json()
    assert polled == {
        "name": name,
        "metadata": {"state": "BATCH_STATE_SUCCEEDED", "output": {}},
        "done": True,
    }
    assert api.get(f"/v1beta/{name}", params={"fields": "a(("}).status_code == 400


def test_update(api: httpx.Client, create: Create) -> None:
    """PATCH changes the display name and answers the bare resource."""
    name = create("x", displayName="old").json()["name"]
    path = f"/v1beta/{name}:updateGenerateContentBatch"
    changed = api.patch(path, json={"displayName": "new", "priority": 3}).json()
    assert (changed["displayName"], changed["priority"]) == ("new", "3")
    assert "@type" not in changed
    assert api.get(f"/v1beta/{name}").json()["metadata"]["displayName"] == "new"


def test_update_by_mask(api: httpx.Client, create: Create) -> None:
    """What the mask names is set, or emptied; what cannot be changed is refused."""
    name = create("x", displayName="old", priority=5).json()["name"]
    path = f"/v1beta/{name}:updateGenerateContentBatch"
    body = {"displayName": "new", "priority": "9", "model": "models/gemini-2.5-flash"}
    one = api.patch(path, json=body, params={"updateMask": "display_name"}).json()
    assert (one["displayName"], one["priority"]) == ("new", "5")
    emptied = api.patch(path, json={}, params={"update_mask": "displayName,priority"}).json()
    assert emptied.keys() & {"displayName", "priority"} == set()
    assert api.patch(path, json=body).json()["priority"] == "9"
    refused = api.patch(path, json=body, params={"updateMask": "model"})
    assert refused.status_code == 400
