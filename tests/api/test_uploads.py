"""``/v1/uploads`` through HTTP."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from gateway.api import uploads
from gateway.api.uploads import LIFE_MS, MAX_PART_BYTES
from gateway.batches.file import File
from gateway.batches.upload import Part
from gateway.ports.store import Seal
from gateway.runner.blob_source import BlobSource
from tests.api.world import LINE, START, World

pytestmark = pytest.mark.usefixtures("both_places")

Json = dict[str, Any]
Make = Callable[..., Awaitable[Json]]
DATA = LINE * 40
REPEATED = {"x-stainless-retry-count": "1"}


@pytest.fixture
def begin(alice: httpx.AsyncClient) -> Make:
    """Create an upload; the answer."""

    async def call(**members: Any) -> Json:
        body = {"filename": "in.jsonl", "purpose": "batch", "mime_type": "text/jsonl"}
        answer = await alice.post("/v1/uploads", json={**body, "bytes": len(DATA), **members})
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    return call


@pytest.fixture
def send(alice: httpx.AsyncClient) -> Callable[..., Awaitable[str]]:
    """Send a part; its id."""

    async def call(upload: Json, data: bytes) -> str:
        answer = await _send(alice, upload, data)
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        assert made == {
            "id": made["id"],
            "object": "upload.part",
            "created_at": START // 1000,
            "upload_id": upload["id"],
        }
        return str(made["id"])

    return call


async def _send(client: httpx.AsyncClient, upload: Json, data: bytes) -> httpx.Response:
    return await client.post(f"/v1/uploads/{upload['id']}/parts", files={"data": ("upload", data)})


async def _complete(client: httpx.AsyncClient, upload: Json, **body: Any) -> httpx.Response:
    headers = body.pop("headers", {})
    return await client.post(f"/v1/uploads/{upload['id']}/complete", json=body, headers=headers)


def _error(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    error = answer.json()["error"]
    assert answer.headers["x-should-retry"] == "false"
    return answer.status_code, error["param"], error["code"]


async def test_parts_in_any_order_become_a_file(
    world: World, alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """Sent at once; ``part_ids`` decides; the content, its ETag and its ranges are those of one."""
    upload = await begin(expires_after={"anchor": "created_at", "seconds": 7200})
    assert upload == {
        "id": upload["id"],
        "object": "upload",
        "bytes": len(DATA),
        "created_at": START // 1000,
        "expires_at": START // 1000 + 3600,
        "filename": "in.jsonl",
        "purpose": "batch",
        "status": "pending",
        "file": None,
    }
    pieces = [DATA[:100], DATA[100:101], DATA[101:]]
    sent = await asyncio.gather(*(send(upload, piece) for piece in reversed(pieces)))
    await send(upload, b"a part that is not named")
    blobs = world.kept()

    digest = hashlib.md5(DATA).hexdigest().upper()
    answer = await _complete(alice, upload, part_ids=sent[::-1], md5=digest)

    done = answer.json()
    file = done.pop("file")
    assert done == {**{key: upload[key] for key in done}, "status": "completed"}
    assert (file["bytes"], file["purpose"]) == (len(DATA), "batch")
    assert file["expires_at"] == START // 1000 + 7200
    assert (await alice.get(f"/v1/files/{file['id']}")).json() == file
    content = await alice.get(f"/v1/files/{file['id']}/content")
    assert content.content == DATA
    assert content.headers["etag"] == f'"{hashlib.sha256(DATA).hexdigest()}"'
    some = await alice.get(f"/v1/files/{file['id']}/content", headers={"range": "bytes=98-103"})
    assert (some.status_code, some.content) == (206, DATA[98:104])
    assert world.kept() == blobs  # no byte was copied
    kept = await world.store.get_file("alice", file["id"], START)
    assert kept is not None
    assert (kept.lines, len(kept.segments)) == (40, 3)
    assert await _staged(world, kept, 99) == DATA[99:]


async def _staged(world: World, file: File, start: int) -> bytes:
    source = BlobSource(world.blobs, file.segments, Seal(file.bytes, file.sha256))
    return b"".join([block async for block in source.unchecked(start)])


async def test_a_completed_upload_is_a_batchs_input(
    alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]], create: Make
) -> None:
    """Deleted as any file, once no batch reads it."""
    upload = await begin()
    done = (await _complete(alice, upload, part_ids=[await send(upload, DATA)])).json()

    batch = await create(input_file_id=done["file"]["id"])

    assert batch["input_file_id"] == done["file"]["id"]
    assert (await alice.delete(f"/v1/files/{done['file']['id']}")).status_code == 409


async def test_an_empty_file_has_no_parts(alice: httpx.AsyncClient, begin: Make) -> None:
    """As openai-python's upload_file_chunked sends it; no batch can read nothing."""
    upload = await begin(bytes=0, purpose="user_data")
    file = (await _complete(alice, upload, part_ids=[])).json()["file"]
    assert (file["bytes"], file["expires_at"]) == (0, None)
    assert (await alice.get(f"/v1/files/{file['id']}/content")).content == b""

    empty = await begin(bytes=0)
    assert _error(await _complete(alice, empty, part_ids=[])) == (400, None, None)


async def test_a_repeated_complete_is_the_same(
    alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """The answer to the first was lost; without the SDK's mark it is a mistake."""
    upload = await begin()
    part = await send(upload, DATA)
    done = (await _complete(alice, upload, part_ids=[part])).json()

    again = await _complete(alice, upload, part_ids=[part], headers=REPEATED)

    assert again.json() == done
    refused = await _complete(alice, upload, part_ids=[part])
    assert _error(refused) == (400, "upload_id", None)
    assert "'completed'" in refused.json()["error"]["message"]
    assert _error(await _send(alice, upload, b"late")) == (400, "upload_id", None)
    cancel = await alice.post(f"/v1/uploads/{upload['id']}/cancel")
    assert _error(cancel) == (400, "upload_id", None)


async def test_a_cancelled_upload_takes_nothing_more(
    alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """And may be cancelled again."""
    upload = await begin()
    part = await send(upload, DATA)
    for _ in range(2):
        cancelled = (await alice.post(f"/v1/uploads/{upload['id']}/cancel")).json()
        assert cancelled == {**upload, "status": "cancelled"}

    assert _error(await _send(alice, upload, b"late")) == (400, "upload_id", None)
    assert _error(await _complete(alice, upload, part_ids=[part])) == (400, "upload_id", None)


async def test_an_upload_ends_after_an_hour(
    world: World, alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """Before the sweep notes it and after."""
    upload = await begin()
    part = await send(upload, DATA)
    world.clock.time += LIFE_MS
    for _ in range(2):
        refused = await _complete(alice, upload, part_ids=[part])
        assert _error(refused) == (400, "upload_id", None)
        assert "'expired'" in refused.json()["error"]["message"]
        assert _error(await _send(alice, upload, b"late")) == (400, "upload_id", None)
        cancel = await alice.post(f"/v1/uploads/{upload['id']}/cancel")
        assert _error(cancel) == (400, "upload_id", None)
        await world.store.expire_uploads(world.clock.time, 10)


async def test_another_owner_finds_no_upload(
    world: World, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """On any of its routes."""
    upload = await begin()
    part = await send(upload, DATA)
    headers = {"authorization": "Bearer secret-b"}
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers=headers
    ) as bob:
        answers = [
            await _send(bob, upload, b"x"),
            await _complete(bob, upload, part_ids=[part]),
            await bob.post(f"/v1/uploads/{upload['id']}/cancel"),
        ]

    assert [_error(answer) for answer in answers] == [(404, "upload_id", None)] * 3


BODY = {"filename": "a", "purpose": "batch", "bytes": 1, "mime_type": "text/jsonl"}
BAD_CREATES: dict[str, tuple[Json, str, str | None]] = {
    "no filename": ({"filename": ...}, "filename", "missing_required_parameter"),
    "no purpose": ({"purpose": ...}, "purpose", "missing_required_parameter"),
    "no bytes": ({"bytes": ...}, "bytes", "missing_required_parameter"),
    "no type": ({"mime_type": ...}, "mime_type", "missing_required_parameter"),
    "unknown": ({"size": 1}, "size", "unknown_parameter"),
    "text bytes": ({"bytes": "1"}, "bytes", "invalid_type"),
    "true bytes": ({"bytes": True}, "bytes", "invalid_type"),
    "negative": ({"bytes": -1}, "bytes", "integer_below_min_value"),
    "too large": ({"bytes": 2**31 + 1}, "bytes", "integer_above_max_value"),
    "beyond 64 bits": ({"bytes": 2**80}, "bytes", "invalid_type"),
    "purpose": ({"purpose": "x"}, "purpose", None),
    "name": ({"filename": "a\0b"}, "filename", None),
    "anchor": (
        {"expires_after": {"anchor": "x", "seconds": 3600}},
        "expires_after.anchor",
        "invalid_value",
    ),
    "seconds": (
        {"expires_after": {"anchor": "created_at", "seconds": 3599}},
        "expires_after.seconds",
        "integer_below_min_value",
    ),
}


@pytest.mark.parametrize(("change", "param", "code"), BAD_CREATES.values(), ids=BAD_CREATES)
async def test_bad_creates(
    alice: httpx.AsyncClient, change: Json, param: str, code: str | None
) -> None:
    """Each names its parameter."""
    body = {key: value for key, value in {**BODY, **change}.items() if value is not ...}

    assert _error(await alice.post("/v1/uploads", json=body)) == (400, param, code)


async def test_the_limit_says_who_set_it_and_why(alice: httpx.AsyncClient) -> None:
    """OpenAI allows 8 GB."""
    refused = await alice.post("/v1/uploads", json={**BODY, "bytes": 8 << 30})

    message = refused.json()["error"]["message"]
    assert "GATEWAY_MAX_FILE_BYTES" in message
    assert "Google" in message


async def test_bad_completes(
    alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """The upload stays pending, and can be completed rightly."""
    upload = await begin()
    first, second = await send(upload, DATA[:50]), await send(upload, DATA[50:])
    value, kind = "invalid_value", "invalid_type"
    bad: list[tuple[Json, str, str]] = [
        ({}, "part_ids", "missing_required_parameter"),
        ({"part_ids": first}, "part_ids", kind),
        ({"part_ids": [first, 2]}, "part_ids[1]", kind),
        ({"part_ids": [first]}, "part_ids", value),
        ({"part_ids": [first, first]}, "part_ids", value),
        ({"part_ids": [first, "part_none"]}, "part_ids", value),
        ({"part_ids": [first, second], "md5": "beef"}, "md5", value),
        ({"part_ids": [second, first], "md5": hashlib.md5(DATA).hexdigest()}, "md5", value),
        ({"part_ids": [first, second], "sha": "x"}, "sha", "unknown_parameter"),
    ]
    for body, param, code in bad:
        assert _error(await _complete(alice, upload, **body)) == (400, param, code), body

    assert (await _complete(alice, upload, part_ids=[first, second])).status_code == 200


async def test_a_batch_input_is_looked_at(
    alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """UTF-16 is told when the upload is completed, as a file's is at once."""
    data = "abc".encode("utf-16")
    upload = await begin(bytes=len(data))
    parts = [await send(upload, data[:1]), await send(upload, data[1:])]

    refused = await _complete(alice, upload, part_ids=parts)

    assert _error(refused) == (400, "file", "invalid_file_encoding")


async def test_bad_parts(
    world: World,
    alice: httpx.AsyncClient,
    begin: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing of them stays."""
    upload = await begin(bytes=10)
    url = f"/v1/uploads/{upload['id']}/parts"
    assert _error(await _send(alice, upload, b"")) == (400, "data", None)
    named = await alice.post(url, files={"file": ("upload", b"x")})
    assert _error(named) == (400, "data", "missing_required_parameter")
    two = await alice.post(url, files=[("data", b"a"), ("data", b"b")])
    assert _error(two) == (400, "data", None)
    assert (await alice.post(url, json={})).status_code == 400
    large = await _send(alice, upload, b"x" * (MAX_PART_BYTES + 1))
    assert (large.status_code, world.kept()) == (413, set())

    for _ in range(3):
        assert (await _send(alice, upload, b"12345678")).status_code == 200
    assert _error(await _send(alice, upload, b"1")) == (413, "data", None)
    monkeypatch.setattr(uploads, "MAX_PARTS", 3)
    assert _error(await _send(alice, upload, b"1")) == (400, None, None)


async def test_a_part_of_an_upload_that_ends_meanwhile(
    world: World, alice: httpx.AsyncClient, begin: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, and its blob is forgotten."""
    upload = await begin()
    names: list[str] = []
    add = world.store.add_part

    async def after_a_cancel(owner: str, part: Part, *others: Any) -> bool:
        names.append(part.blob)
        await world.store.cancel_upload(owner, upload["id"], START)
        return await add(owner, part, *others)

    monkeypatch.setattr(world.store, "add_part", after_a_cancel)

    assert _error(await _send(alice, upload, DATA)) == (400, "upload_id", None)
    assert len(names) == 1
    assert await world.store.known_blobs(names) == set()
    assert await world.store.blob_content(names[0]) is None


async def test_parts_outlive_a_restart(
    world: World, alice: httpx.AsyncClient, begin: Make, send: Callable[..., Awaitable[str]]
) -> None:
    """What was answered with 200 is on disk."""
    upload = await begin()
    part = await send(upload, DATA)
    await world.store.close()
    await world.store.open(START)

    assert await world.store.sweepable_blobs(START * 2, 10) == []
    assert (await _complete(alice, upload, part_ids=[part])).status_code == 200
