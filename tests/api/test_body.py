"""Bodies that come slowly, break off, or say less than they are."""

import asyncio
import gzip
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from starlette.requests import Request
from starlette.types import Message

from gateway.api.body import (
    GZIP_RATIO,
    PROGRESS_BYTES,
    BrokenBodyError,
    StalledBodyError,
    pieces,
    read_json_bytes,
)
from gateway.api.limits import Limits
from gateway.api.services import ApiOptions, Call, Services
from gateway.errors import RequestError, TooLargeError
from tests.api.world import LINE, START, World, form_of, serving, until

NOTHING: Any = None


class SlowClock:
    """Time passes while one waits for a piece."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        """Not asked for."""
        return START

    def monotonic(self) -> float:
        """As moved by the pieces."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Not asked for."""


def _call(*body: bytes | None, gap: float = 0.0, headers: Any = ()) -> Call:
    """A call whose pieces come ``gap`` seconds apart; None: the client leaves; then silence."""
    clock = SlowClock()
    left = list(body)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        clock.seconds += gap
        piece = left.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": list(headers)}
    services = Services(NOTHING, NOTHING, clock, NOTHING, NOTHING, ())
    options = ApiOptions(body_idle_seconds=60.0)
    return Call(Request(scope, receive), "alice", services, options, Limits(1, 1, 1, 0, clock))


async def _all(call: Call) -> bytes:
    return b"".join([piece async for piece in pieces(call)])


async def test_pieces() -> None:
    """Empty ones are left out."""
    call = _call(b"a", b"", b"b")

    assert [piece async for piece in pieces(call)] == [b"a", b"b"]


async def test_a_client_that_leaves() -> None:
    """An error of its own, that nobody reads."""
    with pytest.raises(BrokenBodyError):
        await _all(_call(b"a", None))


async def test_dripping_is_not_progress() -> None:
    """A byte now and then does not renew the patience."""
    with pytest.raises(StalledBodyError):
        await _all(_call(*[b"a"] * 50, gap=2.0))


async def test_slow_is_fine() -> None:
    """Two kilobytes a second go on for ever."""
    assert len(await _all(_call(*[b"a" * 4096] * 500, gap=2.0))) == 500 * 4096


async def test_a_json_body_is_limited() -> None:
    """By what comes, not by what was declared."""
    lie = [(b"content-length", b"5"), (b"content-type", b"application/json")]

    assert await read_json_bytes(_call(b"{}", headers=lie)) == b"{}"
    with pytest.raises(TooLargeError):
        await read_json_bytes(_call(*[b" " * 65536] * 20, headers=lie))


@pytest.mark.parametrize("declared", [b"-5", b"1e9", b"x", b"", "٣".encode()])
async def test_strange_lengths_are_not_believed(declared: bytes) -> None:
    """Counting decides."""
    call = _call(b"{}", headers=[(b"content-length", declared)])

    assert await read_json_bytes(call) == b"{}"


@pytest.mark.parametrize("encoding", [b"br", b"deflate", b"zstd", b"gzip, gzip"])
async def test_other_encodings_are_refused(encoding: bytes) -> None:
    """By name, rather than by what their bytes would look like."""
    with pytest.raises(RequestError, match="uncompressed"):
        await _all(_call(b"x", headers=[(b"content-encoding", encoding)]))


PACKED = [(b"content-encoding", b"GZip")]


@pytest.mark.parametrize("piece", [1, 7, 1000, 10_000_000])
@pytest.mark.parametrize("members", [1, 3])
async def test_gzip_bodies_are_unpacked(piece: int, members: int) -> None:
    """However they are cut, and of as many members as they have."""
    data = os.urandom(3000) * 4 + b"tail" + b"\0" * 30_000
    packed = gzip.compress(data) * members
    pieces = [packed[at : at + piece] for at in range(0, len(packed), piece)]

    assert await _all(_call(*pieces, headers=PACKED)) == data * members


@pytest.mark.parametrize(
    "packed",
    [b"x", gzip.compress(b"a" * 100)[:-1], gzip.compress(b"a") + b"x", b"\x1f\x8b"],
    ids=["garbage", "cut", "garbage behind", "a beginning"],
)
async def test_what_is_no_gzip(packed: bytes) -> None:
    """400: garbage, a cut stream, garbage behind one."""
    with pytest.raises(RequestError, match="no whole gzip stream"):
        await _all(_call(packed, headers=PACKED))


async def test_a_gzip_bomb() -> None:
    """Refused after a hundred times its size, whatever the endpoint would take."""
    packed = gzip.compress(b"\0" * 50_000_000)
    sizes: list[int] = []

    async def unpack() -> None:
        async for unpacked in pieces(_call(packed, headers=PACKED)):
            sizes.append(len(unpacked))

    with pytest.raises(RequestError, match="packed too tightly"):
        await unpack()

    assert max(sizes) <= PROGRESS_BYTES
    assert sum(sizes) <= GZIP_RATIO * len(packed) + PROGRESS_BYTES


async def test_a_packed_body_has_the_limits_of_its_contents() -> None:
    """Unpacked it counts."""
    packed = gzip.compress(os.urandom(600_000).hex().encode())
    with pytest.raises(TooLargeError):
        await read_json_bytes(_call(packed, headers=PACKED))


@asynccontextmanager
async def _connected(
    world: World, **options: Any
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter], None]:
    async with serving(world.app(**options)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        try:
            yield reader, writer
        finally:
            writer.close()


def _head(length: int) -> bytes:
    return (
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
        f"Content-Type: multipart/form-data; boundary=BB\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


async def _left_nothing(world: World) -> None:
    """Wait until the server noticed; then: no bytes, no row, no name to sweep."""
    await until(lambda: not world.kept())
    listed = await world.store.list_files("alice", START, limit=10)
    assert listed is not None
    assert listed.data == []
    async with asyncio.timeout(60):
        while await world.store.sweepable_blobs(START + 1, 10):  # noqa: ASYNC110 - what is awaited is a row
            await asyncio.sleep(0.005)


async def test_an_upload_that_stands_still(world: World) -> None:
    """408, the connection closed, nothing left."""
    body, _ = form_of(LINE * 30_000, purpose="batch")
    async with _connected(world, body_idle_seconds=0.2) as (reader, writer):
        writer.write(_head(len(body)) + body[: len(body) // 2])
        answer = await asyncio.wait_for(reader.read(), 60)

    head, _, tail = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert b"x-should-retry" not in head.lower()
    assert orjson.loads(tail)["error"]["type"] == "invalid_request_error"
    await _left_nothing(world)


async def test_an_upload_that_breaks_off(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The client is gone: nothing left, nothing logged."""
    body, _ = form_of(LINE * 50_000, purpose="batch")
    async with _connected(world) as (_, writer):
        writer.write(_head(len(body)) + body[: len(body) // 2])
        await writer.drain()
        await until(lambda: bool(world.blob_files()))
        writer.transport.abort()
        await _left_nothing(world)

    assert caplog.text == ""


async def test_a_chunked_upload_that_ends_early(world: World) -> None:
    """The transport ends well, the form does not."""
    body, _ = form_of(LINE, purpose="batch")
    head = _head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    cut = body[:-6]
    async with _connected(world) as (reader, writer):
        writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(cut), cut))
        status = await asyncio.wait_for(reader.readline(), 60)

    assert status.startswith(b"HTTP/1.1 400 ")
    await _left_nothing(world)
