"""OpenAI's wire contract, section by section of ``tests/reference/openai-wire.md``.

Against any server: ``CONTRACT_BASE_URL=https://…/v1 CONTRACT_API_KEY=… CONTRACT_MODEL=… pytest
tests/contract``. Where the record has several behaviours, each is accepted.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.conformance.openapi import SCHEMAS, check
from tests.contract.wire import Json, Wire, error_of
from tests.e2e.harness import until

pytestmark = pytest.mark.slow

RECORD = Path(__file__).parents[1] / "reference" / "openai-wire.md"
TERMINAL = {"completed", "failed", "expired", "cancelled"}
COVERED: dict[str, str] = {}
ELSEWHERE = {
    **{f"5.{number}": "tests/translate: what becomes of each line" for number in range(1, 11)},
    "8": "open points",
}


def section(*numbers: str) -> Callable[[Any], Any]:
    """Say which sections of the record a test is of."""

    def mark(test: Any) -> Any:
        COVERED.update(dict.fromkeys(numbers, test.__name__))
        return test

    return mark


def chat(custom_id: str, model: str, **changes: Any) -> bytes:
    """One line."""
    body = {"model": model, "messages": [{"role": "user", "content": f"say {custom_id}"}]}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps({**line, **changes}) + b"\n"


def ended(wire: Wire, batch: Json) -> Json:
    """Poll to the end."""

    def look() -> Json | None:
        now: Json = wire.get(f"/batches/{batch['id']}").json()
        return now if now["status"] in TERMINAL else None

    found: Json = until(look, f"{batch['id']} ends", 120)
    return found


@pytest.fixture(scope="module")
def done(wire: Wire, model: str) -> Json:
    """A batch of three lines that has ended, one of them in error."""
    bad = {"model": model, "messages": [], "n": 0}
    lines = chat("a", model) + chat("b", model, body=bad) + chat("c", model)
    return ended(wire, wire.create(wire.upload(lines)["id"], metadata={"a": "b"}))


def test_every_section_is_covered() -> None:
    """A new one fails until it has a test, or a place where it is judged."""
    numbers = re.findall(
        r"^#{2,3} (\d+(?:\.\d+)?)", RECORD.read_text(encoding="utf-8"), re.MULTILINE
    )
    parents = {number.partition(".")[0] for number in numbers if "." in number}

    assert set(numbers) - parents == set(COVERED) | set(ELSEWHERE)


# 1. Files and uploads


def _form(*parts: tuple[str, str, bytes]) -> dict[str, Any]:
    """A form whose parts come in this order."""
    body = b"".join(
        b"--BB\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (head.encode(), data)
        for _, head, data in parts
    )
    return {
        "content": body + b"--BB--\r\n",
        "headers": {"content-type": "multipart/form-data; boundary=BB"},
    }


FILE = ("file", 'name="file"; filename="a%22b.jsonl"', b"{}\n")
PURPOSE = ("purpose", 'name="purpose"', b"batch")
ANCHOR = ("anchor", 'name="expires_after[anchor]"', b"created_at")
SECONDS = ("seconds", 'name="expires_after[seconds]"', b"3600")


@section("1.1")
@pytest.mark.parametrize(
    "order", [(PURPOSE, ANCHOR, SECONDS, FILE), (FILE, PURPOSE, ANCHOR, SECONDS)]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_parts_of_an_upload_in_any_order(wire: Wire, order: Any, chunked: bool) -> None:
    """openai-node sends the file first, chunked; a quote travels as %22."""
    form = _form(*order)
    if chunked:
        form["content"] = iter([form["content"][:20], form["content"][20:]])
    made = wire.post("/files", **form).json()

    assert (made["filename"], made["bytes"]) == ('a"b.jsonl', 3)
    assert made["expires_at"] - made["created_at"] == 3600


@section("1.1")
@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"purpose": "vector_store"}, 400, "purpose"),
        ({"expires_after[anchor]": "x", "expires_after[seconds]": "3600"}, 400, None),
        ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "1"}, 400, None),
    ],
)
def test_bad_uploads(wire: Wire, change: Any, status: int, param: str | None) -> None:
    """Each names its parameter."""
    fields = {"purpose": "batch"} | change
    error = error_of(wire.post("/files", files={"file": ("a.jsonl", b"{}\n")}, data=fields), status)

    assert error["param"] == (param or error["param"])
    assert error["type"] == "invalid_request_error"


@section("1.1")
def test_an_upload_needs_file_and_purpose(wire: Wire) -> None:
    """And is a form."""
    assert error_of(wire.post("/files", **_form(PURPOSE)), 400)["param"] == "file"
    assert error_of(wire.post("/files", **_form(FILE)), 400)["param"] == "purpose"
    error_of(wire.post("/files", json={"purpose": "batch"}), 400)


@section("1.2")
def test_the_file_object(wire: Wire) -> None:
    """Every member there, processed at once; 30 days for a batch's input alone."""
    made = wire.upload(b"{}\n")

    assert set(made) >= set(SCHEMAS["OpenAIFile"]["required"]) | {"expires_at", "status_details"}
    assert (made["object"], made["status"], made["bytes"]) == ("file", "processed", 3)
    assert made["expires_at"] - made["created_at"] == 2_592_000
    assert wire.upload(b"x", purpose="user_data")["expires_at"] is None
    assert re.fullmatch(r"file-[0-9A-Za-z]{20,}", made["id"])


@section("1.3", "3.5")
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_lists_of_files(wire: Wire, limit: int) -> None:
    """Every file once, by its cursor; the envelope whole, also of nothing."""
    mine = [wire.upload(b"x", purpose="assistants")["id"] for _ in range(4)]
    for order, wanted in (("desc", mine[::-1]), ("asc", mine)):
        seen: list[str] = []
        query = {"purpose": "assistants", "limit": limit, "order": order}
        while True:
            page = wire.get("/files", params=query).json()
            seen += [file["id"] for file in page["data"]]
            assert len(page["data"]) <= limit
            if not page["has_more"]:
                break
            assert page["last_id"] == page["data"][-1]["id"]
            query["after"] = page["data"][-1]["id"]
        assert [file_id for file_id in seen if file_id in mine] == wanted
        assert len(seen) == len(set(seen))
    for file_id in mine:
        wire.delete(f"/files/{file_id}")
    empty = wire.get("/files", params={"purpose": "fine-tune", "limit": 1}).json()
    if not empty["data"]:
        assert (empty["first_id"], empty["last_id"], empty["has_more"]) == (None, None, False)


@section("1.3")
@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "order=up"])
def test_bad_lists(wire: Wire, query: str) -> None:
    """Each names its parameter."""
    error = error_of(wire.get(f"/files?{query}"), 400)

    assert error["param"] == query.partition("=")[0]


@section("1.4")
def test_the_life_of_a_file(wire: Wire) -> None:
    """Content as it was sent; ranges and a strong ETag; gone is 404."""
    data = "ü\n".encode() * 1000
    made = wire.upload(data, purpose="user_data")
    url = f"/files/{made['id']}"
    assert wire.get(url).json() == made
    content = wire.get(f"{url}/content", headers={"accept": "application/binary"})
    assert (content.content, content.headers["content-length"]) == (data, str(len(data)))
    if "accept-ranges" in content.headers:
        etag = content.headers["etag"]
        assert etag.startswith('"')
        some = wire.get(f"{url}/content", headers={"range": "bytes=3-8", "if-range": etag})
        assert (some.status_code, some.content) == (206, data[3:9])
        past = wire.get(f"{url}/content", headers={"range": f"bytes={len(data)}-"})
        assert past.status_code == 416
    assert wire.delete(url).json() == {"id": made["id"], "object": "file", "deleted": True}
    for answer in (wire.get(url), wire.get(f"{url}/content"), wire.delete(url)):
        error = error_of(answer, 404)
        assert (error["param"], error["code"]) == ("id", None)
        assert error["message"] == f"No such File object: {made['id']}"


@section("1.5")
def test_uploads(wire: Wire) -> None:
    """Parts at once, in the order that is told; nothing after the end."""
    data = bytes(range(256)) * 20
    wanted = {"filename": "a.bin", "purpose": "user_data", "mime_type": "text/plain"}
    upload = wire.post("/uploads", json={**wanted, "bytes": len(data)}).json()
    assert (upload["status"], upload["expires_at"] - upload["created_at"]) == ("pending", 3600)
    url = f"/uploads/{upload['id']}"
    pieces = [data[:1000], data[1000:1001], data[1001:]]

    def send(piece: bytes) -> str:
        return str(wire.post(f"{url}/parts", files={"data": ("upload", piece)}).json()["id"])

    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(send, pieces))
    error_of(wire.post(f"{url}/complete", json={"part_ids": parts[:2]}), 400)
    error_of(wire.post(f"{url}/complete", json={"part_ids": parts, "md5": "0" * 32}), 400)
    md5 = hashlib.md5(data).hexdigest()
    done = wire.post(f"{url}/complete", json={"part_ids": parts, "md5": md5}).json()
    assert (done["status"], done["file"]["bytes"]) == ("completed", len(data))
    assert wire.get(f"/files/{done['file']['id']}/content").content == data
    error_of(wire.post(f"{url}/parts", files={"data": b"x"}), 400)
    other = wire.post("/uploads", json={**wanted, "bytes": 1}).json()
    cancelled = wire.post(f"/uploads/{other['id']}/cancel").json()
    assert cancelled["status"] == "cancelled"
    error_of(wire.post(f"/uploads/{other['id']}/complete", json={"part_ids": []}), 400)
    error_of(wire.post("/uploads/upload_none/cancel"), 404)
    error_of(wire.post("/uploads", json={**wanted, "bytes": 2**60}), 400)


@section("1.5")
def test_an_upload_of_nothing(wire: Wire) -> None:
    """`uploads.upload_file_chunked` completes an empty file with no parts."""
    wanted = {"filename": "a.bin", "purpose": "user_data", "mime_type": "text/plain", "bytes": 0}
    upload = wire.post("/uploads", json=wanted)
    if upload.status_code == 400:
        assert error_of(upload, 400)["param"] == "bytes"
        return
    done = wire.post(f"/uploads/{upload.json()['id']}/complete", json={"part_ids": []}).json()
    assert (done["status"], done["file"]["bytes"]) == ("completed", 0)


# 2. Batches

GOOD = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
BAD_CREATES: list[tuple[Json, str | None, str | None]] = [
    ({"input_file_id": ...}, "input_file_id", "missing_required_parameter"),
    ({"endpoint": ...}, "endpoint", "missing_required_parameter"),
    ({"completion_window": ...}, "completion_window", "missing_required_parameter"),
    ({"endpoint": "/v1/none"}, "endpoint", "invalid_value"),
    ({"completion_window": "1h"}, "completion_window", "invalid_value"),
    ({"metadata": {"tags": ["a"]}}, "metadata.tags", "invalid_type"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata", "object_above_max_properties"),
    ({"metadata": {"k" * 65: ""}}, "metadata", "property_name_above_max_length"),
    ({"metadata": {"k": "v" * 513}}, "metadata.k", "string_above_max_length"),
    ({"priority": 1}, "priority", "unknown_parameter"),
    ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, None, None),
]


@section("2.1", "3.1")
@pytest.mark.parametrize(("change", "param", "code"), BAD_CREATES)
def test_bad_creates(wire: Wire, change: Json, param: str | None, code: str | None) -> None:
    """400 with OpenAI's param and code; the message names the parameter."""
    body = {"input_file_id": "file-none", **GOOD, **change}
    sent = {name: value for name, value in body.items() if value is not ...}
    error = error_of(wire.post("/batches", json=sent), 400)

    assert error["param"] == (param or error["param"])
    assert error["code"] == (code or error["code"])
    assert error["param"].partition(".")[0] in error["message"]


@section("2.1")
def test_an_unknown_input_file(wire: Wire) -> None:
    """At once, as in 2024, or a batch that fails, as since."""
    answer = wire.post("/batches", json={"input_file_id": "file-none", **GOOD})
    if answer.status_code == 400:
        assert answer.json()["error"]["param"] == "file_id"
        return
    failed = ended(wire, answer.json())
    assert (failed["status"], failed["errors"]["data"][0]["param"]) == ("failed", "file_id")


@section("2.2")
def test_the_batch_object(wire: Wire, model: str) -> None:
    """Every member there, null where it has no value; 24 hours; counts 0/0/0 at first."""
    file_id = wire.upload(chat("a", model))["id"]
    made = wire.create(file_id, metadata=None)

    assert set(made) >= set(SCHEMAS["Batch"]["properties"]) - {"model"}
    assert (made["object"], made["status"], made["input_file_id"]) == (
        "batch",
        "validating",
        file_id,
    )
    assert made["expires_at"] - made["created_at"] == 86_400
    assert made["metadata"] is None
    assert made["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert (made["output_file_id"], made["error_file_id"], made["errors"]) == (None, None, None)
    assert re.fullmatch(r"batch_\w{20,}", made["id"])
    assert ended(wire, made)["status"] == "completed"


@section("2.2", "2.3")
def test_an_end_with_answers_and_errors(wire: Wire, done: Json) -> None:
    """Completed; both files; counts that add up; one time of an end."""
    assert (done["status"], done["metadata"]) == ("completed", {"a": "b"})
    assert done["request_counts"] == {"total": 3, "completed": 2, "failed": 1}
    times = [done[f"{end}_at"] for end in ("completed", "failed", "expired", "cancelled")]
    assert times == [done["completed_at"], None, None, None]
    assert done["created_at"] <= done["in_progress_at"] <= done["completed_at"]
    for file_id in (done["output_file_id"], done["error_file_id"]):
        file = wire.get(f"/files/{file_id}").json()
        assert file["purpose"] == "batch_output"
    assert done["usage"]["total_tokens"] >= done["usage"]["output_tokens"] > 0


@section("2.3")
def test_cancelling(wire: Wire, model: str, done: Json) -> None:
    """Idempotent while it lives and once it is cancelled; 409 after another end; unknown: 404."""
    batch = wire.create(wire.upload(chat("a", model))["id"])
    first = wire.post(
        f"/batches/{batch['id']}/cancel", headers={"content-type": "application/json"}
    )
    if first.status_code == 200:
        assert first.json()["status"] in {"cancelling", "cancelled"}
        end = ended(wire, batch)
        if end["status"] == "cancelled":
            assert wire.post(f"/batches/{batch['id']}/cancel").json()["status"] == "cancelled"
    late = wire.post(f"/batches/{done['id']}/cancel")
    error = error_of(late, 409)
    assert error["message"] == "Cannot cancel a batch with status 'completed'."
    assert late.headers["x-should-retry"] == "false"
    unknown = error_of(wire.get("/batches/batch_none"), 404)
    assert "batch_none" in unknown["message"]
    error_of(wire.post("/batches/batch_none/cancel"), 404)


@section("2.3", "3.5")
def test_lists_of_batches(wire: Wire, done: Json) -> None:
    """Newest first, by their cursor."""
    seen: list[Json] = []
    query: dict[str, Any] = {"limit": 1}
    for _ in range(3):
        page = wire.get("/batches", params=query).json()
        seen += page["data"]
        if not page["has_more"]:
            break
        query["after"] = page["data"][-1]["id"]
    assert len({batch["id"] for batch in seen}) == len(seen)
    assert [one["created_at"] for one in seen] == sorted(
        (one["created_at"] for one in seen), reverse=True
    )
    assert done["id"] in {one["id"] for one in wire.get("/batches?limit=100").json()["data"]}
    for bad in ("limit=0", "limit=101", "limit=x"):
        assert error_of(wire.get(f"/batches?{bad}"), 400)["param"] == "limit"


INVALID: list[tuple[bytes, str, str | None]] = [
    (b"not json\n", "invalid_json_line", None),
    (b"[]\n", "invalid_json_line", None),
]
WRONG: list[tuple[Json, str, str]] = [
    ({"custom_id": ...}, "missing_required_parameter", "custom_id"),
    ({"method": ...}, "missing_required_parameter", "method"),
    ({"url": ...}, "missing_required_parameter", "url"),
    ({"body": ...}, "missing_required_parameter", "body"),
    ({"url": "/v1/embeddings"}, "invalid_url", "url"),
    ({"method": "GET"}, "invalid_method", "method"),
    ({"body": {"messages": []}}, "missing_required_parameter", "body.model"),
    ({"body": {"model": "MODEL"}}, "missing_required_parameter", "body.messages"),
]


@section("2.4")
def test_validation_failures(wire: Wire, model: str) -> None:
    """One bad line fails the whole; all are listed, in order, from 1 on; nothing ran."""
    lines = [chat("good", model)] + [text for text, _, _ in INVALID]
    for number, (change, _, _) in enumerate(WRONG):
        value = {**orjson.loads(chat(f"w{number}", model)), **change}
        text = orjson.dumps({k: v for k, v in value.items() if v is not ...})
        lines.append(text.replace(b"MODEL", model.encode()) + b"\n")
    streamed = {"model": model, "messages": [], "stream": True}
    lines += [chat("streamed", model, body=streamed), chat("good", model)]
    failed = ended(wire, wire.create(wire.upload(b"".join(lines))["id"]))

    assert failed["status"] == "failed"
    assert failed["request_counts"] == {"total": 0, "completed": 0, "failed": 0}
    assert (failed["output_file_id"], failed["error_file_id"]) == (None, None)
    assert failed["in_progress_at"] is None
    found = {error["line"]: error for error in failed["errors"]["data"]}
    assert list(found) == sorted(found)
    wanted = [(code, param) for _, code, param in INVALID] + [(c, p) for _, c, p in WRONG]
    for number, (code, param) in enumerate(wanted, 2):
        assert (found[number]["code"], found[number]["param"]) == (code, param), number
        assert found[number]["message"]
    assert found[len(lines) - 1]["code"] == "streaming_unsupported"
    assert found[len(lines)]["code"] == "duplicate_custom_id"
    assert 1 not in found


@section("2.4", "5.11")
def test_models_that_are_not_there(wire: Wire) -> None:
    """In lines and by themselves."""
    failed = ended(wire, wire.create(wire.upload(chat("a", "no-such-model"))["id"]))
    [entry] = failed["errors"]["data"]
    assert (entry["code"], entry["param"], entry["line"]) == ("model_not_found", "body.model", 1)
    assert error_of(wire.get("/models/no-such-model"), 404)["code"] == "model_not_found"


@section("2.5")
def test_output_lines(wire: Wire, done: Json) -> None:
    """Every custom_id once; status, error and file agree; no reader splits a line."""
    rows: dict[str, Json] = {}
    for file_id, is_output in ((done["output_file_id"], True), (done["error_file_id"], False)):
        text = wire.get(f"/files/{file_id}/content").text
        assert text.endswith("\n")
        assert len(text.splitlines()) == text.count("\n")
        for line in text.splitlines():
            row = orjson.loads(line)
            assert set(row) >= {"id", "custom_id", "response", "error"}
            assert row["id"].startswith("batch_req_")
            assert row["error"] is None
            assert (row["response"]["status_code"] == 200) == is_output
            assert row["response"]["request_id"]
            rows[row["custom_id"]] = row["response"]["body"]
    assert set(rows) == {"a", "b", "c"}
    rows["a"].pop("system_fingerprint", None)  # null in practice, a string in the description
    check(rows["a"], "CreateChatCompletionResponse")
    check(rows["b"], "ErrorResponse")


@section("2.5")
def test_a_byte_order_mark_is_no_error(wire: Wire, model: str) -> None:
    """OpenAI refuses the first line; taking it is kinder."""
    lines = b"\xef\xbb\xbf" + chat("a", model).replace(b"\n", b"\r\n")
    assert ended(wire, wire.create(wire.upload(lines)["id"]))["status"] in {"completed", "failed"}


# 3. HTTP


@section("3.1")
def test_statuses_and_types(wire: Wire) -> None:
    """No key, unknown URLs, other methods: an envelope each."""
    for headers in ({"authorization": ""}, {"authorization": "Basic x"}):
        error = error_of(wire.get("/files", headers=headers), 401)
        assert error["type"] == "invalid_request_error"
    error_of(wire.get("/nothing"), 404)
    assert wire.client.put("/files").status_code in {404, 405}
    broken = wire.post("/batches", content=b"{", headers={"content-type": "application/json"})
    error_of(broken, 400)


@section("3.2")
def test_headers(wire: Wire) -> None:
    """Whatever the SDKs send is taken; ids come back."""
    sent = {
        "openai-organization": "org",
        "openai-project": "proj",
        "x-stainless-retry-count": "0",
        "x-stainless-lang": "python",
        "accept-encoding": "gzip, deflate",
    }
    answer = wire.get("/files?limit=1", headers=sent)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers.get("content-encoding", "identity") in {"identity", "gzip", "deflate"}
    key = {"api-key": wire.key, "authorization": ""}
    assert wire.get("/files?limit=1", headers=key).status_code in {200, 401}


@section("3.3")
def test_client_mistakes_are_not_retried(wire: Wire) -> None:
    """Both SDKs retry 408, 409, 429 and 5xx: a mistake is none of these, or says so."""
    for answer in (
        wire.get("/batches/none"),
        wire.post("/batches", json={}),
        wire.post("/files", json={}),
    ):
        assert answer.status_code in {400, 404}
        assert answer.headers.get("x-should-retry", "false") == "false"


@section("3.4")
def test_a_repeated_create(wire: Wire, model: str) -> None:
    """An SDK that tries again says so, and gets the batch that is there."""
    file_id = wire.upload(chat("a", model))["id"]
    body = {"input_file_id": file_id, **GOOD}
    first, again = (
        wire.post("/batches", json=body, headers={"x-stainless-retry-count": count}).json()
        for count in ("0", "1")
    )
    assert again["id"] == first["id"]
    named = [
        wire.post("/batches", json=body, headers={"idempotency-key": f"key-{file_id}"}).json()
        for _ in range(2)
    ]
    assert named[0]["id"] == named[1]["id"]


# 5.11 Models


@section("4")
def test_webhook_endpoints(wire: Wire) -> None:
    """The resource of openai 3.53 and later; a server that lacks it says so."""
    kinds = wire.get("/webhook_event_types")
    if kinds.status_code == 404:
        return
    batch = {f"batch.{end}" for end in ("completed", "failed", "expired", "cancelled")}
    assert kinds.json()["object"] == "list"
    assert set(kinds.json()["data"]) >= batch
    given = {"name": "a", "url": "https://hooks.example/x", "event_types": ["batch.completed"]}
    made = wire.post("/webhook_endpoints", json=given).json()
    path = f"/webhook_endpoints/{made['id']}"
    try:
        assert made["object"] == "webhook_endpoint"
        assert made["signing_secret"].startswith("whsec_")
        assert made["signing_secret"] not in made["signing_secret_hint"]
        again = wire.get(path).json()
        assert "signing_secret" not in again or again["signing_secret"] is None
        assert {name: again[name] for name in given} == given
        changed = wire.post(path, json={"event_types": sorted(batch)}).json()
        assert set(changed["event_types"]) == batch
        page = wire.get("/webhook_endpoints?limit=1").json()
        assert page["data"][0]["id"] == made["id"]
        rotated = wire.post(
            f"{path}/rotate_secret", json={"keep_old_secret_active_for_24_hours": True}
        ).json()
        assert rotated["signing_secret"] not in {None, made["signing_secret"]}
    finally:
        gone = wire.delete(path).json()
    assert gone["deleted"] is True
    error_of(wire.get(path), 404)
    faults: list[Json] = [{"url": "ftp://x"}, {"event_types": ["batch.none"]}, {"event_types": []}]
    for wrong in faults:
        error_of(wire.post("/webhook_endpoints", json=given | wrong), 400)


@section("5.11")
def test_models(wire: Wire, model: str) -> None:
    """A list, and one by its name, with Google's prefix or without."""
    listed = {one["id"]: one for one in wire.get("/models").json()["data"]}
    assert model in listed
    assert wire.get(f"/models/{model}").json() == listed[model]
    assert wire.get(f"/models/models/{model}").json()["object"] == "model"


# 6. Limits, 7. What breaks SDKs


@section("6")
def test_limits(wire: Wire, model: str) -> None:
    """Metadata and lives up to their limits are taken."""
    metadata = {f"{n:064}": "v" * 512 for n in range(16)}
    most = {"anchor": "created_at", "seconds": 2_592_000}
    file = wire.upload(
        chat("a", model),
        **{"expires_after[anchor]": "created_at", "expires_after[seconds]": "2592000"},
    )
    made = wire.create(file["id"], metadata=metadata, output_expires_after=most)
    assert made["metadata"] == metadata


@section("7")
def test_base_urls(wire: Wire) -> None:
    """With and without /v1, with and without a slash at the end: served, never redirected."""
    root = wire.base_url.removesuffix("/v1")
    for url in (f"{root}/v1/files", f"{root}/files", f"{root}/v1/files/", f"{root}/openai/files"):
        answer = wire.get(f"{url}?limit=1")
        assert answer.status_code == 200, url


@section("7")
def test_a_cancel_that_announces_json(wire: Wire) -> None:
    """openai-python sends a content type and nothing."""
    headers = {"content-type": "application/json", "content-length": "0"}
    error_of(wire.post("/batches/batch_none/cancel", headers=headers), 404)


@section("7")
def test_errors_are_no_bare_json(wire: Wire) -> None:
    """An empty body, null, an array: 400 with an envelope."""
    for body in (b"", b"null", b"[]", b"NaN", b'"x"', b"\xff"):
        answer = wire.post("/batches", content=body, headers={"content-type": "application/json"})
        error_of(answer, 400)


def _answers() -> Iterator[httpx.Response]:
    """What a page of a proxy may look like."""
    yield httpx.Response(200, text="<html>")


def test_the_judge_judges(wire: Wire) -> None:
    """It has looked at answers of this run, and refuses what is none."""
    before = wire.judged
    wire.get("/files?limit=1")
    assert wire.judged == before + 1
    [page] = _answers()
    page.request = httpx.Request("GET", f"{wire.base_url}/files")
    page.headers["x-request-id"] = "x"
    with pytest.raises(AssertionError, match="Expecting value"):
        wire._judge(page)
