"""``/v1/files/{id}/content`` through HTTP: lengths, ranges, conditions."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from gateway.api.content import Span, content_disposition, plan_content, read_span
from gateway.batches.file import File, Segment
from gateway.blobs.local import LocalBlobs
from tests.api.world import START, World

# Where ten bytes are changes nothing.
BOTH_PLACES = pytest.mark.usefixtures("both_places")
Upload = Callable[..., Awaitable[dict[str, Any]]]
DATA = b"0123456789"
ETAG = f'"{sha256(DATA).hexdigest()}"'


@pytest.fixture
async def path(upload: Upload) -> str:
    """Where ten bytes are."""
    made = await upload(DATA, filename="größe.jsonl")
    return f"/v1/files/{made['id']}/content"


@BOTH_PLACES
async def test_whole(alice: httpx.AsyncClient, path: str) -> None:
    """Bytes, exact length, strong ETag, a name for both kinds of readers."""
    answer = await alice.get(path)

    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-length"] == "10"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"gr__e.jsonl\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.jsonl"
    )


@BOTH_PLACES
async def test_head(alice: httpx.AsyncClient, path: str) -> None:
    """The headers of GET, no body; ranges are for GET alone."""
    answer = await alice.head(path, headers={"range": "bytes=0-1"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert (answer.headers["content-length"], answer.headers["etag"]) == ("10", ETAG)


@BOTH_PLACES
@pytest.mark.parametrize(
    ("asked", "data", "where"),
    [
        ("bytes=0-0", b"0", "0-0"),
        ("bytes=2-4", b"234", "2-4"),
        ("bytes=7-", b"789", "7-9"),
        ("bytes=7-999", b"789", "7-9"),
        ("bytes=-3", b"789", "7-9"),
        ("bytes=-30", DATA, "0-9"),
        ("bytes=0-", DATA, "0-9"),
    ],
)
async def test_one_range(
    alice: httpx.AsyncClient, path: str, asked: str, data: bytes, where: str
) -> None:
    """206, and where it lies."""
    answer = await alice.get(path, headers={"range": asked})

    assert (answer.status_code, answer.content) == (206, data)
    assert answer.headers["content-range"] == f"bytes {where}/10"
    assert answer.headers["content-length"] == str(len(data))


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=5-4", "bytes=-", "lines=1-2", "bytes=a-b", "0-1", ""]
)
async def test_other_ranges_get_the_whole(alice: httpx.AsyncClient, path: str, asked: str) -> None:
    """Several ranges, and what is not understood."""
    answer = await alice.get(path, headers={"range": asked})

    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0", f"bytes={'9' * 18}-"])
async def test_ranges_beyond(alice: httpx.AsyncClient, path: str, asked: str) -> None:
    """416, the envelope, and how long the file is."""
    answer = await alice.get(path, headers={"range": asked})

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(("tag", "status"), [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200)])
async def test_if_range(alice: httpx.AsyncClient, path: str, tag: str, status: int) -> None:
    """A range of a file that changed is the whole file."""
    answer = await alice.get(path, headers={"range": "bytes=0-1", "if-range": tag})

    assert answer.status_code == status


@pytest.mark.parametrize("tag", [ETAG, f"W/{ETAG}", f'"other", {ETAG}', "*"])
async def test_not_modified(alice: httpx.AsyncClient, path: str, tag: str) -> None:
    """304 without a body."""
    answer = await alice.get(path, headers={"if-none-match": tag})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)
    assert (await alice.get(path, headers={"if-none-match": '"other"'})).status_code == 200


@BOTH_PLACES
async def test_an_empty_file(alice: httpx.AsyncClient, upload: Upload) -> None:
    """No bytes are a body too; a range of them is beyond."""
    made = await upload(b"", purpose="user_data")
    path = f"/v1/files/{made['id']}/content"

    answer = await alice.get(path)
    assert (answer.content, answer.headers["content-length"]) == (b"", "0")
    assert (await alice.get(path, headers={"range": "bytes=0-"})).status_code == 416


@given(
    parts=st.lists(st.binary(max_size=5), max_size=5),
    start=st.integers(0, 25),
    length=st.integers(0, 25),
)
async def test_segments_are_one_file(parts: list[bytes], start: int, length: int) -> None:
    """A file's bytes are its segments', one after the other, from anywhere to anywhere."""
    whole = b"".join(parts)
    span = Span(min(start, len(whole)), min(start + length, len(whole)))
    memory: Any = _Memory(parts)
    blocks = read_span(_file_of(parts), memory, span)

    assert b"".join([block async for block in blocks]) == whole[span.start : span.end]


@pytest.mark.parametrize(
    ("filename", "value"),
    [
        ("a b.jsonl", 'attachment; filename="a b.jsonl"'),
        (
            'x"\r\nset-cookie: a',
            (
                'attachment; filename="x___set-cookie_ a"; '
                "filename*=UTF-8''x%22%0D%0Aset-cookie%3A%20a"
            ),
        ),
        (
            "../../etc/passwd",
            "attachment; filename=\".._.._etc_passwd\"; filename*=UTF-8''.._.._etc_passwd",
        ),
        ("\ud800", "attachment; filename=\"_\"; filename*=UTF-8''%3F"),
    ],
)
def test_content_disposition(filename: str, value: str) -> None:
    """Nothing of a file name can end its header or climb out of a directory."""
    assert content_disposition(filename) == value


def test_a_plan_for_a_condition_has_no_body() -> None:
    """The condition comes before the range (RFC 9110 13.2.2)."""
    headers = Headers({"if-none-match": "*", "range": "bytes=0-1"})

    assert plan_content(_file_of([b"abc"]), headers, head=False).status == 304


class _Memory:
    """Blobs in memory: name ``n`` is the n-th part."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts

    async def read(self, name: str, start: int = 0, length: int | None = None) -> Any:
        end = None if length is None else start + length
        for byte in self._parts[int(name)][start:end]:
            yield bytes([byte])


def _file_of(parts: list[bytes]) -> File:
    return File(
        id="file-1",
        owner="alice",
        purpose="batch",
        filename="a",
        bytes=sum(map(len, parts)),
        lines=0,
        sha256=sha256(b"".join(parts)).hexdigest(),
        segments=tuple(Segment(str(n), len(part)) for n, part in enumerate(parts)),
        created_at=START,
    )


@BOTH_PLACES
async def test_the_length_comes_first(alice: httpx.AsyncClient, path: str) -> None:
    """A head cut before it is taken for a whole, empty answer by http.client and curl."""
    answer = await alice.get(path)
    assert answer.headers.raw[0][0] == b"content-length"
    assert answer.headers["date"].endswith(" GMT")


@BOTH_PLACES
async def test_bytes_that_are_gone_are_our_error(
    world: World, alice: httpx.AsyncClient, path: str
) -> None:
    """The file is listed: 404 would say that it was deleted."""
    world.lose_all()
    answer = await alice.get(path)
    assert answer.status_code == 500
    assert path.split("/")[3] in answer.json()["error"]["message"]


async def test_bytes_that_have_changed_are_not_served_whole(world: World) -> None:
    """The ETag is their SHA-256; ranges are not checked."""
    blob = "0123456789abcdef"
    async with world.blobs.create(blob) as writer:
        await writer.write(b"0123456780")
    file = File("f", "o", "batch", "n", 10, 1, sha256(DATA).hexdigest(), (Segment(blob, 10),), 0)
    with pytest.raises(OSError, match="not those that were written"):
        _ = [block async for block in read_span(file, world.blobs, Span(0, 10))]
    assert [block async for block in read_span(file, world.blobs, Span(0, 9))] == [b"012345678"]


class _Elsewhere(LocalBlobs):
    """Bytes that others may fetch by themselves."""

    async def link(self, name: str, seconds: int) -> str | None:
        return f"https://bucket.example/{name}?for={seconds}"


@pytest.mark.usefixtures("files_only")
class TestRedirect:
    """Large downloads may be left to the bucket."""

    async def _get(self, world: World, path: str, headers: dict[str, str], **options: Any) -> Any:
        blobs = options.pop("blobs", _Elsewhere(world.root / "blobs"))
        transport = httpx.ASGITransport(world.app(blobs=blobs, **options))
        key = {"authorization": "Bearer secret-a"}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.get(path, headers=key | headers)

    async def test_a_large_file_is_fetched_from_the_bucket(self, world: World, path: str) -> None:
        [blob] = world.blob_files()
        answer = await self._get(world, path, {"range": "bytes=1-2"}, redirect_bytes=len(DATA))
        assert answer.status_code == 307
        assert answer.headers["location"] == f"https://bucket.example/{blob.name}?for=900"
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("redirect_bytes", [0, len(DATA) + 1])
    async def test_others_are_answered(self, world: World, path: str, redirect_bytes: int) -> None:
        answer = await self._get(world, path, {}, redirect_bytes=redirect_bytes)
        assert (answer.status_code, answer.content) == (200, DATA)

    async def test_conditions_are_answered_here(self, world: World, path: str) -> None:
        answer = await self._get(world, path, {"if-none-match": "*"}, redirect_bytes=1)
        assert answer.status_code == 304

    async def test_a_directory_has_no_links(self, world: World, path: str) -> None:
        answer = await self._get(world, path, {}, redirect_bytes=1, blobs=world.blobs)
        assert (answer.status_code, answer.content) == (200, DATA)
