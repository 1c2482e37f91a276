"""``/v1/files`` through HTTP."""

import asyncio
import gzip
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.api.files import LIST_PIECE
from gateway.batches.batch import BatchStatus
from gateway.batches.file import File
from tests.api.world import LINE, START, World, form_of

Json = dict[str, Any]
Upload = Callable[..., Awaitable[Json]]
DAYS_30 = 30 * 24 * 3600


async def test_create_answers_every_field(world: World, upload: Upload) -> None:
    """The whole object; purpose batch expires after 30 days."""
    made = await upload(LINE * 3)

    assert made == {
        "id": made["id"],
        "object": "file",
        "bytes": 3 * len(LINE),
        "created_at": START // 1000,
        "expires_at": START // 1000 + DAYS_30,
        "filename": "in.jsonl",
        "purpose": "batch",
        "status": "processed",
        "status_details": None,
    }
    kept = await world.store.get_file("alice", made["id"], START)
    assert kept is not None
    assert (kept.lines, kept.sha256) == (3, hashlib.sha256(LINE * 3).hexdigest())


@pytest.mark.parametrize(
    ("data", "lines"),
    [(b"a", 1), (b"a\n", 1), (b"a\nb", 2), (b"\n\n", 2), (b"a\n" * 700_000 + b"b", 700_001)],
)
async def test_lines_are_counted(world: World, upload: Upload, data: bytes, lines: int) -> None:
    """A last line without a newline counts."""
    made = await upload(data)

    kept = await world.store.get_file("alice", made["id"], START)
    assert kept is not None
    assert (kept.lines, kept.bytes) == (lines, len(data))


async def test_other_purposes_are_kept(upload: Upload) -> None:
    """Only batch input expires by itself; and only it may not be empty."""
    made = await upload(b"", purpose="user_data")

    assert (made["expires_at"], made["bytes"], made["purpose"]) == (None, 0, "user_data")


async def test_expiry_is_honoured(world: World, alice: httpx.AsyncClient, upload: Upload) -> None:
    """An expired file is not there any more."""
    fields = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    made = await upload(**fields)

    assert made["expires_at"] == START // 1000 + 3600
    world.clock.time += 3600 * 1000
    assert (await alice.get(f"/v1/files/{made['id']}")).status_code == 404
    assert (await alice.get("/v1/files")).json()["data"] == []


@pytest.mark.parametrize("order", [("file", "purpose"), ("purpose", "file")])
async def test_the_parts_come_in_any_order(
    alice: httpx.AsyncClient, order: tuple[str, str]
) -> None:
    """openai-node sends the file first; unknown parts are let pass."""
    parts = {
        "file": 'name="file"; filename="a.jsonl"\r\n\r\n{}\n',
        "purpose": 'name="purpose"\r\n\r\nbatch',
    }
    named = [
        *(parts[name] for name in order),
        'name="x"\r\n\r\ny',
        'name="z"; filename="z"\r\n\r\nz',
    ]
    body = "".join(f"--BB\r\nContent-Disposition: form-data; {part}\r\n" for part in named)

    answer = await alice.post(
        "/v1/files",
        content=f"{body}--BB--\r\n".encode(),
        headers={"content-type": "multipart/form-data; boundary=BB"},
    )

    assert (answer.status_code, answer.json()["bytes"]) == (200, 3)


async def test_a_file_without_a_name_is_called_upload(alice: httpx.AsyncClient) -> None:
    """As the SDKs call it themselves."""
    body, headers = form_of(LINE, filename="", purpose="batch")

    answer = await alice.post("/v1/files", content=body, headers=headers)

    assert answer.json()["filename"] == "upload"


BAD_UPLOADS: dict[str, tuple[bytes, dict[str, str], int, str | None]] = {
    "no purpose": (*form_of(LINE), 400, "purpose"),
    "wrong purpose": (*form_of(LINE, purpose="vector_store"), 400, "purpose"),
    "empty batch": (*form_of(b"", purpose="batch"), 400, None),
    "no file": (
        b'--BB\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--BB--\r\n',
        form_of(b"")[1],
        400,
        "file",
    ),
    "two files": (
        form_of(LINE, purpose="batch")[0][:-8] + form_of(LINE)[0],
        form_of(b"")[1],
        400,
        "file",
    ),
    "cut short": (form_of(LINE, purpose="batch")[0][:-10], form_of(b"")[1], 400, None),
    "bad boundary": (b"--CC\r\n", form_of(b"")[1], 400, None),
    "json": (b"{}", {"content-type": "application/json"}, 400, None),
    "no type": (b"x", {}, 400, None),
    "too large": (*form_of(b"x" * 2001, purpose="batch"), 413, None),
    "declared too large": (
        b"",
        form_of(b"")[1] | {"content-length": str(10**9)},
        413,
        None,
    ),
    "too large beside the file": (
        form_of(b"x" * 2001, purpose="batch")[0].replace(b'name="file"', b'name="else"'),
        form_of(b"")[1],
        413,
        None,
    ),
}


@pytest.mark.parametrize("name", BAD_UPLOADS)
async def test_a_bad_upload_leaves_nothing(world: World, name: str) -> None:
    """An envelope for the client; no row, no bytes."""
    body, headers, status, param = BAD_UPLOADS[name]
    transport = httpx.ASGITransport(world.app(max_file_bytes=2000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.post(
            "/v1/files", content=body, headers=headers | {"authorization": "Bearer secret-a"}
        )

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert answer.headers["x-should-retry"] == "false"
    assert world.kept() == set()
    listed = await world.store.list_files("alice", START, limit=10)
    assert listed is not None
    assert listed.data == []


async def test_a_file_of_exactly_the_limit_is_taken(world: World) -> None:
    """The limit is for the file, not for the form around it."""
    body, headers = form_of(b"x" * 2000, purpose="batch")
    transport = httpx.ASGITransport(world.app(max_file_bytes=2000))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.post(
            "/v1/files", content=body, headers=headers | {"authorization": "Bearer secret-a"}
        )

    assert answer.status_code == 200


async def test_a_bad_upload_is_forgotten(world: World, alice: httpx.AsyncClient) -> None:
    """Its name, registered before its first byte, as well as its bytes."""
    body, headers = form_of(LINE, purpose="nonsense")
    await alice.post("/v1/files", content=body, headers=headers)

    assert await world.store.sweepable_blobs(START + 1, 10) == []


async def test_list_pages(world: World, alice: httpx.AsyncClient, upload: Upload) -> None:
    """Newest first, cursors, order and purpose."""
    ids = [(await upload())["id"] for _ in range(3)]
    other = (await upload(purpose="user_data"))["id"]

    async def listed(query: str) -> Json:
        page: Json = (await alice.get(f"/v1/files?{query}")).json()
        return page | {"data": [file["id"] for file in page["data"]]}

    assert await listed("") == {
        "object": "list",
        "data": [other, ids[2], ids[1], ids[0]],
        "first_id": other,
        "last_id": ids[0],
        "has_more": False,
    }
    assert (await listed("limit=2"))["has_more"] is True
    assert (await listed(f"limit=2&after={ids[2]}"))["data"] == [ids[1], ids[0]]
    assert (await listed(f"order=asc&after={ids[1]}"))["data"] == [ids[2], other]
    assert (await listed("purpose=user_data"))["data"] == [other]
    assert (await listed("purpose=nothing"))["last_id"] is None
    assert world.rung == 0


async def test_a_long_list_lets_others_in(world: World, alice: httpx.AsyncClient) -> None:
    """It is read in pieces: the loop turns between them, and nothing is lost or doubled."""
    count = 3 * LIST_PIECE + 7
    file = File("", "alice", "batch", "in.jsonl", 0, 0, "", (), START)
    ids = [f"file-{number:024}" for number in range(count)]
    for file_id in ids:
        await world.store.add_file(replace(file, id=file_id))
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.ensure_future(turn())
    try:
        body = (await alice.get("/v1/files?order=asc")).json()
    finally:
        other.cancel()

    assert [entry["id"] for entry in body["data"]] == ids
    assert body["has_more"] is False
    assert turns >= count // LIST_PIECE
    some = (await alice.get(f"/v1/files?limit={LIST_PIECE + 1}")).json()
    assert [entry["id"] for entry in some["data"]] == ids[: -LIST_PIECE - 2 : -1]
    assert some["has_more"] is True


async def test_deleting_while_listing_loses_nothing(
    alice: httpx.AsyncClient, upload: Upload
) -> None:
    """A cursor may name a file that is gone."""
    ids = {(await upload())["id"] for _ in range(7)}
    seen = set()
    after = ""
    while True:
        page = (await alice.get(f"/v1/files?limit=2&after={after}")).json()
        for file in page["data"]:
            seen.add(file["id"])
            assert (await alice.delete(f"/v1/files/{file['id']}")).json() == {
                "id": file["id"],
                "object": "file",
                "deleted": True,
            }
        if not page["has_more"]:
            break
        after = page["last_id"]

    assert seen == ids
    assert (await alice.get("/v1/files")).json()["data"] == []


async def test_a_deleted_file_is_gone_at_once(alice: httpx.AsyncClient, upload: Upload) -> None:
    """On every route, the second delete included."""
    file_id = (await upload())["id"]
    await alice.delete(f"/v1/files/{file_id}")

    for method, path in [("GET", ""), ("GET", "/content"), ("DELETE", "")]:
        answer = await alice.request(method, f"/v1/files/{file_id}{path}")
        assert answer.status_code == 404
        assert answer.json()["error"] == {
            "message": f"No such File object: {file_id}",
            "type": "invalid_request_error",
            "param": "id",
            "code": None,
        }


async def test_a_file_that_is_read_stays(
    world: World, alice: httpx.AsyncClient, create: Upload
) -> None:
    """While its batch lives; afterwards it may go."""
    batch = await create()
    path = f"/v1/files/{batch['input_file_id']}"

    refused = await alice.delete(path)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (409, "false")
    assert (await alice.get(f"{path}/content")).content == LINE
    await world.move(batch["id"], status=BatchStatus.FAILED, failed_at=START)
    assert (await alice.delete(path)).status_code == 200


async def test_another_owner_sees_nothing(world: World, upload: Upload) -> None:
    """404, as for an id that never was; lists are empty, cursors unknown."""
    file_id = (await upload())["id"]
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"api-key": "secret-b"}
    ) as bob:
        answers = [
            await bob.get(f"/v1/files/{file_id}"),
            await bob.get(f"/v1/files/{file_id}/content"),
            await bob.delete(f"/v1/files/{file_id}"),
            await bob.get(f"/v1/files?after={file_id}"),
        ]
        listed = (await bob.get("/v1/files")).json()

    assert [answer.status_code for answer in answers] == [404] * 4
    assert listed["data"] == []


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (LINE.decode().encode("utf-16"), "UTF-16"),
        (LINE.decode().encode("utf-16-le"), "UTF-16"),
        (LINE.decode().encode("utf-16-be"), "UTF-16"),
        (LINE.decode().encode("utf-32"), "UTF-32"),
        (gzip.compress(LINE, mtime=0), "gzip"),
        ("{'custom_id':'é', and more}".encode("latin-1"), "Latin-1"),
        ('{"custom_id": "一二三四五六七八九十百千万"}\n'.encode("utf-16-le"), "UTF-16"),
        (b"\x00\x01\x00\x00\x00\x0f\x00\x80\x00\x03OS/2", "binary"),
        (b"{\x00\x01\x02\x00\x00\x7f\x03", "binary"),
        (bytes(5000), "binary"),
    ],
    ids=[
        *("utf-16", "utf-16-le", "utf-16-be", "utf-32", "gzip", "latin-1"),
        *("utf-16-of-few-nuls", "a-font", "as-if-a-brace", "nothing-but-nul"),
    ],
)
async def test_what_is_not_utf_8_is_refused_at_upload(
    alice: httpx.AsyncClient, upload: Upload, data: bytes, named: str
) -> None:
    """As at OpenAI, and it names the encoding; other purposes take any bytes."""
    answer = await alice.post("/v1/files", files={"file": data}, data={"purpose": "batch"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_file_encoding"
    assert named in answer.json()["error"]["message"]
    assert (await upload(data, purpose="user_data"))["bytes"] == len(data)


async def test_a_character_cut_by_the_end_of_the_first_block_is_fine(upload: Upload) -> None:
    """UTF-8 may begin with anything but NUL."""
    for shift in range(4):
        await upload(b"\xef\xbb\xbf" + b" " * shift + "€😀".encode() * 5000)


async def test_a_file_name_with_a_nul_is_refused(alice: httpx.AsyncClient) -> None:
    """No database keeps every text with one in it."""
    head = b'--BB\r\ncontent-disposition: form-data; name="file"; filename="a\x00b"\r\n\r\n'
    purpose = b'--BB\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    answer = await alice.post(
        "/v1/files",
        content=purpose + head + b"{}\r\n--BB--\r\n",
        headers={"content-type": "multipart/form-data; boundary=BB"},
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "file"
