"""Every fault of the table, seen from outside, armed in each of the three ways.

A row says what a client sees (:data:`ROWS`): without the fault it must not see it, with the fault
it must, whether that was armed at start, over the control route while running, or in a prompt.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.faults.markers import MARKERS
from gateway.emulator.faults.reports import REPORTS
from gateway.emulator.faults.table import FAULTS, parse_fault
from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import until

Json = dict[str, Any]
FLASH = "/v1beta/models/gemini-2.5-flash"
EMBEDDING = "/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent"
START = {"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"}
PATIENCE = 20
# How long a client waits that is to be kept waiting.
SHORT = 0.4


class Stage:
    """A running emulator, a client, and the words every prompt of its ends with."""

    def __init__(self, emulator: Emulator, mark: str) -> None:
        self.emulator = emulator
        self.mark = mark
        self.api = httpx.Client(
            base_url=emulator.base_url, headers={"x-goog-api-key": "k"}, timeout=PATIENCE
        )

    def ask(self, text: str = "hello there", **more: Any) -> Json:
        """A GenerateContentRequest."""
        return {"contents": [{"parts": [{"text": text + self.mark}]}], **more}

    def create(self, *texts: str) -> httpx.Response:
        """An inline job; keys k0, k1."""
        requests = [
            {"request": self.ask(text), "metadata": {"key": f"k{at}"}}
            for at, text in enumerate(texts or ("a", "b"))
        ]
        batch = {"inputConfig": {"requests": {"requests": requests}}}
        return self.api.post(f"{FLASH}:batchGenerateContent", json={"batch": batch})

    def made(self, *texts: str) -> str:
        """The name of an inline job."""
        name: str = self.create(*texts).json()["name"]
        return name

    def get(self, name: str, **query: str) -> Json:
        """A job."""
        found: Json = self.api.get(f"/v1beta/{name}", params=query).json()
        return found

    def state(self, name: str) -> str:
        """Its state as it is spelled."""
        return str(self.get(name)["metadata"]["state"])

    def items(self, name: str) -> list[Json]:
        """Its inline results, once it has ended."""
        self.emulator.finish()
        found: list[Json] = self.get(name)["response"]["inlinedResponses"]["inlinedResponses"]
        return found

    def candidates(self) -> list[Json]:
        """The candidates of one item's answer; none when there are none."""
        found: list[Json] = self.items(self.made("a"))[0]["response"].get("candidates", [])
        return found

    def lines(self, *requests: Json) -> bytes:
        """A file of requests; keys k0, k1."""
        rows = [{"key": f"k{at}", "request": request} for at, request in enumerate(requests)]
        return b"".join(orjson.dumps(row) + b"\n" for row in rows)

    def start(self) -> str:
        """Where an upload goes on."""
        url: str = self.api.post("/upload/v1beta/files", headers=START).headers["x-goog-upload-url"]
        return url

    def send(self, data: bytes, url: str = "") -> httpx.Response:
        """An upload in one chunk."""
        headers = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
        return self.api.post(url or self.start(), content=data, headers=headers)

    def uploaded(self) -> Json:
        """The file of two lines."""
        file: Json = self.send(self.lines(self.ask(), self.ask())).json()["file"]
        return file

    def result_file(self, *requests: Json) -> str:
        """The name of a file job's results; the job is over."""
        data = self.lines(*(requests or (self.ask("a"), self.ask("b"))))
        file = self.send(data).json()["file"]["name"]
        batch = {"inputConfig": {"fileName": file}}
        made = self.api.post(f"{FLASH}:batchGenerateContent", json={"batch": batch}).json()
        self.emulator.finish()
        name: str = self.get(made["name"])["response"]["responsesFile"]
        return name

    def download(self, name: str) -> httpx.Response:
        """The bytes of a result file."""
        return self.api.get(f"/download/v1beta/{name}:download", params={"alt": "media"})


def fails(error: type[Exception] | tuple[type[Exception], ...], call: Callable[[], object]) -> bool:
    """Whether a call ends with an error of the connection."""
    try:
        call()
    except error:
        return True
    return False


See = Callable[["Stage"], bool]
"""Whether a client sees what a fault does."""
CLOSES = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""Closed, with a reset when something of the request was not read yet."""


def waits(stage: Stage, call: Callable[[], object]) -> bool:
    """Whether a call gets no answer in a time that a test can wait."""
    stage.api.timeout = httpx.Timeout(PATIENCE, read=SHORT)
    return fails(httpx.ReadTimeout, call)


def has_jobs(stage: Stage, count: int) -> bool:
    """Whether there are so many, at the latest after a while: the client did not wait."""
    until(lambda: len(stage.emulator.jobs()) >= count, f"{count} jobs")
    return len(stage.emulator.jobs()) == count


def hangs(jobs: int) -> Callable[[Stage], bool]:
    """Create gets no answer, and there are so many jobs."""
    return lambda stage: waits(stage, stage.create) and has_jobs(stage, jobs)


def closes(jobs: int) -> Callable[[Stage], bool]:
    """Create's connection is closed, and there are so many jobs."""
    return lambda stage: fails(CLOSES, stage.create) and len(stage.emulator.jobs()) == jobs


def answers(status: int, jobs: int) -> Callable[[Stage], bool]:
    """Create gets a status, and there are so many jobs."""
    return lambda stage: (stage.create().status_code, len(stage.emulator.jobs())) == (status, jobs)


def ends(state: str) -> Callable[[Stage], bool]:
    """A job's last state."""

    def see(stage: Stage) -> bool:
        name = stage.made()
        stage.emulator.finish()
        return stage.state(name) == f"BATCH_STATE_{state}"

    return see


def after(seconds: float, state: str) -> Callable[[Stage], bool]:
    """A job's state some time after its create."""

    def see(stage: Stage) -> bool:
        name = stage.made()
        stage.emulator.advance(seconds)
        return stage.state(name) == f"BATCH_STATE_{state}"

    return see


def see_cut_answer(stage: Stage) -> bool:
    """A get of a job breaks off."""
    name = stage.made()
    return fails(CLOSES, lambda: stage.get(name))


def see_refused_fields(stage: Stage) -> bool:
    """A partial answer is refused, a whole one is not."""
    name = stage.made()
    refused = stage.api.get(f"/v1beta/{name}", params={"fields": "name"}).status_code == 400
    return refused and stage.api.get(f"/v1beta/{name}").status_code == 200


def see_kept_output(stage: Stage) -> bool:
    """A cancelled job says so, and shows what was served."""
    name = stage.made(*"abcd")
    stage.emulator.advance(60)
    stage.api.post(f"/v1beta/{name}:cancel")
    stage.emulator.finish()
    seen = stage.get(name)
    return seen["metadata"]["state"] == "BATCH_STATE_CANCELLED" and "response" in seen


def see_ignored_cancel(stage: Stage) -> bool:
    """The job goes on."""
    name = stage.made()
    return stage.api.post(f"/v1beta/{name}:cancel").json() == {} and (
        stage.state(name) == "BATCH_STATE_PENDING"
    )


def see_lingering_quota(stage: Stage) -> bool:
    """A job that is over and deleted still takes a place."""
    name = stage.made()
    stage.emulator.finish()
    stage.api.delete(f"/v1beta/{name}")
    return stage.create().status_code == 429


def see_lingering_job(stage: Stage) -> bool:
    """A deleted job is there."""
    name = stage.made()
    stage.api.delete(f"/v1beta/{name}")
    return stage.api.get(f"/v1beta/{name}").status_code == 200


def listed(stage: Stage, **query: Any) -> Json:
    """The first page of jobs."""
    page: Json = stage.api.get("/v1beta/batches", params=query).json()
    return page


def see_hidden_job(stage: Stage) -> bool:
    """A new job is not listed."""
    stage.create()
    return listed(stage) == {}


def see_ignored_cache(stage: Stage) -> bool:
    """A job's item does not rest on its cache."""
    cache = {"model": "models/gemini-2.5-flash", "contents": [{"parts": [{"text": "a " * 3000}]}]}
    name = stage.api.post("/v1beta/cachedContents", json=cache).json()["name"]
    requests = [{"request": stage.ask(cachedContent=name)}]
    batch = {"inputConfig": {"requests": {"requests": requests}}}
    made = stage.api.post(f"{FLASH}:batchGenerateContent", json={"batch": batch}).json()["name"]
    usage = stage.items(made)[0]["response"]["usageMetadata"]
    return "cachedContentTokenCount" not in usage


def see_unchecked_lines(stage: Stage) -> bool:
    """A field that there is not is lost without a word."""
    file = stage.result_file(stage.ask(config={"temperature": 1}))
    return "response" in orjson.loads(stage.download(file).content)


def see_other_order(stage: Stage) -> bool:
    """Every item, not in order."""
    keys = [item["metadata"]["key"] for item in stage.items(stage.made(*"abcdef"))]
    return keys != sorted(keys) and len(set(keys)) == 6


def keys_are(*keys: str) -> Callable[[Stage], bool]:
    """The keys that come back of a job of two."""
    return lambda stage: (
        tuple(item.get("metadata", {}).get("key") for item in stage.items(stage.made())) == keys
    )


def item_is(check: Callable[[Json], bool]) -> Callable[[Stage], bool]:
    """What the first item of a job is like."""
    return lambda stage: check(stage.items(stage.made("a"))[0])


def see_garbled_lines(stage: Stage) -> bool:
    """Lines of a result file are no JSON."""
    lines = stage.download(stage.result_file()).content.splitlines()
    return len(lines) == 2 and all(fails(ValueError, partial(orjson.loads, line)) for line in lines)


def see_spelling(stage: Stage) -> bool:
    """The guide's word for a state."""
    return stage.state(stage.made()) == "JOB_STATE_PENDING"


def see_one_output(stage: Stage) -> bool:
    """Output in metadata only."""
    name = stage.made()
    stage.emulator.finish()
    seen = stage.get(name)
    return "response" not in seen and "output" in seen["metadata"]


def see_no_output(stage: Stage) -> bool:
    """Output nowhere."""
    name = stage.made()
    stage.emulator.finish()
    seen = stage.get(name)
    return seen["done"] and "response" not in seen and "output" not in seen["metadata"]


def see_embeddings_twice(stage: Stage) -> bool:
    """Both spellings of inline vectors."""
    content = {"parts": [{"text": "a" + stage.mark}]}
    requests = [{"request": {"content": content, "outputDimensionality": 2}}]
    batch = {"inputConfig": {"requests": {"requests": requests}}}
    name = stage.api.post(EMBEDDING, json={"batch": batch}).json()["name"]
    stage.emulator.finish()
    return "inlinedEmbedContentResponses" in stage.get(name)["response"]


def see_fresh_list(stage: Stage) -> bool:
    """A listed job's counts are those of its end."""
    stage.create()
    stage.emulator.finish()
    [job] = listed(stage)["operations"]
    return "successfulRequestCount" in job["metadata"]["batchStats"]


def see_empty_list(stage: Stage) -> bool:
    """No jobs, no token."""
    stage.create()
    return listed(stage, pageSize=10) == {}


def see_list_that_needs_a_size(stage: Stage) -> bool:
    """No jobs without a page size, all of them with one."""
    stage.create()
    return listed(stage) == {} and len(listed(stage, pageSize=10)["operations"]) == 1


def see_empty_page(stage: Stage) -> bool:
    """No jobs, and a token that leads on to them."""
    stage.create()
    page = listed(stage, pageSize=10)
    return "operations" not in page and "operations" in listed(
        stage, pageSize=10, pageToken=page.get("nextPageToken", "")
    )


def see_unreachable(stage: Stage) -> bool:
    """Part of the list is missing, and it is said."""
    stage.create()
    return bool(listed(stage).get("unreachable"))


def see_cycle(stage: Stage) -> bool:
    """A token that leads back to itself."""
    token = ""
    for _ in range(3):
        stage.create()
    for _ in range(2):
        before, token = token, listed(stage, pageSize=1, pageToken=token)["nextPageToken"]
    return token == before


def see_file(check: Callable[[Json], bool]) -> Callable[[Stage], bool]:
    """What an uploaded file is like."""
    return lambda stage: check(stage.uploaded())


def see_no_file(stage: Stage) -> bool:
    """A final answer without a file."""
    answer = stage.send(stage.lines(stage.ask()))
    return (answer.status_code, answer.json()) == (200, {})


def see_cut_upload(stage: Stage) -> bool:
    """The connection closes under the client's hands."""
    data = stage.lines(stage.ask()) + bytes(3_000_000)
    return fails(httpx.TransportError, lambda: stage.send(data))


def see_wrong_hash(stage: Stage) -> bool:
    """As many bytes as were sent, of another hash."""
    data = stage.lines(stage.ask())
    files = [stage.send(data).json()["file"] for _ in range(2)]
    same = len({file["sha256Hash"] for file in files}) == 1
    return not same and {file["sizeBytes"] for file in files} == {str(len(data))}


def see_no_status(stage: Stage) -> bool:
    """A chunk's answer says nothing of the upload."""
    chunk = stage.lines(stage.ask()).ljust(8 * 1024 * 1024)
    headers = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload"}
    answer = httpx.post(stage.start(), content=chunk, headers=headers, timeout=60)
    return "x-goog-upload-status" not in answer.headers


def see_known_result(stage: Stage) -> bool:
    """A result file can be got."""
    file: Json = stage.api.get(f"/v1beta/{stage.result_file()}").json()
    return bool(file.get("source") == "GENERATED")


def see_other_host(stage: Stage) -> bool:
    """The redirect leads where a key must not go."""
    answer = stage.api.get(f"/v1beta/{stage.result_file()}:download", params={"alt": "media"})
    return httpx.URL(answer.headers["location"]).host == "nowhere.invalid"


def see_no_redirect(stage: Stage) -> bool:
    """The bytes at once."""
    name = stage.result_file()
    answer = stage.api.get(f"/v1beta/{name}:download", params={"alt": "media"})
    return answer.status_code == 200 and answer.content == stage.download(name).content


def see_gone_result(stage: Stage) -> bool:
    """403 for results that should be there."""
    return stage.download(stage.result_file()).status_code == 403


def see_cut_download(stage: Stage) -> bool:
    """The connection closes before the announced end."""
    name = stage.result_file()
    return fails(CLOSES, lambda: stage.download(name))


def see_slow_download(stage: Stage) -> bool:
    """Longer between the pieces than the client waits."""
    name = stage.result_file()
    return waits(stage, lambda: stage.download(name))


def see_needed_fields(stage: Stage) -> bool:
    """A whole answer is refused, a partial one is not."""
    name = stage.made()
    refused = stage.api.get(f"/v1beta/{name}").status_code == 503
    return refused and stage.get(name, fields="name") == {"name": name}


def see_slow_answer(stage: Stage) -> bool:
    """Longer between the bytes than the client waits."""
    name = stage.made()
    return waits(stage, lambda: stage.get(name))


def see_named_item(stage: Stage) -> bool:
    """The create is refused, and the second of its three items is the reason."""
    answer = stage.create("a", "b", "c").json()
    return "requests.requests[" in answer.get("error", {}).get("message", "")


def denied(call: Callable[[Stage, str], httpx.Response], *, result: bool, ends: int) -> See:
    """A call about a job or its results answers 4xx or 503 for ten seconds, then something else."""

    def see(stage: Stage) -> bool:
        name = stage.result_file() if result else stage.made()
        first = call(stage, name).status_code
        stage.emulator.advance(5)
        second = call(stage, name).status_code
        stage.emulator.advance(6)
        return first == second != call(stage, name).status_code == ends

    return see


def see_no_models(stage: Stage) -> bool:
    """A list without a model, whatever was asked before."""
    stage.create()
    return bool(stage.api.get("/v1beta/models").json() == {})


def flex(stage: Stage) -> httpx.Response:
    """A synchronous call in the flex tier."""
    return stage.api.post(f"{FLASH}:generateContent", json=stage.ask(serviceTier="flex"))


def get_plain(stage: Stage, name: str) -> httpx.Response:
    """A job, or a file."""
    return stage.api.get(f"/v1beta/{name}")


def see_refused_delete(stage: Stage) -> bool:
    """A job stays, and goes later."""
    path = f"/v1beta/{stage.made()}"
    first = stage.api.delete(path).status_code
    stage.emulator.advance(11)
    return (first, stage.api.delete(path).status_code) == (503, 200)


def see_lost_cancel(stage: Stage) -> bool:
    """The first cancel is not heard, the second is."""
    name = stage.made()
    states = []
    for _ in range(2):
        stage.api.post(f"/v1beta/{name}:cancel")
        states.append(stage.state(name))
    return states == ["BATCH_STATE_PENDING", "BATCH_STATE_CANCELLED"]


def see_late_output(stage: Stage) -> bool:
    """Output in the third get."""
    name = stage.made()
    stage.emulator.finish()
    return ["response" in stage.get(name) for _ in range(3)] == [False, False, True]


def see_stale_list(stage: Stage) -> bool:
    """A job that has ended is listed as if it had not."""
    name = stage.made()
    stage.emulator.finish()
    [job] = listed(stage)["operations"]
    return "done" not in job and bool(stage.get(name)["done"])


def see_short_list(stage: Stage) -> bool:
    """One of two jobs, and no way to the other."""
    stage.create()
    stage.create()
    page = listed(stage, pageSize=1)
    return len(page["operations"]) == 1 and "nextPageToken" not in page


def see_expired_file(stage: Stage) -> bool:
    """A file whose time is over when its upload is answered."""
    file = stage.uploaded()
    gone = stage.api.get(f"/v1beta/{file['name']}").status_code == 403
    return gone and file["expirationTime"][:26] == file["createTime"][:26]


@dataclass(frozen=True)
class Row:
    """What a client sees of one fault, and what else is armed and set in any case."""

    see: See
    parameters: str = ""
    beside: tuple[str, ...] = ()
    live_jobs: int = 100


ROWS: dict[str, Row] = {
    "error": Row(answers(500, 0)),
    "hang": Row(hangs(0)),
    "drop": Row(closes(0)),
    "garbage": Row(lambda stage: stage.create().text == "<html>" and stage.emulator.jobs() == []),
    "slow": Row(hangs(0), "on=create,seconds=5"),
    "error-after": Row(answers(500, 1)),
    "hang-after": Row(hangs(1)),
    "drop-after": Row(closes(1)),
    "garbage-after": Row(lambda stage: stage.create().text == "<html>"),
    "cut-after": Row(see_cut_answer, "on=get,bytes=50"),
    "drip-after": Row(see_slow_answer),
    "fields-refused": Row(see_refused_fields, "on=get"),
    "fields-needed": Row(see_needed_fields),
    "create-500": Row(answers(500, 0)),
    "create-500-after": Row(answers(500, 1)),
    "create-hang": Row(hangs(0)),
    "create-hang-after": Row(hangs(1)),
    "create-drop": Row(closes(0)),
    "create-drop-after": Row(closes(1)),
    "quota": Row(answers(429, 0)),
    "overloaded": Row(answers(503, 0)),
    "key-invalid": Row(answers(400, 0)),
    "create-denied": Row(answers(403, 0)),
    "create-names-item": Row(see_named_item, "index=1"),
    "model-unserved": Row(answers(404, 0)),
    "models-empty": Row(see_no_models),
    "get-denied": Row(denied(get_plain, result=False, ends=200), "seconds=10"),
    "download-denied": Row(denied(Stage.download, result=True, ends=200), "seconds=10"),
    "file-denied": Row(denied(get_plain, result=True, ends=400), "seconds=10"),
    "delete-refused": Row(see_refused_delete, "seconds=10"),
    "flex-full": Row(lambda stage: flex(stage).status_code == 503),
    "flex-refused": Row(lambda stage: flex(stage).status_code == 400),
    "flex-standard": Row(
        lambda stage: flex(stage).json()["usageMetadata"]["serviceTier"] == "standard"
    ),
    "cancel-lost": Row(see_lost_cancel, "times=1"),
    "job-stuck": Row(after(24 * 3600, "PENDING")),
    "job-slow": Row(after(100, "RUNNING"), "seconds=200"),
    "job-fails": Row(ends("FAILED")),
    "job-expires": Row(ends("EXPIRED")),
    "output-kept": Row(see_kept_output, beside=("job-slow:seconds=100",)),
    "cancel-ignored": Row(see_ignored_cancel, beside=("job-slow:seconds=100",)),
    "quota-lingers": Row(see_lingering_quota, "seconds=3600", live_jobs=1),
    "delete-lingers": Row(see_lingering_job),
    "list-hides": Row(see_hidden_job, "seconds=60"),
    "cache-ignored": Row(see_ignored_cache),
    "lines-unchecked": Row(see_unchecked_lines),
    "results-shuffled": Row(see_other_order),
    "results-doubled": Row(keys_are("k0", "k0", "k1", "k1")),
    "results-dropped": Row(keys_are()),
    "results-fail": Row(item_is(lambda item: item.get("error", {}).get("code") == 8), "code=8"),
    "results-keyless": Row(keys_are(None, None)),  # type: ignore[arg-type]
    "results-empty": Row(lambda stage: stage.candidates() == []),
    "results-citation-only": Row(lambda stage: [*stage.candidates()[0]] == ["citationMetadata"]),
    "results-cut": Row(
        lambda stage: (
            not stage.candidates()[0]["content"]["parts"][0]["text"].endswith("a" + stage.mark)
        )
    ),
    "results-refused": Row(lambda stage: stage.candidates()[0]["finishReason"] == "SAFETY"),
    "results-blank": Row(item_is(lambda item: item == {"metadata": {"key": "k0"}})),
    "results-garbled": Row(see_garbled_lines),
    "state-unknown": Row(after(0, "DREAMING"), "state=BATCH_STATE_DREAMING"),
    "state-spelling": Row(see_spelling),
    "output-only": Row(see_one_output, "place=metadata"),
    "output-nowhere": Row(see_no_output),
    "output-late": Row(see_late_output, "gets=2"),
    "embed-spelling": Row(see_embeddings_twice),
    "list-fresh": Row(see_fresh_list),
    "list-stale": Row(see_stale_list),
    "list-empty": Row(see_empty_list),
    "list-needs-size": Row(see_list_that_needs_a_size),
    "list-empty-page": Row(see_empty_page, "times=1"),
    "list-short": Row(see_short_list),
    "list-unreachable": Row(see_unreachable),
    "list-cycles": Row(see_cycle),
    "upload-no-file": Row(see_no_file),
    "upload-cut": Row(see_cut_upload, "bytes=300000"),
    "upload-short": Row(see_file(lambda file: int(file["sizeBytes"]) % 2 == 1)),
    "upload-corrupt": Row(see_wrong_hash, "times=1"),
    "upload-no-status": Row(see_no_status),
    "file-expired": Row(see_expired_file),
    "file-processing": Row(see_file(lambda file: file["state"] == "PROCESSING")),
    "file-fails": Row(see_file(lambda file: file["state"] == "FAILED")),
    "result-file-known": Row(see_known_result),
    "redirect-elsewhere": Row(see_other_host),
    "download-direct": Row(see_no_redirect),
    "download-gone": Row(see_gone_result),
    "download-cut": Row(see_cut_download, "bytes=100"),
    "download-slow": Row(see_slow_download, "rate=1"),
}
"""Fault -> what shows that it is there."""


@contextmanager
def staged(row: Row, *faults: str, mark: str = "") -> Iterator[Stage]:
    """A stage for a row, some faults armed at start."""
    options = EmulatorOptions(faults=(*row.beside, *faults), max_live_jobs=row.live_jobs)
    with running(options) as emulator:
        stage = Stage(emulator, mark)
        with stage.api:
            yield stage


def specification(name: str) -> str:
    """A row's fault as it is armed."""
    return f"{name}:{ROWS[name].parameters}".removesuffix(":")


@pytest.mark.parametrize("name", ROWS)
def test_not_there_unless_armed(name: str) -> None:
    """Else the other tests would prove nothing."""
    with staged(ROWS[name]) as stage:
        assert not ROWS[name].see(stage)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_armed_at_start(name: str) -> None:
    """``--fault NAME:...``."""
    with staged(ROWS[name], specification(name)) as stage:
        assert ROWS[name].see(stage)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_armed_while_running(name: str) -> None:
    """``POST /emulator/faults``, and gone again with DELETE."""
    with staged(ROWS[name]) as stage:
        armed = stage.api.post("/emulator/faults", json=[specification(name)]).json()["faults"]
        assert armed[-1]["name"] == parse_fault(name).name
        assert ROWS[name].see(stage)
        stage.api.delete("/emulator/faults")
        assert stage.api.get("/emulator/faults").json()["faults"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_asked_for_in_a_prompt(name: str) -> None:
    """``[[fault:NAME:...]]``, and nothing of it for those who do not ask."""
    with staged(ROWS[name], mark=f"[[fault:{specification(name)}]]") as stage:
        assert ROWS[name].see(stage)


def test_the_table_is_complete() -> None:
    """No fault without a row, and every row is a fault."""
    assert list(ROWS) == list(FAULTS)


def test_every_report_has_a_switch() -> None:
    """All 18 reports of the reference and three later ones; one is not about Google."""
    assert len(REPORTS) == 21
    assert {name for report in REPORTS for name in report.faults} <= set(FAULTS)
    assert {name for report in REPORTS for name in report.markers} <= set(MARKERS)
    [without] = [report for report in REPORTS if not report.faults]
    assert without.where.startswith("litellm")
