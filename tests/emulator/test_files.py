"""Files through raw HTTP: the upload protocol, metadata, downloads."""

import base64
import hashlib
from collections.abc import Callable

import httpx
import pytest

from gateway.emulator.protocol.crc32c import crc32c
from gateway.emulator.testing import Emulator, EmulatorOptions, running

CHUNK = 8 * 1024 * 1024


def _start(api: httpx.Client, size: int | None = None, **file: str) -> httpx.Response:
    headers = {"X-Goog-Upload-Protocol": "resumable", "X-Goog-Upload-Command": "start"}
    if size is not None:
        headers["X-Goog-Upload-Header-Content-Length"] = str(size)
    return api.post("/upload/v1beta/files", headers=headers, json={"file": file})


def _send(url: str, data: bytes, offset: int, command: str) -> httpx.Response:
    headers = {"X-Goog-Upload-Offset": str(offset), "X-Goog-Upload-Command": command}
    return httpx.post(url, content=data, headers=headers, timeout=60)


def test_start_answer(api: httpx.Client) -> None:
    """Empty text/plain body, the URL in a header, 8 MiB granularity (recorded 2026-08-19)."""
    answer = _start(api, 3, display_name="x")
    assert answer.content == b""
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-goog-upload-status"] == "active"
    assert answer.headers["x-goog-upload-chunk-granularity"] == str(CHUNK)
    assert answer.headers["server"] == "UploadServer"
    url = httpx.URL(answer.headers["x-goog-upload-url"])
    assert url.path == "/upload/v1beta/files"
    assert url.params["upload_protocol"] == "resumable"
    assert url.params["upload_id"] == answer.headers["x-guploader-uploadid"]


def test_file_resource(api: httpx.Client) -> None:
    """SizeBytes as text, the hash as base64 of its hex form, 48 hours of life."""
    url = _start(api, 5, displayName="x").headers["x-goog-upload-url"]
    answer = _send(url, b"hello", 0, "upload, finalize")
    assert answer.headers["x-goog-upload-status"] == "final"
    file = answer.json()["file"]
    assert file["sizeBytes"] == "5"
    digest = hashlib.sha256(b"hello").hexdigest()
    assert base64.b64decode(file["sha256Hash"]).decode() == digest
    assert (file["state"], file["source"]) == ("ACTIVE", "UPLOADED")
    assert len(file["name"]) == len("files/mwp1gi5it47f")
    assert len(file["createTime"]) == len("2026-08-19T14:34:22.044992Z")
    assert len(file["expirationTime"]) == len("2026-08-21T14:34:21.475407640Z")


def test_chunks_query_finalize(api: httpx.Client) -> None:
    """A chunk, a question, the rest; without an announced size too."""
    data = bytes(CHUNK) + b"rest"
    url = _start(api).headers["x-goog-upload-url"]
    first = _send(url, data[:CHUNK], 0, "upload")
    assert (first.headers["x-goog-upload-status"], first.content) == ("active", b"")
    asked = _send(url, b"", 0, "query")
    assert asked.headers["x-goog-upload-size-received"] == str(CHUNK)
    last = _send(url, data[CHUNK:], CHUNK, "upload, finalize").json()["file"]
    assert base64.b64decode(last["sha256Hash"]).decode() == hashlib.sha256(data).hexdigest()
    assert _send(url, b"", 0, "query").headers["x-goog-upload-status"] == "final"


def test_finalize_alone(api: httpx.Client) -> None:
    """All bytes by ``upload``, then ``finalize`` with none."""
    url = _start(api, CHUNK).headers["x-goog-upload-url"]
    assert _send(url, bytes(CHUNK), 0, "upload").headers["x-goog-upload-status"] == "active"
    assert _send(url, b"", CHUNK, "finalize").json()["file"]["sizeBytes"] == str(CHUNK)


@pytest.mark.parametrize(
    ("data", "offset", "command"),
    [
        (b"x" * 1000, 0, "upload"),
        (b"x" * 1000, 5, "upload, finalize"),
        (b"x" * 999, 0, "upload, finalize"),
        (b"x" * 1001, 0, "upload, finalize"),
        (b"x" * 1000, 0, "explode"),
    ],
)
def test_refused_chunks(api: httpx.Client, data: bytes, offset: int, command: str) -> None:
    """Granularity, offset, size, command; nothing of it is taken."""
    url = _start(api, 1000).headers["x-goog-upload-url"]
    assert _send(url, data, offset, command).status_code == 400
    assert _send(url, b"", 0, "query").headers["x-goog-upload-size-received"] == "0"
    assert _send(url, b"x" * 1000, 0, "upload, finalize").status_code == 200


def test_offset_must_be_where_the_last_chunk_ended(api: httpx.Client) -> None:
    """Neither a gap nor a piece sent twice, even where no size was announced."""
    url = _start(api).headers["x-goog-upload-url"]
    assert _send(url, b"x", 5, "upload, finalize").status_code == 400
    assert _send(url, bytes(CHUNK), 0, "upload").status_code == 200
    assert _send(url, bytes(CHUNK), 0, "upload").status_code == 400
    assert _send(url, b"x", CHUNK, "upload, finalize").json()["file"]["sizeBytes"] == str(CHUNK + 1)


def test_cancelled_upload(api: httpx.Client) -> None:
    """Cancelled is cancelled."""
    url = _start(api, 3).headers["x-goog-upload-url"]
    assert _send(url, b"", 0, "cancel").headers["x-goog-upload-status"] == "cancelled"
    assert _send(url, b"abc", 0, "upload, finalize").status_code == 400
    assert api.get("/v1beta/files").json() == {}


def test_upload_url_is_its_own_authority(api: httpx.Client) -> None:
    """No key on the chunks (the SDK sends none); another id is 404; start needs a key."""
    url = _start(api, 3).headers["x-goog-upload-url"]
    other = httpx.URL(url).copy_set_param("upload_id", "unknown")
    assert _send(str(other), b"abc", 0, "upload, finalize").status_code == 404
    assert _send(url, b"abc", 0, "upload, finalize").status_code == 200
    assert httpx.post(httpx.URL(url).copy_with(query=b""), timeout=60).status_code == 403


def test_resumable_alias(api: httpx.Client) -> None:
    """/resumable/upload is another name of /upload."""
    headers = {"X-Goog-Upload-Command": "start"}
    assert api.post("/resumable/upload/v1/files", headers=headers).status_code == 200


def test_upload_in_one_call(api: httpx.Client) -> None:
    """The bytes alone, or metadata and bytes as multipart/related."""
    alone = api.post(
        "/upload/v1beta/files",
        params={"uploadType": "media"},
        content=b"hello",
        headers={"content-type": "text/plain"},
    ).json()["file"]
    assert (alone["sizeBytes"], alone["mimeType"]) == ("5", "text/plain")
    body = (
        b'--x\r\nContent-Type: application/json\r\n\r\n{"file":{"display_name":"d"}}\r\n'
        b"--x\r\nContent-Type: text/csv\r\n\r\na,b\r\n1,2\r\n\r\n--x--\r\n"
    )
    related = {"content-type": 'multipart/related; boundary="x"'}
    both = api.post("/upload/v1beta/files", content=body, headers=related).json()["file"]
    assert (both["displayName"], both["mimeType"]) == ("d", "text/csv")
    assert both["sizeBytes"] == str(len(b"a,b\r\n1,2\r\n"))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/related", b"--x\r\n\r\n--x--"),
        ("multipart/related; boundary=x", b"--x\r\n\r\n{}\r\n--x--"),
        ("multipart/related; boundary=x", b"--x{}--x{}--x--"),
    ],
)
def test_malformed_multipart(api: httpx.Client, kind: str, body: bytes) -> None:
    """400."""
    answer = api.post("/upload/v1/files", content=body, headers={"content-type": kind})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("name", "status"),
    [("good-1", 200), ("-bad", 400), ("Bad", 400), ("x" * 41, 400)],
)
def test_chosen_names(api: httpx.Client, name: str, status: int) -> None:
    """Lowercase, digits, dashes within, at most 40."""
    assert _start(api, 1, name=f"files/{name}").status_code == status


def test_name_taken(api: httpx.Client) -> None:
    """409 for the second."""
    url = _start(api, 1, name="files/mine").headers["x-goog-upload-url"]
    _send(url, b"x", 0, "upload, finalize")
    assert _start(api, 1, name="files/mine").status_code == 409


def test_limits() -> None:
    """Bytes of a file, bytes of all files."""
    options = EmulatorOptions(max_file_bytes=10, max_storage_bytes=15)
    with running(options) as gemini:
        headers = {"x-goog-api-key": "k"}
        with httpx.Client(base_url=gemini.base_url, headers=headers, timeout=60) as api:
            assert _start(api, 11).status_code == 400
            url = _start(api).headers["x-goog-upload-url"]
            assert _send(url, b"x" * 11, 0, "upload, finalize").status_code == 400
            assert _send(url, b"x" * 10, 0, "upload, finalize").status_code == 200
            assert _start(api, 6).status_code == 429


def test_gone_after_two_days(
    api: httpx.Client,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
) -> None:
    """403, as for a file that never was; and no longer listed."""
    name = put_file(b"x")
    gemini.advance(48 * 3600)
    answer = api.get(f"/v1beta/{name}")
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == (
        f"You do not have permission to access the File {name.removeprefix('files/')} "
        "or it may not exist."
    )
    assert api.get("/v1beta/files").json() == {}


def test_list_pages(api: httpx.Client, put_file: Callable[[bytes], str]) -> None:
    """Ten a page unless asked, newest first."""
    names = [put_file(b"x") for _ in range(11)]
    first = api.get("/v1beta/files").json()
    second = api.get("/v1beta/files", params={"pageToken": first["nextPageToken"]}).json()
    listed = [file["name"] for page in (first, second) for file in page["files"]]
    assert listed == names[::-1]
    assert len(first["files"]) == 10


def test_redirect_echoes_the_key(api: httpx.Client) -> None:
    """302 with a JSON error body and the caller's headers (recorded 2026-08-19)."""
    answer = api.get("/v1beta/files/batch-x:download", params={"alt": "media"})
    assert answer.status_code == 302
    assert answer.json() == {
        "error": {"code": 302, "message": "Unknown Error.", "status": "UNKNOWN"}
    }
    assert answer.headers["x-goog-api-key"] == "test-key"
    location = httpx.URL(answer.headers["location"])
    assert location.path == "/download/v1beta/files/batch-x:download"
    assert location.params["alt"] == "media"


def test_redirect_can_be_discreet() -> None:
    """Without the leak when asked."""
    with running(EmulatorOptions(redirect_leaks=False)) as gemini:
        url = f"{gemini.base_url}/v1beta/files/x:download"
        answer = httpx.get(url, headers={"x-goog-api-key": "secret"}, timeout=60)
    assert answer.status_code == 302
    assert "x-goog-api-key" not in answer.headers


def test_download(
    api: httpx.Client,
    gemini: Emulator,
    put_file: Callable[[bytes], str],
) -> None:
    """Attachment, exact length, checksum; uploads cannot be downloaded."""
    file = put_file(b'{"key":"a","request":{"contents":[{"parts":[{"text":"x"}]}]}}')
    path = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
    name = api.post(path, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
    gemini.finish()
    result = api.get(f"/v1beta/{name}").json()["response"]["responsesFile"]
    answer = api.get(f"/download/v1beta/{result}:download", params={"alt": "media"})
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-goog-hash"] == f"crc32c={crc32c(answer.content)}"
    assert api.get(f"/download/v1beta/{file}:download").status_code == 400
    assert api.get(f"/v1beta/{result}").status_code == 400
    assert api.delete(f"/v1beta/{result}").json()["error"]["message"] == (
        "* DeleteFileRequest.name: File ID (name excluding 'files/') cannot be more than 40 "
        "characters.\n"
    )


@pytest.mark.parametrize(("ranges", "status"), [(True, 206), (False, 200)])
def test_ranges(ranges: bool, status: int) -> None:
    """The rest from an offset, or the whole again: both can be chosen."""
    options = EmulatorOptions(ranges=ranges)
    headers = {"x-goog-api-key": "k"}
    with running(options) as gemini, httpx.Client(base_url=gemini.base_url, timeout=60) as api:
        api.headers.update(headers)
        line = b'{"key":"a","request":{"contents":[{"parts":[{"text":"x"}]}]}}'
        file = api.post("/upload/v1/files", content=line).json()["file"]["name"]
        path = "/v1/models/gemini-2.5-flash:batchGenerateContent"
        name = api.post(path, json={"batch": {"inputConfig": {"fileName": file}}}).json()["name"]
        gemini.finish()
        result = api.get(f"/v1/{name}").json()["response"]["responsesFile"]
        url = f"/download/v1/{result}:download"
        whole = api.get(url).content
        rest = api.get(url, headers={"range": "bytes=10-"})
    assert rest.status_code == status
    assert rest.content == (whole[10:] if ranges else whole)
    if ranges:
        assert rest.headers["content-range"] == f"bytes 10-{len(whole) - 1}/{len(whole)}"


def test_crc32c() -> None:
    """The check value of CRC-32C (RFC 3720)."""
    assert base64.b64decode(crc32c(b"123456789")) == bytes.fromhex("e3069283")
